//! Which rows of a table are shown, and in which order: those that pass a test of one column, sorted
//! by another, found a few at a time.

use std::{cmp::Ordering, str::FromStr};

use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use serde::Serialize;

use super::{
    Fault, View,
    cells::{CellKind, Plain},
};

/// Rows that one call goes through.
const STEP: u64 = 100_000;
/// Most rows that are kept, 4 bytes each.
const MAX_SELECTED: usize = 1 << 24;
/// Most bytes that sorting takes.
const MAX_SORT: usize = 1 << 27;
/// Of them, for each row beside its value.
const SORT_ROW: usize = 12;
/// Characters of a value that count; what follows in a longer one does not.
const MAX_TEXT: usize = 1 << 16;
/// From here on floats do not have every integer.
const EXACT: f64 = (1_u64 << 53) as f64;

/// Rows that pass `filter`, in the order of `sort`; without them all rows, and in their own order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Index of the table.
    pub table: usize,
    /// Which rows.
    pub filter: Option<Filter>,
    /// In which order.
    pub sort: Option<Sort>,
}

/// A test of the values of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Position of the column among those at the top.
    pub position: usize,
    /// What is tested.
    pub test: Test,
    /// What values are held against, as a cell shows it: a number for a column of numbers.
    pub value: String,
}

/// What a [`Filter`] tests. A null passes [`Test::Null`] alone, and `NaN` is neither less nor
/// greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Test {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
    /// The text has the value in it, ASCII letters in either case.
    Contains,
    Null,
    NotNull,
}

impl FromStr for Test {
    type Err = SelectError;

    /// `<`, `<=`, `=`, `!=`, `>=`, `>`, `contains`, `null` or `not null`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            "=" => Self::Equal,
            "!=" => Self::NotEqual,
            ">=" => Self::GreaterOrEqual,
            ">" => Self::Greater,
            "contains" => Self::Contains,
            "null" => Self::Null,
            "not null" => Self::NotNull,
            _ => return Err(SelectError::NoTest),
        })
    }
}

/// By which column rows are sorted. Numbers are in the order of numbers, everything else in that of
/// the bytes of its text; nulls come last, and rows of one value stay in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// Position of the column among those at the top.
    pub position: usize,
    /// Least or greatest first.
    pub direction: Direction,
}

/// Of a [`Sort`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Direction {
    Ascending,
    Descending,
}

/// How far a selection is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Selected {
    /// Rows that are selected so far.
    pub rows: usize,
    /// Rows gone through.
    pub done: u64,
    /// Rows of the table: when all are gone through, the selection is whole.
    pub of: u64,
    /// Rows that are left out because they cannot be read.
    pub left_out: u64,
    /// Why the first of them cannot.
    pub fault: Option<Fault>,
}

/// Why rows cannot be selected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// There are not so many tables or columns.
    #[error("no such column")]
    NoColumn,
    /// Not the name of a [`Test`].
    #[error("no such test")]
    NoTest,
    /// A column of numbers is held against something else.
    #[error("the column holds numbers, and '{0}' is none")]
    NoNumber(String),
    /// More rows than may be kept.
    #[error("more than {MAX_SELECTED} rows pass, the most that can be listed: filter for fewer")]
    TooMany,
    /// Sorting would take too much memory.
    #[error("there are too many rows to sort within {} MiB: filter for fewer", MAX_SORT >> 20)]
    TooManyToSort,
}

/// A selection, whole or on its way.
#[derive(Debug)]
pub(super) struct Selection {
    query: Query,
    /// The order of the filter's column, and of the sort's.
    orders: [Order; 2],
    /// What values are held against.
    operand: Vec<u8>,
    told: Selected,
    rows: Vec<u32>,
    /// Those without a value to sort by.
    nulls: Vec<u32>,
    /// What `rows` are sorted by, one after another, and where each ends.
    keys: Vec<u8>,
    ends: Vec<u32>,
}

