//! Two payloads held against each other: their schemas, their sizes, and their rows one by one.
//!
//! Rows are compared by their place and cells by their value, however it is encoded: `7` is `7` as
//! an `int8`, as an `int64` and out of a dictionary. Every `NaN` is the same, `0` and `-0` are not,
//! and neither are a null and an empty text.

use arrow_array::{Array as _, ArrayRef};
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Schema};
use serde::Serialize;

use super::{
    Batch, Fault, View,
    cells::{self, Plain},
    summary::sorted,
};
use crate::{
    fingerprint::type_name,
    inspect::{Inspection, shortened},
};

/// Cells that one call goes through.
const STEP: usize = 100_000;
/// Differences and faults that are told.
const TOLD: usize = 50;
/// Longest values that are compared, in characters.
const MAX_TEXT: usize = 1 << 24;

/// How two payloads relate, as far as they were compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// What was found, for a program.
    pub outcome: Outcome,
    /// The same as one sentence.
    pub verdict: String,
    /// How the schemas differ.
    pub schema: Vec<SchemaChange>,
    /// Columns of the two inspections that belong together, at any depth, in the order of the first.
    pub columns: Vec<ColumnPair>,
    /// Rows that both have, by their number.
    pub of: u64,
    /// Rows of them that were compared.
    pub done: u64,
    /// Rows among those that differ.
    pub different: u64,
    /// The first cells that differ.
    pub differences: Vec<CellDifference>,
    /// Rows among those gone through that cannot be compared in every column.
    pub unread: u64,
    /// Why they cannot, the first reasons.
    pub faults: Vec<SideFault>,
}

/// What a [`Comparison`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The same columns with the same rows.
    Same,
    /// Other columns, or other rows.
    Different,
    /// No difference was found, but not everything can be read, or not everything was compared yet.
    Unknown,
}

/// One way in which the schemas differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SchemaChange {
    /// Name of the column at the top; empty where it is the schema's.
    pub column: String,
    /// `added`, `removed`, `type`, `nullability`, `metadata`, `order`, or `tables`.
    pub change: &'static str,
    /// What each has; empty where it has nothing.
    pub values: [String; 2],
}

/// Indices into the columns of the two inspections; `None` where one has no such column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnPair {
    /// Of the first payload.
    pub one: Option<usize>,
    /// Of the second.
    pub other: Option<usize>,
    /// Rows in which it differs, of a column at the top.
    pub different: u64,
}

/// A cell that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CellDifference {
    /// Index of the table.
    pub table: usize,
    /// Number of the row, from 0.
    pub row: u64,
    /// Position of the column among those at the top of the first payload.
    pub position: usize,
    /// Its name.
    pub column: String,
    /// A letter for each: see [`CellKind::letter`](super::CellKind::letter).
    pub kinds: String,
    /// As cells show them.
    pub texts: [String; 2],
}

/// Part of one of the two that cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SideFault {
    /// 0 or 1.
    pub side: usize,
    /// Name of the column.
    pub column: String,
    /// The first row.
    pub row: u64,
    /// Where in that payload, and what is wrong.
    pub fault: Fault,
}

/// A comparison on its way.
#[derive(Debug)]
pub(super) struct Comparing {
    told: Comparison,
    table: usize,
    row: u64,
    /// Of the table: columns at the top that can be compared.
    tops: Vec<Top>,
    /// The first column that both have and that cannot, because its type is another.
    unlike: Option<String>,
    plain: (Plain, Plain),
}

/// A column at the top of both.
#[derive(Debug)]
struct Top {
    position: usize,
    other: usize,
    name: String,
    /// Index of its [`ColumnPair`].
    pair: Option<usize>,
}

