use std::sync::Arc;

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bytes::Bytes;
use volley_core::{
    codec::{Codec, CodecOptions, Framing},
    decode::{DecodeError, decode},
    encode::{EncodeError, Encoder},
};

/// Why the payloads of a block do not become one insert.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// A payload that was read before is no longer readable.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The batches do not become one stream.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// One Arrow stream that holds the rows of all payloads, which have one schema.
pub(crate) fn body(schema: &SchemaRef, payloads: &[Bytes]) -> Result<Vec<Bytes>, BodyError> {
    let mut batches = Vec::new();
    for payload in payloads {
        for batch in decode(payload)? {
            batches.push(with_schema(schema, batch));
        }
    }
    let options = CodecOptions { codec: Codec::None, framing: Framing::Stream };
    let stream = Encoder::new(schema.clone(), options)?.encode(&batches)?;
    Ok(vec![stream.into()])
}

/// Schemas with one fingerprint may still differ in metadata, which nobody downstream reads.
fn with_schema(schema: &SchemaRef, batch: RecordBatch) -> RecordBatch {
    if Arc::ptr_eq(schema, batch.schema_ref()) {
        return batch;
    }
    batch.clone().with_schema(schema.clone()).unwrap_or(batch)
}
