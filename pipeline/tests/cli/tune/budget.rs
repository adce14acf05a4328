use serde_json::Value;
use volley_core::{
    codec::{Codec, CodecOptions, Framing},
    encode::encode,
};

use super::{file, file_of, rows, servers::n_tables, tune};
use crate::support::{Finished, PASSWORD, USER, Volley, broker, database, volley};

/// What a busy machine may take longer than a budget: time on the wall, of which a test gets little.
const SLACK_MS: u64 = 1000;

/// Runs with a budget, and holds the time that all of it took against that.
#[track_caller]
fn check(run: Volley, budget: &str, budget_ms: u64) -> (Finished, Value) {
    let run = run.args(["--budget", budget, "--format", "json"]).run();
    let report = run.json();
    assert_eq!(report["budget_ms"].as_u64(), Some(budget_ms), "{run}");
    assert!(report["elapsed_ms"].as_u64().unwrap() <= budget_ms + SLACK_MS, "{run}");
    (run, report)
}

#[test]
fn it_is_kept_and_what_is_missing_for_it_is_told() {
    let (_folder, path) = file(20_000);
    for (budget, ms) in [("0", 0), ("50ms", 50), ("1s", 1000)] {
        let (run, report) = check(volley(["tune", "--input", &path]), budget, ms);
        let n_points = report["points"].as_array().unwrap().len();
        let is_told = run.stdout.contains("some points did not fit --budget");
        assert!(budget == "1s" || n_points == 0 || is_told, "{run}");
        assert_eq!(report["recommendation"].is_null(), n_points == 0, "{run}");
    }
    let run = tune(&["--input", &path, "--budget", "0"]).run().exits_with(1);
    assert!(run.stdout.contains("nothing was measured: --budget is too short"), "{run}");
}

/// Rows without end: a hundred million are gigabytes.
#[test]
fn rows_that_take_longer_than_the_budget_are_not_waited_for() {
    let rows = ["--rows", "100000000", "--metrics", "full"];
    for input in ["synthetic", "host"] {
        let run = tune(&["--input", input]).args(rows);
        let (run, report) = check(run, "2s", 2000);
        assert!(run.stdout.contains("reading ended after a quarter of --budget"), "{run}");
        assert!(report["sample"]["rows"].as_u64().unwrap() > 0, "{run}");
    }
    let run = tune(&["--input", "synthetic", "--budget", "0"]).run().fails();
    run.says(&["no row of --input was read in a quarter of --budget"]);
}

/// The first rows of a long file are the sample: that its end is damaged does not matter.
#[test]
fn a_long_file_is_not_read_to_its_end() {
    let options = CodecOptions { codec: Codec::None, framing: Framing::Stream };
    let stream = encode(&rows(20_000), options).unwrap();
    let mut bytes = stream.repeat((20 << 20) / stream.len());
    bytes.extend([0xff; 99]);
    let (_folder, path) = file_of(&bytes);
    let (run, report) = check(tune(&["--input", &path]), "2s", 2000);
    assert_eq!(report["sample"]["rows"].as_u64(), Some(100_000), "{run}");
    tune(&["--input", &path, "--rows", "1000000"]).run().fails().says(&["no sound arrow ipc"]);
}

#[test]
fn servers_are_part_of_it() {
    let (_folder, path) = file(20_000);
    let with_broker = || tune(&["--input", &path, "--brokers", broker().address()]);
    for (budget, ms) in [("1s", 1000), ("3s", 3000)] {
        let (run, report) = check(with_broker(), budget, ms);
        check_part(&run, &report, "delivery_ns", "deliveries were measured of");
        let Some(database) = database() else { continue };
        let run = with_broker().args(["--clickhouse", database.url()]);
        let run = run.env("VOLLEY_CLICKHOUSE_USER", USER);
        let (run, report) = check(run.env("VOLLEY_CLICKHOUSE_PASSWORD", PASSWORD), budget, ms);
        check_part(&run, &report, "delivery_ns", "deliveries were measured of");
        check_part(&run, &report, "insert_ns", "inserts were measured of");
        assert_eq!(n_tables(&database), "0");
    }
}

/// Each finalist was measured, or a note says of how many there was no time for it.
#[track_caller]
fn check_part(run: &Finished, report: &Value, part: &str, note: &str) {
    let points = report["points"].as_array().unwrap();
    let n_measured = points.iter().filter(|point| !point[part].is_null()).count();
    assert!(n_measured > 0 || run.stdout.contains(&format!("{note} 0 points")), "{run}");
    assert!(n_measured >= 3 || run.stdout.contains(note), "{run}");
}
