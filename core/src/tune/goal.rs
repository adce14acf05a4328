use std::{fmt, str::FromStr, time::Duration};

use serde::Serialize;

use super::{Point, Samples, Size, Trial};

/// Points whose costs differ by less than this part are as good as each other; of those, the one
/// with the fewest rows wins: its rows wait least, and least is lost or repeated with a message.
pub const TOLERANCE: f64 = 0.02;

/// What a payload may have where a broker takes messages of 1,000,000 bytes: the rest is for headers
/// and key.
const PAYLOAD_LIMIT: usize = 1_000_000 - 512;

/// What a byte costs beside work, in ns: the time of a byte on a link of 1 Gbit/s. A payload goes over
/// such a link two or three times, and is stored as often; links within a machine room are that much
/// faster.
pub const BYTE_NS: f64 = 8.0;

/// What is to be small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Objective {
    /// Bytes a row: storage and network.
    Bytes,
    /// ns of work a row: encode + decode, and what was measured of insert and delivery.
    Cpu,
    /// Time until the first row of a batch can be read: `rows / rate`, until the batch is full, and
    /// `rows` × the work a row.
    Latency,
    /// ns of work a row + [`BYTE_NS`] × bytes a row: what the processors work and what the network
    /// takes.
    #[default]
    Balanced,
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Cpu => "cpu",
            Self::Latency => "latency",
            Self::Balanced => "balanced",
        })
    }
}

/// A text is no [`Objective`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown objective '{found}'; use bytes, cpu, latency or balanced")]
pub struct ParseObjectiveError {
    /// What was written.
    pub found: String,
}

impl FromStr for Objective {
    type Err = ParseObjectiveError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Bytes, Self::Cpu, Self::Latency, Self::Balanced];
        let found = all.into_iter().find(|objective| objective.to_string() == text);
        found.ok_or_else(|| ParseObjectiveError { found: text.to_owned() })
    }
}

/// What is wanted of a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// What is to be small.
    pub objective: Objective,
    /// Rows a second that go into one batch; `None` where nobody knows, and then rows do not wait.
    pub rate: Option<f64>,
    /// Longest time until the first row of a batch can be read.
    #[serde(skip)]
    pub max_latency: Option<Duration>,
    /// Most bytes of a payload.
    pub payload_limit: usize,
}

impl Default for Goal {
    /// Balanced, at no known rate, in messages as brokers take them unless told otherwise.
    fn default() -> Self {
        Self {
            objective: Objective::default(),
            rate: None,
            max_latency: None,
            payload_limit: PAYLOAD_LIMIT,
        }
    }
}

/// What is known of a point.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The point.
    pub point: Point,
    /// What its payloads take.
    pub size: Size,
    /// Encoding, ns a row.
    pub encode: Samples,
    /// Checking and decoding, ns a row.
    pub decode: Samples,
    /// Inserting into ClickHouse, ns a row, where that was measured.
    pub insert: Samples,
    /// From a producer to a consumer, ns a row, where that was measured.
    pub delivery: Samples,
}

impl Measured {
    /// A point of which no time is known yet.
    pub fn new(point: Point, size: Size) -> Self {
        let none = Samples::default;
        Self { point, size, encode: none(), decode: none(), insert: none(), delivery: none() }
    }

    /// Adds what a trial gave.
    pub fn push(&mut self, trial: &Trial) {
        self.encode.push(trial.encode_ns);
        self.decode.push(trial.decode_ns);
    }

    /// Bytes a row.
    pub fn bytes_per_row(&self) -> f64 {
        self.size.bytes_per_row()
    }

    /// Encoding and decoding, ns a row: measured of every point.
    pub fn codec_ns(&self) -> f64 {
        self.encode.median() + self.decode.median()
    }

    /// All work that was measured, ns a row.
    pub fn work_ns(&self) -> f64 {
        self.codec_ns() + self.insert.median() + self.delivery.median()
    }

