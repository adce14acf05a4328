//! Line charts as SVG, for results that are written to a file and for pages.
//!
//! A chart is plain text that opens anywhere: no script, no font of its own, and colours that follow
//! the reader's light or dark theme. Series differ in the shape of their marks too, not in colour
//! alone, and each mark says its values when it is pointed at.

mod scale;
mod svg;

/// How values become places along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally far apart, from 0.
    #[default]
    Linear,
    /// Equal ratios are equally far apart; values of 0 and below are left out.
    Log,
}

/// One axis.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Axis {
    /// What it says, with its unit.
    pub label: String,
    /// How it is divided.
    pub scale: Scale,
}

impl Axis {
    /// An axis from 0.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Linear }
    }

    /// An axis of ratios.
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), scale: Scale::Log }
    }
}

/// One mark.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mark {
    /// Its place along the horizontal axis.
    pub x: f64,
    /// Its place along the vertical axis.
    pub y: f64,
    /// What it says when it is pointed at.
    pub title: String,
    /// A short text beside it; empty for none.
    pub label: String,
}

/// Marks of one kind.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Its marks; a line goes through them in this order.
    pub marks: Vec<Mark>,
    /// Whether a line joins the marks.
    pub is_line: bool,
    /// Whether the line is dashed and its marks are rings: for what is not a measurement, such as a
    /// front.
    pub is_guide: bool,
}

/// A chart of one or more series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// A line below the title; empty for none.
    pub subtitle: String,
    /// Left to right.
    pub x: Axis,
    /// Bottom to top.
    pub y: Axis,
    /// What is drawn, the first below the others.
    pub series: Vec<Series>,
}

impl Chart {
    /// The chart as an SVG document. Text is escaped; marks that are not finite, and those that a
    /// logarithmic axis has no place for, are left out.
    pub fn to_svg(&self) -> String {
        svg::document(self)
    }
}
