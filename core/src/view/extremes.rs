//! The least and the greatest value of a column, a few batches at a time.

use std::cmp::Ordering;

use arrow_array::{
    Array, ArrayRef,
    cast::AsArray,
    types::{Float16Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type},
};
use arrow_buffer::{ArrowNativeType, NullBuffer, i256};
use arrow_schema::DataType;
use serde::Serialize;

use super::{Batch, Fault, View, cells};

/// Bytes of a column that one call goes through, unless the next batch alone holds more.
const STEP: u64 = 1 << 22;

/// The least and greatest value of a column so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extremes {
    /// Text of the least value; `None` where there is none, or no order.
    pub min: Option<String>,
    /// Text of the greatest value.
    pub max: Option<String>,
    /// Batches of the table.
    pub batches: usize,
    /// Batches gone through.
    pub done: usize,
    /// Batches among them whose values cannot be read.
    pub damaged: usize,
    /// Why those of the first of them cannot.
    pub fault: Option<Fault>,
}

/// Where the search in a column has come to.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    done: usize,
    damaged: usize,
    fault: Option<Fault>,
    min: Option<(Key, String)>,
    max: Option<(Key, String)>,
}

/// A value that can be compared with those of other batches of its column.
#[derive(Clone, Debug)]
enum Key {
    Integer(i128),
    Float(f64),
    Wide(i256),
    Bytes(Vec<u8>),
}

impl Key {
    /// Floats come without NaN, and keys of one column are of one kind.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(one), Self::Integer(other)) => one.cmp(other),
            (Self::Float(one), Self::Float(other)) => one.total_cmp(other),
            (Self::Wide(one), Self::Wide(other)) => one.cmp(other),
            (Self::Bytes(one), Self::Bytes(other)) => one.cmp(other),
            _ => Ordering::Equal,
        }
    }
}

impl View {
    /// Goes through more of a column and returns what is known so far: call again until `done` is
    /// `batches`. `column` counts from the table's first column; it is one at the top or below
    /// structs only.
    ///
    /// Floats are compared as numbers, `NaN` left out; text and binaries by their bytes. Of columns
    /// without an order this finds what cannot be read.
    pub fn extremes(&mut self, table: usize, column: usize) -> Extremes {
        let key = (table, column);
        let at = self.extremes.iter().position(|(other, _)| *other == key);
        let mut progress = at.map(|at| self.extremes.swap_remove(at).1).unwrap_or_default();
        let batches: Vec<Batch> =
            self.tables.get(table).map(|table| table.batches.clone()).unwrap_or_default();
        let mut spent = 0;
        while let Some(batch) = batches.get(progress.done).filter(|_| spent < STEP) {
            spent += self.raw_bytes(table, *batch, column) + 1;
            progress.done += 1;
            match self.nested(table, *batch, column) {
                Ok((array, nulls)) => progress.add(&array, nulls.as_ref()),
                Err(fault) => {
                    progress.damaged += 1;
                    progress.fault.get_or_insert(fault);
                }
            }
        }
        let text = |found: &Option<(Key, String)>| found.as_ref().map(|(_, text)| text.clone());
        let extremes = Extremes {
            min: text(&progress.min),
            max: text(&progress.max),
            batches: batches.len(),
            done: progress.done,
            damaged: progress.damaged,
            fault: progress.fault.clone(),
        };
        self.extremes.push((key, progress));
        extremes
    }

    fn raw_bytes(&self, table: usize, batch: Batch, column: usize) -> u64 {
        let Some(top) = self.top_of(table, column) else { return 0 };
        let schema = self.tables.get(table).map(|table| &table.schema);
        let columns = schema.map(|schema| schema.subtree(top)).unwrap_or_default();
        let buffers = self.layout.messages.get(batch.message).map(|m| self.layout.buffers_of(m));
        let own = buffers.into_iter().flatten().filter(|b| columns.contains(&b.column));
        own.map(|buffer| buffer.raw).sum()
    }

    /// The column at the top that `column` is, or lies below.
    fn top_of(&self, table: usize, column: usize) -> Option<usize> {
        let tops = &self.tables.get(table)?.tops;
        tops.get(tops.partition_point(|top| *top <= column).checked_sub(1)?).copied()
    }

