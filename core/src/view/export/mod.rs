//! A table as CSV, as lines of JSON, or as Arrow again, a batch at a time.

mod csv;
mod json;

use std::{str::FromStr, sync::Arc};

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{ArrowError, SchemaRef};

use super::{Batch, Fault, View};
use crate::{
    codec::{Codec, CodecOptions, Framing, ParseCodecError},
    encode::{EncodeError, Encoder},
    layout,
};

/// Most characters that one batch may become: views, runs and dictionaries let few bytes be many.
const MAX_TEXT: usize = 1 << 28;
/// The end of a stream.
const END: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// What a table is exported as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// RFC 4180 with a line of names. A null is nothing, an empty text `""`; nested values are as
    /// the page shows them, bytes are hexadecimal digits.
    Csv,
    /// An object a line. Decimals, times and bytes are texts; a float that is no finite number is
    /// null, because JSON has none.
    Ndjson,
    /// A stream of the same schema and batches.
    Arrow(Codec),
}

impl FromStr for ExportFormat {
    type Err = ParseCodecError;

    /// `csv`, `ndjson`, or `arrow:` and a codec.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "csv" => Ok(Self::Csv),
            "ndjson" => Ok(Self::Ndjson),
            other => other.strip_prefix("arrow:").unwrap_or(other).parse().map(Self::Arrow),
        }
    }
}

/// Why a table cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A column of a batch is damaged.
    #[error("column '{column}' cannot be read at byte {}: {}", fault.offset, fault.message)]
    Damaged {
        /// Its name.
        column: String,
        /// Where, and what is wrong.
        fault: Fault,
    },
    /// One batch becomes too much.
    #[error("a batch becomes more than {MAX_TEXT} bytes")]
    TooLong,
    /// There are not so many tables.
    #[error("no such table")]
    NoTable,
    /// Arrow cannot carry it.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Its columns do not fit each other.
    #[error("the columns of a batch do not fit each other: {0}")]
    Columns(#[from] ArrowError),
}

impl View {
    /// One part of an export: of a table of `n` batches, part 0 is what goes before them, 1 to `n`
    /// are the batches, `n + 1` is what goes after them. All parts in a row are the whole.
    ///
    /// # Errors
    ///
    /// [`ExportError`]: an export is whole or it is none.
    pub fn export(
        &mut self,
        table: usize,
        part: usize,
        format: ExportFormat,
    ) -> Result<Vec<u8>, ExportError> {
        let known = self.tables.get(table).ok_or(ExportError::NoTable)?;
        let schema = Arc::clone(&known.schema.schema);
        let batch = part.checked_sub(1).and_then(|at| known.batches.get(at).copied());
        let is_first = part == 0;
        let Some(batch) = batch else {
            return Ok(match format {
                ExportFormat::Csv if is_first => csv::header(&schema),
                ExportFormat::Arrow(codec) if is_first => {
                    let mut empty = encoder(&schema, codec)?.encode(&[])?;
                    empty.truncate(empty.len() - END.len());
                    empty
                }
                ExportFormat::Arrow(_) => END.to_vec(),
                _ => Vec::new(),
            });
        };
        let columns = self.columns(table, batch)?;
        let n_rows = usize::try_from(batch.rows).map_err(|_| ExportError::TooLong)?;
        match format {
            ExportFormat::Csv => csv::rows(&columns, n_rows),
            ExportFormat::Ndjson => json::rows(&schema, &columns, n_rows),
            ExportFormat::Arrow(codec) => {
                let batch = record_batch(&schema, columns, n_rows)?;
                let payload = encoder(&schema, codec)?.encode(&[batch])?;
                // Without the schema message and the end.
                let (layout, _) = layout::walk(&payload, &super::options());
                let start = layout.messages.get(1).map_or(0, |message| message.offset);
                let end = payload.len() - END.len();
                Ok(payload.get(start..end).unwrap_or_default().to_vec())
            }
        }
    }

    /// A batch of a table; `None` where there are not so many.
    pub(super) fn record_batch(
        &mut self,
        table: usize,
        at: usize,
    ) -> Result<Option<RecordBatch>, ExportError> {
        let known = self.tables.get(table).ok_or(ExportError::NoTable)?;
        let schema = Arc::clone(&known.schema.schema);
        let Some(batch) = known.batches.get(at).copied() else { return Ok(None) };
        let n_rows = usize::try_from(batch.rows).map_err(|_| ExportError::TooLong)?;
        Ok(Some(record_batch(&schema, self.columns(table, batch)?, n_rows)?))
    }

    /// All columns of a batch.
    fn columns(&mut self, table: usize, batch: Batch) -> Result<Vec<ArrayRef>, ExportError> {
        let known = self.tables.get(table).ok_or(ExportError::NoTable)?;
        let schema = Arc::clone(&known.schema.schema);
        let columns = (0..schema.fields().len()).map(|position| {
            self.column(table, batch, position).map_err(|fault| ExportError::Damaged {
                column: schema.field(position).name().clone(),
                fault,
            })
        });
        columns.collect()
    }
}

fn record_batch(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    n_rows: usize,
) -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn encoder(schema: &SchemaRef, codec: Codec) -> Result<Encoder, EncodeError> {
    Encoder::new(Arc::clone(schema), CodecOptions { codec, framing: Framing::Stream })
}

#[cfg(test)]
mod tests;
