//! Views of payloads by other writers, whole and damaged.

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use arrow_array::{Int32Array, RecordBatch, StringArray};

use super::*;
use crate::{
    codec::{Codec, CodecOptions, Framing},
    decode::decode_within,
    encode::encode,
};

pub(super) fn golden() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e.to_string_lossy().starts_with("arrow")));
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), fs::read(path).unwrap())).collect()
}

fn batch() -> RecordBatch {
    let names = StringArray::from(vec![Some("a"), None, Some("")]);
    let numbers = Int32Array::from(vec![1, 2, 3]);
    RecordBatch::try_from_iter([("name", Arc::new(names) as _), ("n", Arc::new(numbers) as _)])
        .unwrap()
}

fn payload(framing: Framing) -> Vec<u8> {
    encode(&batch(), CodecOptions { codec: Codec::None, framing }).unwrap()
}

/// Every cell of the first table, a line a row.
fn cells(view: &mut View) -> Vec<String> {
    let summary = view.summary();
    let Some(table) = summary.tables.first() else { return Vec::new() };
    let positions: Vec<usize> = (0..table.tops.len()).collect();
    let window = view.rows(0, 0, 1000, &positions);
    let line = |row: usize| {
        let cell = |column: &WindowColumn| {
            format!("{}{}", column.kinds.as_bytes()[row] as char, column.texts[row])
        };
        window.columns.iter().map(cell).collect::<Vec<_>>().join("|")
    };
    (0..window.count).map(line).collect()
}

/// Every column of every batch, as decoding the whole payload gives it.
fn assert_equals_decoded(payload: &[u8], what: &str) {
    let decoded = decode_within(payload, &options()).unwrap();
    let mut view = View::open(payload.to_vec(), None).unwrap();
    // A file's batches come in the order of its bytes.
    let batches: Vec<_> = view
        .tables
        .iter()
        .enumerate()
        .flat_map(|(table, t)| t.batches.iter().map(move |batch| (table, *batch)))
        .collect();
    assert_eq!(batches.len(), decoded.len(), "{what}");
    for ((table, batch), decoded) in batches.into_iter().zip(decoded) {
        assert_eq!(batch.rows, decoded.num_rows() as u64, "{what}");
        for position in 0..decoded.num_columns() {
            let column = view.column(table, batch, position);
            assert_eq!(column.as_ref(), Ok(decoded.column(position)), "{what} column {position}");
        }
    }
}

#[test]
fn columns_by_themselves_are_those_of_the_whole() {
    for (name, payload) in golden() {
        assert_equals_decoded(&payload, &name);
    }
}

#[test]
fn every_way_to_frame_gives_the_same_rows() {
    let expect = ["va|v1", "n|v2", "e|v3"];
    let stream = payload(Framing::Stream);
    let mut view = View::open(stream.clone(), None).unwrap();
    assert_eq!(cells(&mut view), expect);
    let mut file = View::open(payload(Framing::File), None).unwrap();
    assert_eq!(cells(&mut file), expect);

    let bare = stream[view.layout.record_batches().next().unwrap().range()].to_vec();
    let mut alone = View::open(bare.clone(), Some(&stream)).unwrap();
    assert_eq!(cells(&mut alone), expect);
    assert_eq!(cells(&mut View::open(bare.clone(), None).unwrap()), [""; 0]);
    assert!(View::open(bare, Some(b"no schema")).is_err());

    let mut twice = View::open([&stream[..], &stream].concat(), None).unwrap();
    assert_eq!(twice.summary().tables.len(), 1);
    assert_eq!(cells(&mut twice), [expect, expect].concat());
}

#[test]
fn windows_cross_batches_and_end_with_the_table() {
    let mut view = View::open(payload(Framing::Stream).repeat(3), None).unwrap();
    let window = view.rows(0, 2, 3, &[1, 0]);
    assert_eq!(window.columns[0].texts, ["3", "1", "2"]);
    assert_eq!((&*window.columns[1].kinds, window.count), ("evn", 3));
    let window = view.rows(0, 8, 100, &[1]);
    assert_eq!((window.count, &*window.columns[0].texts), (1, &["3".to_owned()][..]));
    assert_eq!(view.rows(0, 9, 100, &[1]).count, 0);
    assert_eq!(view.rows(0, u64::MAX, usize::MAX, &[0]).count, 0);
    assert_eq!(view.rows(7, 0, 1, &[0]).count, 0);
    assert_eq!(view.rows(0, 0, usize::MAX, &[0]).count, 9);
    let unknown = view.rows(0, 0, 1, &[9]);
    assert_eq!((&*unknown.columns[0].kinds, unknown.columns[0].faults.len()), ("x", 1));
}

#[test]
fn a_damaged_column_leaves_the_others() {
    let mut payload = payload(Framing::Stream);
    // The offsets of `name` go backwards.
    let view = View::open(payload.clone(), None).unwrap();
    let is_offsets = |b: &&layout::BufferLayout| b.kind == layout::BufferKind::Offsets;
    let offset = view.layout.buffers.iter().find(is_offsets).unwrap().offset;
    payload[offset + 8..offset + 12].copy_from_slice(&(-5_i32).to_le_bytes());
    let mut view = View::open(payload, None).unwrap();
    let window = view.rows(0, 0, 3, &[0, 1]);
    assert_eq!((&*window.columns[0].kinds, &*window.columns[1].kinds), ("xxx", "vvv"));
    let [fault] = &window.columns[0].faults[..] else { panic!("{window:?}") };
    assert_eq!(fault.offset, offset - 8, "where the column's bytes begin");
    let extremes = view.extremes(0, 0);
    assert_eq!((extremes.damaged, extremes.fault.as_ref()), (1, Some(fault)));
    assert_eq!(view.extremes(0, 1).max.as_deref(), Some("3"));
}