impl View {
    /// Begins to select rows, in place of what was selected before; with neither a filter nor a
    /// sort, shows all rows again.
    ///
    /// # Errors
    ///
    /// Where a column is not there, the filter's value is not one, or sorting would take too much
    /// memory.
    pub fn select(&mut self, query: Query) -> Result<(), SelectError> {
        self.selection = None;
        if query.filter.is_none() && query.sort.is_none() {
            return Ok(());
        }
        let table = self.tables.get(query.table).ok_or(SelectError::NoColumn)?;
        let order = |position: Option<usize>| -> Result<Order, SelectError> {
            let Some(position) = position else { return Ok(Order::Text) };
            let field = table.schema.schema.fields().get(position).ok_or(SelectError::NoColumn)?;
            Ok(Order::of(field.data_type()))
        };
        let filter = query.filter.as_ref();
        let orders = [
            order(filter.map(|filter| filter.position))?,
            order(query.sort.map(|sort| sort.position))?,
        ];
        let mut operand = Vec::new();
        let is_compared = |filter: &&Filter| filter.test.is_comparison();
        if let Some(Filter { value, .. }) = filter.filter(is_compared) {
            orders[0].key(value, &mut operand).ok_or(SelectError::NoNumber(value.clone()))?;
        }
        let of = table.rows;
        if of > u64::from(u32::MAX) {
            return Err(SelectError::TooMany);
        }
        if filter.is_none() && of > (MAX_SORT / SORT_ROW) as u64 {
            return Err(SelectError::TooManyToSort);
        }
        self.selection = Some(Selection {
            query,
            orders,
            operand,
            told: Selected { of, ..Selected::default() },
            rows: Vec::new(),
            nulls: Vec::new(),
            keys: Vec::new(),
            ends: Vec::new(),
        });
        Ok(())
    }

    /// Goes through more rows: call again until `done` is `of`. Then [`View::rows`] shows the rows
    /// that are selected.
    ///
    /// # Errors
    ///
    /// Where too many rows pass to be listed, or to be sorted; nothing is selected then.
    pub fn select_more(&mut self) -> Result<Selected, SelectError> {
        let Some(mut selection) = self.selection.take() else { return Ok(Selected::default()) };
        let end = selection.told.of.min(selection.told.done + STEP);
        while selection.told.done < end {
            self.select_batch(&mut selection, end)?;
        }
        if selection.told.done == selection.told.of {
            selection.sort();
        }
        let told = selection.told.clone();
        self.selection = Some(selection);
        Ok(told)
    }

    /// Row numbers of the rows that are selected, as many as there are from `first`; empty while
    /// all rows are shown.
    pub fn selection(&self, first: usize, count: usize) -> &[u32] {
        let is_whole = |selection: &&Selection| selection.told.done == selection.told.of;
        let rows = self.selection.as_ref().filter(is_whole).map_or(&[][..], |s| &s.rows);
        let first = first.min(rows.len());
        let end = first.saturating_add(count).min(rows.len());
        rows.get(first..end).unwrap_or_default()
    }

    /// How many rows of a table are shown, where not all are.
    pub(super) fn n_selected(&self, table: usize) -> Option<usize> {
        let selection = self.selection.as_ref().filter(|s| s.query.table == table)?;
        (selection.told.done == selection.told.of).then_some(selection.rows.len())
    }

    /// Rows of one batch, none from `end` on.
    fn select_batch(&mut self, selection: &mut Selection, end: u64) -> Result<(), SelectError> {
        let Query { table, ref filter, sort } = selection.query;
        let first = selection.told.done;
        let batch = self.batch_of(table, first).ok_or(SelectError::NoColumn)?;
        let batch_end = batch.first_row + batch.rows;
        selection.told.done = end.min(batch_end);
        let (filtered, sorted) = (filter.as_ref().map(|f| f.position), sort.map(|s| s.position));
        let mut column = |position: Option<usize>| -> Result<Option<ArrayRef>, Fault> {
            position.map(|position| self.column(table, batch, position)).transpose()
        };
        let (tested, sorted) = match (column(filtered), column(sorted)) {
            (Ok(tested), Ok(sorted)) => (tested, sorted),
            (Err(fault), _) | (_, Err(fault)) => {
                selection.told.left_out += batch_end - first;
                selection.told.done = batch_end;
                selection.told.fault.get_or_insert(fault);
                return Ok(());
            }
        };
        let (mut plain, mut key) = (Plain::default(), Vec::new());
        for row in first..selection.told.done {
            let at = (row - batch.first_row) as usize;
            let mut passes = |column| selection.passes(column, at, &mut plain, &mut key);
            if tested.as_deref().is_none_or(&mut passes) {
                selection.take(row as u32, sorted.as_deref(), at, &mut plain)?;
            }
        }
        Ok(())
    }
}

impl Selection {
    fn passes(&self, column: &dyn Array, row: usize, plain: &mut Plain, key: &mut Vec<u8>) -> bool {
        let Some(Filter { test, value, .. }) = &self.query.filter else { return true };
        let (kind, text) = plain.start(column, row, MAX_TEXT);
        let is_null = kind == Ok(CellKind::Null);
        match test {
            Test::Null => is_null,
            Test::NotNull => !is_null,
            _ if is_null => false,
            Test::Contains => {
                let (text, value) = (text.as_bytes(), value.as_bytes());
                let is_here = |part: &[u8]| part.eq_ignore_ascii_case(value);
                value.is_empty() || text.windows(value.len()).any(is_here)
            }
            _ => {
                key.clear();
                let order = self.orders[0];
                let is_ordered = order.key(text, key).is_some();
                let is_nan = order == Order::Float && text == "NaN";
                test.holds((**key).cmp(&self.operand), is_ordered && !is_nan)
            }
        }
    }

