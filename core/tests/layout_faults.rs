//! One fault at a time: the code, the place and the sentence of each diagnostic.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

mod common;

use std::sync::Arc;

use arrow_ipc::Endianness;
use arrow_schema::{DataType, Field, Schema};
use volley_core::layout::{
    BufferKind, Code, Diagnostic, Framing, Options, RegionKind, Severity, walk, walk_values,
};

use crate::common::decode;
use crate::common::forge::{self, Batch, END, codes, fault, first_error, ints, stream};

/// The same for a schema of one column of another type.
#[track_caller]
fn fault_of(data_type: DataType, batch: Batch, code: Code) {
    let schema = Schema::new(vec![Field::new("c", data_type, true)]);
    assert_eq!(codes(&stream(&schema, &[batch])), [code]);
}

#[test]
fn the_forge_makes_sound_payloads() {
    let payload = stream(&ints(), &[Batch::default(), Batch::default()]);
    assert_eq!(codes(&payload), []);
    assert_eq!(decode(&payload, &Options::default()).unwrap().len(), 2);
}

#[test]
fn buffers_must_lie_within_the_body() {
    let at = |offset, len| Batch { buffers: vec![(0, 0), (offset, len)], ..Batch::default() };
    fault(at(0, 40), Code::BufferBounds);
    fault(at(8, 32), Code::BufferBounds);
    fault(at(-8, 32), Code::BufferBounds);
    fault(at(0, -1), Code::BufferBounds);
    fault(at(i64::MAX, 32), Code::BufferBounds);
    fault(at(8, i64::MAX), Code::BufferBounds);
}

#[test]
fn buffers_must_fit_the_rows() {
    let of = |len: i64, body: usize| Batch {
        buffers: vec![(0, 0), (0, len)],
        body: vec![0; body],
        ..Batch::default()
    };
    fault(of(31, 32), Code::BufferTooSmall);
    fault(of(8192, 8192), Code::BufferTooLarge);
    let nulls = Batch { nodes: vec![(4, 1)], ..Batch::default() };
    fault(nulls, Code::BufferTooSmall);
    let offsets = Batch { buffers: vec![(0, 0), (0, 22), (24, 0)], ..Batch::default() };
    fault_of(DataType::Utf8, offsets, Code::BufferPartial);
    let empty = Batch {
        rows: 0,
        nodes: vec![(0, 0)],
        buffers: vec![(0, 0), (0, 2), (8, 0)],
        ..Batch::default()
    };
    assert!(
        codes(&stream(&Schema::new(vec![Field::new("c", DataType::Utf8, true)]), &[empty]))
            .contains(&Code::BufferPartial)
    );
}

#[test]
fn buffers_must_not_overlap_and_must_be_aligned() {
    let nulls = |validity, values| Batch {
        buffers: vec![(validity, 8), values],
        body: vec![0; 48],
        ..Batch::default()
    };
    fault(nulls(0, (0, 32)), Code::BufferOverlap);
    fault(nulls(8, (0, 32)), Code::BufferOverlap);
    fault(nulls(0, (12, 32)), Code::BufferAlignment);
    // arrow-ipc panics on the offsets of a union without rows there, and not on much else.
    fault(
        Batch { buffers: vec![(3, 0), (8, 32)], body: vec![0; 40], ..Batch::default() },
        Code::BufferAlignment,
    );
    // In another order than the schema's they are unusual and sound.
    assert_eq!(codes(&stream(&ints(), &[nulls(32, (0, 32))])), []);
    let far = Batch { buffers: vec![(0, 0), (64, 32)], body: vec![0; 96], ..Batch::default() };
    fault(far, Code::UnclaimedBytes);
    assert_eq!(Code::UnclaimedBytes.severity(), Severity::Warning);
}

