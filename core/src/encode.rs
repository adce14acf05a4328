//! Record batches to IPC payloads.

use std::borrow::Cow;

use arrow_array::{RecordBatch, RecordBatchOptions, make_array};
use arrow_data::transform::MutableArrayData;
use arrow_ipc::{
    Block, FooterBuilder, MetadataVersion,
    convert::IpcSchemaEncoder,
    writer::{
        DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions,
        write_message,
    },
};
use arrow_schema::{ArrowError, DataType, Schema, SchemaRef};

use flatbuffers::FlatBufferBuilder;

use crate::{
    codec::{ALIGNMENT, CodecOptions, FILE_MAGIC, Framing},
    compress::BodyCompressor,
};

/// End-of-stream marker: the continuation marker and a metadata length of zero.
pub const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// Why a record batch could not be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The batch's schema is not the encoder's.
    #[error("record batch has another schema than its encoder: found {found}, expected {expected}")]
    SchemaMismatch {
        /// The batch's fields, canonical form.
        found: String,
        /// The encoder's fields, canonical form.
        expected: String,
    },
    /// One row alone is larger than a payload may be.
    #[error(
        "a single row takes {bytes} bytes encoded and the limit is {limit}; raise the message limit \
         (message.max.bytes of the producer, max.message.bytes of the topic)"
    )]
    RowTooLarge {
        /// Payload size with just this row.
        bytes: usize,
        /// The largest payload allowed.
        limit: usize,
    },
    /// arrow-ipc refused the data.
    #[error("arrow-ipc cannot encode this batch")]
    Arrow(#[from] ArrowError),
}

