//! Topics that are missing, empty, or made on the way.

use std::time::Duration;

use crate::support::{broker, database, random_name, volley};

#[test]
fn load_names_a_topic_that_is_missing() {
    let Some(database) = database() else {
        return;
    };
    let mut topic = broker().topic(1);
    topic.name = random_name("missing");
    let run = topic.load(database.url(), &database.table()).args(["--timeout", "5s"]).run();
    let expected = format!("topic '{}' does not exist on {}", topic.name, broker().address());
    run.fails().says(&[&expected, "check --topic"]).within(Duration::from_secs(10));
}

#[test]
fn an_empty_topic_loads_nothing_and_makes_no_table() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(3);
    let load = topic.load(database.url(), &database.table()).args(["--until-idle", "500ms"]);
    let run = load.run().succeeds().within(Duration::from_secs(15));
    assert_eq!((run.count("rows_loaded"), run.count("messages")), (0, 0), "{run}");
    assert_eq!(database.query(&format!("EXISTS {}", database.table())), "0");
    assert_eq!(topic.committed(), [0, 0, 0]);
}

#[test]
fn produce_makes_the_topic_when_asked() {
    let name = random_name("made");
    let produce = || {
        volley(["produce", "--brokers", broker().address(), "--topic", &name, "--create-topic"])
            .args(["--source", "synthetic", "--rows", "10", "--format", "json"])
    };
    assert_eq!(produce().run().succeeds().count("rows_delivered"), 10);
    assert_eq!(produce().run().succeeds().count("rows_delivered"), 10, "one that is there is used");
}
