use std::{collections::BTreeMap, fmt::Write as _};

use volley::human::Count;
use volley_benches::{Data, case::Case, formats::Format, machine::Machine};

use crate::{
    estimates::{Estimate, Estimates},
    grid::{Grid, Point, codecs},
};

/// The page for people.
pub(crate) fn text(machine: &Machine, command: &str, estimates: &Estimates, grid: &Grid) -> String {
    let mut out = format!(
        "# Benchmarks\n\n`{command}`. {} Medians; `bench.json` has the intervals. What each case is stands \
         in [the README of the benches](../../README.md).\n",
        machine.describe()
    );
    for (data, points) in grid.sets() {
        set(&mut out, *data, points);
    }
    formats(&mut out, estimates);
    rest(&mut out, estimates);
    out
}

/// A table of codecs over rows, and its charts.
fn set(out: &mut String, data: Data, points: &[Point]) {
    let name = data.name();
    let _ = write!(
        out,
        "\n## {name}\n\nBytes a row, ns a row to encode / to decode. **Bold**: no other is both smaller and \
         quicker to encode.\n\n|"
    );
    for n_rows in Case::ROWS {
        let _ = write!(out, " | {} rows", Count(n_rows as u64));
    }
    let _ = writeln!(out, " |\n|---{}|", "|--:".repeat(Case::ROWS.len()));
    for codec in codecs(points) {
        let _ = write!(out, "| {codec}");
        for n_rows in Case::ROWS {
            let is_it =
                |point: &&Point| point.case.options.codec == codec && point.case.n_rows == n_rows;
            let cell = points.iter().find(is_it).map_or_else(|| "–".to_owned(), cell);
            let _ = write!(out, " | {cell}");
        }
        out.push_str(" |\n");
    }
    let _ = writeln!(
        out,
        "\n![{name}: bytes against time]({name}-front.svg)\n![{name}: bytes a row]({name}-bytes.svg)\n\
         ![{name}: time to encode]({name}-encode.svg)"
    );
}

fn cell(point: &Point) -> String {
    let bold = if point.is_front { "**" } else { "" };
    let ns = |ns: f64| if ns < 10.0 { format!("{ns:.1}") } else { format!("{ns:.0}") };
    let (encode, decode) = (ns(point.encode_ns), ns(point.decode_ns));
    format!("{bold}{:.1} B{bold}, {encode} / {decode}", point.bytes_per_row)
}

/// The same rows in other formats, all with `zstd:1`.
fn formats(out: &mut String, estimates: &Estimates) {
    let mut rows = String::new();
    for data in Data::ALL {
        for n_rows in [100, 1000, 10_000] {
            let group = format!("formats_{}/encode_{n_rows}", data.name());
            let found = Format::ALL.map(|format| {
                estimates.get(&format!("{group}/{}", format.name())).map(|found| (format, found))
            });
            if found.iter().all(Option::is_none) {
                continue;
            }
            let batch = data.table(n_rows);
            let _ = write!(rows, "| {}, {} rows", data.name(), Count(n_rows as u64));
            for found in found {
                let _ = match found {
                    None => write!(rows, " | –"),
                    Some((format, found)) => {
                        let bytes = format.encode(&batch).len() as f64 / n_rows as f64;
                        write!(rows, " | {bytes:.1} B, {:.0}", found.ns_per_row())
                    }
                };
            }
            rows.push_str(" |\n");
        }
    }
    if !rows.is_empty() {
        let names = Format::ALL.map(Format::name).join(" | ");
        let _ = write!(
            out,
            "\n## Other formats\n\nBytes a row and ns a row to encode, each with `zstd:1`.\n\n\
             | | {names} |\n|---|--:|--:|--:|--:|\n{rows}"
        );
    }
}

/// Everything else, a table for each subject.
fn rest(out: &mut String, estimates: &Estimates) {
    let mut subjects: BTreeMap<&str, Vec<(&str, &Estimate)>> = BTreeMap::new();
    for (id, estimate) in estimates.iter() {
        let (subject, case) = id.split_once('/').unwrap_or(("", id));
        let is_shown = subject.starts_with("formats_")
            || case.starts_with("encode_") && is_data(subject)
            || case.starts_with("decode_") && is_data(subject);
        if !is_shown {
            subjects.entry(subject).or_default().push((case, estimate));
        }
    }
    for (subject, cases) in subjects {
        let _ =
            write!(out, "\n## {subject}: the other cases\n\n| | time | rows/s |\n|---|--:|--:|\n");
        for (case, estimate) in cases {
            let rate = match estimate.n_rows {
                0 => "–".to_owned(),
                _ => format!("{:.1} M", 1e3 / estimate.ns_per_row()),
            };
            let _ = writeln!(out, "| {case} | {} | {rate} |", time(estimate.median_ns));
        }
    }
}

fn is_data(subject: &str) -> bool {
    Data::ALL.iter().any(|data| data.name() == subject)
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}
