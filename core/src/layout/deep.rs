//! Checks the values of a sound payload too, column by column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_buffer::Buffer;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary};
use arrow_schema::ArrowError;

use super::diagnostic::{Code, Diagnostic};
use super::frames::header;
use super::regions::Layout;
use super::schema::short;
use super::{Options, walk};

/// How many findings are enough.
const MAX_FINDINGS: usize = 200;

/// Most columns at the top of a schema for which the one at fault is searched.
const MAX_COLUMNS: usize = 1 << 10;

/// Walks a payload and, where its structure is sound, decodes it to find the columns with values
/// that are not valid: compressed bytes that do not unpack, offsets out of order or range,
/// text that is not UTF-8, dictionary keys, type ids or views out of range, run ends that do not
/// grow, null counts that are not those of the bitmap.
///
/// This costs what decoding costs. Decoding finds the same faults without naming the column.
pub fn walk_values(payload: &[u8], options: &Options) -> (Layout, Vec<Diagnostic>) {
    let (layout, mut diagnostics) = walk(payload, options);
    if !diagnostics.iter().any(Diagnostic::is_error) {
        check_values(payload, &layout, &mut diagnostics);
    }
    (layout, diagnostics)
}

fn check_values(payload: &[u8], layout: &Layout, diagnostics: &mut Vec<Diagnostic>) {
    let mut stream = 0;
    let mut dictionaries = HashMap::new();
    for (index, message) in layout.reading_order() {
        if message.stream != stream {
            (stream, dictionaries) = (message.stream, HashMap::new());
        }
        if diagnostics.len() >= MAX_FINDINGS {
            return;
        }
        let (Some(schema), Some(header)) = (layout.schema_of(message), header(payload, message))
        else {
            continue;
        };
        let mut report = |column: Option<String>, error: ArrowError| {
            diagnostics.push(Diagnostic {
                code: Code::InvalidValues,
                message: Some(index),
                column,
                buffer: None,
                offset: message.body_offset(),
                found: short(&error.to_string()).into_owned(),
                expected: "valid values".to_owned(),
            });
        };
        let body = Buffer::from(payload.get(message.body_range()).unwrap_or_default());
        let version = header.version();
        if let Some(batch) = header.header_as_dictionary_batch() {
            let id = batch.id();
            let read = read_dictionary(&body, batch, &schema.schema, &mut dictionaries, &version);
            if let Err(error) = read {
                report(schema.dictionary_path(id).map(|path| format!("{path}[dictionary]")), error);
            }
        } else if let Some(batch) = header.header_as_record_batch() {
            let values = |projection: Option<&[usize]>| {
                let schema = Arc::clone(&schema.schema);
                let decoder =
                    RecordBatchDecoder::try_new(&body, batch, schema, &dictionaries, &version)?;
                decoder.with_projection(projection).read_record_batch()
            };
            let Err(error) = values(None) else { continue };
            let mut is_located = false;
            // Each takes a pass over all of them.
            if schema.schema.fields().len() <= MAX_COLUMNS {
                for (position, column) in schema.top_columns().enumerate() {
                    if let Err(error) = values(Some(&[position])) {
                        report(Some(schema.path(column)), error);
                        is_located = true;
                    }
                }
            }
            if !is_located {
                report(None, error);
            }
        }
    }
}
