use std::sync::Arc;

use serde::Serialize;

use super::{ratio, share, shortened};
use crate::{
    fingerprint::type_name,
    layout::{Layout, SchemaLayout},
};

/// A column, summed over all messages.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// `raw` for each byte of `stored`; `None` where the column has nothing of either.
    pub ratio: Option<f64>,
    /// `stored` as a part of the payload's bytes, from 0 to 1; `None` where there are none.
    pub share: Option<f64>,
}

/// The columns of all streams, and where those of each stream begin.
pub(super) struct Columns {
    pub(super) all: Vec<ColumnInspection>,
    starts: Vec<Option<usize>>,
}

impl Columns {
    /// Names and types, nothing counted yet. Streams in a row that have the same schema share their
    /// columns.
    pub(super) fn named(layout: &Layout) -> Self {
        let mut all = Vec::new();
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
                    let start = all.len();
                    add_schema(&mut all, schema);
                    start
                }
            };
            last = Some((schema, start));
            starts.push(Some(start));
        }
        Self { all, starts }
    }

    /// One pass over streams and one over messages: hostile payloads have many of both.
    pub(super) fn counted(layout: &Layout) -> Self {
        let mut columns = Self::named(layout);
        for message in &layout.messages {
            for node in layout.nodes_of(message) {
                if let Some(column) = columns.get_mut(message.stream, node.column) {
                    column.values += node.len;
                    column.nulls += node.null_count;
                }
            }
            for buffer in layout.buffers_of(message) {
                if let Some(column) = columns.get_mut(message.stream, buffer.column) {
                    column.stored += buffer.stored as u64;
                    column.raw += buffer.raw;
                }
            }
        }
        for column in &mut columns.all {
            column.ratio = ratio(column.raw, column.stored);
            column.share = share(column.stored, layout.bytes);
        }
        columns
    }

    /// Index in `all` of a column of a stream.
    pub(super) fn index(&self, stream: usize, column: usize) -> Option<usize> {
        let start = self.starts.get(stream).copied().flatten()?;
        Some(start + column).filter(|&index| index < self.all.len())
    }

    fn get_mut(&mut self, stream: usize, column: usize) -> Option<&mut ColumnInspection> {
        let index = self.index(stream, column)?;
        self.all.get_mut(index)
    }
}

/// Whether streams of these schemas share their columns.
pub(crate) fn is_same(one: &Arc<SchemaLayout>, other: &Arc<SchemaLayout>) -> bool {
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
            ratio: None,
            share: None,
        });
    }
}

fn joined(parent: &str, name: &str) -> String {
    format!("{}.{}", shortened(parent), shortened(name))
}
