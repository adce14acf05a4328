use std::{io, path::Path};

use volley_core::{
    codec::Framing,
    tune::{Interval, Objective},
};

use super::chart;
use crate::{
    cli::{
        inspect::{
            stdout_width,
            table::{Align, PLAIN, Table, printable},
        },
        output::{BOLD, GOOD, line},
    },
    human::{Bytes, Count, Seconds},
    tune::{PointReport, TuneReport},
};

/// Points shown beside the front: the cheapest.
const SHOWN: usize = 8;

/// A batch that takes longer to fill is worth a word.
const SLOW_MS: f64 = 1000.0;

/// Columns of a label.
const LABEL: usize = 12;

/// Fewer samples have no interval worth showing.
const MIN_SAMPLES: usize = 5;

/// Findings shown.
const FINDINGS: usize = 8;

/// The report for people, as wide as the terminal.
pub(super) fn print(
    out: &mut dyn io::Write,
    report: &TuneReport,
    written: Option<&Path>,
) -> io::Result<()> {
    let width = stdout_width().max(40);
    let sample = &report.sample;
    let inputs = printable(&sample.inputs.join(", "), 200);
    let rows = format!(
        "{} of {inputs}, {} columns, {:.1} B/row in memory",
        Count(sample.rows as u64),
        sample.columns,
        sample.raw_bytes_per_row
    );
    labelled(out, "rows", &rows, width)?;
    let mut goal = report.objective.to_string();
    if let Some(limit) = report.max_latency_ms {
        goal.push_str(&format!(", rows wait {limit} ms at most"));
    }
    goal.push_str(&format!(", payloads to {}", Bytes(report.payload_limit as u64)));
    if let Some(rate) = report.rate {
        let told = if report.is_rate_from_rows { " by their time column" } else { "" };
        goal.push_str(&format!(", {} rows/s{told}", short(rate)));
    }
    labelled(out, "objective", &goal, width)?;
    let took = Seconds(std::time::Duration::from_millis(report.elapsed_ms));
    let (n_points, candidates) = (report.points.len(), report.candidates);
    line(
        out,
        "measured",
        format!("{n_points} of {candidates} points in {took}; --format json has all"),
    )?;
    writeln!(out)?;

    let wide = table(report, true);
    if wide.width() <= width { wide } else { table(report, false) }.print(out)?;
    writeln!(out, "=> recommended   F on the Pareto front of bytes and work")?;
    writeln!(out)?;
    chart::print(out, report, width)?;
    if !report.findings.is_empty() {
        writeln!(out, "\n{BOLD}findings{BOLD:#}")?;
        for advice in report.findings.iter().take(FINDINGS) {
            let message = match &advice.column {
                Some(column) => format!("{}: {}", printable(column, 60), advice.message),
                None => advice.message.clone(),
            };
            paragraph(out, "- ", &message, width)?;
        }
        if report.findings.len() > FINDINGS {
            writeln!(out, "- and {} more, see --format json", report.findings.len() - FINDINGS)?;
        }
    }
    if !report.notes.is_empty() {
        writeln!(out, "\n{BOLD}notes{BOLD:#}")?;
        for note in &report.notes {
            paragraph(out, "- ", &printable(note, 1000), width)?;
        }
    }
    writeln!(out)?;
    match &report.recommendation {
        None => {
            let why = if report.points.is_empty() {
                "nothing was measured: --budget is too short for these rows"
            } else {
                "no point meets the limits: allow more latency or larger messages, or more budget"
            };
            paragraph(out, "", why, width)
        }
        Some(found) => {
            writeln!(out, "{BOLD}recommended{BOLD:#} {}", found.point)?;
            paragraph(out, "  ", &format!("because it has {}", found.reason), width)?;
            if found.point.dictionary {
                let text =
                    "dictionaries are for your own writer: volley produce writes text as it is";
                paragraph(out, "  ", text, width)?;
            }
            let point = &report.points[found.index];
            if let (Some(rate), None) = (report.rate, report.max_latency_ms)
                && point.latency_ms >= SLOW_MS
            {
                let fill = Seconds(std::time::Duration::from_millis(point.latency_ms as u64));
                let text = format!(
                    "at {} rows/s such a batch takes {fill} to fill; --max-latency bounds that",
                    short(rate)
                );
                paragraph(out, "  ", &text, width)?;
            }
            writeln!(out, "  {GOOD}{}{GOOD:#}", found.command)?;
            if let Some(path) = written {
                let path = printable(&path.to_string_lossy(), 1000);
                writeln!(out, "  written to {path}; volley produce --config {path}")?;
            }
            Ok(())
        }
    }
}

