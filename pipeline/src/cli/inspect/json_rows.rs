use std::{fmt, sync::Arc};

use arrow::{
    array::{Array, RecordBatch},
    datatypes::{DataType, FieldRef},
    error::ArrowError,
    json::{
        Encoder, EncoderFactory, EncoderOptions, WriterBuilder,
        writer::{LineDelimited, NullableEncoder},
    },
    util::display::ArrayFormatter,
};
use serde_json::value::RawValue;

use super::cells::{formatter, is_text};

/// Most characters of all rows in JSON, before quotes and names: views and dictionaries let a small
/// payload repeat a long value without end.
const MAX_JSON_CHARS: usize = 1 << 26;

/// Rows as JSON objects, and why some are missing.
pub(super) fn json_rows(batches: &[RecordBatch]) -> (Vec<Box<RawValue>>, Option<String>) {
    let mut rows = Vec::new();
    let mut left = MAX_JSON_CHARS;
    for batch in batches {
        let n_rows = n_rows_within(batch, &mut left);
        let lines = match json_lines(&batch.slice(0, n_rows)) {
            Ok(lines) => lines,
            Err(refused) => return (rows, Some(refused)),
        };
        for line in lines.lines() {
            match RawValue::from_string(line.to_owned()) {
                Ok(row) => rows.push(row),
                Err(error) => return (rows, Some(format!("a row has no JSON form: {error}"))),
            }
        }
        if n_rows < batch.num_rows() {
            let error = format!("more rows would be over {MAX_JSON_CHARS} characters");
            return (rows, Some(error));
        }
    }
    (rows, None)
}

/// A line a row. A writer of its own for each batch: one that has failed leaves half a row.
fn json_lines(batch: &RecordBatch) -> Result<String, String> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(AsText))
        .build::<_, LineDelimited>(Vec::new());
    writer.write(batch).and_then(|()| writer.finish()).map_err(|error| error.to_string())?;
    String::from_utf8(writer.into_inner()).map_err(|error| error.to_string())
}

/// How many rows have no more text together than is left.
fn n_rows_within(batch: &RecordBatch, left: &mut usize) -> usize {
    let formatters: Vec<_> =
        batch.columns().iter().filter_map(|column| formatter(column).ok()).collect();
    for row in 0..batch.num_rows() {
        for formatter in &formatters {
            let mut count = Counter { left: *left };
            // What else goes wrong is told in the place of the value.
            let _ = formatter.value(row).write(&mut count);
            *left = count.left;
            if *left == 0 {
                return row;
            }
        }
    }
    batch.num_rows()
}

/// Counts down what is written; an error to whoever would write more.
struct Counter {
    left: usize,
}

impl fmt::Write for Counter {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.left = self.left.saturating_sub(text.len());
        if self.left == 0 { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Writes as text what JSON has no form for: unions, maps whose keys are no text, times that have a
/// zone, in UTC, and decimals, which most readers of JSON would round.
#[derive(Debug)]
struct AsText;

impl EncoderFactory for AsText {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let has_json = match array.data_type() {
            DataType::Union(_, _) | DataType::Timestamp(_, Some(_)) => false,
            decimal if decimal.is_decimal() => false,
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => {
                    fields.first().is_some_and(|key| is_text(key.data_type()))
                }
                _ => true,
            },
            _ => true,
        };
        if has_json {
            return Ok(None);
        }
        let encoder = Box::new(TextEncoder(formatter(array)?));
        Ok(Some(NullableEncoder::new(encoder, array.logical_nulls())))
    }
}

struct TextEncoder<'a>(ArrayFormatter<'a>);

