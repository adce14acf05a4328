//! Finds the messages: prefixes, flatbuffers, body bounds, end markers, schemas.

use std::ops::Range;
use std::sync::Arc;

use arrow_ipc::{self as ipc, MessageHeader, MetadataVersion};
use flatbuffers::{ErrorTraceDetail, InvalidFlatbuffer, VerifierOptions};

use super::diagnostic::{Code, Diagnostic};
use super::regions::{Codec, Framing, MessageKind, MessageLayout, RegionKind, StreamLayout};
use super::types::read_schema;
use super::{Cut, Framed, LastSchema, SchemaLayout, Walk};

pub(super) const CONTINUATION: [u8; 4] = [0xff; 4];

/// Verifies no deeper than arrow-ipc does, and no more than what a flatbuffer that shares nothing
/// but its vtables can refer to: small metadata that refers to one string a million times would
/// otherwise become a million strings.
pub(super) fn verifier(metadata: &[u8]) -> VerifierOptions {
    let max_apparent_size = metadata.len().saturating_mul(8).saturating_add(1 << 12).min(1 << 31);
    VerifierOptions { max_apparent_size, ..VerifierOptions::default() }
}

/// The flatbuffer of a message of `payload` whose layout is sound.
pub(crate) fn header<'p>(payload: &'p [u8], message: &MessageLayout) -> Option<ipc::Message<'p>> {
    let metadata = payload.get(message.offset + message.prefix_len..message.body_offset())?;
    ipc::root_as_message_with_opts(&verifier(metadata), metadata).ok()
}

/// What the prefix of a message says.
enum Prefix {
    Message { prefix_len: usize, metadata_len: usize },
    EndOfStream { prefix_len: usize },
}

