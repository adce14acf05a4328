use std::io::{self, IsTerminal as _};

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use volley_core::inspect::{
    Checksum, ColumnInspection, HeaderInspection, HeaderStatus, Inspection, Text,
};

use super::{
    diagnostics, map,
    report::{MessageReport, Report},
    rows,
    table::{Align, PLAIN, Table, printable},
};
use crate::{
    cli::output::{BAD, BOLD, DIM, GOOD, line},
    human::{Bytes, Count},
};

/// Where nobody says how wide the terminal is.
const DEFAULT_WIDTH: usize = 100;

/// Longest path, where there is room for it.
const MAX_PATH: usize = 48;

/// Longest type, where there is room for it.
const MAX_TYPE: usize = 40;

/// As much of a type as is worth more than a bar.
const GOOD_TYPE: usize = 24;

/// Least that paths and types have together, in however narrow a terminal.
const MIN_ROOM: usize = 24;

/// Characters of the longest bar.
const BAR: usize = 10;

/// Longest header, key or file name.
const MAX_VALUE: usize = 200;

const BARS: Style = AnsiColor::Cyan.on_default();

/// How reports are printed for people.
pub(super) struct View {
    width: usize,
    /// The limit that was asked for, for errors that name it.
    max_batch_bytes: u64,
}

impl View {
    /// As wide as the terminal that is standard output.
    pub(super) fn of_stdout(max_batch_bytes: u64) -> Self {
        Self { width: stdout_width(), max_batch_bytes }
    }

    pub(super) fn print(&self, out: &mut dyn io::Write, report: &Report) -> io::Result<()> {
        let inspection = &report.inspection;
        writeln!(out, "{BOLD}{}{BOLD:#}", printable(&report.file, 4096))?;
        if let Some(message) = &report.message {
            print_message(out, message)?;
        }
        print_strip(out, inspection)?;
        if !inspection.columns.is_empty() {
            writeln!(out)?;
            self.print_columns(out, inspection)?;
        }
        if let Some(head) = &report.head {
            writeln!(out)?;
            rows::print(out, head, self.width)?;
        }
        if let Some(map) = &report.map {
            writeln!(out)?;
            map::print(out, map)?;
        }
        writeln!(out)?;
        diagnostics::print(out, &inspection.diagnostics, self.max_batch_bytes)?;
        print_verdict(out, report)
    }

    fn print_columns(&self, out: &mut dyn io::Write, inspection: &Inspection) -> io::Result<()> {
        let columns = &inspection.columns;
        let longest = |text: fn(&ColumnInspection) -> &str, max: usize| {
            columns.iter().map(|column| text(column).chars().count().min(max)).max().unwrap_or(0)
        };
        let path = longest(|column| &column.path, MAX_PATH).max("(metadata)".len());
        let type_name = longest(|column| &column.type_name, MAX_TYPE).max("type".len());
        // Numbers are never cut, and bars come before long types but after short ones.
        let numbers_width = |bar: usize| column_table(inspection, 0, 0, bar).width();
        let has_room = path + type_name.min(GOOD_TYPE) + numbers_width(BAR) <= self.width;
        let bar = if has_room { BAR } else { 0 };
        let room = self.width.saturating_sub(numbers_width(bar)).max(MIN_ROOM);
        let path = path.min((room * 3 / 5).max(room.saturating_sub(type_name)));
        column_table(inspection, path, type_name.min(room - path), bar).print(out)
    }
}

/// Characters in a line of the terminal that is standard output.
pub(in crate::cli) fn stdout_width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || {
        let stdout = io::stdout();
        let size = stdout.is_terminal().then(|| terminal_size::terminal_size_of(stdout));
        size.flatten().map(|(width, _)| usize::from(width.0))
    };
    said.or_else(asked).filter(|&width| width > 0).unwrap_or(DEFAULT_WIDTH)
}

