use std::io;

use arrow::{array::RecordBatch, datatypes::Field};
use unicode_width::UnicodeWidthStr as _;
use volley_core::{decode::DecodeError, fingerprint::type_name, head::Head};

use super::{
    cells::{MAX_CELL, cells},
    table::{Align, PLAIN, Table, printable},
};
use crate::{
    cli::output::{BOLD, DIM},
    human::{Causes, Count},
};

/// Rows that are aligned with each other.
const PAGE: usize = 1000;

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray};

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
}
