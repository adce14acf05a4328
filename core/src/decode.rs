//! IPC payloads to record batches.

use std::io::Cursor;

use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::ArrowError;

use crate::codec::Framing;

/// Why bytes could not be decoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// arrow-ipc refused the bytes.
    #[error("not a readable arrow ipc {framing}")]
    Arrow {
        /// The framing that the first bytes announce.
        framing: Framing,
        /// What arrow-ipc found.
        source: ArrowError,
    },
}

/// All record batches of a payload, stream or file framed.
///
/// # Errors
///
/// [`DecodeError`] where the bytes are not a whole, valid payload.
pub fn decode(payload: &[u8]) -> Result<Vec<RecordBatch>, DecodeError> {
    let framing = Framing::of(payload);
    match framing {
        Framing::Stream => {
            StreamReader::try_new(Cursor::new(payload), None).and_then(Iterator::collect)
        }
        Framing::File => {
            FileReader::try_new(Cursor::new(payload), None).and_then(Iterator::collect)
        }
    }
    .map_err(|source| DecodeError::Arrow { framing, source })
}
