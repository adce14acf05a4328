use std::io;

use volley_core::inspect::{ByteMap, MessageInspection, RegionInspection};

use super::table::{Align, PLAIN, Table, printable};
use crate::{
    cli::output::{BOLD, DIM},
    human::Count,
};

/// Longest path of a column.
const MAX_PATH: usize = 40;

/// Prints every region in order under its message, then the sums.
pub(super) fn print(out: &mut dyn io::Write, map: &ByteMap) -> io::Result<()> {
    writeln!(out, "{BOLD}byte map{BOLD:#}")?;
    writeln!(
        out,
        "{DIM}{:>12}  {:>11}  {:<46}  {:>11}  codec{DIM:#}",
        "offset", "bytes", "meaning", "raw"
    )?;
    let mut message = None;
    for region in &map.regions {
        if region.message != message {
            message = region.message;
            if let Some(index) = message {
                let what = map.messages.get(index).map_or_else(unread, of_message);
                writeln!(out, "{:27}{DIM}message {index}: {what}{DIM:#}", "")?;
            }
        }
        writeln!(out, "{}", line(region))?;
    }
    print_totals(out, map)
}

fn line(region: &RegionInspection) -> String {
    let RegionInspection { offset, bytes, .. } = region;
    let indent = if region.message.is_some() { "  " } else { "" };
    let meaning = match (&region.column, &region.buffer) {
        (Some(column), Some(buffer)) => format!("{} · {buffer}", printable(column, MAX_PATH)),
        (None, Some(buffer)) => buffer.clone(),
        _ => region.kind.to_owned(),
    };
    let raw = region.raw.map_or_else(String::new, |raw| raw.to_string());
    let codec = region.codec.as_deref().unwrap_or_default();
    let line = format!("{offset:>12}  {bytes:>11}  {indent}{meaning:<44}  {raw:>11}  {codec}");
    line.trim_end().to_owned()
}

fn unread() -> String {
    "could not be read".to_owned()
}

fn of_message(message: &MessageInspection) -> String {
    let MessageInspection { kind, rows, codec, bytes, .. } = message;
    let rows = Count(*rows);
    let what = match (*kind, message.dictionary) {
        ("record batch", _) => format!("record batch of {rows} rows, {codec}"),
        (kind, Some(id)) => format!("{kind} {id} of {rows} values, {codec}"),
        (kind, None) => kind.to_owned(),
    };
    format!("{what}, {} bytes", Count(*bytes as u64))
}

fn print_totals(out: &mut dyn io::Write, map: &ByteMap) -> io::Result<()> {
    let titles = [("sum of", Align::Left), ("regions", Align::Right), ("bytes", Align::Right)];
    let titles = titles.into_iter().chain([("share", Align::Right)]);
    let mut table = Table::new(titles.map(|(title, align)| (title.to_owned(), align)));
    let all: usize = map.region_totals.iter().map(|total| total.bytes).sum();
    let cells = |kind: &str, regions: usize, bytes: usize| {
        let share = bytes as f64 / all.max(1) as f64 * 100.0;
        let counts = [regions, bytes].map(|count| Count(count as u64).to_string());
        let [regions, bytes] = counts;
        vec![kind.to_owned(), regions, bytes, format!("{share:.1} %")]
    };
    for total in &map.region_totals {
        table.push(PLAIN, cells(total.kind, total.regions, total.bytes));
    }
    table.push(BOLD, cells("all", map.regions.len(), all));
    table.print(out)
}
