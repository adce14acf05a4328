use volley_benches::{Data, case::Case};
use volley_core::{
    codec::{Codec, Framing},
    encode::encode,
};

use crate::estimates::Estimates;

/// What was measured of the grid, data set by data set.
pub(crate) struct Grid(Vec<(Data, Vec<Point>)>);

/// One case of it.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    pub(crate) case: Case,
    pub(crate) bytes_per_row: f64,
    pub(crate) encode_ns: f64,
    pub(crate) decode_ns: f64,
    /// Whether no other case is both smaller and quicker to encode.
    pub(crate) is_front: bool,
}

impl Grid {
    /// Stream framing only: the other adds the same few bytes to each message.
    pub(crate) fn new(estimates: &Estimates) -> Self {
        let sets = Data::ALL.map(|data| {
            let mut points: Vec<_> =
                Case::ROWS.into_iter().flat_map(|rows| points(estimates, data, rows)).collect();
            mark_front(&mut points);
            (data, points)
        });
        Self(sets.into_iter().filter(|(_, points)| !points.is_empty()).collect())
    }

    pub(crate) fn sets(&self) -> &[(Data, Vec<Point>)] {
        &self.0
    }
}

/// The codecs of some points, in the order of the grid.
pub(crate) fn codecs(points: &[Point]) -> Vec<Codec> {
    let mut codecs: Vec<_> = Case::of(100, false).map(|case| case.options.codec).collect();
    codecs.dedup();
    codecs.retain(|codec| points.iter().any(|point| point.case.options.codec == *codec));
    codecs
}

fn points(estimates: &Estimates, data: Data, n_rows: usize) -> Vec<Point> {
    let time = |operation: &str, case: &Case| {
        let id = format!("{}/{operation}_{n_rows}/{}", data.name(), case.id());
        estimates.get(&id).map(|estimate| estimate.ns_per_row())
    };
    let cases = Case::of(n_rows, false).filter(|case| case.options.framing == Framing::Stream);
    let measured =
        cases.filter_map(|case| Some((case, time("encode", &case)?, time("decode", &case)?)));
    let measured: Vec<_> = measured.collect();
    if measured.is_empty() {
        return Vec::new();
    }
    let batch = data.table(n_rows);
    let point = |(case, encode_ns, decode_ns): (Case, f64, f64)| {
        let payload = encode(&batch, case.options).ok()?;
        let bytes_per_row = payload.len() as f64 / n_rows as f64;
        Some(Point { case, bytes_per_row, encode_ns, decode_ns, is_front: false })
    };
    measured.into_iter().filter_map(point).collect()
}

fn mark_front(points: &mut [Point]) {
    let sizes: Vec<_> = points.iter().map(|point| (point.bytes_per_row, point.encode_ns)).collect();
    for point in points {
        let beats = |(bytes, ns): &(f64, f64)| {
            *bytes <= point.bytes_per_row
                && *ns <= point.encode_ns
                && (*bytes < point.bytes_per_row || *ns < point.encode_ns)
        };
        point.is_front = !sizes.iter().any(beats);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nothing_beats() {
        let case = Case::of(100, false).next().unwrap();
        let point = |bytes_per_row, encode_ns| Point {
            case,
            bytes_per_row,
            encode_ns,
            decode_ns: 1.0,
            is_front: false,
        };
        let mut points = [point(10.0, 5.0), point(5.0, 10.0), point(10.0, 10.0), point(5.0, 10.0)];
        mark_front(&mut points);
        assert_eq!(points.map(|point| point.is_front), [true, true, false, true]);
    }
}
