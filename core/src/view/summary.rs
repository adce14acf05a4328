//! What a page shows of a payload before any of it is decoded.

use arrow_schema::DataType;
use serde::Serialize;

use super::{Looks, Table, looks_like};
use crate::{
    inspect::{Inspection, shortened},
    layout::{Diagnostic, Layout, RegionKind},
};

/// Extension types are named in the metadata of their field.
const EXTENSION: &str = "ARROW:extension:name";

/// A payload at first sight.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Sizes, columns and findings.
    pub inspection: Inspection,
    /// Of each column of the inspection: what its schema says.
    pub columns: Vec<ColumnSummary>,
    /// Streams in a row of one schema are one table.
    pub tables: Vec<TableSummary>,
    /// Bytes that align what follows, and belong to no column.
    pub padding_bytes: usize,
    /// Bytes without a known meaning, in damaged payloads.
    pub unclaimed_bytes: usize,
    /// Streams one after another.
    pub streams: usize,
    /// What else the bytes could be, where they hold no message of Arrow.
    pub looks_like: Option<Looks>,
}

/// Rows that share their columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TableSummary {
    /// Index of its first column.
    pub first_column: usize,
    /// Its columns, those below others and values of dictionaries included.
    pub n_columns: usize,
    /// Index of each column at the top: those that rows are made of.
    pub tops: Vec<usize>,
    /// Rows of all batches.
    pub rows: u64,
    /// Record batches.
    pub batches: usize,
    /// Key-value metadata of the schema, sorted.
    pub metadata: Vec<(String, String)>,
}

/// What the schema says of a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnSummary {
    /// Its own name, without its parents'; shortened where it is very long.
    pub name: String,
    /// How many columns it lies below.
    pub depth: usize,
    /// Index of the column that it is a child of, or whose dictionary holds it.
    pub parent: Option<usize>,
    /// Whether it holds the values of a dictionary.
    pub is_dictionary: bool,
    /// Whether it may hold nulls.
    pub is_nullable: bool,
    /// Whether its values read better with their ends aligned.
    pub is_number: bool,
    /// Whether [`View::extremes`](super::View::extremes) has an answer.
    pub has_order: bool,
    /// Name of its extension type.
    pub extension: Option<String>,
    /// Key-value metadata of the field, sorted.
    pub metadata: Vec<(String, String)>,
}

impl Summary {
    pub(super) fn new(
        payload: &[u8],
        layout: &Layout,
        diagnostics: &[Diagnostic],
        tables: &[Table],
    ) -> Self {
        let bytes_of = |kind: RegionKind| {
            let regions = layout.regions.iter().filter(|region| region.kind == kind);
            regions.map(|region| region.len).sum()
        };
        Self {
            inspection: Inspection::new(payload, layout, diagnostics),
            columns: tables.iter().flat_map(columns).collect(),
            tables: tables.iter().map(TableSummary::new).collect(),
            padding_bytes: bytes_of(RegionKind::Padding),
            unclaimed_bytes: bytes_of(RegionKind::Unclaimed),
            streams: layout.streams.len(),
            looks_like: layout.messages.is_empty().then(|| looks_like(payload)),
        }
    }
}

impl TableSummary {
    fn new(table: &Table) -> Self {
        Self {
            first_column: table.first_column,
            n_columns: table.schema.columns.len(),
            tops: table.tops.iter().map(|top| table.first_column + top).collect(),
            rows: table.rows,
            batches: table.batches.len(),
            metadata: sorted(table.schema.schema.metadata()),
        }
    }
}

fn columns(table: &Table) -> Vec<ColumnSummary> {
    let mut columns: Vec<ColumnSummary> = Vec::with_capacity(table.schema.columns.len());
    // Children of lists have rows of their own, which no row of the table is.
    let mut is_below_structs = Vec::with_capacity(table.schema.columns.len());
    for column in &table.schema.columns {
        let parent = column.parent.or(column.dictionary_of);
        let is_dictionary = column.dictionary_of.is_some();
        let data_type = match column.field.data_type() {
            DataType::Dictionary(_, values) if is_dictionary => values,
            other => other,
        };
        let metadata = column.field.metadata();
        let is_in_rows = column.parent.is_none_or(|parent| is_below_structs[parent]);
        is_below_structs.push(is_in_rows && matches!(data_type, DataType::Struct(_)));
        columns.push(ColumnSummary {
            name: shortened(column.field.name()),
            depth: parent.map_or(0, |parent| columns[parent].depth + 1),
            parent: parent.map(|parent| table.first_column + parent),
            is_dictionary,
            is_nullable: is_dictionary || column.field.is_nullable(),
            is_number: is_number(data_type),
            has_order: !is_dictionary && is_in_rows && super::extremes::has_order(data_type),
            extension: metadata.get(EXTENSION).map(|name| shortened(name)),
            metadata: if is_dictionary { Vec::new() } else { sorted(metadata) },
        });
    }
    columns
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric() || matches!(data_type, DataType::Duration(_))
}

pub(super) fn sorted(
    metadata: &std::collections::HashMap<String, String>,
) -> Vec<(String, String)> {
    let mut pairs: Vec<_> =
        metadata.iter().map(|(key, value)| (shortened(key), shortened(value))).collect();
    pairs.sort();
    pairs
}