    /// Whether as much is known of both: what one of them lacks would make it look cheap.
    pub fn is_comparable(&self, other: &Self) -> bool {
        self.insert.is_empty() == other.insert.is_empty()
            && self.delivery.is_empty() == other.delivery.is_empty()
    }

    /// Time until the first row of a batch can be read, in ns.
    pub fn latency_ns(&self, rate: Option<f64>) -> f64 {
        let rows = self.point.rows as f64;
        fill_ns(self.point.rows, rate) + rows * self.work_ns()
    }
}

/// Time until a batch is full, in ns.
fn fill_ns(rows: usize, rate: Option<f64>) -> f64 {
    rate.map_or(0.0, |rate| rows as f64 / rate * 1e9)
}

/// Why a point will not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Objection {
    /// A payload is over the limit.
    TooLarge,
    /// Rows wait too long.
    TooLate,
}

/// One point, and why that one.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation<'a> {
    /// The point.
    pub measured: &'a Measured,
    /// What it costs, in the unit of the objective.
    pub cost: f64,
    /// The lowest cost of all, which may be another's within [`TOLERANCE`].
    pub lowest: f64,
}

impl Goal {
    /// What a point costs: bytes a row; ns a row; ns until a row can be read; ns a row.
    pub fn cost(&self, measured: &Measured) -> f64 {
        match self.objective {
            Objective::Bytes => measured.bytes_per_row(),
            Objective::Cpu => measured.work_ns(),
            Objective::Latency => measured.latency_ns(self.rate),
            Objective::Balanced => measured.work_ns() + BYTE_NS * measured.bytes_per_row(),
        }
    }

    /// Why a point will not do; `None` if it will.
    pub fn objection(&self, measured: &Measured) -> Option<Objection> {
        if measured.size.largest > self.payload_limit {
            return Some(Objection::TooLarge);
        }
        let limit = self.max_latency?.as_nanos() as f64;
        (measured.latency_ns(self.rate) > limit).then_some(Objection::TooLate)
    }

    /// Most rows whose batch is full within the longest latency; at least one.
    pub fn max_rows(&self) -> Option<usize> {
        let (limit, rate) = (self.max_latency?, self.rate?);
        Some(((limit.as_secs_f64() * rate) as usize).max(1))
    }

    /// The cheapest of `points`, and of those within [`TOLERANCE`] of it the one with the fewest rows.
    ///
    /// Where insert or delivery were measured of some points, only those are compared. `None` where
    /// no point will do.
    pub fn recommend<'a>(
        &self,
        points: impl Iterator<Item = &'a Measured> + Clone,
    ) -> Option<Recommendation<'a>> {
        let parts = |point: &Measured| [point.insert.is_empty(), point.delivery.is_empty()];
        let fitting = points.filter(|point| self.objection(point).is_none());
        // The smallest has the most parts measured.
        let fullest = fitting.clone().map(parts).min()?;
        let fitting = fitting.filter(|point| parts(point) == fullest);
        let lowest = fitting.clone().map(|point| self.cost(point)).min_by(f64::total_cmp)?;
        let good = fitting.filter(|point| self.cost(point) <= lowest * (1.0 + TOLERANCE));
        let best = good.min_by(|a, b| {
            let rows = a.point.rows.cmp(&b.point.rows);
            rows.then_with(|| self.cost(a).total_cmp(&self.cost(b)))
        })?;
        Some(Recommendation { measured: best, cost: self.cost(best), lowest })
    }
}

