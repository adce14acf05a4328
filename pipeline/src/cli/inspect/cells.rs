use std::fmt;

use arrow::{
    array::{Array, ArrayRef, make_array},
    buffer::NullBuffer,
    datatypes::{DataType, Field},
    error::ArrowError,
    util::display::{
        ArrayFormatter, ArrayFormatterFactory, DisplayIndex, FormatOptions, FormatResult,
    },
};

use super::table::printable;

/// How a null looks; text that looks the same is quoted.
const NULL: &str = "null";

/// Longest cell, title and type, in characters.
pub(super) const MAX_CELL: usize = 32;

/// The values of an array for a terminal.
pub(super) fn cells(array: &dyn Array) -> Vec<String> {
    let nulls = array.logical_nulls();
    let formatter = formatter(array);
    (0..array.len()).map(|row| cell(array, nulls.as_ref(), &formatter, row)).collect()
}

pub(super) fn formatter(array: &dyn Array) -> Result<ArrayFormatter<'_>, ArrowError> {
    const OPTIONS: FormatOptions<'static> =
        FormatOptions::new().with_null(NULL).with_formatter_factory(Some(&InUtc));
    const NESTED: FormatOptions<'static> = OPTIONS.with_quoted_strings(true);
    let options = if array.data_type().is_nested() { &NESTED } else { &OPTIONS };
    match InUtc.create_array_formatter(array, options, None)? {
        Some(formatter) => Ok(formatter),
        None => ArrayFormatter::try_new(array, options),
    }
}

/// Shows times that have a zone in UTC: whatever zones the machine knows, they are the same there.
#[derive(Debug)]
struct InUtc;

impl ArrayFormatterFactory for InUtc {
    fn create_array_formatter<'f>(
        &self,
        array: &'f dyn Array,
        _: &FormatOptions<'f>,
        _: Option<&'f Field>,
    ) -> Result<Option<ArrayFormatter<'f>>, ArrowError> {
        let DataType::Timestamp(unit, Some(_)) = array.data_type() else {
            return Ok(None);
        };
        let data = array.to_data().into_builder();
        let data = data.data_type(DataType::Timestamp(*unit, Some("+00:00".into()))).build()?;
        Ok(Some(ArrayFormatter::new(Box::new(Utc(make_array(data))), true)))
    }
}

/// Timestamps with the zone UTC.
struct Utc(ArrayRef);

impl DisplayIndex for Utc {
    fn write(&self, index: usize, out: &mut dyn fmt::Write) -> FormatResult {
        const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_null(NULL);
        Ok(ArrayFormatter::try_new(&self.0, &OPTIONS)?.value(index).write(out)?)
    }
}

fn cell(
    array: &dyn Array,
    nulls: Option<&NullBuffer>,
    formatter: &Result<ArrayFormatter<'_>, ArrowError>,
    row: usize,
) -> String {
    if nulls.is_some_and(|nulls| nulls.is_null(row)) {
        return NULL.to_owned();
    }
    let mut text = Bounded { text: String::new(), left: MAX_CELL + 1 };
    let written = match formatter {
        Ok(formatter) => formatter.value(row).write(&mut text).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match written {
        Err(error) if text.left > 0 => printable(&format!("({error})"), MAX_CELL),
        _ if is_text(array.data_type()) && looks_like_something_else(&text.text) => {
            printable(&format!("{:?}", text.text), MAX_CELL)
        }
        _ => printable(&text.text, MAX_CELL),
    }
}

pub(super) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        DataType::RunEndEncoded(_, values) => is_text(values.data_type()),
        _ => false,
    }
}

/// Like a null, like nothing, or like text in quotes.
fn looks_like_something_else(text: &str) -> bool {
    text == NULL || text.trim() != text || text.is_empty() || text.starts_with('"')
}

/// The first so many characters of what is written; an error to whoever would write more.
struct Bounded {
    text: String,
    left: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(character);
        }
        if self.left == 0 { Err(fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{
            BinaryArray, DictionaryArray, Int32Array, ListArray, StringArray, StructArray,
            TimestampSecondArray,
        },
        buffer::OffsetBuffer,
        datatypes::Int32Type,
    };

    use super::*;

    #[test]
    fn a_null_is_not_text_that_looks_like_it() {
        let text = StringArray::from(vec![None, Some("null"), Some(""), Some(" a"), Some("a")]);
        assert_eq!(cells(&text), ["null", "\"null\"", "\"\"", "\" a\"", "a"]);
        let keys = Int32Array::from(vec![Some(0), None, Some(1)]);
        let values = StringArray::from(vec![Some("null"), None]);
        let dictionary = DictionaryArray::<Int32Type>::new(keys, Arc::new(values));
        assert_eq!(cells(&dictionary), ["\"null\"", "null", "null"]);
    }

    #[test]
    fn nested_text_is_quoted() {
        let values = StringArray::from(vec![Some("a"), None, Some("")]);
        let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
        let list = ListArray::new(field, OffsetBuffer::from_lengths([3]), Arc::new(values), None);
        assert_eq!(cells(&list), ["[\"a\", null, \"\"]"]);
    }

    #[test]
    fn cells_neither_drive_the_terminal_nor_fill_it() {
        let text = StringArray::from(vec!["\u{1b}]0;x\u{7}\ny", &"é".repeat(1 << 20)]);
        let found = cells(&text);
        assert_eq!(found[0], "\\u{1b}]0;x\\u{7}\\ny");
        assert_eq!(found[1], format!("{}…", "é".repeat(MAX_CELL)));
        let bytes = BinaryArray::from(vec![&[0xab; 1000][..]]);
        assert_eq!(cells(&bytes)[0], format!("{}…", "ab".repeat(MAX_CELL / 2)));
    }

    #[test]
    fn values_out_of_range_are_said_to_be() {
        let times = TimestampSecondArray::from(vec![i64::MAX, 0]);
        let found = cells(&times);
        assert!(found[0].starts_with('('), "{found:?}");
        assert_eq!(found[1], "1970-01-01T00:00:00");
    }

    #[test]
    fn times_with_a_zone_are_in_utc() {
        let times = TimestampSecondArray::from(vec![Some(1_700_000_000), None]);
        let times = Arc::new(times.with_timezone("Europe/Berlin")) as ArrayRef;
        assert_eq!(cells(&times), ["2023-11-14T22:13:20Z", "null"]);
        let field = Arc::new(Field::new("t", times.data_type().clone(), true));
        let nested = Arc::new(StructArray::from(vec![(field, times)])) as ArrayRef;
        assert_eq!(cells(&nested), ["{t: 2023-11-14T22:13:20Z}", "{t: null}"]);
    }
}
