//! What a payload looks like, for people and programs: plain structures, which serialise.
//!
//! [`inspect`] sums a payload up, [`ByteMap`] says what each of its bytes is for, and
//! [`HeadersInspection`] holds what came beside it in a Kafka message against it.

mod columns;
mod diagnostics;
mod map;
mod message;

use std::fmt::Write as _;

use serde::Serialize;

pub(crate) use self::columns::is_same;
pub use self::{
    columns::ColumnInspection,
    diagnostics::{DiagnosticInspection, EXCERPT_LINE, Excerpt},
    map::{ByteMap, MessageInspection, RegionInspection, RegionTotal},
    message::{Checksum, HeaderInspection, HeaderStatus, HeadersInspection, Text},
};
use crate::{
    fingerprint::Fingerprint,
    layout::{self, Diagnostic, Layout, MessageKind, Options, RegionKind},
};

/// Longest path, type or sentence that is shown, in bytes: names come from outside, and each column
/// repeats those of its parents.
const MAX_TEXT: usize = 1000;

/// A summary of a payload, sound or not: of a damaged one, what could be read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Inspection {
    /// `stream`, `file` or `messages`.
    pub framing: String,
    /// `none`, `lz4` or `zstd`; `mixed` where messages differ.
    pub codec: String,
    /// Rows of all record batches.
    pub rows: u64,
    /// Record-batch messages.
    pub record_batches: usize,
    /// Dictionary messages.
    pub dictionaries: usize,
    /// Length of the payload.
    pub bytes: usize,
    /// Bytes of it that are neither buffers nor padding.
    pub metadata_bytes: usize,
    /// Bytes of it that align what follows them.
    pub padding_bytes: usize,
    /// All buffers, decompressed.
    pub raw_bytes: u64,
    /// `raw_bytes` for each byte of the payload; `None` where there is none of either.
    pub ratio: Option<f64>,
    /// Bytes of the payload for each row; `None` without rows.
    pub bytes_per_row: Option<f64>,
    /// `metadata_bytes` as a part of `bytes`, from 0 to 1; `None` where there are none.
    pub metadata_share: Option<f64>,
    /// [`Fingerprint`] of the schema; `None` without one, and of streams in a row of the first.
    pub schema: Option<String>,
    /// Every column at any depth, parents before their children, then the values of dictionaries.
    /// Streams in a row that have the same schema share their columns.
    pub columns: Vec<ColumnInspection>,
    /// What is wrong, in the order of the walk.
    pub diagnostics: Vec<DiagnosticInspection>,
}

/// Walks a payload and summarises it. Bytes that are no payload give diagnostics.
pub fn inspect(payload: &[u8], options: &Options) -> Inspection {
    let (layout, diagnostics) = layout::walk(payload, options);
    Inspection::new(payload, &layout, &diagnostics)
}

impl Inspection {
    /// The summary of a walk over `payload`.
    pub fn new(payload: &[u8], layout: &Layout, diagnostics: &[Diagnostic]) -> Self {
        let (bytes, rows) = (layout.bytes, layout.rows());
        let metadata_bytes = layout.metadata_bytes();
        let padding = layout.regions.iter().filter(|region| region.kind == RegionKind::Padding);
        let columns = columns::Columns::counted(layout).all;
        let raw_bytes = columns.iter().map(|column| column.raw).sum();
        let is_dictionary =
            |kind: MessageKind| usize::from(matches!(kind, MessageKind::Dictionary { .. }));
        let schema = layout.streams.first().and_then(|stream| stream.schema.as_ref());
        Self {
            framing: layout.framing.to_string(),
            codec: layout.codec().map_or_else(|| "mixed".to_owned(), |codec| codec.to_string()),
            rows,
            record_batches: layout.record_batches().count(),
            dictionaries: layout.messages.iter().map(|m| is_dictionary(m.kind)).sum(),
            bytes,
            metadata_bytes,
            padding_bytes: padding.map(|region| region.len).sum(),
            raw_bytes,
            ratio: ratio(raw_bytes, bytes as u64),
            bytes_per_row: (rows > 0).then(|| bytes as f64 / rows as f64),
            metadata_share: share(metadata_bytes as u64, bytes),
            schema: schema.map(|schema| Fingerprint::of(&schema.schema).to_string()),
            columns,
            diagnostics: diagnostics
                .iter()
                .map(|diagnostic| DiagnosticInspection::new(payload, diagnostic))
                .collect(),
        }
    }

    /// Whether it is safe to decode: there may be warnings.
    pub fn is_sound(&self) -> bool {
        !self.diagnostics.iter().any(DiagnosticInspection::is_error)
    }
}

fn ratio(raw: u64, stored: u64) -> Option<f64> {
    (stored > 0 && raw > 0).then(|| raw as f64 / stored as f64)
}

fn share(part: u64, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

pub(crate) fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_TEXT)])
}

