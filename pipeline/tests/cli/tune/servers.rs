use std::time::Duration;

use super::{file, tune};
use crate::support::{PASSWORD, USER, broker, closed_port, database};

pub(super) fn n_tables(database: &crate::support::Database) -> String {
    database.query("SELECT count() FROM system.tables WHERE name LIKE 'volley_tune_%'")
}

#[test]
fn inserts_are_measured_and_leave_nothing() {
    let Some(database) = database() else { return };
    let (_folder, path) = file(2000);
    let run = tune(&["--input", &path, "--clickhouse", database.url(), "--format", "json"])
        .env("VOLLEY_CLICKHOUSE_USER", USER)
        .env("VOLLEY_CLICKHOUSE_PASSWORD", PASSWORD)
        .run()
        .succeeds();
    let report = run.json();
    let index = report["recommendation"]["index"].as_u64().unwrap() as usize;
    let insert = &report["points"][index]["insert_ns"];
    assert!(insert["median"].as_f64().unwrap() > 0.0, "{run}");
    assert_eq!(n_tables(&database), "0");
}

#[test]
fn a_stopped_run_leaves_no_table_and_says_what_it_knows() {
    let Some(database) = database() else { return };
    let (_folder, path) = file(2000);
    let mut running = tune(&["--input", &path, "--clickhouse", database.url(), "--budget", "20s"])
        .args(["--format", "json"])
        .env("VOLLEY_CLICKHOUSE_USER", USER)
        .env("VOLLEY_CLICKHOUSE_PASSWORD", PASSWORD)
        .start();
    running.wait_for_stderr("measuring inserts into a temporary table");
    running.signal("INT");
    let run = running.wait().succeeds();
    assert!(run.stdout.contains("stopped early"), "{run}");
    assert!(!run.json()["points"].as_array().unwrap().is_empty());
    assert_eq!(n_tables(&database), "0");
}

#[test]
fn servers_that_are_not_there_are_told_of_at_once() {
    let (_folder, path) = file(2000);
    let url = format!("http://{}", closed_port());
    let run = tune(&["--input", &path, "--clickhouse", &url]).run().fails();
    run.says(&["cannot measure inserts", "check --clickhouse"]).within(Duration::from_secs(20));
    let run =
        tune(&["--input", &path, "--brokers", &closed_port(), "--timeout", "2s"]).run().fails();
    run.says(&["cannot measure deliveries", "check --brokers"]).within(Duration::from_secs(20));
}

#[test]
fn deliveries_are_measured() {
    let (_folder, path) = file(2000);
    let run = tune(&["--input", &path, "--brokers", broker().address(), "--format", "json"]).run();
    let report = run.succeeds().json();
    let index = report["recommendation"]["index"].as_u64().unwrap() as usize;
    let delivery = &report["points"][index]["delivery_ns"];
    assert!(delivery["median"].as_f64().unwrap() > 0.0, "{report}");
}
