use std::{fs, process::Command};

use serde_json::Value;

use super::{folder_with, golden, inspect, payload, prints};
use crate::support::Volley;

#[test]
fn a_file_is_summed_up() {
    let payload = payload();
    let (_folder, path) = folder_with("batch.arrow", &payload);
    let run = inspect(&[&path]).run().succeeds();
    prints("inspect", &run, &path);

    let found = inspect(&["--format", "json", &path]).run().succeeds().json();
    assert_eq!(found["file"], path);
    assert_eq!((&found["framing"], &found["codec"]), (&"file".into(), &"none".into()));
    assert_eq!((found["rows"].as_u64(), found["record_batches"].as_u64()), (Some(100), Some(1)));
    assert_eq!(found["bytes"].as_u64(), Some(payload.len() as u64));
    assert_eq!(found["bytes_per_row"].as_f64(), Some(payload.len() as f64 / 100.0));
    let columns = found["columns"].as_array().unwrap();
    assert_eq!(columns.len(), 7);
    assert_eq!((&columns[1]["path"], columns[1]["raw"].as_u64()), (&"ts".into(), Some(800)));
    assert_eq!(columns[1]["ratio"].as_f64(), Some(1.0));
    assert_eq!(found["diagnostics"], Value::Array(Vec::new()));
    for absent in ["message", "regions", "head"] {
        assert_eq!(found.get(absent), None);
    }
}

#[test]
fn the_byte_map_has_every_byte() {
    let path = golden("dictionaries-lz4.arrow");
    let run = inspect(&["--map", &path]).run().succeeds();
    prints("inspect-map", &run, &path);
    let is_narrow = |line: &str| line.chars().count() <= 100;
    assert!(run.stdout.lines().all(is_narrow), "{run}");

    let found = inspect(&["--map", "--format", "json", &path]).run().succeeds().json();
    let mut at = 0;
    for region in found["regions"].as_array().unwrap() {
        assert_eq!(region["offset"].as_u64(), Some(at));
        at += region["bytes"].as_u64().unwrap();
    }
    assert_eq!(found["bytes"].as_u64(), Some(at));
    let sums = found["region_totals"].as_array().unwrap();
    let sum: u64 = sums.iter().map(|sum| sum["bytes"].as_u64().unwrap()).sum();
    assert_eq!(sum, at);
}

#[test]
fn first_rows_are_a_table_that_fits() {
    let path = golden("scalars-zstd.arrows");
    let run = inspect(&["--head", "3", &path]).run().succeeds();
    prints("inspect-head", &run, &path);
    let run = inspect(&["--head", "3", &golden("nested-lz4.arrow")]).env("COLUMNS", "80");
    let run = run.run().succeeds();
    prints("inspect-head-narrow", &run, &golden("nested-lz4.arrow"));
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{run}");
}

#[test]
fn first_rows_are_objects_in_json() {
    let path = golden("dictionaries-none.arrows");
    let found = inspect(&["--head", "2", "--format", "json", &path]).run().succeeds().json();
    assert_eq!(found["head"].as_array().unwrap().len(), 2);
    assert_eq!(found["head"][0]["text"], "red");
    assert_eq!(found.get("head_error"), None);
    // Whatever the type.
    for name in ["scalars-lz4.arrow", "nested-none.arrows", "unions-v5.arrow"] {
        let run = inspect(&["--head", "1000", "--format", "json", &golden(name)]).run().succeeds();
        let found = run.json();
        let n_rows = found["head"].as_array().unwrap().len() as u64;
        assert_eq!((found.get("head_error"), Some(n_rows)), (None, found["rows"].as_u64()));
    }
}

#[test]
fn standard_input_and_several_files() {
    let (_folder, path) = folder_with("batch.arrow", &payload());
    let mut shell = Command::new("sh");
    let line = format!("exec \"$0\" inspect --format json - '{path}' < '{path}'");
    shell.args(["-c", &line, env!("CARGO_BIN_EXE_volley")]);
    let run = Volley::of(shell).run().succeeds();
    let lines: Vec<Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["file"], &lines[1]["file"]), (&"-".into(), &Value::from(path)));
    assert_eq!(lines[0]["columns"], lines[1]["columns"]);
}

#[test]
fn names_of_files_do_not_drive_the_terminal() {
    let (folder, path) = folder_with("batch.arrow", &payload());
    let evil = folder.path().join("kafka:\u{1b}[31m\n.arrow");
    fs::rename(&path, &evil).unwrap();
    let run = inspect(&["--color", "never", evil.to_str().unwrap()]).run().succeeds();
    assert!(run.stdout.contains("/kafka:\\u{1b}[31m\\n.arrow\n"), "{run}");
    fs::remove_file(&evil).unwrap();
    let run = inspect(&[evil.to_str().unwrap()]).run().fails();
    assert!(run.stderr.contains("kafka:\\u{1b}[31m\\n.arrow") && !run.stderr.contains('\u{1b}'));
}
