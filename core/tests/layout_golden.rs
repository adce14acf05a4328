//! Payloads of other writers: walked, decoded, and spliced. `golden/make.py` wrote them.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

mod common;

use std::fs;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use volley_core::layout::{Code, Framing, MessageKind, Options, RegionKind, walk_values};
use volley_core::splice::splice;

use crate::common::decode;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

/// Name and rows of every payload.
fn expected() -> Vec<(String, u64)> {
    let lines = fs::read_to_string(folder().join("expected.txt")).unwrap();
    let line = |line: &str| {
        let (name, rows) = line.split_once(' ').unwrap();
        (name.to_owned(), rows.parse().unwrap())
    };
    lines.lines().map(line).collect()
}

#[test]
fn payloads_of_other_writers_are_sound() {
    let expected = expected();
    assert!(expected.len() > 30);
    for (name, rows) in expected {
        let payload = golden(&name);
        let (layout, diagnostics) = walk_values(&payload, &Options::default());
        let codes: Vec<Code> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        let allowed: &[Code] = match name.as_str() {
            "no-end.arrows" => &[Code::MissingEndOfStream],
            "legacy.arrow" | "v4.arrow" => &[Code::FooterVersion],
            _ => &[],
        };
        assert_eq!(codes, allowed, "{name}: {}", diagnostics[0]);
        assert_eq!(layout.rows(), rows, "{name}");
        let framing = if name.ends_with(".arrow") { Framing::File } else { Framing::Stream };
        assert_eq!(layout.framing, framing, "{name}");
        assert!(layout.regions.iter().all(|r| r.kind != RegionKind::Unclaimed), "{name}");
        assert_eq!(layout.regions.iter().map(|r| r.len).sum::<usize>(), payload.len(), "{name}");
        let decoded = decode(&payload, &Options::default()).unwrap();
        assert_eq!(decoded.iter().map(|b| b.num_rows() as u64).sum::<u64>(), rows, "{name}");
    }
}

#[test]
fn payloads_of_other_writers_splice() {
    for (name, rows) in expected() {
        let payload = golden(&name);
        let spliced = splice(&[&payload, &payload, &payload], &Options::default()).unwrap();
        assert_eq!(spliced.rows, rows * 3, "{name}");
        let one = decode(&payload, &Options::default()).unwrap();
        let three: Vec<RecordBatch> = [&one[..], &one[..], &one[..]].concat();
        assert_eq!(decode(&spliced.to_vec(), &Options::default()).unwrap(), three, "{name}");
    }
}

#[test]
fn stream_and_file_of_one_writer_splice_with_each_other() {
    for kind in ["scalars", "nested", "dictionaries"] {
        let payloads: Vec<Vec<u8>> = ["none", "lz4", "zstd"]
            .iter()
            .flat_map(|codec| {
                ["arrow", "arrows"].map(|end| golden(&format!("{kind}-{codec}.{end}")))
            })
            .collect();
        let slices: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let spliced = splice(&slices, &Options::default()).unwrap().to_vec();
        let expected: Vec<RecordBatch> =
            slices.iter().flat_map(|p| decode(p, &Options::default()).unwrap()).collect();
        assert_eq!(decode(&spliced, &Options::default()).unwrap(), expected, "{kind}");
    }
}

#[test]
fn deltas_replacements_and_old_prefixes_are_seen_as_such() {
    let deltas = |name: &str| {
        let (layout, _) = walk_values(&golden(name), &Options::default());
        let kinds = layout.messages.iter().map(|message| message.kind);
        kinds.filter(|k| matches!(k, MessageKind::Dictionary { is_delta: true, .. })).count()
    };
    assert_eq!(deltas("dictionary-delta.arrows"), 1);
    assert_eq!(deltas("dictionary-delta.arrow"), 1);
    assert_eq!(deltas("dictionary-replaced.arrows"), 0);

    let (layout, _) = walk_values(&golden("legacy.arrows"), &Options::default());
    assert!(layout.messages.iter().all(|m| (m.prefix_len, m.version) == (4, 4)));
    let (layout, _) = walk_values(&golden("concatenated.arrows"), &Options::default());
    assert_eq!(layout.streams.len(), 2);
}
