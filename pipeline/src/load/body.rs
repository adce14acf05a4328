use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bytes::Bytes;
use volley_core::{
    codec::{Codec, CodecOptions, Framing},
    decode::{DecodeError, Decoder},
    encode::{EncodeError, Encoder},
    layout::Options,
    splice::{SpliceError, Splicer},
};

/// Why the payloads of a block do not become one insert.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// A payload's values are not what its structure says.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The batches do not become one stream.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// The body of an insert.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// One Arrow stream, in pieces that share the payloads' memory.
    pub(crate) chunks: Vec<Bytes>,
    /// Whether rows had to be decoded, because the payloads do not splice.
    pub(crate) is_reencoded: bool,
}

/// One Arrow stream that holds the rows of all payloads, which have one schema and are within
/// `limits`.
pub(crate) fn body(
    schema: &SchemaRef,
    payloads: &[Bytes],
    limits: &Options,
) -> Result<Body, BodyError> {
    match splice(payloads, limits) {
        Ok(chunks) => Ok(Body { chunks, is_reencoded: false }),
        Err(error) => {
            tracing::debug!(%error, "payloads do not splice; decoding them");
            Ok(Body { chunks: vec![reencode(schema, payloads, limits)?], is_reencoded: true })
        }
    }
}

fn splice(payloads: &[Bytes], limits: &Options) -> Result<Vec<Bytes>, SpliceError> {
    let mut splicer = Splicer::new(limits);
    for payload in payloads {
        splicer.push(payload)?;
    }
    let spliced = splicer.finish()?;
    // Slices come in the order of their payloads; schema and end marker belong to none.
    let mut at = 0;
    let chunk = |slice: &[u8]| {
        let holds = |payload: &Bytes| payload.as_ptr_range().contains(&slice.as_ptr());
        match payloads[at..].iter().position(holds) {
            Some(n_skipped) => {
                at += n_skipped;
                payloads[at].slice_ref(slice)
            }
            None => Bytes::copy_from_slice(slice),
        }
    };
    Ok(spliced.slices().map(chunk).collect())
}

fn reencode(schema: &SchemaRef, payloads: &[Bytes], limits: &Options) -> Result<Bytes, BodyError> {
    let mut decoder = Decoder::new(limits.clone());
    let mut batches = Vec::new();
    for payload in payloads {
        batches
            .extend(decoder.decode(payload)?.into_iter().map(|batch| with_schema(schema, batch)));
    }
    let options = CodecOptions { codec: Codec::None, framing: Framing::Stream };
    Ok(Encoder::new(schema.clone(), options)?.encode(&batches)?.into())
}

/// Schemas with one fingerprint may still differ in metadata, which nobody downstream reads.
fn with_schema(schema: &SchemaRef, batch: RecordBatch) -> RecordBatch {
    batch.clone().with_schema(schema.clone()).unwrap_or(batch)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int32Array, RecordBatch};
    use volley_core::decode::decode;

    use super::*;

    fn payload(values: Vec<i32>, framing: Framing) -> (RecordBatch, Bytes) {
        let column = Arc::new(Int32Array::from(values)) as _;
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let options = CodecOptions { codec: Codec::Lz4, framing };
        let payload = volley_core::encode::encode(&batch, options).unwrap();
        (batch, payload.into())
    }

    #[test]
    fn payloads_are_spliced_without_copying_their_messages() {
        let (one, two) = (payload(vec![1, 2], Framing::Stream), payload(vec![3], Framing::File));
        let payloads = [one.1.clone(), two.1.clone()];
        let body = body(&one.0.schema(), &payloads, &Options::default()).unwrap();
        assert!(!body.is_reencoded);
        for (chunk, payload) in body.chunks[1..3].iter().zip(&payloads) {
            assert!(payload.as_ptr_range().contains(&chunk.as_ptr()));
        }
        assert_eq!(decode(&body.chunks.concat()).unwrap(), [one.0, two.0]);
    }

    #[test]
    fn payloads_that_do_not_splice_are_decoded() {
        let (batch, payload) = payload(vec![1, 2], Framing::Stream);
        let mut old = Vec::new();
        let options =
            arrow::ipc::writer::IpcWriteOptions::try_new(8, true, arrow::ipc::MetadataVersion::V4);
        let mut writer = arrow::ipc::writer::StreamWriter::try_new_with_options(
            &mut old,
            &batch.schema(),
            options.unwrap(),
        )
        .unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        drop(writer);
        let body = body(&batch.schema(), &[payload, old.into()], &Options::default()).unwrap();
        assert!(body.is_reencoded);
        assert_eq!(decode(&body.chunks.concat()).unwrap(), [batch.clone(), batch]);
    }
}
