//! Builds messages field by field, to say in a payload what no writer would.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::writer::DictionaryTracker;
use arrow_ipc::{
    BodyCompressionBuilder, Buffer, CompressionType, DictionaryBatchBuilder, Endianness, FieldNode,
    MessageBuilder, MessageHeader, MetadataVersion, RecordBatchBuilder, SchemaBuilder,
};
use arrow_schema::{DataType, Field, Schema};
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};
use volley_core::layout::{
    BufferKind, BufferLayout, Code, Codec, Diagnostic, Layout, MessageKind, MessageLayout, Options,
    check, walk,
};

pub const END: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// A record batch, or the values of a dictionary.
#[derive(Clone, Debug)]
pub struct Batch {
    pub rows: i64,
    /// Length and null count.
    pub nodes: Vec<(i64, i64)>,
    /// Offset and length.
    pub buffers: Vec<(i64, i64)>,
    pub variadic: Vec<i64>,
    pub codec: Option<CompressionType>,
    pub body: Vec<u8>,
    /// Dictionary id, and whether it is a delta.
    pub dictionary: Option<(i64, bool)>,
}

/// Rows of one `Int64` column without nulls.
impl Default for Batch {
    fn default() -> Self {
        Self {
            rows: 4,
            nodes: vec![(4, 0)],
            buffers: vec![(0, 0), (0, 32)],
            variadic: Vec::new(),
            codec: None,
            body: vec![7; 32],
            dictionary: None,
        }
    }
}

impl Batch {
    pub fn message(&self) -> Vec<u8> {
        let mut fbb = FlatBufferBuilder::new();
        let nodes: Vec<FieldNode> =
            self.nodes.iter().map(|&(len, nulls)| FieldNode::new(len, nulls)).collect();
        let nodes = fbb.create_vector(&nodes);
        let buffers: Vec<Buffer> =
            self.buffers.iter().map(|&(offset, len)| Buffer::new(offset, len)).collect();
        let buffers = fbb.create_vector(&buffers);
        let variadic = (!self.variadic.is_empty()).then(|| fbb.create_vector(&self.variadic));
        let compression = self.codec.map(|codec| {
            let mut compression = BodyCompressionBuilder::new(&mut fbb);
            compression.add_codec(codec);
            compression.finish()
        });
        let mut batch = RecordBatchBuilder::new(&mut fbb);
        batch.add_length(self.rows);
        batch.add_nodes(nodes);
        batch.add_buffers(buffers);
        if let Some(compression) = compression {
            batch.add_compression(compression);
        }
        if let Some(variadic) = variadic {
            batch.add_variadicBufferCounts(variadic);
        }
        let batch = batch.finish();
        let (kind, header) = match self.dictionary {
            None => (MessageHeader::RecordBatch, batch.as_union_value()),
            Some((id, is_delta)) => {
                let mut dictionary = DictionaryBatchBuilder::new(&mut fbb);
                dictionary.add_id(id);
                dictionary.add_isDelta(is_delta);
                dictionary.add_data(batch);
                (MessageHeader::DictionaryBatch, dictionary.finish().as_union_value())
            }
        };
        let mut message = finish(fbb, kind, header, self.body.len() as i64, MetadataVersion::V5);
        message.extend(&self.body);
        message
    }
}

/// A schema message in either byte order.
pub fn schema(schema: &Schema, endianness: Endianness) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let mut tracker = DictionaryTracker::new(false);
    let mut encoder = IpcSchemaEncoder::new().with_dictionary_tracker(&mut tracker);
    let little = encoder.schema_to_fb_offset(&mut fbb, schema);
    let header = match endianness {
        Endianness::Little => little,
        // The encoder knows only one byte order: the same fields go into another table.
        _ => {
            let mut other = FlatBufferBuilder::new();
            let fields: Vec<_> =
                schema.fields().iter().map(|field| int_field(&mut other, field.name())).collect();
            let fields = other.create_vector(&fields);
            let mut builder = SchemaBuilder::new(&mut other);
            builder.add_endianness(endianness);
            builder.add_fields(fields);
            let header = builder.finish();
            fbb = other;
            header
        }
    };
    finish(fbb, MessageHeader::Schema, header.as_union_value(), 0, MetadataVersion::V5)
}