/// Which of `points` no other beats in both bytes a row and encoding and decoding: the Pareto front.
pub fn front(points: &[&Measured]) -> Vec<bool> {
    let costs: Vec<_> = points.iter().map(|p| (p.bytes_per_row(), p.codec_ns())).collect();
    let beats = |(bytes, work): &(f64, f64), other: &(f64, f64)| {
        bytes <= &other.0 && work <= &other.1 && (bytes < &other.0 || work < &other.1)
    };
    costs.iter().map(|cost| !costs.iter().any(|other| beats(other, cost))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Codec, Framing};

    fn measured(rows: usize, bytes_per_row: u64, encode_ns: f64) -> Measured {
        let codec = Codec::default();
        let point = Point { rows, codec, framing: Framing::Stream, dictionary: false };
        let bytes = bytes_per_row * rows as u64;
        let size = Size { rows: rows as u64, bytes, largest: bytes as usize };
        let mut measured = Measured::new(point, size);
        measured.encode.push(encode_ns);
        measured.decode.push(10.0);
        measured
    }

    fn goal(objective: Objective) -> Goal {
        Goal { objective, rate: Some(1000.0), ..Goal::default() }
    }

    #[test]
    fn costs_are_as_documented() {
        let point = measured(500, 40, 80.0);
        assert_eq!(goal(Objective::Bytes).cost(&point), 40.0);
        assert_eq!(goal(Objective::Cpu).cost(&point), 90.0);
        assert_eq!(goal(Objective::Latency).cost(&point), 0.5e9 + 500.0 * 90.0);
        assert_eq!(goal(Objective::Balanced).cost(&point), 90.0 + 320.0);
        let mut point = point;
        point.insert.push(100.0);
        point.delivery.push(200.0);
        assert_eq!(goal(Objective::Cpu).cost(&point), 390.0);
        assert_eq!(Goal { rate: None, ..goal(Objective::Latency) }.cost(&point), 500.0 * 390.0);
    }

    #[test]
    fn of_points_that_are_as_good_the_one_with_the_fewest_rows_wins() {
        let points =
            [measured(1000, 1000, 1.0), measured(500, 1019, 1.0), measured(100, 1021, 1.0)];
        let goal = Goal { payload_limit: usize::MAX, ..goal(Objective::Bytes) };
        let found = goal.recommend(points.iter()).unwrap();
        assert_eq!((found.measured.point.rows, found.cost, found.lowest), (500, 1019.0, 1000.0));
    }

    #[test]
    fn what_will_not_do_is_not_recommended() {
        let points = [measured(10_000, 100, 1.0), measured(100, 200, 1.0), measured(10, 300, 1.0)];
        let large = Goal { payload_limit: 999_999, ..goal(Objective::Bytes) };
        assert_eq!(large.objection(&points[0]), Some(Objection::TooLarge));
        assert_eq!(large.recommend(points.iter()).unwrap().measured.point.rows, 100);
        let late = Goal { max_latency: Some(Duration::from_millis(99)), ..goal(Objective::Bytes) };
        assert_eq!(late.objection(&points[1]), Some(Objection::TooLate));
        assert_eq!(late.recommend(points.iter()).unwrap().measured.point.rows, 10);
        assert_eq!(late.max_rows(), Some(99));
        let never = Goal { max_latency: Some(Duration::from_millis(1)), ..late };
        assert_eq!((never.recommend(points.iter()), never.max_rows()), (None, Some(1)));
    }

    #[test]
    fn only_points_of_which_as_much_is_known_are_compared() {
        let mut points = [measured(10, 100, 1.0), measured(100, 90, 1.0), measured(200, 80, 1.0)];
        points[1].insert.push(1.0);
        let found = goal(Objective::Bytes).recommend(points.iter()).unwrap();
        assert_eq!(found.measured.point.rows, 100);
    }

    #[test]
    fn the_front_is_what_nothing_beats_in_both() {
        let points = [
            measured(10, 100, 1.0),
            measured(10, 90, 2.0),
            measured(10, 95, 3.0),
            measured(10, 100, 2.0),
            measured(10, 90, 2.0),
        ];
        let points: Vec<_> = points.iter().collect();
        assert_eq!(front(&points), [true, true, false, false, true]);
    }

    #[test]
    fn objectives_are_read_as_they_are_written() {
        for text in ["bytes", "cpu", "latency", "balanced"] {
            assert_eq!(text.parse::<Objective>().unwrap().to_string(), text);
        }
        let error = "speed".parse::<Objective>().unwrap_err().to_string();
        assert_eq!(error, "unknown objective 'speed'; use bytes, cpu, latency or balanced");
    }
}
