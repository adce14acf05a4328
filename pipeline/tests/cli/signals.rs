//! Ctrl-C and SIGTERM: finish, summarise, exit 0; twice: stop now.

use std::time::Duration;

use crate::support::{Proxy, assert_same_rows, broker, database, eventually, has_engine, volley};

/// What a run may take to finish what it began.
const PROMPTLY: Duration = Duration::from_secs(30);

const BOTH: [&str; 2] = ["INT", "TERM"];

#[test]
fn produce_delivers_what_it_sampled() {
    for signal in BOTH {
        let topic = broker().topic(1);
        let mut run =
            topic.produce_from("host", &["--interval", "1ms", "--rows-per-batch", "20"]).start();
        eventually("messages", || (topic.ends()[0] > 2).then_some(()));
        run.signal(signal);
        run.wait_for_stderr("finishing; once more to stop at once");
        let run = run.wait().succeeds().within(PROMPTLY);
        assert_eq!(run.count("rows_sampled"), run.count("rows_delivered"), "{run}");
        assert_eq!(topic.n_rows(), run.count("rows_delivered"), "{run}");
    }
}

#[test]
fn load_commits_what_it_stored() {
    for signal in BOTH {
        let Some(database) = database() else {
            return;
        };
        let topic = broker().topic(3);
        topic.produce(&["--rows", "3000", "--rows-per-batch", "10"]).run().succeeds();
        let load = || topic.load(database.url(), &database.table()).args(["--block-rows", "20"]);
        let run = load().start();
        eventually("the first rows", || (database.count() > 0).then_some(()));
        run.signal(signal);
        let run = run.wait().succeeds().within(PROMPTLY);
        let n_loaded = run.count("rows_loaded");
        assert_eq!(n_loaded, database.count(), "{run}");
        assert_eq!(n_loaded, topic.n_rows_before(&topic.committed()), "{run}");

        let rest = load().args(["--until-idle", "500ms"]).run().succeeds();
        assert_eq!(rest.count("rows_loaded"), 3000 - n_loaded, "{rest}");
        assert_same_rows(&topic, &database);
    }
}

#[test]
fn load_leaves_what_clickhouse_cannot_take_now() {
    let Some(database) = database() else {
        return;
    };
    let mut proxy = Proxy::to(database.url());
    let topic = broker().topic(2);
    let mut run = topic.load(&proxy.url(), &database.table()).start();
    run.wait_for_stderr("partitions assigned");
    proxy.cut();
    topic.fill(500);
    run.wait_for_stderr("rows wait, next try in");
    let asked = std::time::Instant::now();
    run.signal("TERM");
    let run = run.wait().succeeds();
    assert!(asked.elapsed() < Duration::from_secs(10), "{run}");
    assert_eq!(run.count("rows_loaded"), 0, "{run}");
    assert!(run.count("messages_left") > 0, "{run}");
    assert_eq!(topic.committed(), [0, 0], "{run}");

    proxy.restore();
    let load = topic.load(&proxy.url(), &database.table()).args(["--until-idle", "500ms"]);
    assert_eq!(load.run().succeeds().count("rows_loaded"), 500);
    assert_same_rows(&topic, &database);
}

#[test]
fn a_second_signal_stops_a_run_that_hangs() {
    let Some(database) = database() else {
        return;
    };
    let mut proxy = Proxy::to(database.url());
    let topic = broker().topic(1);
    let load = topic.load(&proxy.url(), &database.table()).args(["--timeout", "10m"]);
    let mut run = load.start();
    run.wait_for_stderr("partitions assigned");
    proxy.stall();
    topic.fill(100);
    eventually("an insert that hangs", || (proxy.n_swallowed() > 0).then_some(()));
    run.signal("INT");
    run.wait_for_stderr("finishing; once more to stop at once");
    run.signal("INT");
    let asked = std::time::Instant::now();
    let run = run.wait().fails().says(&["stopped at once"]);
    assert!(asked.elapsed() < Duration::from_secs(5), "{run}");
    assert_eq!(topic.committed(), [0], "{run}");
}

#[test]
fn demo_reports_what_it_had() {
    if !has_engine() {
        return;
    }
    for signal in BOTH {
        let flags = ["--batches", "100000", "--rows-per-batch", "100", "--interval", "1ms"];
        let mut run = volley(["demo", "-v", "--format", "json"]).args(flags).start();
        // The loader says so of each insert.
        run.wait_for_stderr("inserted");
        run.signal(signal);
        let run = run.wait().succeeds().within(PROMPTLY);
        let n_rows = run.count("rows_sampled");
        assert!((1..10_000_000).contains(&n_rows), "{run}");
        assert_eq!(run.count("rows_loaded"), n_rows, "{run}");
        assert_eq!(run.count("rows_queryable"), n_rows, "{run}");
    }
}

#[test]
fn demo_that_had_nothing_yet_says_so() {
    if !has_engine() {
        return;
    }
    let mut run = volley(["demo", "-v"]).start();
    run.wait_for_stderr("embedded broker is up");
    run.signal("INT");
    run.wait().fails().says(&["stopped before the demo was through"]).within(PROMPTLY);
}