impl View {
    /// Goes further in holding `other` against this view and returns what is known so far: call
    /// again until `done` is `of`. `other` remembers how far it was, so it is compared with one view
    /// only.
    pub fn compare<'a>(&mut self, other: &'a mut Self) -> &'a Comparison {
        let known = other.comparing.take();
        let mut comparing = known.unwrap_or_else(|| Box::new(Comparing::new(self, other)));
        comparing.go_on(self, other);
        &other.comparing.insert(comparing).told
    }
}

impl Comparing {
    fn new(one: &View, other: &View) -> Self {
        let (mut of, mut schema) = (0, Vec::new());
        for (one, other) in one.tables.iter().zip(&other.tables) {
            of += one.rows.min(other.rows);
            add_changes(&mut schema, &one.schema.schema, &other.schema.schema);
        }
        let n_tables = |view: &View| view.tables.len().to_string();
        add_change(&mut schema, "", "tables", n_tables(one), n_tables(other));
        let mut comparing = Self {
            told: Comparison {
                outcome: Outcome::Unknown,
                verdict: String::new(),
                schema,
                columns: pair_columns(&one.summary().inspection, &other.summary().inspection),
                of,
                done: 0,
                different: 0,
                differences: Vec::new(),
                unread: 0,
                faults: Vec::new(),
            },
            table: 0,
            row: 0,
            tops: Vec::new(),
            unlike: None,
            plain: Default::default(),
        };
        // From the last, to end at the first.
        for table in (0..one.tables.len().min(other.tables.len())).rev() {
            comparing.begin_table(table, one, other);
        }
        comparing
    }

    fn begin_table(&mut self, table: usize, one: &View, other: &View) {
        (self.table, self.row) = (table, 0);
        self.tops.clear();
        let (Some(one), Some(other)) = (one.tables.get(table), other.tables.get(table)) else {
            return;
        };
        let (schema, other_schema) = (&one.schema.schema, &other.schema.schema);
        for (position, at) in pair(&names(schema), &names(other_schema)) {
            let (Some(position), Some(at)) = (position, at) else { continue };
            let (field, other_field) = (schema.field(position), other_schema.field(at));
            let name = shortened(field.name());
            if !is_alike(field.data_type(), other_field.data_type()) {
                self.unlike = Some(name);
                continue;
            }
            let column = one.tops.get(position).map(|top| one.first_column + top);
            let pair = self.told.columns.iter().position(|pair| pair.one == column);
            self.tops.push(Top { position, other: at, name, pair });
        }
    }

    fn go_on(&mut self, one: &mut View, other: &mut View) {
        let mut left = STEP;
        while left > 0 && self.told.done < self.told.of {
            let batches =
                (one.batch_of(self.table, self.row), other.batch_of(self.table, self.row));
            let (Some(first), Some(second)) = batches else {
                self.begin_table(self.table + 1, one, other);
                continue;
            };
            let cost = self.compare_part(one, other, first, second, left);
            left = left.saturating_sub(cost);
        }
        (self.told.outcome, self.told.verdict) = self.conclusion(one, other);
    }

    /// Goes through rows that lie in one batch of each. Returns how many cells that was, or
    /// something like it for what is quicker.
    fn compare_part(
        &mut self,
        one: &mut View,
        other: &mut View,
        first: Batch,
        second: Batch,
        max: usize,
    ) -> usize {
        let end = (first.first_row + first.rows).min(second.first_row + second.rows);
        let n_rows = end - self.row;
        let are_aligned = first.first_row == second.first_row && first.rows == second.rows;
        let mut columns: Vec<(usize, ArrayRef, ArrayRef)> = Vec::new();
        let mut is_unread = false;
        for at in 0..self.tops.len() {
            let top = &self.tops[at];
            let (position, other_position) = (top.position, top.other);
            let found = one.column(self.table, first, position);
            let found = found.map_err(|fault| self.add_fault(0, at, fault));
            let other_found = other.column(self.table, second, other_position);
            let other_found = other_found.map_err(|fault| self.add_fault(1, at, fault));
            let (Ok(found), Ok(other_found)) = (found, other_found) else {
                is_unread = true;
                continue;
            };
            if !are_aligned || !is_same(&found.to_data(), &other_found.to_data()) {
                columns.push((at, found, other_found));
            }
        }
        let n_rows = match columns.len() {
            0 => n_rows,
            n => n_rows.min((max / n + 1) as u64),
        };
        let mut marks = vec![Mark::Same; if columns.is_empty() { 0 } else { n_rows as usize }];
        let starts = (self.row - first.first_row, self.row - second.first_row);
        for (at, one, other) in &columns {
            self.compare_column(*at, one, other, starts, &mut marks);
        }
        let n_marked = |mark| marks.iter().filter(|other| **other == mark).count() as u64;
        self.told.different += n_marked(Mark::Different);
        self.told.unread += if is_unread { n_rows } else { n_marked(Mark::Unread) };
        self.told.done += n_rows;
        self.row += n_rows;
        let n_rows = n_rows as usize;
        1000 + n_rows.saturating_mul(columns.len()) + n_rows / 16 * self.tops.len()
    }

