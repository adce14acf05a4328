//! Compresses the body of an IPC message, buffer by buffer.

use std::io::Write;

use arrow_ipc::{
    BodyCompressionBuilder, BodyCompressionMethod, Buffer, CompressionType, DictionaryBatchBuilder,
    FieldNode, Message, MessageBuilder, RecordBatch, RecordBatchBuilder, root_as_message,
    writer::EncodedData,
};
use arrow_schema::ArrowError;
use flatbuffers::FlatBufferBuilder;
use lz4_flex::frame::FrameEncoder;
use zstd::{bulk, zstd_safe::compress_bound};

use crate::codec::{ALIGNMENT, Codec, ZstdLevel};

const CONTINUATION: [u8; 4] = [0xff; 4];
const PREFIX_LEN: usize = 8;

/// Stands for the raw length of a buffer that is stored as it is, because that is smaller.
const STORED_RAW: i64 = -1;

/// Buffers that are remembered: the first so many of a payload, up to so many bytes each. With
/// their frames that is at most 32 MiB, where a payload is that large.
const MAX_REMEMBERED: usize = 256;
const MAX_REMEMBERED_BYTES: usize = 1 << 16;

/// Compresses the messages of payload after payload at one level.
///
/// arrow-ipc could do it while it encodes, with the same bytes as the result. But it would compress
/// again what is the same in every payload (the name of a device, its offsets, dictionaries), which
/// here costs a comparison, and it allocates and copies more.
pub(crate) struct BodyCompressor {
    method: Method,
    builder: FlatBufferBuilder<'static>,
    body: Vec<u8>,
    /// What the buffers of the last payload became, by their number in it.
    remembered: Vec<Compressed>,
    /// The same for buffers that are not remembered.
    passing: Compressed,
    /// Buffers of the current payload so far.
    n_buffers: usize,
}

/// How a buffer is compressed.
pub(crate) enum Method {
    Lz4,
    /// The context remembers its level and ignores any other.
    Zstd(bulk::Compressor<'static>),
}

#[derive(Default)]
struct Compressed {
    raw: Vec<u8>,
    frame: Vec<u8>,
}

impl BodyCompressor {
    /// A compressor, or `None` where there is nothing to compress with.
    pub(crate) fn new(codec: Codec) -> Result<Option<Self>, ArrowError> {
        let method = match codec {
            Codec::None => return Ok(None),
            Codec::Lz4 => Method::Lz4,
            Codec::Zstd(level) => Method::zstd(level)?,
        };
        Ok(Some(Self {
            method,
            builder: FlatBufferBuilder::new(),
            body: Vec::new(),
            remembered: Vec::new(),
            passing: Compressed::default(),
            n_buffers: 0,
        }))
    }

    /// Starts a payload: its first buffer is compared with the first of the payload before.
    pub(crate) fn start_payload(&mut self) {
        self.n_buffers = 0;
    }

    /// Appends an uncompressed message to `payload`, compressed; returns the lengths of its
    /// metadata, prefix included, and of its body.
    ///
    /// ```text
    /// FFFFFFFF | length of the flatbuffer, i32 | flatbuffer, padded | body
    /// ```
    pub(crate) fn write(
        &mut self,
        payload: &mut Vec<u8>,
        message: &EncodedData,
    ) -> Result<(usize, usize), ArrowError> {
        let malformed = || ArrowError::IpcError("arrow-ipc wrote a malformed message".to_owned());
        let header = root_as_message(&message.ipc_message).map_err(|_| malformed())?;
        let dictionary = header.header_as_dictionary_batch();
        let batch = match dictionary {
            Some(dictionary) => dictionary.data(),
            None => header.header_as_record_batch(),
        };
        let batch = batch.ok_or_else(malformed)?;

        self.body.clear();
        let mut buffers = Vec::with_capacity(batch.buffers().map_or(0, |list| list.len()));
        for buffer in batch.buffers().into_iter().flatten() {
            let (start, len) = (buffer.offset() as usize, buffer.length() as usize);
            let raw = message.arrow_data.get(start..start + len).ok_or_else(malformed)?;
            let offset = self.body.len();
            self.add_buffer(raw)?;
            buffers.push(Buffer::new(offset as i64, (self.body.len() - offset) as i64));
            self.body.resize(self.body.len().next_multiple_of(ALIGNMENT), 0);
        }
        self.build_metadata(&header, &batch, &buffers);
        let metadata = self.builder.finished_data();
        let metadata_len = metadata.len().next_multiple_of(ALIGNMENT);
        let start = payload.len();
        payload.extend_from_slice(&CONTINUATION);
        payload.extend_from_slice(&(metadata_len as i32).to_le_bytes());
        payload.extend_from_slice(metadata);
        payload.resize(start + PREFIX_LEN + metadata_len, 0);
        payload.extend_from_slice(&self.body);
        self.builder.reset();
        Ok((PREFIX_LEN + metadata_len, self.body.len()))
    }