#[test]
fn nodes_and_buffers_must_fit_the_schema() {
    fault(Batch { nodes: vec![], ..Batch::default() }, Code::NodeCount);
    fault(Batch { nodes: vec![(4, 0), (4, 0)], ..Batch::default() }, Code::NodeCount);
    fault(Batch { buffers: vec![(0, 0)], body: vec![], ..Batch::default() }, Code::BufferCount);
    fault(Batch { buffers: vec![(0, 0), (0, 32), (32, 0)], ..Batch::default() }, Code::BufferCount);
    fault(Batch { variadic: vec![1], ..Batch::default() }, Code::VariadicCount);
    let views = |variadic| Batch {
        buffers: vec![(0, 0), (0, 64)],
        body: vec![0; 64],
        variadic,
        ..Batch::default()
    };
    fault_of(DataType::Utf8View, views(vec![]), Code::VariadicCount);
    fault_of(DataType::Utf8View, views(vec![-1]), Code::VariadicCount);
    fault_of(DataType::Utf8View, views(vec![i64::MAX]), Code::VariadicCount);
    fault_of(DataType::Utf8View, views(vec![0, 0]), Code::VariadicCount);
}

#[test]
fn lengths_must_agree() {
    fault(Batch { rows: 3, ..Batch::default() }, Code::NodeLength);
    fault(Batch { rows: -1, ..Batch::default() }, Code::RowCount);
    fault(Batch { nodes: vec![(-4, 0)], ..Batch::default() }, Code::NodeLength);
    fault(
        Batch {
            nodes: vec![(4, 5)],
            buffers: vec![(0, 8), (8, 32)],
            body: vec![0; 40],
            ..Batch::default()
        },
        Code::NullCount,
    );
    fault(Batch { nodes: vec![(4, -1)], ..Batch::default() }, Code::NullCount);
    fault_of(
        DataType::Null,
        Batch { buffers: vec![], body: vec![], ..Batch::default() },
        Code::NullCount,
    );
    let child = Arc::new(Field::new("item", DataType::Int64, true));
    let lists = Batch {
        rows: 2,
        nodes: vec![(2, 0), (3, 0)],
        buffers: vec![(0, 0), (0, 0), (0, 24)],
        body: vec![0; 24],
        ..Batch::default()
    };
    fault_of(DataType::FixedSizeList(child, 2), lists, Code::NodeLength);
}

#[test]
fn dictionaries_are_sent_before_they_are_used() {
    let key = Box::new(DataType::Int32);
    let schema = Schema::new(vec![Field::new(
        "d",
        DataType::Dictionary(key, Box::new(DataType::Int64)),
        true,
    )]);
    let keys = Batch { buffers: vec![(0, 0), (0, 16)], body: vec![0; 16], ..Batch::default() };
    let values = |id, is_delta| Batch { dictionary: Some((id, is_delta)), ..Batch::default() };
    let codes = |batches: &[Batch]| codes(&stream(&schema, batches));
    assert_eq!(codes(&[values(0, false), keys.clone()]), []);
    assert_eq!(codes(&[values(0, false), keys.clone(), values(0, false), keys.clone()]), []);
    assert_eq!(codes(&[values(0, false), values(0, true), keys.clone()]), []);
    assert_eq!(codes(&[keys.clone(), values(0, false)]), [Code::DictionaryUndefined]);
    assert_eq!(codes(&[values(0, true), keys]), [Code::DictionaryDelta]);
    assert_eq!(codes(&[values(7, false)]), [Code::DictionaryUnknown]);
    let all_null = Batch {
        nodes: vec![(4, 4)],
        buffers: vec![(0, 8), (8, 16)],
        body: vec![0; 24],
        ..Batch::default()
    };
    assert_eq!(codes(std::slice::from_ref(&all_null)), []);
    assert_eq!(decode(&stream(&schema, &[all_null]), &Options::default()).unwrap().len(), 1);
}

#[test]
fn the_other_byte_order_is_walked_and_refused() {
    let mut payload = forge::schema(&ints(), Endianness::Big);
    payload.extend(Batch::default().message());
    payload.extend(END);
    let (layout, diagnostics) = walk(&payload, &Options::default());
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].code, Code::ForeignEndianness);
    assert_eq!(layout.rows(), 4);
    assert!(layout.streams[0].schema.as_ref().unwrap().is_foreign_endian);
    assert_eq!(layout.regions.iter().map(|r| r.len).sum::<usize>(), payload.len());
}

