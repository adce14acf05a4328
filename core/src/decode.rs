//! IPC payloads to record batches.

use std::{collections::HashMap, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::read_record_batch;
use arrow_schema::{ArrowError, Schema, SchemaRef};

use crate::{
    concat::concat,
    layout::{self, Diagnostic, Layout, MessageKind, Options, Walker},
};

/// Why bytes could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The structure is damaged, or over a limit.
    #[error(transparent)]
    Damaged(#[from] Box<Diagnostic>),
    /// The structure is sound and arrow-ipc refused the values.
    #[error("arrow-ipc cannot decode the payload")]
    Arrow(#[from] ArrowError),
}

/// All record batches of a payload under the default limits; see [`Decoder`] for many payloads.
///
/// # Errors
///
/// As [`Decoder::decode`].
pub fn decode(payload: &[u8]) -> Result<Vec<RecordBatch>, DecodeError> {
    decode_within(payload, &Options::default())
}

/// All record batches of a payload; see [`Decoder`] for many payloads.
///
/// # Errors
///
/// As [`Decoder::decode`].
pub fn decode_within(payload: &[u8], options: &Options) -> Result<Vec<RecordBatch>, DecodeError> {
    Decoder::new(options.clone()).decode(payload)
}

/// Decodes payload after payload, and reads a schema only where it differs from the one before.
///
/// [`Walker::check`] goes first, always: arrow-ipc panics on damaged structure and allocates what a
/// length claims. What decoding a payload allocates is bounded by the options.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    walker: Walker,
}

impl Decoder {
    /// A decoder with these limits, which hold for each payload by itself. Payloads that are record
    /// batches alone are read with the schema in `options`.
    pub fn new(options: Options) -> Self {
        Self { walker: Walker::new(options) }
    }

    /// All record batches of a payload, whatever its framing: stream, file, several streams in a
    /// row.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] where the bytes are not a whole, valid payload.
    pub fn decode(&mut self, payload: &[u8]) -> Result<Vec<RecordBatch>, DecodeError> {
        Ok(self.batches(payload)?.collect::<Result<_, _>>()?)
    }

    /// As [`decode`](Self::decode), a record batch at a time: those that are not asked for are not
    /// decoded.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Damaged`] at once; what is wrong with values comes with their batch.
    pub fn batches<'p>(&mut self, payload: &'p [u8]) -> Result<Batches<'p>, DecodeError> {
        let layout = self.walker.check(payload)?;
        let messages = layout.reading_order().map(|(index, _)| index).collect::<Vec<_>>();
        let messages = messages.into_iter();
        Ok(Batches { payload, layout, messages, stream: 0, dictionaries: HashMap::new() })
    }
}

/// The record batches of one payload; made by [`Decoder::batches`].
///
/// arrow-ipc's own readers read the schema of every payload again, which takes longer than anything
/// else about a small one, and refuse some files that others write: those of metadata version 4
/// with a footer of version 5.
#[derive(Debug)]
pub struct Batches<'p> {
    payload: &'p [u8],
    layout: Layout,
    messages: std::vec::IntoIter<usize>,
    /// The stream that `dictionaries` are of.
    stream: usize,
    dictionaries: HashMap<i64, ArrayRef>,
}