/// Of a batch that the payload cuts short, the columns whose bytes are all there are shown.
#[test]
fn columns_before_the_end_are_shown() {
    let payload = payload(Framing::Stream);
    let view = View::open(payload.clone(), None).unwrap();
    let last = view.layout.buffers.last().unwrap();
    let mut view = View::open(payload[..last.offset + 4].to_vec(), None).unwrap();
    let window = view.rows(0, 0, 3, &[0, 1]);
    assert_eq!((&*window.columns[0].kinds, &*window.columns[1].kinds), ("vne", "xxx"));
    assert!(window.columns[1].faults[0].message.contains("[body-length]"), "{window:?}");
    let mut view = View::open(payload[..view.layout.buffers[1].offset + 4].to_vec(), None).unwrap();
    let window = view.rows(0, 0, 3, &[0, 1]);
    assert!(window.columns.iter().all(|column| column.kinds == "xxx"), "{window:?}");
}

#[test]
fn the_map_covers_every_byte_once() {
    for (name, payload) in golden() {
        let view = View::open(payload, None).unwrap();
        let (map, summary) = (view.map(), view.summary());
        let mut at = 0;
        for (offset, len) in map.offsets.iter().zip(&map.lens) {
            assert_eq!(*offset, at, "{name}");
            at += len;
        }
        assert_eq!(at as usize, summary.inspection.bytes, "{name}");
        let mut of_columns = vec![0_u64; summary.columns.len()];
        for (column, len) in map.columns.iter().zip(&map.lens).filter(|(c, _)| **c != NO_COLUMN) {
            of_columns[*column as usize] += u64::from(*len);
        }
        let stored: Vec<u64> = summary.inspection.columns.iter().map(|c| c.stored).collect();
        assert_eq!(of_columns, stored, "{name}");
        let rest = summary.inspection.metadata_bytes + summary.padding_bytes;
        let all = stored.iter().sum::<u64>() as usize + rest + summary.unclaimed_bytes;
        assert_eq!(all, summary.inspection.bytes, "{name}");
        assert_eq!(summary.columns.len(), summary.inspection.columns.len(), "{name}");
        for index in 0..map.offsets.len() {
            let detail = view.region(index).unwrap();
            assert_eq!(detail.kind, REGION_KINDS[usize::from(map.kinds[index])]);
        }
        assert_eq!(view.region(map.offsets.len()), None);
    }
}

#[test]
fn bytes_end_with_the_payload() {
    let view = View::open(vec![1, 2, 3], None).unwrap();
    assert_eq!(view.bytes(1, 9), [2, 3]);
    assert_eq!(view.bytes(9, usize::MAX), [0; 0]);
    assert_eq!(view.summary().looks_like.unwrap().name, "unknown");
}

/// Goes through all that a page shows. Returns how many columns could be shown, and how many not.
fn look_at(payload: Vec<u8>) -> (usize, usize) {
    let mut view = View::open(payload, None).unwrap();
    let (summary, map) = (view.summary(), view.map());
    assert_eq!(map.lens.iter().sum::<u32>() as usize, summary.inspection.bytes);
    let (mut shown, mut damaged) = (0, 0);
    for (table, t) in summary.tables.iter().enumerate() {
        let positions: Vec<usize> = (0..t.tops.len()).collect();
        for window in view.rows(table, 0, 1000, &positions).columns {
            assert_eq!(window.kinds.contains('x'), !window.faults.is_empty());
            if window.faults.is_empty() { shown += 1 } else { damaged += 1 }
        }
        for column in 0..t.n_columns {
            view.extremes(table, column);
        }
    }
    let has_error = summary.inspection.diagnostics.iter().any(|d| d.severity == "error");
    assert!(damaged == 0 || shown + damaged > 0 || has_error);
    (shown, damaged)
}

/// Flips bytes: nothing panics, what decodes as a whole is shown the same, and of what does not,
/// sound columns are shown.
#[test]
fn damage_anywhere_is_survived() {
    let step = if std::env::var("VOLLEY_MUTATE").is_ok_and(|v| v == "all") { 1 } else { 199 };
    let (mut n_partly, mut n_mutants) = (0, 0);
    for (name, payload) in golden() {
        for at in (0..payload.len()).step_by(step) {
            for mask in [0x01, 0x80, 0xff] {
                let mut mutant = payload.clone();
                mutant[at] ^= mask;
                let looked = catch_unwind(|| look_at(mutant.clone()));
                let Ok((shown, damaged)) = looked else { panic!("{name}, byte {at} ^ {mask:#x}") };
                n_mutants += 1;
                n_partly += usize::from(shown > 0 && damaged > 0);
                if decode_within(&mutant, &options()).is_ok() {
                    assert_eq!(damaged, 0, "{name}, byte {at} ^ {mask:#x}");
                }
            }
        }
        for len in (0..payload.len()).step_by(step) {
            let cut = payload[..len].to_vec();
            assert!(catch_unwind(|| look_at(cut)).is_ok(), "{name}, cut at {len}");
        }
    }
    assert!(n_partly > n_mutants / 50, "{n_partly} of {n_mutants} are shown in part");
}
