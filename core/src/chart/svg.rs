use std::fmt::Write as _;

use super::{
    Chart, Series,
    scale::{Fitted, is_drawn},
};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 56.0;

/// Colours that are told apart by most eyes, on light and on dark.
const COLORS: [&str; 8] =
    ["#4269d0", "#d98000", "#d14343", "#3a9ca6", "#3a8a46", "#c0568f", "#8560b8", "#96703f"];

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#333}.t{font-size:17px;font-weight:600}.s{fill:#666}\
.g{stroke:#8884;stroke-width:1}.n{font-size:12px}.l{fill:none;stroke-width:1.6}\
svg{background:#fff}@media(prefers-color-scheme:dark){svg{background:#16181d}text{fill:#ddd}\
.s{fill:#aaa}}";

pub(super) fn document(chart: &Chart) -> String {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    let marks = || {
        let marks = chart.series.iter().flat_map(|series| &series.marks);
        marks.filter(|mark| is_drawn(mark, chart.x.scale, chart.y.scale))
    };
    let x = Fitted::new(chart.x.scale, marks().map(|mark| mark.x), (LEFT, right));
    let y = Fitted::new(chart.y.scale, marks().map(|mark| mark.y), (bottom, TOP));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\">\n<style>{STYLE}</style>\n\
         <text class=\"t\" x=\"16\" y=\"28\">{title}</text>\n\
         <text class=\"s\" x=\"16\" y=\"48\">{subtitle}</text>\n",
        title = escaped(&chart.title),
        subtitle = escaped(&chart.subtitle),
    );
    // Writing to a string does not fail.
    for (value, text) in x.ticks() {
        let at = x.place(value);
        let _ = writeln!(
            out,
            "<path class=\"g\" d=\"M{at:.1} {TOP}V{bottom}\"/><text class=\"n\" x=\"{at:.1}\" \
             y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
            bottom + 18.0
        );
    }
    for (value, text) in y.ticks() {
        let at = y.place(value);
        let _ = writeln!(
            out,
            "<path class=\"g\" d=\"M{LEFT} {at:.1}H{right}\"/><text class=\"n\" x=\"{:.1}\" \
             y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }
    let _ = writeln!(
        out,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
         <text transform=\"translate(18 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, right),
        HEIGHT - 14.0,
        escaped(&chart.x.label),
        f64::midpoint(TOP, bottom),
        escaped(&chart.y.label),
    );
    for (i, series) in chart.series.iter().enumerate() {
        draw(&mut out, chart, series, i, (&x, &y));
        let at = TOP + 10.0 + 22.0 * i as f64;
        let key = shape(series, i, right + 22.0, at);
        let _ = writeln!(
            out,
            "{key}/><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            right + 36.0,
            at + 4.5,
            escaped(&series.name)
        );
    }
    out.push_str("</svg>\n");
    out
}

fn draw(out: &mut String, chart: &Chart, series: &Series, i: usize, axes: (&Fitted, &Fitted)) {
    let (x, y) = axes;
    let marks = series.marks.iter().filter(|m| is_drawn(m, chart.x.scale, chart.y.scale));
    let places: Vec<_> = marks.map(|mark| (mark, x.place(mark.x), y.place(mark.y))).collect();
    if series.is_line && places.len() > 1 {
        let mut path = String::new();
        for (_, x, y) in &places {
            let _ = write!(path, "{}{x:.1} {y:.1}", if path.is_empty() { 'M' } else { 'L' });
        }
        let dash = if series.is_guide { " stroke-dasharray=\"5 4\"" } else { "" };
        let color = color(i);
        let _ = writeln!(out, "<path class=\"l\" stroke=\"{color}\"{dash} d=\"{path}\"/>");
    }
    for (mark, x, y) in places {
        let shape = shape(series, i, x, y);
        let _ = writeln!(out, "{shape}><title>{}</title></path>", escaped(&mark.title));
        if !mark.label.is_empty() {
            let _ = writeln!(
                out,
                "<text class=\"n\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                x + 9.0,
                y - 7.0,
                escaped(&mark.label)
            );
        }
    }
}

fn color(i: usize) -> &'static str {
    COLORS[i % COLORS.len()]
}

/// The path of a series' mark at a place, without its end: rings are guides.
fn shape(series: &Series, i: usize, x: f64, y: f64) -> String {
    let paint = if series.is_guide {
        format!("fill=\"none\" stroke-width=\"2\" stroke=\"{}\"", color(i))
    } else {
        format!("fill=\"{}\"", color(i))
    };
    const CIRCLE: &str = "m-RAD 0a RAD RAD 0 1 0 DIA 0a RAD RAD 0 1 0 -DIA 0z";
    let path = match (series.is_guide, i % COLORS.len()) {
        (true, _) => CIRCLE.replace("RAD", "8").replace("DIA", "16"),
        (_, 0) => CIRCLE.replace("RAD", "4").replace("DIA", "8"),
        (_, 1) => "m-4-4h8v8h-8z".to_owned(),
        (_, 2) => "m0-5 5 9h-10z".to_owned(),
        (_, 3) => "m0-5.5 5.5 5.5-5.5 5.5-5.5-5.5z".to_owned(),
        (_, 4) => "m0 5 5-9h-10z".to_owned(),
        (_, 5) => "m-5-1.5h3.5v-3.5h3v3.5h3.5v3h-3.5v3.5h-3v-3.5h-3.5z".to_owned(),
        (_, 6) => "m-5-3 2-2 3 3 3-3 2 2-3 3 3 3-2 2-3-3-3 3-2-2 3-3z".to_owned(),
        _ => "m-1.7-5.5h3.4v11h-3.4z".to_owned(),
    };
    format!("<path {paint} d=\"M{x:.1} {y:.1}{path}\"")
}

/// Text for between tags and in attributes; what XML has no place for is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::{Axis, Mark};

    fn chart(marks: &[(f64, f64)]) -> Chart {
        let mark =
            |&(x, y): &(f64, f64)| Mark { x, y, title: format!("{x} {y}"), ..Mark::default() };
        let series = Series {
            name: "zstd:1 <&\"\u{1b}>".to_owned(),
            marks: marks.iter().map(mark).collect(),
            is_line: true,
            is_guide: false,
        };
        Chart {
            title: "Bytes".to_owned(),
            x: Axis::log("rows in a batch"),
            y: Axis::linear("bytes a row"),
            series: vec![series.clone(), Series { is_guide: true, ..series }],
            ..Chart::default()
        }
    }

    #[test]
    fn every_mark_that_has_a_place_is_drawn_inside() {
        let svg = chart(&[(10.0, 5.0), (100.0, 4.0), (0.0, 9.0), (1.0, f64::NAN)]).to_svg();
        assert_eq!(svg.matches("<title>").count(), 4, "two marks in two series: {svg}");
        assert_eq!(svg.matches("class=\"l\"").count(), 2);
        assert_eq!(svg.matches("stroke-dasharray").count(), 1);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let svg = chart(&[(1.0, 1.0)]).to_svg();
        assert!(svg.contains("zstd:1 &lt;&amp;&quot;&gt;") && !svg.contains('\u{1b}'), "{svg}");
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }

    #[test]
    fn nothing_to_draw_is_a_chart_too() {
        for chart in [Chart::default(), chart(&[])] {
            let svg = chart.to_svg();
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        }
    }
}