    /// A column below structs, and which of its values are nulls because a struct above them is.
    fn nested(
        &mut self,
        table: usize,
        batch: Batch,
        column: usize,
    ) -> Result<(ArrayRef, Option<NullBuffer>), Fault> {
        let nothing = || Fault::new(0, "no such column");
        let schema = self.tables.get(table).map(|table| &table.schema).ok_or_else(nothing)?;
        // Positions from the column up to the top.
        let (mut positions, mut at) = (Vec::new(), column);
        while let Some(parent) = schema.columns.get(at).ok_or_else(nothing)?.parent {
            let siblings = parent + 1..at;
            let before = siblings.filter(|&i| schema.columns[i].parent == Some(parent)).count();
            positions.push(before);
            at = parent;
        }
        let tops = self.tables.get(table).map(|table| &table.tops).ok_or_else(nothing)?;
        let position = tops.binary_search(&at).map_err(|_| nothing())?;
        let mut array = self.column(table, batch, position)?;
        let mut nulls = array.nulls().cloned();
        for position in positions.into_iter().rev() {
            let parent = array.as_struct_opt().ok_or_else(nothing)?;
            let child = parent.columns().get(position).cloned().ok_or_else(nothing)?;
            nulls = NullBuffer::union(nulls.as_ref(), child.nulls());
            array = child;
        }
        Ok((array, nulls))
    }
}

impl Progress {
    fn add(&mut self, array: &ArrayRef, nulls: Option<&NullBuffer>) {
        let Some((values, rows)) = candidates(array, nulls) else { return };
        if !has_order(values.data_type()) {
            return;
        }
        let values = &*values;
        let Some((min, max)) = extreme_rows(values, &rows) else { return };
        let found = |row| (key(values, row), cells::cell(values, row).1);
        keep(&mut self.min, found(min), Ordering::Less);
        keep(&mut self.max, found(max), Ordering::Greater);
    }
}

fn keep(best: &mut Option<(Key, String)>, found: (Key, String), wanted: Ordering) {
    if best.as_ref().is_none_or(|best| found.0.compare(&best.0) == wanted) {
        *best = Some(found);
    }
}

/// Whether values of the type have an order.
pub(super) fn has_order(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => has_order(values),
        DataType::RunEndEncoded(_, values) => has_order(values.data_type()),
        DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => true,
        DataType::Interval(_) => false,
        other => other.is_primitive(),
    }
}

/// Which rows of an array take part.
struct Rows {
    len: usize,
    nulls: Option<NullBuffer>,
    /// Of the values of a dictionary: those that a row uses.
    used: Option<Vec<bool>>,
}

impl Rows {
    fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        let is_used = |row: usize| self.used.as_ref().is_none_or(|used| used[row]);
        let is_valid = |row: usize| self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        (0..self.len).filter(move |&row| is_used(row) && is_valid(row))
    }
}

/// The array that holds the values: of a dictionary or of runs not the array itself.
fn candidates(array: &ArrayRef, nulls: Option<&NullBuffer>) -> Option<(ArrayRef, Rows)> {
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary_opt()?;
            let values = dictionary.values();
            let mut used = vec![false; values.len()];
            if !values.is_empty() {
                for (row, key) in dictionary.normalized_keys().into_iter().enumerate() {
                    if nulls.is_none_or(|nulls| nulls.is_valid(row)) {
                        used[key] = true;
                    }
                }
            }
            let rows = Rows { len: values.len(), nulls: values.nulls().cloned(), used: Some(used) };
            Some((ArrayRef::clone(values), rows))
        }
        DataType::RunEndEncoded(ends, _) => {
            let values = match ends.data_type() {
                DataType::Int16 => array.as_run_opt::<Int16Type>()?.values(),
                DataType::Int32 => array.as_run_opt::<Int32Type>()?.values(),
                _ => array.as_run_opt::<Int64Type>()?.values(),
            };
            candidates(values, values.nulls())
        }
        _ => {
            let rows = Rows { len: array.len(), nulls: nulls.cloned(), used: None };
            Some((ArrayRef::clone(array), rows))
        }
    }
}

