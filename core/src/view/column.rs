//! Decodes one column of one message, and nothing else of it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::read_record_batch;
use arrow_ipc::{self as ipc, CompressionType, FieldNode, MetadataVersion};
use arrow_schema::{FieldRef, Schema};
use flatbuffers::FlatBufferBuilder;

use super::Fault;
use crate::layout::{
    self, BufferKind, BufferLayout, Codec, Layout, MessageLayout, NodeLayout, SchemaLayout,
};

/// Most bytes that one column of one message may unpack to.
const MAX_RAW: u64 = 1 << 29;

/// Whether the walk came to the end of the column: not where it stopped before, nor where the
/// payload ends inside the body.
pub(super) fn is_whole(
    layout: &Layout,
    message: &MessageLayout,
    schema: &SchemaLayout,
    columns: &Range<usize>,
) -> bool {
    let nodes = slice(layout.nodes_of(message), columns, |node| node.column);
    let buffers = slice(layout.buffers_of(message), columns, |buffer| buffer.column);
    let n_buffers = buffers.iter().filter(|buffer| buffer.kind != BufferKind::ViewData).count();
    let expected: usize = columns.clone().map(|c| schema.n_buffers(c, message.version)).sum();
    nodes.len() == columns.len() && n_buffers == expected
}

/// Decodes the column at the top whose nodes and buffers are those of `columns`.
///
/// arrow-ipc is handed a message of this column alone, written from what the walk found, so that
/// neither damage in other columns nor their size matters. The caller has seen to it that the walk
/// found no error in this one.
pub(super) fn read(
    payload: &[u8],
    layout: &Layout,
    message: &MessageLayout,
    columns: Range<usize>,
    field: &FieldRef,
    dictionaries: &HashMap<i64, ArrayRef>,
) -> Result<ArrayRef, Fault> {
    let nodes = slice(layout.nodes_of(message), &columns, |node| node.column);
    let buffers = slice(layout.buffers_of(message), &columns, |buffer| buffer.column);
    let stored = || buffers.iter().filter(|buffer| buffer.stored > 0);
    let start = stored().map(|buffer| buffer.offset).min().unwrap_or(message.body_offset());
    let end = stored().map(|buffer| buffer.offset + buffer.stored).max().unwrap_or(start);
    let raw: u64 = buffers.iter().map(|buffer| buffer.raw).sum();
    if raw > MAX_RAW {
        let what = format!("unpacks to {raw} bytes here, more than the {MAX_RAW} that are shown");
        return Err(Fault::new(start, what));
    }
    if message.codec == Codec::Lz4 {
        check_lz4(payload, buffers)?;
    }
    let damaged = |error: &dyn std::fmt::Display| Fault::new(start, error.to_string());
    let body = payload.get(start..end).ok_or_else(|| damaged(&"bytes outside the payload"))?;
    let header = header(message, nodes, buffers, start);
    let header = flatbuffers::root::<ipc::RecordBatch<'_>>(&header).map_err(|e| damaged(&e))?;
    let version = if message.version < 5 { MetadataVersion::V4 } else { MetadataVersion::V5 };
    let schema = Arc::new(Schema::new(vec![FieldRef::clone(field)]));
    let batch = read_record_batch(
        // A copy, because arrays of an uncompressed body are parts of it, and aligned.
        &Buffer::from(body),
        header,
        schema,
        dictionaries,
        None,
        &version,
    );
    let batch: RecordBatch = batch.map_err(|error| damaged(&error))?;
    batch.columns().first().cloned().ok_or_else(|| damaged(&"no values"))
}

/// The flatbuffer of a message that holds these nodes and buffers, its body beginning at `start`.
fn header(
    message: &MessageLayout,
    nodes: &[NodeLayout],
    buffers: &[BufferLayout],
    start: usize,
) -> Vec<u8> {
    let mut out = FlatBufferBuilder::new();
    let field_nodes: Vec<_> =
        nodes.iter().map(|node| FieldNode::new(node.len as i64, node.null_count as i64)).collect();
    let nodes = out.create_vector(&field_nodes);
    let mut variadic = Vec::new();
    for buffer in buffers {
        match buffer.kind {
            BufferKind::Views => variadic.push(0_i64),
            BufferKind::ViewData => *variadic.last_mut().unwrap_or(&mut 0) += 1,
            _ => {}
        }
    }
    let in_body = |buffer: &BufferLayout| match buffer.stored {
        0 => ipc::Buffer::new(0, 0),
        stored => ipc::Buffer::new((buffer.offset - start) as i64, stored as i64),
    };
    let places: Vec<_> = buffers.iter().map(in_body).collect();
    let buffers = out.create_vector(&places);
    let variadic = out.create_vector(&variadic);
    let codec = match message.codec {
        Codec::None => None,
        Codec::Lz4 => Some(CompressionType::LZ4_FRAME),
        Codec::Zstd => Some(CompressionType::ZSTD),
    };
    let compression = codec.map(|codec| {
        let mut compression = ipc::BodyCompressionBuilder::new(&mut out);
        compression.add_codec(codec);
        compression.finish()
    });
    let mut batch = ipc::RecordBatchBuilder::new(&mut out);
    batch.add_length(message.rows as i64);
    batch.add_nodes(nodes);
    batch.add_buffers(buffers);
    batch.add_variadicBufferCounts(variadic);
    if let Some(compression) = compression {
        batch.add_compression(compression);
    }
    let root = batch.finish();
    out.finish(root, None);
    out.finished_data().to_vec()
}

/// The LZ4 decoder does not stop at the declared size: what a frame holds is added up first.
fn check_lz4(payload: &[u8], buffers: &[BufferLayout]) -> Result<(), Fault> {
    for buffer in buffers.iter().filter(|buffer| buffer.raw > 0 && !buffer.is_stored_raw) {
        let bytes = payload.get(buffer.offset..buffer.offset + buffer.stored).unwrap_or_default();
        let frame = bytes.get(8..).unwrap_or_default();
        if layout::lz4_size(frame) != Some(buffer.raw) {
            let what = format!("the lz4 frame does not hold the {} bytes it claims", buffer.raw);
            return Err(Fault::new(buffer.offset, what));
        }
    }
    Ok(())
}

/// The part of a message's nodes or buffers that belongs to `columns`.
fn slice<'a, T>(
    items: &'a [T],
    columns: &Range<usize>,
    column_of: impl Fn(&T) -> usize,
) -> &'a [T] {
    // In the order of the schema, as the walk reads them.
    let start = items.partition_point(|item| column_of(item) < columns.start);
    let end = items.partition_point(|item| column_of(item) < columns.end);
    items.get(start..end).unwrap_or_default()
}