#[test]
fn batches_without_a_schema_need_one_beside() {
    let batches = [Batch::default().message(), Batch::default().message()].concat();
    assert_eq!(codes(&batches)[0], Code::MissingSchema);
    let (layout, _) = walk(&forge::schema(&ints(), Endianness::Little), &Options::default());
    let options = Options { schema: layout.streams[0].schema.clone(), ..Options::default() };
    let (layout, diagnostics) = walk(&batches, &options);
    assert_eq!(diagnostics, []);
    assert_eq!((layout.framing, layout.rows()), (Framing::Messages, 8));
}

#[test]
fn streams_end_with_a_marker_and_nothing_else() {
    let payload = stream(&ints(), &[Batch::default()]);
    assert_eq!(codes(&payload[..payload.len() - 8]), [Code::MissingEndOfStream]);
    assert_eq!(codes(&payload[..payload.len() - 3]), [Code::TruncatedPrefix]);
    for tail in [&[1][..], &[0; 8], b"garbage!", &Batch::default().message()] {
        let with_tail = [&payload, tail].concat();
        let (layout, diagnostics) = walk(&with_tail, &Options::default());
        let is_named =
            |d: &Diagnostic| matches!(d.code, Code::TrailingBytes | Code::MetadataLength);
        assert!(diagnostics.iter().any(is_named), "{diagnostics:?}");
        assert_eq!(layout.rows(), 4);
    }
    assert_eq!(codes(&[]), [Code::EmptyPayload]);
    assert_eq!(codes(END), [Code::MissingSchema]);
}

#[test]
fn values_are_checked_on_request() {
    let text = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Utf8, true),
    ]);
    let mut body = vec![0; 64];
    body[32..52].copy_from_slice(&[0_i32, 1, 2, 9, 4].map(i32::to_le_bytes).concat());
    let batch = Batch {
        nodes: vec![(4, 0), (4, 0)],
        buffers: vec![(0, 0), (0, 32), (32, 0), (32, 20), (56, 4)],
        body,
        ..Batch::default()
    };
    let payload = stream(&text, &[batch]);
    assert_eq!(codes(&payload), []);
    let (_, diagnostics) = walk_values(&payload, &Options::default());
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].code, Code::InvalidValues);
    assert_eq!(diagnostics[0].column.as_deref(), Some("b"));
}

#[test]
fn a_diagnostic_is_one_sentence() {
    let batch = Batch { buffers: vec![(0, 0), (8, 32)], ..Batch::default() };
    let error = first_error(&stream(&ints(), &[batch]), &Options::default());
    let metadata_at = error.offset;
    assert_eq!(
        error.to_string(),
        format!(
            "message 1, column `n`, values buffer, byte {metadata_at}: the buffer ends outside its \
             body: found 32 bytes from byte 8 of the body, expected an end within its 32 bytes \
             [buffer-bounds]"
        )
    );
}

#[test]
fn the_buffer_is_named_in_which_the_payload_ends() {
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
    ]);
    let batch = Batch {
        nodes: vec![(4, 0), (4, 0)],
        buffers: vec![(0, 0), (0, 32), (32, 0), (32, 32)],
        body: vec![0; 64],
        ..Batch::default()
    };
    let payload = stream(&schema, &[batch]);
    let (whole, _) = walk(&payload, &Options::default());
    let body = whole.messages[1].body_offset();
    for (len, column) in [(0, "a"), (31, "a"), (32, "b"), (63, "b")] {
        let (layout, diagnostics) = walk(&payload[..body + len], &Options::default());
        let [fault] = &diagnostics[..] else { panic!("{diagnostics:?}") };
        assert_eq!((fault.code, fault.message), (Code::BodyLength, Some(1)));
        assert_eq!(fault.column.as_deref(), Some(column), "{len}");
        assert_eq!((fault.buffer, fault.offset), (Some(BufferKind::Values), body + len));
        assert_eq!(layout.rows(), 4);
        assert_eq!(layout.regions.last().unwrap().end(), body + len);
    }
    let error = first_error(&payload[..body + 40], &Options::default()).to_string();
    let sentence = "column `b`, values buffer, byte 456: the body length does not fit the payload: \
                    found 40 of 64 bytes, expected bytes 32 to 64 of the body [body-length]";
    assert!(error.replace(&(body + 40).to_string(), "456").ends_with(sentence), "{error}");
}