    fn add_fault(&mut self, side: usize, top: usize, fault: Fault) {
        let faults = &mut self.told.faults;
        let is_told = faults.iter().any(|told| told.side == side && told.fault == fault);
        if faults.len() < TOLD && !is_told {
            let column = self.tops[top].name.clone();
            faults.push(SideFault { side, column, row: self.row, fault });
        }
    }

    fn compare_column(
        &mut self,
        at: usize,
        one: &ArrayRef,
        other: &ArrayRef,
        starts: (u64, u64),
        marks: &mut [Mark],
    ) {
        let top = &self.tops[at];
        let mut n_different = 0;
        for (i, mark) in marks.iter_mut().enumerate() {
            let (row, other_row) = (starts.0 as usize + i, starts.1 as usize + i);
            let (kind, text) = self.plain.0.start(one, row, MAX_TEXT);
            let (other_kind, other_text) = self.plain.1.start(other, other_row, MAX_TEXT);
            if kind == other_kind && text == other_text {
                if kind.is_err() && *mark == Mark::Same {
                    *mark = Mark::Unread;
                }
                continue;
            }
            *mark = Mark::Different;
            n_different += 1;
            let (table, place) = (self.table, self.row + i as u64);
            // Those of a row together, whatever the column.
            let differences = &mut self.told.differences;
            let at = differences.partition_point(|told| (told.table, told.row) <= (table, place));
            if at < TOLD {
                let (kind, text) = cells::cell(one, row);
                let (other_kind, other_text) = cells::cell(other, other_row);
                let (position, column) = (top.position, top.name.clone());
                let kinds = String::from_iter([kind.letter(), other_kind.letter()]);
                let texts = [text, other_text];
                let told = CellDifference { table, row: place, position, column, kinds, texts };
                differences.insert(at, told);
                differences.truncate(TOLD);
            }
        }
        if let Some(pair) = top.pair.and_then(|pair| self.told.columns.get_mut(pair)) {
            pair.different += n_different;
        }
    }

