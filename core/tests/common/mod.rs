//! Payloads for tests: encoded by arrow-ipc, and decoded by it after the layout check.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

pub mod forge;

use arrow_array::RecordBatch;
use arrow_ipc::writer::{DictionaryHandling, FileWriter, IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MetadataVersion};
use arrow_schema::{ArrowError, SchemaRef};
#[allow(unused_imports, reason = "each test binary uses its own part")]
pub use volley_core::decode::decode_within as decode;
use volley_core::layout::Framing;

/// How a payload is written.
#[derive(Clone, Copy, Debug)]
pub struct Writing {
    pub framing: Framing,
    pub compression: Option<CompressionType>,
    /// 8, 16, 32 or 64.
    pub alignment: usize,
    pub version: MetadataVersion,
    /// The prefix from before Arrow 0.15, which needs version 4.
    pub is_old_prefix: bool,
    pub dictionaries: DictionaryHandling,
}

impl Default for Writing {
    fn default() -> Self {
        Self {
            framing: Framing::Stream,
            compression: None,
            alignment: 64,
            version: MetadataVersion::V5,
            is_old_prefix: false,
            dictionaries: DictionaryHandling::Resend,
        }
    }
}

pub const CODECS: [Option<CompressionType>; 3] =
    [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)];

pub const FRAMINGS: [Framing; 2] = [Framing::Stream, Framing::File];

/// Writes a payload, or says why arrow-ipc cannot.
pub fn encode(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    writing: Writing,
) -> Result<Vec<u8>, ArrowError> {
    let options =
        IpcWriteOptions::try_new(writing.alignment, writing.is_old_prefix, writing.version)?
            .try_with_compression(writing.compression)?
            .with_dictionary_handling(writing.dictionaries);
    if writing.framing == Framing::File {
        let mut writer = FileWriter::try_new_with_options(Vec::new(), schema, options)?;
        batches.iter().try_for_each(|batch| writer.write(batch))?;
        writer.into_inner()
    } else {
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), schema, options)?;
        batches.iter().try_for_each(|batch| writer.write(batch))?;
        writer.into_inner()
    }
}
