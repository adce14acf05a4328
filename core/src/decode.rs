//! IPC payloads to record batches.

use std::io::Cursor;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::ArrowError;

use crate::layout::{self, Diagnostic, Framing, Layout, Options};

/// Why bytes could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The structure is damaged, or over a limit.
    #[error(transparent)]
    Damaged(#[from] Box<Diagnostic>),
    /// A record batch without a schema before it.
    #[error("the payload is record batches without their schema; put its schema message before it")]
    NoSchema,
    /// The structure is sound and arrow-ipc refused the values.
    #[error("arrow-ipc cannot decode the payload")]
    Arrow(#[from] ArrowError),
}

/// All record batches of a payload, whatever its framing, under the default limits.
///
/// # Errors
///
/// As [`decode_within`].
pub fn decode(payload: &[u8]) -> Result<Vec<RecordBatch>, DecodeError> {
    decode_within(payload, &Options::default())
}

/// All record batches of a payload, whatever its framing: stream, file, several streams in a row.
///
/// [`layout::check`] goes first, always: arrow-ipc panics on damaged structure and allocates what a
/// length claims. What decoding allocates is bounded by `options`.
///
/// # Errors
///
/// [`DecodeError`] where the bytes are not a whole, valid payload.
pub fn decode_within(payload: &[u8], options: &Options) -> Result<Vec<RecordBatch>, DecodeError> {
    let layout = layout::check(payload, options)?;
    decode_checked(payload, &layout)
}

fn decode_checked(payload: &[u8], layout: &Layout) -> Result<Vec<RecordBatch>, DecodeError> {
    match layout.framing {
        Framing::Messages => Err(DecodeError::NoSchema),
        // arrow-ipc refuses a file whose footer has another version than its messages, which pyarrow
        // writes; the stream between its magics it reads.
        Framing::File if layout.messages.iter().all(|message| message.version == 5) => {
            let reader = FileReader::try_new(Cursor::new(payload), None)?;
            Ok(reader.collect::<Result<_, _>>()?)
        }
        Framing::File | Framing::Stream => {
            let mut batches = Vec::new();
            // arrow-ipc stops at the first end marker.
            for stream in &layout.streams {
                let bytes = payload.get(stream.range.clone()).unwrap_or_default();
                for batch in StreamReader::try_new(Cursor::new(bytes), None)? {
                    batches.push(batch?);
                }
            }
            Ok(batches)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int32Array;

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
    fn damage_is_located() {
        let error = decode(b"{\"device\":\"a\"}").unwrap_err();
        assert!(matches!(&error, DecodeError::Damaged(_)), "{error}");
        assert!(error.to_string().contains("byte"), "{error}");
    }
}
