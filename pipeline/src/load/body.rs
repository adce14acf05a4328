use std::{borrow::Cow, pin::Pin, sync::Arc};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use bytes::Bytes;
use futures_util::{Stream, stream};
use volley_core::{
    codec::{Codec, CodecOptions, Framing},
    decode::{DecodeError, Decoder},
    encode::{END_OF_STREAM, EncodeError, Encoder},
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

/// The body of an insert: one Arrow stream that holds the rows of all payloads.
pub(crate) struct Body {
    ingredients: Arc<Ingredients>,
    limits: Options,
    /// Its pieces, which share the payloads' memory; `None` where the payloads do not splice, so that
    /// their rows have to be decoded.
    spliced: Option<Vec<Bytes>>,
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

/// The pieces of a body, in order.
pub(crate) type Chunks = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

impl Body {
    /// Splices payloads, if that can be done. They are within `limits`.
    pub(crate) async fn new(ingredients: Ingredients, limits: Options) -> Self {
        let ingredients = Arc::new(ingredients);
        let splicing = {
            let (ingredients, limits) = (ingredients.clone(), limits.clone());
            blocking(move || splice(&ingredients, &limits)).await
        };
        let not_spliced =
            |error: &SpliceError| tracing::debug!(%error, "payloads do not splice; decoding them");
        Self { ingredients, limits, spliced: splicing.inspect_err(not_spliced).ok() }
    }

    /// Whether rows have to be decoded.
    pub(crate) fn is_reencoded(&self) -> bool {
        self.spliced.is_none()
    }

    /// The body from its start. Payloads that do not splice are decoded one after the other, when they
    /// are wanted: together they may be many times what they are compressed. So an error may come when
    /// something is sent already, and what was sent has no end then.
    pub(crate) fn chunks(&self) -> Chunks {
        if let Some(spliced) = self.spliced.clone() {
            return Box::pin(stream::iter(spliced.into_iter().map(Ok)));
        }
        let reencoding = Reencoding {
            ingredients: self.ingredients.clone(),
            decoder: Decoder::new(self.limits.clone()),
            encoder: None,
            n_done: 0,
        };
        Box::pin(stream::try_unfold(Some(reencoding), async |reencoding| {
            let Some(mut reencoding) = reencoding else { return Ok(None) };
            blocking(move || {
                let chunk = reencoding.next()?;
                Ok(Some(match chunk {
                    Some(chunk) => (chunk, Some(reencoding)),
                    None => (Bytes::from_static(&END_OF_STREAM), None),
                }))
            })
            .await
        }))
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

/// Payloads on their way through decoder and encoder.
struct Reencoding {
    ingredients: Arc<Ingredients>,
    decoder: Decoder,
    /// Made with the first piece.
    encoder: Option<Encoder>,
    n_done: usize,
}

impl Reencoding {
    /// The schema first, then the batches of each payload.
    fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let Ingredients { schema, payloads, origin } = &*self.ingredients;
        let Some(encoder) = &mut self.encoder else {
            let all = match origin {
                Some(_) => Arc::new(with_origin(schema)?),
                None => schema.clone(),
            };
            let options = CodecOptions { codec: Codec::None, framing: Framing::Stream };
            let encoder = self.encoder.insert(Encoder::new(all, options)?);
            return Ok(Some(Bytes::copy_from_slice(encoder.schema_message())));
        };
        let Some((offset, payload)) = payloads.get(self.n_done) else { return Ok(None) };
        self.n_done += 1;
        let mut batches = self.decoder.decode(payload)?;
        for batch in &mut batches {
            let own = with_schema(schema, batch.clone());
            *batch = match origin {
                Some(origin) => {
                    let more = origin.arrays(unsigned(*offset), own.num_rows());
                    let columns = [own.columns(), &more].concat();
                    RecordBatch::try_new(encoder.schema().clone(), columns).unwrap_or(own)
                }
                None => own,
            };
        }
        Ok(Some(encoder.encode_piece(&batches)?.into()))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
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

    use arrow::{
        array::{DictionaryArray, Int32Array, RecordBatch},
        datatypes::Int8Type,
        ipc::{
            MetadataVersion,
            writer::{IpcWriteOptions, StreamWriter},
        },
    };
    use futures_util::{StreamExt as _, TryStreamExt as _};
    use volley_core::decode::decode;

    use super::*;

    async fn make(schema: SchemaRef, payloads: &[Bytes], origin: Option<Origin>) -> Body {
        let payloads = (5..).zip(payloads.iter().cloned()).collect();
        Body::new(Ingredients { schema, payloads, origin }, Options::default()).await
    }

    async fn chunks(body: &Body) -> Vec<Bytes> {
        body.chunks().try_collect().await.unwrap()
    }

    /// As writers made them before 2020, which does not go with what they make today.
    fn old_payload(batch: &RecordBatch) -> Bytes {
        let options = IpcWriteOptions::try_new(8, true, MetadataVersion::V4).unwrap();
        let mut writer =
            StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap().into()
    }

    fn payload(values: Vec<i32>, framing: Framing) -> (RecordBatch, Bytes) {
        let column = Arc::new(Int32Array::from(values)) as _;
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let options = CodecOptions { codec: Codec::Lz4, framing };
        let payload = volley_core::encode::encode(&batch, options).unwrap();
        (batch, payload.into())
    }

    #[tokio::test]
    async fn payloads_are_spliced_without_copying_their_messages() {
        let (one, two) = (payload(vec![1, 2], Framing::Stream), payload(vec![3], Framing::File));
        let payloads = [one.1.clone(), two.1.clone()];
        let body = make(one.0.schema(), &payloads, None).await;
        assert!(!body.is_reencoded());
        let chunks = chunks(&body).await;
        for (chunk, payload) in chunks[1..3].iter().zip(&payloads) {
            assert!(payload.as_ptr_range().contains(&chunk.as_ptr()));
        }
        assert_eq!(decode(&chunks.concat()).unwrap(), [one.0, two.0]);
    }

    #[tokio::test]
    async fn payloads_that_do_not_splice_are_decoded() {
        let (batch, payload) = payload(vec![1, 2], Framing::Stream);
        let payloads = [payload, old_payload(&batch)];
        let body = make(batch.schema(), &payloads, None).await;
        assert!(body.is_reencoded());
        let expected = [batch.clone(), batch.clone()];
        assert_eq!(decode(&chunks(&body).await.concat()).unwrap(), expected);
        // It is the same for the next server.
        assert_eq!(decode(&chunks(&body).await.concat()).unwrap(), expected);

        // Their rows have their origin too.
        let origin = Origin { topic: "t".into(), partition: 3 };
        let body = make(batch.schema(), &payloads, Some(origin.clone())).await;
        assert!(body.is_reencoded());
        let schema = Arc::new(with_origin(&batch.schema()).unwrap());
        let expected = [5, 6].map(|offset| {
            let columns = [batch.columns(), &origin.arrays(offset, 2)].concat();
            RecordBatch::try_new(schema.clone(), columns).unwrap()
        });
        assert_eq!(decode(&chunks(&body).await.concat()).unwrap(), expected);
    }

    #[tokio::test]
    async fn payloads_are_decoded_one_by_one_when_they_are_wanted() {
        let (batch, payload) = payload(vec![1, 2], Framing::Stream);
        let bad = payload.slice(..payload.len() / 2);
        let payloads = [payload, old_payload(&batch), bad];
        let body = make(batch.schema(), &payloads, None).await;
        let mut chunks = body.chunks();
        let mut sent = Vec::new();
        for _ in ["schema", "first", "second"] {
            sent.push(chunks.next().await.unwrap().unwrap());
        }
        assert_eq!(decode(&sent[..2].concat()).unwrap(), [batch]);
        assert!(matches!(chunks.next().await, Some(Err(BodyError::Decode(_)))));
        assert!(chunks.next().await.is_none(), "nor an end");
    }

    #[tokio::test]
    async fn each_piece_brings_its_dictionaries() {
        let batches = [["a", "b"], ["c", "a"]].map(|words| {
            let words: DictionaryArray<Int8Type> = words.into_iter().collect();
            RecordBatch::try_from_iter([("word", Arc::new(words) as _)]).unwrap()
        });
        let payloads = batches.each_ref().map(old_payload);
        let payloads = [payloads[0].clone(), payloads[1].clone(), {
            let options = CodecOptions { codec: Codec::Lz4, framing: Framing::Stream };
            volley_core::encode::encode(&batches[0], options).unwrap().into()
        }];
        let body = make(batches[0].schema(), &payloads, None).await;
        assert!(body.is_reencoded());
        let [one, other] = batches;
        let found = decode(&chunks(&body).await.concat()).unwrap();
        assert_eq!(found, [one.clone(), other, one]);
    }
}
