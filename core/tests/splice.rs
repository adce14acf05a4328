//! What splices, what does not, and why.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

mod arbitrary;
mod common;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::DictionaryHandling;
use arrow_ipc::{CompressionType, Endianness, MetadataVersion};
use arrow_schema::{DataType, Field, Schema, SchemaRef, UnionFields, UnionMode};
use volley_core::layout::{Code, Framing, Options};
use volley_core::splice::{SpliceError, Splicer, splice};

use crate::arbitrary::batch;
use crate::common::forge::{self, Batch, END};
use crate::common::{Writing, decode, encode};

fn schema_of(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

fn payload_of(schema: &SchemaRef) -> Vec<u8> {
    written(schema, Writing::default())
}

fn written(schema: &SchemaRef, writing: Writing) -> Vec<u8> {
    encode(schema, &[batch(schema, 10, 1, false)], writing).unwrap()
}

fn refusal(payloads: &[&[u8]]) -> SpliceError {
    splice(payloads, &Options::default()).unwrap_err()
}

/// Splices one payload after another of a different schema.
#[track_caller]
fn differs(first: Field, second: Field, column: &str, found: &str, expected: &str) {
    let (first, second) =
        (payload_of(&schema_of(vec![first])), payload_of(&schema_of(vec![second])));
    let (column, found, expected) = (column.to_owned(), found.to_owned(), expected.to_owned());
    let error = SpliceError::Schema { payload: 1, column, found, expected };
    assert_eq!(refusal(&[&first, &second]), error);
}

#[test]
fn schemas_must_agree() {
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    let text = Field::new("a", DataType::Utf8, true);
    differs(int("a"), int("b"), "a", "`b`", "`a`");
    differs(int("a"), text, "a", "type Utf8", "type Int64");
    differs(int("a"), Field::new("a", DataType::Int64, false), "a", "not nullable", "nullable");
    let one = payload_of(&schema_of(vec![int("a")]));
    let two = payload_of(&schema_of(vec![int("a"), int("b")]));
    let SpliceError::Schema { found, .. } = refusal(&[&one, &two]) else { panic!() };
    assert_eq!(found, "2 columns");
    let inner = |name| Field::new("s", DataType::Struct(vec![int(name)].into()), true);
    differs(inner("x"), inner("y"), "s.x", "`y`", "`x`");
}

#[test]
fn names_inside_lists_and_metadata_do_not_matter() {
    let list = |name: &str| {
        let item = Arc::new(Field::new(name, DataType::Int64, true));
        let metadata = HashMap::from([("writer".to_owned(), name.to_owned())]);
        let field = Field::new("list", DataType::List(item), true).with_metadata(metadata.clone());
        Arc::new(Schema::new_with_metadata(vec![field], metadata))
    };
    let (first, second) = (payload_of(&list("item")), payload_of(&list("element")));
    let spliced = splice(&[&first, &second], &Options::default()).unwrap();
    let decoded = decode(&spliced.to_vec(), &Options::default()).unwrap();
    assert_eq!(decoded.len(), 2);
    assert_eq!(decoded[1].schema(), decoded[0].schema());
    assert_eq!(decoded[1].num_rows(), 10);
}

#[test]
fn extensions_must_agree() {
    let field = |extension: &str| {
        let metadata = HashMap::from([("ARROW:extension:name".to_owned(), extension.to_owned())]);
        Field::new("id", DataType::FixedSizeBinary(16), true).with_metadata(metadata)
    };
    let (uuid, other) = (field("arrow.uuid"), field("other"));
    differs(uuid, other, "id", "extension other", "extension arrow.uuid");
}

fn coded(values: Vec<&str>, keys: Vec<i32>) -> RecordBatch {
    let values: ArrayRef = Arc::new(StringArray::from(values));
    let array = DictionaryArray::new(Int32Array::from(keys), values);
    RecordBatch::try_from_iter([("host", Arc::new(array) as ArrayRef)]).unwrap()
}

#[test]
fn dictionaries_are_replaced_and_extended() {
    let first = coded(vec!["a", "b"], vec![0, 1, 0]);
    let second = coded(vec!["x", "y", "z"], vec![2, 2, 0]);
    let grown = coded(vec!["a", "b", "c"], vec![2, 1, 0]);
    let schema = first.schema();
    let delta = Writing { dictionaries: DictionaryHandling::Delta, ..Writing::default() };
    let payloads = [
        encode(&schema, std::slice::from_ref(&first), Writing::default()).unwrap(),
        encode(&schema, &[first.clone(), grown.clone()], delta).unwrap(),
        encode(&schema, &[second.clone(), first.clone()], Writing::default()).unwrap(),
    ];
    let slices: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
    let stream = splice(&slices, &Options::default()).unwrap().to_vec();
    let decoded = decode(&stream, &Options::default()).unwrap();
    assert_eq!(decoded, [first.clone(), first.clone(), grown, second, first]);
}

#[test]
fn a_delta_needs_its_base_in_the_same_payload() {
    let key = Box::new(DataType::Int32);
    let dictionary = DataType::Dictionary(key, Box::new(DataType::Int64));
    let schema = Schema::new(vec![Field::new("d", dictionary, true)]);
    let keys = Batch { buffers: vec![(0, 0), (0, 16)], body: vec![0; 16], ..Batch::default() };
    let values = |is_delta| Batch { dictionary: Some((0, is_delta)), ..Batch::default() };
    let payload = |is_delta| {
        let parts = [
            forge::schema(&schema, Endianness::Little),
            values(is_delta).message(),
            keys.message(),
            END.to_vec(),
        ];
        parts.concat()
    };
    let (whole, delta) = (payload(false), payload(true));
    assert!(splice(&[&whole, &whole], &Options::default()).is_ok());
    let SpliceError::Damaged { payload: 1, diagnostic } = refusal(&[&whole, &delta]) else {
        panic!()
    };
    assert_eq!(diagnostic.code, Code::DictionaryDelta);
    assert_eq!(diagnostic.column.as_deref(), Some("d"));
}

#[test]
fn dictionary_ids_must_agree() {
    let (first, second) = (forge::renumbered(8), forge::renumbered(9));
    assert!(splice(&[&second, &second], &Options::default()).is_ok());
    let SpliceError::Schema { column, found, .. } = refusal(&[&first, &second]) else { panic!() };
    assert_eq!((column.as_str(), found.contains("dictionary id 9")), ("d", true));
}

#[test]
fn the_other_byte_order_is_refused() {
    let ints = Schema::new(vec![Field::new("n", DataType::Int64, true)]);
    let mut big = forge::schema(&ints, Endianness::Big);
    big.extend(Batch::default().message());
    big.extend(END);
    let SpliceError::Damaged { diagnostic, .. } = refusal(&[&big]) else { panic!() };
    assert_eq!(diagnostic.code, Code::ForeignEndianness);
}

#[test]
fn old_and_new_prefixes_do_not_mix() {
    let schema = schema_of(vec![Field::new("n", DataType::Int64, true)]);
    let old = Writing { version: MetadataVersion::V4, is_old_prefix: true, ..Writing::default() };
    let (old, new) = (written(&schema, old), payload_of(&schema));
    assert_eq!(refusal(&[&new, &old]), SpliceError::Prefix { payload: 1, found: 4, expected: 8 });
    let spliced = splice(&[&old, &old], &Options::default()).unwrap();
    assert_eq!(decode(&spliced.to_vec(), &Options::default()).unwrap().len(), 2);
}

#[test]
fn versions_mix_but_for_unions() {
    let v4 = Writing { version: MetadataVersion::V4, ..Writing::default() };
    let schema = schema_of(vec![Field::new("n", DataType::Int64, true)]);
    let payloads = [written(&schema, v4), payload_of(&schema)];
    let spliced = splice(&[&payloads[0], &payloads[1]], &Options::default()).unwrap();
    assert_eq!(decode(&spliced.to_vec(), &Options::default()).unwrap().len(), 2);

    let fields: UnionFields =
        [(0, Arc::new(Field::new("i", DataType::Int64, true)))].into_iter().collect();
    let schema = schema_of(vec![Field::new("u", DataType::Union(fields, UnionMode::Sparse), true)]);
    let payloads = [written(&schema, v4), payload_of(&schema)];
    let error = SpliceError::Version { payload: 1, found: 5, expected: 4 };
    assert_eq!(refusal(&[&payloads[0], &payloads[1]]), error);
}

#[test]
fn a_refused_payload_leaves_the_splice_as_it_was() {
    let schema = schema_of(vec![Field::new("n", DataType::Int64, true)]);
    let other = payload_of(&schema_of(vec![Field::new("m", DataType::Int64, true)]));
    let good = payload_of(&schema);
    let options = Options::default();
    let mut splicer = Splicer::new(&options);
    assert!(splicer.push(b"garbage").is_err());
    splicer.push(&good).unwrap();
    assert!(splicer.push(&other).is_err());
    assert!(splicer.push(&good[..good.len() / 2]).is_err());
    splicer.push(&good).unwrap();
    let spliced = splicer.finish().unwrap();
    assert_eq!((spliced.rows, spliced.record_batches), (20, 2));
    let expected = splice(&[&good, &good], &options).unwrap();
    assert_eq!(spliced.to_vec(), expected.to_vec());
}

#[test]
fn nothing_is_copied_but_the_schema() {
    let batch = RecordBatch::try_from_iter([(
        "n",
        Arc::new(Int64Array::from_iter_values(0..10_000)) as ArrayRef,
    )])
    .unwrap();
    let zstd = Writing { compression: Some(CompressionType::ZSTD), ..Writing::default() };
    let stream = encode(&batch.schema(), std::slice::from_ref(&batch), zstd).unwrap();
    let file = Writing { framing: Framing::File, ..zstd };
    let file = encode(&batch.schema(), std::slice::from_ref(&batch), file).unwrap();
    let spliced = splice(&[&stream, &file], &Options::default()).unwrap();
    let slices: Vec<&[u8]> = spliced.slices().collect();
    assert_eq!(slices.len(), 4, "schema, a run of each payload, end marker");
    assert!(stream.as_ptr_range().contains(&slices[1].as_ptr()));
    assert!(file.as_ptr_range().contains(&slices[2].as_ptr()));
    assert_eq!(decode(&spliced.to_vec(), &Options::default()).unwrap(), [batch.clone(), batch]);
}