impl Encoder for TextEncoder<'_> {
    fn encode(&mut self, index: usize, out: &mut Vec<u8>) {
        let text = self.0.value(index).try_to_string().unwrap_or_else(|error| error.to_string());
        // Text always has a JSON form, and a vector always has room.
        let _ = serde_json::to_writer(out, &text);
    }
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{
            ArrayRef, Int32Array, ListViewArray, MapArray, StructArray, TimestampSecondArray,
            UnionArray,
        },
        buffer::{OffsetBuffer, ScalarBuffer},
        datatypes::{Field, UnionFields},
    };

    use super::*;
    use crate::cli::inspect::cells::cells;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
            .unwrap()
    }

    #[test]
    fn what_json_has_no_form_for_is_text() {
        let fields = UnionFields::try_new(vec![0], vec![Field::new("n", DataType::Int32, true)]);
        let numbers = Arc::new(Int32Array::from(vec![7]));
        let union =
            UnionArray::try_new(fields.unwrap(), vec![0].into(), None, vec![numbers.clone()]);
        let entry = |name: &str| Arc::new(Field::new(name, DataType::Int32, false));
        let entries = StructArray::from(vec![
            (entry("keys"), numbers.clone() as ArrayRef),
            (entry("values"), numbers as ArrayRef),
        ]);
        let field = Arc::new(Field::new("entries", entries.data_type().clone(), false));
        let map = MapArray::new(field, OffsetBuffer::from_lengths([1]), entries, None, false);
        let columns = vec![
            ("union", Arc::new(union.unwrap()) as ArrayRef),
            ("map", Arc::new(map)),
            ("none", Arc::new(Int32Array::from(vec![None]))),
        ];
        let (rows, error) = json_rows(&[batch(columns)]);
        assert_eq!(error, None);
        assert_eq!(rows[0].get(), r#"{"union":"{n=7}","map":"{7: 7}","none":null}"#);
    }

    #[test]
    fn times_are_text_in_range_and_out_of_it() {
        let times = TimestampSecondArray::from(vec![i64::MAX, 0]);
        let (rows, _) = json_rows(&[batch(vec![("t", Arc::new(times))])]);
        assert_eq!(rows[1].get(), r#"{"t":"1970-01-01T00:00:00"}"#);

        let times = TimestampSecondArray::from(vec![Some(1_700_000_000), None]);
        let times = Arc::new(times.with_timezone("Europe/Berlin")) as ArrayRef;
        let field = Arc::new(Field::new("t", times.data_type().clone(), true));
        let nested = Arc::new(StructArray::from(vec![(field, times.clone())])) as ArrayRef;
        let (rows, error) = json_rows(&[batch(vec![("t", times), ("s", nested)])]);
        assert_eq!(error, None);
        let first = r#"{"t":"2023-11-14T22:13:20Z","s":{"t":"2023-11-14T22:13:20Z"}}"#;
        assert_eq!([rows[0].get(), rows[1].get()], [first, r#"{"t":null,"s":{"t":null}}"#]);
    }

    /// 20 rows of 1,000 lists each that are all the same 1,000,000 numbers.
    #[test]
    fn rows_that_repeat_themselves_without_end_are_cut() {
        let numbers = Arc::new(Int32Array::from(vec![1_234_567; 1_000_000]));
        let field = Arc::new(Field::new_list_field(DataType::Int32, true));
        let (zeros, all) = (vec![0; 1000], vec![1_000_000; 1000]);
        let views: ListViewArray = ListViewArray::new(
            field,
            ScalarBuffer::from(zeros),
            ScalarBuffer::from(all),
            numbers,
            None,
        );
        let field = Arc::new(Field::new_list_field(views.data_type().clone(), true));
        let (zeros, all) = (vec![0; 20], vec![1000; 20]);
        let lists = ListViewArray::new(
            field,
            ScalarBuffer::from(zeros),
            ScalarBuffer::from(all),
            Arc::new(views),
            None,
        );
        let batch = batch(vec![("lists", Arc::new(lists))]);
        let (rows, error) = json_rows(std::slice::from_ref(&batch));
        assert!(rows.is_empty());
        assert!(error.unwrap().contains("characters"));
        assert!(cells(batch.column(0)).iter().all(|cell| cell.len() < 200));
    }

    /// Whatever bits a value has, it is shown or said to be wrong, and nothing panics.
    #[test]
    fn the_ends_of_every_type_are_shown() {
        use DataType::*;
        use arrow::{
            array::{ArrayData, make_array},
            buffer::Buffer,
            datatypes::{IntervalUnit, TimeUnit},
        };

        let units =
            [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
        let mut types = vec![
            (Date32, 4),
            (Date64, 8),
            (Time32(TimeUnit::Second), 4),
            (Time32(TimeUnit::Millisecond), 4),
            (Time64(TimeUnit::Microsecond), 8),
            (Time64(TimeUnit::Nanosecond), 8),
            (Interval(IntervalUnit::YearMonth), 4),
            (Interval(IntervalUnit::DayTime), 8),
            (Interval(IntervalUnit::MonthDayNano), 16),
            (Float16, 2),
            (Float32, 4),
            (Float64, 8),
        ];
        for unit in units {
            types.push((Timestamp(unit, None), 8));
            types.push((Timestamp(unit, Some("Europe/Berlin".into())), 8));
            types.push((Timestamp(unit, Some("no zone".into())), 8));
            types.push((Duration(unit), 8));
        }
        for scale in [-128, -9, 0, 9, 127] {
            types.push((Decimal32(9, scale), 4));
            types.push((Decimal64(18, scale), 8));
            types.push((Decimal128(38, scale), 16));
            types.push((Decimal256(76, scale), 32));
        }
        for (data_type, width) in types {
            let least = [vec![0_u8; width - 1], vec![0x80]].concat();
            let most = [vec![0xff_u8; width - 1], vec![0x7f]].concat();
            let bytes = [vec![0; width], vec![0xff; width], least, most].concat();
            let data = ArrayData::builder(data_type).len(4).add_buffer(Buffer::from(bytes));
            let Ok(data) = data.build() else { continue };
            let column = make_array(data);
            assert!(cells(&column).iter().all(|cell| !cell.is_empty()), "{column:?}");
            let (rows, error) = json_rows(&[batch(vec![("x", column)])]);
            assert!(rows.len() == 4 || error.is_some(), "{rows:?}");
        }
    }
}
