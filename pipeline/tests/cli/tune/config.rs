use std::{fs, path::Path};

use super::{file, tune};
use crate::support::{Finished, broker, volley};

fn written(folder: &Path, text: &str) -> String {
    let path = folder.join("volley.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs `volley produce --config` with this file into a broker that is not there.
fn produce_with(text: &str) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), text);
    volley(["produce", "--brokers", "127.0.0.1:1", "--timeout", "1s", "--config", &path])
        .run()
        .fails()
}

#[test]
fn what_is_written_is_what_produce_does() {
    let (folder, path) = file(4000);
    let config = folder.path().join("volley.toml");
    let config = config.to_str().unwrap();
    let run = tune(&["--input", &path, "--objective", "bytes", "--write", config]).run().succeeds();
    assert!(run.stdout.contains(&format!("written to {config}")), "{run}");
    let text = fs::read_to_string(config).unwrap();
    assert!(text.starts_with("[produce]\nrows-per-batch = 2000\ncodec = \"zstd:1\"\n"), "{text}");

    let topic = broker().topic(1);
    let run = topic.produce(&["--config", config, "--rows", "4000", "--devices", "1"]).run();
    assert_eq!(run.succeeds().count("messages"), 2);
    // A flag goes before the file.
    let run = topic.produce(&["--config", config, "--rows", "4000", "--devices", "1"]);
    assert_eq!(run.args(["--rows-per-batch", "1000"]).run().succeeds().count("messages"), 4);
}

#[test]
fn what_else_is_in_the_file_stays() {
    let (folder, path) = file(400);
    let before = "# ours\n[load]\ntable = \"a.b\" # keep\n\n[produce]\ncodec = \"lz4\" # was quick\ntopic = \"t\"\n";
    let config = written(folder.path(), before);
    volley(["tune", "--codecs", "zstd:3", "--input", &path, "--write", &config]).run().succeeds();
    let text = fs::read_to_string(&config).unwrap();
    for kept in [
        "# ours\n[load]\ntable = \"a.b\" # keep",
        "codec = \"zstd:3\" # was quick",
        "topic = \"t\"",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    let config = written(folder.path(), "[[[");
    let run = tune(&["--input", &path, "--write", &config]).run();
    run.exits_with(2).says(&["--write", "is there and is no toml"]);
    assert_eq!(fs::read_to_string(&config).unwrap(), "[[[");
}

#[test]
fn mistakes_name_key_and_file() {
    for (text, error) in [
        ("[produce]\ncodek = 1", "unknown key 'codek' in [produce]"),
        ("[produce]\nconfig = \"x\"", "unknown key 'config' in [produce]"),
        ("[prodce]\ncodec = 1", "'prodce' is no command of volley"),
        ("codec = \"lz4\"", "'codec' is no command of volley"),
        ("produce = 1", "has to be a table"),
        ("[produce]\ncodec = \"gzip\"", "invalid value 'gzip': unknown codec 'gzip'"),
        ("[produce]\nrows-per-batch = 0", "invalid value '0'"),
        ("[produce]\nrows-per-batch = {}", "expected a text or a number"),
        ("[produce]\ncreate-topic = 1", "expected true or false"),
        ("[load]\ntabel = \"x\"", "unknown key 'tabel' in [load]"),
        ("[produce", "is no toml"),
    ] {
        produce_with(text).says(&["volley.toml", error]);
    }
    let run = volley(["produce", "--config", "no/such/file"]).run().fails();
    run.says(&["cannot read --config no/such/file"]);
}

#[test]
fn files_without_mistakes_are_taken() {
    let sound = "[produce]\ncreate-topic = true\nkafka = [\"linger.ms=5\", \"acks=all\"]\nrate = 5\n[load]\n";
    produce_with(sound).says(&["cannot reach kafka"]);
    produce_with("[produce]\ncreate-topic = false\n").says(&["cannot reach kafka"]);
    produce_with("[produce]\nkafka = [\"no.such=1\"]\n")
        .says(&["kafka property 'no.such' is refused"]);
}
