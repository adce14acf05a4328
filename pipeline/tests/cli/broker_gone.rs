//! A broker that goes away midway, for good or for a while.

use std::time::{Duration, Instant};

use crate::support::{Broker, Proxy, Topic, assert_same_rows, database, eventually};

/// Waits until the topic has messages.
fn wait_for_messages(topic: &Topic<'_>) {
    eventually("messages", || (topic.ends()[0] > 2).then_some(()));
}

#[test]
fn produce_says_how_many_rows_the_broker_has() {
    let broker = Broker::start();
    let topic = broker.topic(1);
    let run = topic
        .produce(&["--rate", "2000", "--rows-per-batch", "50", "--key-column", "none"])
        .args(["--kafka", "message.timeout.ms=3000"])
        .start();
    wait_for_messages(&topic);
    broker.stop();
    let run = run.wait().fails().says(&["rows were acknowledged", &topic.name, "timed out"]);
    let words: Vec<_> = run.stderr.split_whitespace().collect();
    let at = words.windows(2).position(|pair| pair == ["stopped", "after"]).unwrap();
    let n_acknowledged: u64 = words[at + 2].parse().unwrap();
    let n_sampled: u64 = words[at + 4].parse().unwrap();
    assert!(n_acknowledged > 0 && n_acknowledged < n_sampled, "{run}");

    broker.resume();
    assert!(topic.n_rows() >= n_acknowledged, "what was acknowledged is there: {run}");
}

#[test]
fn produce_goes_on_when_the_broker_is_back() {
    let broker = Broker::start();
    let topic = broker.topic(2);
    let mut run =
        topic.produce(&["--rate", "4000", "--rows", "8000", "--rows-per-batch", "50"]).start();
    wait_for_messages(&topic);
    broker.stop();
    run.wait_for_stderr("trying again");
    broker.resume();
    let run = run.wait().succeeds();
    assert_eq!(run.count("rows_delivered"), 8000, "{run}");
    assert_eq!(topic.n_rows(), 8000, "no row is lost and none comes twice: {run}");
}

#[test]
fn load_goes_on_when_the_broker_is_back() {
    let Some(database) = database() else {
        return;
    };
    let broker = Broker::start();
    let topic = broker.topic(2);
    topic.fill(1000);
    let mut run = topic.load(database.url(), &database.table()).start();
    eventually("the first rows", || (database.count() == 1000).then_some(()));
    broker.stop();
    run.wait_for_stderr("trying again");
    broker.resume();
    topic.fill(1000);
    eventually("the other rows", || (database.count() == 2000).then_some(()));
    // The group may have thrown the loader out meanwhile; then it joins again and catches up.
    eventually("the commits", || (topic.committed() == topic.ends()).then_some(()));
    run.signal("TERM");
    run.wait().succeeds();
    assert_same_rows(&topic, &database);
}

#[test]
fn a_broker_that_is_away_is_not_an_idle_topic() {
    let Some(database) = database() else {
        return;
    };
    let broker = Broker::start();
    let topic = broker.topic(1);
    topic.fill(500);
    let load = topic.load(database.url(), &database.table()).args(["--until-idle", "3s"]);
    let run = load.start();
    eventually("the rows", || (database.count() == 500).then_some(()));
    broker.stop();
    run.wait().fails().says(&["kafka at", broker.address()]).within(Duration::from_secs(30));
}

/// Each attempt to commit waits for the coordinator of the group for a session of it.
#[test]
fn load_that_is_told_to_stop_does_not_wait_for_the_broker_again_and_again() {
    let Some(database) = database() else {
        return;
    };
    let broker = Broker::start();
    let topic = broker.topic(1);
    let mut proxy = Proxy::to(database.url());
    proxy.refuse("insert_deduplication_token");
    topic.fill(500);
    let mut run = topic.load(&proxy.url(), &database.table()).start();
    run.wait_for_stderr("rows wait, next try in");
    broker.stop();
    proxy.restore();
    eventually("the rows", || (database.count() == 500).then_some(()));
    run.signal("TERM");
    let asked = Instant::now();
    let run = run.wait().succeeds();
    assert!(asked.elapsed() < Duration::from_secs(25), "{run}");

    broker.resume();
    assert_ne!(topic.committed(), topic.ends(), "{run}");
    let load = topic.load(database.url(), &database.table()).args(["--until-idle", "500ms"]);
    load.run().succeeds();
    assert_same_rows(&topic, &database);
}
