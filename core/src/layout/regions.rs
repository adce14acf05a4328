//! What a payload is made of: messages, buffers, and the byte map.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::SchemaLayout;

/// The structure of a payload, as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// How the messages are framed.
    pub framing: Framing,
    /// The streams one after another in the payload: one, unless streams were concatenated.
    pub streams: Vec<StreamLayout>,
    /// Every message, in the order of their bytes.
    pub messages: Vec<MessageLayout>,
    /// Every field node of every message, in the order of its message's schema.
    pub nodes: Vec<NodeLayout>,
    /// Every body buffer of every message, empty ones too, in the order of its message's schema.
    pub buffers: Vec<BufferLayout>,
    /// The byte map: sorted by offset, without gap or overlap, from byte 0 to the last byte.
    pub regions: Vec<Region>,
    /// Length of the payload in bytes.
    pub bytes: usize,
}

impl Layout {
    /// Rows of all record batches together.
    pub fn rows(&self) -> u64 {
        self.record_batches().map(|message| message.rows).sum()
    }

    /// The record-batch messages.
    pub fn record_batches(&self) -> impl Iterator<Item = &MessageLayout> {
        self.messages.iter().filter(|message| message.kind == MessageKind::RecordBatch)
    }

    /// Bytes of prefixes, flatbuffers, end markers, magic and footer: what is neither a buffer
    /// nor padding.
    pub fn metadata_bytes(&self) -> usize {
        let metadata = self.regions.iter().filter(|region| region.kind.is_metadata());
        metadata.map(|region| region.len).sum()
    }

    /// The body compression, or `None` where messages with a body differ in it.
    pub fn codec(&self) -> Option<Codec> {
        let mut codecs = self.messages.iter().filter(|m| m.body_len > 0).map(|m| m.codec);
        let first = codecs.next().unwrap_or_default();
        codecs.all(|codec| codec == first).then_some(first)
    }

    /// The schema that a message is read with.
    pub fn schema_of(&self, message: &MessageLayout) -> Option<&Arc<SchemaLayout>> {
        self.streams.get(message.stream)?.schema.as_ref()
    }

    /// The buffers of a message.
    pub fn buffers_of(&self, message: &MessageLayout) -> &[BufferLayout] {
        self.buffers.get(message.buffers.clone()).unwrap_or_default()
    }

    /// The field nodes of a message.
    pub fn nodes_of(&self, message: &MessageLayout) -> &[NodeLayout] {
        self.nodes.get(message.nodes.clone()).unwrap_or_default()
    }

    /// Every message in the order in which a reader needs them, with its index: as they lie there,
    /// and of a file the dictionaries first, because it may hold them after the batches that use
    /// them.
    pub(crate) fn reading_order(&self) -> impl Iterator<Item = (usize, &MessageLayout)> {
        let is_file = self.framing == Framing::File;
        let is_late = move |message: &MessageLayout| {
            is_file && !matches!(message.kind, MessageKind::Dictionary { .. })
        };
        let messages = || self.messages.iter().enumerate();
        let first = messages().filter(move |(_, message)| !is_late(message));
        first.chain(messages().filter(move |(_, message)| is_late(message)))
    }

    /// The messages of a stream, as a part of [`messages`](Self::messages).
    pub(super) fn messages_of(&self, stream: usize) -> Range<usize> {
        let first = self.messages.partition_point(|message| message.stream < stream);
        let n_messages =
            self.messages[first..].iter().take_while(|message| message.stream == stream).count();
        first..first + n_messages
    }

    /// Sums over all messages of a stream, one entry for each of
    /// [`SchemaLayout::columns`], dictionary values included.
    pub fn column_totals(&self, stream: usize) -> Vec<ColumnTotals> {
        let schema = self.streams.get(stream).and_then(|stream| stream.schema.as_ref());
        let mut totals = vec![ColumnTotals::default(); schema.map_or(0, |s| s.columns.len())];
        for message in &self.messages[self.messages_of(stream)] {
            for node in self.nodes_of(message) {
                if let Some(total) = totals.get_mut(node.column) {
                    total.values += node.len;
                    total.nulls += node.null_count;
                }
            }
            for buffer in self.buffers_of(message) {
                if let Some(total) = totals.get_mut(buffer.column) {
                    total.stored += buffer.stored as u64;
                    total.raw += buffer.raw;
                }
            }
        }
        totals
    }
}

/// Sums over one column of a stream; see [`Layout::column_totals`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnTotals {
    /// Values, nulls among them.
    pub values: u64,
    /// Nulls, as the field nodes declare them.
    pub nulls: u64,
    /// Bytes of the column's own buffers in the payload, without its children's.
    pub stored: u64,
    /// The same buffers, decompressed.
    pub raw: u64,
}

/// How the messages of a payload are framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Schema, batches, end marker.
    #[default]
    Stream,
    /// Magic, a stream, a footer that lists its messages, magic.
    File,
    /// Record batches alone; the schema was given beside.
    Messages,
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::File => "file",
            Self::Messages => "messages",
        })
    }
}

