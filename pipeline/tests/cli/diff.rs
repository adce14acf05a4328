//! `volley diff`: whether two payloads hold the same rows.

use std::{fs, path::Path, sync::Arc};

use arrow::array::{ArrayRef, DictionaryArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int8Type;
use serde_json::{Value, json};
use tempfile::TempDir;
use volley_core::{
    codec::{CodecOptions, Framing},
    encode::encode,
};

use crate::support::{Volley, assert_snapshot, volley};

const N_ROWS: usize = 1000;

fn payload(columns: Vec<(&str, ArrayRef)>, codec: &str) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let options = CodecOptions { codec: codec.parse().unwrap(), framing: Framing::Stream };
    encode(&batch, options).unwrap()
}

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let devices = (0..N_ROWS).map(|row| ["gw-1", "gw-2"][row % 2]);
    let cpus = (0..N_ROWS).map(|row| (row % 100) as f64);
    vec![
        ("device", Arc::new(StringArray::from_iter_values(devices))),
        ("ts", Arc::new(Int64Array::from_iter_values(0..N_ROWS as i64))),
        ("cpu_used", Arc::new(Float64Array::from_iter_values(cpus))),
    ]
}

/// In a folder of their own, whose name is not in what is printed.
fn folder(payloads: [(&str, Vec<u8>); 2]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in payloads {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn diff(folder: &Path, arguments: &[&str]) -> Volley {
    let inside = |argument: &&str| folder.join(argument).to_str().unwrap().to_owned();
    let (flags, files) = arguments.split_at(arguments.len() - 2);
    volley(["diff"]).args(flags).args(files.iter().map(inside).collect::<Vec<_>>())
}

fn prints(name: &str, stdout: &str, folder: &TempDir) {
    assert_snapshot(name, &stdout.replace(folder.path().to_str().unwrap(), "DIR"));
}

#[test]
fn two_encodings_of_one_batch_are_the_same_rows() {
    let mut encoded = columns();
    let devices: DictionaryArray<Int8Type> =
        (0..N_ROWS).map(|row| ["gw-1", "gw-2"][row % 2]).collect();
    encoded[0].1 = Arc::new(devices);
    let folder = folder([
        ("lz4.arrows", payload(columns(), "lz4")),
        ("zstd.arrows", payload(encoded, "zstd:1")),
    ]);
    let run = diff(folder.path(), &["lz4.arrows", "zstd.arrows"]).run().succeeds();
    prints("diff-same", &run.stdout, &folder);

    let run = diff(folder.path(), &["--format", "json", "lz4.arrows", "zstd.arrows"]);
    let found = run.run().succeeds().json();
    assert_eq!((&found["outcome"], &found["compared"]), (&json!("same"), &json!(N_ROWS)));
    assert_eq!(
        found["schema"],
        json!([{
            "column": "device", "change": "type", "values": ["utf8", "dictionary<int8, utf8>"],
        }])
    );
    let columns = found["columns"].as_array().unwrap();
    let paths: Vec<_> = columns.iter().map(|column| column["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["device", "ts", "cpu_used", "device[dictionary]"]);
    assert_eq!(columns[3]["stored"][0], Value::Null);
    assert_eq!(columns[1]["raw"], json!([8 * N_ROWS, 8 * N_ROWS]));
}

#[test]
fn the_row_that_differs_is_named() {
    let mut other = columns();
    let cpus = (0..N_ROWS).map(|row| if row == 7 { -1.0 } else { (row % 100) as f64 });
    other[2].1 = Arc::new(Float64Array::from_iter_values(cpus));
    let folder = folder([("a", payload(columns(), "none")), ("b", payload(other, "none"))]);
    let run = diff(folder.path(), &["a", "b"]).run().exits_with(1);
    assert_eq!(run.stderr, "");
    prints("diff-different", &run.stdout, &folder);
    let found = diff(folder.path(), &["--format", "json", "a", "b"]).run().exits_with(1).json();
    assert_eq!(found["verdict"], "row 7 differs in cpu_used");
    assert_eq!(found["differences"][0]["texts"], json!(["7", "-1"]));
}

#[test]
fn what_cannot_be_read_is_no_answer() {
    let sound = payload(columns(), "zstd:1");
    let cut = sound[..sound.len() - 200].to_vec();
    let folder = folder([("sound", sound), ("cut", cut)]);
    let run = diff(folder.path(), &["sound", "cut"]).run().exits_with(2);
    assert!(run.stdout.contains("cannot be read: B, column cpu_used from row 0, byte"), "{run}");
    assert!(run.stdout.ends_with("? not everything can be read; what can does not differ\n"));
    let run = diff(folder.path(), &["sound", "absent"]).run().exits_with(2);
    assert!(run.stderr.contains("cannot read") && run.stderr.contains("absent"), "{run}");
    assert_eq!(run.stdout, "");
}
