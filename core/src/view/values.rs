//! Which values a column has most, and how its numbers lie: a few batches at a time.

use std::collections::HashMap;

use arrow_array::Array;
use serde::Serialize;

use super::{
    Batch, Fault, View,
    cells::{self, CellKind},
};

/// Values that one call goes through, unless the next batch alone has more.
const STEP: u64 = 200_000;
/// Different values that are counted; of more, those that came first.
const MAX_VALUES: usize = 20_000;
/// Bytes of texts that are kept of them.
const MAX_TEXT: usize = 4 << 20;
/// Most that are told.
const TOP: usize = 50;
/// Bars of a histogram.
const BINS: usize = 32;

/// The values of a column so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Values {
    /// Rows gone through that could be read.
    pub rows: u64,
    /// Nulls among them.
    pub nulls: u64,
    /// Different values; where there are more than are counted, how many of them are.
    pub distinct: usize,
    /// Rows whose values are not counted, because there are too many different ones.
    pub uncounted: u64,
    /// The most frequent, most first; texts as cells show them.
    pub top: Vec<Frequent>,
    /// Of numbers, bars of one width; empty without numbers or where all are one.
    pub histogram: Vec<Bin>,
    /// Batches of the table.
    pub batches: usize,
    /// Batches gone through: those that are damaged are left out.
    pub done: usize,
    /// Why the first of the damaged ones cannot be read.
    pub fault: Option<Fault>,
}

/// A value, and how many rows have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Frequent {
    /// The value as a cell shows it.
    pub text: String,
    /// Rows.
    pub rows: u64,
}

/// A bar of a histogram: from `from`, up to the next one's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bin {
    /// The least value that belongs to it.
    pub from: f64,
    /// Rows.
    pub rows: u64,
}

/// Where the counting of a column has come to.
#[derive(Debug, Default)]
pub(super) struct Counting {
    found: Values,
    counts: HashMap<String, u64>,
    text_bytes: usize,
    bars: Option<Bars>,
}

/// A histogram whose range grows twofold, so that one pass is enough.
#[derive(Debug)]
struct Bars {
    low: f64,
    width: f64,
    counts: [u64; BINS],
}

impl View {
    /// Goes through more of a column at the top, `position` among the table's, and returns what is
    /// known so far: call again until `done` is `batches`.
    pub fn values(&mut self, table: usize, position: usize) -> Values {
        let key = (table, position);
        let known = self.values.take().filter(|(other, _)| *other == key);
        let mut counting = known.map(|(_, counting)| counting).unwrap_or_default();
        let batches: Vec<Batch> =
            self.tables.get(table).map(|table| table.batches.clone()).unwrap_or_default();
        counting.found.batches = batches.len();
        let mut spent = 0;
        while let Some(batch) = batches.get(counting.found.done).filter(|_| spent < STEP) {
            spent += batch.rows + 1;
            counting.found.done += 1;
            match self.column(table, *batch, position) {
                Ok(array) => counting.add(&*array),
                Err(fault) => {
                    counting.found.fault.get_or_insert(fault);
                }
            }
        }
        let values = counting.told();
        // Counts of one column are kept: they may be many.
        self.values = Some((key, counting));
        values
    }
}

impl Counting {
    fn add(&mut self, array: &dyn Array) {
        let is_number = array.data_type().is_numeric();
        self.found.rows += array.len() as u64;
        for row in 0..array.len() {
            let (kind, text) = cells::cell(array, row);
            if kind == CellKind::Null {
                self.found.nulls += 1;
                continue;
            }
            // Their texts are numbers, decimals too.
            if is_number
                && let Ok(number) = text.parse::<f64>()
                && number.is_finite()
            {
                self.bars.get_or_insert_with(|| Bars::around(number)).add(number);
            }
            let is_room = self.counts.len() < MAX_VALUES && self.text_bytes < MAX_TEXT;
            match self.counts.get_mut(&text) {
                Some(count) => *count += 1,
                None if is_room => {
                    self.text_bytes += text.len();
                    self.counts.insert(text, 1);
                }
                None => self.found.uncounted += 1,
            }
        }
    }

    fn told(&self) -> Values {
        let mut all: Vec<_> = self.counts.iter().collect();
        all.sort_by(|one, other| other.1.cmp(one.1).then_with(|| one.0.cmp(other.0)));
        let frequent = |(text, rows): (&String, &u64)| Frequent { text: text.clone(), rows: *rows };
        Values {
            distinct: self.counts.len(),
            top: all.into_iter().take(TOP).map(frequent).collect(),
            histogram: self.bars.as_ref().map(Bars::told).unwrap_or_default(),
            ..self.found.clone()
        }
    }
}