#[test]
fn rows_that_no_column_has_are_the_fault_of_the_message() {
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
    ]);
    let batch = |rows, second| Batch {
        rows,
        nodes: vec![(4, 0), (second, 0)],
        buffers: vec![(0, 0), (0, 32), (32, 0), (32, 32)],
        body: vec![0; 64],
        ..Batch::default()
    };
    let check = |batch: Batch, code, column: Option<&str>| {
        let (_, diagnostics) = walk(&stream(&schema, &[batch]), &Options::default());
        let [fault] = &diagnostics[..] else { panic!("{diagnostics:?}") };
        assert_eq!((fault.code, fault.column.as_deref()), (code, column));
    };
    check(batch(5, 4), Code::RowCount, None);
    check(batch(4, 3), Code::NodeLength, Some("b"));
}

#[test]
fn of_two_buffers_over_one_byte_the_displaced_one_is_named() {
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
        Field::new("c", DataType::Int64, true),
    ]);
    let check = |a: (i64, i64), b: (i64, i64), wrong: &str| {
        let none = (0, 0);
        let batch = Batch {
            nodes: vec![(4, 0); 3],
            buffers: vec![none, a, none, b, none, (64, 32)],
            body: vec![0; 96],
            ..Batch::default()
        };
        let error = first_error(&stream(&schema, &[batch]), &Options::default());
        assert_eq!((error.code, error.column.as_deref()), (Code::BufferOverlap, Some(wrong)));
    };
    check((0, 40), (32, 32), "a");
    check((8, 32), (32, 32), "a");
    check((0, 32), (24, 32), "b");
    check((0, 32), (32, 40), "b");
}

#[test]
fn damage_to_a_flatbuffer_names_the_field() {
    let payload = stream(&ints(), &[]);
    // The offset to the name of the column.
    let name = payload.windows(5).position(|window| window == b"\x01\0\0\0n").unwrap();
    let (at, _) = (0..name)
        .step_by(4)
        .rev()
        .map(|at| (at, u32::from_le_bytes(*payload[at..].first_chunk().unwrap())))
        .find(|&(at, offset)| at + offset as usize == name)
        .unwrap();
    let mut damaged = payload;
    damaged[at + 2] = 1;
    let error = first_error(&damaged, &Options::default());
    assert_eq!((error.code, error.message, error.offset), (Code::MetadataMalformed, Some(0), at));
    assert!(error.found.ends_with("out of bounds, in header.fields[0].name"), "{error}");
}

#[test]
fn names_do_not_steer_the_terminal() {
    let schema = Schema::new(vec![Field::new("a\n\u{1b}[31mä", DataType::Int64, true)]);
    let batch = Batch { buffers: vec![(0, 0), (8, 32)], ..Batch::default() };
    let error = first_error(&stream(&schema, &[batch]), &Options::default());
    assert_eq!(error.column.as_deref(), Some("a\\n\\u{1b}[31mä"));
}

#[test]
fn damaged_columns_leave_the_others_readable() {
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
    ]);
    let batch = Batch {
        nodes: vec![(4, 0), (4, 0)],
        buffers: vec![(0, 0), (999, 32), (0, 0), (32, 32)],
        body: vec![0; 64],
        ..Batch::default()
    };
    let (layout, diagnostics) = walk(&stream(&schema, &[batch]), &Options::default());
    assert_eq!(diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::BufferBounds]);
    assert_eq!(diagnostics[0].column.as_deref(), Some("a"));
    let totals = layout.column_totals(0);
    assert_eq!((totals[0].stored, totals[1].stored), (0, 32));
    assert!(layout.regions.iter().any(|r| matches!(r.kind, RegionKind::Buffer(3))));
}

#[test]
fn codes_are_unique_and_kebab_case() {
    let mut texts: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert!(texts.iter().all(|text| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), Code::ALL.len());
}