/// Body compression of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Buffers are stored as they are.
    #[default]
    None,
    /// Each buffer is an LZ4 frame.
    Lz4,
    /// Each buffer is a Zstandard frame.
    Zstd,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// One stream of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamLayout {
    /// Its bytes, from the schema message through the end marker. For a file: what lies between
    /// the magic and the footer.
    pub range: Range<usize>,
    /// Its schema, where that could be read.
    pub schema: Option<Arc<SchemaLayout>>,
    /// Whether it ends with an end marker.
    pub has_end: bool,
}

/// One encapsulated message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageLayout {
    /// What it holds.
    pub kind: MessageKind,
    /// Index into [`Layout::streams`].
    pub stream: usize,
    /// Where its prefix begins.
    pub offset: usize,
    /// Bytes of the prefix: 8, or 4 in payloads written before Arrow 0.15, or 0 for the schema of
    /// files by Polars.
    pub prefix_len: usize,
    /// Bytes of the flatbuffer, its padding included.
    pub metadata_len: usize,
    /// Bytes of the body, its padding included.
    pub body_len: usize,
    /// Format version of the metadata, 4 or 5.
    pub version: u8,
    /// Rows of a record batch, values of a dictionary, 0 for a schema.
    pub rows: u64,
    /// Compression of the body.
    pub codec: Codec,
    /// Its part of [`Layout::nodes`].
    pub nodes: Range<usize>,
    /// Its part of [`Layout::buffers`].
    pub buffers: Range<usize>,
}

impl MessageLayout {
    /// All bytes of the message: prefix, flatbuffer and body.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.body_offset() + self.body_len
    }

    /// The bytes of the body, its padding included.
    pub fn body_range(&self) -> Range<usize> {
        self.body_offset()..self.range().end
    }

    /// Where the body begins.
    pub fn body_offset(&self) -> usize {
        self.offset + self.prefix_len + self.metadata_len
    }
}

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// The schema of the messages that follow.
    Schema,
    /// Values of a dictionary.
    Dictionary {
        /// Which dictionary.
        id: i64,
        /// Whether the values extend the dictionary rather than replace it.
        is_delta: bool,
    },
    /// Rows.
    RecordBatch,
    /// Anything else; such payloads are refused.
    Other,
}

/// Length and null count of one column in one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLayout {
    /// Index into [`SchemaLayout::columns`].
    pub column: usize,
    /// Values, nulls among them.
    pub len: u64,
    /// Nulls, as declared.
    pub null_count: u64,
}

/// One buffer of one column in one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferLayout {
    /// Index into [`SchemaLayout::columns`].
    pub column: usize,
    /// What the buffer holds.
    pub kind: BufferKind,
    /// Where it begins in the payload.
    pub offset: usize,
    /// Its bytes in the payload, the length prefix of a compressed buffer included.
    pub stored: usize,
    /// Its bytes decompressed.
    pub raw: u64,
    /// Whether a compressed body stores this buffer as it is, because that is smaller.
    pub is_stored_raw: bool,
}

impl BufferLayout {
    /// One past its last byte in the payload.
    pub(super) fn end(&self) -> usize {
        self.offset + self.stored
    }
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BufferKind {
    /// One bit a value: 1 is not null.
    Validity,
    /// Fixed-width values, booleans, or the bytes that offsets point into.
    Values,
    /// Offsets into the values or the child.
    Offsets,
    /// Sizes of the lists of a list view.
    Sizes,
    /// 16-byte views of strings or binaries.
    Views,
    /// Bytes that views point into.
    ViewData,
    /// Which child of a union each value is in.
    TypeIds,
    /// Indices into a dictionary.
    Keys,
}

impl fmt::Display for BufferKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Validity => "validity",
            Self::Values => "values",
            Self::Offsets => "offsets",
            Self::Sizes => "sizes",
            Self::Views => "views",
            Self::ViewData => "view data",
            Self::TypeIds => "type ids",
            Self::Keys => "keys",
        })
    }
}

/// A run of bytes and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// First byte in the payload.
    pub offset: usize,
    /// Number of bytes, at least 1.
    pub len: usize,
    /// Index into [`Layout::messages`], for bytes of a message. One past the last where the message
    /// could not be read.
    pub message: Option<usize>,
    /// What the bytes are.
    pub kind: RegionKind,
}

impl Region {
    /// One past the last byte.
    pub fn end(&self) -> usize {
        self.offset + self.len
    }
}

/// The meaning of a [`Region`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionKind {
    /// `ARROW1`, at either end of a file.
    Magic,
    /// Continuation marker and metadata length.
    Prefix,
    /// The flatbuffer of a message.
    Metadata,
    /// A body buffer: index into [`Layout::buffers`].
    Buffer(usize),
    /// Filler that aligns what follows.
    Padding,
    /// End of a stream.
    EndOfStream,
    /// The flatbuffer that lists the messages of a file.
    Footer,
    /// Length of the footer.
    FooterLength,
    /// Bytes without a known meaning, in damaged payloads.
    Unclaimed,
}

impl RegionKind {
    fn is_metadata(self) -> bool {
        !matches!(self, Self::Buffer(_) | Self::Padding | Self::Unclaimed)
    }
}