fn int_field<'a>(fbb: &mut FlatBufferBuilder<'a>, name: &str) -> WIPOffset<arrow_ipc::Field<'a>> {
    let name = fbb.create_string(name);
    let mut int = arrow_ipc::IntBuilder::new(fbb);
    int.add_bitWidth(64);
    int.add_is_signed(true);
    let int = int.finish();
    let mut field = arrow_ipc::FieldBuilder::new(fbb);
    field.add_name(name);
    field.add_type_type(arrow_ipc::Type::Int);
    field.add_type_(int.as_union_value());
    field.finish()
}

/// Frames a finished header as a message without its body.
pub fn finish(
    mut fbb: FlatBufferBuilder<'_>,
    kind: MessageHeader,
    header: WIPOffset<UnionWIPOffset>,
    body_len: i64,
    version: MetadataVersion,
) -> Vec<u8> {
    let mut message = MessageBuilder::new(&mut fbb);
    message.add_version(version);
    message.add_header_type(kind);
    message.add_header(header);
    message.add_bodyLength(body_len);
    let message = message.finish();
    fbb.finish(message, None);
    framed(fbb.finished_data())
}

/// Puts a prefix before a flatbuffer, and padding after it.
pub fn framed(metadata: &[u8]) -> Vec<u8> {
    let padded_len = metadata.len().next_multiple_of(8);
    let mut message = vec![0xff; 4];
    message.extend((padded_len as i32).to_le_bytes());
    message.extend(metadata);
    message.resize(8 + padded_len, 0);
    message
}

/// A stream of one dictionary-encoded column `d` of integers, with this dictionary id.
pub fn renumbered(id: i64) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let name = fbb.create_string("d");
    let int = |fbb: &mut FlatBufferBuilder<'_>, width| {
        let mut int = arrow_ipc::IntBuilder::new(fbb);
        int.add_bitWidth(width);
        int.add_is_signed(true);
        int.finish().value()
    };
    let (keys, values) = (WIPOffset::new(int(&mut fbb, 32)), WIPOffset::new(int(&mut fbb, 64)));
    let mut dictionary = arrow_ipc::DictionaryEncodingBuilder::new(&mut fbb);
    dictionary.add_id(id);
    dictionary.add_indexType(keys);
    let dictionary = dictionary.finish();
    let mut field = arrow_ipc::FieldBuilder::new(&mut fbb);
    field.add_name(name);
    field.add_nullable(true);
    field.add_type_type(arrow_ipc::Type::Int);
    field.add_type_(values);
    field.add_dictionary(dictionary);
    let field = field.finish();
    let fields = fbb.create_vector(&[field]);
    let mut schema = SchemaBuilder::new(&mut fbb);
    schema.add_fields(fields);
    let schema = schema.finish().as_union_value();
    let keys = Batch { buffers: vec![(0, 0), (0, 16)], body: vec![0; 16], ..Batch::default() };
    [
        finish(fbb, MessageHeader::Schema, schema, 0, MetadataVersion::V5),
        Batch { dictionary: Some((id, false)), ..Batch::default() }.message(),
        keys.message(),
        END.to_vec(),
    ]
    .concat()
}

/// The dictionary message of a payload again, as a delta.
pub fn as_delta(payload: &[u8], layout: &Layout, message: &MessageLayout) -> Vec<u8> {
    let MessageKind::Dictionary { id, .. } = message.kind else { panic!("no dictionary") };
    let body = message.body_offset();
    let buffers = layout.buffers_of(message);
    let views = buffers.iter().filter(|buffer| buffer.kind == BufferKind::Views);
    let is_data_of =
        |column| move |b: &&BufferLayout| b.kind == BufferKind::ViewData && b.column == column;
    let batch = Batch {
        rows: message.rows as i64,
        nodes: layout
            .nodes_of(message)
            .iter()
            .map(|n| (n.len as i64, n.null_count as i64))
            .collect(),
        buffers: buffers.iter().map(|b| ((b.offset - body) as i64, b.stored as i64)).collect(),
        variadic: views
            .map(|v| buffers.iter().filter(is_data_of(v.column)).count() as i64)
            .collect(),
        codec: match message.codec {
            Codec::None => None,
            Codec::Lz4 => Some(CompressionType::LZ4_FRAME),
            Codec::Zstd => Some(CompressionType::ZSTD),
        },
        body: payload[body..message.range().end].to_vec(),
        dictionary: Some((id, true)),
    };
    batch.message()
}

