//! What each byte of a sound payload belongs to: the truth that diagnostics are compared with.

use std::fmt;

use volley_core::layout::{
    BufferKind, BufferLayout, Codec, Diagnostic, Layout, MessageKind, MessageLayout, NodeLayout,
    RegionKind,
};

/// The classes of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Offset and length of a buffer, as the flatbuffer of a batch lists them.
    BufferTable,
    /// Length and null count of a column that has buffers, likewise.
    NodeTable,
    /// The length before a compressed buffer, and the magic of its frame.
    FrameHeader,
    /// The other bytes of a buffer.
    BufferBytes,
    /// The payload ends in a body, before the end of its last buffer.
    CutBuffer,
    /// Length and null count of a column without buffers: nulls and run ends.
    BareNode,
    /// The rest of the flatbuffer of a batch: vtables, row count, codec, body length.
    BatchMetadata,
    /// Padding of a body.
    Padding,
    /// Prefix and flatbuffer of a schema message.
    Schema,
    /// Prefix of another message.
    Prefix,
    /// The payload ends in a prefix, a flatbuffer or the padding of a body.
    CutMessage,
    /// Two messages changed places, or one comes twice: often a sound payload of other rows.
    Moved,
    /// Magic, end marker, footer, footer length.
    Framing,
    /// The payload ends between messages, in the end marker or in the footer.
    CutFraming,
}

/// The most that can be named of a fault in a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Names {
    Offset,
    Message,
    Column,
    Buffer,
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Offset => "byte",
            Self::Message => "message",
            Self::Column => "message and column",
            Self::Buffer => "message, column and buffer",
        })
    }
}

impl Class {
    pub const ALL: [Self; 14] = [
        Self::BufferTable,
        Self::NodeTable,
        Self::FrameHeader,
        Self::BufferBytes,
        Self::CutBuffer,
        Self::BareNode,
        Self::BatchMetadata,
        Self::Padding,
        Self::Schema,
        Self::Prefix,
        Self::CutMessage,
        Self::Moved,
        Self::Framing,
        Self::CutFraming,
    ];

    /// What a fault in this class belongs to.
    pub fn names(self) -> Names {
        match self {
            Self::BufferTable
            | Self::NodeTable
            | Self::FrameHeader
            | Self::BufferBytes
            | Self::CutBuffer => Names::Buffer,
            Self::BareNode => Names::Column,
            Self::BatchMetadata
            | Self::Padding
            | Self::Schema
            | Self::Prefix
            | Self::CutMessage
            | Self::Moved => Names::Message,
            Self::Framing | Self::CutFraming => Names::Offset,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BufferTable => "buffer table",
            Self::NodeTable => "field nodes",
            Self::FrameHeader => "frame headers",
            Self::BufferBytes => "buffer bytes",
            Self::CutBuffer => "cut in a buffer",
            Self::BareNode => "bare field nodes",
            Self::BatchMetadata => "batch flatbuffer",
            Self::Padding => "body padding",
            Self::Schema => "schema message",
            Self::Prefix => "message prefix",
            Self::CutMessage => "cut in a message",
            Self::Moved => "moved messages",
            Self::Framing => "framing",
            Self::CutFraming => "cut in framing",
        })
    }
}

/// Where damage lies.
#[derive(Clone, Debug)]
pub struct Place {
    pub class: Class,
    message: Option<usize>,
    column: Option<String>,
    /// The buffers that it may be told by: all of a column where its node is damaged.
    buffers: Vec<BufferKind>,
}

impl Place {
    pub fn new(class: Class, message: Option<usize>) -> Self {
        Self { class, message, column: None, buffers: Vec::new() }
    }

    /// How much of the place an error names, and names rightly.
    pub fn named_by(&self, error: &Diagnostic) -> Names {
        // Which message is at fault where two changed places is not for one of them to say.
        let is_message = match self.class {
            Class::Moved => error.message.is_some(),
            _ => error.message.is_some() && error.message == self.message,
        };
        let is_column = match self.column {
            Some(_) => error.column == self.column,
            None => error.column.is_some(),
        };
        let is_buffer = error.buffer.is_some_and(|buffer| self.buffers.contains(&buffer));
        match (is_message, is_column, is_buffer) {
            (true, true, true) => Names::Buffer,
            (true, true, false) => Names::Column,
            (true, false, _) => Names::Message,
            (false, ..) => Names::Offset,
        }
    }
}

/// The places of all bytes of a sound payload.
#[derive(Debug)]
pub struct Places<'a> {
    layout: &'a Layout,
    /// Index into `places` for each byte.
    of_byte: Vec<usize>,
    places: Vec<Place>,
}

