//! Values as text, one short line each.

use std::fmt::{self, Write};

use arrow_array::{
    Array, ArrowPrimitiveType, GenericListViewArray, OffsetSizeTrait, PrimitiveArray, RunArray,
    cast::AsArray,
    types::{
        ArrowDictionaryKeyType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
        Decimal128Type, Decimal256Type, DurationMicrosecondType, DurationMillisecondType,
        DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type,
        Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType,
        IntervalYearMonthType, RunEndIndexType, Time32MillisecondType, Time32SecondType,
        Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};

/// Most characters of a cell; what is longer ends in `…`.
pub const MAX_CELL: usize = 240;

/// What a cell holds, which its text alone does not tell: a null, an empty text and the text `null`
/// must not look the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// A value, shown by its text.
    Value,
    /// No value.
    Null,
    /// A text or binary without bytes.
    Empty,
    /// A float that is no finite number: `NaN`, `inf`, `-inf`.
    NotFinite,
    /// In a part of the payload that cannot be read.
    Damaged,
}

impl CellKind {
    /// One letter: `v`, `n`, `e`, `f` or `x`.
    pub fn letter(self) -> char {
        match self {
            Self::Value => 'v',
            Self::Null => 'n',
            Self::Empty => 'e',
            Self::NotFinite => 'f',
            Self::Damaged => 'x',
        }
    }
}

/// As [`cell_text`], of [`MAX_CELL`] characters.
pub(super) fn cell(array: &dyn Array, row: usize) -> (CellKind, String) {
    cell_text(array, row, MAX_CELL)
}

/// The text of the value at `row`, which must be below the array's length: at most `max`
/// characters, and `…` behind them where there are more.
///
/// Control characters show as their pictures (`␊`), times are in UTC, bytes in hexadecimal digits,
/// nested values as `[1, 2]` and `{name: 1}`, with texts in quotes. The text of a null is empty.
pub fn cell_text(array: &dyn Array, row: usize, max: usize) -> (CellKind, String) {
    let mut text = Text { out: String::new(), left: max, look: Look::OneLine };
    // Writing fails where the cell is full.
    let kind = write(&mut text, array, row, Place::Top).unwrap_or(CellKind::Value);
    let mut out = text.out;
    if kind == CellKind::Null {
        out.clear();
    }
    (kind, out)
}

/// Writes cells whole and as they are, one after another into the same memory.
#[derive(Debug, Default)]
pub(super) struct Plain {
    text: String,
}

impl Plain {
    /// As [`cell`], with control characters as they are; `None` where it has more than `max`
    /// characters.
    pub(super) fn cell(
        &mut self,
        array: &dyn Array,
        row: usize,
        max: usize,
    ) -> Option<(CellKind, &str)> {
        let (kind, text) = self.start(array, row, max);
        Some((kind.ok()?, text))
    }

    /// The same, and where it is an error the first `max` characters.
    pub(super) fn start(&mut self, array: &dyn Array, row: usize, max: usize) -> (Written, &str) {
        let mut out = std::mem::take(&mut self.text);
        out.clear();
        let mut text = Text { out, left: max, look: Look::Plain };
        let kind = write(&mut text, array, row, Place::Top);
        self.text = text.out;
        (kind, &self.text)
    }
}

/// Takes characters until it is full.
struct Text {
    out: String,
    left: usize,
    look: Look,
}

/// Whether control characters show as pictures.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    OneLine,
    Plain,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|character| self.write_char(character))
    }

    fn write_char(&mut self, character: char) -> fmt::Result {
        if self.left == 0 {
            self.out.push('…');
            return Err(fmt::Error);
        }
        self.left -= 1;
        self.out.push(match character {
            plain if self.look == Look::Plain => plain,
            control @ '\0'..='\x1f' => char::from_u32(0x2400 + control as u32).unwrap_or('␀'),
            '\x7f' => '␡',
            other => other,
        });
        Ok(())
    }
}

/// Text inside a list or struct is quoted, so that its commas are not the list's.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Top,
    Nested,
}

pub(super) type Written = Result<CellKind, fmt::Error>;

