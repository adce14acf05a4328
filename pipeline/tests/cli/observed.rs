//! What a running load says of itself: metrics, health, readiness.

use std::net::{TcpListener, TcpStream};

use crate::support::{
    Database, Proxy, Running, Served, Topic, broker, database, eventually, volley,
};

fn start(
    topic: &Topic<'_>,
    database: &Database,
    url: &str,
    arguments: &[&str],
) -> (Running, Served) {
    let load = topic.load(url, &database.table()).args(["--metrics", "127.0.0.1:0"]);
    let mut run = load.args(arguments).start();
    let served = Served::by(&mut run);
    (run, served)
}

#[test]
fn metrics_count_what_is_loaded() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(2);
    topic.fill(1000);
    let (run, load) = start(&topic, &database, database.url(), &[]);
    load.wait_for("volley_load_rows_total", 1000.0);
    load.wait_for("volley_load_lag_messages", 0.0);
    let n_messages = topic.messages().len() as f64;
    assert_eq!(load.metric("volley_load_messages_total"), Some(n_messages));
    assert_eq!(load.metric("volley_load_freshness_seconds_count"), Some(n_messages));
    assert_eq!(load.metric("volley_load_assigned_partitions"), Some(2.0));
    assert_eq!(load.metric("volley_load_lag_seconds"), Some(0.0));
    assert_eq!(load.metric("volley_load_clickhouse_up"), Some(1.0));
    assert_eq!(load.metric("volley_load_dead_letters_total"), Some(0.0));
    assert_eq!(load.get("/healthz"), (200, "{\"ok\":true}\n".to_owned()));
    assert_eq!(load.get("/readyz"), (200, "{\"ok\":true}\n".to_owned()));
    assert_eq!(load.get("/").0, 404);
    assert_eq!(load.ask("POST", "/metrics").0, 405);

    topic.put(0, Some(b"no arrow"), &[]);
    load.wait_for("volley_load_dead_letters_total", 1.0);
    load.wait_for("volley_load_lag_messages", 0.0);
    run.signal("INT");
    let run = run.wait().succeeds();
    assert_eq!(run.count("rows_loaded"), 1000, "{run}");
    TcpStream::connect(&load.address).expect_err("nobody listens any more");
}

#[test]
fn health_is_bad_while_nothing_moves() {
    let Some(database) = database() else {
        return;
    };
    let mut proxy = Proxy::to(database.url());
    let topic = broker().topic(1);
    topic.fill(300);
    let (_run, load) = start(&topic, &database, &proxy.url(), &["--stall-after", "1s"]);
    load.wait_for("volley_load_rows_total", 300.0);
    load.wait_for("volley_load_lag_messages", 0.0);
    assert_eq!(load.get("/healthz").0, 200);

    proxy.cut();
    topic.fill(200);
    load.wait_for("volley_load_lag_rows", 200.0);
    load.wait_for("volley_load_clickhouse_up", 0.0);
    let reason = load.wait_for_health(503);
    assert!(reason.contains("partition 0 has "), "{reason}");
    assert!(reason.contains("nothing was loaded for "), "{reason}");
    assert!(reason.ends_with("\"partitions\":[0]}\n"), "{reason}");
    assert_eq!(load.metric("volley_load_stalled_partitions"), Some(1.0));
    assert!(load.metric("volley_load_retries_total") > Some(0.0));
    assert!(load.metric("volley_load_lag_seconds") > Some(1.0));
    // It is past its start all the same.
    assert_eq!(load.get("/readyz").0, 200);

    proxy.restore();
    load.wait_for("volley_load_rows_total", 500.0);
    load.wait_for_health(200);
    assert_eq!(load.metric("volley_load_clickhouse_up"), Some(1.0));
}

/// What lies behind the end of the run is not for this run to load.
#[test]
fn lag_ends_where_the_run_does() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(2);
    topic.fill(2000);
    assert!(topic.ends()[0] > 1);
    let until = ["--until", "0:1,1:1000000"];
    let (_run, load) = start(&topic, &database, database.url(), &until);
    let n_rows = topic.n_rows_before(&[1, i64::MAX]) as f64;
    load.wait_for("volley_load_rows_total", n_rows);
    load.wait_for("volley_load_lag_messages", 0.0);
}

/// Nothing else would wake a run whose partitions are all paused with blocks that are not full.
#[test]
fn blocks_that_are_cut_because_memory_is_full_go_at_once() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(1);
    topic.fill(5_000);
    let memory = ["--max-inflight-bytes", "4kB", "--block-age", "1h"];
    let (_run, load) = start(&topic, &database, database.url(), &memory);
    load.wait_for("volley_load_rows_total", 5_000.0);
}

#[test]
fn it_is_not_ready_before_clickhouse_answers() {
    let Some(database) = database() else {
        return;
    };
    let mut proxy = Proxy::to(database.url());
    proxy.stall();
    let topic = broker().topic(1);
    let (_run, load) = start(&topic, &database, &proxy.url(), &["--timeout", "60s"]);
    let reason = "{\"ok\":false,\"reason\":\"clickhouse has not answered yet\"}\n";
    assert_eq!(load.get("/readyz"), (503, reason.to_owned()));
    assert_eq!(load.get("/healthz").0, 200);
    assert_eq!(load.metric("volley_load_clickhouse_up"), Some(0.0));
}

#[test]
fn produce_counts_what_is_acknowledged() {
    let topic = broker().topic(1);
    let mut run = topic.produce(&["--rate", "2000", "--metrics-address", "0"]).start();
    let served = Served::by(&mut run);
    eventually("rows", || (served.metric("volley_produce_rows_total")? > 0.0).then_some(()));
    assert!(served.metric("volley_produce_acknowledge_seconds_count") > Some(0.0));
    assert_eq!(served.get("/healthz"), (200, "{\"ok\":true}\n".to_owned()));
    assert_eq!(served.get("/readyz").0, 200);
    run.signal("INT");
    let run = run.wait().succeeds();
    assert_eq!(run.count("rows_delivered"), topic.n_rows(), "{run}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = volley(["load", "--metrics", &port]).run().fails();
    let address = format!("cannot serve metrics at 127.0.0.1:{port}; choose another address");
    run.says(&[&address, "caused by: Address already in use"]);
}

#[test]
fn an_address_that_is_none_is_refused() {
    let run = volley(["load", "--metrics", ":9464"]).run().fails();
    run.says(&["--metrics", "expected a port such as 9464"]);
    let run = volley(["load", "--stall-after", "5s"]).run().fails();
    run.says(&["--metrics"]);
}
