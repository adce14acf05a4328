use std::time::Duration;

use serde::Serialize;
use volley_core::{
    advice::{Advice, Rule, advise},
    encode::{EncodeError, Encoder},
    layout::{self, Options},
    tune::{
        Goal, Interval, Measured, Objection, Objective, Point, Sample, Search, Setting, command,
        front, reason, settings,
    },
};

use super::{Input, clock::MachineClock};

/// Findings may take this much longer than encoding has.
const FINDING_CAUTION: f64 = 2.0;

const NO_FINDINGS: &str = "some findings did not fit --budget and were left out";

/// What was measured, and what follows from it.
#[derive(Clone, Debug, Serialize)]
pub struct TuneReport {
    /// The rows.
    pub sample: SampleReport,
    /// What was wanted.
    pub objective: Objective,
    /// Rows a second of one batch, where that is known.
    pub rate: Option<f64>,
    /// Whether the rate was told by the rows' time column rather than by the user.
    pub is_rate_from_rows: bool,
    /// Longest time until a row can be read, ms.
    pub max_latency_ms: Option<f64>,
    /// Most bytes of a payload.
    pub payload_limit: usize,
    /// Points that there were to choose from.
    pub candidates: usize,
    /// Those that were measured.
    pub points: Vec<PointReport>,
    /// What the sizes say of the rows, in batches as recommended.
    pub findings: Vec<Advice>,
    /// The point to take; `None` where none will do.
    pub recommendation: Option<RecommendationReport>,
    /// What one should know to read this.
    pub notes: Vec<String>,
    /// Time that all of it took.
    pub elapsed_ms: u64,
    /// Time that it had.
    pub budget_ms: u64,
}

/// The rows that were measured.
#[derive(Clone, Debug, Serialize)]
pub struct SampleReport {
    /// Where they came from.
    pub inputs: Vec<String>,
    /// How many.
    pub rows: usize,
    /// Columns at the top.
    pub columns: usize,
    /// Bytes of a row in memory.
    pub raw_bytes_per_row: f64,
}

/// One point.
#[derive(Clone, Debug, Serialize)]
pub struct PointReport {
    /// The point.
    #[serde(flatten)]
    pub point: Point,
    /// Bytes of a row: exact for the windows of the sample, and the same in each run.
    pub bytes_per_row: f64,
    /// Bytes of the largest payload.
    pub largest_payload: usize,
    /// Encoding, ns a row.
    pub encode_ns: Option<Interval>,
    /// Checking and decoding, ns a row.
    pub decode_ns: Option<Interval>,
    /// Inserting into ClickHouse, ns a row.
    pub insert_ns: Option<Interval>,
    /// From a producer to a consumer, ns a row.
    pub delivery_ns: Option<Interval>,
    /// Encoding and decoding together, ns a row.
    pub codec_ns: f64,
    /// All that was measured together, ns a row.
    pub work_ns: f64,
    /// Time until the first row of a batch can be read, ms; without the wait where no rate is known.
    pub latency_ms: f64,
    /// What the objective makes of it; `None` where servers measured others only, which would make it
    /// look cheap.
    pub cost: Option<f64>,
    /// Whether nothing has both fewer bytes and less encoding and decoding.
    pub is_front: bool,
    /// Why it will not do.
    pub objection: Option<Objection>,
}

/// The point to take.
#[derive(Clone, Debug, Serialize)]
pub struct RecommendationReport {
    /// The point.
    #[serde(flatten)]
    pub point: Point,
    /// Its place in [`TuneReport::points`].
    pub index: usize,
    /// Why this one.
    pub reason: String,
    /// Settings of `volley produce`, by the names of its flags.
    pub settings: Vec<(&'static str, Setting)>,
    /// The command to paste.
    pub command: String,
}

/// What a run leaves.
pub(super) struct Outcome<'a> {
    pub(super) inputs: Vec<Input>,
    pub(super) sample: &'a Sample,
    pub(super) search: &'a Search,
    pub(super) is_rate_found: bool,
    pub(super) notes: Vec<String>,
    pub(super) budget: Duration,
}