/// Two digits a byte.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Int32Array, RecordBatch, StringArray, StructArray, builder::StringDictionaryBuilder,
        types::Int8Type,
    };
    use arrow_schema::{DataType, Field};

    use super::*;
    use crate::{
        codec::{CodecOptions, Framing},
        encode::encode,
    };

    pub(super) fn batch(name: &str) -> RecordBatch {
        let numbers = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
        let inner = Arc::new(Field::new(name, DataType::Int32, true));
        let mut keys = StringDictionaryBuilder::<Int8Type>::new();
        keys.extend(["x", "y", "x"].map(Some));
        RecordBatch::try_from_iter([
            ("text", Arc::new(StringArray::from(vec!["a", "bb", "ccc"])) as _),
            ("pair", Arc::new(StructArray::from(vec![(inner, numbers as _)])) as _),
            ("key", Arc::new(keys.finish()) as _),
        ])
        .unwrap()
    }

    fn inspected(payload: &[u8]) -> Inspection {
        inspect(payload, &Options::default())
    }

    #[test]
    fn columns_are_named_typed_and_counted() {
        let options = CodecOptions { framing: Framing::File, ..CodecOptions::default() };
        let inspection = inspected(&encode(&batch("n"), options).unwrap());
        assert_eq!((&*inspection.framing, &*inspection.codec), ("file", "zstd"));
        assert_eq!((inspection.rows, inspection.record_batches), (3, 1));
        assert_eq!(inspection.diagnostics, []);
        let columns: Vec<_> = inspection
            .columns
            .iter()
            .map(|column| (&*column.path, &*column.type_name, column.values, column.nulls))
            .collect();
        assert_eq!(
            columns,
            [
                ("text", "utf8", 3, 0),
                ("pair", "struct<\"n\" int32>", 3, 0),
                ("pair.n", "int32", 3, 1),
                ("key", "dictionary<int8, utf8>", 3, 0),
                ("key[dictionary]", "utf8", 2, 0),
            ]
        );
    }

    #[test]
    fn streams_of_one_schema_share_their_columns_and_others_do_not() {
        let one = encode(&batch("n"), CodecOptions::default()).unwrap();
        let other = encode(&batch("m"), CodecOptions::default()).unwrap();
        let single = inspected(&one);
        let double = inspected(&[&one[..], &one].concat());
        assert_eq!(double.columns.len(), single.columns.len());
        for (double, single) in double.columns.iter().zip(&single.columns) {
            assert_eq!((double.values, double.nulls), (2 * single.values, 2 * single.nulls));
            assert_eq!((double.stored, double.raw), (2 * single.stored, 2 * single.raw));
        }
        let mixed = inspected(&[&one[..], &other].concat());
        assert_eq!(mixed.columns.len(), 2 * single.columns.len());
        assert_eq!(mixed.columns[2 + single.columns.len()].path, "pair.m");
    }

    #[test]
    fn shares_and_ratios_are_of_the_whole_payload() {
        let payload = encode(&batch("n"), CodecOptions::default()).unwrap();
        let inspection = inspected(&payload);
        let bytes = payload.len() as f64;
        assert_eq!((inspection.dictionaries, inspection.raw_bytes), (1, 22 + 13 + 3 + 14));
        assert_eq!(inspection.ratio, Some(52.0 / bytes));
        assert_eq!(inspection.bytes_per_row, Some(bytes / 3.0));
        let metadata = inspection.metadata_bytes as f64;
        assert_eq!(inspection.metadata_share, Some(metadata / bytes));
        let schema = Fingerprint::of(batch("n").schema_ref()).to_string();
        assert_eq!(inspection.schema, Some(schema));
        let [text, pair] = [&inspection.columns[0], &inspection.columns[1]];
        assert_eq!(text.share, Some(text.stored as f64 / bytes));
        assert_eq!(text.ratio, Some(22.0 / text.stored as f64));
        assert_eq!((pair.ratio, pair.share), (None, Some(0.0)));
    }

    #[test]
    fn of_nothing_there_are_no_shares() {
        let inspection = inspected(b"");
        let Inspection { ratio, bytes_per_row, metadata_share, schema, .. } = &inspection;
        assert_eq!((ratio, bytes_per_row, metadata_share), (&None, &None, &None));
        assert_eq!((schema, inspection.diagnostics[0].excerpt.as_ref()), (&None, None));
        assert!(!inspection.is_sound());
    }

    #[test]
    fn diagnostics_come_in_parts_too() {
        let payload = encode(&batch("n"), CodecOptions::default()).unwrap();
        let inspection = inspected(&payload[..payload.len() - 1]);
        let diagnostic = &inspection.diagnostics[0];
        assert_eq!((diagnostic.code, &*diagnostic.severity), ("truncated-prefix", "error"));
        let parts = [diagnostic.headline, &diagnostic.found, &diagnostic.expected];
        assert!(parts.iter().all(|part| diagnostic.message.contains(part)), "{diagnostic:?}");
        let excerpt = diagnostic.excerpt.as_ref().unwrap();
        assert!(excerpt.range().contains(&diagnostic.offset));
        assert_eq!(excerpt.range().end, payload.len() - 1);
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let inspection =
            inspected(&encode(&batch(&"é".repeat(5000)), CodecOptions::default()).unwrap());
        let path = &inspection.columns[2].path;
        assert!(path.starts_with("pair.éé") && path.ends_with("é…"), "{path}");
        assert!(path.len() < MAX_TEXT + 20, "{}", path.len());
        assert!(inspection.columns[1].type_name.ends_with('…'));
    }
}
