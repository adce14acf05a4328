//! Makes one Arrow stream of many payloads without decompressing or decoding a row.
//!
//! The result is a list of byte slices: the schema message of the first payload, the dictionary
//! and record-batch messages of every payload as they lie there, and one end marker. Written one after
//! another they are a stream that any Arrow reader takes, with the rows in the order of the
//! payloads.
//!
//! ```text
//! payload 1   schema · batch · batch · end                  \    schema · batch · batch
//! payload 2   schema · dictionary · batch · end              >   · dictionary · batch
//! payload 3   ARROW1 · schema · batch · end · footer        /    · batch · end
//! ```
//!
//! Every payload goes through [`layout`](crate::layout) first, so that what a splice holds is
//! sound. Stream and file framing mix freely. Dictionaries splice as replacements: each payload
//! sends those that its rows use, before them. A reader must take replaced dictionaries and, where
//! a payload holds them, delta dictionaries.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_schema::Schema;

use crate::layout::{
    Column, Diagnostic, Framing, Layout, MessageKind, Options, SchemaLayout, Walker, walk,
};
use crate::origin::{COLUMNS, Origin, OriginColumns, with_origin};

/// End marker of a stream.
const END_OF_STREAM: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// End marker of a stream in the framing before Arrow 0.15.
const OLD_END_OF_STREAM: &[u8] = &[0, 0, 0, 0];

/// One stream, as slices of the payloads it was made of.
#[derive(Clone, Debug)]
pub struct Spliced<'p> {
    /// Rows of all payloads.
    pub rows: u64,
    /// Record-batch messages of all payloads.
    pub record_batches: usize,
    /// The schema message; with an origin, it and what is added to each record batch is all that is
    /// copied.
    schema: Vec<u8>,
    messages: Vec<Cow<'p, [u8]>>,
    end: &'static [u8],
}

impl<'p> Spliced<'p> {
    /// What to write, in order.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let messages = self.messages.iter().map(|message| &**message);
        std::iter::once(&self.schema[..]).chain(messages).chain(std::iter::once(self.end))
    }

    /// The same, where what lies in the payloads is told from what was made.
    pub fn into_pieces(self) -> impl Iterator<Item = Cow<'p, [u8]>> {
        let first = std::iter::once(Cow::Owned(self.schema));
        first.chain(self.messages).chain(std::iter::once(Cow::Borrowed(self.end)))
    }

    /// Bytes of the stream, which is never empty: it has a schema at least.
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.slices().map(<[u8]>::len).sum()
    }

    /// The stream in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut stream = Vec::with_capacity(self.len());
        self.slices().for_each(|slice| stream.extend_from_slice(slice));
        stream
    }
}

/// Why payloads do not splice. The caller may decode them and encode their rows as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpliceError {
    /// There is nothing to splice.
    #[error("no payloads to splice, give at least one")]
    NoPayloads,
    /// A payload is damaged, or over a limit.
    #[error("payload {payload}: {diagnostic}")]
    Damaged {
        /// Index of the payload.
        payload: usize,
        /// The first error that the walk found.
        diagnostic: Box<Diagnostic>,
    },
    /// A payload is record batches alone, or a file with neither a schema message nor dictionary ids
    /// that one could be made with: the splice would have no schema.
    #[error("payload {payload} has no schema message, put one before it")]
    NoSchema {
        /// Index of the payload.
        payload: usize,
    },
    /// A payload has another schema than the first.
    #[error(
        "payload {payload} has another schema than payload 0: column `{column}` is {found}, \
         expected {expected}"
    )]
    Schema {
        /// Index of the payload.
        payload: usize,
        /// Path of the first column that differs; empty where the whole schema does.
        column: String,
        /// What it is in this payload.
        found: String,
        /// What it is in the first payload.
        expected: String,
    },
    /// Payloads differ in metadata version and their schema holds unions, whose buffers depend on
    /// the version, which some readers take from the schema message alone.
    #[error("payload {payload} has metadata version {found} where payload 0 has {expected}")]
    Version {
        /// Index of the payload.
        payload: usize,
        /// Version of a message in this payload.
        found: u8,
        /// Version of the first payload's schema message.
        expected: u8,
    },
    /// Messages with the prefix from before Arrow 0.15 do not mix with others.
    #[error(
        "payload {payload} frames its messages with {found} bytes where payload 0 uses {expected}"
    )]
    Prefix {
        /// Index of the payload.
        payload: usize,
        /// Bytes of a prefix in this payload.
        found: usize,
        /// Bytes of the prefixes in the first payload.
        expected: usize,
    },
    /// The columns of the origin cannot be added: there is one of that name, or dictionaries are
    /// numbered in a way that leaves no number for another.
    #[error("payload {payload} has a schema to which no origin can be added")]
    Origin {
        /// Index of the payload.
        payload: usize,
    },
    /// A message does not end on a multiple of 8 bytes, so that those after it would be
    /// misaligned.
    #[error("payload {payload}: message {message} is {len} bytes long, expected a multiple of 8")]
    Alignment {
        /// Index of the payload.
        payload: usize,
        /// Index of the message in the payload.
        message: usize,
        /// Bytes of the message.
        len: usize,
    },
}