impl<'p> Walk<'p, '_> {
    /// Goes from message to message through `range` and returns their flatbuffers, one for each
    /// message that it added to the layout. Stops where the next message cannot be found.
    pub(super) fn frames(&mut self, range: Range<usize>) -> Vec<Framed<'p>> {
        let mut framed = Vec::new();
        if range.is_empty() {
            self.report(Code::EmptyPayload, range.start, "no bytes", "a schema message");
        }
        self.frames_onto(&mut framed, range);
        framed
    }

    /// As [`frames`](Self::frames), after messages that were found already.
    pub(super) fn frames_onto(&mut self, framed: &mut Vec<Framed<'p>>, range: Range<usize>) {
        let mut at = range.start;
        while at < range.end && !self.diagnostics.is_full() {
            let Some(prefix) = self.prefix(at, range.end) else {
                return;
            };
            match prefix {
                Prefix::EndOfStream { prefix_len } => {
                    self.begin_from_footer(at);
                    if !self.is_open() {
                        let code = match self.layout.streams.is_empty() {
                            true => Code::MissingSchema,
                            false => Code::TrailingBytes,
                        };
                        let found = format!("{} bytes", range.end - at);
                        self.report(code, at, found, "a schema message");
                        return;
                    }
                    self.region(at, prefix_len, None, RegionKind::EndOfStream);
                    at += prefix_len;
                    if let Some(stream) = self.layout.streams.last_mut() {
                        (stream.has_end, stream.range.end) = (true, at);
                    }
                    if self.layout.framing == Framing::File {
                        self.padding_before_footer(at, range.end);
                        return;
                    }
                }
                Prefix::Message { prefix_len, metadata_len } => {
                    let frame = self.frame(at, prefix_len, metadata_len, range.end);
                    let Some((message, layout)) = frame else {
                        return;
                    };
                    at = layout.range().end;
                    if !self.add(message, layout) {
                        return;
                    }
                    framed.push(message);
                    if self.cut.is_some() {
                        return;
                    }
                }
            }
        }
        if self.is_open() && at >= range.end && self.layout.framing == Framing::Stream {
            let expected = "an end marker, FFFFFFFF 00000000";
            self.report(Code::MissingEndOfStream, range.end, "the end of the payload", expected);
        }
    }

    /// Whether a stream has begun and not ended.
    fn is_open(&self) -> bool {
        self.layout.streams.last().is_some_and(|stream| !stream.has_end)
    }

    /// Adds a message to the stream it belongs to. `false` where it belongs to none.
    pub(super) fn add(&mut self, message: Framed<'p>, layout: MessageLayout) -> bool {
        let index = self.layout.messages.len();
        let (range, at) = (layout.range(), layout.offset);
        let begins = |schema| StreamLayout { range: range.clone(), schema, has_end: false };
        if layout.kind != MessageKind::Schema {
            self.begin_from_footer(at);
        }
        if layout.kind == MessageKind::Schema {
            if self.layout.framing == Framing::File && !self.layout.streams.is_empty() {
                let expected = "one schema in a file";
                self.report_in(index, Code::MessageKind, at, "a second schema", expected);
            }
            let schema = self.schema_message(index, message, &layout);
            self.layout.streams.push(begins(schema));
        } else if self.layout.streams.is_empty() {
            let schema = self.options.schema.clone();
            if schema.is_some() {
                self.layout.framing = Framing::Messages;
            } else {
                let found = header_name(message);
                self.report_in(index, Code::MissingSchema, at, found, "a schema message");
            }
            self.layout.streams.push(begins(schema));
        } else if !self.is_open() {
            self.report(Code::TrailingBytes, at, "a message", "a schema message or nothing");
            return false;
        }
        let stream = self.layout.streams.len().saturating_sub(1);
        if let Some(stream) = self.layout.streams.last_mut() {
            stream.range.end = range.end;
        }
        self.layout.messages.push(MessageLayout { stream, ..layout });
        true
    }

    fn word(&self, at: usize) -> Option<[u8; 4]> {
        self.payload.get(at..)?.first_chunk().copied()
    }

    /// Reads the 4 or 8 bytes before a flatbuffer.
    fn prefix(&mut self, at: usize, end: usize) -> Option<Prefix> {
        let truncated = |walk: &mut Self, needed: usize| {
            let found = format!("{} bytes", end - at);
            let after_end = walk.layout.streams.last().is_some_and(|stream| stream.has_end);
            if after_end {
                walk.report(Code::TrailingBytes, at, found, "nothing");
            } else {
                let message = walk.layout.messages.len();
                let expected = format!("a prefix of {needed} bytes");
                walk.report_in(message, Code::TruncatedPrefix, at, found, expected);
            }
        };
        let Some(first) = self.word(at).filter(|_| end - at >= 4) else {
            truncated(self, 4);
            return None;
        };
        let (prefix_len, length) = if first == CONTINUATION {
            let Some(second) = self.word(at + 4).filter(|_| end - at >= 8) else {
                truncated(self, 8);
                return None;
            };
            (8, i32::from_le_bytes(second))
        } else {
            (4, i32::from_le_bytes(first))
        };
        if length == 0 {
            return Some(Prefix::EndOfStream { prefix_len });
        }
        let room = end - at - prefix_len;
        match usize::try_from(length) {
            Ok(metadata_len) if metadata_len <= room => {
                Some(Prefix::Message { prefix_len, metadata_len })
            }
            _ => {
                let expected = format!("1 to {room} bytes, as are left");
                let message = self.layout.messages.len();
                let at = at + prefix_len - 4;
                self.report_in(
                    message,
                    Code::MetadataLength,
                    at,
                    format!("{length} bytes"),
                    expected,
                );
                None
            }
        }
    }

    /// Verifies a flatbuffer and finds the bounds of its body.
    pub(super) fn frame(
        &mut self,
        at: usize,
        prefix_len: usize,
        metadata_len: usize,
        end: usize,
    ) -> Option<(Framed<'p>, MessageLayout)> {
        let index = self.layout.messages.len();
        let metadata_at = at + prefix_len;
        let body_at = metadata_at + metadata_len;
        self.region(at, prefix_len, Some(index), RegionKind::Prefix);
        self.region(metadata_at, metadata_len, Some(index), RegionKind::Metadata);
        let payload: &'p [u8] = self.payload;
        let metadata = payload.get(metadata_at..body_at)?;
        let mut layout = MessageLayout {
            kind: MessageKind::Schema,
            stream: 0,
            offset: at,
            prefix_len,
            metadata_len,
            body_len: 0,
            version: 0,
            rows: 0,
            codec: Codec::None,
            nodes: 0..0,
            buffers: 0..0,
        };
        let is_aligned = (prefix_len + metadata_len).is_multiple_of(8);
        let is_last = |last: &&LastSchema| is_aligned && *last.metadata == *metadata;
        if let Some(last) = self.last_schema.as_ref().filter(is_last) {
            layout.version = last.version;
            return Some((None, layout));
        }
        let message = match ipc::root_as_message_with_opts(&verifier(metadata), metadata) {
            Ok(message) => message,
            Err(error) => {
                let (position, found) = malformed(&error);
                let at = metadata_at + position.min(metadata_len);
                self.report_in(index, Code::MetadataMalformed, at, found, "a message");
                return None;
            }
        };
        layout.version = match message.version() {
            MetadataVersion::V4 => 4,
            MetadataVersion::V5 => 5,
            other => {
                let found = format!("version {}", i32::from(other.0) + 1);
                let expected = "version 4 or 5";
                self.report_in(index, Code::MetadataVersion, metadata_at, found, expected);
                return None;
            }
        };
        layout.kind = match message.header_type() {
            MessageHeader::Schema => MessageKind::Schema,
            MessageHeader::RecordBatch => MessageKind::RecordBatch,
            MessageHeader::DictionaryBatch => {
                let header = message.header_as_dictionary_batch();
                let id = header.map_or(0, |header| header.id());
                MessageKind::Dictionary { id, is_delta: header.is_some_and(|h| h.isDelta()) }
            }
            _ => MessageKind::Other,
        };
        let room = end - body_at;
        let has_columns =
            matches!(layout.kind, MessageKind::RecordBatch | MessageKind::Dictionary { .. });
        layout.body_len = match usize::try_from(message.bodyLength()) {
            Ok(body_len) if body_len <= room => body_len,
            // Which buffer the payload ends in shows when the message is read.
            _ if has_columns => {
                let declared = message.bodyLength();
                self.cut = Some(Cut { message: index, declared, is_reported: false });
                room
            }
            _ => {
                self.body_length(index, metadata_at, message.bodyLength(), room);
                return None;
            }
        };
        let body_len = layout.body_len;
        if self.cut.is_none() && (!is_aligned || !body_len.is_multiple_of(8)) {
            let found = format!("{prefix_len} + {metadata_len} bytes and a body of {body_len}");
            self.report_in(index, Code::MessageAlignment, at, found, "multiples of 8 bytes");
        }
        Some((Some(message), layout))
    }

    /// Says that a body does not fit what is left of the payload.
    pub(super) fn body_length(&mut self, index: usize, at: usize, declared: i64, room: usize) {
        let found = format!("{declared} bytes");
        let expected = format!("0 to {room} bytes, as are left");
        self.report_in(index, Code::BodyLength, at, found, expected);
    }

    /// Reads a schema message, or recognises it as the one read last.
    fn schema_message(
        &mut self,
        index: usize,
        message: Framed<'p>,
        layout: &MessageLayout,
    ) -> Option<Arc<SchemaLayout>> {
        let metadata_at = layout.offset + layout.prefix_len;
        let schema = match (message, &self.last_schema) {
            (None, Some(last)) => Arc::clone(&last.schema),
            _ => {
                let header = message.and_then(|message| message.header_as_schema());
                let schema = self.schema(index, metadata_at, header)?;
                let metadata = self.payload.get(metadata_at..layout.body_offset());
                if let Some(metadata) = metadata.filter(|_| layout.body_len == 0) {
                    *self.last_schema = Some(LastSchema {
                        metadata: metadata.into(),
                        version: layout.version,
                        schema: Arc::clone(&schema),
                    });
                }
                schema
            }
        };
        if schema.is_foreign_endian {
            let (found, expected) = ("big-endian values", "little-endian values");
            self.report_in(index, Code::ForeignEndianness, metadata_at, found, expected);
        }
        Some(schema)
    }

    /// Converts a schema, reporting why where it cannot.
    pub(super) fn schema(
        &mut self,
        index: usize,
        at: usize,
        schema: Option<ipc::Schema<'p>>,
    ) -> Option<Arc<SchemaLayout>> {
        let Some(schema) = schema else {
            self.report_in(index, Code::MissingPart, at, "no schema", "a schema");
            return None;
        };
        match read_schema(schema, self.options.max_columns) {
            Ok(schema) => Some(Arc::new(schema)),
            Err(fault) => {
                self.diagnostics.push(Diagnostic {
                    code: fault.code,
                    message: Some(index),
                    column: fault.column,
                    buffer: None,
                    offset: at,
                    found: fault.found,
                    expected: fault.expected,
                });
                None
            }
        }
    }
}

