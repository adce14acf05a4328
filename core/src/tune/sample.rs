use std::{collections::HashSet, sync::Arc};

use arrow_array::{
    Array, ArrayRef, GenericStringArray, OffsetSizeTrait, RecordBatch, RecordBatchOptions,
    cast::AsArray, new_empty_array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use serde::Serialize;

use super::Point;
use crate::{
    codec::CodecOptions,
    concat::{concat, dictionary},
    encode::{EncodeError, Encoder},
};

/// Windows of a trial: enough to cover a sample, few enough to be quick.
const WINDOWS: std::ops::RangeInclusive<usize> = 2..=16;

/// Rows that the windows of a trial have together, where [`WINDOWS`] allows.
const WINDOW_ROWS: usize = 8000;

/// Text of which more than this part of the rows differ is not worth a dictionary.
const MAX_DISTINCT_SHARE: f64 = 0.5;

/// Why there are no rows to measure.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// No batch, or only empty ones.
    #[error("there are no rows to measure")]
    NoRows,
    /// Rows without columns.
    #[error("the rows have no columns")]
    NoColumns,
    /// Batches of different columns.
    #[error("the batches have different schemas")]
    Schemas,
    /// Batches that do not go into one.
    #[error("the batches cannot be put together; take fewer rows")]
    Arrow(#[from] ArrowError),
}

/// What the windows of a sample take as payloads of one [`Point`]: the same everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Rows of all windows.
    pub rows: u64,
    /// Bytes of all payloads.
    pub bytes: u64,
    /// Bytes of the largest payload.
    pub largest: usize,
}

impl Size {
    /// Adds a payload of `rows` rows.
    pub(super) fn add(&mut self, rows: usize, bytes: usize) {
        self.rows += rows as u64;
        self.bytes += bytes as u64;
        self.largest = self.largest.max(bytes);
    }

    /// Bytes of a row; 0 without rows.
    pub fn bytes_per_row(&self) -> f64 {
        if self.rows == 0 { 0.0 } else { self.bytes as f64 / self.rows as f64 }
    }
}

/// Rows to measure, all of one schema and in order.
#[derive(Clone, Debug)]
pub struct Sample {
    rows: RecordBatch,
    /// Columns that a dictionary may suit, with the schema that they have then.
    repeating: Vec<(usize, Field)>,
    dictionary_schema: SchemaRef,
    /// Columns that are dictionaries already: each window gets one of its own.
    dictionaries: Vec<usize>,
}

/// What a dictionary does to one column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DictionarySaving {
    /// The column.
    pub column: String,
    /// All columns as they are.
    pub before: Size,
    /// With the column dictionary-encoded.
    pub after: Size,
}

impl Sample {
    /// The rows of `batches`.
    ///
    /// # Errors
    ///
    /// [`SampleError`].
    pub fn new(batches: &[RecordBatch]) -> Result<Self, SampleError> {
        let batches: Vec<_> = batches.iter().filter(|batch| batch.num_rows() > 0).collect();
        let schema = batches.first().ok_or(SampleError::NoRows)?.schema();
        if schema.fields().is_empty() {
            return Err(SampleError::NoColumns);
        }
        if batches.iter().any(|batch| batch.schema_ref().fields() != schema.fields()) {
            return Err(SampleError::Schemas);
        }
        let rows = together(&schema, &batches)?;
        let fields = schema.fields().iter().enumerate();
        let repeating: Vec<_> = fields
            .clone()
            .filter_map(|(i, field)| Some((i, dictionary_field(field, rows.column(i))?)))
            .collect();
        let is_dictionary = |field: &Field| matches!(field.data_type(), DataType::Dictionary(..));
        let dictionaries =
            fields.filter(|(_, field)| is_dictionary(field)).map(|(i, _)| i).collect();
        let dictionary_schema = with_fields(&schema, &repeating);
        Ok(Self { rows, repeating, dictionary_schema, dictionaries })
    }

    /// All rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// Bytes of a row in memory.
    pub fn raw_bytes_per_row(&self) -> f64 {
        let columns = self.rows.columns().iter();
        let sizes = columns.map(|c| c.to_data().get_slice_memory_size().unwrap_or(0));
        sizes.sum::<usize>() as f64 / self.rows.num_rows() as f64
    }

