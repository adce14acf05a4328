use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use volley_core::{
    chart::{Axis, Chart, Mark, Series},
    codec::Framing,
};

use crate::tune::{PointReport, TuneReport};

/// Lines of the terminal's chart.
const HEIGHT: usize = 16;

/// Columns left of it, for the numbers.
const LEFT: usize = 8;

/// What stands for the recommended point.
const CHOSEN: char = '*';

/// What a point is but its rows.
fn arm(point: &PointReport) -> String {
    let mut name = point.point.codec.to_string();
    if point.point.framing == Framing::File {
        name.push_str(", file");
    }
    if point.point.dictionary {
        name.push_str(", dict");
    }
    name
}

/// Points by what they are but their rows, in the order in which they were measured first.
fn arms(report: &TuneReport) -> Vec<(String, Vec<&PointReport>)> {
    let mut arms: Vec<(String, Vec<&PointReport>)> = Vec::new();
    for point in &report.points {
        let name = arm(point);
        match arms.iter_mut().find(|(other, _)| *other == name) {
            Some((_, points)) => points.push(point),
            None => arms.push((name, vec![point])),
        }
    }
    for (_, points) in &mut arms {
        points.sort_by_key(|point| point.point.rows);
    }
    arms
}

/// All points by bytes and work, with the front and the recommended one set off.
pub(super) fn svg(report: &TuneReport) -> Chart {
    let mark = |point: &PointReport, label: String| Mark {
        x: point.bytes_per_row,
        y: point.codec_ns,
        title: format!(
            "{}: {:.1} B/row, {:.0} ns/row",
            point.point, point.bytes_per_row, point.codec_ns
        ),
        label,
    };
    let mut front: Vec<_> = report.points.iter().filter(|point| point.is_front).collect();
    front.sort_by(|a, b| a.bytes_per_row.total_cmp(&b.bytes_per_row));
    let guide = |name: &str, marks, is_line| Series {
        name: name.to_owned(),
        marks,
        is_line,
        is_guide: true,
    };
    let mut series: Vec<_> = arms(report)
        .into_iter()
        .map(|(name, points)| Series {
            name,
            marks: points.into_iter().map(|point| mark(point, String::new())).collect(),
            is_line: true,
            is_guide: false,
        })
        .collect();
    let front = front.into_iter().map(|point| mark(point, String::new())).collect();
    series.push(guide("Pareto front", front, true));
    if let Some(found) = &report.recommendation {
        let point = &report.points[found.index];
        series.push(guide("recommended", vec![mark(point, point.point.to_string())], false));
    }
    Chart {
        title: format!("Bytes and encode + decode time of {} rows", report.sample.rows),
        subtitle: format!(
            "{}; each mark is a batch size, objective {}",
            report.sample.inputs.join(", "),
            report.objective
        ),
        x: Axis::log("bytes a row"),
        y: Axis::log("encode + decode, ns a row"),
        series,
    }
}

