//! `volley inspect`: what is in a payload, and what is wrong with it.

mod damage;
mod kafka;
mod sound;

use std::{fs, path::PathBuf};

use tempfile::TempDir;
use volley_core::{
    batcher::RowBuilder as _,
    codec::{Codec, CodecOptions, Framing},
    encode::encode,
    host::{FullMetrics, HostBuilder, HostSample, MetricSet},
};

use crate::support::{Finished, Volley, assert_snapshot, volley};

/// 100 rows, uncompressed, so that every size is known.
fn payload() -> Vec<u8> {
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

/// A payload that another writer has written.
fn golden(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/tests/golden");
    PathBuf::from(folder).join(name).to_str().unwrap().to_owned()
}

fn folder_with(name: &str, bytes: &[u8]) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn inspect(arguments: &[&str]) -> Volley {
    volley(["inspect"]).args(arguments)
}

/// Compares what a run printed, but for the folder of the last argument.
#[track_caller]
fn prints(name: &str, run: &Finished, path: &str) {
    let folder = PathBuf::from(path);
    let folder = folder.parent().unwrap().to_str().unwrap();
    assert_snapshot(name, &run.stdout.replace(folder, "DIR"));
}