    fn take(
        &mut self,
        row: u32,
        sorted: Option<&dyn Array>,
        at: usize,
        plain: &mut Plain,
    ) -> Result<(), SelectError> {
        self.told.rows += 1;
        if self.told.rows > MAX_SELECTED {
            return Err(SelectError::TooMany);
        }
        if let Some(column) = sorted {
            let (kind, text) = plain.start(column, at, MAX_TEXT);
            if kind == Ok(CellKind::Null) {
                self.nulls.push(row);
                return Ok(());
            }
            self.orders[1].key(text, &mut self.keys);
            if self.keys.len() + self.told.rows * SORT_ROW > MAX_SORT {
                return Err(SelectError::TooManyToSort);
            }
            self.ends.push(self.keys.len() as u32);
        }
        self.rows.push(row);
        Ok(())
    }

    /// Puts all rows into their order. Keys are gone afterwards.
    fn sort(&mut self) {
        let Some(Sort { direction, .. }) = self.query.sort else { return };
        let (keys, ends) = (std::mem::take(&mut self.keys), std::mem::take(&mut self.ends));
        let key = |at: u32| {
            let start = (at as usize).checked_sub(1).map_or(0, |before| ends[before]);
            &keys[start as usize..ends[at as usize] as usize]
        };
        let mut order: Vec<u32> = (0..ends.len() as u32).collect();
        order.sort_by(|&one, &other| match direction {
            Direction::Ascending => key(one).cmp(key(other)),
            Direction::Descending => key(other).cmp(key(one)),
        });
        self.rows = order.iter().map(|&at| self.rows[at as usize]).collect();
        self.rows.append(&mut self.nulls);
        self.query.sort = None;
    }
}

impl Test {
    fn is_comparison(self) -> bool {
        !matches!(self, Self::Contains | Self::Null | Self::NotNull)
    }

    fn holds(self, found: Ordering, is_ordered: bool) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::NotEqual => found.is_ne(),
            Self::Less => is_ordered && found.is_lt(),
            Self::LessOrEqual => is_ordered && found.is_le(),
            Self::GreaterOrEqual => is_ordered && found.is_ge(),
            _ => is_ordered && found.is_gt(),
        }
    }
}

/// What the order of a column's values is the order of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// The bytes of their texts: of times as well, in years of four digits.
    Text,
    Float,
    /// Integers, decimals, and durations by their number.
    Number,
}

impl Order {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::RunEndEncoded(_, values) => Self::of(values.data_type()),
            float if float.is_floating() => Self::Float,
            number if number.is_numeric() => Self::Number,
            DataType::Duration(_) => Self::Number,
            _ => Self::Text,
        }
    }

    /// Adds bytes that compare as the values do whose texts are given; `None` where that is no
    /// number and should be.
    ///
    /// ```text
    /// text     its bytes
    /// number   a float, 8 bytes; from 2⁵³ on the digits before the point, 1 byte, and all digits
    /// ```
    fn key(self, text: &str, out: &mut Vec<u8>) -> Option<()> {
        if self == Self::Text {
            out.extend_from_slice(text.as_bytes());
            return Some(());
        }
        // A duration has its unit behind.
        let end = text.bytes().position(|byte| byte == b' ').unwrap_or(text.len());
        let text = &text[..end];
        let number: f64 = text.parse().ok()?;
        // Without the sign of a zero.
        let bits = (number + 0.0).to_bits();
        let flipped = if number < 0.0 { u64::MAX } else { 1 << 63 };
        out.extend_from_slice(&(bits ^ flipped).to_be_bytes());
        if self == Self::Number && number.abs() >= EXACT {
            let is_digit = |byte: &u8| *byte != b'-';
            let whole = text.bytes().filter(is_digit).take_while(|byte| *byte != b'.').count();
            let start = out.len();
            out.push(whole as u8);
            out.extend(text.bytes().filter(is_digit));
            // So that decimals are what they are with more zeros.
            while out.len() > start + 1 + whole && matches!(out.last(), Some(b'0' | b'.')) {
                out.pop();
            }
            for byte in &mut out[start..] {
                *byte ^= flipped as u8;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests;
