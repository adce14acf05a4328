//! Messages and memory that are limited.

use crate::support::{assert_same_rows, broker, database};

#[test]
fn a_batch_over_the_message_limit_is_split() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(1);
    let batches = ["--rows", "6000", "--rows-per-batch", "3000", "--key-column", "none"];
    let run = topic
        .produce(&batches)
        .args(["--codec", "none", "--kafka", "message.max.bytes=20000"])
        .run()
        .succeeds()
        .says(&["over the message limit", "--rows-per-batch"]);
    assert_eq!((run.count("batches"), run.count("batches_split")), (2, 2), "{run}");
    assert!(run.count("messages") > 8, "{run}");
    assert_eq!(run.count("rows_delivered"), 6000, "{run}");
    for message in topic.messages() {
        assert!(message.payload.as_ref().unwrap().len() < 20_000, "{run}");
    }
    let load = topic.load(database.url(), &database.table()).args(["--until-idle", "500ms"]);
    assert_eq!(load.run().succeeds().count("rows_loaded"), 6000);
    assert_same_rows(&topic, &database);
}

#[test]
fn a_row_over_the_message_limit_is_an_error() {
    let topic = broker().topic(1);
    let name = "long".repeat(500);
    let run = topic
        .produce_from("host", &["--device", &name, "--rows", "10", "--interval", "0"])
        .args(["--codec", "none", "--kafka", "message.max.bytes=1500"])
        .run()
        .fails();
    run.says(&["cannot encode a batch for topic", &topic.name, "bytes"]);
    assert_eq!(topic.ends(), [0]);
}

#[test]
fn little_memory_is_enough() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(2);
    let run = topic
        .produce(&["--rows", "8000", "--rows-per-batch", "100", "--codec", "none"])
        .args(["--max-inflight-bytes", "5kB"])
        .run()
        .succeeds();
    assert_eq!(run.count("rows_delivered"), 8000, "{run}");
    let load = topic.load(database.url(), &database.table()).args(["--until-idle", "1s"]);
    let run = load.args(["--max-inflight-bytes", "30kB"]).run().succeeds();
    assert_eq!(run.count("rows_loaded"), 8000, "{run}");
    assert_eq!(topic.committed(), topic.ends(), "{run}");
    assert_same_rows(&topic, &database);
}

#[test]
fn a_payload_that_claims_too_much_is_refused_until_it_is_allowed() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(1);
    topic.fill(1000);
    let load = || topic.load(database.url(), &database.table()).args(["--until-idle", "500ms"]);
    let run = load().args(["--no-dlq", "--max-batch-bytes", "1kB"]).run().fails();
    run.says(&["partition 0 offset 0", "over-cap", "raise --max-batch-bytes"]);
    assert_eq!(topic.committed(), [0]);
    assert_eq!(
        load().args(["--max-batch-bytes", "1MB"]).run().succeeds().count("rows_loaded"),
        1000
    );
    assert_same_rows(&topic, &database);
}
