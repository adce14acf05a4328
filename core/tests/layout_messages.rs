//! Faults of messages, schemas and files as wholes: their codes.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_ipc::{
    BodyCompressionBuilder, CompressionType, Endianness, FieldBuilder, IntBuilder, MessageHeader,
    MetadataVersion, RecordBatchBuilder, SchemaBuilder, TensorBuilder, Type,
};
use arrow_schema::{DataType, Field, Schema};
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use volley_core::layout::{Code, Framing, Options, walk};

use crate::common::forge::{self, Batch, END, codes};
use crate::common::{Writing, encode};

fn ints() -> Vec<u8> {
    forge::schema(&Schema::new(vec![Field::new("n", DataType::Int64, true)]), Endianness::Little)
}

/// A message around the header that `build` makes.
fn message(
    kind: MessageHeader,
    version: MetadataVersion,
    build: impl FnOnce(&mut FlatBufferBuilder<'static>) -> WIPOffset<UnionWIPOffset>,
) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let header = build(&mut fbb);
    forge::finish(fbb, kind, header, 0, version)
}

#[test]
fn messages_have_a_known_version_and_kind() {
    let empty = |fbb: &mut FlatBufferBuilder<'static>| {
        let fields = fbb.create_vector::<WIPOffset<arrow_ipc::Field<'_>>>(&[]);
        let mut schema = SchemaBuilder::new(fbb);
        schema.add_fields(fields);
        schema.finish().as_union_value()
    };
    for version in
        [MetadataVersion::V1, MetadataVersion::V2, MetadataVersion::V3, MetadataVersion(9)]
    {
        assert_eq!(codes(&message(MessageHeader::Schema, version, empty)), [Code::MetadataVersion]);
    }
    let nothing = message(MessageHeader::Schema, MetadataVersion::V5, |fbb| {
        SchemaBuilder::new(fbb).finish().as_union_value()
    });
    assert_eq!(codes(&nothing), [Code::SchemaMalformed, Code::MissingEndOfStream]);
    let tensor = message(MessageHeader::Tensor, MetadataVersion::V5, |fbb| {
        let int = IntBuilder::new(fbb).finish().as_union_value();
        let shape = fbb.create_vector::<WIPOffset<arrow_ipc::TensorDim<'_>>>(&[]);
        let mut tensor = TensorBuilder::new(fbb);
        tensor.add_type_type(Type::Int);
        tensor.add_type_(int);
        tensor.add_shape(shape);
        tensor.add_data(&arrow_ipc::Buffer::new(0, 0));
        tensor.finish().as_union_value()
    });
    assert_eq!(codes(&[ints(), tensor, END.to_vec()].concat()), [Code::MessageKind]);
}

#[test]
fn messages_have_all_their_parts() {
    let bare = message(MessageHeader::RecordBatch, MetadataVersion::V5, |fbb| {
        RecordBatchBuilder::new(fbb).finish().as_union_value()
    });
    assert_eq!(codes(&[ints(), bare, END.to_vec()].concat()), [Code::MissingPart]);
    let unknown = message(MessageHeader::RecordBatch, MetadataVersion::V5, |fbb| {
        let mut compression = BodyCompressionBuilder::new(fbb);
        compression.add_codec(CompressionType(7));
        let compression = compression.finish();
        let mut batch = RecordBatchBuilder::new(fbb);
        batch.add_compression(compression);
        batch.finish().as_union_value()
    });
    assert_eq!(codes(&[ints(), unknown, END.to_vec()].concat()), [Code::UnknownCodec]);
}

#[test]
fn messages_end_on_8_bytes() {
    let mut odd = Batch::default();
    odd.body.push(0);
    let payload = [ints(), odd.message(), END.to_vec()].concat();
    assert_eq!(codes(&payload), [Code::MessageAlignment]);
}

/// A schema of one field with this type number, and nothing that the type would need.
fn field_of(type_type: Type) -> Vec<u8> {
    message(MessageHeader::Schema, MetadataVersion::V5, |fbb| {
        let name = fbb.create_string("c");
        let type_ = arrow_ipc::NullBuilder::new(fbb).finish().as_union_value();
        let mut field = FieldBuilder::new(fbb);
        field.add_name(name);
        field.add_type_type(type_type);
        field.add_type_(type_);
        let field = field.finish();
        let fields = fbb.create_vector(&[field]);
        let mut schema = SchemaBuilder::new(fbb);
        schema.add_fields(fields);
        schema.finish().as_union_value()
    })
}

