//! `volley tune`: what it recommends, and what it does not take.

mod budget;
mod config;
mod input;
mod servers;

use std::fs;

use arrow::array::RecordBatch;
use serde_json::Value;
use tempfile::TempDir;
use volley_core::{
    batcher::RowBuilder as _,
    codec::{CodecOptions, Framing},
    encode::encode,
    host::{FullMetrics, HostBuilder, HostSample, MetricSet},
};

use crate::support::{Volley, volley};

/// Ten samples a second of one machine.
fn rows(n_rows: i32) -> RecordBatch {
    let mut builder = HostBuilder::new(MetricSet::Basic, 100);
    for i in 0..n_rows {
        let cpu_used = (i * 7919 % 1000) as f32 / 10.0;
        builder.append(&HostSample {
            device: "host-1".into(),
            ts_us: 1_700_000_000_000_000 + i64::from(i) * 100_000,
            cpu_used,
            cpu_free: 100.0 - cpu_used,
            memory_used: 40.0,
            memory_free: 60.0,
            run_elapsed_ms: i * 100,
            full: FullMetrics::default(),
        });
    }
    builder.finish()
}

fn payload(n_rows: i32) -> Vec<u8> {
    let options = CodecOptions { framing: Framing::File, ..CodecOptions::default() };
    encode(&rows(n_rows), options).unwrap()
}

fn file(n_rows: i32) -> (TempDir, String) {
    file_of(&payload(n_rows))
}