    /// What is known by now.
    fn conclusion(&self, one: &View, other: &View) -> (Outcome, String) {
        let Comparison { schema, of, done, different, differences, unread, .. } = &self.told;
        let rows = |view: &View| view.tables.iter().map(|table| table.rows).sum::<u64>();
        let (rows, other_rows) = (rows(one), rows(other));
        let is_more =
            |change: &&SchemaChange| matches!(change.change, "added" | "removed" | "tables");
        if one.tables.is_empty() || other.tables.is_empty() {
            let side = if one.tables.is_empty() { "first" } else { "second" };
            return (Outcome::Unknown, format!("the {side} has no schema that can be read"));
        }
        let verdict = if let Some(CellDifference { row, column, .. }) = differences.first() {
            let others = different - 1;
            let more = format!("row {row} differs in {column}");
            match others {
                0 => more,
                1 => more + ", and 1 more row differs",
                _ => format!("{more}, and {others} more rows differ"),
            }
        } else if rows != other_rows {
            let side = if rows > other_rows { "first" } else { "second" };
            let more = rows.abs_diff(other_rows);
            format!("the {side} has {more} rows more; the others do not differ")
        } else if let Some(SchemaChange { column, change, .. }) = schema.iter().find(is_more) {
            let side = if *change == "removed" { "first" } else { "second" };
            let column = if column.is_empty() { "another schema" } else { column };
            format!("{column} is in the {side} only; what both have does not differ")
        } else if let Some(column) = &self.unlike {
            format!("{column} has another type; the other columns do not differ")
        } else if *of != rows {
            "the rows are of other schemas".to_owned()
        } else if done < of {
            return (Outcome::Unknown, "no difference so far".to_owned());
        } else if *unread > 0 || !one.is_sound() || !other.is_sound() {
            let verdict = "not everything can be read; what can does not differ";
            return (Outcome::Unknown, verdict.to_owned());
        } else {
            return (Outcome::Same, same_rows(one, other));
        };
        (Outcome::Different, verdict)
    }
}

fn same_rows(one: &View, other: &View) -> String {
    if one.payload == other.payload {
        return "the same bytes".to_owned();
    }
    let (bytes, other_bytes) = (one.payload.len() as f64, other.payload.len() as f64);
    let percent = 100.0 * (other_bytes - bytes).abs() / bytes;
    let how = if other_bytes < bytes { "less" } else { "more" };
    let codec = |view: &View| view.layout.codec().map_or("mixed".to_owned(), |c| c.to_string());
    let (codec, other_codec) = (codec(one), codec(other));
    let (who, than) = match codec == other_codec {
        true => ("the second", String::new()),
        false => (&*other_codec, format!(" than {codec}")),
    };
    format!("same rows, different encoding: {who} takes {percent:.1} % {how}{than}")
}

/// What is known of a row.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Same,
    Unread,
    Different,
}

/// Whether two arrays are the same bytes, so that no value needs to be looked at.
fn is_same(one: &ArrayData, other: &ArrayData) -> bool {
    one.data_type() == other.data_type()
        && (one.len(), one.offset()) == (other.len(), other.offset())
        && match (one.nulls(), other.nulls()) {
            (Some(one), Some(other)) => {
                one.offset() == other.offset() && one.validity() == other.validity()
            }
            (one, other) => one.is_none() && other.is_none(),
        }
        && one.buffers() == other.buffers()
        && one.child_data().len() == other.child_data().len()
        && one.child_data().iter().zip(other.child_data()).all(|(one, other)| is_same(one, other))
}