/// The rows of the least and the greatest value.
fn extreme_rows(array: &dyn Array, rows: &Rows) -> Option<(usize, usize)> {
    let data = array.to_data();
    match (array.data_type(), array.data_type().primitive_width()) {
        (DataType::Boolean, _) => {
            let values = array.as_boolean();
            by(rows.iter(), |row| values.value(row))
        }
        (DataType::Float16, _) => {
            floats(rows, array.as_primitive::<Float16Type>().values(), |value| value.to_f64())
        }
        (DataType::Float32, _) => floats(rows, data.buffer(0), |value: f32| f64::from(value)),
        (DataType::Float64, _) => floats(rows, data.buffer(0), |value: f64| value),
        (DataType::Utf8 | DataType::Binary, _) => {
            by(rows.iter(), spans(data.buffer::<i32>(0), data.buffers().get(1)?))
        }
        (DataType::LargeUtf8 | DataType::LargeBinary, _) => {
            by(rows.iter(), spans(data.buffer::<i64>(0), data.buffers().get(1)?))
        }
        (DataType::UInt8, _) => by(rows.iter(), at::<u8>(data.buffer(0))),
        (DataType::UInt16, _) => by(rows.iter(), at::<u16>(data.buffer(0))),
        (DataType::UInt32, _) => by(rows.iter(), at::<u32>(data.buffer(0))),
        (DataType::UInt64, _) => by(rows.iter(), at::<u64>(data.buffer(0))),
        // Whatever they mean, the values of all other types are signed integers.
        (_, Some(1)) => by(rows.iter(), at::<i8>(data.buffer(0))),
        (_, Some(2)) => by(rows.iter(), at::<i16>(data.buffer(0))),
        (_, Some(4)) => by(rows.iter(), at::<i32>(data.buffer(0))),
        (_, Some(8)) => by(rows.iter(), at::<i64>(data.buffer(0))),
        (_, Some(16)) => by(rows.iter(), at::<i128>(data.buffer(0))),
        (_, Some(32)) => by(rows.iter(), at::<i256>(data.buffer(0))),
        _ => by(rows.iter(), |row| bytes_at(array, row)),
    }
}

fn at<T: ArrowNativeType>(values: &[T]) -> impl Fn(usize) -> T {
    |row| values[row]
}

/// Each value between its offsets.
fn spans<'a, O: ArrowNativeType>(offsets: &'a [O], values: &'a [u8]) -> impl Fn(usize) -> &'a [u8] {
    |row| &values[offsets[row].as_usize()..offsets[row + 1].as_usize()]
}

fn floats<T: Copy>(
    rows: &Rows,
    values: &[T],
    widened: impl Fn(T) -> f64,
) -> Option<(usize, usize)> {
    let value = |row: usize| widened(values[row]);
    by(rows.iter().filter(|&row| !value(row).is_nan()), |row| Float(value(row)))
}

fn by<T: PartialOrd>(
    mut rows: impl Iterator<Item = usize>,
    value: impl Fn(usize) -> T,
) -> Option<(usize, usize)> {
    let first = rows.next()?;
    let (mut min, mut max) = ((first, value(first)), (first, value(first)));
    for row in rows {
        let found = value(row);
        if found < min.1 {
            min = (row, found);
        } else if found > max.1 {
            max = (row, found);
        }
    }
    Some((min.0, max.0))
}

/// A float in its total order: -0 comes before 0.
struct Float(f64);

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.0.total_cmp(&other.0).is_eq()
    }
}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.0.total_cmp(&other.0))
    }
}

fn float_at(array: &dyn Array, row: usize) -> f64 {
    match array.data_type() {
        DataType::Float16 => array.as_primitive::<Float16Type>().value(row).to_f64(),
        DataType::Float32 => f64::from(array.as_primitive::<Float32Type>().value(row)),
        _ => array.as_primitive::<Float64Type>().value(row),
    }
}

fn bytes_at(array: &dyn Array, row: usize) -> &[u8] {
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).as_bytes(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).as_bytes(),
        DataType::Utf8View => array.as_string_view().value(row).as_bytes(),
        DataType::Binary => array.as_binary::<i32>().value(row),
        DataType::LargeBinary => array.as_binary::<i64>().value(row),
        DataType::BinaryView => array.as_binary_view().value(row),
        DataType::FixedSizeBinary(_) => array.as_fixed_size_binary().value(row),
        _ => &[],
    }
}