fn write(text: &mut Text, array: &dyn Array, row: usize, place: Place) -> Written {
    if array.is_null(row) {
        return null(text);
    }
    match array.data_type() {
        DataType::Null => null(text),
        DataType::Boolean => shown(text, array.as_boolean().value(row)),
        DataType::Int8 => number::<Int8Type>(text, array, row),
        DataType::Int16 => number::<Int16Type>(text, array, row),
        DataType::Int32 => number::<Int32Type>(text, array, row),
        DataType::Int64 => number::<Int64Type>(text, array, row),
        DataType::UInt8 => number::<UInt8Type>(text, array, row),
        DataType::UInt16 => number::<UInt16Type>(text, array, row),
        DataType::UInt32 => number::<UInt32Type>(text, array, row),
        DataType::UInt64 => number::<UInt64Type>(text, array, row),
        DataType::Float16 => {
            let value = array.as_primitive::<Float16Type>().value(row);
            float(text, value, f64::from(value))
        }
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            float(text, value, f64::from(value))
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(text, value, value)
        }
        DataType::Decimal32(..) => {
            shown(text, array.as_primitive::<Decimal32Type>().value_as_string(row))
        }
        DataType::Decimal64(..) => {
            shown(text, array.as_primitive::<Decimal64Type>().value_as_string(row))
        }
        DataType::Decimal128(..) => {
            shown(text, array.as_primitive::<Decimal128Type>().value_as_string(row))
        }
        DataType::Decimal256(..) => {
            shown(text, array.as_primitive::<Decimal256Type>().value_as_string(row))
        }
        DataType::Date32 => date(text, i64::from(array.as_primitive::<Date32Type>().value(row))),
        DataType::Date64 => {
            let ms = array.as_primitive::<Date64Type>().value(row);
            if ms % 86_400_000 == 0 { date(text, ms / 86_400_000) } else { instant(text, ms, 3) }
        }
        DataType::Time32(TimeUnit::Second) => {
            time(text, i64::from(array.as_primitive::<Time32SecondType>().value(row)), 0)
        }
        DataType::Time32(_) => {
            time(text, i64::from(array.as_primitive::<Time32MillisecondType>().value(row)), 3)
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            time(text, array.as_primitive::<Time64MicrosecondType>().value(row), 6)
        }
        DataType::Time64(_) => {
            time(text, array.as_primitive::<Time64NanosecondType>().value(row), 9)
        }
        DataType::Timestamp(unit, zone) => {
            let (value, digits) = match unit {
                TimeUnit::Second => (array.as_primitive::<TimestampSecondType>().value(row), 0),
                TimeUnit::Millisecond => {
                    (array.as_primitive::<TimestampMillisecondType>().value(row), 3)
                }
                TimeUnit::Microsecond => {
                    (array.as_primitive::<TimestampMicrosecondType>().value(row), 6)
                }
                TimeUnit::Nanosecond => {
                    (array.as_primitive::<TimestampNanosecondType>().value(row), 9)
                }
            };
            instant(text, value, digits)?;
            // Without a zone the time is nobody's in particular.
            if zone.is_some() {
                text.write_char('Z')?;
            }
            Ok(CellKind::Value)
        }
        DataType::Duration(unit) => {
            let (value, unit) = match unit {
                TimeUnit::Second => (array.as_primitive::<DurationSecondType>().value(row), "s"),
                TimeUnit::Millisecond => {
                    (array.as_primitive::<DurationMillisecondType>().value(row), "ms")
                }
                TimeUnit::Microsecond => {
                    (array.as_primitive::<DurationMicrosecondType>().value(row), "µs")
                }
                TimeUnit::Nanosecond => {
                    (array.as_primitive::<DurationNanosecondType>().value(row), "ns")
                }
            };
            shown(text, format_args!("{value} {unit}"))
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            let months = array.as_primitive::<IntervalYearMonthType>().value(row);
            shown(text, format_args!("{months} months"))
        }
        DataType::Interval(IntervalUnit::DayTime) => {
            let value = array.as_primitive::<IntervalDayTimeType>().value(row);
            shown(text, format_args!("{} days {} ms", value.days, value.milliseconds))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            let (months, days, ns) = (value.months, value.days, value.nanoseconds);
            shown(text, format_args!("{months} months {days} days {ns} ns"))
        }
        DataType::Utf8 => string(text, array.as_string::<i32>().value(row), place),
        DataType::LargeUtf8 => string(text, array.as_string::<i64>().value(row), place),
        DataType::Utf8View => string(text, array.as_string_view().value(row), place),
        DataType::Binary => bytes(text, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => bytes(text, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => bytes(text, array.as_binary_view().value(row)),
        DataType::FixedSizeBinary(_) => bytes(text, array.as_fixed_size_binary().value(row)),
        DataType::List(_) => list(text, &*array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => list(text, &*array.as_list::<i64>().value(row)),
        DataType::ListView(_) => list_view::<i32>(text, array, row),
        DataType::LargeListView(_) => list_view::<i64>(text, array, row),
        DataType::FixedSizeList(_, _) => list(text, &*array.as_fixed_size_list().value(row)),
        DataType::Map(_, _) => map(text, &array.as_map().value(row)),
        DataType::Struct(fields) => {
            let names = fields.iter().map(|field| field.name().as_str());
            structure(text, names.zip(array.as_struct().columns()), row)
        }
        DataType::Union(fields, _) => {
            let union = array.as_union();
            let (id, at) = (union.type_id(row), union.value_offset(row));
            let name = fields.iter().find(|(other, _)| *other == id);
            write!(text, "{}: ", name.map_or("", |(_, field)| field.name()))?;
            write(text, union.child(id), at, Place::Nested)?;
            Ok(CellKind::Value)
        }
        DataType::Dictionary(keys, _) => match **keys {
            DataType::Int8 => keyed::<Int8Type>(text, array, row, place),
            DataType::Int16 => keyed::<Int16Type>(text, array, row, place),
            DataType::Int32 => keyed::<Int32Type>(text, array, row, place),
            DataType::Int64 => keyed::<Int64Type>(text, array, row, place),
            DataType::UInt8 => keyed::<UInt8Type>(text, array, row, place),
            DataType::UInt16 => keyed::<UInt16Type>(text, array, row, place),
            DataType::UInt32 => keyed::<UInt32Type>(text, array, row, place),
            _ => keyed::<UInt64Type>(text, array, row, place),
        },
        DataType::RunEndEncoded(ends, _) => match ends.data_type() {
            DataType::Int16 => run::<Int16Type>(text, array, row, place),
            DataType::Int32 => run::<Int32Type>(text, array, row, place),
            _ => run::<Int64Type>(text, array, row, place),
        },
    }
}

fn null(text: &mut Text) -> Written {
    text.write_str("null")?;
    Ok(CellKind::Null)
}

fn shown(text: &mut Text, value: impl fmt::Display) -> Written {
    write!(text, "{value}")?;
    Ok(CellKind::Value)
}

fn number<T: ArrowPrimitiveType<Native: fmt::Display>>(
    text: &mut Text,
    array: &dyn Array,
    row: usize,
) -> Written {
    let array: &PrimitiveArray<T> = array.as_primitive();
    shown(text, array.value(row))
}

fn float(text: &mut Text, value: impl fmt::Display + fmt::LowerExp, wide: f64) -> Written {
    let size = wide.abs();
    if wide.is_finite() && size != 0.0 && !(1e-5..1e16).contains(&size) {
        return shown(text, format_args!("{value:e}"));
    }
    shown(text, value)?;
    Ok(if wide.is_finite() { CellKind::Value } else { CellKind::NotFinite })
}

fn string(text: &mut Text, value: &str, place: Place) -> Written {
    if place == Place::Nested {
        text.write_char('"')?;
        for character in value.chars() {
            // So that no text ends another, and no two lists of texts read the same.
            if matches!(character, '"' | '\\') {
                text.write_char('\\')?;
            }
            text.write_char(character)?;
        }
        text.write_char('"')?;
        return Ok(CellKind::Value);
    }
    text.write_str(value)?;
    Ok(if value.is_empty() { CellKind::Empty } else { CellKind::Value })
}

fn bytes(text: &mut Text, value: &[u8]) -> Written {
    value.iter().try_for_each(|byte| write!(text, "{byte:02x}"))?;
    Ok(if value.is_empty() { CellKind::Empty } else { CellKind::Value })
}

fn list(text: &mut Text, values: &dyn Array) -> Written {
    text.write_char('[')?;
    for row in 0..values.len() {
        if row > 0 {
            text.write_str(", ")?;
        }
        write(text, values, row, Place::Nested)?;
    }
    text.write_char(']')?;
    Ok(CellKind::Value)
}

fn list_view<O: OffsetSizeTrait>(text: &mut Text, array: &dyn Array, row: usize) -> Written {
    let Some(lists) = array.as_any().downcast_ref::<GenericListViewArray<O>>() else {
        return Err(fmt::Error);
    };
    list(text, &*lists.value(row))
}

fn map(text: &mut Text, entries: &arrow_array::StructArray) -> Written {
    text.write_char('{')?;
    for row in 0..entries.len() {
        if row > 0 {
            text.write_str(", ")?;
        }
        if let [keys, values] = entries.columns() {
            write(text, keys, row, Place::Nested)?;
            text.write_str(": ")?;
            write(text, values, row, Place::Nested)?;
        }
    }
    text.write_char('}')?;
    Ok(CellKind::Value)
}

fn structure<'a>(
    text: &mut Text,
    columns: impl Iterator<Item = (&'a str, &'a arrow_array::ArrayRef)>,
    row: usize,
) -> Written {
    text.write_char('{')?;
    for (position, (name, column)) in columns.enumerate() {
        if position > 0 {
            text.write_str(", ")?;
        }
        write!(text, "{name}: ")?;
        write(text, column, row, Place::Nested)?;
    }
    text.write_char('}')?;
    Ok(CellKind::Value)
}

fn keyed<K: ArrowDictionaryKeyType>(
    text: &mut Text,
    array: &dyn Array,
    row: usize,
    place: Place,
) -> Written {
    let array = array.as_dictionary::<K>();
    match array.key(row) {
        Some(key) if key < array.values().len() => write(text, array.values(), key, place),
        _ => null(text),
    }
}

fn run<R: RunEndIndexType>(
    text: &mut Text,
    array: &dyn Array,
    row: usize,
    place: Place,
) -> Written {
    let Some(runs) = array.as_any().downcast_ref::<RunArray<R>>() else {
        return Err(fmt::Error);
    };
    write(text, runs.values(), runs.get_physical_index(row), place)
}

fn date(text: &mut Text, days: i64) -> Written {
    let (year, month, day) = civil(days);
    shown(text, format_args!("{year:04}-{month:02}-{day:02}"))
}

/// `value` counts 10⁻ᵈⁱᵍⁱᵗˢ seconds since the epoch.
fn instant(text: &mut Text, value: i64, digits: u32) -> Written {
    let day = 86_400 * 10_i64.pow(digits);
    date(text, value.div_euclid(day))?;
    text.write_char(' ')?;
    time(text, value.rem_euclid(day), digits)
}

/// A time of day; one outside the day shows its hours as they are.
fn time(text: &mut Text, value: i64, digits: u32) -> Written {
    let second = 10_i64.pow(digits);
    let (sign, value) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    let (seconds, part) = (value / second.unsigned_abs(), value % second.unsigned_abs());
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    write!(text, "{sign}{hours:02}:{minutes:02}:{:02}", seconds % 60)?;
    if digits > 0 {
        write!(text, ".{part:0width$}", width = digits as usize)?;
    }
    Ok(CellKind::Value)
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar before its
/// introduction too.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counts from 0000-03-01, in eras of 400 years, so that a leap day comes last in its year.
    let days = days.saturating_add(719_468);
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        ArrayRef, BinaryArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array,
        Int32Array, ListArray, NullArray, RunArray, StringArray, StructArray,
        TimestampMicrosecondArray,
    };
    use arrow_schema::Field;

    use super::*;

    fn check(array: impl Array, expect: &[(CellKind, &str)]) {
        let cells: Vec<_> = (0..array.len()).map(|row| cell(&array, row)).collect();
        let cells: Vec<_> = cells.iter().map(|(kind, text)| (*kind, text.as_str())).collect();
        assert_eq!(cells, expect);
    }

    #[test]
    fn nothing_empty_and_no_number_are_told_apart() {
        use CellKind::{Empty, NotFinite, Null, Value};
        let texts = StringArray::from(vec![None, Some(""), Some("null"), Some("a\nb")]);
        check(texts, &[(Null, ""), (Empty, ""), (Value, "null"), (Value, "a␊b")]);
        check(NullArray::new(1), &[(Null, "")]);
        check(
            Float64Array::from(vec![f64::NAN, f64::NEG_INFINITY, 0.1, 1e300, -0.0, 1e-9]),
            &[
                (NotFinite, "NaN"),
                (NotFinite, "-inf"),
                (Value, "0.1"),
                (Value, "1e300"),
                (Value, "-0"),
                (Value, "1e-9"),
            ],
        );
        check(BinaryArray::from(vec![&b""[..], &[0, 255]]), &[(Empty, ""), (Value, "00ff")]);
    }

    #[test]
    fn days_and_instants() {
        let value = |text| (CellKind::Value, text);
        let days = Date32Array::from(vec![0, -1, 11_016, i32::MAX, i32::MIN]);
        check(
            days,
            &["1970-01-01", "1969-12-31", "2000-02-29", "5881580-07-11", "-5877641-06-23"]
                .map(value),
        );
        let instants = TimestampMicrosecondArray::from(vec![-1, 1_700_000_000_000_000]);
        check(
            instants.clone(),
            &["1969-12-31 23:59:59.999999", "2023-11-14 22:13:20.000000"].map(value),
        );
        check(
            instants.with_timezone("Europe/Prague"),
            &["1969-12-31 23:59:59.999999Z", "2023-11-14 22:13:20.000000Z"].map(value),
        );
        let extremes = TimestampMicrosecondArray::from(vec![i64::MIN, i64::MAX]);
        check(
            extremes,
            &["-290308-12-21 19:59:05.224192", "294247-01-10 04:00:54.775807"].map(value),
        );
    }

    #[test]
    fn nested_values_read_as_one_line() {
        let value = |text| (CellKind::Value, text);
        let names = Arc::new(StringArray::from(vec![Some("a, \"b\""), None])) as ArrayRef;
        let numbers = Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef;
        let pairs = StructArray::from(vec![
            (Arc::new(Field::new("name", DataType::Utf8, true)), names),
            (Arc::new(Field::new("n", DataType::Int32, false)), numbers),
        ]);
        check(pairs, &["{name: \"a, \\\"b\\\"\", n: 1}", "{name: null, n: 2}"].map(value));
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            Some(vec![]),
            None,
        ]);
        check(lists, &[value("[1, null]"), value("[]"), (CellKind::Null, "")]);
        let words: DictionaryArray<Int8Type> = [Some("x"), None, Some("")].into_iter().collect();
        check(words, &[value("x"), (CellKind::Null, ""), (CellKind::Empty, "")]);
        let runs = RunArray::<Int32Type>::try_new(
            &Int32Array::from(vec![2, 3]),
            &StringArray::from(vec![Some("r"), None]),
        );
        check(runs.unwrap(), &[value("r"), value("r"), (CellKind::Null, "")]);
        let money = Decimal128Array::from(vec![-12_345]).with_precision_and_scale(10, 2).unwrap();
        check(money, &[value("-123.45")]);
    }

    #[test]
    fn long_values_are_cut() {
        let (kind, text) = cell(&StringArray::from(vec!["é".repeat(1000)]), 0);
        assert_eq!((kind, text.chars().count()), (CellKind::Value, MAX_CELL + 1));
        assert!(text.ends_with('…'));
    }
}
