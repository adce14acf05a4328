//! A payload opened for looking at: any window of its rows, and what each column and byte holds.
//!
//! A [`View`] keeps the payload and what the walk found, and decodes a column of a batch when it is
//! asked for. Of a damaged payload it shows every column that is sound, and [`Fault`]s say where
//! the others are not.
//!
//! ```text
//! payload ──walk──▶ tables (streams of one schema) ──▶ batches ──▶ columns ──▶ cells
//!                                                        decoded when asked for, kept a while
//! ```

mod cache;
mod cells;
mod clickhouse;
mod column;
mod compare;
mod dictionaries;
mod envelope;
mod export;
mod extremes;
mod looks;
mod map;
mod select;
mod summary;
#[cfg(test)]
mod tests;
mod values;
mod what_if;

use std::sync::Arc;

use arrow_array::{Array as _, ArrayRef};
use serde::Serialize;

use self::{cache::Cache, compare::Comparing, extremes::Progress, select::Selection};
pub use self::{
    cells::{CellKind, MAX_CELL, cell_text},
    clickhouse::{ClickHouseColumn, ClickHouseTable},
    compare::{CellDifference, ColumnPair, Comparison, Outcome, SchemaChange, SideFault},
    envelope::{Envelope, EnvelopeCheck, Header},
    export::{ExportError, ExportFormat},
    extremes::Extremes,
    looks::{Looks, looks_like},
    map::{NO_COLUMN, NO_MESSAGE, REGION_KINDS, RegionDetail, RegionMap},
    select::{Direction, Filter, Query, SelectError, Selected, Sort, Test},
    summary::{ColumnSummary, Summary, TableSummary},
    values::{Bin, Frequent, Values},
    what_if::{WhatIf, WhatIfChoice, WhatIfError, WhatIfPoint, WhatIfReport},
};
use crate::advice::{Advice, advise};
use crate::layout::{
    self, Code, Diagnostic, Layout, MessageKind, MessageLayout, Options, SchemaLayout,
};

/// Most cells of a window of rows.
const MAX_CELLS: usize = 1 << 16;

/// Part of a column that cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// A byte of the payload where the damage is, or of what is damaged.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
}

impl Fault {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self { offset, message: message.into() }
    }
}

/// Some rows of some columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The first row.
    pub first: u64,
    /// How many rows: fewer than asked for where the table ends.
    pub count: usize,
    /// The columns in the order in which they were asked for.
    pub columns: Vec<WindowColumn>,
}

/// The cells of one column in a [`Window`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WindowColumn {
    /// A letter for each row: see [`CellKind::letter`].
    pub kinds: String,
    /// The text of each row.
    pub texts: Vec<String>,
    /// Why rows of kind `x` cannot be shown, in the order of the rows.
    pub faults: Vec<Fault>,
}

/// Streams in a row that have one schema: they share their columns, and their rows follow each
/// other.
#[derive(Debug)]
struct Table {
    schema: Arc<SchemaLayout>,
    /// Index of its first column among those of all tables.
    first_column: usize,
    /// Indices of the columns at the top.
    tops: Vec<usize>,
    batches: Vec<Batch>,
    rows: u64,
}

/// A record batch of a table.
#[derive(Clone, Copy, Debug)]
struct Batch {
    /// Index of its message.
    message: usize,
    first_row: u64,
    rows: u64,
}

/// An open payload.
#[derive(Debug)]
pub struct View {
    payload: Vec<u8>,
    layout: Layout,
    diagnostics: Vec<Diagnostic>,
    /// Messages from here on may hold damage that no diagnostic tells of: there were too many.
    reliable_messages: usize,
    /// Messages that the payload cuts short, each with its first column that lacks bytes.
    cuts: Vec<(usize, usize)>,
    tables: Vec<Table>,
    /// The table of each stream.
    table_of_stream: Vec<Option<usize>>,
    cache: Cache,
    extremes: Vec<((usize, usize), Progress)>,
    /// Of the column whose values were asked for last.
    values: Option<((usize, usize), values::Counting)>,
    /// The rows that are shown, where not all are.
    selection: Option<Selection>,
    /// With the view that this one was held against.
    comparing: Option<Box<Comparing>>,
}

/// The limits of a payload that someone looks at: far wider than those of one that is decoded as a
/// whole, because only one column of one batch is at a time.
pub fn options() -> Options {
    Options { max_raw_bytes: 1 << 36, max_rows: 1 << 40, ..Options::default() }
}

