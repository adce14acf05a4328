//! What must hold for any bytes at all: the bodies of the fuzz targets.
//!
//! libFuzzer calls them with bytes that it makes up; `core/tests/fuzz_replay.rs` calls the same
//! functions with the seeds and with every input that once failed, on any toolchain.

#![allow(clippy::expect_used, reason = "an input for which a property does not hold has to stop")]

use std::sync::Arc;

use arrow_array::RecordBatch;
use volley_core::codec::{Codec, CodecOptions, Framing};
use volley_core::decode::decode_within;
use volley_core::encode::encode;
use volley_core::headers::{MessageHeaders, checksum};
use volley_core::layout::{
    Diagnostic, Layout, Options, RegionKind, Walker, check, walk, walk_values,
};
use volley_core::splice::{SpliceError, Splicer, splice};

/// Lies between the payloads of an input to [`splice`](fn@splice_payloads).
pub const SEPARATOR: &[u8] = b"|splice|";

/// Limits low enough that a target which ignores them runs into libFuzzer's own.
fn options() -> Options {
    Options { max_raw_bytes: 1 << 22, max_rows: 1 << 20, max_columns: 1 << 10, schema: None }
}

/// Walks the bytes: every byte lies in exactly one region, whatever they are, and what passes is
/// within the limits. Walks them again as batches without their schema, and with a walker that knows
/// them already.
pub fn layout(payload: &[u8]) {
    let options = options();
    let (layout, diagnostics) = walk(payload, &options);
    assert_map(payload, &layout, &diagnostics);
    let error = diagnostics.iter().find(|diagnostic| diagnostic.is_error());
    assert_eq!(check(payload, &options).err().as_deref(), error);
    if error.is_none() {
        let raw: u64 = layout.buffers.iter().map(|buffer| buffer.raw).sum();
        assert!(raw <= options.max_raw_bytes, "{raw} bytes decompressed");
        assert!(layout.rows() <= options.max_rows, "{} rows", layout.rows());
    }

    let mut walker = Walker::new(options.clone());
    for _ in 0..2 {
        let again = walker.walk(payload);
        assert!(again.0 == layout && again.1 == diagnostics, "another walk differs");
    }

    let first = layout.streams.first().and_then(|stream| stream.schema.as_ref());
    let schema_end = layout.messages.first().map(|message| message.range().end);
    if let (Some(schema), Some(end)) = (first, schema_end) {
        let options = Options { schema: Some(Arc::clone(schema)), ..options };
        let (layout, diagnostics) = walk(&payload[end..], &options);
        assert_map(&payload[end..], &layout, &diagnostics);
    }
}

/// Each byte lies in one region, and what the layout refers to is there.
fn assert_map(payload: &[u8], layout: &Layout, diagnostics: &[Diagnostic]) {
    assert_eq!(layout.bytes, payload.len());
    let mut at = 0;
    for region in &layout.regions {
        assert_eq!(region.offset, at, "a gap or an overlap");
        assert!(region.len > 0, "an empty region");
        assert!(region.message.is_none_or(|message| message <= layout.messages.len()));
        if let RegionKind::Buffer(buffer) = region.kind {
            assert!(buffer < layout.buffers.len());
        }
        at = region.end();
    }
    assert_eq!(at, payload.len());
    let mut end = 0;
    for message in &layout.messages {
        assert!(message.offset >= end && message.range().end <= payload.len());
        assert!(message.stream < layout.streams.len());
        assert_eq!(layout.nodes_of(message).len(), message.nodes.len());
        assert_eq!(layout.buffers_of(message).len(), message.buffers.len());
        end = message.range().end;
    }
    let columns = layout.streams.iter().flat_map(|stream| &stream.schema);
    let n_columns = columns.map(|schema| schema.columns.len()).max().unwrap_or_default();
    assert!(layout.nodes.iter().all(|node| node.column < n_columns));
    assert!(layout.buffers.iter().all(|buffer| {
        buffer.column < n_columns && buffer.offset + buffer.stored <= payload.len()
    }));
    // Those that are kept are few, however much is wrong.
    assert!(diagnostics.len() <= 200);
    for diagnostic in diagnostics {
        assert!(diagnostic.offset <= payload.len(), "{diagnostic}");
        assert!(diagnostic.message.is_none_or(|message| message <= layout.messages.len()));
        assert!(!diagnostic.to_string().contains('\n'), "more than a sentence");
    }
}

/// Decodes the bytes, or says why not. What decodes has the rows that the walk counted, is valid in
/// every value, and the check of the values agrees.
pub fn decode(payload: &[u8]) {
    let options = options();
    let decoded = decode_within(payload, &options);
    let (layout, diagnostics) = walk_values(payload, &options);
    let error = diagnostics.into_iter().find(Diagnostic::is_error);
    let Ok(batches) = decoded else {
        return;
    };
    assert_eq!(error, None, "decoded what the check refuses");
    assert_eq!(rows(&batches), layout.rows());
    for batch in &batches {
        for column in batch.columns() {
            column.to_data().validate_full().expect("a decoded column is valid");
        }
    }
}

