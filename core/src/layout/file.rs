//! File framing: magic, messages, and the footer that must list exactly these messages.

use std::ops::Range;
use std::sync::Arc;

use arrow_ipc::{self as ipc, Block, MessageHeader, MetadataVersion};
use flatbuffers::Vector;

use super::diagnostic::{Code, Diagnostic};
use super::frames::{CONTINUATION, malformed, verifier};
use super::regions::{Framing, MessageKind, MessageLayout, RegionKind, StreamLayout};
use super::types::read_schema;
use super::{Framed, SchemaLayout, Walk};

pub(super) const MAGIC: &[u8] = b"ARROW1";

/// Footer length and magic, at the end.
const TRAILER_LEN: usize = 10;

/// Writers align the first message to 64 bytes at most.
const MAX_ALIGNMENT: usize = 64;

impl<'p> Walk<'p, '_> {
    /// Walks a payload that begins with the magic.
    pub(super) fn file(&mut self) {
        self.layout.framing = Framing::File;
        self.region(0, MAGIC.len(), None, RegionKind::Magic);
        let payload: &'p [u8] = self.payload;
        let range = self.footer_range();
        let end = range.as_ref().map_or(payload.len(), |range| range.start);
        let footer = range.and_then(|range| self.footer(range));
        self.footer_schema = footer.and_then(|footer| self.read_footer_schema(end, footer));
        let start = first_message(payload.get(..end).unwrap_or_default());
        self.region(MAGIC.len(), start - MAGIC.len(), None, RegionKind::Padding);
        let first_block = footer.and_then(first_block).filter(|at| (start..end).contains(at));
        let messages = match self.unframed_schema(start..first_block.unwrap_or(end)) {
            Some((schema, layout)) => {
                let mut messages = vec![schema];
                let next = layout.range().end;
                self.add(schema, layout);
                self.frames_onto(&mut messages, next..end);
                messages
            }
            None => self.frames(start..end.max(start)),
        };

        // A file is read by its footer, dictionaries first, wherever they lie.
        let kinds: Vec<MessageKind> =
            self.layout.messages.iter().map(|message| message.kind).collect();
        let is_dictionary = |kind: &MessageKind| matches!(kind, MessageKind::Dictionary { .. });
        for is_turn in [true, false] {
            for (index, (message, kind)) in messages.iter().zip(&kinds).enumerate() {
                if is_dictionary(kind) == is_turn {
                    self.message(index, *message);
                }
            }
        }
        if let Some(footer) = footer {
            self.compare_with_footer(end, footer);
        }
    }

    /// Reads the schema of a file without a prefix, as Polars writes it: nothing but the
    /// flatbuffer, up to the first message that the footer lists. Nobody but a reader that goes
    /// from message to message would notice.
    fn unframed_schema(&mut self, range: Range<usize>) -> Option<(Framed<'p>, MessageLayout)> {
        let payload: &'p [u8] = self.payload;
        let metadata =
            payload.get(range.clone()).filter(|bytes| !bytes.starts_with(&CONTINUATION))?;
        let message = ipc::root_as_message_with_opts(&verifier(metadata), metadata).ok()?;
        if message.header_type() != MessageHeader::Schema || message.bodyLength() != 0 {
            return None;
        }
        self.frame(range.start, 0, range.len(), range.end)
    }

    /// Begins the stream of a file that has no schema message, as arrow-js writes it.
    pub(super) fn begin_from_footer(&mut self, at: usize) {
        if let Some(schema) = self.footer_schema.as_ref().filter(|_| self.layout.streams.is_empty())
        {
            let schema = Some(Arc::clone(schema));
            self.layout.streams.push(StreamLayout { range: at..at, schema, has_end: false });
        }
    }

    /// Finds the footer from the end of the file.
    fn footer_range(&mut self) -> Option<Range<usize>> {
        let payload: &'p [u8] = self.payload;
        let trailer_at = payload.len().checked_sub(TRAILER_LEN).filter(|&at| at >= MAGIC.len());
        let trailer = trailer_at.and_then(|at| payload.get(at..)?.split_first_chunk::<4>());
        let (Some(trailer_at), Some((length, MAGIC))) = (trailer_at, trailer) else {
            let expected = "a footer length and ARROW1 at the end";
            self.report(Code::FooterMissing, payload.len(), "the end of the payload", expected);
            return None;
        };
        let length = i32::from_le_bytes(*length);
        let start = usize::try_from(length).ok().and_then(|length| trailer_at.checked_sub(length));
        match start {
            Some(start) if length > 0 && start >= MAGIC.len() => {
                self.region(trailer_at, 4, None, RegionKind::FooterLength);
                self.region(trailer_at + 4, MAGIC.len(), None, RegionKind::Magic);
                Some(start..trailer_at)
            }
            _ => {
                let expected = format!("1 to {}", trailer_at - MAGIC.len());
                self.report(Code::FooterMissing, trailer_at, format!("{length} bytes"), expected);
                None
            }
        }
    }

    /// What lies between the end marker and the footer: nothing, or zeros that align it.
    pub(super) fn padding_before_footer(&mut self, at: usize, end: usize) {
        if end == self.payload.len() {
            // The rest of a footer that is missing, which is reported.
            return;
        }
        let gap = self.payload.get(at..end).unwrap_or_default();
        if gap.len() < MAX_ALIGNMENT && gap.iter().all(|&byte| byte == 0) {
            self.region(at, gap.len(), None, RegionKind::Padding);
        } else {
            let found = format!("{} bytes", gap.len());
            self.report(Code::TrailingBytes, at, found, "the footer");
        }
    }

    /// Verifies the flatbuffer of the footer.
    fn footer(&mut self, range: Range<usize>) -> Option<ipc::Footer<'p>> {
        let payload: &'p [u8] = self.payload;
        self.region(range.start, range.len(), None, RegionKind::Footer);
        let bytes = payload.get(range.clone()).unwrap_or_default();
        match ipc::root_as_footer_with_opts(&verifier(bytes), bytes) {
            Ok(footer) => Some(footer),
            Err(error) => {
                let (position, found) = malformed(&error);
                let at = range.start + position.min(range.len());
                self.report(Code::FooterMalformed, at, found, "a footer");
                None
            }
        }
    }

    /// Compares what the footer at `at` says with the messages.
    fn compare_with_footer(&mut self, at: usize, footer: ipc::Footer<'p>) {
        self.compare_schemas(at);
        if footer
            .custom_metadata()
            .into_iter()
            .flatten()
            .any(|kv| kv.key().is_none() || kv.value().is_none())
        {
            self.report(Code::FooterMalformed, at, "metadata without key or value", "both");
        }
        // pyarrow writes such files when asked for version 4. arrow-ipc reads their stream, and
        // refuses them as files.
        let is_same_version = |version: u8| match footer.version() {
            MetadataVersion::V4 => version == 4,
            MetadataVersion::V5 => version == 5,
            _ => false,
        };
        if let Some(message) = self.layout.messages.iter().find(|m| !is_same_version(m.version)) {
            let expected = format!("version {}", message.version);
            let found = format!("version {}", i32::from(footer.version().0) + 1);
            self.report(Code::FooterVersion, at, found, expected);
        }
        let is_dictionary = |kind| matches!(kind, MessageKind::Dictionary { .. });
        if footer.recordBatches().is_none() {
            self.report(Code::FooterMalformed, at, "no list of record batches", "one");
        }
        self.blocks(at, footer.dictionaries(), is_dictionary);
        self.blocks(at, footer.recordBatches(), |kind| kind == MessageKind::RecordBatch);
    }

    fn read_footer_schema(
        &mut self,
        at: usize,
        footer: ipc::Footer<'p>,
    ) -> Option<Arc<SchemaLayout>> {
        let Some(schema) = footer.schema() else {
            self.report(Code::FooterMalformed, at, "no schema", "a schema");
            return None;
        };
        match read_schema(schema, self.options.max_columns) {
            Ok(schema) => {
                if schema.is_foreign_endian {
                    let (found, expected) = ("big-endian values", "little-endian values");
                    self.report(Code::ForeignEndianness, at, found, expected);
                }
                Some(Arc::new(schema))
            }
            Err(fault) => {
                let found = match fault.column {
                    Some(column) => format!("{} in column `{column}`", fault.found),
                    None => fault.found,
                };
                self.report(Code::FooterSchema, at, found, fault.expected);
                None
            }
        }
    }

    /// Readers of files take the schema from the footer, readers of streams from the message.
    fn compare_schemas(&mut self, at: usize) {
        let first = self.layout.streams.first().and_then(|stream| stream.schema.as_ref());
        let (Some(first), Some(footer)) = (first, &self.footer_schema) else {
            return;
        };
        if first.schema.fields() == footer.schema.fields() {
            return;
        }
        let (column, found, expected) = match first.difference(footer) {
            Some(difference) => (difference.column, difference.found, difference.expected),
            None => (String::new(), "other names or metadata".to_owned(), "the same".to_owned()),
        };
        let is_schema = |message: &MessageLayout| message.kind == MessageKind::Schema;
        self.diagnostics.push(Diagnostic {
            code: Code::FooterSchema,
            // Where the two differ, either may be damaged.
            message: self.layout.messages.iter().position(is_schema),
            column: Some(column).filter(|column| !column.is_empty()),
            buffer: None,
            offset: at,
            found,
            expected,
        });
    }

    /// Compares the blocks of the footer with the messages of a kind, one by one.
    fn blocks(
        &mut self,
        at: usize,
        blocks: Option<Vector<'p, Block>>,
        is_kind: impl Fn(MessageKind) -> bool,
    ) {
        let mut messages = self.layout.messages.iter().enumerate().filter(|(_, m)| is_kind(m.kind));
        let mut fault = None;
        for block in blocks.into_iter().flatten() {
            let found = (block.offset(), i64::from(block.metaDataLength()), block.bodyLength());
            let next = messages.next().map(|(index, message)| {
                let metadata_len = message.prefix_len + message.metadata_len;
                (index, (message.offset as i64, metadata_len as i64, message.body_len as i64))
            });
            if next.is_none_or(|(_, expected)| found != expected) {
                fault = Some((Some(found), next));
                break;
            }
        }
        let fault = fault.or_else(|| {
            let (index, message) = messages.next()?;
            Some((None, Some((index, (message.offset as i64, 0, 0)))))
        });
        let Some((found, next)) = fault else { return };
        let text = |(offset, metadata, body): (i64, i64, i64)| {
            format!("a block at byte {offset} of {metadata} + {body} bytes")
        };
        let found = found.map_or("no further block".to_owned(), text);
        match next {
            Some((index, expected)) => {
                self.report_in(index, Code::FooterBlock, at, found, text(expected));
            }
            None => self.report(Code::FooterBlock, at, found, "no further block"),
        }
    }
}

/// Where the first message begins that the footer lists.
fn first_block(footer: ipc::Footer<'_>) -> Option<usize> {
    let lists = [footer.dictionaries(), footer.recordBatches()];
    let offsets = lists.into_iter().flatten().flatten().map(|block| block.offset());
    offsets.min().and_then(|offset| usize::try_from(offset).ok())
}

/// Skips the zeros after the magic: to 8 bytes, or on to 64 where the writer aligned to that.
fn first_message(head: &[u8]) -> usize {
    let zeros = head.get(MAGIC.len()..).unwrap_or_default().iter().take_while(|&&byte| byte == 0);
    let start = MAGIC.len() + zeros.count();
    // A prefix may begin with zeros of its own only in the old framing, whose length is small.
    (start & !7).clamp(8, MAX_ALIGNMENT).min(head.len())
}