/// Columns, then what the rest of the payload costs, so that shares add up. With `path`,
/// `type_name` and `bar` characters, at most; 0 leaves them empty.
fn column_table(inspection: &Inspection, path: usize, type_name: usize, bar: usize) -> Table {
    let numbers = ["nulls", "stored", "raw", "ratio", "share"];
    let titles = [("column", Align::Left), ("type", Align::Left)]
        .into_iter()
        .chain(numbers.map(|title| (title, Align::Right)))
        .chain((bar > 0).then_some(("", Align::Left)))
        .map(|(title, align)| {
            let fits = !matches!((title, path), ("column" | "type", 0));
            (if fits { title } else { "" }.to_owned(), align)
        });
    let mut table = Table::new(titles);
    if bar > 0 {
        table.style_last(BARS);
    }
    let columns = &inspection.columns;
    let largest = columns.iter().map(|column| column.stored).max().unwrap_or_default();
    for column in columns {
        table.push(
            PLAIN,
            vec![
                cut(&column.path, path),
                cut(&column.type_name, type_name),
                Count(column.nulls).to_string(),
                Bytes(column.stored).to_string(),
                Bytes(column.raw).to_string(),
                column.ratio.map_or("–".to_owned(), times),
                percent(column.share),
                bar_of(column.stored, largest, bar),
            ],
        );
    }
    let stored: u64 = columns.iter().map(|column| column.stored).sum();
    let Inspection { bytes, metadata_bytes, padding_bytes, .. } = *inspection;
    let [metadata, padding] = [metadata_bytes as u64, padding_bytes as u64];
    let known = [metadata, padding, stored];
    let unknown = known.iter().fold(bytes as u64, |rest, part| rest.saturating_sub(*part));
    for (name, bytes) in [("(metadata)", metadata), ("(padding)", padding), ("(unknown)", unknown)]
    {
        let name = if path > 0 { name } else { "" };
        let share = (inspection.bytes > 0).then(|| bytes as f64 / inspection.bytes as f64);
        let [empty, none] = [String::new(), String::new()];
        let cells = vec![name.to_owned(), empty, none, Bytes(bytes).to_string()];
        let cells = cells.into_iter().chain([String::new(), String::new(), percent(share)]);
        if bytes > 0 {
            table.push(DIM, cells.collect());
        }
    }
    table
}

/// No more characters than so many, with the mark of what is cut.
fn cut(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return printable(text, max_chars);
    }
    match max_chars {
        0 => String::new(),
        max => printable(text, max - 1),
    }
}

pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn times(ratio: f64) -> String {
    if ratio < 0.095 { format!("{ratio:.2}×") } else { format!("{ratio:.1}×") }
}