/// Writes record batches of one schema as self-contained IPC payloads.
///
/// An encoder keeps what is the same from payload to payload: the schema message, the compression
/// context, and compressed buffers, since some columns repeat. A context remembers the level it was
/// made for and ignores any other, so an encoder belongs to one [`CodecOptions`] for life.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow_array::{Int32Array, RecordBatch};
/// # use volley_core::{codec::CodecOptions, decode::decode, encode::Encoder};
/// let batch = RecordBatch::try_from_iter([("n", Arc::new(Int32Array::from(vec![1, 2])) as _)])?;
/// let mut encoder = Encoder::new(batch.schema(), CodecOptions::default())?;
/// let payload = encoder.encode(&[batch.clone()])?;
/// assert_eq!(decode(&payload)?, [batch]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Encoder {
    schema: SchemaRef,
    options: CodecOptions,
    /// Without compression, which is [`BodyCompressor`]'s.
    write_options: IpcWriteOptions,
    context: IpcWriteContext,
    compressor: Option<BodyCompressor>,
    /// The framed schema message that starts each payload.
    schema_message: Vec<u8>,
    has_dictionaries: bool,
    /// Columns whose slices arrow-ipc writes in a form that it then refuses to read: unions and
    /// run-end encoding, at any depth.
    unsliceable: Vec<usize>,
    /// Size of the last payload: the next one is likely to need as much.
    size_hint: usize,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder")
            .field("schema", &self.schema)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Encoder {
    /// An encoder for batches of `schema`.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Arrow`] where IPC cannot carry the schema.
    pub fn new(schema: SchemaRef, options: CodecOptions) -> Result<Self, EncodeError> {
        let write_options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
        let message = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
            &schema,
            &mut DictionaryTracker::new(false),
            &write_options,
        );
        let mut schema_message = Vec::new();
        write_message(&mut schema_message, message, &write_options)?;
        Ok(Self {
            has_dictionaries: !columns_with(&schema, is_dictionary).is_empty(),
            unsliceable: columns_with(&schema, is_unsliceable),
            schema,
            options,
            write_options,
            context: write_context(),
            compressor: BodyCompressor::new(options.codec)?,
            schema_message,
            size_hint: 0,
        })
    }

    /// The schema of every batch that this encoder takes.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What decides the bytes of its payloads.
    pub fn options(&self) -> CodecOptions {
        self.options
    }

    /// One payload that holds `batches` in order; none give a payload with just the schema.
    ///
    /// A dictionary is written in full in each payload, before the first batch that uses it. Batches
    /// of one file share their dictionaries, as the format asks; in a stream one may replace another.
    ///
    /// # Errors
    ///
    /// [`EncodeError::SchemaMismatch`], or [`EncodeError::Arrow`] for batches of one file with different
    /// dictionaries; the encoder stays usable.
    pub fn encode(&mut self, batches: &[RecordBatch]) -> Result<Vec<u8>, EncodeError> {
        self.encode_with(batches, |encoder| encoder.write_payload(batches))
    }

    fn encode_with(
        &mut self,
        batches: &[RecordBatch],
        write: impl FnOnce(&mut Self) -> Result<Vec<u8>, EncodeError>,
    ) -> Result<Vec<u8>, EncodeError> {
        for batch in batches {
            self.check_schema(batch)?;
        }
        let result = write(self);
        match &result {
            // A little more than last time, so that payloads of nearly one size never grow.
            Ok(payload) => self.size_hint = payload.len() + payload.len() / 16,
            // A failure can leave a half-built flatbuffer in the context.
            Err(_) => self.context = write_context(),
        }
        result
    }

    /// The framed schema message, with which a stream begins.
    pub fn schema_message(&self) -> &[u8] {
        &self.schema_message
    }

    /// The framed messages of `batches` alone: a piece of one stream that begins with
    /// [`Self::schema_message`] and ends with [`END_OF_STREAM`]. A dictionary is written in full in each
    /// piece, and replaces the one of the piece before.
    ///
    /// # Errors
    ///
    /// As [`Self::encode`].
    pub fn encode_piece(&mut self, batches: &[RecordBatch]) -> Result<Vec<u8>, EncodeError> {
        self.encode_with(batches, |encoder| {
            let mut piece = Vec::with_capacity(encoder.size_hint);
            encoder.write_batches(&mut piece, batches)?;
            Ok(piece)
        })
    }

    /// `batch` as payloads of at most `limit` bytes, cut in half by rows as often as it takes.
    ///
    /// Returns each payload with its rows, in order; a batch that fits gives one payload.
    ///
    /// # Errors
    ///
    /// [`EncodeError::RowTooLarge`] where a single row is over the limit; otherwise as
    /// [`Self::encode`].
    pub fn encode_within(
        &mut self,
        batch: &RecordBatch,
        limit: usize,
    ) -> Result<Vec<(RecordBatch, Vec<u8>)>, EncodeError> {
        let mut done = Vec::with_capacity(1);
        let mut rest = vec![batch.clone()];
        while let Some(part) = rest.pop() {
            let payload = self.encode(std::slice::from_ref(&part))?;
            let n_rows = part.num_rows();
            if payload.len() <= limit {
                done.push((part, payload));
            } else if n_rows < 2 {
                return Err(EncodeError::RowTooLarge { bytes: payload.len(), limit });
            } else {
                let half = n_rows / 2;
                rest.push(part.slice(half, n_rows - half));
                rest.push(part.slice(0, half));
            }
        }
        Ok(done)
    }

    fn check_schema(&self, batch: &RecordBatch) -> Result<(), EncodeError> {
        let found = batch.schema_ref();
        if std::sync::Arc::ptr_eq(found, &self.schema) || found.fields() == self.schema.fields() {
            return Ok(());
        }
        Err(EncodeError::SchemaMismatch {
            found: crate::fingerprint::canonical(found),
            expected: crate::fingerprint::canonical(&self.schema),
        })
    }

    fn write_payload(&mut self, batches: &[RecordBatch]) -> Result<Vec<u8>, EncodeError> {
        let mut payload = Vec::with_capacity(self.size_hint);
        if self.options.framing == Framing::File {
            payload.extend_from_slice(FILE_MAGIC);
            payload.resize(ALIGNMENT, 0);
        }
        payload.extend_from_slice(&self.schema_message);
        let blocks = self.write_batches(&mut payload, batches)?;
        payload.extend_from_slice(&END_OF_STREAM);

        if self.options.framing == Framing::File {
            self.write_footer(&mut payload, &blocks)?;
        }
        Ok(payload)
    }

    fn write_batches(
        &mut self,
        payload: &mut Vec<u8>,
        batches: &[RecordBatch],
    ) -> Result<Blocks, EncodeError> {
        if let Some(compressor) = &mut self.compressor {
            compressor.start_payload();
        }
        let mut blocks = Blocks::default();
        let mut dictionaries = self.dictionary_tracker();
        for batch in batches {
            let (dictionary_messages, message) = IpcDataGenerator::default().encode(
                &*self.without_slices(batch)?,
                &mut dictionaries,
                &self.write_options,
                &mut self.context,
            )?;
            for dictionary in dictionary_messages {
                let block = self.write_block(payload, dictionary)?;
                blocks.dictionaries.push(block);
            }
            let block = self.write_block(payload, message)?;
            blocks.record_batches.push(block);
        }
        Ok(blocks)
    }

    /// The batch with fresh copies of the columns that must not be slices.
    fn without_slices<'b>(
        &self,
        batch: &'b RecordBatch,
    ) -> Result<Cow<'b, RecordBatch>, EncodeError> {
        if self.unsliceable.is_empty() {
            return Ok(Cow::Borrowed(batch));
        }
        let n_rows = batch.num_rows();
        let mut columns = batch.columns().to_vec();
        for column in &self.unsliceable {
            let data = columns[*column].to_data();
            let mut copy = MutableArrayData::new(vec![&data], false, n_rows);
            copy.try_extend(0, 0, n_rows)?;
            columns[*column] = make_array(copy.freeze());
        }
        let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
        Ok(Cow::Owned(RecordBatch::try_new_with_options(batch.schema(), columns, &options)?))
    }

    /// A tracker for one payload, which knows the ids that the schema message gives to
    /// dictionaries. The ids come from walking the schema once more.
    fn dictionary_tracker(&self) -> DictionaryTracker {
        let mut tracker = DictionaryTracker::new(self.options.framing == Framing::File);
        if self.has_dictionaries {
            IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
                &self.schema,
                &mut tracker,
                &self.write_options,
            );
        }
        tracker
    }

    fn write_block(
        &mut self,
        payload: &mut Vec<u8>,
        message: EncodedData,
    ) -> Result<Block, EncodeError> {
        let start = payload.len() as i64;
        let (metadata, body) = match &mut self.compressor {
            Some(compressor) => compressor.write(payload, &message)?,
            None => write_message(payload, message, &self.write_options)?,
        };
        let metadata = i32::try_from(metadata).map_err(|_| {
            ArrowError::IpcError("message metadata is longer than 2 GiB".to_owned())
        })?;
        Ok(Block::new(start, metadata, body as i64))
    }

    /// ```text
    /// footer flatbuffer | length of the footer, i32 little-endian | "ARROW1"
    /// ```
    fn write_footer(&self, payload: &mut Vec<u8>, blocks: &Blocks) -> Result<(), EncodeError> {
        let mut fbb = FlatBufferBuilder::new();
        let dictionaries = fbb.create_vector(&blocks.dictionaries);
        let record_batches = fbb.create_vector(&blocks.record_batches);
        let schema = IpcSchemaEncoder::new()
            .with_dictionary_tracker(&mut DictionaryTracker::new(false))
            .schema_to_fb_offset(&mut fbb, &self.schema);
        let mut footer = FooterBuilder::new(&mut fbb);
        footer.add_version(MetadataVersion::V5);
        footer.add_schema(schema);
        footer.add_dictionaries(dictionaries);
        footer.add_recordBatches(record_batches);
        let footer = footer.finish();
        fbb.finish(footer, None);

        let footer = fbb.finished_data();
        let length = i32::try_from(footer.len())
            .map_err(|_| ArrowError::IpcError("footer is longer than 2 GiB".to_owned()))?;
        payload.extend_from_slice(footer);
        payload.extend_from_slice(&length.to_le_bytes());
        payload.extend_from_slice(FILE_MAGIC);
        Ok(())
    }
}

