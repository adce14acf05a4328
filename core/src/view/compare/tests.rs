//! One batch in several encodings, and batches that differ, in several ways.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, DictionaryArray, Float64Array, Int8Array, Int64Array, LargeStringArray, ListArray,
    RecordBatch, StringArray, StringViewArray, TimestampMicrosecondArray,
    types::{Int8Type, Int32Type},
};

use super::*;
use crate::{
    codec::{Codec, CodecOptions, Framing},
    encode::encode,
    layout::BufferKind,
    view::tests::golden,
};

const PLAIN: CodecOptions = CodecOptions { codec: Codec::None, framing: Framing::Stream };

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn rows(n_rows: i64) -> RecordBatch {
    let texts = (0..n_rows).map(|n| (n % 3 > 0).then(|| format!("text {}", n % 7)));
    let floats = (0..n_rows).map(|n| if n % 5 == 0 { f64::NAN } else { n as f64 / 8.0 });
    batch(vec![
        ("n", Arc::new(Int64Array::from_iter_values(0..n_rows))),
        ("text", Arc::new(texts.collect::<StringArray>())),
        ("f", Arc::new(Float64Array::from_iter_values(floats))),
    ])
}

/// Holds them against each other until nothing is left to compare.
fn compared(one: &[u8], other: &[u8]) -> Comparison {
    let mut one = View::open(one.to_vec(), None).unwrap();
    let mut other = View::open(other.to_vec(), None).unwrap();
    loop {
        let told = one.compare(&mut other);
        if told.done == told.of {
            return told.clone();
        }
    }
}

fn payload(batch: &RecordBatch) -> Vec<u8> {
    encode(batch, PLAIN).unwrap()
}

fn columns(one: ArrayRef, other: ArrayRef) -> Comparison {
    compared(&payload(&batch(vec![("c", one)])), &payload(&batch(vec![("c", other)])))
}

#[test]
fn two_encodings_of_one_batch_are_the_same_rows() {
    let batch = rows(5000);
    let one = encode(&batch, CodecOptions { codec: Codec::Lz4, ..PLAIN }).unwrap();
    for framing in [Framing::Stream, Framing::File] {
        let codec = "zstd:1".parse().unwrap();
        let other = encode(&batch, CodecOptions { codec, framing }).unwrap();
        let found = compared(&one, &other);
        assert_eq!((found.outcome, found.done, found.of), (Outcome::Same, 5000, 5000));
        let less = 100.0 * (1.0 - other.len() as f64 / one.len() as f64);
        assert_eq!(
            found.verdict,
            format!("same rows, different encoding: zstd takes {less:.1} % less than lz4")
        );
        assert_eq!((found.schema, found.differences, found.unread), (vec![], vec![], 0));
    }
    assert_eq!(compared(&one, &one).verdict, "the same bytes");
}

#[test]
fn rows_are_the_same_however_they_are_cut_into_batches() {
    let batch = rows(1000);
    let cut = |sizes: &[usize]| {
        let mut at = 0;
        let parts = sizes.iter().map(|&n| {
            at += n;
            payload(&batch.slice(at - n, n))
        });
        parts.collect::<Vec<_>>().concat()
    };
    let found = compared(&cut(&[1000]), &cut(&[1, 0, 499, 300, 200]));
    assert_eq!((found.outcome, found.done), (Outcome::Same, 1000));
    assert!(found.verdict.starts_with("same rows, different encoding: the second takes "));
    assert!(found.verdict.ends_with(" % more"), "{}", found.verdict);
    let found = compared(&cut(&[600, 400]), &cut(&[500, 400]));
    assert_eq!(found.outcome, Outcome::Different);
    assert_eq!(found.verdict, "the first has 100 rows more; the others do not differ");
    assert_eq!((found.of, found.done, found.different), (900, 900, 0));
}

#[test]
fn values_are_the_same_out_of_any_encoding() {
    let texts = [Some("a"), None, Some(""), Some("null"), Some("a")];
    let dictionary: DictionaryArray<Int8Type> = texts.into_iter().collect();
    let plain = Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
    for other in [
        Arc::new(dictionary) as ArrayRef,
        Arc::new(LargeStringArray::from(texts.to_vec())),
        Arc::new(StringViewArray::from(texts.to_vec())),
    ] {
        let found = columns(Arc::clone(&plain), other);
        assert_eq!(found.outcome, Outcome::Same, "{found:?}");
        let [change] = &found.schema[..] else { panic!("{found:?}") };
        assert_eq!((&*change.column, change.change), ("c", "type"));
    }
    let wide = Arc::new(Int64Array::from(vec![1, -2])) as ArrayRef;
    let narrow = Arc::new(Int8Array::from(vec![1, -2]));
    assert_eq!(columns(wide, narrow).outcome, Outcome::Same);
}

