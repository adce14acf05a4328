//! Checks the values of a sound payload too, column by column.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::Buffer;
use arrow_ipc::reader::{RecordBatchDecoder, read_dictionary};
use arrow_ipc::{self as ipc, MetadataVersion};
use arrow_schema::ArrowError;

use super::diagnostic::{Code, Diagnostic};
use super::frames::verifier;
use super::regions::{Layout, MessageKind, MessageLayout};
use super::{Options, SchemaLayout, walk};

/// Walks a payload and, where its structure is sound, decodes every column by itself to find
/// values that are not valid: compressed bytes that do not unpack, offsets out of order or range,
/// text that is not UTF-8, dictionary keys, type ids or views out of range, run ends that do not
/// grow, null counts that are not those of the bitmap.
///
/// This costs what decoding costs. Decoding finds the same faults without naming the column.
pub fn walk_values(payload: &[u8], options: &Options) -> (Layout, Vec<Diagnostic>) {
    let (layout, mut diagnostics) = walk(payload, options);
    if !diagnostics.iter().any(Diagnostic::is_error) {
        for stream in 0..layout.streams.len() {
            stream_values(payload, &layout, stream, &mut diagnostics);
        }
    }
    (layout, diagnostics)
}

fn stream_values(
    payload: &[u8],
    layout: &Layout,
    stream: usize,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let messages = || layout.messages.iter().enumerate().filter(|(_, m)| m.stream == stream);
    let is_dictionary = |m: &MessageLayout| matches!(m.kind, MessageKind::Dictionary { .. });
    let mut dictionaries = HashMap::new();
    // A file may hold its dictionaries after the batches that use them.
    let (first, then): (Vec<_>, Vec<_>) = match layout.framing {
        super::Framing::File => messages().partition(|(_, message)| is_dictionary(message)),
        _ => (Vec::new(), messages().collect()),
    };
    for (index, message) in first.into_iter().chain(then) {
        let Some(schema) = layout.schema_of(message) else {
            continue;
        };
        let metadata_at = message.offset + message.prefix_len;
        let metadata = payload.get(metadata_at..message.body_offset()).unwrap_or_default();
        let body = payload.get(message.body_offset()..message.range().end).unwrap_or_default();
        let Ok(header) = ipc::root_as_message_with_opts(&verifier(metadata), metadata) else {
            continue;
        };
        let mut report = |column: Option<String>, error: ArrowError| {
            diagnostics.push(Diagnostic {
                code: Code::InvalidValues,
                message: Some(index),
                column,
                buffer: None,
                offset: message.body_offset(),
                found: error.to_string(),
                expected: "valid values".to_owned(),
            });
        };
        let body = Buffer::from(body);
        let version = header.version();
        if let Some(batch) = header.header_as_dictionary_batch() {
            let id = batch.id();
            let read = read_dictionary(&body, batch, &schema.schema, &mut dictionaries, &version);
            if let Err(error) = read {
                report(schema.dictionary_path(id).map(|path| format!("{path}[dictionary]")), error);
            }
        } else if let Some(batch) = header.header_as_record_batch() {
            for (position, column) in schema.top_columns().enumerate() {
                let read = column_values(&body, batch, schema, &dictionaries, version, position);
                if let Err(error) = read {
                    report(Some(schema.path(column)), error);
                }
            }
        }
    }
}

fn column_values(
    body: &Buffer,
    batch: ipc::RecordBatch<'_>,
    schema: &SchemaLayout,
    dictionaries: &HashMap<i64, ArrayRef>,
    version: MetadataVersion,
    position: usize,
) -> Result<(), ArrowError> {
    let schema = Arc::clone(&schema.schema);
    RecordBatchDecoder::try_new(body, batch, schema, dictionaries, &version)?
        .with_projection(Some(&[position]))
        .read_record_batch()?;
    Ok(())
}