impl Bars {
    fn around(number: f64) -> Self {
        // So narrow that a few doublings fit any data; a power of two, so that merging is exact.
        let magnitude = if number == 0.0 { 1e-9 } else { number.abs() };
        let width = 2_f64.powi((magnitude.log2().floor() as i32).clamp(-900, 900) - 40);
        let low = (number / width).floor() * width;
        Self { low, width, counts: [0; BINS] }
    }

    fn add(&mut self, number: f64) {
        loop {
            let at = (number - self.low) / self.width;
            if (0.0..BINS as f64).contains(&at) {
                self.counts[(at as usize).min(BINS - 1)] += 1;
                return;
            }
            if !(self.width * BINS as f64 * 2.0).is_finite() {
                return;
            }
            self.widen(at < 0.0);
        }
    }

    /// Twice as wide bars, and the room that this makes below or above.
    fn widen(&mut self, is_below: bool) {
        let mut merged = [0; BINS];
        let start = if is_below { BINS / 2 } else { 0 };
        for (at, pair) in self.counts.chunks(2).enumerate() {
            merged[start + at] = pair.iter().sum();
        }
        if is_below {
            self.low -= self.width * BINS as f64;
        }
        self.width *= 2.0;
        self.counts = merged;
    }

    /// The bars from the first that is not empty to the last.
    fn told(&self) -> Vec<Bin> {
        let is_some = |count: &u64| *count > 0;
        let first = self.counts.iter().position(is_some).unwrap_or(0);
        let last = self.counts.iter().rposition(is_some).unwrap_or(0);
        if first == last {
            return Vec::new();
        }
        let bin =
            |at: usize| Bin { from: self.low + at as f64 * self.width, rows: self.counts[at] };
        (first..=last).map(bin).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

    use super::*;
    use crate::{codec::CodecOptions, encode::encode};

    fn values(column: ArrayRef, times: usize) -> Values {
        let batch = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap();
        let payload = encode(&batch, CodecOptions::default()).unwrap().repeat(times);
        let mut view = View::open(payload, None).unwrap();
        loop {
            let values = view.values(0, 0);
            if values.done == values.batches {
                return values;
            }
        }
    }

    #[test]
    fn the_most_frequent_come_first_over_all_batches() {
        let texts = vec![Some("b"), Some("a"), None, Some("b"), Some(""), Some("a"), Some("b")];
        let found = values(Arc::new(StringArray::from(texts)), 3);
        let top: Vec<_> = found.top.iter().map(|f| (&*f.text, f.rows)).collect();
        assert_eq!(top, [("b", 9), ("a", 6), ("", 3)]);
        assert_eq!((found.rows, found.nulls, found.distinct, found.uncounted), (21, 3, 3, 0));
        assert_eq!((found.batches, found.histogram), (3, vec![]));
    }

    #[test]
    fn what_is_too_much_to_count_is_told() {
        let texts = (0..30_000).map(|n| Some(format!("{n}")));
        let found = values(Arc::new(texts.collect::<StringArray>()), 1);
        assert_eq!((found.distinct, found.uncounted, found.top.len()), (MAX_VALUES, 10_000, TOP));
    }

    #[test]
    fn every_number_is_in_the_bar_that_its_value_says() {
        let check = |numbers: Vec<f64>| {
            let found = values(Arc::new(Float64Array::from(numbers.clone())), 1);
            let finite: Vec<f64> = numbers.into_iter().filter(|n| n.is_finite()).collect();
            let bars = &found.histogram;
            assert!((2..=BINS).contains(&bars.len()), "{bars:?}");
            assert_eq!(bars.iter().map(|bar| bar.rows).sum::<u64>(), finite.len() as u64);
            for (at, bar) in bars.iter().enumerate() {
                let end = bars.get(at + 1).map_or(f64::INFINITY, |next| next.from);
                let n = finite.iter().filter(|n| (bar.from..end).contains(*n)).count();
                assert_eq!(n as u64, bar.rows, "bar {at} of {bars:?}");
            }
        };
        check((0..1000).map(f64::from).collect());
        check(vec![-1e9, 1e9, 0.0, 5.0, f64::NAN, f64::INFINITY]);
        check((0..100).rev().map(|n| f64::from(n) / 7.0 - 3.0).collect());
        check(vec![1e-12, 1e12]);
        let found = values(Arc::new(Int64Array::from(vec![7; 100])), 2);
        assert_eq!((found.histogram, found.top[0].rows), (vec![], 200));
        // Beyond what a bar can be wide, nothing stops.
        values(Arc::new(Float64Array::from(vec![f64::MAX, f64::MIN, f64::MIN_POSITIVE])), 1);
    }
}