impl View {
    /// Opens any bytes. Those that are record batches alone are read with the schema that `schema`,
    /// another payload, begins with.
    ///
    /// # Errors
    ///
    /// What is wrong with `schema` where no schema can be read from it.
    pub fn open(payload: Vec<u8>, schema: Option<&[u8]>) -> Result<Self, Box<Diagnostic>> {
        let mut options = options();
        if let Some(other) = schema {
            let (layout, diagnostics) = layout::walk(other, &options);
            options.schema = layout.streams.into_iter().find_map(|stream| stream.schema);
            if let (None, Some(first)) = (&options.schema, diagnostics.into_iter().next()) {
                return Err(Box::new(first));
            }
        }
        let (layout, diagnostics) = layout::walk(&payload, &options);
        let (tables, table_of_stream) = tables(&layout);
        let reliable_messages = reliable_messages(&diagnostics);
        let cuts = cuts(&layout, &diagnostics);
        Ok(Self {
            payload,
            layout,
            diagnostics,
            reliable_messages,
            cuts,
            tables,
            table_of_stream,
            cache: Cache::default(),
            extremes: Vec::new(),
            values: None,
            selection: None,
            comparing: None,
        })
    }

    /// What the payload is, for a page to show at once. Nothing is decoded for it.
    pub fn summary(&self) -> Summary {
        Summary::new(&self.payload, &self.layout, &self.diagnostics, &self.tables)
    }

    /// What makes the payload larger or slower than it needs to be, told from its sizes.
    pub fn advice(&self) -> Vec<Advice> {
        advise(&self.layout)
    }

    /// The byte map.
    pub fn map(&self) -> RegionMap {
        RegionMap::new(&self.layout, |stream| self.first_column(stream))
    }

    /// One region of the byte map; `None` where there are not so many.
    pub fn region(&self, index: usize) -> Option<RegionDetail> {
        RegionDetail::new(&self.layout, index, |stream| self.first_column(stream))
    }

    /// Bytes of the payload; fewer where it ends.
    pub fn bytes(&self, offset: usize, count: usize) -> &[u8] {
        let offset = offset.min(self.payload.len());
        let end = offset.saturating_add(count).min(self.payload.len());
        self.payload.get(offset..end).unwrap_or_default()
    }

    /// Rows of a table, in the columns at the top that `positions` names; where rows are
    /// [selected](Self::select), of those. A window of more than 65,536 cells is cut short.
    pub fn rows(&mut self, table: usize, first: u64, count: usize, positions: &[usize]) -> Window {
        let count = count.min(MAX_CELLS / positions.len().max(1));
        let rows: Vec<u64> = if self.n_selected(table).is_some() {
            let first = usize::try_from(first).unwrap_or(usize::MAX);
            self.selection(first, count).iter().map(|&row| row.into()).collect()
        } else {
            let rows = self.tables.get(table).map_or(0, |table| table.rows);
            (first..rows.min(first.saturating_add(count as u64))).collect()
        };
        let columns =
            positions.iter().map(|&position| self.window(table, &rows, position)).collect();
        Window { first, count: rows.len(), columns }
    }

    /// Rows in any order.
    fn window(&mut self, table: usize, rows: &[u64], position: usize) -> WindowColumn {
        let mut window = WindowColumn::default();
        let mut left = rows;
        while let Some(batch) = left.first().and_then(|&row| self.batch_of(table, row)) {
            let range = batch.first_row..batch.first_row + batch.rows;
            let n = left.iter().take_while(|row| range.contains(row)).count();
            let (here, rest) = left.split_at(n);
            left = rest;
            match self.column(table, batch, position) {
                Ok(array) => {
                    for row in here {
                        let (kind, text) = cells::cell(&*array, (row - range.start) as usize);
                        window.kinds.push(kind.letter());
                        window.texts.push(text);
                    }
                }
                Err(fault) => {
                    window.kinds.extend(here.iter().map(|_| CellKind::Damaged.letter()));
                    window.texts.extend(here.iter().map(|_| String::new()));
                    if window.faults.last() != Some(&fault) {
                        window.faults.push(fault);
                    }
                }
            }
        }
        window
    }

    /// The batch that holds a row.
    fn batch_of(&self, table: usize, row: u64) -> Option<Batch> {
        let batches = self.tables.get(table)?.batches.as_slice();
        let at = batches.partition_point(|batch| batch.first_row + batch.rows <= row);
        batches.get(at).copied()
    }

    /// One column at the top of one batch, with a value for each row.
    fn column(&mut self, table: usize, batch: Batch, position: usize) -> Result<ArrayRef, Fault> {
        if let Some(column) = self.cache.column(batch.message, position) {
            return column;
        }
        let column = self.decode(table, batch, position);
        self.cache.keep_column(batch.message, position, column.clone());
        column
    }

    fn decode(&mut self, table: usize, batch: Batch, position: usize) -> Result<ArrayRef, Fault> {
        let nothing = || Fault::new(0, "no such column");
        let table = self.tables.get(table).ok_or_else(nothing)?;
        let schema = Arc::clone(&table.schema);
        let top = *table.tops.get(position).ok_or_else(nothing)?;
        let field = schema.columns.get(top).map(|column| &column.field).ok_or_else(nothing)?;
        let message = self.layout.messages.get(batch.message).ok_or_else(nothing)?.clone();
        if let Some(fault) = self.fault(batch.message, Some((&schema, top))) {
            return Err(fault);
        }
        let columns = schema.subtree(top);
        if !column::is_whole(&self.layout, &message, &schema, &columns) {
            // The walk stopped before, where the error of another column says.
            let error = self.errors().find(|error| error.message == Some(batch.message));
            let what =
                error.map_or_else(|| "the message ends before".to_owned(), |e| e.to_string());
            return Err(Fault::new(error.map_or(message.offset, |error| error.offset), what));
        }
        let dictionaries = self.dictionaries(&schema, batch.message, top)?;
        let column =
            column::read(&self.payload, &self.layout, &message, columns, field, &dictionaries)?;
        match column.len() as u64 == batch.rows {
            true => Ok(column),
            false => Err(Fault::new(message.offset, "the column has not the rows of its batch")),
        }
    }

