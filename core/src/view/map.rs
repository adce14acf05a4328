//! The byte map in columns of numbers, which cross into a page as they are.

use serde::Serialize;

use crate::layout::{BufferKind, Layout, MessageKind, RegionKind};

/// Names of the kinds of a [`RegionMap`].
pub const REGION_KINDS: [&str; 16] = [
    "magic",
    "prefix",
    "flatbuffer",
    "padding",
    "end marker",
    "footer",
    "footer length",
    "unclaimed",
    "validity",
    "values",
    "offsets",
    "sizes",
    "views",
    "view data",
    "type ids",
    "keys",
];

/// In place of a column, of a region that belongs to none.
pub const NO_COLUMN: u32 = u32::MAX;
/// In place of a message, of a region that belongs to none.
pub const NO_MESSAGE: u32 = u32::MAX;

/// Every region of a payload: sorted, without gap or overlap. One entry of each list a region.
///
/// Payloads are below 4 GiB, as everything in a browser's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegionMap {
    /// The first byte.
    pub offsets: Vec<u32>,
    /// The number of bytes.
    pub lens: Vec<u32>,
    /// Index into [`REGION_KINDS`].
    pub kinds: Vec<u8>,
    /// Index into the columns of the [`Inspection`](crate::inspect::Inspection), or [`NO_COLUMN`].
    pub columns: Vec<u32>,
    /// Index of the message, or [`NO_MESSAGE`].
    pub messages: Vec<u32>,
}

/// A region in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionDetail {
    /// The first byte.
    pub offset: usize,
    /// The number of bytes.
    pub len: usize,
    /// What the bytes are: one of [`REGION_KINDS`].
    pub kind: &'static str,
    /// Index into the columns of the [`Inspection`](crate::inspect::Inspection).
    pub column: Option<usize>,
    /// Index of the message.
    pub message: Option<usize>,
    /// `schema`, `dictionary`, `record batch` or `other`.
    pub message_kind: Option<&'static str>,
    /// Rows or dictionary values of the message.
    pub rows: Option<u64>,
    /// Of a buffer: its bytes decompressed.
    pub raw: Option<u64>,
    /// Of a buffer: `none`, `lz4` or `zstd`.
    pub codec: Option<String>,
    /// Whether a compressed body stores the buffer as it is, because that is smaller.
    pub is_stored_raw: bool,
}

impl RegionMap {
    pub(super) fn new(layout: &Layout, first_column: impl Fn(usize) -> Option<usize>) -> Self {
        let mut map = Self::default();
        let narrow = |wide: usize| u32::try_from(wide).unwrap_or(u32::MAX);
        for region in &layout.regions {
            let column = column(layout, region.kind, region.message, &first_column);
            map.offsets.push(narrow(region.offset));
            map.lens.push(narrow(region.len));
            map.kinds.push(kind(layout, region.kind));
            map.columns.push(column.map_or(NO_COLUMN, narrow));
            map.messages.push(region.message.map_or(NO_MESSAGE, narrow));
        }
        map
    }
}

impl RegionDetail {
    pub(super) fn new(
        layout: &Layout,
        index: usize,
        first_column: impl Fn(usize) -> Option<usize>,
    ) -> Option<Self> {
        let region = layout.regions.get(index)?;
        let message = region.message.and_then(|message| layout.messages.get(message));
        let buffer = match region.kind {
            RegionKind::Buffer(buffer) => layout.buffers.get(buffer),
            _ => None,
        };
        Some(Self {
            offset: region.offset,
            len: region.len,
            kind: REGION_KINDS.get(usize::from(kind(layout, region.kind))).copied().unwrap_or(""),
            column: column(layout, region.kind, region.message, &first_column),
            message: region.message,
            message_kind: message.map(|message| match message.kind {
                MessageKind::Schema => "schema",
                MessageKind::Dictionary { .. } => "dictionary",
                MessageKind::RecordBatch => "record batch",
                MessageKind::Other => "other",
            }),
            rows: message.map(|message| message.rows),
            raw: buffer.map(|buffer| buffer.raw),
            codec: buffer.and(message).map(|message| message.codec.to_string()),
            is_stored_raw: buffer.is_some_and(|buffer| buffer.is_stored_raw),
        })
    }
}

fn kind(layout: &Layout, kind: RegionKind) -> u8 {
    match kind {
        RegionKind::Magic => 0,
        RegionKind::Prefix => 1,
        RegionKind::Metadata => 2,
        RegionKind::Padding => 3,
        RegionKind::EndOfStream => 4,
        RegionKind::Footer => 5,
        RegionKind::FooterLength => 6,
        RegionKind::Unclaimed => 7,
        RegionKind::Buffer(buffer) => match layout.buffers.get(buffer).map(|buffer| buffer.kind) {
            None => 7,
            Some(BufferKind::Validity) => 8,
            Some(BufferKind::Values) => 9,
            Some(BufferKind::Offsets) => 10,
            Some(BufferKind::Sizes) => 11,
            Some(BufferKind::Views) => 12,
            Some(BufferKind::ViewData) => 13,
            Some(BufferKind::TypeIds) => 14,
            Some(BufferKind::Keys) => 15,
        },
    }
}

fn column(
    layout: &Layout,
    kind: RegionKind,
    message: Option<usize>,
    first_column: impl Fn(usize) -> Option<usize>,
) -> Option<usize> {
    let RegionKind::Buffer(buffer) = kind else { return None };
    let buffer = layout.buffers.get(buffer)?;
    let stream = layout.messages.get(message?)?.stream;
    Some(first_column(stream)? + buffer.column)
}
