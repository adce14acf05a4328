use volley_core::{
    chart::{Axis, Chart, Mark, Series},
    codec::Codec,
};

use crate::grid::{Grid, Point, codecs};

/// Three charts for each data set, with the names of their files.
pub(crate) fn all(grid: &Grid) -> Vec<(String, Chart)> {
    let mut charts = Vec::new();
    for (data, points) in grid.sets() {
        let name = data.name();
        charts.push((format!("{name}-front.svg"), front(name, points)));
        let sizes = over_rows(points, |point| point.bytes_per_row);
        let title = format!("{name}: bytes a row");
        charts.push((format!("{name}-bytes.svg"), chart(title, "bytes a row", sizes)));
        let times = over_rows(points, |point| point.encode_ns);
        let title = format!("{name}: time to encode");
        charts.push((format!("{name}-encode.svg"), chart(title, "ns a row", times)));
    }
    charts
}

fn chart(title: String, y: &str, series: Vec<Series>) -> Chart {
    Chart {
        title,
        subtitle: "over rows of a message".to_owned(),
        x: Axis::log("rows of a message"),
        y: Axis::log(y),
        series,
    }
}

/// What a message costs in bytes against what it costs in time.
fn front(name: &str, points: &[Point]) -> Chart {
    let mark = |point: &Point| Mark {
        x: point.encode_ns,
        y: point.bytes_per_row,
        title: title(point),
        label: rows(point.case.n_rows),
    };
    let mut best: Vec<_> = points.iter().filter(|point| point.is_front).map(mark).collect();
    best.sort_by(|a, b| a.x.total_cmp(&b.x));
    best.iter_mut().for_each(|mark| mark.label.clear());
    let line = Series { name: "front".to_owned(), marks: best, is_line: true, is_guide: true };
    let codecs = codecs(points).into_iter().map(|codec| Series {
        name: codec.to_string(),
        marks: of(points, codec).map(mark).collect(),
        ..Series::default()
    });
    Chart {
        title: format!("{name}: bytes against time"),
        subtitle: "each mark is a codec and rows of a message; below and left is better".to_owned(),
        x: Axis::log("ns a row to encode"),
        y: Axis::log("bytes a row"),
        series: std::iter::once(line).chain(codecs).collect(),
    }
}

fn over_rows(points: &[Point], value: fn(&Point) -> f64) -> Vec<Series> {
    let series = |codec| Series {
        name: Codec::to_string(&codec),
        marks: of(points, codec)
            .map(|point| Mark {
                x: point.case.n_rows as f64,
                y: value(point),
                title: title(point),
                label: String::new(),
            })
            .collect(),
        is_line: true,
        is_guide: false,
    };
    codecs(points).into_iter().map(series).collect()
}

fn of(points: &[Point], codec: Codec) -> impl Iterator<Item = &Point> {
    points.iter().filter(move |point| point.case.options.codec == codec)
}

fn title(point: &Point) -> String {
    format!(
        "{} rows, {}: {:.1} bytes and {:.1} ns a row",
        point.case.n_rows, point.case.options.codec, point.bytes_per_row, point.encode_ns
    )
}

/// 100, 1 k, 10 k.
fn rows(n_rows: usize) -> String {
    if n_rows < 1000 { n_rows.to_string() } else { format!("{} k", n_rows / 1000) }
}
