//! Columns that say where each row comes from: topic, partition and offset of its message.
//!
//! They are the same for all rows of a message, so they are added to its record batches as they lie
//! there: the flatbuffer is written anew with three columns more, and their buffers follow behind the
//! body. Nothing is decompressed or decoded for it.
//!
//! | column | Arrow | ClickHouse |
//! |---|---|---|
//! | `_topic` | dictionary(int8, utf8) | `LowCardinality(String)` |
//! | `_partition` | uint32 | `UInt32` |
//! | `_offset` | uint64 | `UInt64` |
//!
//! The names are those that ClickHouse's own Kafka engine gives them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int8Array, StringArray, UInt32Array, UInt64Array};
use arrow_ipc::{
    BodyCompressionBuilder, Buffer, DictionaryBatchBuilder, FieldNode, MessageBuilder,
    MessageHeader, MetadataVersion, RecordBatchBuilder, root_as_message,
};
use arrow_schema::{DataType, Field, Schema};
use flatbuffers::{FlatBufferBuilder, UnionWIPOffset, WIPOffset};

use crate::{
    codec::ZstdLevel,
    compress::Method,
    layout::{Codec, MessageLayout},
};

/// Names of the columns.
pub const COLUMNS: [&str; 3] = ["_topic", "_partition", "_offset"];

/// Bytes to whose multiples buffers are padded.
const ALIGNMENT: usize = 8;

/// The raw length of a buffer that is stored as it is.
const STORED_RAW: i64 = -1;

/// Where the messages of a stream come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Their topic.
    pub topic: Arc<str>,
    /// Their partition.
    pub partition: u32,
}

/// A schema has a column already that would say where rows come from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the messages have a column '{column}' of their own")]
pub struct NameClash {
    /// The column.
    pub column: &'static str,
}

/// A schema with the three columns at its end.
///
/// # Errors
///
/// [`NameClash`].
pub fn with_origin(schema: &Schema) -> Result<Schema, NameClash> {
    if let Some(&column) = COLUMNS.iter().find(|name| schema.field_with_name(name).is_ok()) {
        return Err(NameClash { column });
    }
    let topic = DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into());
    let types = [topic, DataType::UInt32, DataType::UInt64];
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.extend(
        COLUMNS.into_iter().zip(types).map(|(name, kind)| Arc::new(Field::new(name, kind, false))),
    );
    Ok(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

impl Origin {
    /// The three columns for `n_rows` rows of the message at `offset`.
    pub fn arrays(&self, offset: u64, n_rows: usize) -> [ArrayRef; 3] {
        let topic = Arc::new(StringArray::from(vec![&*self.topic]));
        let keys = Int8Array::from(vec![0; n_rows]);
        [
            Arc::new(DictionaryArray::new(keys, topic)),
            Arc::new(UInt32Array::from(vec![self.partition; n_rows])),
            Arc::new(UInt64Array::from(vec![offset; n_rows])),
        ]
    }

    /// The message with the one value that the topic column has.
    ///
    /// ```text
    /// flatbuffer | offsets: 0, length of the topic, i32 | topic, padded
    /// ```
    pub(crate) fn dictionary(&self, id: i64, version: MetadataVersion) -> Option<Vec<u8>> {
        let len = i32::try_from(self.topic.len()).ok()?;
        let mut builder = FlatBufferBuilder::new();
        let mut body = [0_i32.to_le_bytes(), len.to_le_bytes()].concat();
        body.extend_from_slice(self.topic.as_bytes());
        body.resize(body.len().next_multiple_of(ALIGNMENT), 0);
        let buffers = [Buffer::new(0, 0), Buffer::new(0, 8), Buffer::new(8, i64::from(len))];
        let buffers = builder.create_vector(&buffers);
        let nodes = builder.create_vector(&[FieldNode::new(1, 0)]);
        let mut values = RecordBatchBuilder::new(&mut builder);
        values.add_length(1);
        values.add_nodes(nodes);
        values.add_buffers(buffers);
        let values = values.finish();
        let mut dictionary = DictionaryBatchBuilder::new(&mut builder);
        dictionary.add_id(id);
        dictionary.add_data(values);
        let header = dictionary.finish().as_union_value();
        let kind = MessageHeader::DictionaryBatch;
        let mut message = finish(&mut builder, version, kind, header, body.len())?;
        message.extend_from_slice(&body);
        Some(message)
    }
}

/// Adds the columns to one record batch after another.
pub(crate) struct OriginColumns {
    partition: u32,
    builder: FlatBufferBuilder<'static>,
    frame: Vec<u8>,
    /// Buffers of topic and partition, which are the same for as many rows.
    constant: Option<Constant>,
}

struct Constant {
    n_rows: usize,
    codec: Codec,
    method: Option<Method>,
    bytes: Vec<u8>,
    /// Where the two begin and end in it.
    buffers: [(usize, usize); 2],
}

impl std::fmt::Debug for OriginColumns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OriginColumns").field("partition", &self.partition).finish_non_exhaustive()
    }
}

