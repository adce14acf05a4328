//! Kafka that lets in who has a password or a certificate.

use std::time::Duration;

use volley::{human::Causes, kafka::KafkaOptions, load::LoadOptions, produce::ProduceOptions};
use volley_e2e::{Access, Case, Scenario, assert_same_rows, concat, sorted};

pub(crate) const CASES: &[Case] = &[
    Case::on_native_kafka("security::scram_sha_256", scram_sha_256),
    Case::on_native_kafka("security::scram_sha_512", scram_sha_512),
    Case::on_native_kafka("security::certificate", certificate),
    Case::on_native_kafka("security::wrong_password", wrong_password),
    Case::on_native_kafka("security::no_certificate", no_certificate),
    Case::on_native_kafka("security::unknown_authority", unknown_authority),
];

fn scram_sha_256(scenario: &Scenario<'_>) {
    check(scenario, &scenario.stack().native().with_password("SCRAM-SHA-256"));
}

fn scram_sha_512(scenario: &Scenario<'_>) {
    check(scenario, &scenario.stack().native().with_password("SCRAM-SHA-512"));
}

fn certificate(scenario: &Scenario<'_>) {
    check(scenario, &scenario.stack().native().with_certificate());
}

/// Makes the topic, produces, loads and compares, all through the secured listener.
fn check(scenario: &Scenario<'_>, access: &Access) {
    let produced = scenario.produce(ProduceOptions {
        kafka: scenario.kafka_by(access),
        create_topic: Some(2),
        ..scenario.produce_options(4, 2_000)
    });
    assert_eq!(produced.rows_delivered, 2_000);
    let load = LoadOptions { kafka: scenario.kafka_by(access), ..scenario.load_options("a") };
    assert_eq!(scenario.load(load).rows_loaded, 2_000);
    let sent: Vec<_> = scenario.messages().iter().flat_map(|m| m.batches()).collect();
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY device, ts", scenario.table()));
    assert_same_rows(&sorted(&concat(&sent), &["device", "ts"]), &stored);
}

fn wrong_password(scenario: &Scenario<'_>) {
    const WRONG: &str = "not-the-password";
    let access = scenario.stack().native().with_password("SCRAM-SHA-512");
    let right = access.get("sasl.password").unwrap().to_owned();
    let access = access.with("sasl.password", WRONG);
    for error in errors(scenario, &access) {
        let expected = format!("kafka at {} refuses to let us in: ", access.brokers);
        assert!(error.starts_with(&expected), "{error}");
        assert!(
            error.contains("invalid credentials") && error.contains("--kafka sasl."),
            "{error}"
        );
        assert!(!error.contains(WRONG) && !error.contains(&right), "{error}");
    }
}

fn no_certificate(scenario: &Scenario<'_>) {
    let access = scenario.stack().native().with_certificate();
    let without = access.without("ssl.certificate.location").without("ssl.key.location");
    for error in errors(scenario, &without) {
        assert!(error.contains("SSL") && error.contains("certificate"), "{error}");
    }
}

fn unknown_authority(scenario: &Scenario<'_>) {
    let access = scenario.stack().native().with_certificate().without("ssl.ca.location");
    for error in errors(scenario, &access) {
        assert!(error.contains("certificate verify failed"), "{error}");
        assert!(error.contains("ssl.ca.location"), "{error}");
    }
}

/// What producing and loading say, with all causes, where neither gets in.
fn errors(scenario: &Scenario<'_>, access: &Access) -> [String; 2] {
    scenario.create_topic(1, &[]);
    let timeout = Duration::from_secs(2);
    let kafka = KafkaOptions { timeout, ..scenario.kafka_by(access) };
    let produce = ProduceOptions { kafka: kafka.clone(), ..scenario.produce_options(1, 100) };
    let load = LoadOptions { kafka, ..scenario.load_options("a") };
    let produced = scenario.try_produce(produce).unwrap_err();
    let loaded = scenario.try_load(load).unwrap_err();
    [Causes(&produced).to_string(), Causes(&loaded).to_string()]
}