fn file_of(bytes: &[u8]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.arrow");
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// Few codecs, so that it is quick.
fn tune(arguments: &[&str]) -> Volley {
    volley(["tune", "--codecs", "none,zstd:1,zstd:3"]).args(arguments)
}

/// The points of a report by rows and codec, with what is the same in each run.
fn sizes(report: &Value) -> Vec<(u64, String, f64)> {
    let points = report["points"].as_array().unwrap().iter();
    let mut sizes: Vec<_> = points
        .map(|point| {
            let codec = point["codec"].as_str().unwrap().to_owned();
            (point["rows"].as_u64().unwrap(), codec, point["bytes_per_row"].as_f64().unwrap())
        })
        .collect();
    sizes.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    sizes
}

#[test]
fn it_recommends_one_point_with_a_reason_and_a_command() {
    let (_folder, path) = file(4000);
    let run = tune(&["--input", &path, "--objective", "bytes", "--format", "json"]).run();
    let report = run.succeeds().json();
    let found = &report["recommendation"];
    assert_eq!((found["rows"].as_u64(), &found["codec"]), (Some(2000), &"zstd:1".into()));
    let command = found["command"].as_str().unwrap();
    assert!(
        command.starts_with("volley produce --rows-per-batch 2000 --codec zstd:1"),
        "{command}"
    );
    assert!(found["reason"].as_str().unwrap().contains("bytes a row"), "{found}");
    let point = &report["points"][found["index"].as_u64().unwrap() as usize];
    assert_eq!((&point["rows"], &point["is_front"]), (&found["rows"], &Value::Bool(true)));
    assert!(point["encode_ns"]["n"].as_u64().unwrap() >= 5, "it was measured again: {point}");
    let [low, median, high] = ["low", "median", "high"].map(|end| point["encode_ns"][end].as_f64());
    assert!(low <= median && median <= high && low > Some(0.0), "{point}");
    // Ten a second, by the time column.
    assert_eq!((report["rate"].as_f64(), &report["is_rate_from_rows"]), (Some(10.0), &true.into()));
    assert!((point["latency_ms"].as_f64().unwrap() - 200_000.0).abs() < 1000.0, "{point}");
}

#[test]
fn the_report_fits_the_terminal() {
    let (_folder, path) = file(2000);
    for columns in ["80", "120"] {
        let run = tune(&["--input", &path]).env("COLUMNS", columns).run().succeeds();
        let width: usize = columns.parse().unwrap();
        let is_narrow = |line: &str| line.chars().count() <= width || line.contains(&path);
        assert!(run.stdout.lines().all(is_narrow), "{run}");
        for part in ["=> recommended", "B/row", "findings", "volley produce --rows-per-batch"] {
            assert!(run.stdout.contains(part), "{part} {run}");
        }
    }
}

#[test]
fn sizes_are_the_same_in_every_run_and_exact() {
    let (_folder, path) = file(200);
    let report = || {
        let arguments = ["--input", &path, "--sweep", "--rows-per-batch", "10,100"];
        tune(&arguments).args(["--format", "json"]).run().succeeds().json()
    };
    let found = sizes(&report());
    assert_eq!(found, sizes(&report()));
    // What any message with these rows takes.
    let rows = volley_core::decode::decode(&payload(200)).unwrap();
    for (rows_per_batch, codec, bytes_per_row) in found {
        let options = CodecOptions { codec: codec.parse().unwrap(), framing: Framing::Stream };
        let n_windows = if rows_per_batch == 100 { 2 } else { 16 };
        let windows = (0..n_windows).map(|i| {
            let free = 200 - n_windows * rows_per_batch;
            let start = i * rows_per_batch + free * i / (n_windows - 1);
            encode(&rows[0].slice(start as usize, rows_per_batch as usize), options).unwrap().len()
        });
        let n_rows = (n_windows * rows_per_batch) as f64;
        assert_eq!(bytes_per_row, windows.sum::<usize>() as f64 / n_rows, "{codec}");
    }
}

#[test]
fn limits_are_kept() {
    let (_folder, path) = file(4000);
    let with = |limits: &[&str]| {
        tune(&["--input", &path, "--objective", "bytes", "--format", "json"]).args(limits).run()
    };
    let report = with(&["--rate", "1000", "--max-latency", "30ms"]).succeeds().json();
    let found = &report["recommendation"];
    assert!(found["rows"].as_u64().unwrap() <= 30, "{found}");
    assert!(found["command"].as_str().unwrap().ends_with("--linger 30ms"), "{found}");

    let report = with(&["--max-message-bytes", "20kB"]).succeeds().json();
    let index = report["recommendation"]["index"].as_u64().unwrap() as usize;
    assert!(report["points"][index]["largest_payload"].as_u64().unwrap() < 20_000);

    // Not even one row.
    let run = with(&["--rate", "1", "--max-latency", "10ms"]).exits_with(1);
    assert_eq!(run.json()["recommendation"], Value::Null);
    let run = tune(&["--input", &path, "--rate", "1", "--max-latency", "10ms"]).run();
    assert!(run.exits_with(1).stdout.contains("no point meets the limits"));
}

#[test]
fn a_chart_is_drawn() {
    let (folder, path) = file(400);
    let svg = folder.path().join("chart.svg");
    tune(&["--input", &path, "--chart", svg.to_str().unwrap()]).run().succeeds();
    let drawn = fs::read_to_string(&svg).unwrap();
    assert!(drawn.starts_with("<svg") && drawn.contains("recommended"), "{drawn}");
    let run = tune(&["--input", &path, "--chart", "/no/such/folder/x.svg"]).run();
    run.says(&["cannot write --chart /no/such/folder/x.svg"]).exits_with(2);
}

#[test]
fn dictionaries_are_points_where_text_repeats() {
    let (_folder, path) = file(400);
    let run = tune(&["--input", &path, "--dictionaries", "--format", "json"]).run().succeeds();
    let report = run.json();
    let with = |is: bool| move |point: &&Value| point["dictionary"] == is;
    let points = report["points"].as_array().unwrap();
    assert!(points.iter().any(|p| with(true)(&p)) && points.iter().any(|p| with(false)(&p)));
    let arguments = ["tune", "--codecs", "none", "--input", &path, "--format", "json"];
    let report = volley(arguments).run().succeeds().json();
    let findings = report["findings"].as_array().unwrap();
    let saving = findings.iter().find(|finding| finding["rule"] == "dictionary").unwrap();
    assert_eq!(saving["column"], "device");
}