    /// Most rows of a batch that can be measured: two different windows have to fit, because an
    /// encoder remembers what it has just compressed. All rows, where there is one.
    pub fn max_window(&self) -> usize {
        (self.rows.num_rows() / 2).max(1)
    }

    /// Whether there is text that repeats.
    pub fn has_repeating_text(&self) -> bool {
        !self.repeating.is_empty()
    }

    /// The schema of the windows of a point.
    pub fn schema(&self, point: &Point) -> SchemaRef {
        if point.dictionary { self.dictionary_schema.clone() } else { self.rows.schema() }
    }

    /// How many windows of `rows` rows a trial has.
    pub fn n_windows(&self, rows: usize) -> usize {
        n_windows_wanted(rows).min(self.rows.num_rows() / rows.max(1)).max(1)
    }

    /// The batches that a trial of `point` encodes: evenly spread over the sample, each full, without
    /// overlap. One that is larger than the sample gives the whole sample.
    ///
    /// # Errors
    ///
    /// [`ArrowError`] where a dictionary cannot be built.
    pub fn windows(&self, point: &Point) -> Result<Vec<RecordBatch>, ArrowError> {
        let repeating = if point.dictionary { &self.repeating[..] } else { &[] };
        self.spread(point.rows).map(|window| self.window(&window, repeating)).collect()
    }

    /// What the windows of `point` take, without any clock.
    ///
    /// # Errors
    ///
    /// [`EncodeError`].
    pub fn size(&self, point: &Point) -> Result<Size, EncodeError> {
        size_of(&self.windows(point)?, self.schema(point), point.options())
    }

    /// What each column of repeating text would save at a point, or cost more. Each is measured when it
    /// is asked for, which encodes the windows once.
    ///
    /// # Errors
    ///
    /// [`EncodeError`].
    pub fn dictionary_savings(
        &self,
        point: &Point,
    ) -> Result<impl Iterator<Item = Result<DictionarySaving, EncodeError>>, EncodeError> {
        let (rows, options) = (point.rows, point.options());
        let before = self.size(&Point { dictionary: false, ..*point })?;
        Ok(self.repeating.iter().map(move |column| {
            let name = column.1.name().clone();
            let column = std::slice::from_ref(column);
            let windows = self.spread(rows).map(|window| self.window(&window, column));
            let windows = windows.collect::<Result<Vec<_>, _>>()?;
            let schema = with_fields(self.rows.schema_ref(), column);
            let after = size_of(&windows, schema, options)?;
            Ok(DictionarySaving { column: name, before, after })
        }))
    }

    fn spread(&self, rows: usize) -> impl Iterator<Item = RecordBatch> {
        let n_rows = self.rows.num_rows();
        let rows = rows.clamp(1, n_rows);
        let n_windows = self.n_windows(rows);
        let free = n_rows - n_windows * rows;
        (0..n_windows).map(move |i| {
            // The room between windows is shared out evenly.
            let gap = if n_windows > 1 { free * i / (n_windows - 1) } else { 0 };
            self.rows.slice(i * rows + gap, rows)
        })
    }

    fn window(
        &self,
        window: &RecordBatch,
        repeating: &[(usize, Field)],
    ) -> Result<RecordBatch, ArrowError> {
        if repeating.is_empty() && self.dictionaries.is_empty() {
            return Ok(window.clone());
        }
        let mut columns = window.columns().to_vec();
        for &column in &self.dictionaries {
            let data_type = columns[column].data_type().clone();
            columns[column] = dictionary(&[&columns[column]], &data_type)?;
        }
        for (column, field) in repeating {
            columns[*column] = dictionary(&[&columns[*column]], field.data_type())?;
        }
        let options = RecordBatchOptions::new().with_row_count(Some(window.num_rows()));
        let schema = with_fields(window.schema_ref(), repeating);
        RecordBatch::try_new_with_options(schema, columns, &options)
    }
}