#[test]
fn types_are_whole() {
    // Tables that are empty say 0 for everything; nested types lack their children.
    let malformed = [
        Type::Int,
        Type::Decimal,
        Type::List,
        Type::LargeList,
        Type::ListView,
        Type::FixedSizeList,
        Type::Map,
        Type::Union,
        Type::RunEndEncoded,
        Type(27),
        Type(99),
    ];
    for type_type in malformed {
        let payload = [field_of(type_type), END.to_vec()].concat();
        let (_, diagnostics) = walk(&payload, &Options::default());
        assert_eq!(diagnostics.len(), 1, "{type_type:?}");
        assert_eq!(diagnostics[0].code, Code::SchemaMalformed, "{type_type:?}");
        assert_eq!(diagnostics[0].column.as_deref(), Some("c"), "{type_type:?}");
    }
    for type_type in [Type::Null, Type::Bool, Type::Utf8, Type::Struct_, Type::FixedSizeBinary] {
        assert_eq!(codes(&[field_of(type_type), END.to_vec()].concat()), [], "{type_type:?}");
    }
}

#[test]
fn a_dictionary_id_has_one_type() {
    let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
    let coded = |name: &str, values| Field::new(name, dictionary(values), true);
    let same =
        forge::one_dictionary_id(&[coded("a", DataType::Int64), coded("b", DataType::Int64)]);
    assert_eq!(codes(&[same, END.to_vec()].concat()), []);
    let other =
        forge::one_dictionary_id(&[coded("a", DataType::Int64), coded("b", DataType::Int32)]);
    let (_, diagnostics) = walk(&[other, END.to_vec()].concat(), &Options::default());
    assert_eq!(diagnostics[0].code, Code::DictionaryConflict);
    assert_eq!(diagnostics[0].column.as_deref(), Some("b"));
}

fn file() -> Vec<u8> {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
    let writing = Writing { framing: Framing::File, ..Writing::default() };
    encode(&batch.schema(), &[batch.clone(), batch], writing).unwrap()
}

#[test]
fn files_end_with_their_footer() {
    let payload = file();
    assert_eq!(codes(&payload), []);
    let len = payload.len();
    for cut in [1, 6, 10, 100] {
        let found = codes(&payload[..len - cut]);
        assert_eq!(found, [Code::FooterMissing], "{cut}");
    }
    let with_length = |length: i32| {
        let mut payload = payload.clone();
        payload[len - 10..len - 6].copy_from_slice(&length.to_le_bytes());
        codes(&payload)[0]
    };
    assert_eq!(with_length(-1), Code::FooterMissing);
    assert_eq!(with_length(0), Code::FooterMissing);
    assert_eq!(with_length(i32::MAX), Code::FooterMissing);
    assert_eq!(with_length(16), Code::FooterMalformed);
    assert_eq!(codes(b"ARROW1"), [Code::FooterMissing, Code::EmptyPayload]);
}

#[test]
fn the_footer_lists_the_messages() {
    let payload = file();
    let (layout, _) = walk(&payload, &Options::default());
    let second = layout.messages[2].offset as u64;
    let footer = layout.regions.iter().rev().nth(2).unwrap().offset;
    let listed = payload[footer..].windows(8).position(|window| window == second.to_le_bytes());
    let at = footer + listed.unwrap();
    let mut moved = payload.clone();
    moved[at] ^= 8;
    let (_, diagnostics) = walk(&moved, &Options::default());
    assert_eq!(diagnostics[0].code, Code::FooterBlock);
    assert_eq!(diagnostics[0].message, Some(2));

    // The name of the column in the footer, which comes after the one in the schema message.
    let name = payload.windows(5).rposition(|window| window == b"\x01\0\0\0n").unwrap() + 4;
    assert!(name > footer);
    let mut renamed = payload;
    renamed[name] = b'm';
    assert_eq!(codes(&renamed), [Code::FooterSchema]);
}

#[test]
fn files_do_not_replace_dictionaries() {
    let stream = forge::renumbered(3);
    let (layout, _) = walk(&stream, &Options::default());
    let part = |index: usize| stream[layout.messages[index].range()].to_vec();
    // Without a footer the file is refused anyway; the replacement is named all the same.
    let file = [b"ARROW1\0\0".to_vec(), part(0), part(1), part(1), part(2), END.to_vec()].concat();
    assert_eq!(codes(&file), [Code::DictionaryReplaced, Code::FooterMissing]);
}