/// What the verifier says, and the byte of the flatbuffer where it came upon it: 0 where it gave up
/// because there is too much.
///
/// ```text
/// Range [1264, 1268) is out of bounds, in header.fields[2].name
/// ```
pub(super) fn malformed(error: &InvalidFlatbuffer) -> (usize, String) {
    use InvalidFlatbuffer::*;
    let trace = match error {
        MissingRequiredField { error_trace, .. }
        | InconsistentUnion { error_trace, .. }
        | Utf8Error { error_trace, .. }
        | MissingNullTerminator { error_trace, .. }
        | Unaligned { error_trace, .. }
        | RangeOutOfBounds { error_trace, .. }
        | SignedOffsetOutOfBounds { error_trace, .. } => error_trace.as_ref(),
        _ => &[],
    };
    let mut position = 0;
    let mut path = String::new();
    for step in trace.iter().rev() {
        position = match step {
            ErrorTraceDetail::TableField { field_name, position } => {
                let dot = if path.is_empty() { "" } else { "." };
                path = format!("{path}{dot}{field_name}");
                *position
            }
            ErrorTraceDetail::VectorElement { index, position } => {
                path = format!("{path}[{index}]");
                *position
            }
            ErrorTraceDetail::UnionVariant { position, .. } => *position,
        };
    }
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default().trim_end_matches('.');
    let place = if path.is_empty() { path } else { format!(", in {path}") };
    (position, format!("{text}{place}"))
}

/// The kind of a message, for a sentence.
pub(super) fn header_name(message: Framed<'_>) -> &'static str {
    message.and_then(|message| message.header_type().variant_name()).unwrap_or("an unknown header")
}
