//! Looking into files: what is in them, and what is wrong with them.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;
use volley_core::{
    codec::{Codec, CodecOptions, Framing},
    encode::encode,
    host::{FullMetrics, HostBuilder, HostSample, MetricSet},
};

use crate::support::{assert_snapshot, volley};

/// 100 rows, uncompressed, so that every size is known.
fn payload() -> Vec<u8> {
    use volley_core::batcher::RowBuilder as _;

    let mut builder = HostBuilder::new(MetricSet::Basic, 100);
    for i in 0..100 {
        builder.append(&HostSample {
            device: "host-1".into(),
            ts_us: 1_700_000_000_000_000 + i64::from(i),
            cpu_used: 25.0,
            cpu_free: 75.0,
            memory_used: 40.0,
            memory_free: 60.0,
            run_elapsed_ms: i,
            full: FullMetrics::default(),
        });
    }
    let options = CodecOptions { codec: Codec::None, framing: Framing::File };
    encode(&builder.finish(), options).unwrap()
}

fn folder_with(name: &str, bytes: &[u8]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn a_sound_file_is_summed_up() {
    let payload = payload();
    let (folder, path) = folder_with("batch.arrow", &payload);
    let run = volley(["inspect", &path]).run().succeeds();
    let folder = folder.path().to_str().unwrap();
    assert_snapshot("inspect", &run.stdout.replace(folder, "DIR"));

    let run = volley(["inspect", "--format", "json", &path]).run().succeeds();
    let found: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(found["file"], path);
    assert_eq!((&found["framing"], &found["codec"]), (&"file".into(), &"none".into()));
    assert_eq!((found["rows"].as_u64(), found["record_batches"].as_u64()), (Some(100), Some(1)));
    assert_eq!(found["bytes"].as_u64(), Some(payload.len() as u64));
    let columns = found["columns"].as_array().unwrap();
    assert_eq!(columns.len(), 7);
    assert_eq!((&columns[1]["path"], columns[1]["raw"].as_u64()), (&"ts".into(), Some(800)));
    assert_eq!(found["diagnostics"], Value::Array(Vec::new()));
}

#[test]
fn a_damaged_file_is_a_no_and_says_where() {
    let payload = payload();
    let (_folder, path) = folder_with("cut.arrow", &payload[..payload.len() / 2]);
    let run = volley(["inspect", &path]).run();
    assert_eq!(run.code, Some(1), "{run}");
    assert!(run.stdout.contains("error: ") && run.stdout.contains("byte "), "{run}");
    let (_folder, path) = folder_with("text.txt", b"{\"device\": \"host-1\"}\n");
    assert_eq!(volley(["inspect", &path]).run().code, Some(1));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    volley(["inspect", "no/such/file"]).run().fails().says(&["cannot read no/such/file"]);
}