    fn is_sound(&self) -> bool {
        self.errors().next().is_none()
    }

    fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.is_error())
    }

    /// What the walk found wrong with a column of a message, or with the message as a whole.
    fn fault(&self, message: usize, column: Option<(&SchemaLayout, usize)>) -> Option<Fault> {
        let concerns = |diagnostic: &Diagnostic| match (&diagnostic.column, column) {
            (Some(path), Some((schema, top))) => is_below(path, schema, top),
            // A footer that lists other messages says nothing against those that are there.
            (None, _) => diagnostic.code != Code::FooterBlock,
            (Some(_), None) => true,
        };
        // Columns behind the one that is named as cut short lack their bytes as well.
        let cut = self.cuts.iter().find(|(cut, _)| *cut == message);
        let is_cut = cut.is_some_and(|(_, first)| column.is_some_and(|(_, top)| top >= *first));
        let concerns =
            |error: &Diagnostic| concerns(error) || is_cut && error.code == Code::BodyLength;
        let own = self.errors().find(|error| error.message == Some(message) && concerns(error));
        if let Some(error) = own {
            return Some(Fault::new(error.offset, error.to_string()));
        }
        let offset = |message: &MessageLayout| message.offset;
        (message >= self.reliable_messages).then(|| {
            let offset = self.layout.messages.get(message).map_or(0, offset);
            Fault::new(offset, "there is too much damage before this message to tell what is sound")
        })
    }

    /// Index of the first column of a stream among those of all tables.
    fn first_column(&self, stream: usize) -> Option<usize> {
        let table = self.table_of_stream.get(stream).copied().flatten()?;
        self.tables.get(table).map(|table| table.first_column)
    }
}

/// Whether a diagnostic's path names a column at the top, or one below it.
fn is_below(path: &str, schema: &SchemaLayout, top: usize) -> bool {
    let below = path.strip_prefix(&schema.path(top));
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Of each message that the payload cuts short, the first column at the top that lacks bytes.
fn cuts(layout: &Layout, diagnostics: &[Diagnostic]) -> Vec<(usize, usize)> {
    let is_cut = |diagnostic: &&Diagnostic| diagnostic.code == Code::BodyLength;
    let first = |diagnostic: &Diagnostic| {
        let index = diagnostic.message?;
        let schema = layout.schema_of(layout.messages.get(index)?)?;
        let path = diagnostic.column.as_ref()?;
        let top = schema.top_columns().find(|top| is_below(path, schema, *top))?;
        Some((index, top))
    };
    diagnostics.iter().filter(is_cut).filter_map(first).collect()
}

/// The first message that may hold an error without a diagnostic, because there were too many.
fn reliable_messages(diagnostics: &[Diagnostic]) -> usize {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
    if errors.clone().count() < layout::MAX_DIAGNOSTICS {
        return usize::MAX;
    }
    // The walk goes from message to message: those before the first error have none.
    errors.filter_map(|error| error.message).min().unwrap_or(0)
}

fn tables(layout: &Layout) -> (Vec<Table>, Vec<Option<usize>>) {
    let mut tables: Vec<Table> = Vec::new();
    let mut table_of_stream = Vec::with_capacity(layout.streams.len());
    let mut first_column = 0;
    for stream in &layout.streams {
        let Some(schema) = &stream.schema else {
            table_of_stream.push(None);
            continue;
        };
        if !tables.last().is_some_and(|table| crate::inspect::is_same(schema, &table.schema)) {
            tables.push(Table {
                schema: Arc::clone(schema),
                first_column,
                tops: schema.top_columns().collect(),
                batches: Vec::new(),
                rows: 0,
            });
            first_column += schema.columns.len();
        }
        table_of_stream.push(Some(tables.len() - 1));
    }
    let is_batch = |message: &MessageLayout| message.kind == MessageKind::RecordBatch;
    let messages = layout.messages.iter().enumerate();
    for (index, message) in messages.filter(|(_, message)| is_batch(message)) {
        let table = table_of_stream.get(message.stream).copied().flatten();
        if let Some(table) = table.and_then(|table| tables.get_mut(table)) {
            let (first_row, rows) = (table.rows, message.rows);
            table.batches.push(Batch { message: index, first_row, rows });
            table.rows += rows;
        }
    }
    (tables, table_of_stream)
}