fn key(array: &dyn Array, row: usize) -> Key {
    let data = array.to_data();
    match (array.data_type(), array.data_type().primitive_width()) {
        (DataType::Boolean, _) => Key::Integer(array.as_boolean().value(row).into()),
        (DataType::Float16 | DataType::Float32 | DataType::Float64, _) => {
            Key::Float(float_at(array, row))
        }
        (DataType::UInt8, _) => Key::Integer(data.buffer::<u8>(0)[row].into()),
        (DataType::UInt16, _) => Key::Integer(data.buffer::<u16>(0)[row].into()),
        (DataType::UInt32, _) => Key::Integer(data.buffer::<u32>(0)[row].into()),
        (DataType::UInt64, _) => Key::Integer(data.buffer::<u64>(0)[row].into()),
        (_, Some(1)) => Key::Integer(data.buffer::<i8>(0)[row].into()),
        (_, Some(2)) => Key::Integer(data.buffer::<i16>(0)[row].into()),
        (_, Some(4)) => Key::Integer(data.buffer::<i32>(0)[row].into()),
        (_, Some(8)) => Key::Integer(data.buffer::<i64>(0)[row].into()),
        (_, Some(16)) => Key::Integer(data.buffer::<i128>(0)[row]),
        (_, Some(32)) => Key::Wide(data.buffer::<i256>(0)[row]),
        _ => Key::Bytes(bytes_at(array, row).to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Decimal256Array, DictionaryArray, Float64Array, Int32Array, RecordBatch, RunArray,
        StringArray, StructArray, types::Int8Type,
    };
    use arrow_schema::Field;

    use super::*;
    use crate::{codec::CodecOptions, encode::encode};

    fn check(batches: &[ArrayRef], column: usize, min: Option<&str>, max: Option<&str>) {
        let mut payload = Vec::new();
        for array in batches {
            let column = ("a", Arc::clone(array), true);
            let batch = RecordBatch::try_from_iter_with_nullable([column]).unwrap();
            payload.extend(encode(&batch, CodecOptions::default()).unwrap());
        }
        let extremes = View::open(payload, None).unwrap().extremes(0, column);
        assert_eq!((extremes.min.as_deref(), extremes.max.as_deref()), (min, max));
        assert_eq!((extremes.done, extremes.damaged), (batches.len(), 0));
    }

    #[test]
    fn extremes_are_over_all_batches() {
        let numbers = |values: Vec<Option<i32>>| Arc::new(Int32Array::from(values)) as ArrayRef;
        let batches =
            [numbers(vec![Some(3), None]), numbers(vec![None]), numbers(vec![Some(-7), Some(12)])];
        check(&batches, 0, Some("-7"), Some("12"));
        check(&[numbers(vec![None])], 0, None, None);
    }

    #[test]
    fn floats_leave_out_what_is_no_number() {
        let floats = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
        check(&[floats(vec![f64::NAN, 0.5]), floats(vec![-0.0])], 0, Some("-0"), Some("0.5"));
        check(&[floats(vec![f64::NAN])], 0, None, None);
    }

    #[test]
    fn texts_dictionaries_and_runs() {
        let texts = StringArray::from(vec![Some("b"), Some(""), None, Some("é")]);
        check(&[Arc::new(texts)], 0, Some(""), Some("é"));
        // `unused` is a value of the dictionary that no row has.
        let keys = arrow_array::Int8Array::from(vec![Some(0), Some(1), None]);
        let values = Arc::new(StringArray::from(vec!["m", "k", "unused"]));
        check(&[Arc::new(DictionaryArray::new(keys, values))], 0, Some("k"), Some("m"));
        let runs = RunArray::<Int16Type>::try_new(
            &arrow_array::Int16Array::from(vec![2, 3]),
            &Int32Array::from(vec![5, 4]),
        );
        check(&[Arc::new(runs.unwrap())], 0, Some("4"), Some("5"));
        let nothing: DictionaryArray<Int8Type> = [None::<&str>].into_iter().collect();
        check(&[Arc::new(nothing)], 0, None, None);
    }

    #[test]
    fn wide_decimals() {
        let wide = [i256::from_i128(-5), i256::from_i128(1200)].map(Some).to_vec();
        let wide = Decimal256Array::from(wide).with_precision_and_scale(76, 2).unwrap();
        check(&[Arc::new(wide)], 0, Some("-0.05"), Some("12.00"));
    }

    #[test]
    fn below_a_struct_its_nulls_count() {
        let field = |name| Arc::new(Field::new(name, DataType::Int32, true));
        let ones = Arc::new(Int32Array::from(vec![1, 2, 3])) as ArrayRef;
        let tens = Arc::new(Int32Array::from(vec![10, 20, 30])) as ArrayRef;
        let nulls = NullBuffer::from(vec![true, true, false]);
        let fields = vec![field("one"), field("ten")].into();
        let pairs = StructArray::try_new(fields, vec![ones, tens], Some(nulls)).unwrap();
        check(&[Arc::new(pairs)], 2, Some("10"), Some("20"));
    }
}
