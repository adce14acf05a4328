//! The structure of an Arrow IPC payload, read without decoding it and without trusting it.
//!
//! [`walk`] goes once over a payload and returns its [`Layout`]: every message, every buffer with
//! its column, stored and raw size, and the byte map, in which every byte belongs to exactly one
//! [`Region`]. What is wrong comes as [`Diagnostic`]s, which name the message, column, buffer and
//! byte. [`check`] is the same for those who only want sound payloads. Nothing is decompressed.
//!
//! ```text
//! stream   schema · dictionary* · batch … · end marker          (several may follow each other)
//! file     ARROW1 · padding · stream · footer · length · ARROW1
//! message  FFFFFFFF · metadata length (i32) · flatbuffer · body (before Arrow 0.15: no FFFFFFFF)
//! body     buffer · padding · buffer · padding …
//! buffer   bytes, or in a compressed body: raw length (i64, -1 for stored raw) · frame
//! ```
//!
//! All integers are little-endian. The format is that of the [Arrow columnar specification].
//!
//! # Why it runs before arrow-ipc
//!
//! arrow-ipc checks the *values* it decodes (offsets, UTF-8, dictionary keys, type ids, run ends,
//! views) and returns errors for them, so those need no check here. It trusts the *structure*: it
//! panics on buffers outside the body, on short bitmaps, on buffers of half an element, on unknown
//! types in a schema, and it allocates whatever a length claims. A payload without error
//! diagnostics has none of these, and what decoding it allocates is bounded by [`Options`]. It
//! may still hold damaged values, which IPC cannot tell without a checksum.
//!
//! Two things are left to whoever decodes otherwise than with [`decode`](crate::decode). arrow-ipc
//! reads one stream at a time: hand it each [`StreamLayout::range`]. And it panics on some buffers that begin at an odd address: let its
//! `StreamReader` or `FileReader` copy the bodies, or make sure that the payload itself begins at a
//! multiple of 8.
//!
//! Memory and time of the walk are linear in the length of the payload, whatever it claims.
//!
//! ```
//! use volley_core::layout::{self, Options};
//!
//! let (layout, diagnostics) = layout::walk(b"not arrow", &Options::default());
//! assert_eq!(layout.rows(), 0);
//! assert_eq!(diagnostics[0].code, layout::Code::MetadataLength);
//! ```
//!
//! [Arrow columnar specification]:
//!     https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc

mod batch;
mod body;
mod buffers;
mod compare;
mod deep;
mod diagnostic;
mod file;
mod frames;
mod lz4;
mod regions;
mod schema;
mod types;
mod zstd;

use std::sync::Arc;

use arrow_ipc as ipc;

pub use self::deep::walk_values;
pub use self::diagnostic::{Code, Diagnostic, Severity};
pub use self::regions::{
    BufferKind, BufferLayout, Codec, ColumnTotals, Framing, Layout, MessageKind, MessageLayout,
    NodeLayout, Region, RegionKind, StreamLayout,
};
pub use self::schema::{Column, SchemaLayout};

pub(crate) use self::diagnostic::MAX_DIAGNOSTICS;
pub(crate) use self::frames::header;
pub(crate) use self::lz4::exact_size as lz4_size;

use self::diagnostic::Diagnostics;

/// Limits of a walk, and what it needs to know beside the payload.
#[derive(Clone, Debug)]
pub struct Options {
    /// Most bytes that all buffers of a payload may have decompressed, with one bit more for each
    /// value, so that columns which store nothing count too. This bounds the memory of decoding.
    pub max_raw_bytes: u64,
    /// Most rows of a payload.
    pub max_rows: u64,
    /// Most columns of a schema, counted at every depth.
    pub max_columns: usize,
    /// The schema of payloads that are record batches alone: what [`Walker::walk`] read from
    /// another payload.
    pub schema: Option<Arc<SchemaLayout>>,
}

impl Default for Options {
    /// 256 MiB, 2²⁸ rows, 65,536 columns, no schema.
    fn default() -> Self {
        Self { max_raw_bytes: 1 << 28, max_rows: 1 << 28, max_columns: 1 << 16, schema: None }
    }
}

/// Reads the structure of one payload; see [`Walker`] for many.
pub fn walk(payload: &[u8], options: &Options) -> (Layout, Vec<Diagnostic>) {
    Walker::new(options.clone()).walk(payload)
}

/// Reads the structure of one payload that must be sound.
///
/// # Errors
///
/// The first diagnostic that is an error.
pub fn check(payload: &[u8], options: &Options) -> Result<Layout, Box<Diagnostic>> {
    Walker::new(options.clone()).check(payload)
}

/// Walks payload after payload, and reads a schema only where it differs from the one before.
#[derive(Clone, Debug, Default)]
pub struct Walker {
    options: Options,
    last_schema: Option<LastSchema>,
}

/// A schema message that was read already.
#[derive(Clone, Debug)]
struct LastSchema {
    metadata: Box<[u8]>,
    version: u8,
    schema: Arc<SchemaLayout>,
}