/// Splices payloads of one schema, in order; see the [module](self).
///
/// # Errors
///
/// Why it cannot, with the index of the first payload that does not fit.
///
/// ```
/// use volley_core::layout::Options;
/// use volley_core::splice::{SpliceError, splice};
///
/// assert_eq!(splice(&[], &Options::default()).unwrap_err(), SpliceError::NoPayloads);
/// ```
pub fn splice<'p>(payloads: &[&'p [u8]], options: &Options) -> Result<Spliced<'p>, SpliceError> {
    let mut splicer = Splicer::new(options);
    for payload in payloads {
        splicer.push(payload)?;
    }
    splicer.finish()
}

/// Splices payloads as they come.
#[derive(Debug)]
pub struct Splicer<'p> {
    walker: Walker,
    first: Option<First>,
    origin: Option<(Origin, OriginColumns)>,
    messages: Vec<Cow<'p, [u8]>>,
    rows: u64,
    record_batches: usize,
    n_payloads: usize,
}

/// What every payload is compared with.
#[derive(Debug)]
struct First {
    schema: Arc<SchemaLayout>,
    message: Vec<u8>,
    version: u8,
    prefix_len: usize,
    has_union: bool,
}

impl<'p> Splicer<'p> {
    /// A splicer that walks payloads with these limits. They hold for each payload by itself.
    pub fn new(options: &Options) -> Self {
        Self {
            walker: Walker::new(Options { schema: None, ..options.clone() }),
            first: None,
            origin: None,
            messages: Vec::new(),
            rows: 0,
            record_batches: 0,
            n_payloads: 0,
        }
    }

    /// Adds the columns of [`origin`](crate::origin) to every row. Payloads with the prefix from before
    /// Arrow 0.15 or in foreign byte order are refused.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        let columns = OriginColumns::new(origin.partition);
        self.origin = Some((origin, columns));
        self
    }

    /// Adds a payload at the end.
    ///
    /// # Errors
    ///
    /// Why it does not fit. The splice is then as it was before, and takes further payloads.
    pub fn push(&mut self, payload: &'p [u8]) -> Result<(), SpliceError> {
        self.push_from(payload, 0)
    }

    /// As [`Self::push`], of the message at `offset`, which matters where rows get their origin.
    ///
    /// # Errors
    ///
    /// As [`Self::push`].
    pub fn push_from(&mut self, payload: &'p [u8], offset: u64) -> Result<(), SpliceError> {
        let number = self.n_payloads;
        let layout = self
            .walker
            .check(payload)
            .map_err(|diagnostic| SpliceError::Damaged { payload: number, diagnostic })?;
        let first = match &self.first {
            Some(first) => first,
            None => {
                let mut first = First::new(payload, &layout)
                    .ok_or(SpliceError::NoSchema { payload: number })?;
                if let Some((origin, _)) = &self.origin {
                    first.add_origin(origin).ok_or(SpliceError::Origin { payload: number })?;
                }
                self.first.insert(first)
            }
        };
        if let Err(error) = first.accept(number, &layout) {
            if number == 0 {
                self.first = None;
            }
            return Err(error);
        }
        match &mut self.origin {
            None => {
                let runs = message_runs(&layout).into_iter();
                let slices = runs.filter_map(|range| payload.get(range));
                self.messages.extend(slices.map(Cow::Borrowed));
            }
            Some((_, columns)) => {
                let n_before = self.messages.len();
                for (_, message) in layout.reading_order() {
                    let is_added = match message.kind {
                        MessageKind::Schema => true,
                        MessageKind::RecordBatch => columns
                            .extend(payload, message, offset)
                            .map(|pieces| self.messages.extend(pieces))
                            .is_some(),
                        _ => payload
                            .get(message.range())
                            .map(|slice| self.messages.push(Cow::Borrowed(slice)))
                            .is_some(),
                    };
                    if !is_added {
                        self.messages.truncate(n_before);
                        return Err(SpliceError::Origin { payload: number });
                    }
                }
            }
        }
        self.rows += layout.rows();
        self.record_batches += layout.record_batches().count();
        self.n_payloads += 1;
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    ///
    /// [`SpliceError::NoPayloads`] where none was added.
    pub fn finish(self) -> Result<Spliced<'p>, SpliceError> {
        let first = self.first.ok_or(SpliceError::NoPayloads)?;
        Ok(Spliced {
            rows: self.rows,
            record_batches: self.record_batches,
            schema: first.message,
            messages: self.messages,
            end: if first.prefix_len == 4 { OLD_END_OF_STREAM } else { END_OF_STREAM },
        })
    }
}