impl Batches<'_> {
    /// Reads a message: `None` of one that is no record batch.
    fn read(&mut self, index: usize) -> Result<Option<RecordBatch>, ArrowError> {
        let damaged = || ArrowError::IpcError(format!("message {index} changed while it was read"));
        let message = self.layout.messages.get(index).ok_or_else(damaged)?;
        if message.kind == MessageKind::Schema {
            return Ok(None);
        }
        if message.stream != self.stream {
            self.stream = message.stream;
            self.dictionaries.clear();
        }
        let layout = self.layout.schema_of(message).ok_or_else(damaged)?;
        let header = layout::header(self.payload, message).ok_or_else(damaged)?;
        let body = self.payload.get(message.body_range()).ok_or_else(damaged)?;
        // A copy, because arrays of an uncompressed body are parts of it, and aligned.
        let body = Buffer::from(body);
        let version = header.version();
        if let Some(batch) = header.header_as_dictionary_batch() {
            let id = batch.id();
            let data = batch.data().ok_or_else(damaged)?;
            let field = layout.dictionary_field(id).ok_or_else(damaged)?;
            let schema = Arc::new(Schema::new(vec![field]));
            let read = read_record_batch(&body, data, schema, &self.dictionaries, None, &version)?;
            let mut values = Arc::clone(read.columns().first().ok_or_else(damaged)?);
            if batch.isDelta() {
                let before = self.dictionaries.get(&id).ok_or_else(|| {
                    ArrowError::IpcError(format!("message {index} adds to no dictionary"))
                })?;
                values = concat(&[before, &values])?.unwrap_or(values);
            }
            self.dictionaries.insert(id, values);
            return Ok(None);
        }
        let batch = header.header_as_record_batch().ok_or_else(damaged)?;
        let schema = SchemaRef::clone(&layout.schema);
        read_record_batch(&body, batch, schema, &self.dictionaries, None, &version).map(Some)
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(index) = self.messages.next() {
            match self.read(index) {
                Ok(None) => {}
                Ok(Some(batch)) => return Some(Ok(batch)),
                Err(error) => {
                    // What follows may need what could not be read.
                    self.messages = Vec::new().into_iter();
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{DictionaryArray, Int32Array, types::Int8Type};

    use super::*;
    use crate::{codec::CodecOptions, encode::encode};

    #[test]
    fn streams_in_a_row_are_all_read() {
        let batch = |values: Vec<i32>| {
            let column = Arc::new(Int32Array::from(values)) as _;
            RecordBatch::try_from_iter([("n", column)]).unwrap()
        };
        let (one, two) = (batch(vec![1, 2]), batch(vec![3]));
        let mut payload = encode(&one, CodecOptions::default()).unwrap();
        payload.extend(encode(&two, CodecOptions::default()).unwrap());
        assert_eq!(decode(&payload).unwrap(), [one, two]);
    }

    #[test]
    fn a_decoder_tells_schemas_and_dictionaries_of_payloads_apart() {
        let words = |words: [&str; 3]| {
            let column: DictionaryArray<Int8Type> = words.into_iter().collect();
            RecordBatch::try_from_iter([("word", Arc::new(column) as _)]).unwrap()
        };
        let number =
            RecordBatch::try_from_iter([("word", Arc::new(Int32Array::from(vec![7])) as _)]);
        let batches = [words(["a", "b", "a"]), words(["c", "a", "c"]), number.unwrap()];
        let mut decoder = Decoder::default();
        for batch in batches.iter().chain(&batches) {
            let payload = encode(batch, CodecOptions::default()).unwrap();
            assert_eq!(decoder.decode(&payload).unwrap(), std::slice::from_ref(batch));
        }
    }

    #[test]
    fn batches_alone_are_read_with_the_schema_of_another_payload() {
        let column = Arc::new(Int32Array::from(vec![1, 2])) as _;
        let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
        let payload = encode(&batch, CodecOptions::default()).unwrap();
        let layout = layout::check(&payload, &Options::default()).unwrap();
        let alone = &payload[layout.record_batches().next().unwrap().range()];

        let error = decode(alone).unwrap_err();
        assert!(error.to_string().contains("schema"), "{error}");
        let options = Options { schema: layout.streams[0].schema.clone(), ..Options::default() };
        assert_eq!(decode_within(alone, &options).unwrap(), [batch]);
    }

    #[test]
    fn damage_is_located() {
        let error = decode(b"{\"device\":\"a\"}").unwrap_err();
        assert!(matches!(&error, DecodeError::Damaged(_)), "{error}");
        assert!(error.to_string().contains("byte"), "{error}");
    }
}
