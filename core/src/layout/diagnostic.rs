//! What is wrong with a payload, and where.

use std::fmt;

use super::BufferKind;

/// One finding of the walk: what was found, what was expected, and at which byte.
///
/// Displays as one sentence:
///
/// ```text
/// message 2, column `host`, offsets buffer, byte 1184: the buffer ends outside its body: found
/// bytes 128..65664 of 2048, expected an end within the body [buffer-bounds]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of fault this is; stable across versions.
    pub code: Code,
    /// Index of the message in [`Layout::messages`](super::Layout::messages), where one is known.
    /// One past the last where the message could not be read.
    pub message: Option<usize>,
    /// Path of the column, such as `cpu.cores.item`, where one is known.
    pub column: Option<String>,
    /// The buffer of that column, where the fault lies in one.
    pub buffer: Option<BufferKind>,
    /// Byte offset in the payload of the value at fault, or of the thing that holds it.
    pub offset: usize,
    /// What the payload holds there.
    pub found: String,
    /// What a valid payload would hold there.
    pub expected: String,
}

impl Diagnostic {
    /// How much this finding matters, which its code decides.
    pub fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// Whether the payload must not be decoded.
    pub fn is_error(&self) -> bool {
        self.severity() == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(message) = self.message {
            write!(f, "message {message}, ")?;
        }
        if let Some(column) = &self.column {
            write!(f, "column `{column}`, ")?;
        }
        if let Some(buffer) = self.buffer {
            write!(f, "{buffer} buffer, ")?;
        }
        write!(
            f,
            "byte {}: {}: found {}, expected {} [{}]",
            self.offset,
            self.code.headline(),
            self.found,
            self.expected,
            self.code
        )
    }
}

impl std::error::Error for Diagnostic {}

/// How much a [`Diagnostic`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Unusual, and safe to decode.
    Warning,
    /// The payload is refused: decoding it could fail, misread values, or exceed a limit.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Declares [`Code`]: each variant with its stable text and the headline of its sentence.
macro_rules! codes {
    ($($variant:ident $severity:ident $text:literal $headline:literal)*) => {
        /// The stable name of a fault. The text in brackets is what prints.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = concat!("`", $text, "`: ", $headline, ".")] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The stable text, such as `buffer-bounds`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }

            /// What the fault is, as the middle of a sentence.
            pub fn headline(self) -> &'static str {
                match self { $(Self::$variant => $headline),* }
            }

            /// How much the fault matters.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),* }
            }
        }
    };
}

codes! {
    EmptyPayload Error "empty-payload" "the payload holds no message"
    TruncatedPrefix Error "truncated-prefix" "the payload ends inside a message prefix"
    MetadataLength Error "metadata-length" "the metadata length does not fit the payload"
    MetadataMalformed Error "metadata-malformed" "the metadata is not a valid flatbuffer"
    MetadataVersion Error "metadata-version" "the metadata version is not supported"
    MessageKind Error "message-kind" "the message is of a kind that has no place here"
    MessageAlignment Warning "message-alignment" "the message does not end on a multiple of 8 bytes"
    BodyLength Error "body-length" "the body length does not fit the payload"
    MissingSchema Error "missing-schema" "a message comes before any schema"
    MissingEndOfStream Warning "missing-eos" "the stream has no end marker"
    TrailingBytes Error "trailing-bytes" "bytes follow the end of the stream"
    UnclaimedBytes Warning "unclaimed-bytes" "no buffer claims these bytes of the body"
    SchemaMalformed Error "schema-malformed" "the schema does not describe a type"
    ForeignEndianness Error "foreign-endianness" "the values are in the other byte order"
    DictionaryConflict Error "dictionary-conflict" "two columns share a dictionary id but not its type"
    MissingPart Error "missing-part" "the message lacks a part"
    RowCount Error "row-count" "the row count is out of range"
    NodeCount Error "node-count" "the number of field nodes does not fit the schema"
    NodeLength Error "node-length" "the length of the column does not fit the message"
    NullCount Error "null-count" "the null count is out of range"
    BufferCount Error "buffer-count" "the number of buffers does not fit the schema"
    VariadicCount Error "variadic-count" "the variadic buffer counts do not fit the schema"
    BufferBounds Error "buffer-bounds" "the buffer ends outside its body"
    BufferOverlap Error "buffer-overlap" "two buffers share bytes"
    BufferAlignment Error "buffer-alignment" "the buffer does not begin on a multiple of 8 bytes"
    BufferTooSmall Error "buffer-too-small" "the buffer is too small for the rows"
    BufferTooLarge Error "buffer-too-large" "the buffer is far larger than the rows need"
    BufferPartial Error "buffer-partial" "the buffer does not hold a whole number of elements"
    UnknownCodec Error "unknown-codec" "the body compression is not known"
    CompressedLength Error "compressed-length" "the length before the compressed bytes is damaged"
    CompressedFrame Error "compressed-frame" "the compressed bytes are not a frame of the codec"
    OverCap Error "over-cap" "the payload claims more than the limit allows"
    DictionaryUnknown Error "dictionary-unknown" "no column uses the dictionary id"
    DictionaryUndefined Error "dictionary-undefined" "the dictionary is used before it is sent"
    DictionaryDelta Error "dictionary-delta" "a dictionary delta comes before its dictionary"
    DictionaryReplaced Error "dictionary-replaced" "a file may hold only one dictionary an id"
    FooterMissing Error "footer-missing" "the file does not end with a footer"
    FooterMalformed Error "footer-malformed" "the footer is not valid"
    FooterSchema Error "footer-schema" "the schema of the footer differs from the schema message"
    FooterVersion Warning "footer-version" "the footer has another metadata version than the messages"
    FooterBlock Error "footer-block" "the footer does not list the messages of the file"
    UnsupportedType Error "unsupported-type" "the type cannot be decoded safely on this platform"
    InvalidValues Error "invalid-values" "the values of the column are not valid"
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Most findings of each severity.
pub(crate) const MAX_DIAGNOSTICS: usize = 100;

/// Collects findings; keeps the first [`MAX_DIAGNOSTICS`] of each severity, so that hostile bytes
/// cannot fill the memory with complaints.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    found: Vec<Diagnostic>,
    warnings: usize,
}

impl Diagnostics {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        let errors = self.found.len() - self.warnings;
        match diagnostic.severity() {
            Severity::Error if errors < MAX_DIAGNOSTICS => self.found.push(diagnostic),
            Severity::Warning if self.warnings < MAX_DIAGNOSTICS => {
                self.warnings += 1;
                self.found.push(diagnostic);
            }
            _ => {}
        }
    }

    /// No more errors are kept: a walk may stop where going on would only find more.
    pub(super) fn is_full(&self) -> bool {
        self.errors() >= MAX_DIAGNOSTICS
    }

    pub(super) fn errors(&self) -> usize {
        self.found.len() - self.warnings
    }

    /// In the order of their messages, those of no message last.
    pub(super) fn into_vec(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|diagnostic| diagnostic.message.unwrap_or(usize::MAX));
        self.found
    }
}