impl Outcome<'_> {
    pub(super) fn report(mut self, clock: &MachineClock) -> Result<TuneReport, EncodeError> {
        let goal = *self.search.goal();
        let rows = self.sample.rows();
        let raw_bytes_per_row = self.sample.raw_bytes_per_row();
        let measured: Vec<_> = self.search.points().collect();
        let fitting: Vec<_> =
            measured.iter().copied().filter(|point| goal.objection(point).is_none()).collect();
        let fronts = front(&fitting);
        let is_front = |point: &Measured| {
            let at = fitting.iter().position(|other| other.point == point.point);
            at.is_some_and(|at| fronts[at])
        };
        let recommended = self.search.recommend();
        let is_comparable = |point: &Measured| {
            recommended.as_ref().is_none_or(|chosen| chosen.measured.is_comparable(point))
        };
        let report = |point: &&Measured| {
            let cost = is_comparable(point).then(|| goal.cost(point));
            point_report(&goal, point, cost, is_front(point))
        };
        let points: Vec<_> = measured.iter().map(report).collect();
        let recommendation = recommended.map(|chosen| {
            let point = chosen.measured.point;
            let default = measured.iter().copied().find(|other| other.point == Point::default());
            let settings = settings(&goal, &point, raw_bytes_per_row);
            RecommendationReport {
                point,
                index: measured.iter().position(|other| other.point == point).unwrap_or_default(),
                reason: reason(&goal, &chosen, default),
                command: command(&settings),
                settings,
            }
        });
        let looked_at = self.search.recommend().map(|chosen| chosen.measured);
        let looked_at = looked_at.or_else(|| measured.first().copied());
        let findings = looked_at.map(|found| self.findings(found, clock)).transpose()?;
        let findings = findings.unwrap_or_default();
        Ok(TuneReport {
            sample: SampleReport {
                inputs: self.inputs.iter().map(ToString::to_string).collect(),
                rows: rows.num_rows(),
                columns: rows.num_columns(),
                raw_bytes_per_row,
            },
            objective: goal.objective,
            rate: goal.rate,
            is_rate_from_rows: self.is_rate_found,
            max_latency_ms: goal.max_latency.map(|limit| limit.as_secs_f64() * 1e3),
            payload_limit: goal.payload_limit,
            candidates: self.search.space().len(),
            points,
            findings,
            recommendation,
            notes: self.notes,
            elapsed_ms: clock.elapsed().as_millis() as u64,
            budget_ms: self.budget.as_millis() as u64,
        })
    }

    /// What the windows of a point say of the rows, and what dictionaries would save there, as far as
    /// the budget goes.
    fn findings(
        &mut self,
        found: &Measured,
        clock: &MachineClock,
    ) -> Result<Vec<Advice>, EncodeError> {
        let (sample, point) = (self.sample, &found.point);
        // Once for each column, and once for all as they are.
        let ns = found.encode.median() * found.size.rows as f64 * FINDING_CAUTION;
        let once = Duration::from_nanos(ns as u64);
        let has_time = || clock.left(self.budget) > once;
        let mut is_cut = !has_time();
        let Some(window) = sample.windows(point)?.into_iter().next().filter(|_| !is_cut) else {
            self.notes.extend(is_cut.then(|| NO_FINDINGS.to_owned()));
            return Ok(Vec::new());
        };
        let payload = Encoder::new(sample.schema(point), point.options())?.encode(&[window])?;
        let (layout, _) = layout::walk(&payload, &Options::default());
        let mut findings = advise(&layout);
        if !point.dictionary && sample.has_repeating_text() {
            is_cut = !has_time();
            let savings = (!is_cut).then(|| sample.dictionary_savings(point)).transpose()?;
            for saving in savings.into_iter().flatten() {
                let saving = saving?;
                is_cut = !has_time();
                if is_cut {
                    break;
                }
                // What was measured says it better than what sizes suggest.
                findings.retain(|advice| {
                    let is_guess = matches!(advice.rule, Rule::Offsets | Rule::Repeats);
                    let is_measured = advice.column.as_ref() == Some(&saving.column);
                    !(is_guess && is_measured && saving.after.bytes < saving.before.bytes)
                });
                findings.extend(Advice::of_saving(&saving));
            }
            findings.sort_by(|a, b| b.share.total_cmp(&a.share));
        }
        self.notes.extend(is_cut.then(|| NO_FINDINGS.to_owned()));
        Ok(findings)
    }
}

fn point_report(
    goal: &Goal,
    measured: &Measured,
    cost: Option<f64>,
    is_front: bool,
) -> PointReport {
    PointReport {
        point: measured.point,
        bytes_per_row: measured.bytes_per_row(),
        largest_payload: measured.size.largest,
        encode_ns: measured.encode.interval(),
        decode_ns: measured.decode.interval(),
        insert_ns: measured.insert.interval(),
        delivery_ns: measured.delivery.interval(),
        codec_ns: measured.codec_ns(),
        work_ns: measured.work_ns(),
        latency_ms: measured.latency_ns(goal.rate) / 1e6,
        cost,
        is_front,
        objection: goal.objection(measured),
    }
}
