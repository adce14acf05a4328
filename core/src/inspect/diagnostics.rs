use std::ops::Range;

use serde::{Serialize, Serializer};

use super::shortened;
use crate::layout::Diagnostic;

/// Bytes in a line of a hex dump; excerpts begin on a whole line.
pub const EXCERPT_LINE: usize = 16;

/// A [`Diagnostic`] in plain words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiagnosticInspection {
    /// Its stable code, such as `buffer-bounds`.
    pub code: &'static str,
    /// `error` or `warning`.
    pub severity: String,
    /// Byte in the payload; its length where something is missing at the end.
    pub offset: usize,
    /// The whole finding as one sentence; shortened where it is very long.
    pub message: String,
    /// What kind of fault this is, in words; the same for every fault of the code.
    pub headline: &'static str,
    /// Index of the message, where one is known.
    pub message_index: Option<usize>,
    /// Path of the column, where one is known; shortened where it is very long.
    pub column: Option<String>,
    /// What the buffer at fault holds, such as `offsets`, where the fault lies in one.
    pub buffer: Option<String>,
    /// What the payload holds there; shortened where it is very long.
    pub found: String,
    /// What a valid payload would hold there; shortened where it is very long.
    pub expected: String,
    /// The bytes around `offset`; `None` of an empty payload.
    pub excerpt: Option<Excerpt>,
}

/// A few bytes of a payload: the line of 16 that holds the byte at fault, and its neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// Where the bytes begin in the payload, a multiple of [`EXCERPT_LINE`].
    pub offset: usize,
    /// The bytes; in JSON two hex digits each.
    #[serde(serialize_with = "as_hex")]
    pub bytes: Vec<u8>,
}

impl DiagnosticInspection {
    pub(super) fn new(payload: &[u8], diagnostic: &Diagnostic) -> Self {
        Self {
            code: diagnostic.code.as_str(),
            severity: diagnostic.severity().to_string(),
            offset: diagnostic.offset,
            message: shortened(&diagnostic.to_string()),
            headline: diagnostic.code.headline(),
            message_index: diagnostic.message,
            column: diagnostic.column.as_deref().map(shortened),
            buffer: diagnostic.buffer.map(|buffer| buffer.to_string()),
            found: shortened(&diagnostic.found),
            expected: shortened(&diagnostic.expected),
            excerpt: Excerpt::around(payload, diagnostic.offset),
        }
    }

    /// Whether the payload must not be decoded because of it.
    pub fn is_error(&self) -> bool {
        self.severity == "error"
    }
}

impl Excerpt {
    /// The lines around a byte; around the end of the payload for an offset behind it.
    pub fn around(payload: &[u8], offset: usize) -> Option<Self> {
        let line = offset.min(payload.len()) / EXCERPT_LINE;
        let offset = line.saturating_sub(1) * EXCERPT_LINE;
        let end = ((line + 2) * EXCERPT_LINE).min(payload.len());
        let bytes = payload.get(offset..end).filter(|bytes| !bytes.is_empty())?;
        Some(Self { offset, bytes: bytes.to_vec() })
    }

    /// Each line with where it begins in the payload.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let lines = self.bytes.chunks(EXCERPT_LINE).enumerate();
        lines.map(|(i, line)| (self.offset + i * EXCERPT_LINE, line))
    }

    /// The bytes of the payload that it holds.
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.bytes.len()
    }
}

fn as_hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&super::hex(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(len: usize, offset: usize, expected: (usize, usize)) {
        let payload: Vec<u8> = (0..=255).cycle().take(len).collect();
        let excerpt = Excerpt::around(&payload, offset).unwrap();
        assert_eq!((excerpt.range().start, excerpt.range().end), expected);
        assert_eq!(excerpt.bytes, payload[excerpt.range()]);
        assert!(excerpt.lines().all(|(at, line)| at % 16 == 0 && line.len() <= 16));
    }

    #[test]
    fn an_excerpt_is_the_line_and_its_neighbours() {
        check(100, 0, (0, 32));
        check(100, 15, (0, 32));
        check(100, 40, (16, 64));
        check(100, 99, (80, 100));
        check(5, 2, (0, 5));
    }

    #[test]
    fn what_is_missing_at_the_end_shows_what_is_there() {
        check(96, 96, (80, 96));
        check(100, 100, (80, 100));
        check(100, usize::MAX, (80, 100));
        assert_eq!(Excerpt::around(b"", 0), None);
    }

    #[test]
    fn excerpts_serialise_as_hex() {
        let excerpt = Excerpt::around(b"\x00\xffA", 1).unwrap();
        assert_eq!(super::super::hex(&excerpt.bytes), "00ff41");
    }
}
