use std::{fmt, io, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, RecordBatch, make_array},
    buffer::NullBuffer,
    datatypes::{DataType, Field, FieldRef},
    error::ArrowError,
    json::{
        Encoder, EncoderFactory, EncoderOptions, WriterBuilder,
        writer::{LineDelimited, NullableEncoder},
    },
    util::display::{
        ArrayFormatter, ArrayFormatterFactory, DisplayIndex, FormatOptions, FormatResult,
    },
};
use serde_json::value::RawValue;
use unicode_width::UnicodeWidthStr as _;
use volley_core::{decode::DecodeError, fingerprint::type_name, head::Head};

use super::table::{Align, PLAIN, Table, printable};
use crate::{
    cli::output::{BOLD, DIM},
    human::{Causes, Count},
};

/// How a null looks; text that looks the same is quoted.
const NULL: &str = "null";

/// Longest cell, title and type, in characters.
const MAX_CELL: usize = 32;

/// Rows that are aligned with each other.
const PAGE: usize = 1000;

/// Most characters of all rows in JSON, before quotes and names: views and dictionaries let a small
/// payload repeat a long value without end.
const MAX_JSON_CHARS: usize = 1 << 26;

/// Prints rows as tables no wider than `width`, then why there are no more.
pub(super) fn print(out: &mut dyn io::Write, head: &Head, width: usize) -> io::Result<()> {
    match head.n_rows() {
        0 => writeln!(out, "{BOLD}no rows{BOLD:#}")?,
        1 => writeln!(out, "{BOLD}first row{BOLD:#}")?,
        n_rows => writeln!(out, "{BOLD}first {} rows{BOLD:#}", Count(n_rows as u64))?,
    }
    let mut first_row = 1;
    let mut batches = head.batches.iter().filter(|batch| batch.num_rows() > 0).peekable();
    while let Some(batch) = batches.next() {
        let mut page = vec![batch.clone()];
        let is_next = |next: &&RecordBatch, page: &[RecordBatch]| {
            let n_rows: usize = page.iter().map(RecordBatch::num_rows).sum();
            next.schema_ref().fields() == batch.schema_ref().fields()
                && n_rows + next.num_rows() <= PAGE
        };
        while let Some(next) = batches.next_if(|next| is_next(next, &page)) {
            page.push(next.clone());
        }
        let n_rows: usize = page.iter().map(RecordBatch::num_rows).sum();
        for start in (0..n_rows).step_by(PAGE) {
            // Only a page of one batch has more rows than fit.
            let part = |batch: &RecordBatch| {
                let len = batch.num_rows().saturating_sub(start).min(PAGE);
                batch.slice(start, len)
            };
            let part: Vec<_> =
                if n_rows > PAGE { page.iter().map(part).collect() } else { page.clone() };
            print_page(out, &part, first_row, width)?;
            first_row += part.iter().map(RecordBatch::num_rows).sum::<usize>();
        }
    }
    if let Some(error) = &head.stopped {
        let why = match error {
            // The finding itself comes below.
            DecodeError::Damaged(found) => format!("the damage at byte {} is next", found.offset),
            other => printable(&Causes(other).to_string(), 400),
        };
        writeln!(out, "{DIM}no more rows:{DIM:#} {why}")?;
    }
    Ok(())
}

/// A column of a page, as it is printed.
struct Column {
    title: String,
    type_name: String,
    align: Align,
    cells: Vec<String>,
}

impl Column {
    fn of(field: &Field, position: usize, page: &[RecordBatch]) -> Self {
        let arrays = page.iter().map(|batch| batch.column(position).as_ref());
        let align = match field.data_type().is_numeric() {
            true => Align::Right,
            false => Align::Left,
        };
        Self {
            title: printable(field.name(), MAX_CELL),
            type_name: printable(&type_name(field.data_type()), MAX_CELL),
            align,
            cells: arrays.flat_map(cells).collect(),
        }
    }

