//! `volley diff`: whether two payloads hold the same rows, and what differs.

use std::{
    io::{self, BufWriter, Write},
    time::Duration,
};

use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser as _},
};
use serde::Serialize;
use volley_core::{
    inspect::Inspection,
    view::{CellDifference, Comparison, Outcome, SchemaChange, SideFault, View},
};

use super::{
    Brokers, percent,
    source::{Payload, Source},
    table::{Align, PLAIN, Table, printable},
};
use crate::{
    cli::{
        args::Format,
        kafka_properties::PropertyArgs,
        output::{BAD, BOLD, DIM, GOOD, line},
    },
    exit::ExitStatus,
    human::{Bytes, Count, parse_duration},
};

/// Longest name of a file, column, type or value.
const MAX_CHARS: usize = 40;

const EXAMPLES: &str = "\
Examples:
  volley diff lz4.arrows zstd.arrows             the same rows? and which column is smaller
  volley diff kafka://localhost:9092/metrics/0/17 kafka://localhost:9092/metrics/0/18
  producer | volley diff expected.arrow -        one of the two from a pipe
  volley diff --format json a.arrows b.arrows | jq .verdict

Exit codes: 0 the same rows of the same columns, 1 they differ, 2 it cannot be told, because one could \
not be read or is damaged.";

/// Compare two Arrow IPC payloads: their schemas, their sizes, their rows
///
/// Rows are compared by their place, counted from 0, however they are cut into batches, and columns
/// by their name. Cells are compared by value, however it is encoded: plain, out of a dictionary, in
/// wider or narrower integers. Every NaN is the same, 0 and -0 are not, nor are a null and an empty
/// text.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DiffArgs {
    /// The first: a file, - for standard input, or a Kafka message, as
    /// kafka://HOST:PORT/TOPIC/PARTITION/OFFSET
    #[arg(
        value_name = "A",
        value_parser = OsStringValueParser::new().try_map(Source::parse),
    )]
    one: Source,

    /// The second, which is held against the first
    #[arg(
        value_name = "B",
        value_parser = OsStringValueParser::new().try_map(Source::parse),
    )]
    other: Source,

    /// Longest wait for each answer of a broker
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = parse_duration,
        help_heading = "Limits"
    )]
    timeout: Duration,

    #[command(flatten)]
    kafka: PropertyArgs,

    /// How to print what was found
    ///
    /// JSON is one object with: files, outcome (same, different or unknown), verdict, schema, columns
    /// with the bytes that each payload stores, rows, compared, different, the first differences, and
    /// faults: what cannot be read.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
}

pub(crate) fn run(args: &DiffArgs) -> anyhow::Result<ExitStatus> {
    let mut brokers = Brokers::new(&args.kafka, args.timeout);
    let mut read = |source| -> anyhow::Result<Payload> {
        brokers.read(source).map_err(|error| error.context(format!("cannot read {source}")))
    };
    let payloads = [read(&args.one)?, read(&args.other)?];
    let files = [payloads[0].name.clone(), payloads[1].name.clone()];
    let [one, other] = payloads.map(|payload| View::open(payload.bytes, None));
    let (mut one, mut other) = (one?, other?);
    let comparison = loop {
        let found = one.compare(&mut other);
        if found.done == found.of {
            break found.clone();
        }
    };
    let difference = Difference {
        files: &files,
        inspections: [&one, &other].map(|view| view.summary().inspection),
        comparison: &comparison,
    };
    let mut out = BufWriter::new(anstream::stdout().lock());
    match args.format {
        Format::Json => difference.write_json(&mut out)?,
        Format::Text => difference.print(&mut out)?,
    }
    out.flush()?;
    Ok(match comparison.outcome {
        Outcome::Same => ExitStatus::Success,
        Outcome::Different => ExitStatus::Negative,
        Outcome::Unknown => ExitStatus::Error,
    })
}

struct Difference<'a> {
    files: &'a [String; 2],
    inspections: [Inspection; 2],
    comparison: &'a Comparison,
}

#[derive(Serialize)]
struct Json<'a> {
    files: &'a [String; 2],
    outcome: Outcome,
    verdict: &'a str,
    schema: &'a [SchemaChange],
    columns: Vec<Sizes<'a>>,
    bytes: [usize; 2],
    codecs: [&'a str; 2],
    rows: [u64; 2],
    /// Rows that both have.
    compared: u64,
    different: u64,
    differences: &'a [CellDifference],
    unread: u64,
    faults: &'a [SideFault],
}

/// A column of both, or of one.
#[derive(Serialize)]
struct Sizes<'a> {
    path: &'a str,
    /// Bytes in each payload; `null` where it has no such column.
    stored: [Option<u64>; 2],
    /// The same, decompressed.
    raw: [Option<u64>; 2],
    /// Rows in which it differs, of a column at the top.
    different: u64,
}