fn rows(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

/// Splices the payloads between separators, and the first of them with what our encoder makes of its
/// rows in another framing and codec. A splice holds the rows of its payloads.
pub fn splice_payloads(bytes: &[u8]) {
    let mut payloads = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
        payloads.push(&rest[..at]);
        rest = &rest[at + SEPARATOR.len()..];
    }
    payloads.push(rest);
    assert_splice(&payloads);
    assert_splice(&[payloads[0], payloads[0]]);

    let Ok(batches) = decode_within(payloads[0], &options()) else {
        return;
    };
    let codec = if bytes.len().is_multiple_of(2) { Codec::Lz4 } else { Codec::None };
    let others = batches.iter().take(4).filter_map(|batch| {
        let framing =
            if batch.num_rows().is_multiple_of(2) { Framing::File } else { Framing::Stream };
        encode(batch, CodecOptions { codec, framing }).ok()
    });
    let others: Vec<Vec<u8>> = others.collect();
    let mixed: Vec<&[u8]> = others
        .iter()
        .map(Vec::as_slice)
        .flat_map(|other| [payloads[0], other])
        .chain([payloads[0]])
        .collect();
    assert_splice(&mixed);
}

/// A splice decodes to the batches of its payloads, one after another.
fn assert_splice(payloads: &[&[u8]]) {
    let options = options();
    let spliced = match splice(payloads, &options) {
        Ok(spliced) => spliced,
        Err(error) => {
            assert_ne!(error, SpliceError::NoPayloads);
            assert_refusal_changes_nothing(payloads, &options);
            return;
        }
    };
    let stream = spliced.to_vec();
    assert_eq!(stream.len(), spliced.len());
    assert_eq!(spliced.record_batches, {
        let layouts = payloads.iter().map(|payload| walk(payload, &options).0);
        layouts.map(|layout| layout.record_batches().count()).sum::<usize>()
    });
    // The limits hold for each payload; the whole may have as much as all together.
    let n_payloads = payloads.len() as u64;
    let all = Options {
        max_raw_bytes: options.max_raw_bytes * n_payloads,
        max_rows: options.max_rows * n_payloads,
        ..options.clone()
    };
    let layout = check(&stream, &all).expect("a splice is sound");
    assert_eq!(layout.rows(), spliced.rows);
    let parts: Result<Vec<_>, _> =
        payloads.iter().map(|payload| decode_within(payload, &options)).collect();
    let Ok(parts) = parts else {
        // Values that are not valid are no matter of structure.
        return;
    };
    let batches = decode_within(&stream, &all).expect("a splice of what decodes decodes");
    let parts: Vec<RecordBatch> = parts.into_iter().flatten().collect();
    assert_eq!(batches.len(), parts.len());
    for (batch, part) in batches.iter().zip(&parts) {
        if batch.schema() == part.schema() {
            assert_eq!(batch, part);
        } else {
            // Metadata and names of list items may differ, which arrays compare.
            assert_eq!(batch.num_rows(), part.num_rows());
        }
    }
}

/// A splicer takes what fits after what does not, as if that had not been there.
fn assert_refusal_changes_nothing(payloads: &[&[u8]], options: &Options) {
    let mut splicer = Splicer::new(options);
    let taken: Vec<&[u8]> =
        payloads.iter().copied().filter(|payload| splicer.push(payload).is_ok()).collect();
    match (splicer.finish(), splice(&taken, options)) {
        (Ok(left), Ok(right)) => assert_eq!(left.to_vec(), right.to_vec()),
        (left, right) => assert_eq!(left.err(), right.err()),
    }
}

/// Reads lines `name: value` as headers: what is read and written again is read the same.
pub fn headers(bytes: &[u8]) {
    let lines = bytes.split(|&byte| byte == b'\n');
    let pairs = lines.filter_map(|line| {
        let at = line.iter().position(|&byte| byte == b':')?;
        let name = std::str::from_utf8(&line[..at]).ok()?;
        Some((name, line[at + 1..].strip_prefix(b" ").unwrap_or(&line[at + 1..])))
    });
    let parsed = MessageHeaders::parse(pairs);
    let written = parsed.to_pairs();
    let again = MessageHeaders::parse(written.iter().map(|(name, text)| (*name, text.as_bytes())));
    assert_eq!(parsed, again);
    assert_eq!(written, again.to_pairs());
    if let Some(range) = parsed.time_range {
        assert!(range.min_us <= range.max_us);
    }

    // One wrong bit, wherever it is, is seen.
    let text = format!("{:08x}", checksum(bytes));
    let of_text = MessageHeaders::parse([("volley-crc32c", text.as_bytes())]);
    assert_eq!(of_text.crc32c, Some(checksum(bytes)));
    if let Some(last) = bytes.last() {
        let mut changed = bytes.to_vec();
        changed[(usize::from(*last) * 257) % bytes.len()] ^= 1 << (last % 8);
        assert_ne!(checksum(&changed), checksum(bytes));
    }
}
