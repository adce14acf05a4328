//! What a payload looks like, for people and programs: one plain structure, which serialises.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    fingerprint::type_name,
    layout::{self, Diagnostic, Layout, Options, SchemaLayout},
};

/// Longest path or type that is shown, in bytes: names come from outside, and each column repeats
/// those of its parents.
const MAX_TEXT: usize = 1000;

/// A summary of a payload, sound or not: of a damaged one, what could be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// `stream`, `file` or `messages`.
    pub framing: String,
    /// `none`, `lz4` or `zstd`; `mixed` where messages differ.
    pub codec: String,
    /// Rows of all record batches.
    pub rows: u64,
    /// Record-batch messages.
    pub record_batches: usize,
    /// Length of the payload.
    pub bytes: usize,
    /// Bytes of it that are neither buffers nor padding.
    pub metadata_bytes: usize,
    /// Every column at any depth, parents before their children, then the values of dictionaries.
    /// Streams in a row that have the same schema share their columns.
    pub columns: Vec<ColumnInspection>,
    /// What is wrong, in the order of the walk.
    pub diagnostics: Vec<DiagnosticInspection>,
}

/// A column, summed over all messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnInspection {
    /// Names from the top, joined by dots; shortened where it is very long.
    pub path: String,
    /// Its type, such as `timestamp[us]`; shortened where it is very long.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Values, nulls among them.
    pub values: u64,
    /// Nulls, as declared.
    pub nulls: u64,
    /// Bytes of its own buffers in the payload, without its children's.
    pub stored: u64,
    /// The same buffers, decompressed.
    pub raw: u64,
}

/// A [`Diagnostic`] in plain words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiagnosticInspection {
    /// Its stable code, such as `buffer-bounds`.
    pub code: &'static str,
    /// `error` or `warning`.
    pub severity: String,
    /// Byte in the payload.
    pub offset: usize,
    /// The whole finding as one sentence.
    pub message: String,
}

/// Walks a payload and summarises it. Bytes that are no payload give diagnostics.
pub fn inspect(payload: &[u8], options: &Options) -> Inspection {
    let (layout, diagnostics) = layout::walk(payload, options);
    Inspection::new(&layout, &diagnostics)
}

impl Inspection {
    /// The summary of a walk.
    pub fn new(layout: &Layout, diagnostics: &[Diagnostic]) -> Self {
        Self {
            framing: layout.framing.to_string(),
            codec: layout.codec().map_or_else(|| "mixed".to_owned(), |codec| codec.to_string()),
            rows: layout.rows(),
            record_batches: layout.record_batches().count(),
            bytes: layout.bytes,
            metadata_bytes: layout.metadata_bytes(),
            columns: columns(layout),
            diagnostics: diagnostics.iter().map(DiagnosticInspection::new).collect(),
        }
    }
}

impl DiagnosticInspection {
    fn new(diagnostic: &Diagnostic) -> Self {
        Self {
            code: diagnostic.code.as_str(),
            severity: diagnostic.severity().to_string(),
            offset: diagnostic.offset,
            message: diagnostic.to_string(),
        }
    }
}

/// One pass over streams and one over messages: hostile payloads have many of both.
fn columns(layout: &Layout) -> Vec<ColumnInspection> {
    let mut columns = Vec::new();
    // Where the columns of each stream begin.
    let mut starts = Vec::with_capacity(layout.streams.len());
    let mut last: Option<(&Arc<SchemaLayout>, usize)> = None;
    for stream in &layout.streams {
        let Some(schema) = &stream.schema else {
            starts.push(None);
            continue;
        };
        let start = match last {
            Some((other, start)) if is_same(schema, other) => start,
            _ => {
                let start = columns.len();
                add_schema(&mut columns, schema);
                start
            }
        };
        last = Some((schema, start));
        starts.push(Some(start));
    }
    for message in &layout.messages {
        let Some(start) = starts.get(message.stream).copied().flatten() else { continue };
        for node in layout.nodes_of(message) {
            if let Some(column) = columns.get_mut(start + node.column) {
                column.values += node.len;
                column.nulls += node.null_count;
            }
        }
        for buffer in layout.buffers_of(message) {
            if let Some(column) = columns.get_mut(start + buffer.column) {
                column.stored += buffer.stored as u64;
                column.raw += buffer.raw;
            }
        }
    }
    columns
}

fn is_same(one: &Arc<SchemaLayout>, other: &Arc<SchemaLayout>) -> bool {
    Arc::ptr_eq(one, other)
        || (one.schema.fields() == other.schema.fields()
            && one.columns.len() == other.columns.len())
}

/// [`SchemaLayout::path`] would build the whole of each path first.
fn add_schema(columns: &mut Vec<ColumnInspection>, schema: &SchemaLayout) {
    let start = columns.len();
    for column in &schema.columns {
        let path_of = |index: usize| columns.get(start + index).map_or("", |column| &column.path);
        let name = column.field.name();
        let (path, type_name) = match (column.parent, column.dictionary_of) {
            (Some(parent), _) => {
                (joined(path_of(parent), name), type_name(column.field.data_type()))
            }
            (None, Some(user)) => {
                let values = match column.field.data_type() {
                    arrow_schema::DataType::Dictionary(_, values) => values,
                    other => other,
                };
                (shortened(&format!("{}[dictionary]", path_of(user))), type_name(values))
            }
            (None, None) => (shortened(name), type_name(column.field.data_type())),
        };
        columns.push(ColumnInspection {
            path,
            type_name: shortened(&type_name),
            values: 0,
            nulls: 0,
            stored: 0,
            raw: 0,
        });
    }
}

fn joined(parent: &str, name: &str) -> String {
    format!("{}.{}", shortened(parent), shortened(name))
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(MAX_TEXT)])
}

#[cfg(test)]
mod tests {
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

    fn batch(name: &str) -> RecordBatch {
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
    fn long_names_are_cut_between_characters() {
        let inspection =
            inspected(&encode(&batch(&"é".repeat(5000)), CodecOptions::default()).unwrap());
        let path = &inspection.columns[2].path;
        assert!(path.starts_with("pair.éé") && path.ends_with("é…"), "{path}");
        assert!(path.len() < MAX_TEXT + 20, "{}", path.len());
        assert!(inspection.columns[1].type_name.ends_with('…'));
    }
}
