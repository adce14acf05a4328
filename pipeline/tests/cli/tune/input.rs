use serde_json::Value;

use super::{file, file_of, payload, tune};
use crate::support::{broker, closed_port};

#[test]
fn damage_is_located() {
    let mut bytes = payload(100);
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xff);
    let (_folder, path) = file_of(&bytes);
    let run = tune(&["--input", &path]).run().fails();
    run.says(&["cannot measure", &path, "no sound arrow ipc payload", "volley inspect", "byte "]);
}

#[test]
fn nothing_is_nothing_to_measure() {
    let (_folder, path) = file_of(b"");
    tune(&["--input", &path]).run().fails().says(&["no sound arrow ipc payload"]);
    let (_folder, path) = file(0);
    tune(&["--input", &path]).run().fails().says(&["--input has no rows to measure"]);
    let run = tune(&["--input", "no/such/file"]).run().fails();
    run.says(&["cannot read --input no/such/file", "No such file"]);
    tune(&[]).run().fails().says(&["--input"]);
}

#[test]
fn one_row_and_a_few_are_measured() {
    for (n_rows, most) in [(1, 1), (2, 1), (3, 1), (25, 10)] {
        let (_folder, path) = file(n_rows);
        let run = tune(&["--input", &path, "--format", "json"]).run().succeeds();
        let report = run.json();
        assert_eq!(report["recommendation"]["rows"].as_u64(), Some(most), "{run}");
        assert!(run.stdout.contains("rows are few"), "{run}");
    }
}

#[test]
fn several_files_are_one_sample_and_other_schemas_are_left_out() {
    let (_one, first) = file(300);
    let (_two, second) = file(200);
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/tests/golden/scalars-zstd.arrows");
    let run = tune(&["--input", &first, &second, golden, "--format", "json"]).run().succeeds();
    let report = run.json();
    assert_eq!(report["sample"]["rows"].as_u64(), Some(500));
    assert_eq!(report["sample"]["inputs"].as_array().unwrap().len(), 3);
    assert!(run.stdout.contains("2 batches of other schemas were left out"), "{run}");
    let report = tune(&["--input", &first, "--rows", "120", "--format", "json"]).run().json();
    assert_eq!(report["sample"]["rows"].as_u64(), Some(120));
}

/// Whatever type columns have.
#[test]
fn files_of_others_are_measured() {
    for name in ["nested-lz4.arrow", "dictionaries-none.arrows", "unions-v5.arrow", "v4.arrows"] {
        let path = format!("{}/../core/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
        let run = tune(&["--input", &path, "--dictionaries", "--format", "json"]).run().succeeds();
        assert!(!run.json()["points"].as_array().unwrap().is_empty(), "{run}");
    }
}

#[test]
fn made_up_rows_need_a_rate_for_what_depends_on_it() {
    let synthetic = ["--input", "synthetic", "--rows", "500"];
    let run = tune(&synthetic).args(["--objective", "latency"]).run().fails();
    run.says(&["pass --rate"]);
    let run =
        tune(&synthetic).args(["--objective", "latency", "--rate", "100", "--format", "json"]);
    let found = run.run().succeeds().json();
    assert_eq!(found["recommendation"]["rows"].as_u64(), Some(10), "the fewest: {found}");
    tune(&synthetic).args(["--rate", "0"]).run().fails().says(&["expected rows a second"]);
}

#[test]
fn this_machine_is_watched() {
    let arguments = ["--input", "host", "--rows", "20", "--budget", "8s", "--metrics", "full"];
    let report = tune(&arguments).args(["--format", "json"]).run().succeeds().json();
    let sample = &report["sample"];
    assert_eq!(sample["rows"].as_u64(), Some(20), "{report}");
    assert_eq!(sample["columns"].as_u64(), Some(16));
    assert_eq!(report["rate"], Value::Null);
}

#[test]
fn a_topic_is_read_from_its_newest_messages() {
    let topic = broker().topic(2);
    topic.fill(2000);
    let address = format!("kafka://{}/{}", topic.broker.address(), topic.name);
    let report = tune(&["--input", &address, "--format", "json"]).run().succeeds().json();
    assert_eq!(report["sample"]["rows"].as_u64(), Some(2000));
    assert_eq!(topic.committed(), [0, 0], "nothing is committed");
    let run = tune(&["--input", &address, "--rows", "250", "--format", "json"]).run().succeeds();
    assert_eq!(run.json()["sample"]["rows"].as_u64(), Some(250));
    let missing = format!("{address}/7");
    let run = tune(&["--input", &missing]).run().fails();
    run.says(&["cannot read --input", "no partition 7"]);
}

#[test]
fn messages_that_are_no_payload_are_counted() {
    let topic = broker().topic(1);
    topic.put(0, Some(b"no arrow"), &[]);
    topic.put(0, None, &[]);
    let address = format!("kafka://{}/{}/0", topic.broker.address(), topic.name);
    let run = tune(&["--input", &address]).run().fails();
    run.says(&["cannot measure", "no sound arrow ipc payload", "byte 0"]);
    topic.put(0, Some(&payload(100)), &[]);
    let run = tune(&["--input", &address, "--format", "json"]).run().succeeds();
    assert_eq!(run.json()["sample"]["rows"].as_u64(), Some(100));
    assert!(run.stdout.contains("1 messages are no payload"), "{run}");
}

#[test]
fn topics_that_cannot_be_read_are_named() {
    let address = format!("kafka://{}/t", closed_port());
    let run = tune(&["--input", &address, "--timeout", "2s"]).run().fails();
    run.says(&["cannot read --input kafka://", "no kafka broker answers"]);
    let run = tune(&["--input", "kafka://b/t/0/9"]).run().fails();
    run.says(&["expected kafka://HOST:PORT/TOPIC"]);
}