/// The front and the cheapest points, by their bytes; what one can do without only `with_details`.
fn table(report: &TuneReport, with_details: bool) -> Table {
    let chosen = report.recommendation.as_ref().map(|found| found.index);
    let mut cheapest: Vec<usize> = (0..report.points.len()).collect();
    let points = &report.points;
    let key = |i: usize| {
        let cost = points[i].cost;
        (points[i].objection.is_some() || cost.is_none(), cost.unwrap_or_default())
    };
    cheapest.sort_by(|&a, &b| {
        let (a, b) = (key(a), key(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let is_best = |i: &usize| cheapest.iter().take(SHOWN).any(|best| best == i);
    let mut shown: Vec<usize> = (0..points.len())
        .filter(|i| points[*i].is_front || is_best(i) || chosen == Some(*i))
        .collect();
    shown.sort_by(|&a, &b| points[b].bytes_per_row.total_cmp(&points[a].bytes_per_row));

    let has = |part: fn(&PointReport) -> bool| points.iter().any(part);
    let (has_file, has_dictionary) =
        (has(|p| p.point.framing == Framing::File), has(|p| p.point.dictionary));
    let (has_insert, has_delivery) =
        (has(|p| p.insert_ns.is_some()), has(|p| p.delivery_ns.is_some()));
    let has_rate = report.rate.is_some() && with_details;
    let mut titles = vec![("", Align::Left), ("rows", Align::Right), ("codec", Align::Left)];
    let optional = [
        (has_file, ("framing", Align::Left)),
        (has_dictionary, ("dict", Align::Left)),
        (true, ("B/row", Align::Right)),
        (with_details, ("largest", Align::Right)),
        (true, ("encode ns", Align::Right)),
        (true, ("decode ns", Align::Right)),
        (has_insert, ("insert ns", Align::Right)),
        (has_delivery, ("delivery ns", Align::Right)),
        (has_rate, ("readable in", Align::Right)),
        (true, ("cost", Align::Right)),
    ];
    titles.extend(optional.into_iter().filter(|(is_shown, _)| *is_shown).map(|(_, title)| title));
    let mut table = Table::new(titles.into_iter().map(|(title, align)| (title.to_owned(), align)));
    for &i in &shown {
        let point = &points[i];
        let mark = match (chosen == Some(i), point.is_front) {
            (true, _) => "=>",
            (false, true) => "F",
            (false, false) => "",
        };
        let dictionary = if point.point.dictionary { "yes" } else { "" };
        let latency = std::time::Duration::try_from_secs_f64(point.latency_ms / 1e3);
        let cells = [
            (true, mark.to_owned()),
            (true, Count(point.point.rows as u64).to_string()),
            (true, point.point.codec.to_string()),
            (has_file, point.point.framing.to_string()),
            (has_dictionary, dictionary.to_owned()),
            (true, format!("{:.2}", point.bytes_per_row)),
            (with_details, Bytes(point.largest_payload as u64).to_string()),
            (true, with_interval(point.encode_ns)),
            (true, with_interval(point.decode_ns)),
            (has_insert, with_interval(point.insert_ns)),
            (has_delivery, with_interval(point.delivery_ns)),
            (has_rate, Seconds(latency.unwrap_or_default()).to_string()),
            (true, cost(report, point)),
        ];
        let cells = cells.into_iter().filter(|(is_shown, _)| *is_shown).map(|(_, cell)| cell);
        table.push(if chosen == Some(i) { BOLD } else { PLAIN }, cells.collect());
    }
    table
}

fn cost(report: &TuneReport, point: &PointReport) -> String {
    if point.objection.is_some() {
        return "over limit".to_owned();
    }
    match (report.objective, point.cost) {
        (_, None) => String::new(),
        (Objective::Latency, Some(cost)) => format!("{} ms", short(cost / 1e6)),
        (_, Some(cost)) => short(cost),
    }
}

/// The median, and how far its interval reaches.
fn with_interval(interval: Option<Interval>) -> String {
    let Some(interval) = interval else { return String::new() };
    let median = short(interval.median);
    if interval.n < MIN_SAMPLES {
        return median;
    }
    format!("{median} ±{:.0}%", interval.spread() * 100.0)
}

/// Three digits.
fn short(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => Count(v.round() as u64).to_string(),
    }
}

/// A label, and text beside it in as many lines as it takes.
fn labelled(out: &mut dyn io::Write, label: &str, text: &str, width: usize) -> io::Result<()> {
    let mut lines = Vec::new();
    paragraph(&mut lines, "", text, width.saturating_sub(LABEL).max(20))?;
    for (i, facts) in String::from_utf8_lossy(&lines).lines().enumerate() {
        line(out, if i == 0 { label } else { "" }, facts)?;
    }
    Ok(())
}

/// Words in lines of at most `width` columns, the first after `lead`, the others below it.
fn paragraph(out: &mut dyn io::Write, lead: &str, text: &str, width: usize) -> io::Result<()> {
    let indent = " ".repeat(lead.len());
    let mut at = lead.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && at.chars().count() + 1 + word.chars().count() > width {
            writeln!(out, "{at}")?;
            at = indent.clone();
            is_empty = true;
        }
        if !is_empty {
            at.push(' ');
        }
        at.push_str(word);
        is_empty = false;
    }
    writeln!(out, "{at}")
}
