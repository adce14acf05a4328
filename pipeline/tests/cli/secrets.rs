//! Secrets are used, and never told: not in logs, errors or results, and not to other users of the
//! machine.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use tempfile::NamedTempFile;

use crate::support::{Finished, PASSWORD, PATIENCE, USER, Volley, broker, database, volley};

const IN_FILE: &str = "f1le-hunter2";
const IN_ENVIRONMENT: &str = "env-hunter2";
const KEY_PASSWORD: &str = "key-hunter2";
const SECRETS: [&str; 5] = [IN_FILE, IN_ENVIRONMENT, KEY_PASSWORD, PASSWORD, "wrong-hunter2"];

/// The run has said everything it ever says, and no secret.
#[track_caller]
fn check(run: Finished) -> Finished {
    assert!(run.stderr.contains("[redacted]") || run.stderr.contains("error:"), "{run}");
    for secret in SECRETS {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{secret}: {run}");
    }
    run
}

/// What the in-process broker does not ask for, librdkafka has all the same.
fn with_secrets(run: Volley, file: &NamedTempFile) -> Volley {
    run.args(["-vv", "--kafka", "debug=all", "--kafka-file", file.path().to_str().unwrap()])
        .env("VOLLEY_KAFKA_SASL_PASSWORD", IN_ENVIRONMENT)
        .env("VOLLEY_KAFKA_SSL_KEY_PASSWORD", KEY_PASSWORD)
}

fn file() -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let text = format!("# for all\nsasl.username=someone\nsasl.password={IN_FILE}\n");
    fs::write(file.path(), text).unwrap();
    file
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn nothing_that_is_said_has_a_secret() {
    let Some(database) = database() else {
        return;
    };
    let (topic, file) = (broker().topic(1), file());
    check(with_secrets(topic.produce(&["--rows", "500"]), &file).run().succeeds());
    topic.put(0, Some(b"not arrow"), &[]);

    let load = topic.load(database.url(), &database.table()).args(["--metrics", "127.0.0.1:0"]);
    let mut load = with_secrets(load, &file).start();
    let said = load.wait_for_stderr("/metrics");
    let (_, address) = said.split_once("serving metrics at http://").unwrap();
    load.wait_for_stderr("inserted");
    let metrics = get(address.split_once("/metrics").unwrap().0, "/metrics");
    assert!(metrics.contains("volley_load_"), "{metrics}");
    assert!(SECRETS.iter().all(|secret| !metrics.contains(secret)), "{metrics}");
    let arguments = fs::read(format!("/proc/{}/cmdline", load.pid())).unwrap();
    let arguments = String::from_utf8_lossy(&arguments);
    assert!(arguments.contains("--kafka-file"), "{arguments}");
    assert!(SECRETS.iter().all(|secret| !arguments.contains(secret)), "{arguments}");
    load.signal("INT");
    check(load.wait().succeeds());

    let address = format!("kafka://{}/{}/0/0", broker().address(), topic.name);
    check(with_secrets(volley(["inspect", "--format", "json", &address]), &file).run().succeeds());
    let dlq = |command: &str| {
        let dlq = volley(["dlq", command, "--brokers", broker().address(), "--topic", &topic.name]);
        check(with_secrets(dlq, &file).run().succeeds())
    };
    assert!(dlq("list").stdout.contains("1 dead letter: 1 damaged"));
    dlq("replay");
}

#[test]
fn nothing_that_goes_wrong_tells_a_secret() {
    let Some(database) = database() else {
        return;
    };
    let (topic, file) = (broker().topic(1), file());
    let load = || with_secrets(topic.load_as_nobody(database.url(), "t"), &file);
    let run = load().args(["--user", USER]).env("VOLLEY_CLICKHOUSE_PASSWORD", "wrong-hunter2");
    check(run.run().fails()).says(&["refused", "check --user and --password"]);
    let run = load().args(["--kafka", "no.such=1", "--user", USER]);
    check(run.env("VOLLEY_CLICKHOUSE_PASSWORD", PASSWORD).run().fails()).says(&["no.such"]);

    fs::write(file.path(), format!("sasl.username=someone\nsasl.password {IN_FILE}\n")).unwrap();
    check(load().run().fails()).says(&["line 2: expected key=value"]);
    check(load().args(["--kafka-file", "/no/such"]).run().fails()).says(&["--kafka-file"]);
}

#[test]
fn who_puts_a_secret_where_others_see_it_is_told() {
    let topic = broker().topic(1);
    let produce = || topic.produce(&["--rows", "10"]);
    let run = produce().args(["--kafka", "sasl.password=seen"]).run().succeeds();
    let run = run.says(&["WARN", "other users", "--kafka sasl.password", "--kafka-file"]);
    assert!(!run.stderr.contains("seen"), "{run}");
    let run = produce().env("VOLLEY_KAFKA_SASL_PASSWORD", "unseen").run().succeeds();
    assert_eq!(run.stderr, "");
}

#[test]
fn a_file_says_where_the_cluster_is() {
    let (topic, file) = (broker().topic(1), file());
    fs::write(file.path(), format!("bootstrap.servers={}\n", broker().address())).unwrap();
    let run = volley(["produce", "--source", "synthetic", "--rows", "10", "--topic", &topic.name])
        .env("VOLLEY_KAFKA_FILE", file.path().to_str().unwrap());
    run.run().succeeds();
    assert_eq!(topic.n_rows(), 10);
}
