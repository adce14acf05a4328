//! Arguments that cannot be right are refused before anything is reached.

use std::time::Duration;

use crate::support::{broker, database, volley};

/// Refused with exit code 2, nothing on standard output, and an error that contains `texts`.
#[track_caller]
fn refused(arguments: &[&str], texts: &[&str]) {
    volley(arguments).run().fails().says(texts).within(Duration::from_secs(5));
}

#[test]
fn unknown_flags_and_commands() {
    refused(&["produce", "--broker", "h:1"], &["unexpected argument '--broker'", "'--brokers'"]);
    refused(&["prodce"], &["unrecognized subcommand 'prodce'", "'produce'"]);
    refused(&["demo", "-v", "-q"], &["cannot be used with"]);
}

#[test]
fn codecs_and_framings() {
    for (codec, reason) in [
        ("snappy", "unknown codec"),
        ("zstd:0", "levels are 1 (fastest) to 22 (smallest)"),
        ("zstd:23", "levels are 1 (fastest) to 22 (smallest)"),
        ("zstd:fast", "levels are 1 (fastest) to 22 (smallest)"),
        ("lz4:1", "lz4 takes no level"),
        ("", "unknown codec ''"),
    ] {
        for command in ["produce", "demo"] {
            refused(&[command, "--codec", codec], &["--codec <CODEC>", reason]);
        }
    }
    refused(&["demo", "--framing", "ipc"], &["--framing <FRAMING>", "stream", "file"]);
}

#[test]
fn durations() {
    let expected = "expected a duration such as 100ms, 5s or 1m30s";
    for (command, flag) in [
        ("produce", "--interval"),
        ("produce", "--linger"),
        ("produce", "--duration"),
        ("produce", "--timeout"),
        ("load", "--until-idle"),
        ("load", "--retry-for"),
        ("load", "--block-age"),
        ("demo", "--interval"),
    ] {
        for wrong in ["5", "soon", "-1s", "1e999s"] {
            refused(&[command, &format!("{flag}={wrong}")], &[flag, wrong, expected]);
        }
    }
}

#[test]
fn sizes_and_counts() {
    let expected = "expected a size such as 64kB, 1MB or 65536";
    for wrong in ["0", "big", "-1", "1e99"] {
        let flag = format!("--bytes-per-batch={wrong}");
        refused(&["produce", &flag], &["--bytes-per-batch", expected]);
        let flag = format!("--max-inflight-bytes={wrong}");
        refused(&["load", &flag], &["--max-inflight-bytes", expected]);
    }
    for flag in ["--rows", "--batches", "--rows-per-batch", "--devices", "--rate"] {
        refused(&["produce", flag, "0"], &[flag, "'0'"]);
    }
    refused(&["produce", "--partitions", "0", "--create-topic"], &["--partitions", "1..=100000"]);
    refused(&["produce", "--partitions", "2"], &["--create-topic"]);
    refused(&["dev", "--topic", "a:0"], &["--topic", "NAME:PARTITIONS"]);
    refused(&["dev", "--topic", ":4"], &["--topic", "NAME:PARTITIONS"]);
}

#[test]
fn topics_tables_and_addresses() {
    refused(&["produce", "--topic", "a b"], &["--topic", "1 to 249 letters"]);
    refused(&["load", "--topic", ""], &["--topic", "1 to 249 letters"]);
    refused(&["load", "--table", "a."], &["--table", "expected database.table or table"]);
    for wrong in ["localhost:8123", "tcp://localhost:9000", "http://"] {
        let expected = "expected an address such as http://127.0.0.1:8123";
        refused(&["load", "--clickhouse", wrong], &["--clickhouse", expected]);
    }
    let with_secret = ["load", "--clickhouse", "http://u:hunter2@localhost:8123"];
    refused(&with_secret, &["use --user and --password"]);
}

#[test]
fn sources_and_keys() {
    refused(&["produce", "--source", "gpu"], &["--source", "host, synthetic"]);
    refused(&["produce", "--metrics", "all"], &["--metrics", "basic, full"]);
    refused(&["produce", "--key-column", "ts"], &["--key-column", "device, none"]);
}

#[test]
fn passwords() {
    let missing = ["load", "--password-file", "/nonexistent/secret"];
    refused(&missing, &["cannot read --password-file /nonexistent/secret", "No such file"]);
    let both = ["load", "--password", "hunter2", "--password-file", "secret"];
    refused(&both, &["'--password <TEXT>' cannot be used with '--password-file <FILE>'"]);
}

#[test]
fn librdkafka_properties() {
    refused(&["produce", "--kafka", "linger.ms"], &["--kafka <KEY=VALUE>", "expected key=value"]);
    let produce = |property: &str| {
        volley(["produce", "--brokers", broker().address(), "--kafka", property]).run().fails()
    };
    let run = produce("no.such.thing=hunter2").says(&[
        "kafka property 'no.such.thing' is refused: No such configuration property",
        "check --kafka",
    ]);
    assert!(!run.stderr.contains("hunter2"), "the value may be a secret: {run}");
    produce("linger.ms=soon").says(&["kafka property 'linger.ms' is refused", "check --kafka"]);
    produce("enable.idempotence=false")
        .says(&["kafka property 'enable.idempotence' is refused: volley needs it to be true"]);
}

#[test]
fn librdkafka_properties_of_a_consumer() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(1);
    let load = |property: &str| {
        topic.load(database.url(), &database.table()).args(["--kafka", property]).run().fails()
    };
    load("no.such.thing=1").says(&["kafka property 'no.such.thing' is refused", "check --kafka"]);
    load("enable.auto.commit=true")
        .says(&["kafka property 'enable.auto.commit' is refused: volley needs it to be false"]);
}

#[test]
fn passwords_are_what_http_carries() {
    for wrong in ["pässword", "two\nlines"] {
        refused(&["load", "--password", wrong], &["--password has a character", "ascii"]);
    }
}