#[test]
fn what_reads_the_same_and_is_not_is_told_apart() {
    let check = |one: ArrayRef, other: ArrayRef, verdict: &str| {
        let found = columns(one, other);
        assert_eq!((found.outcome, &*found.verdict), (Outcome::Different, verdict));
    };
    let text = |text: Option<&str>| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    check(text(None), text(Some("")), "row 0 differs in c");
    check(text(None), text(Some("null")), "row 0 differs in c");
    let float = |value| Arc::new(Float64Array::from(vec![value])) as ArrayRef;
    check(float(0.0), float(-0.0), "row 0 differs in c");
    let nan = f64::from_bits(f64::NAN.to_bits() ^ 1);
    assert_eq!(columns(float(f64::NAN), float(nan)).outcome, Outcome::Same);
    let number = Arc::new(Int64Array::from(vec![7])) as ArrayRef;
    let other = "c has another type; the other columns do not differ";
    check(Arc::clone(&number), text(Some("7")), other);
    check(number, Arc::new(TimestampMicrosecondArray::from(vec![7])), other);
    // Lists of one text and of two, of the same characters.
    let list = |texts: Vec<&str>| {
        let mut list =
            arrow_array::builder::ListBuilder::new(arrow_array::builder::StringBuilder::new());
        list.append_value(texts.into_iter().map(Some));
        Arc::new(list.finish()) as ArrayRef
    };
    check(list(vec!["a\", \"b"]), list(vec!["a", "b"]), "row 0 differs in c");
    let numbers = |numbers: Vec<i32>| {
        let numbers = Some(numbers.into_iter().map(Some).collect::<Vec<_>>());
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([numbers])) as ArrayRef
    };
    check(numbers(vec![1, 2]), numbers(vec![1, 3]), "row 0 differs in c");
}

#[test]
fn differences_are_located() {
    let one = rows(300_000);
    let mut floats: Vec<f64> = one.column(2).to_data().buffer::<f64>(0).to_vec();
    let mut numbers: Vec<i64> = (0..300_000).collect();
    for row in [7, 8, 250_000] {
        floats[row] = -1.0;
    }
    numbers[8] = -8;
    let other = batch(vec![
        ("n", Arc::new(Int64Array::from(numbers))),
        ("text", Arc::clone(one.column(1))),
        ("f", Arc::new(Float64Array::from(floats))),
    ]);
    let found = compared(&payload(&one), &payload(&other));
    assert_eq!(found.outcome, Outcome::Different);
    assert_eq!(found.verdict, "row 7 differs in f, and 2 more rows differ");
    assert_eq!((found.done, found.different), (300_000, 3));
    let places: Vec<_> = found.differences.iter().map(|d| (d.row, &*d.column)).collect();
    assert_eq!(places, [(7, "f"), (8, "n"), (8, "f"), (250_000, "f")]);
    let first = &found.differences[0];
    assert_eq!((&*first.kinds, &first.texts), ("vv", &["0.875".to_owned(), "-1".to_owned()]));
    assert_eq!(first.position, 2);
    let different: Vec<_> = found.columns.iter().map(|pair| pair.different).collect();
    assert_eq!(different, [1, 0, 3]);
}

#[test]
fn only_the_first_differences_are_kept() {
    let numbers = |from: i64| Arc::new(Int64Array::from_iter_values(from..from + 1000)) as ArrayRef;
    let found = compared(
        &payload(&batch(vec![("a", numbers(0)), ("b", numbers(0))])),
        &payload(&batch(vec![("a", numbers(1)), ("b", numbers(1))])),
    );
    assert_eq!((found.different, found.differences.len()), (1000, TOLD));
    let places: Vec<_> = found.differences.iter().map(|d| (d.row, &*d.column)).collect();
    assert_eq!(places[..3], [(0, "a"), (0, "b"), (1, "a")]);
}