    /// ```text
    /// raw length, i64 | frame          or, where that is smaller,   -1, i64 | raw bytes
    /// ```
    ///
    /// An empty buffer stays empty.
    fn add_buffer(&mut self, raw: &[u8]) -> Result<(), ArrowError> {
        let number = self.n_buffers;
        self.n_buffers += 1;
        if raw.is_empty() {
            return Ok(());
        }
        let is_kept = number < MAX_REMEMBERED && raw.len() <= MAX_REMEMBERED_BYTES;
        let compressed = if is_kept {
            if self.remembered.len() <= number {
                self.remembered.resize_with(number + 1, Compressed::default);
            }
            &mut self.remembered[number]
        } else {
            &mut self.passing
        };
        if !is_kept || compressed.raw != raw {
            compressed.raw.clear();
            self.method.compress(raw, &mut compressed.frame)?;
            if is_kept {
                compressed.raw.extend_from_slice(raw);
            }
        }
        let frame = &compressed.frame;
        let (length, bytes) = if size_of::<i64>() + frame.len() > raw.len() {
            (STORED_RAW, raw)
        } else {
            (raw.len() as i64, &frame[..])
        };
        self.body.extend_from_slice(&length.to_le_bytes());
        self.body.extend_from_slice(bytes);
        Ok(())
    }

    /// The message's flatbuffer, with the compression and with the buffers where they are now.
    fn build_metadata(
        &mut self,
        message: &Message<'_>,
        batch: &RecordBatch<'_>,
        buffers: &[Buffer],
    ) {
        let builder = &mut self.builder;
        let compression = {
            let mut compression = BodyCompressionBuilder::new(builder);
            compression.add_method(BodyCompressionMethod::BUFFER);
            compression.add_codec(self.method.compression_type());
            compression.finish()
        };
        let nodes: Vec<FieldNode> = batch.nodes().into_iter().flatten().copied().collect();
        let variadic: Option<Vec<i64>> =
            batch.variadicBufferCounts().map(|counts| counts.iter().collect());
        let buffers = builder.create_vector(buffers);
        let nodes = builder.create_vector(&nodes);
        let variadic = variadic.map(|counts| builder.create_vector(&counts));

        let mut compressed = RecordBatchBuilder::new(builder);
        compressed.add_length(batch.length());
        compressed.add_nodes(nodes);
        compressed.add_buffers(buffers);
        compressed.add_compression(compression);
        if let Some(variadic) = variadic {
            compressed.add_variadicBufferCounts(variadic);
        }
        let compressed = compressed.finish();
        let header = match message.header_as_dictionary_batch() {
            None => compressed.as_union_value(),
            Some(dictionary) => {
                let mut header = DictionaryBatchBuilder::new(builder);
                header.add_id(dictionary.id());
                header.add_data(compressed);
                header.add_isDelta(dictionary.isDelta());
                header.finish().as_union_value()
            }
        };
        let mut root = MessageBuilder::new(builder);
        root.add_version(message.version());
        root.add_header_type(message.header_type());
        root.add_bodyLength(self.body.len() as i64);
        root.add_header(header);
        let root = root.finish();
        builder.finish(root, None);
    }
}

impl Method {
    pub(crate) fn zstd(level: ZstdLevel) -> Result<Self, ArrowError> {
        Ok(Self::Zstd(bulk::Compressor::new(i32::from(level.get()))?))
    }

    fn compression_type(&self) -> CompressionType {
        match self {
            Self::Lz4 => CompressionType::LZ4_FRAME,
            Self::Zstd(_) => CompressionType::ZSTD,
        }
    }

    /// Makes `frame` the frame of `raw`.
    pub(crate) fn compress(&mut self, raw: &[u8], frame: &mut Vec<u8>) -> Result<(), ArrowError> {
        frame.clear();
        match self {
            Self::Lz4 => {
                let mut encoder = FrameEncoder::new(frame);
                encoder.write_all(raw)?;
                encoder.finish().map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
            }
            Self::Zstd(context) => {
                frame.reserve(compress_bound(raw.len()));
                context.compress_to_buffer(raw, frame)?;
            }
        }
        Ok(())
    }
}
