//! The binary on a Kafka that lets in who has a password or a certificate: everything that reaches
//! Kafka, with secrets from a file or the environment, which nothing that is said contains.

use std::{fmt::Write as _, fs};

use tempfile::NamedTempFile;
use volley_e2e::{Access, Case, Scenario, assert_same_rows, concat, sorted};

use crate::volley::{JSON, Volley, volley};

pub(crate) const CASES: &[Case] = &[
    Case::on_native_kafka("binary_security::plain", plain),
    Case::on_native_kafka("binary_security::scram_sha_256", scram_sha_256),
    Case::on_native_kafka("binary_security::scram_sha_512", scram_sha_512),
    Case::on_native_kafka("binary_security::certificate", certificate),
    Case::on_native_kafka("binary_security::wrong_password", wrong_password),
];

const PASSWORD: &str = "sasl.password";
const PASSWORD_VAR: &str = "VOLLEY_KAFKA_SASL_PASSWORD";

fn plain(scenario: &Scenario<'_>) {
    check(scenario, &scenario.stack().native().with_password("PLAIN"));
}

fn scram_sha_256(scenario: &Scenario<'_>) {
    check(scenario, &scenario.stack().native().with_password("SCRAM-SHA-256"));
}

fn scram_sha_512(scenario: &Scenario<'_>) {
    check(scenario, &scenario.stack().native().with_password("SCRAM-SHA-512"));
}

fn certificate(scenario: &Scenario<'_>) {
    check(scenario, &scenario.stack().native().with_certificate());
}

/// Where the cluster is and how to get in, as a file. With everything that librdkafka ever says.
fn file(access: &Access) -> NamedTempFile {
    let mut text = format!("bootstrap.servers={}\ndebug=all\n", access.brokers);
    for (key, value) in &access.properties {
        writeln!(text, "{key}={value}").unwrap();
    }
    let file = NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    file
}

/// Produces, loads, inspects and replays, once with the password in the file and once with it in
/// the environment.
fn check(scenario: &Scenario<'_>, access: &Access) {
    let password = access.get(PASSWORD);
    let (whole, without) = (file(access), file(&access.clone().without(PASSWORD)));
    let run = |run: Volley, file: &NamedTempFile| {
        let run = run.args(["-vv", "--kafka-file", file.path().to_str().unwrap()]).run().succeeds();
        assert!(run.stderr.contains("ssl.ca.location = "), "{run}");
        if let Some(password) = password {
            assert!(run.stderr.contains("sasl.password = [redacted]"), "{run}");
            assert!(!run.stderr.contains(password) && !run.stdout.contains(password), "{run}");
        }
        run
    };
    let topic = ["--topic", scenario.topic()];
    let produce = volley(["produce", "--source", "synthetic", "--rows", "2000"])
        .args(topic)
        .args(["--create-topic", "--partitions", "2"]);
    run(produce.args(JSON), &whole);
    let sent: Vec<_> = scenario.messages().iter().flat_map(|m| m.batches()).collect();
    scenario.put_message(Some(b"not arrow"), "key", &[]);

    let load = load(scenario).args(["--until-idle", "500ms"]);
    let loaded = run(load.env(PASSWORD_VAR, password.unwrap_or_default()).args(JSON), &without);
    assert_eq!((loaded.count("rows_loaded"), loaded.count("dead_letters")), (2_000, 1));
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY device, ts", scenario.table()));
    assert_same_rows(&sorted(&concat(&sent), &["device", "ts"]), &stored);

    let address = format!("kafka://{}/{}/0/0", access.brokers, scenario.topic());
    run(volley(["inspect", &address]), &whole);
    let listed = run(volley(["dlq", "list"]).args(topic), &whole);
    assert!(listed.stdout.contains("1 dead letter: 1 damaged"), "{listed}");
    let replayed = run(volley(["dlq", "replay"]).args(topic).args(JSON), &whole);
    assert_eq!(replayed.count("replayed"), 1, "{replayed}");
}

fn wrong_password(scenario: &Scenario<'_>) {
    const WRONG: &str = "not-the-password";
    scenario.create_topic(1, &[]);
    let access = scenario.stack().native().with_password("SCRAM-SHA-512");
    let right = access.get(PASSWORD).unwrap().to_owned();
    let file = file(&access.clone().without(PASSWORD));
    let topic = ["--topic", scenario.topic()];
    let produce = volley(["produce", "--source", "synthetic", "--rows", "10"]).args(topic);
    let address = format!("kafka://{}/{}/0/0", access.brokers, scenario.topic());
    let list = volley(["dlq", "list"]).args(topic);
    for run in [produce, load(scenario), list, volley(["inspect", &address])] {
        // It ends when the broker has answered, and not before.
        let run = run
            .args(["-vv", "--timeout", "60s", "--kafka-file", file.path().to_str().unwrap()])
            .env(PASSWORD_VAR, WRONG);
        let run = run.run().fails().says(&["refuses to let us in", "invalid credentials"]);
        assert!(!run.stderr.contains(WRONG) && !run.stderr.contains(&right), "{run}");
    }
}

/// `volley load` into the scenario's table, from where the file says.
fn load(scenario: &Scenario<'_>) -> Volley {
    volley(["load", "--topic", scenario.topic(), "--group", &scenario.group("a")]).args([
        "--clickhouse",
        &scenario.stack().clickhouse,
        "--table",
        &scenario.table(),
    ])
}
