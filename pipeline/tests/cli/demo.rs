//! `volley demo`: what it prints, and that all of its rows arrive.

use crate::support::{Finished, assert_snapshot, has_engine, mask, query, volley};

/// Runs with JSON output; every row that was sampled is loaded and queryable.
#[track_caller]
fn check(n_rows: u64, arguments: &[&str]) -> Finished {
    let run = volley(["demo", "--format", "json"]).args(arguments).run().succeeds();
    for field in ["rows_sampled", "rows_loaded", "rows_queryable"] {
        assert_eq!(run.count(field), n_rows, "{field}: {run}");
    }
    let report = run.json();
    for field in ["elapsed_ms", "freshness_p50_ms", "freshness_p99_ms"] {
        assert!(report[field].as_f64().unwrap() > 0.0, "{field}: {run}");
    }
    assert!(report["freshness_p50_ms"].as_f64() <= report["freshness_p99_ms"].as_f64(), "{run}");
    assert!(report["clickhouse_version"].as_str().unwrap().contains('.'), "{run}");
    assert!(run.count("payload_bytes") > 0, "{run}");
    run
}

#[test]
fn defaults_are_ten_batches_of_a_thousand_rows() {
    if !has_engine() {
        return;
    }
    let run = check(10_000, &[]);
    assert_eq!(run.count("messages"), 10, "{run}");
    assert_eq!(run.json()["codec"], "zstd:1", "{run}");
    assert_eq!(run.stdout.lines().count(), 1, "{run}");
    assert_eq!(run.stderr, "", "{run}");
}

#[test]
fn other_codecs_framings_and_columns() {
    if !has_engine() {
        return;
    }
    for (codec, framing, metrics) in
        [("none", "file", "basic"), ("lz4", "stream", "full"), ("zstd:19", "file", "full")]
    {
        let size = ["--batches", "3", "--rows-per-batch", "200", "--interval", "0"];
        let how = ["--codec", codec, "--framing", framing, "--metrics", metrics];
        let run = check(600, &[&size[..], &how].concat());
        let report = run.json();
        assert_eq!((&report["codec"], &report["framing"]), (&codec.into(), &framing.into()));
        assert_eq!(run.count("messages"), 3, "{run}");
    }
}

#[test]
fn text_is_as_committed() {
    if !has_engine() {
        return;
    }
    let run = volley(["demo"]).run().succeeds();
    assert!(run.stdout.contains("10,000 sampled, 10,000 loaded, 10,000 queryable"), "{run}");
    assert_snapshot("demo", &mask(&run.stdout));
}

#[test]
fn data_is_kept_where_asked() {
    if !has_engine() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    check(300, &["--batches", "3", "--rows-per-batch", "100", "--data", path]);

    let mut dev = volley(["dev", "--format", "json", "--data", path]).start();
    let printed = dev.wait_for_stdout("\n");
    let addresses: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let url = addresses["clickhouse"].as_str().unwrap();
    assert_eq!(query(url, "SELECT count() FROM demo.host_metrics"), "300");
    dev.signal("INT");
    dev.wait().succeeds();

    // A folder with the rows of an earlier demo is no reason to miscount.
    check(200, &["--batches", "2", "--rows-per-batch", "100", "--data", path]);
}

#[test]
fn colours_are_for_terminals_and_for_who_asks() {
    if !has_engine() {
        return;
    }
    let demo = || volley(["demo", "--batches", "1", "--rows-per-batch", "10"]);
    let is_colored = |run: Finished| run.succeeds().stdout.contains('\x1b');
    assert!(!is_colored(demo().run()), "a pipe is no terminal");
    assert!(is_colored(demo().args(["--color", "always"]).run()));
    assert!(is_colored(demo().env("NO_COLOR", "1").args(["--color", "always"]).run()));
    assert!(!is_colored(demo().env("NO_COLOR", "1").env("CLICOLOR_FORCE", "1").run()));
    assert!(!is_colored(demo().env("CLICOLOR_FORCE", "1").args(["--color", "never"]).run()));
}

#[test]
fn quiet_says_nothing_on_stderr() {
    if !has_engine() {
        return;
    }
    let run = volley(["demo", "-q", "--batches", "1"]).run().succeeds();
    assert_eq!(run.stderr, "");
}

#[test]
fn a_closed_output_is_no_error() {
    if !has_engine() {
        return;
    }
    let run = volley(["demo", "--batches", "1"]).start_with_closed_stdout().wait().succeeds();
    assert_eq!(run.stderr, "");
}
