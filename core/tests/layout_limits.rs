//! Sizes that are claimed and not there: refused before anything is allocated for them.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use arrow_ipc::{CompressionType, Endianness};
use arrow_schema::{DataType, Field, Schema};
use volley_core::layout::{BufferKind, Code, Options, check, walk};

use crate::common::forge::{self, Batch, END, codes, fault, first_error, ints, stream};
use crate::common::{Writing, encode};

#[test]
fn hostile_sizes_are_refused_before_anything_is_allocated() {
    fault(Batch { rows: 1_000_000_000, ..Batch::default() }, Code::OverCap);
    fault(Batch { rows: i64::MAX, ..Batch::default() }, Code::OverCap);
    fault(Batch { nodes: vec![(i64::MAX, 0)], ..Batch::default() }, Code::OverCap);
    // Nulls cost nothing in the payload and a bit each in memory.
    let nulls = Batch {
        rows: 1 << 28,
        nodes: vec![(1 << 28, 1 << 28)],
        buffers: vec![],
        body: vec![],
        ..Batch::default()
    };
    let payload = stream(&Schema::new(vec![Field::new("c", DataType::Null, true)]), &[nulls]);
    let small = Options { max_raw_bytes: 1 << 20, ..Options::default() };
    assert_eq!(first_error(&payload, &small).code, Code::OverCap);
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        for declared in [i64::MAX, 1 << 40, 1 << 32] {
            let mut body = declared.to_le_bytes().to_vec();
            body.resize(32, 0);
            fault(Batch { codec: Some(codec), body, ..Batch::default() }, Code::OverCap);
        }
        let mut body = (-2_i64).to_le_bytes().to_vec();
        body.resize(32, 0);
        let negative = Batch { codec: Some(codec), body, ..Batch::default() };
        assert!(codes(&stream(&ints(), &[negative])).contains(&Code::CompressedLength));
    }
    // 2^63 bytes of metadata or body.
    let mut payload = forge::schema(&ints(), Endianness::Little);
    payload[4..8].copy_from_slice(&i32::MAX.to_le_bytes());
    assert_eq!(codes(&payload), [Code::MetadataLength]);
    let whole = Batch::default().message();
    let header = whole.len() - 32;
    assert_eq!(
        codes(&[forge::schema(&ints(), Endianness::Little), whole[..header].to_vec()].concat()),
        [Code::BodyLength]
    );
}

#[test]
fn a_bomb_is_refused_by_its_size_or_by_its_limit() {
    // 64 MiB of zeros in a few hundred kilobytes, declared as the 32 bytes that the rows need.
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    let array = arrow_array::Int64Array::from(vec![0_i64; 8 << 20]);
    let batch = arrow_array::RecordBatch::try_new(schema.clone(), vec![Arc::new(array)]).unwrap();
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let writing = Writing { compression: Some(compression), ..Writing::default() };
        let payload = encode(&schema, std::slice::from_ref(&batch), writing).unwrap();
        assert!(payload.len() < 1 << 20);
        assert!(check(&payload, &Options::default()).is_ok());
        let small = Options { max_raw_bytes: 1 << 20, ..Options::default() };
        assert_eq!(first_error(&payload, &small).code, Code::OverCap);

        let (layout, _) = walk(&payload, &Options::default());
        let buffer = layout.buffers.iter().find(|b| b.kind == BufferKind::Values).unwrap();
        let stored = &payload[buffer.offset + 8..buffer.offset + buffer.stored];
        let mut body = 32_i64.to_le_bytes().to_vec();
        body.extend(stored);
        let len = body.len() as i64;
        body.resize(body.len().next_multiple_of(8), 0);
        let bomb = Batch {
            codec: Some(compression),
            buffers: vec![(0, 0), (0, len)],
            body,
            ..Batch::default()
        };
        let options = Options { max_raw_bytes: 1 << 24, ..Options::default() };
        let error = first_error(&stream(&ints(), &[bomb]), &options);
        assert_eq!(error.code, Code::CompressedFrame, "{error}");
    }
}

#[test]
fn a_limit_holds_what_the_rows_take_and_no_more() {
    let schema = Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int64, false),
        Field::new("b", DataType::Int64, false),
    ]));
    let column = || Arc::new(arrow_array::Int64Array::from(vec![7; 1000])) as arrow_array::ArrayRef;
    let batch =
        arrow_array::RecordBatch::try_new(schema.clone(), vec![column(), column()]).unwrap();
    // 8,000 bytes and 1,000 bits each. LZ4 frames could hold far more than they do, so that the
    // walk has to add up what they hold.
    let raw = 2 * (8000 + 125);
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let writing = Writing { compression, ..Writing::default() };
        let payload = encode(&schema, std::slice::from_ref(&batch), writing).unwrap();
        let limit = |max_raw_bytes| Options { max_raw_bytes, ..Options::default() };
        assert!(check(&payload, &limit(raw)).is_ok(), "{compression:?}");
        assert_eq!(first_error(&payload, &limit(raw - 1)).code, Code::OverCap);
        let rows = Options { max_rows: 999, ..Options::default() };
        assert_eq!(first_error(&payload, &rows).code, Code::OverCap);
        let columns = Options { max_columns: 1, ..Options::default() };
        assert_eq!(first_error(&payload, &columns).code, Code::OverCap);
    }
}

#[test]
fn deep_schemas_are_refused() {
    assert_eq!(codes(&forge::deep(10_000)), [Code::MetadataMalformed]);
    assert_eq!(codes(&[forge::deep(40), END.to_vec()].concat()), []);
}

#[test]
fn metadata_that_refers_to_itself_many_times_is_refused() {
    let mut fbb = flatbuffers::FlatBufferBuilder::new();
    let name = fbb.create_string(&"x".repeat(10_000));
    let null = arrow_ipc::NullBuilder::new(&mut fbb).finish();
    let mut field = arrow_ipc::FieldBuilder::new(&mut fbb);
    field.add_name(name);
    field.add_type_type(arrow_ipc::Type::Null);
    field.add_type_(null.as_union_value());
    let field = field.finish();
    // 10,000 columns that are one table: 100 MB of names from 50 KB of metadata.
    let fields = fbb.create_vector(&vec![field; 10_000]);
    let mut schema = arrow_ipc::SchemaBuilder::new(&mut fbb);
    schema.add_fields(fields);
    let schema = schema.finish().as_union_value();
    let version = arrow_ipc::MetadataVersion::V5;
    let payload = forge::finish(fbb, arrow_ipc::MessageHeader::Schema, schema, 0, version);
    assert_eq!(codes(&payload), [Code::MetadataMalformed]);
}

#[test]
fn deltas_count_what_a_reader_copies_for_them() {
    let key = Box::new(DataType::Int32);
    let dictionary = DataType::Dictionary(key, Box::new(DataType::Int64));
    let schema = Schema::new(vec![Field::new("d", dictionary, true)]);
    let n = 1 << 17;
    let base = Batch {
        rows: n,
        nodes: vec![(n, 0)],
        buffers: vec![(0, 0), (0, n * 8)],
        body: vec![0; n as usize * 8],
        dictionary: Some((0, false)),
        ..Batch::default()
    };
    let delta = Batch { dictionary: Some((0, true)), ..Batch::default() };
    let mut batches = vec![base];
    batches.resize(100, delta.clone());
    assert_eq!(codes(&stream(&schema, &batches)), []);
    // 1 MiB to copy each: 300 of these small messages make a reader move more than the limit.
    batches.resize(300, delta);
    assert_eq!(codes(&stream(&schema, &batches)), [Code::OverCap]);
}
