//! Several ways to ClickHouse, and inserts that fail for one partition alone.

use crate::support::{
    Database, Proxy, assert_same_rows, broker, closed_port, database, eventually,
};

fn wait_for_rows(database: &Database, n_rows: u64) {
    eventually(&format!("{n_rows} rows"), || (database.count() == n_rows).then_some(()));
}

#[test]
fn the_next_address_is_used_where_one_does_not_answer() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(2);
    topic.fill(500);
    let urls = format!("http://{},{}", closed_port(), database.url());
    let run = topic.load(&urls, &database.table()).args(["--until-idle", "500ms"]).run().succeeds();
    let run = run.says(&["trying another clickhouse", "going on with another"]);
    assert_eq!(run.count("rows_loaded"), 500, "{run}");
    assert_eq!(run.count("retries"), 0, "{run}");
    assert_eq!(topic.committed(), topic.ends(), "{run}");
    assert_same_rows(&topic, &database);
}

/// Each is used until it fails, and a block that is sent elsewhere keeps its token.
#[test]
fn whoever_works_is_stayed_with() {
    let Some(database) = database() else {
        return;
    };
    let [mut one, mut other] = [(); 2].map(|()| Proxy::to(database.url()));
    let topic = broker().topic(2);
    let urls = ["--clickhouse", &other.url()];
    let mut run = topic.load(&one.url(), &database.table()).args(urls).start();
    topic.fill(500);
    wait_for_rows(&database, 500);
    one.cut();
    topic.fill(500);
    wait_for_rows(&database, 1000);
    // That the first is back changes nothing until the other fails.
    one.restore();
    other.cut();
    topic.fill(500);
    wait_for_rows(&database, 1500);
    // Where none works, it waits.
    one.cut();
    topic.fill(500);
    run.wait_for_stderr("rows wait, next try in");
    other.restore();
    wait_for_rows(&database, 2000);
    run.signal("INT");
    let run = run.wait().succeeds();
    assert_eq!(run.count("rows_loaded"), 2000, "{run}");
    assert_eq!(topic.committed(), topic.ends(), "{run}");
    assert_same_rows(&topic, &database);
}

#[test]
fn a_partition_whose_inserts_fail_does_not_hold_up_the_others() {
    let Some(database) = database() else {
        return;
    };
    let mut proxy = Proxy::to(database.url());
    let topic = broker().topic(2);
    topic.fill(500);
    // The token has topic, partition and offsets, and is a parameter of the request.
    proxy.refuse("%2F0%2F");
    let block = ["--block-rows", "100", "--max-inflight-bytes", "10kB"];
    let mut run = topic.load(&proxy.url(), &database.table()).args(block).start();
    run.wait_for_stderr("rows wait, next try in");
    for _ in 0..3 {
        topic.fill(3000);
        let of_the_other = topic.n_rows_before(&[0, i64::MAX]);
        assert!(of_the_other > 0 && of_the_other < topic.n_rows());
        wait_for_rows(&database, of_the_other);
    }
    assert_eq!(topic.committed()[0], 0);
    proxy.restore();
    wait_for_rows(&database, topic.n_rows());
    run.signal("INT");
    let run = run.wait().succeeds();
    assert!(run.count("retries") > 0, "{run}");
    assert_eq!(run.count("dead_letters"), 0, "{run}");
    assert_eq!(topic.committed(), topic.ends(), "{run}");
    assert_same_rows(&topic, &database);
}