impl OriginColumns {
    pub(crate) fn new(partition: u32) -> Self {
        Self { partition, builder: FlatBufferBuilder::new(), frame: Vec::new(), constant: None }
    }

    /// A record-batch message with the three columns, for the message at `offset`, in pieces: flatbuffer,
    /// the body as it lies in the payload, buffers. `None` of one that the walk would not have passed.
    pub(crate) fn extend<'p>(
        &mut self,
        payload: &'p [u8],
        message: &MessageLayout,
        offset: u64,
    ) -> Option<[Cow<'p, [u8]>; 3]> {
        let metadata = payload.get(message.offset + message.prefix_len..message.body_offset())?;
        let header = root_as_message(metadata).ok()?;
        let batch = header.header_as_record_batch()?;
        let body = payload.get(message.body_range())?;
        let n_rows = usize::try_from(message.rows).ok()?;

        let mut buffers: Vec<Buffer> = batch.buffers().into_iter().flatten().copied().collect();
        let tail = self.buffers(n_rows, message.codec, offset, body.len(), &mut buffers)?;
        let mut nodes: Vec<FieldNode> = batch.nodes().into_iter().flatten().copied().collect();
        nodes.extend([FieldNode::new(batch.length(), 0); 3]);
        let variadic: Option<Vec<i64>> =
            batch.variadicBufferCounts().map(|counts| counts.iter().collect());

        let builder = &mut self.builder;
        let compression = batch.compression().map(|found| {
            let mut compression = BodyCompressionBuilder::new(builder);
            compression.add_method(found.method());
            compression.add_codec(found.codec());
            compression.finish()
        });
        let buffers = builder.create_vector(&buffers);
        let nodes = builder.create_vector(&nodes);
        let variadic = variadic.map(|counts| builder.create_vector(&counts));
        let mut extended = RecordBatchBuilder::new(builder);
        extended.add_length(batch.length());
        extended.add_nodes(nodes);
        extended.add_buffers(buffers);
        if let Some(compression) = compression {
            extended.add_compression(compression);
        }
        if let Some(variadic) = variadic {
            extended.add_variadicBufferCounts(variadic);
        }
        let extended = extended.finish().as_union_value();
        let kind = MessageHeader::RecordBatch;
        let body_len = body.len() + tail.len();
        let metadata = finish(builder, header.version(), kind, extended, body_len)?;
        Some([metadata.into(), body.into(), tail.into()])
    }

    /// The buffers, which come behind `start` bytes; where they lie is appended to `list`.
    fn buffers(
        &mut self,
        n_rows: usize,
        codec: Codec,
        offset: u64,
        start: usize,
        list: &mut Vec<Buffer>,
    ) -> Option<Vec<u8>> {
        if !self
            .constant
            .as_ref()
            .is_some_and(|found| (found.n_rows, found.codec) == (n_rows, codec))
        {
            self.constant = Some(Constant::new(n_rows, codec, self.partition, &mut self.frame)?);
        }
        let constant = self.constant.as_mut()?;
        let mut tail = Vec::with_capacity(constant.bytes.len() + 64);
        tail.extend_from_slice(&constant.bytes);
        let offsets = offset.to_le_bytes().repeat(n_rows);
        let last = push(&mut tail, &offsets, constant.method.as_mut(), &mut self.frame)?;
        for (from, to) in constant.buffers.into_iter().chain([last]) {
            let at = i64::try_from(start + from).ok()?;
            // No nulls.
            list.push(Buffer::new(at, 0));
            list.push(Buffer::new(at, i64::try_from(to - from).ok()?));
        }
        Some(tail)
    }
}

impl Constant {
    fn new(n_rows: usize, codec: Codec, partition: u32, frame: &mut Vec<u8>) -> Option<Self> {
        let mut method = match codec {
            Codec::None => None,
            Codec::Lz4 => Some(Method::Lz4),
            Codec::Zstd => Some(Method::zstd(ZstdLevel::default()).ok()?),
        };
        let mut bytes = Vec::new();
        let topic = push(&mut bytes, &vec![0; n_rows], method.as_mut(), frame)?;
        let partitions = partition.to_le_bytes().repeat(n_rows);
        let partitions = push(&mut bytes, &partitions, method.as_mut(), frame)?;
        Some(Self { n_rows, codec, method, bytes, buffers: [topic, partitions] })
    }
}

/// Appends a buffer, padded; returns where it begins and ends.
fn push(
    bytes: &mut Vec<u8>,
    raw: &[u8],
    method: Option<&mut Method>,
    frame: &mut Vec<u8>,
) -> Option<(usize, usize)> {
    let start = bytes.len();
    match method {
        Some(method) if !raw.is_empty() => {
            method.compress(raw, frame).ok()?;
            let is_smaller = frame.len() < raw.len();
            let len = if is_smaller { i64::try_from(raw.len()).ok()? } else { STORED_RAW };
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(if is_smaller { frame } else { raw });
        }
        _ => bytes.extend_from_slice(raw),
    }
    let end = bytes.len();
    bytes.resize(end.next_multiple_of(ALIGNMENT), 0);
    Some((start, end))
}