impl Walker {
    /// A walker with these limits.
    pub fn new(options: Options) -> Self {
        Self { options, last_schema: None }
    }

    /// Reads the structure of a payload: all of it where it is sound, and of a damaged one what
    /// comes before the damage, with at least one diagnostic. Diagnostics are in the order of their
    /// messages, those of no message last: damage to one message often shows in the next as well.
    pub fn walk(&mut self, payload: &[u8]) -> (Layout, Vec<Diagnostic>) {
        let mut walk = Walk {
            payload,
            options: &self.options,
            last_schema: &mut self.last_schema,
            footer_schema: None,
            layout: Layout { bytes: payload.len(), ..Layout::default() },
            diagnostics: Diagnostics::default(),
            spent: Spent::default(),
            cut: None,
        };
        if payload.starts_with(file::MAGIC) {
            walk.file();
        } else {
            let messages = walk.frames(0..payload.len());
            for (index, message) in messages.into_iter().enumerate() {
                walk.message(index, message);
            }
        }
        walk.close_gaps();
        (walk.layout, walk.diagnostics.into_vec())
    }

    /// Reads the structure of a payload that must be sound.
    ///
    /// # Errors
    ///
    /// The first diagnostic that is an error.
    pub fn check(&mut self, payload: &[u8]) -> Result<Layout, Box<Diagnostic>> {
        let (layout, diagnostics) = self.walk(payload);
        match diagnostics.into_iter().find(Diagnostic::is_error) {
            Some(error) => Err(Box::new(error)),
            None => Ok(layout),
        }
    }
}

/// One walk over one payload.
struct Walk<'p, 'w> {
    payload: &'p [u8],
    options: &'w Options,
    last_schema: &'w mut Option<LastSchema>,
    /// The schema in the footer of a file.
    footer_schema: Option<Arc<SchemaLayout>>,
    layout: Layout,
    diagnostics: Diagnostics,
    spent: Spent,
    /// Where the payload ends inside the body of its last message.
    cut: Option<Cut>,
}

/// A body that is longer than what is left of the payload.
#[derive(Clone, Copy, Debug)]
struct Cut {
    message: usize,
    declared: i64,
    is_reported: bool,
}

/// What the messages so far claim, against the limits.
#[derive(Debug, Default)]
struct Spent {
    rows: u64,
    /// Decompressed bytes, and a bit a value.
    raw: u64,
    /// More bytes than declared that LZ4 frames could turn out to hold.
    lz4_excess: u64,
    /// Bytes of buffers that the LZ4 decoder sets up.
    lz4_scratch: u64,
    /// Columns of the schema, for each dictionary.
    lookups: u64,
    /// Dictionaries of the current stream, in the order of its schema.
    dictionaries: Vec<DictionaryState>,
    /// The stream they belong to.
    stream: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct DictionaryState {
    is_defined: bool,
    /// What its values have been charged, to be charged again for each copy.
    raw: u64,
}

/// The flatbuffer of a message, whose index is that of its layout; `None` for a schema that was
/// recognised by its bytes.
type Framed<'p> = Option<ipc::Message<'p>>;

impl Walk<'_, '_> {
    fn report(
        &mut self,
        code: Code,
        offset: usize,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic {
            code,
            message: None,
            column: None,
            buffer: None,
            offset,
            found: found.into(),
            expected: expected.into(),
        });
    }

    fn report_in(
        &mut self,
        message: usize,
        code: Code,
        offset: usize,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.diagnostics.push(Diagnostic {
            code,
            message: Some(message),
            column: None,
            buffer: None,
            offset,
            found: found.into(),
            expected: expected.into(),
        });
    }

    fn region(&mut self, offset: usize, len: usize, message: Option<usize>, kind: RegionKind) {
        if len > 0 {
            self.layout.regions.push(Region { offset, len, message, kind });
        }
    }

    /// Makes the byte map whole: sorted, each byte once. Bytes that nothing described become
    /// unclaimed; of two regions over one byte, which is an error elsewhere, the first keeps it.
    fn close_gaps(&mut self) {
        let regions = &mut self.layout.regions;
        let end = self.payload.len();
        let mut at = 0;
        let is_whole = regions.iter().all(|region| {
            let follows = region.offset == at;
            at = region.end();
            follows
        });
        if is_whole && at == end {
            return;
        }
        regions.sort_by_key(|region| region.offset);
        let unclaimed = |offset, end: usize| Region {
            offset,
            len: end - offset,
            message: None,
            kind: RegionKind::Unclaimed,
        };
        let mut whole = Vec::with_capacity(regions.len() + 1);
        let mut at = 0;
        for mut region in regions.drain(..) {
            if region.offset > at {
                whole.push(unclaimed(at, region.offset));
                at = region.offset;
            }
            if region.end() > at {
                region.len = region.end() - at;
                region.offset = at;
                at = region.end();
                whole.push(region);
            }
        }
        if at < end {
            whole.push(unclaimed(at, end));
        }
        *regions = whole;
    }
}