#[test]
fn schemas_are_compared_by_name() {
    let field = |name: &str, data_type, nullable| Field::new(name, data_type, nullable);
    let unit = |field: Field| field.with_metadata([("unit".to_owned(), "%".to_owned())].into());
    let one = Schema::new(vec![
        field("gone", DataType::Int8, true),
        field("a", DataType::Int64, true),
        field("b", DataType::Utf8, false),
        field("c", DataType::Float64, true),
    ]);
    let other = Schema::new_with_metadata(
        vec![
            field("a", DataType::Int64, true),
            unit(field("c", DataType::Float32, true)),
            field("b", DataType::Utf8, true),
            field("new", DataType::Boolean, true),
        ],
        [("owner".to_owned(), "fleet".to_owned())].into(),
    );
    let changes = |one: &Schema, other: &Schema| {
        let mut found = Vec::new();
        add_changes(&mut found, one, other);
        found
    };
    let found = changes(&one, &other);
    let found: Vec<_> =
        found.iter().map(|c| (&*c.column, c.change, &*c.values[0], &*c.values[1])).collect();
    assert_eq!(
        found,
        [
            ("gone", "removed", "int8", ""),
            ("b", "nullability", "not null", "nullable"),
            ("c", "type", "float64", "float32"),
            ("c", "metadata", "", "unit=%"),
            ("c", "order", "column 4", "column 2"),
            ("new", "added", "", "bool"),
            ("", "metadata", "", "owner=fleet"),
        ]
    );
    assert_eq!(changes(&one, &one), []);
}

#[test]
fn columns_of_other_places_are_held_against_each_other() {
    let number = |value| Arc::new(Int64Array::from(vec![value])) as ArrayRef;
    let one = batch(vec![("a", number(1)), ("b", number(2)), ("a", number(3))]);
    let other = batch(vec![("b", number(2)), ("a", number(1)), ("a", number(3))]);
    let found = compared(&payload(&one), &payload(&other));
    assert_eq!(found.outcome, Outcome::Same, "{found:?}");
    assert!(found.schema.iter().all(|change| change.change == "order"), "{found:?}");
    let more = batch(vec![("b", number(2)), ("a", number(1)), ("a", number(3)), ("x", number(4))]);
    let found = compared(&payload(&one), &payload(&more));
    assert_eq!(found.verdict, "x is in the second only; what both have does not differ");
    let last = found.columns.last().unwrap();
    assert_eq!((last.one, last.other), (None, Some(3)));
}

#[test]
fn damage_is_located_and_the_rest_is_compared() {
    let batch = rows(100);
    let sound = payload(&batch);
    let layout = View::open(sound.clone(), None).unwrap().layout;
    let offsets = layout.buffers.iter().find(|b| b.kind == BufferKind::Offsets).unwrap().offset;
    let mut damaged = sound.clone();
    damaged[offsets + 8..offsets + 12].copy_from_slice(&(-5_i32).to_le_bytes());
    let found = compared(&sound, &damaged);
    assert_eq!((found.outcome, found.unread, found.done), (Outcome::Unknown, 100, 100));
    assert_eq!(found.verdict, "not everything can be read; what can does not differ");
    let [fault] = &found.faults[..] else { panic!("{found:?}") };
    assert_eq!((fault.side, &*fault.column, fault.row), (1, "text", 0));
    assert_eq!(fault.fault.offset, offsets - 16, "where the column's bytes begin");

    // A difference in a sound column is found all the same.
    let numbers = layout.buffers.iter().find(|b| b.kind == BufferKind::Values).unwrap().offset;
    damaged[numbers + 3 * 8] ^= 1;
    let found = compared(&damaged, &sound);
    assert_eq!((found.outcome, &*found.verdict), (Outcome::Different, "row 3 differs in n"));

    let found = compared(&sound, b"{\"no\": \"arrow\"}");
    assert_eq!(found.outcome, Outcome::Unknown);
    assert_eq!(found.verdict, "the second has no schema that can be read");
}

/// Each payload of another writer against itself, against itself encoded anew, and against those
/// of its mutants: nothing panics, and only what is the same is called so.
#[test]
fn payloads_of_other_writers_whole_and_damaged() {
    for (name, payload) in golden() {
        let mut view = View::open(payload.clone(), None).unwrap();
        assert_eq!(compared(&payload, &payload).outcome, Outcome::Same, "{name}");
        if view.tables.len() == 1 {
            let n_parts = view.tables[0].batches.len() + 2;
            let format = "arrow:lz4".parse().unwrap();
            let parts = (0..n_parts).map(|part| view.export(0, part, format).unwrap());
            let again: Vec<u8> = parts.flatten().collect();
            let found = compared(&payload, &again);
            assert_eq!(found.outcome, Outcome::Same, "{name}: {found:?}");
        }
        for at in (0..payload.len()).step_by(397) {
            let mut mutant = payload.clone();
            mutant[at] ^= 0x81;
            let found = std::panic::catch_unwind(|| compared(&payload, &mutant));
            let found = found.unwrap_or_else(|_| panic!("{name}, byte {at}"));
            let is_read = found.unread == 0 && found.faults.is_empty();
            assert!(is_read || found.outcome != Outcome::Same, "{name}, byte {at}: {found:?}");
        }
    }
}