/// The flatbuffer of a message, framed; the builder is empty afterwards.
fn finish(
    builder: &mut FlatBufferBuilder<'static>,
    version: MetadataVersion,
    kind: MessageHeader,
    header: WIPOffset<UnionWIPOffset>,
    body_len: usize,
) -> Option<Vec<u8>> {
    let mut root = MessageBuilder::new(builder);
    root.add_version(version);
    root.add_header_type(kind);
    root.add_bodyLength(i64::try_from(body_len).ok()?);
    root.add_header(header);
    let root = root.finish();
    builder.finish(root, None);
    let message = crate::splice::framed(builder.finished_data());
    builder.reset();
    message
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int32Array, RecordBatch};

    use super::*;
    use crate::{
        codec::{self, CodecOptions, Framing},
        decode::decode,
        encode::Encoder,
        layout::{self, Options},
        splice::{SpliceError, Splicer},
    };

    fn words(words: &[&str]) -> ArrayRef {
        Arc::new(words.iter().copied().collect::<DictionaryArray<arrow_array::types::Int8Type>>())
    }

    fn batch(numbers: Vec<Option<i32>>, texts: &[&str]) -> RecordBatch {
        let n: ArrayRef = Arc::new(Int32Array::from(numbers));
        let plain: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        let columns = [n, words(texts), plain];
        let fields = ["n", "word", "text"].into_iter().zip(&columns);
        let fields: Vec<_> =
            fields.map(|(name, array)| Field::new(name, array.data_type().clone(), true)).collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into()).unwrap()
    }

    fn with_columns(batch: &RecordBatch, origin: &Origin, offset: u64) -> RecordBatch {
        let schema = Arc::new(with_origin(&batch.schema()).unwrap());
        let more = origin.arrays(offset, batch.num_rows());
        RecordBatch::try_new(schema, [batch.columns(), &more].concat()).unwrap()
    }

    /// Payloads of several batches, with dictionaries, and without rows, in every framing and codec.
    #[test]
    fn rows_have_their_origin_and_are_otherwise_the_same() {
        let origin = Origin { topic: "a topic".into(), partition: 7 };
        let zstd = codec::Codec::Zstd(ZstdLevel::default());
        let kinds = [
            (codec::Codec::None, Framing::Stream),
            (codec::Codec::Lz4, Framing::File),
            (zstd, Framing::Stream),
            (zstd, Framing::File),
        ];
        let batches = [
            batch(vec![Some(1), None, Some(3)], &["a", "b", "a"]),
            batch(vec![], &[]),
            batch((0..1000).map(Some).collect(), &["c"; 1000]),
        ];
        let mut payloads = Vec::new();
        let mut expected = Vec::new();
        for (offset, (codec, framing)) in (u64::MAX - 9..).zip(kinds) {
            // A file has each dictionary once.
            let batches = if framing == Framing::File { &batches[2..] } else { &batches[..] };
            let mut encoder =
                Encoder::new(batches[0].schema(), CodecOptions { codec, framing }).unwrap();
            payloads.push((offset, encoder.encode(batches).unwrap().to_vec()));
            expected.extend(batches.iter().map(|batch| with_columns(batch, &origin, offset)));
        }
        let mut splicer = Splicer::new(&Options::default()).with_origin(origin);
        for (offset, payload) in &payloads {
            splicer.push_from(payload, *offset).unwrap();
        }
        let stream = splicer.finish().unwrap().to_vec();
        layout::check(&stream, &Options::default()).unwrap();
        assert_eq!(decode(&stream).unwrap(), expected);
        // All but what is said of each row once is there as it was.
        let added = stream.len() - payloads.iter().map(|(_, payload)| payload.len()).sum::<usize>();
        let uncompressed = 1003 * 13;
        assert!(added < uncompressed + 8_000, "{added}");
    }

    #[test]
    fn a_column_of_that_name_is_a_clash() {
        let schema = Schema::new(vec![Field::new("_offset", DataType::Int64, false)]);
        assert_eq!(with_origin(&schema), Err(NameClash { column: "_offset" }));
        let batch = RecordBatch::try_from_iter([("_topic", words(&["a"]))]).unwrap();
        let payload = crate::encode::encode(&batch, CodecOptions::default()).unwrap();
        let origin = Origin { topic: "t".into(), partition: 0 };
        let mut splicer = Splicer::new(&Options::default()).with_origin(origin);
        let refused = splicer.push(&payload).unwrap_err();
        assert_eq!(refused, SpliceError::Origin { payload: 0 });
    }
}