/// A bar in eighths of a character; something for everything that is not nothing.
fn bar_of(part: u64, largest: u64, max_chars: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if part == 0 || largest == 0 || max_chars == 0 {
        return String::new();
    }
    let eighths = (part as f64 / largest as f64 * (max_chars * 8) as f64).round() as usize;
    let eighths = eighths.clamp(1, max_chars * 8);
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

fn print_strip(out: &mut dyn io::Write, inspection: &Inspection) -> io::Result<()> {
    let plural = |count: usize, one: &str, many: &str| {
        format!("{} {}", Count(count as u64), if count == 1 { one } else { many })
    };
    let rows = format!(
        "{} in {}, {}, {}",
        Count(inspection.rows),
        plural(inspection.record_batches, "record batch", "record batches"),
        plural(inspection.columns.len(), "column", "columns"),
        plural(inspection.dictionaries, "dictionary", "dictionaries"),
    );
    line(out, "rows", rows)?;
    let mut size = Bytes(inspection.bytes as u64).to_string();
    if let Some(bytes) = inspection.bytes_per_row {
        size.push_str(&format!(", {bytes:.1} B/row"));
    }
    size.push_str(&format!("; raw {}", Bytes(inspection.raw_bytes)));
    if let Some(ratio) = inspection.ratio {
        size.push_str(&format!(", ratio {}", times(ratio)));
    }
    line(out, "size", size)?;
    let Inspection { framing, codec, .. } = inspection;
    let metadata = percent(inspection.metadata_share);
    line(out, "format", format!("{framing} framing, codec {codec}, metadata {metadata}"))
}

fn print_message(out: &mut dyn io::Write, message: &MessageReport) -> io::Result<()> {
    let mut facts = format!("partition {}, offset {}", message.partition, message.offset);
    if let (Some(kind), Some(timestamp)) = (message.timestamp_type, &message.timestamp) {
        let verb = if kind == "create" { "created" } else { "appended" };
        facts.push_str(&format!(", {verb} {timestamp}"));
    }
    facts.push_str(&match &message.key {
        Some(key) => format!(", key {}", text(key)),
        None => ", no key".to_owned(),
    });
    if message.value_bytes.is_none() {
        facts.push_str(", no value (a tombstone)");
    }
    line(out, "message", facts)?;
    let headers = &message.headers.headers;
    let width = headers.iter().map(|header| header.name.chars().count()).max();
    let width = width.unwrap_or_default().min(24);
    for (i, header) in headers.iter().enumerate() {
        print_header(out, if i == 0 { "headers" } else { "" }, header, width)?;
    }
    let checksum = match message.headers.checksum {
        Checksum::Ok => format!("{GOOD}✓{GOOD:#} the value is the one that was written"),
        Checksum::Mismatch => {
            format!("{BAD}✗ the value is not the one that was written{BAD:#}")
        }
        Checksum::Absent => "no volley-crc32c header to hold the value against".to_owned(),
    };
    line(out, "checksum", checksum)
}

fn print_header(
    out: &mut dyn io::Write,
    label: &str,
    header: &HeaderInspection,
    width: usize,
) -> io::Result<()> {
    let name = printable(&header.name, 60);
    let value = header.value.as_ref().map_or("(no value)".to_owned(), text);
    let (mark, note) = match header.status {
        None => (" ".to_owned(), None),
        Some(HeaderStatus::Ok) => (format!("{GOOD}✓{GOOD:#}"), None),
        Some(HeaderStatus::Unreadable) => (format!("{BAD}✗{BAD:#}"), Some("unreadable".to_owned())),
        Some(HeaderStatus::Mismatch) => {
            let expected = header.expected.as_deref().unwrap_or("something else");
            (format!("{BAD}✗{BAD:#}"), Some(format!("the value has {expected}")))
        }
    };
    let note = note.or_else(|| time_of(header).map(|time| time.to_string()));
    let note = note.map_or_else(String::new, |note| format!("  {DIM}{note}{DIM:#}"));
    line(out, label, format!("{name:<width$}  {mark} {value}{note}"))
}

/// What a header with microseconds since the epoch means.
fn time_of(header: &HeaderInspection) -> Option<Timestamp> {
    let (Some(Text::Utf8(value)), "volley-min-ts" | "volley-max-ts") =
        (&header.value, &*header.name)
    else {
        return None;
    };
    Timestamp::from_microsecond(value.parse().ok()?).ok()
}

fn text(text: &Text) -> String {
    match text {
        Text::Utf8(text) => printable(text, MAX_VALUE),
        Text::Bytes(bytes) => {
            let shown = bytes.iter().take(MAX_VALUE / 2);
            let hex: String = shown.map(|byte| format!("{byte:02x}")).collect();
            let more = if bytes.len() > MAX_VALUE / 2 { "…" } else { "" };
            format!("0x{hex}{more}")
        }
    }
}

fn print_verdict(out: &mut dyn io::Write, report: &Report) -> io::Result<()> {
    let diagnostics = &report.inspection.diagnostics;
    let n_errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let n_warnings = diagnostics.len() - n_errors;
    let count = |count: usize, what: &str| {
        let plural = if count == 1 { "" } else { "s" };
        (count > 0).then(|| format!("{count} {what}{plural}"))
    };
    let is_changed =
        report.message.as_ref().map(|message| message.headers.checksum) == Some(Checksum::Mismatch);
    let changed = is_changed.then(|| "not the checksum it was written with".to_owned());
    let facts = [count(n_errors, "error"), count(n_warnings, "warning"), changed];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let (style, verdict) = match (report.is_sound(), n_errors) {
        (true, _) => (GOOD, "✓ sound"),
        (false, 0) => (BAD, "✗ changed"),
        (false, _) => (BAD, "✗ damaged"),
    };
    let colon = if facts.is_empty() { "" } else { ": " };
    writeln!(out, "{style}{verdict}{style:#}{colon}{}", facts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion() {
        assert_eq!(bar_of(80, 80, 10), "█".repeat(10));
        assert_eq!(bar_of(12, 80, 10), "█▌");
        assert_eq!(bar_of(1, 1_000_000, 10), "▏");
        assert_eq!((bar_of(0, 80, 10), bar_of(0, 0, 10), bar_of(5, 5, 0)), Default::default());
    }

    #[test]
    fn texts_are_cut_to_what_fits() {
        assert_eq!((cut("abcdef", 6), cut("abcdef", 4)), ("abcdef".to_owned(), "abc…".to_owned()));
        assert_eq!((cut("abc", 1), cut("abc", 0)), ("…".to_owned(), String::new()));
    }
}
