use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use volley_core::{
    inspect::{ColumnInspection, Inspection, inspect},
    layout::Options,
};

use super::{
    args::Format,
    output::{BAD, BOLD, DIM, GOOD, line},
};
use crate::{
    exit::ExitStatus,
    human::{Bytes, Count},
};

/// Look into Arrow IPC payloads without decoding them
///
/// Shows what each file holds and what its columns cost, and says which byte is wrong in a damaged
/// one. Takes stream and file framing, whoever wrote them. Exit code 1 if any of them is damaged.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Files to look into; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    /// How to print what was found; JSON is one object a line
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
}

#[derive(Serialize)]
struct FileInspection<'a> {
    file: &'a str,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<ExitStatus> {
    let mut out = anstream::stdout().lock();
    let mut status = ExitStatus::Success;
    for (i, path) in args.files.iter().enumerate() {
        let payload = read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let inspection = inspect(&payload, &Options::default());
        if inspection.diagnostics.iter().any(|diagnostic| diagnostic.severity == "error") {
            status = ExitStatus::Negative;
        }
        let file = path.to_string_lossy();
        match args.format {
            Format::Json => {
                let object = FileInspection { file: &file, inspection: &inspection };
                writeln!(out, "{}", serde_json::to_string(&object)?)?;
            }
            Format::Text => {
                if i > 0 {
                    writeln!(out)?;
                }
                print(&mut out, &file, &inspection)?;
            }
        }
    }
    out.flush()?;
    Ok(status)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut payload = Vec::new();
        io::stdin().lock().read_to_end(&mut payload)?;
        return Ok(payload);
    }
    fs::read(path)
}

fn print(out: &mut dyn io::Write, file: &str, inspection: &Inspection) -> io::Result<()> {
    let Inspection { rows, bytes, metadata_bytes, record_batches, .. } = *inspection;
    writeln!(out, "{BOLD}{file}{BOLD:#}")?;
    let batches = if record_batches == 1 { "batch" } else { "batches" };
    let held = format!(
        "{} in {} record {batches}, {} framing, {}",
        Count(rows),
        Count(record_batches as u64),
        inspection.framing,
        inspection.codec
    );
    line(out, "rows", held)?;
    let total = bytes.max(1) as f64;
    let raw: u64 = inspection.columns.iter().map(|column| column.raw).sum();
    let size = format!(
        "{}, {:.1} B/row; raw {} ({:.1}×), metadata {:.1} %",
        Bytes(bytes as u64),
        bytes as f64 / rows.max(1) as f64,
        Bytes(raw),
        raw as f64 / total,
        metadata_bytes as f64 / total * 100.0
    );
    line(out, "size", size)?;
    print_columns(out, &inspection.columns, total)?;
    for diagnostic in &inspection.diagnostics {
        let style = if diagnostic.severity == "error" { BAD } else { BOLD };
        let message = printable(&diagnostic.message, 400);
        writeln!(out, "{style}{}:{style:#} {message}", diagnostic.severity)?;
    }
    if inspection.diagnostics.is_empty() {
        writeln!(out, "{GOOD}✓ sound{GOOD:#}")?;
    }
    Ok(())
}

fn print_columns(
    out: &mut dyn io::Write,
    columns: &[ColumnInspection],
    total: f64,
) -> io::Result<()> {
    let rows: Vec<[String; 7]> = columns.iter().map(|column| cells(column, total)).collect();
    let titles = ["column", "type", "nulls", "stored", "raw", "ratio", "share"].map(str::to_owned);
    let mut widths = [0; 7];
    for row in rows.iter().chain([&titles]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for (row, style) in [(&titles, DIM)].into_iter().chain(rows.iter().map(|row| (row, PLAIN))) {
        // Names to the left, numbers to the right.
        let padded = row.iter().zip(widths).enumerate().map(|(i, (cell, width))| match i {
            0 | 1 => format!("{cell:width$}"),
            _ => format!("{cell:>width$}"),
        });
        writeln!(out, "{style}{}{style:#}", padded.collect::<Vec<_>>().join("  "))?;
    }
    Ok(())
}

const PLAIN: anstyle::Style = anstyle::Style::new();

fn cells(column: &ColumnInspection, total: f64) -> [String; 7] {
    let ratio = if column.stored == 0 {
        "–".to_owned()
    } else {
        format!("{:.1}×", column.raw as f64 / column.stored as f64)
    };
    [
        printable(&column.path, 60),
        printable(&column.type_name, 40),
        Count(column.nulls).to_string(),
        Bytes(column.stored).to_string(),
        Bytes(column.raw).to_string(),
        ratio,
        format!("{:.1} %", column.stored as f64 / total * 100.0),
    ]
}

/// Text of a payload for a terminal: no control characters, and no more than so many others.
fn printable(text: &str, max_chars: usize) -> String {
    let mut shown: String = text.chars().take(max_chars).flat_map(escaped).collect();
    if text.chars().nth(max_chars).is_some() {
        shown.push('…');
    }
    shown
}

fn escaped(character: char) -> impl Iterator<Item = char> {
    let is_control = character.is_control() || ('\u{202a}'..='\u{202e}').contains(&character);
    let escape = is_control.then(|| character.escape_unicode());
    let plain = (!is_control).then_some(character);
    escape.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n", 99), "a\\u{1b}[31mb\\u{a}");
        assert_eq!(printable(&"é".repeat(300), 200).chars().count(), 201);
    }
}