    fn width(&self) -> usize {
        let texts = self.cells.iter().chain([&self.title, &self.type_name]);
        texts.map(|text| text.width()).max().unwrap_or_default()
    }
}

/// As many tables as it takes for every column to fit.
fn print_page(
    out: &mut dyn io::Write,
    page: &[RecordBatch],
    first_row: usize,
    width: usize,
) -> io::Result<()> {
    let Some(first) = page.first() else { return Ok(()) };
    let n_rows: usize = page.iter().map(RecordBatch::num_rows).sum();
    let numbers: Vec<String> = (first_row..first_row + n_rows).map(|i| i.to_string()).collect();
    let number_width = numbers.last().map_or(0, String::len);
    let fields = first.schema_ref().fields();
    let n_columns = fields.len();
    let mut columns =
        fields.iter().enumerate().map(|(i, field)| Column::of(field, i, page)).peekable();
    let mut shown = 0;
    while columns.peek().is_some() {
        let mut part = Vec::new();
        let mut taken = number_width;
        while let Some(column) =
            columns.next_if(|column| part.is_empty() || taken + 2 + column.width() <= width)
        {
            taken += 2 + column.width();
            part.push(column);
        }
        if part.len() < n_columns {
            let last = shown + part.len();
            match shown + 1 {
                first if first == last => {
                    writeln!(out, "{DIM}column {last} of {n_columns}{DIM:#}")?;
                }
                first => writeln!(out, "{DIM}columns {first} to {last} of {n_columns}{DIM:#}")?,
            }
            shown = last;
        }
        print_part(out, &part, &numbers)?;
    }
    Ok(())
}

fn print_part(out: &mut dyn io::Write, columns: &[Column], numbers: &[String]) -> io::Result<()> {
    let titles = columns.iter().map(|column| (column.title.clone(), column.align));
    let mut table = Table::new([(String::new(), Align::Right)].into_iter().chain(titles));
    let line = |first: &str, of: &dyn Fn(&Column) -> String| {
        [first.to_owned()].into_iter().chain(columns.iter().map(of)).collect()
    };
    table.push(DIM, line("", &|column| column.type_name.clone()));
    for (i, number) in numbers.iter().enumerate() {
        table.push(PLAIN, line(number, &|column| column.cells.get(i).cloned().unwrap_or_default()));
    }
    table.print(out)
}

/// The values of an array for a terminal.
fn cells(array: &dyn Array) -> Vec<String> {
    let nulls = array.logical_nulls();
    let formatter = formatter(array);
    (0..array.len()).map(|row| cell(array, nulls.as_ref(), &formatter, row)).collect()
}

fn formatter(array: &dyn Array) -> Result<ArrayFormatter<'_>, ArrowError> {
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