/// A line of marks for the terminal: each codec has a letter, in capitals on the front.
pub(super) fn print(out: &mut dyn Write, report: &TuneReport, width: usize) -> io::Result<()> {
    let drawn = |point: &&PointReport| point.bytes_per_row > 0.0 && point.codec_ns > 0.0;
    let width = width.clamp(40, 120) - LEFT - 3;
    let points: Vec<_> = report.points.iter().filter(drawn).collect();
    let Some(x) = CellAxis::new(points.iter().map(|p| p.bytes_per_row), width - 1) else {
        return Ok(());
    };
    let Some(y) = CellAxis::new(points.iter().map(|p| p.codec_ns), HEIGHT - 1) else {
        return Ok(());
    };
    let arms = arms(report);
    let mut cells: BTreeMap<(usize, usize), char> = BTreeMap::new();
    // Later ones cover earlier ones: the front, and at last the recommended one.
    for is_front in [false, true] {
        for (i, (_, points)) in arms.iter().enumerate() {
            for point in
                points.iter().filter(|point| point.is_front == is_front).filter(|p| drawn(p))
            {
                let letter = letter(i, is_front);
                cells.insert((y.place(point.codec_ns), x.place(point.bytes_per_row)), letter);
            }
        }
    }
    if let Some(found) = &report.recommendation {
        let point = &report.points[found.index];
        cells.insert((y.place(point.codec_ns), x.place(point.bytes_per_row)), CHOSEN);
    }
    writeln!(out, "{:>LEFT$}", "ns/row")?;
    for line in (0..HEIGHT).rev() {
        let is_labelled = line % 5 == 0;
        let label = if is_labelled { digits(y.value(line)) } else { String::new() };
        let tick = if is_labelled { '+' } else { '|' };
        let marks: String =
            (0..width).map(|at| cells.get(&(line, at)).copied().unwrap_or(' ')).collect();
        writeln!(out, "{label:>LEFT$} {tick}{}", marks.trim_end())?;
    }
    let n_ticks = if width >= 60 { 4 } else { 2 };
    let (mut axis, mut labels) = (String::new(), String::new());
    for tick in 0..=n_ticks {
        let at = (width - 1) * tick / n_ticks;
        axis.extend(std::iter::repeat_n('-', at - axis.len()));
        axis.push('+');
        let label = digits(x.value(at));
        // The last one ends where the axis does.
        let start = if tick == n_ticks { (at + 1).saturating_sub(label.len()) } else { at };
        labels.extend(std::iter::repeat_n(' ', start.saturating_sub(labels.len())));
        labels.push_str(&label);
    }
    writeln!(out, "{:>LEFT$} +{axis}", "")?;
    writeln!(out, "{:>LEFT$}  {labels}", "B/row")?;
    let mut legend = String::new();
    for (i, (name, _)) in arms.iter().enumerate() {
        legend.push_str(&format!("{} {name}   ", letter(i, false)));
    }
    let line = format!("{legend}capital: on the front   {CHOSEN} recommended");
    for line in wrapped(&line, width) {
        writeln!(out, "{:>LEFT$}  {line}", "")?;
    }
    Ok(())
}

fn letter(arm: usize, is_front: bool) -> char {
    let letter = char::from(b'a' + u8::try_from(arm % 26).unwrap_or_default());
    if is_front { letter.to_ascii_uppercase() } else { letter }
}

/// Entries that three spaces separate, in lines of so many characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for entry in text.split("   ") {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 3 + entry.chars().count() <= width => {
                line.push_str("   ");
                line.push_str(entry);
            }
            _ => lines.push(entry.to_owned()),
        }
    }
    lines
}

/// Three digits.
fn digits(value: f64) -> String {
    match value {
        v if v >= 99_950.0 => format!("{:.0}k", v / 1e3),
        v if v >= 9995.0 => format!("{:.1}k", v / 1e3),
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// A logarithmic axis of cells.
struct CellAxis {
    low: f64,
    high: f64,
    last: usize,
}

impl CellAxis {
    fn new(values: impl Iterator<Item = f64>, last: usize) -> Option<Self> {
        let (low, high) = values
            .map(f64::ln)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        let air = if high - low < 1e-9 { 0.1 } else { 0.0 };
        (low <= high).then_some(Self { low: low - air, high: high + air, last })
    }

    fn place(&self, value: f64) -> usize {
        let part = (value.ln() - self.low) / (self.high - self.low);
        (part.clamp(0.0, 1.0) * self.last as f64).round() as usize
    }

    fn value(&self, cell: usize) -> f64 {
        (self.low + (self.high - self.low) * cell as f64 / self.last as f64).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_and_values_agree() {
        let axis = CellAxis::new([10.0, 1000.0].into_iter(), 20).unwrap();
        assert_eq!((axis.place(10.0), axis.place(100.0), axis.place(1000.0)), (0, 10, 20));
        assert!((axis.value(10) - 100.0).abs() < 1e-9);
        let one = CellAxis::new([5.0].into_iter(), 20).unwrap();
        assert_eq!(one.place(5.0), 10);
        assert!(CellAxis::new(std::iter::empty(), 20).is_none());
    }

    #[test]
    fn legends_fit() {
        assert_eq!(
            wrapped("a none   b lz4   c zstd:1", 12),
            ["a none   b l".get(..6).unwrap(), "b lz4", "c zstd:1"]
        );
        assert_eq!(wrapped("a none   b lz4   c zstd:1", 99), ["a none   b lz4   c zstd:1"]);
    }
}
