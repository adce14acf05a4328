use std::{borrow::Cow, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bytes::Bytes;
use volley_core::{
    codec::{Codec, CodecOptions, Framing},
    decode::{DecodeError, Decoder},
    encode::{EncodeError, Encoder},
    layout::Options,
    origin::{NameClash, Origin, with_origin},
    splice::{SpliceError, Splicer},
};

/// Why the payloads of a block do not become one insert.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// A payload's values are not what its structure says.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A column of the messages has the name of one that says where rows come from.
    #[error("{0}; rename it, or leave out --provenance")]
    Provenance(#[from] NameClash),
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

/// What a body is made of.
#[derive(Clone, Debug)]
pub(crate) struct Ingredients {
    /// The schema of all payloads.
    pub(crate) schema: SchemaRef,
    /// Each with its offset.
    pub(crate) payloads: Vec<(i64, Bytes)>,
    /// What every row is to say of where it comes from.
    pub(crate) origin: Option<Origin>,
}

/// One Arrow stream that holds the rows of all payloads, which are within `limits`.
pub(crate) fn body(ingredients: &Ingredients, limits: &Options) -> Result<Body, BodyError> {
    match splice(ingredients, limits) {
        Ok(chunks) => Ok(Body { chunks, is_reencoded: false }),
        Err(error) => {
            tracing::debug!(%error, "payloads do not splice; decoding them");
            Ok(Body { chunks: vec![reencode(ingredients, limits)?], is_reencoded: true })
        }
    }
}

fn splice(ingredients: &Ingredients, limits: &Options) -> Result<Vec<Bytes>, SpliceError> {
    let payloads = &ingredients.payloads;
    let mut splicer = Splicer::new(limits);
    if let Some(origin) = &ingredients.origin {
        splicer = splicer.with_origin(origin.clone());
    }
    for (offset, payload) in payloads {
        splicer.push_from(payload, unsigned(*offset))?;
    }
    let spliced = splicer.finish()?;
    // Slices come in the order of their payloads; the end marker belongs to none.
    let mut at = 0;
    let chunk = |piece: Cow<'_, [u8]>| {
        let slice = match piece {
            Cow::Owned(made) => return made.into(),
            Cow::Borrowed(slice) => slice,
        };
        let holds = |(_, payload): &(i64, Bytes)| payload.as_ptr_range().contains(&slice.as_ptr());
        match payloads[at..].iter().position(holds) {
            Some(n_skipped) => {
                at += n_skipped;
                payloads[at].1.slice_ref(slice)
            }
            None => Bytes::copy_from_slice(slice),
        }
    };
    Ok(spliced.into_pieces().map(chunk).collect())
}

fn reencode(ingredients: &Ingredients, limits: &Options) -> Result<Bytes, BodyError> {
    let Ingredients { schema, payloads, origin } = ingredients;
    let all = match origin {
        Some(_) => Arc::new(with_origin(schema)?),
        None => schema.clone(),
    };
    let mut decoder = Decoder::new(limits.clone());
    let mut batches = Vec::new();
    for (offset, payload) in payloads {
        for batch in decoder.decode(payload)? {
            let mut batch = with_schema(schema, batch);
            if let Some(origin) = origin {
                let more = origin.arrays(unsigned(*offset), batch.num_rows());
                let columns = [batch.columns(), &more].concat();
                batch = RecordBatch::try_new(all.clone(), columns).unwrap_or(batch);
            }
            batches.push(batch);
        }
    }
    let options = CodecOptions { codec: Codec::None, framing: Framing::Stream };
    Ok(Encoder::new(all, options)?.encode(&batches)?.into())
}

/// Kafka's offsets are never negative.
fn unsigned(offset: i64) -> u64 {
    u64::try_from(offset).unwrap_or(0)
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

    fn make(schema: SchemaRef, payloads: &[Bytes], origin: Option<Origin>) -> Body {
        let payloads = (5..).zip(payloads.iter().cloned()).collect();
        body(&Ingredients { schema, payloads, origin }, &Options::default()).unwrap()
    }

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
        let body = make(one.0.schema(), &payloads, None);
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
        let payloads = [payload, old.into()];
        let body = make(batch.schema(), &payloads, None);
        assert!(body.is_reencoded);
        assert_eq!(decode(&body.chunks.concat()).unwrap(), [batch.clone(), batch.clone()]);

        // Their rows have their origin too.
        let origin = Origin { topic: "t".into(), partition: 3 };
        let body = make(batch.schema(), &payloads, Some(origin.clone()));
        assert!(body.is_reencoded);
        let schema = Arc::new(with_origin(&batch.schema()).unwrap());
        let expected = [5, 6].map(|offset| {
            let columns = [batch.columns(), &origin.arrays(offset, 2)].concat();
            RecordBatch::try_new(schema.clone(), columns).unwrap()
        });
        assert_eq!(decode(&body.chunks.concat()).unwrap(), expected);
    }
}