fn n_windows_wanted(rows: usize) -> usize {
    (WINDOW_ROWS / rows.max(1)).clamp(*WINDOWS.start(), *WINDOWS.end())
}

/// Rows that a trial goes through once, its warm-up among them, where the sample has so many.
pub(super) fn rows_of_trial(rows: usize) -> usize {
    rows.saturating_mul(n_windows_wanted(rows) + 1)
}

fn size_of(
    windows: &[RecordBatch],
    schema: SchemaRef,
    options: CodecOptions,
) -> Result<Size, EncodeError> {
    let mut encoder = Encoder::new(schema, options)?;
    let mut size = Size::default();
    for window in windows {
        let payload = encoder.encode(std::slice::from_ref(window))?;
        size.add(window.num_rows(), payload.len());
    }
    Ok(size)
}

fn with_fields(schema: &Schema, replaced: &[(usize, Field)]) -> SchemaRef {
    let mut fields = schema.fields().to_vec();
    for (i, field) in replaced {
        fields[*i] = Arc::new(field.clone());
    }
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

/// The field as a dictionary with the narrowest keys, if it is text that repeats.
fn dictionary_field(field: &Field, column: &ArrayRef) -> Option<Field> {
    let n_distinct = match field.data_type() {
        DataType::Utf8 => distinct(column.as_string::<i32>()),
        DataType::LargeUtf8 => distinct(column.as_string::<i64>()),
        _ => None,
    }?;
    let keys = match n_distinct {
        0..=127 => DataType::Int8,
        128..=32_767 => DataType::Int16,
        _ => DataType::Int32,
    };
    let values = Box::new(field.data_type().clone());
    Some(field.clone().with_data_type(DataType::Dictionary(Box::new(keys), values)))
}

/// Different texts of a column, unless there are too many for a dictionary.
fn distinct<O: OffsetSizeTrait>(column: &GenericStringArray<O>) -> Option<usize> {
    let limit = (column.len() as f64 * MAX_DISTINCT_SHARE) as usize;
    let mut found = HashSet::new();
    for text in column.iter().flatten() {
        found.insert(text);
        if found.len() > limit {
            return None;
        }
    }
    Some(found.len())
}

/// The batches as one; columns that are dictionaries get a common one.
fn together(schema: &SchemaRef, batches: &[&RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().enumerate().map(|(at, field)| {
        let parts: Vec<&dyn Array> = batches.iter().map(|batch| &**batch.column(at)).collect();
        match field.data_type() {
            to @ DataType::Dictionary(..) => dictionary(&parts, to),
            data_type => Ok(concat(&parts)?.unwrap_or_else(|| new_empty_array(data_type))),
        }
    });
    let columns = columns.collect::<Result<_, _>>()?;
    let n_rows = batches.iter().map(|batch| batch.num_rows()).sum();
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

#[cfg(test)]
mod tests {
    use arrow_array::{
        DictionaryArray, Int64Array, StringArray,
        types::{Int8Type, Int16Type},
    };

    use super::*;
    use crate::{
        codec::{Codec, Framing},
        decode::decode,
        encode::encode,
    };

    fn batch(from: i64, n_rows: i64) -> RecordBatch {
        let rows = from..from + n_rows;
        let words: StringArray =
            rows.clone().map(|i| (i % 7 != 3).then(|| format!("word-{}", i % 5))).collect();
        let ids: StringArray = rows.clone().map(|i| Some(format!("id-{i}"))).collect();
        RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from_iter_values(rows)) as _),
            ("word", Arc::new(words) as _),
            ("id", Arc::new(ids) as _),
        ])
        .unwrap()
    }

    fn point(rows: usize, dictionary: bool) -> Point {
        Point { rows, codec: Codec::None, framing: Framing::Stream, dictionary }
    }

    #[test]
    fn windows_are_full_spread_and_apart() {
        let sample = Sample::new(&[batch(0, 60), batch(60, 0), batch(60, 41)]).unwrap();
        assert_eq!((sample.rows().num_rows(), sample.max_window()), (101, 50));
        for rows in [1, 3, 10, 33, 50, 101, 5000] {
            let windows = sample.windows(&point(rows, false)).unwrap();
            let numbers = |batch: &RecordBatch| {
                batch.column(0).as_primitive::<arrow_array::types::Int64Type>().values().to_vec()
            };
            let all: Vec<i64> = windows.iter().flat_map(numbers).collect();
            assert!(all.is_sorted_by(|a, b| a < b), "{rows}: no row twice: {all:?}");
            assert!(windows.iter().all(|window| window.num_rows() == rows.min(101)));
            assert_eq!(windows.len(), sample.n_windows(rows));
            assert_eq!(all[0], 0);
            assert!(windows.len() == 1 || all.last() == Some(&100), "{rows}: to the last row");
        }
    }

    /// The promise of tuning: what it says of sizes is what messages take.
    #[test]
    fn sizes_are_those_of_the_payloads() {
        let sample = Sample::new(&[batch(0, 100)]).unwrap();
        let point = point(50, false);
        let payloads = [batch(0, 50), batch(50, 50)];
        let sizes = payloads.map(|batch| encode(&batch, point.options()).unwrap().len());
        let expected = Size {
            rows: 100,
            bytes: (sizes[0] + sizes[1]) as u64,
            largest: sizes[0].max(sizes[1]),
        };
        assert_eq!(sample.size(&point).unwrap(), expected);
    }

    #[test]
    fn dictionaries_hold_the_same_text() {
        let sample = Sample::new(&[batch(0, 100)]).unwrap();
        assert!(sample.has_repeating_text());
        let plain = sample.windows(&point(50, false)).unwrap();
        let windows = sample.windows(&point(50, true)).unwrap();
        for (window, plain) in windows.iter().zip(&plain) {
            let words = window.column(1).as_dictionary::<Int8Type>();
            let words = words.downcast_dict::<StringArray>().unwrap();
            let expected = plain.column(1).as_string::<i32>();
            assert!(words.into_iter().eq(expected.iter()));
            assert_eq!(window.column(2), plain.column(2), "ids do not repeat");
            let payload = encode(window, CodecOptions::default()).unwrap();
            assert_eq!(decode(&payload).unwrap(), std::slice::from_ref(window));
        }
        let point = point(50, false);
        let savings = sample.dictionary_savings(&point).unwrap();
        let savings: Vec<_> = savings.map(Result::unwrap).collect();
        assert_eq!(savings.len(), 1);
        assert_eq!(
            (&*savings[0].column, savings[0].after),
            ("word", sample.size(&Point { dictionary: true, ..point }).unwrap())
        );
    }

    #[test]
    fn windows_of_dictionaries_have_just_their_values() {
        let words: DictionaryArray<Int16Type> = (0..400)
            .map(|i| format!("w{}", i / 2))
            .collect::<Vec<_>>()
            .iter()
            .map(|w| &**w)
            .collect();
        let batch = RecordBatch::try_from_iter([("word", Arc::new(words) as _)]).unwrap();
        let sample = Sample::new(&[batch]).unwrap();
        for window in sample.windows(&point(20, false)).unwrap() {
            // Words come in pairs, which a window may cut.
            let n_values = window.column(0).as_any_dictionary().values().len();
            assert!((10..=11).contains(&n_values), "{n_values}");
        }
    }

    #[test]
    fn nothing_is_no_sample() {
        let check = |batches: &[RecordBatch], expected: &str| {
            assert_eq!(Sample::new(batches).unwrap_err().to_string(), expected);
        };
        check(&[], "there are no rows to measure");
        check(&[batch(0, 0)], "there are no rows to measure");
        let bare = RecordBatch::try_new_with_options(
            Arc::new(Schema::empty()),
            Vec::new(),
            &RecordBatchOptions::new().with_row_count(Some(3)),
        );
        check(&[bare.unwrap()], "the rows have no columns");
        check(
            &[batch(0, 2), batch(0, 2).project(&[0]).unwrap()],
            "the batches have different schemas",
        );
        let one = Sample::new(&[batch(7, 1)]).unwrap();
        assert_eq!((one.max_window(), one.windows(&point(1, true)).unwrap().len()), (1, 1));
    }
}