/// A context that keeps room for the next body.
fn write_context() -> IpcWriteContext {
    let mut context = IpcWriteContext::default();
    context.set_reserve_scratch(true);
    context
}

/// One payload of one batch; an [`Encoder`] does the same many times, faster.
///
/// # Errors
///
/// As [`Encoder::encode`].
pub fn encode(batch: &RecordBatch, options: CodecOptions) -> Result<Vec<u8>, EncodeError> {
    Encoder::new(batch.schema(), options)?.encode(std::slice::from_ref(batch))
}

/// Where the messages of a payload start and how long they are, for the footer.
#[derive(Default)]
struct Blocks {
    dictionaries: Vec<Block>,
    record_batches: Vec<Block>,
}

fn columns_with(schema: &Schema, is_it: fn(&DataType) -> bool) -> Vec<usize> {
    let fields = schema.fields().iter().enumerate();
    fields.filter(|(_, field)| contains(field.data_type(), is_it)).map(|(i, _)| i).collect()
}

fn is_dictionary(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Dictionary(..))
}

fn is_unsliceable(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Union(..) | DataType::RunEndEncoded(..))
}

/// Whether a type, or one inside it, is as `is_it` says.
fn contains(data_type: &DataType, is_it: fn(&DataType) -> bool) -> bool {
    if is_it(data_type) {
        return true;
    }
    match data_type {
        DataType::Dictionary(_, values) => contains(values, is_it),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::FixedSizeList(field, _)
        | DataType::Map(field, _) => contains(field.data_type(), is_it),
        DataType::Struct(fields) => fields.iter().any(|field| contains(field.data_type(), is_it)),
        DataType::Union(fields, _) => {
            fields.iter().any(|(_, field)| contains(field.data_type(), is_it))
        }
        DataType::RunEndEncoded(_, values) => contains(values.data_type(), is_it),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Float64Array, StringArray, builder::StringDictionaryBuilder, types::Int8Type,
    };
    use arrow_ipc::{CompressionType, writer::StreamWriter};

    use super::*;
    use crate::{
        codec::{Codec, ZstdLevel},
        decode::decode,
    };

    fn options(codec: Codec) -> CodecOptions {
        CodecOptions { codec, framing: Framing::Stream }
    }

    fn zstd(level: u8) -> CodecOptions {
        options(Codec::Zstd(ZstdLevel::new(level).unwrap()))
    }

    /// Values with enough structure that levels differ in size.
    fn batch(n_rows: usize) -> RecordBatch {
        let values = (0..n_rows).map(|i| ((i as f64 * 0.37).sin() * 1000.0).round() / 8.0);
        let names = (0..n_rows).map(|i| format!("host-{}", i * i % 17));
        RecordBatch::try_from_iter([
            ("value", Arc::new(values.collect::<Float64Array>()) as _),
            ("name", Arc::new(StringArray::from_iter_values(names)) as _),
        ])
        .unwrap()
    }

    /// A write context keeps the level of its first use; sharing one would encode everything at it.
    #[test]
    fn each_level_gives_its_own_bytes_whatever_was_encoded_before() {
        let batch = batch(4000);
        let mut sizes = Vec::new();
        for level in [1, 9, 19, 1] {
            let mut encoder = Encoder::new(batch.schema(), zstd(level)).unwrap();
            let first = encoder.encode(std::slice::from_ref(&batch)).unwrap();
            let again = encoder.encode(std::slice::from_ref(&batch)).unwrap();
            assert_eq!(first, again, "a reused context changes nothing at level {level}");
            sizes.push(first.len());
        }
        assert!(sizes[0] > sizes[1] && sizes[1] > sizes[2], "{sizes:?}");
        assert_eq!(sizes[0], sizes[3]);
    }

    /// Buffers that repeat, that do not, and a dictionary in each payload.
    #[test]
    fn bytes_are_those_of_arrow_ipc() {
        let one = batch(1000);
        let pair = [one.clone(), batch(1001)];
        // More buffers than are remembered, and larger ones.
        let (many, large) = (vec![one.clone(); 60], [batch(20_000)]);
        let mut names = StringDictionaryBuilder::<Int8Type>::new();
        names.extend((0..400).map(|i| Some(["a", "bb", "ccc"][i % 3])));
        let column = Arc::new(names.finish()) as _;
        let dictionary = RecordBatch::try_from_iter([("d", column)]).unwrap();
        for codec in ["none", "lz4", "zstd:1", "zstd:9"] {
            let options = options(codec.parse().unwrap());
            let mut encoder = Encoder::new(one.schema(), options).unwrap();
            for batches in [&many[..1], &pair, &[], &many, &large] {
                let expected = by_arrow_ipc(one.schema_ref(), batches, options.codec);
                assert_eq!(encoder.encode(batches).unwrap(), expected, "{codec}");
                assert_eq!(encoder.encode(batches).unwrap(), expected, "{codec}, again");
            }
            let mut encoder = Encoder::new(dictionary.schema(), options).unwrap();
            let batches = std::slice::from_ref(&dictionary);
            let expected = by_arrow_ipc(dictionary.schema_ref(), batches, options.codec);
            for _ in 0..2 {
                assert_eq!(encoder.encode(batches).unwrap(), expected, "{codec}, dictionary");
            }
        }
    }

    fn by_arrow_ipc(schema: &SchemaRef, batches: &[RecordBatch], codec: Codec) -> Vec<u8> {
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5).unwrap();
        let options = match codec {
            Codec::None => Ok(options),
            Codec::Lz4 => options.try_with_compression(Some(CompressionType::LZ4_FRAME)),
            Codec::Zstd(level) => options
                .try_with_compression(Some(CompressionType::ZSTD))
                .unwrap()
                .try_with_compression_level(Some(i32::from(level.get()))),
        };
        let mut writer =
            StreamWriter::try_new_with_options(Vec::new(), schema, options.unwrap()).unwrap();
        batches.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.into_inner().unwrap()
    }

    #[test]
    fn a_batch_over_the_limit_is_cut_by_rows_and_keeps_their_order() {
        let batch = batch(1000);
        let mut encoder = Encoder::new(batch.schema(), options(Codec::None)).unwrap();
        let whole = encoder.encode(std::slice::from_ref(&batch)).unwrap().len();
        let parts = encoder.encode_within(&batch, whole / 5).unwrap();
        assert!(parts.len() >= 5);
        assert!(parts.iter().all(|(_, payload)| payload.len() <= whole / 5));
        let back: Vec<_> = parts.iter().flat_map(|(_, payload)| decode(payload).unwrap()).collect();
        assert_eq!(arrow_select::concat::concat_batches(&batch.schema(), &back).unwrap(), batch);
        assert_eq!(encoder.encode_within(&batch, whole).unwrap().len(), 1);
    }

    #[test]
    fn a_row_over_the_limit_is_an_error_with_both_sizes() {
        let batch = batch(3);
        let mut encoder = Encoder::new(batch.schema(), options(Codec::None)).unwrap();
        let error = encoder.encode_within(&batch, 100).unwrap_err();
        assert!(matches!(error, EncodeError::RowTooLarge { bytes, limit: 100 } if bytes > 100));
    }

    #[test]
    fn another_schema_is_refused_by_name() {
        let mut encoder = Encoder::new(batch(1).schema(), CodecOptions::default()).unwrap();
        let other = batch(1).project(&[1]).unwrap();
        let error = encoder.encode(&[other]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "record batch has another schema than its encoder: found \"name\" utf8 not \
             null, expected \"value\" float64 not null, \"name\" utf8 not null"
        );
    }

    #[test]
    fn every_payload_carries_its_dictionaries() {
        let mut builder = StringDictionaryBuilder::<Int8Type>::new();
        builder.extend(["a", "b", "a"].map(Some));
        let column = Arc::new(builder.finish()) as _;
        let batch = RecordBatch::try_from_iter([("d", column)]).unwrap();
        for framing in [Framing::Stream, Framing::File] {
            let options = CodecOptions { framing, ..CodecOptions::default() };
            let mut encoder = Encoder::new(batch.schema(), options).unwrap();
            for _ in 0..2 {
                let payload = encoder.encode(std::slice::from_ref(&batch)).unwrap();
                assert_eq!(decode(&payload).unwrap(), std::slice::from_ref(&batch));
            }
        }
    }
}