/// Whether values of the types mean the same where their texts are the same.
fn is_alike(one: &DataType, other: &DataType) -> bool {
    use DataType::*;
    let is_text = |of: &DataType| matches!(of, Utf8 | LargeUtf8 | Utf8View);
    let is_binary =
        |of: &DataType| matches!(of, Binary | LargeBinary | BinaryView | FixedSizeBinary(_));
    match (one, other) {
        (Dictionary(_, values), other) | (other, Dictionary(_, values)) => is_alike(values, other),
        (RunEndEncoded(_, values), other) | (other, RunEndEncoded(_, values)) => {
            is_alike(values.data_type(), other)
        }
        (
            List(one) | LargeList(one) | ListView(one) | LargeListView(one) | FixedSizeList(one, _),
            List(other)
            | LargeList(other)
            | ListView(other)
            | LargeListView(other)
            | FixedSizeList(other, _),
        )
        | (Map(one, _), Map(other, _)) => is_alike(one.data_type(), other.data_type()),
        (Struct(one), Struct(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len()
                && pairs.all(|(one, other)| is_alike(one.data_type(), other.data_type()))
        }
        (Timestamp(unit, zone), Timestamp(other_unit, other_zone)) => {
            unit == other_unit && zone.is_some() == other_zone.is_some()
        }
        (one, other) => {
            one == other
                || is_text(one) && is_text(other)
                || is_binary(one) && is_binary(other)
                || one.is_integer() && other.is_integer()
        }
    }
}

fn names(schema: &Schema) -> Vec<&str> {
    schema.fields().iter().map(|field| field.name().as_str()).collect()
}

fn pair_columns(one: &Inspection, other: &Inspection) -> Vec<ColumnPair> {
    fn paths(inspection: &Inspection) -> Vec<&str> {
        inspection.columns.iter().map(|column| &*column.path).collect()
    }
    let pairs = pair(&paths(one), &paths(other)).into_iter();
    pairs.map(|(one, other)| ColumnPair { one, other, different: 0 }).collect()
}

/// Indices of equal names, each with one of the other side, in the order of the first; then of what
/// only the second has.
fn pair(names: &[&str], others: &[&str]) -> Vec<(Option<usize>, Option<usize>)> {
    let mut is_taken = vec![false; others.len()];
    // Most of the time the next is the one behind the last.
    let mut next = 0;
    let mut pairs = Vec::with_capacity(names.len());
    for (at, name) in names.iter().enumerate() {
        let is_it = |place: &usize| !is_taken[*place] && others[*place] == *name;
        let found = (next..others.len()).find(is_it).or_else(|| (0..next).find(is_it));
        if let Some(place) = found {
            is_taken[place] = true;
            next = place + 1;
        }
        pairs.push((Some(at), found));
    }
    for (place, is_taken) in is_taken.into_iter().enumerate() {
        if !is_taken {
            pairs.push((None, Some(place)));
        }
    }
    pairs
}

fn add_changes(found: &mut Vec<SchemaChange>, one: &Schema, other: &Schema) {
    let pairs = pair(&names(one), &names(other));
    // Places among the columns that both have: those added or removed move no other.
    let mut ranks = vec![0; other.fields().len()];
    for pair in &pairs {
        if let (Some(_), Some(place)) = pair {
            ranks[*place] = 1;
        }
    }
    let mut n_before = 0;
    for rank in &mut ranks {
        n_before += std::mem::replace(rank, n_before);
    }
    let mut rank = 0;
    let nothing = String::new;
    for (position, place) in pairs {
        let field = position.map(|at| one.field(at));
        let other = place.map(|at| other.field(at));
        match (field, other) {
            (Some(field), Some(other)) => {
                let name = field.name();
                add_change(found, name, "type", described(field), described(other));
                let nullable = |field: &Field| {
                    if field.is_nullable() { "nullable" } else { "not null" }.to_owned()
                };
                add_change(found, name, "nullability", nullable(field), nullable(other));
                let (pairs, others) = (metadata(field.metadata()), metadata(other.metadata()));
                add_change(found, name, "metadata", pairs, others);
                if place.is_some_and(|place| ranks[place] != rank) {
                    let number = |at: Option<usize>| format!("column {}", at.unwrap_or(0) + 1);
                    add_change(found, name, "order", number(position), number(place));
                }
                rank += 1;
            }
            (Some(field), None) => {
                add_change(found, field.name(), "removed", described(field), nothing());
            }
            (None, Some(other)) => {
                add_change(found, other.name(), "added", nothing(), described(other));
            }
            (None, None) => {}
        }
    }
    add_change(found, "", "metadata", metadata(one.metadata()), metadata(other.metadata()));
}

#[inline(never)]
fn add_change(
    found: &mut Vec<SchemaChange>,
    column: &str,
    change: &'static str,
    one: String,
    other: String,
) {
    if one != other {
        found.push(SchemaChange { column: shortened(column), change, values: [one, other] });
    }
}

fn described(field: &Field) -> String {
    shortened(&type_name(field.data_type()))
}

fn metadata(pairs: &std::collections::HashMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in sorted(pairs) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text = text + &key + "=" + &value;
    }
    shortened(&text)
}

#[cfg(test)]
mod tests;