fn is_text(data_type: &DataType) -> bool {
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

/// Rows as a JSON array of objects, and why some are missing.
pub(super) fn json_rows(batches: &[RecordBatch]) -> (Box<RawValue>, Option<String>) {
    let mut rows = Vec::new();
    let mut left = MAX_JSON_CHARS;
    let mut error = None;
    for batch in batches {
        let n_rows = n_rows_within(batch, &mut left);
        match json_lines(&batch.slice(0, n_rows)) {
            Ok(lines) => rows.extend(lines.lines().map(str::to_owned)),
            Err(refused) => error = Some(refused),
        }
        if n_rows < batch.num_rows() {
            error = Some(format!("more rows would be over {MAX_JSON_CHARS} characters"));
        }
        if error.is_some() {
            break;
        }
    }
    match RawValue::from_string(format!("[{}]", rows.join(","))) {
        Ok(rows) => (rows, error),
        Err(error) => (RawValue::NULL.to_owned(), Some(error.to_string())),
    }
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

/// Writes as text what JSON has no form for: unions, maps whose keys are no text, and times that
/// have a zone, in UTC.
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
            ArrayRef, BinaryArray, DictionaryArray, Int32Array, Int64Array, ListArray,
            ListViewArray, MapArray, StringArray, StructArray, TimestampSecondArray, UnionArray,
        },
        buffer::{OffsetBuffer, ScalarBuffer},
        datatypes::{Int32Type, UnionFields},
    };

    use super::*;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))
            .unwrap()
    }

    fn printed(batches: Vec<RecordBatch>, width: usize) -> String {
        let mut out = Vec::new();
        print(&mut out, &Head { batches, stopped: None }, width).unwrap();
        String::from_utf8(anstream::adapter::strip_bytes(&out).into_vec()).unwrap()
    }

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
        let (rows, _) = json_rows(&[batch(vec![("t", Arc::new(times))])]);
        assert!(rows.get().contains("1970-01-01T00:00:00"), "{rows}");
    }

    #[test]
    fn times_with_a_zone_are_in_utc() {
        let times = TimestampSecondArray::from(vec![Some(1_700_000_000), None]);
        let times = Arc::new(times.with_timezone("Europe/Berlin")) as ArrayRef;
        assert_eq!(cells(&times), ["2023-11-14T22:13:20Z", "null"]);
        let field = Arc::new(Field::new("t", times.data_type().clone(), true));
        let nested = Arc::new(StructArray::from(vec![(field, times.clone())])) as ArrayRef;
        assert_eq!(cells(&nested), ["{t: 2023-11-14T22:13:20Z}", "{t: null}"]);
        let (rows, error) = json_rows(&[batch(vec![("t", times), ("s", nested)])]);
        assert_eq!(error, None);
        let first = r#"{"t":"2023-11-14T22:13:20Z","s":{"t":"2023-11-14T22:13:20Z"}}"#;
        assert_eq!(rows.get(), format!(r#"[{first},{{"t":null,"s":{{"t":null}}}}]"#));
    }

    #[test]
    fn tables_are_as_narrow_as_asked() {
        let column = || Arc::new(Int64Array::from(vec![1_000_000_007, 2])) as ArrayRef;
        let names: Vec<String> = (0..5).map(|i| format!("column_{i}")).collect();
        let columns = names.iter().map(|name| (name.as_str(), column())).collect();
        let text = printed(vec![batch(columns)], 40);
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(text.contains("columns 1 to 3 of 5") && text.contains("columns 4 to 5 of 5"));
        assert_eq!(text.matches("1000000007").count(), 5, "{text}");
    }

    #[test]
    fn batches_of_one_schema_are_one_table() {
        let numbers = |values: Vec<i32>| batch(vec![("n", Arc::new(Int32Array::from(values)))]);
        let other = batch(vec![("text", Arc::new(StringArray::from(vec!["x"])))]);
        let text = printed(vec![numbers(vec![1]), numbers(vec![20]), other], 80);
        assert_eq!(
            text,
            "first 3 rows\n       n\n   int32\n1      1\n2     20\n   text\n   utf8\n3  x\n"
        );
        let text = printed(vec![numbers((0..2500).collect())], 80);
        assert_eq!(text.lines().count(), 1 + 2500 + 3 * 2);
        assert!(text.ends_with("\n2500   2499\n"), "{text}");
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
        assert_eq!(rows.get(), r#"[{"union":"{n=7}","map":"{7: 7}","none":null}]"#);
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
        assert_eq!(rows.get(), "[]");
        assert!(error.unwrap().contains("characters"));
        assert!(printed(vec![batch], 80).len() < 2000);
    }

    #[test]
    fn nested_text_is_quoted() {
        let values = StringArray::from(vec![Some("a"), None, Some("")]);
        let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
        let list = ListArray::new(field, OffsetBuffer::from_lengths([3]), Arc::new(values), None);
        assert_eq!(cells(&list), ["[\"a\", null, \"\"]"]);
    }
}