/// A schema message whose dictionary-encoded integer columns all have dictionary id 5.
pub fn one_dictionary_id(columns: &[Field]) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let mut fields = Vec::new();
    for column in columns {
        let DataType::Dictionary(_, values) = column.data_type() else {
            continue;
        };
        let name = fbb.create_string(column.name());
        let mut int = arrow_ipc::IntBuilder::new(&mut fbb);
        int.add_bitWidth(values.primitive_width().unwrap_or_default() as i32 * 8);
        int.add_is_signed(true);
        let int = int.finish();
        let mut dictionary = arrow_ipc::DictionaryEncodingBuilder::new(&mut fbb);
        dictionary.add_id(5);
        dictionary.add_indexType(int);
        let dictionary = dictionary.finish();
        let mut field = arrow_ipc::FieldBuilder::new(&mut fbb);
        field.add_name(name);
        field.add_type_type(arrow_ipc::Type::Int);
        field.add_type_(int.as_union_value());
        field.add_dictionary(dictionary);
        fields.push(field.finish());
    }
    let fields = fbb.create_vector(&fields);
    let mut schema = SchemaBuilder::new(&mut fbb);
    schema.add_fields(fields);
    let schema = schema.finish().as_union_value();
    finish(fbb, MessageHeader::Schema, schema, 0, MetadataVersion::V5)
}

/// A schema message of one column of lists, `depth` deep.
pub fn deep(depth: usize) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let name = fbb.create_string("c");
    let null = arrow_ipc::NullBuilder::new(&mut fbb).finish();
    let mut field = arrow_ipc::FieldBuilder::new(&mut fbb);
    field.add_name(name);
    field.add_type_type(arrow_ipc::Type::Null);
    field.add_type_(null.as_union_value());
    let mut child = field.finish();
    for _ in 0..depth {
        let list = arrow_ipc::ListBuilder::new(&mut fbb).finish();
        let children = fbb.create_vector(&[child]);
        let mut field = arrow_ipc::FieldBuilder::new(&mut fbb);
        field.add_name(name);
        field.add_type_type(arrow_ipc::Type::List);
        field.add_type_(list.as_union_value());
        field.add_children(children);
        child = field.finish();
    }
    let fields = fbb.create_vector(&[child]);
    let mut schema = SchemaBuilder::new(&mut fbb);
    schema.add_fields(fields);
    let schema = schema.finish().as_union_value();
    finish(fbb, MessageHeader::Schema, schema, 0, MetadataVersion::V5)
}

/// A schema of one column of numbers.
pub fn ints() -> Schema {
    Schema::new(vec![Field::new("n", DataType::Int64, true)])
}

/// Schema, batches, end marker.
pub fn stream(schema: &Schema, batches: &[Batch]) -> Vec<u8> {
    let mut payload = self::schema(schema, Endianness::Little);
    batches.iter().for_each(|batch| payload.extend(batch.message()));
    payload.extend(END);
    payload
}

/// What the walk finds.
pub fn codes(payload: &[u8]) -> Vec<Code> {
    walk(payload, &Options::default()).1.iter().map(|diagnostic| diagnostic.code).collect()
}

pub fn first_error(payload: &[u8], options: &Options) -> Diagnostic {
    *check(payload, options).unwrap_err()
}

/// A stream of one `Int64` column whose batch has exactly one fault.
#[track_caller]
pub fn fault(batch: Batch, code: Code) {
    assert_eq!(codes(&stream(&ints(), &[batch])), [code]);
}