impl Difference<'_> {
    fn sizes(&self) -> Vec<Sizes<'_>> {
        let sizes = self.comparison.columns.iter().map(|pair| {
            let [one, other] = &self.inspections;
            let found = [
                pair.one.and_then(|at| one.columns.get(at)),
                pair.other.and_then(|at| other.columns.get(at)),
            ];
            Sizes {
                path: found.iter().flatten().next().map_or("", |column| &column.path),
                stored: found.map(|column| Some(column?.stored)),
                raw: found.map(|column| Some(column?.raw)),
                different: pair.different,
            }
        });
        sizes.collect()
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let found = self.comparison;
        let json = Json {
            files: self.files,
            outcome: found.outcome,
            verdict: &found.verdict,
            schema: &found.schema,
            columns: self.sizes(),
            bytes: self.inspections.each_ref().map(|inspection| inspection.bytes),
            codecs: self.inspections.each_ref().map(|inspection| &*inspection.codec),
            rows: self.inspections.each_ref().map(|inspection| inspection.rows),
            compared: found.done,
            different: found.different,
            differences: &found.differences,
            unread: found.unread,
            faults: &found.faults,
        };
        serde_json::to_writer(&mut *out, &json)?;
        writeln!(out)
    }

    fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        for ((letter, file), inspection) in ["A", "B"].iter().zip(self.files).zip(&self.inspections)
        {
            let Inspection { rows, bytes, codec, framing, .. } = inspection;
            writeln!(out, "{BOLD}{letter}  {}{BOLD:#}", printable(file, 4096))?;
            let (rows, bytes) = (Count(*rows), Bytes(*bytes as u64));
            line(out, "", format!("{rows} rows, {bytes}, codec {codec}, {framing} framing"))?;
        }
        writeln!(out)?;
        self.print_sizes(out)?;
        let found = self.comparison;
        if !found.schema.is_empty() {
            writeln!(out)?;
            print_changes(out, &found.schema)?;
        }
        if !found.differences.is_empty() {
            writeln!(out)?;
            print_differences(out, found)?;
        }
        writeln!(out)?;
        for SideFault { side, column, row, fault } in &found.faults {
            let (side, column) = (["A", "B"][side % 2], printable(column, MAX_CHARS));
            let why = printable(&fault.message, 300);
            writeln!(
                out,
                "{BAD}cannot be read:{BAD:#} {side}, column {column} from row {row}, byte {}: {why}",
                fault.offset
            )?;
        }
        let mut rows = format!("{} compared", Count(found.done));
        for (n, what) in [(found.different, "differ"), (found.unread, "not in every column")] {
            if n > 0 {
                rows.push_str(&format!(", {} {what}", Count(n)));
            }
        }
        line(out, "rows", rows)?;
        let (style, mark) = match found.outcome {
            Outcome::Same => (GOOD, "✓"),
            Outcome::Different => (BAD, "≠"),
            Outcome::Unknown => (BAD, "?"),
        };
        writeln!(out, "{style}{mark}{style:#} {}", printable(&found.verdict, 400))
    }

    fn print_sizes(&self, out: &mut dyn Write) -> io::Result<()> {
        let titles = [("column", Align::Left), ("A", Align::Right), ("B", Align::Right)];
        let titles = titles.into_iter().chain([("B to A", Align::Right)]);
        let mut table = Table::new(titles.map(|(title, align)| (title.to_owned(), align)));
        let mut push = |style, name: &str, stored: [Option<u64>; 2]| {
            let text =
                |bytes: Option<u64>| bytes.map_or("–".to_owned(), |b| Bytes(b).to_string());
            let change = match stored {
                [Some(one), Some(other)] if one > 0 && one != other => {
                    let change = other as f64 / one as f64 - 1.0;
                    let sign = if change > 0.0 { "+" } else { "-" };
                    format!("{sign}{}", percent(Some(change.abs())))
                }
                [Some(one), Some(other)] if one == other => "=".to_owned(),
                _ => String::new(),
            };
            let cells = vec![printable(name, MAX_CHARS), text(stored[0]), text(stored[1]), change];
            table.push(style, cells);
        };
        for sizes in self.sizes() {
            push(PLAIN, sizes.path, sizes.stored);
        }
        let both = |of: fn(&Inspection) -> usize| {
            self.inspections.each_ref().map(|inspection| Some(of(inspection) as u64))
        };
        push(DIM, "(metadata)", both(|inspection| inspection.metadata_bytes));
        push(BOLD, "payload", both(|inspection| inspection.bytes));
        table.print(out)
    }
}

fn print_changes(out: &mut dyn Write, changes: &[SchemaChange]) -> io::Result<()> {
    let titles = ["schema", "change", "A", "B"].map(|title| (title.to_owned(), Align::Left));
    let mut table = Table::new(titles);
    for SchemaChange { column, change, values: [one, other] } in changes {
        let name = if column.is_empty() { "(schema)" } else { column };
        let cells = [name, change, one, other].map(|text| printable(text, MAX_CHARS));
        table.push(PLAIN, cells.into());
    }
    table.print(out)
}

fn print_differences(out: &mut dyn Write, found: &Comparison) -> io::Result<()> {
    let left = ["column", "A", "B"].map(|title| (title.to_owned(), Align::Left));
    let mut table = Table::new([("row".to_owned(), Align::Right)].into_iter().chain(left));
    for CellDifference { row, column, kinds, texts, .. } in &found.differences {
        let mut cells = vec![row.to_string(), printable(column, MAX_CHARS)];
        cells.extend(kinds.chars().zip(texts).map(|(kind, text)| match kind {
            'n' => "null".to_owned(),
            'e' => "\"\"".to_owned(),
            _ if text == "null" => "\"null\"".to_owned(),
            _ => printable(text, MAX_CHARS),
        }));
        table.push(PLAIN, cells);
    }
    table.print(out)?;
    match found.different.saturating_sub(found.differences.len() as u64) {
        0 => Ok(()),
        _ => writeln!(out, "{DIM}the first; {} rows differ{DIM:#}", Count(found.different)),
    }
}