impl First {
    fn new(payload: &[u8], layout: &Layout) -> Option<Self> {
        let schema = Arc::clone(layout.streams.first()?.schema.as_ref()?);
        let first = layout.messages.first().filter(|m| m.kind == MessageKind::Schema);
        let message = match first {
            Some(first) if first.prefix_len > 0 => payload.get(first.range())?.to_vec(),
            Some(first) => framed(payload.get(first.range())?)?,
            None => encoded(&schema)?,
        };
        let version = layout.messages.first().map_or(5, |message| message.version);
        let mut prefix_lens = layout.messages.iter().map(|message| message.prefix_len);
        let prefix_len = prefix_lens.find(|&len| len > 0).unwrap_or(8);
        let has_union = schema.has_union();
        Some(Self { schema, message, version, prefix_len, has_union })
    }

    /// Makes the schema that of rows with their origin, and puts the dictionary of the topic behind it.
    /// `None` where that cannot be: arrow-ipc numbers dictionaries in the order of the columns, so the
    /// new one gets a free number where the others have theirs of it.
    fn add_origin(&mut self, origin: &Origin) -> Option<()> {
        if self.prefix_len != 8 || self.schema.is_foreign_endian {
            return None;
        }
        encoded(&self.schema)?;
        let schema = with_origin(&self.schema.schema).ok()?;
        let mut message = written(&schema)?;
        let (layout, _) = walk(&message, &Options::default());
        let back = layout.streams.first()?.schema.clone()?;
        let is_topic = |column: &Column| {
            let is_top = column.parent.is_none() && column.dictionary_of.is_none();
            is_top && column.field.name() == COLUMNS[0]
        };
        let topic = back.columns.iter().position(is_topic)?;
        let (id, _) = *back.dictionaries_below(topic).first()?;
        let version = if self.version == 4 { MetadataVersion::V4 } else { MetadataVersion::V5 };
        message.extend(origin.dictionary(id, version)?);
        self.message = message;
        Some(())
    }

    fn accept(&self, payload: usize, layout: &Layout) -> Result<(), SpliceError> {
        if layout.framing == Framing::Messages {
            return Err(SpliceError::NoSchema { payload });
        }
        for stream in &layout.streams {
            let Some(schema) = &stream.schema else {
                return Err(SpliceError::NoSchema { payload });
            };
            // The walker hands out the schema of the payload before where it is the same.
            if Arc::ptr_eq(schema, &self.schema) {
                continue;
            }
            if let Some(difference) = self.schema.difference(schema) {
                let (column, found, expected) =
                    (difference.column, difference.found, difference.expected);
                return Err(SpliceError::Schema { payload, column, found, expected });
            }
        }
        for (index, message) in layout.messages.iter().enumerate() {
            if message.version != self.version && self.has_union {
                let (found, expected) = (message.version, self.version);
                return Err(SpliceError::Version { payload, found, expected });
            }
            if message.kind != MessageKind::Schema && message.prefix_len != self.prefix_len {
                let (found, expected) = (message.prefix_len, self.prefix_len);
                return Err(SpliceError::Prefix { payload, found, expected });
            }
            let len = message.range().len();
            if !len.is_multiple_of(8) {
                return Err(SpliceError::Alignment { payload, message: index, len });
            }
        }
        Ok(())
    }
}

/// Frames a flatbuffer: Polars writes the one of a file's schema without a prefix.
pub(crate) fn framed(metadata: &[u8]) -> Option<Vec<u8>> {
    let padded_len = metadata.len().next_multiple_of(8);
    let mut message = vec![0xff; 4];
    message.extend_from_slice(&i32::try_from(padded_len).ok()?.to_le_bytes());
    message.extend_from_slice(metadata);
    message.resize(8 + padded_len, 0);
    Some(message)
}

/// Makes the schema message of a file that has none: arrow-js keeps the schema in the footer
/// alone. `None` where the file numbers its dictionaries in another way than arrow-ipc.
fn encoded(schema: &SchemaLayout) -> Option<Vec<u8>> {
    let message = written(&schema.schema)?;
    let (layout, _) = walk(&message, &Options::default());
    let back = layout.streams.first()?.schema.as_ref()?;
    schema.difference(back).is_none().then_some(message)
}

fn written(schema: &Schema) -> Option<Vec<u8>> {
    let mut tracker = DictionaryTracker::new(false);
    let encoded = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        schema,
        &mut tracker,
        &IpcWriteOptions::default(),
    );
    framed(&encoded.ipc_message)
}

/// The bytes of all messages but schemas, in the order of reading; those that lie one after another
/// as one run.
fn message_runs(layout: &Layout) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (_, message) in layout.reading_order().filter(|(_, m)| m.kind != MessageKind::Schema) {
        match runs.last_mut() {
            Some(run) if run.end == message.offset => run.end = message.range().end,
            _ => runs.push(message.range()),
        }
    }
    runs
}