impl<'a> Places<'a> {
    pub fn new(payload: &[u8], layout: &'a Layout) -> Self {
        let mut this = Self { layout, of_byte: vec![0; payload.len()], places: Vec::new() };
        this.places.push(Place::new(Class::Framing, None));
        for region in &layout.regions {
            let message = region.message.map(|index| (index, &layout.messages[index]));
            let Some((index, message)) = message else { continue };
            let bytes = region.offset..region.end();
            let class = match region.kind {
                _ if message.kind == MessageKind::Schema => Class::Schema,
                RegionKind::Metadata => Class::BatchMetadata,
                RegionKind::Prefix => Class::Prefix,
                _ => Class::Padding,
            };
            let RegionKind::Buffer(buffer) = region.kind else {
                this.set(bytes.start, bytes.len(), Place::new(class, Some(index)));
                if class == Class::BatchMetadata {
                    this.tables(index, message, &payload[bytes.clone()], bytes.start);
                }
                continue;
            };
            let buffer = &layout.buffers[buffer];
            this.set(bytes.start, bytes.len(), this.buffer(Class::BufferBytes, index, buffer));
            if message.codec != Codec::None {
                let len = bytes.len().min(8 + 4);
                this.set(bytes.start, len, this.buffer(Class::FrameHeader, index, buffer));
            }
        }
        this
    }

    pub fn of_byte(&self, at: usize) -> &Place {
        &self.places[self.of_byte[at]]
    }

    /// Where the first byte lies that is missing of a payload that was cut to `len` bytes.
    pub fn of_cut(&self, len: usize) -> Place {
        let missing = self.layout.regions.iter().skip_while(|region| region.end() <= len);
        let message = missing.clone().next().and_then(|region| region.message);
        let Some(index) = message.filter(|&index| self.layout.messages[index].offset < len) else {
            return Place::new(Class::CutFraming, message);
        };
        if self.layout.messages[index].body_offset() > len {
            return Place::new(Class::CutMessage, message);
        }
        let buffer =
            missing.take_while(|region| region.message == message).find_map(|region| match region
                .kind
            {
                RegionKind::Buffer(buffer) => Some(&self.layout.buffers[buffer]),
                _ => None,
            });
        match buffer {
            Some(buffer) => self.buffer(Class::CutBuffer, index, buffer),
            None => Place::new(Class::CutMessage, message),
        }
    }

    fn set(&mut self, start: usize, len: usize, place: Place) {
        self.of_byte[start..start + len].fill(self.places.len());
        self.places.push(place);
    }

    fn path(&self, message: usize, column: usize) -> String {
        let schema = self.layout.schema_of(&self.layout.messages[message]);
        schema.map(|schema| schema.path(column)).unwrap()
    }

    fn buffer(&self, class: Class, message: usize, buffer: &BufferLayout) -> Place {
        let column = Some(self.path(message, buffer.column));
        Place { class, message: Some(message), column, buffers: vec![buffer.kind] }
    }

    fn node(&self, message: usize, node: &NodeLayout) -> Place {
        let buffers = self.layout.buffers_of(&self.layout.messages[message]).iter();
        let buffers: Vec<BufferKind> =
            buffers.filter(|b| b.column == node.column).map(|b| b.kind).collect();
        let class = if buffers.is_empty() { Class::BareNode } else { Class::NodeTable };
        let column = Some(self.path(message, node.column));
        Place { class, message: Some(message), column, buffers }
    }

    /// The vectors of nodes and of buffers: 16 bytes for each, found by what they hold.
    fn tables(&mut self, index: usize, message: &MessageLayout, metadata: &[u8], at: usize) {
        let nodes = self.layout.nodes_of(message);
        let buffers = self.layout.buffers_of(message);
        let words = |(first, second): (u64, u64)| [first.to_le_bytes(), second.to_le_bytes()];
        let body = message.body_offset();
        let of_node = |node: &NodeLayout| words((node.len, node.null_count));
        let of_buffer = |b: &BufferLayout| words(((b.offset - body) as u64, b.stored as u64));
        let tables: [(Vec<u8>, Vec<Place>); 2] = [
            (
                nodes.iter().flat_map(of_node).flatten().collect(),
                nodes.iter().map(|node| self.node(index, node)).collect(),
            ),
            (
                buffers.iter().flat_map(of_buffer).flatten().collect(),
                buffers.iter().map(|b| self.buffer(Class::BufferTable, index, b)).collect(),
            ),
        ];
        for (bytes, places) in tables.into_iter().filter(|(bytes, _)| !bytes.is_empty()) {
            let found = metadata.windows(bytes.len()).position(|window| window == bytes);
            for (position, place) in places.into_iter().enumerate() {
                self.set(at + found.unwrap() + position * 16, 16, place);
            }
        }
    }
}
