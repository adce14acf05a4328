//! Measures rows of the user's own, and says how to send them.
//!
//! ```text
//! input ──rows──▶ Sample ──▶ Search ⇄ measure ──▶ inserts, deliveries of the finalists ──▶ TuneReport
//! ```
//!
//! What is measured, and in what order, is [`volley_core::tune`]'s; here are the clocks, files,
//! brokers and servers.

mod clock;
mod delivery;
mod input;
mod insert;
mod report;

use std::{path::PathBuf, time::Duration};

use bytes::Bytes;
use tokio::runtime::Handle;
use volley_core::{
    clickhouse::UnsupportedType,
    codec::{Codec, Framing},
    decode::DecodeError,
    encode::{EncodeError, Encoder},
    tune::{
        Clock as _, Goal, MeasureError, Point, Sample, SampleError, Search, Space, ladder, measure,
    },
};

use self::{clock::MachineClock, delivery::Deliveries, insert::Inserts, report::Outcome};
pub use self::{
    input::{Input, InputOptions, ParseTopicError, TopicAddress},
    report::{PointReport, RecommendationReport, SampleReport, TuneReport},
};
use crate::{
    clickhouse::{ClickHouseError, ClickHouseOptions},
    kafka::{KafkaError, KafkaOptions},
    shutdown::Shutdown,
    source::SourceError,
};

/// Part of the budget that is left for servers and findings, where servers are measured too.
const SERVERS_SHARE: u32 = 3;

/// Part of the budget that is left for the findings, which encode the best point again, and for
/// servers to remove what was made on them.
const FINDINGS_SHARE: u32 = 10;

/// The least time to wait for a server, however small the budget.
const LEAST_PATIENCE: Duration = Duration::from_millis(100);

/// Most points that are tried on servers.
const SERVER_POINTS: usize = 4;

/// Why a server was not asked.
const TOO_SHORT: &str = "--budget was too short for more";

/// What to measure, and what is wanted.
#[derive(Clone, Debug)]
pub struct TuneOptions {
    /// The rows.
    pub input: InputOptions,
    /// What is wanted; a rate that it lacks is taken from the rows.
    pub goal: Goal,
    /// Rows of a batch to choose from; what suits the sample if empty.
    pub rows_per_batch: Vec<usize>,
    /// Codecs to choose from; what people use if empty.
    pub codecs: Vec<Codec>,
    /// Framings to choose from; stream if empty.
    pub framings: Vec<Framing>,
    /// Whether text that repeats is tried as a dictionary too.
    pub dictionaries: bool,
    /// Measures every point rather than search.
    pub sweep: bool,
    /// Longest time that all of it takes.
    pub budget: Duration,
    /// Measures inserts too.
    pub clickhouse: Option<ClickHouseOptions>,
    /// Measures the way through a broker too.
    pub kafka: Option<KafkaOptions>,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuneError {
    /// A file.
    #[error("cannot read --input {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Bytes that are no sound payload.
    #[error("cannot measure {input}: it is no sound arrow ipc payload; volley inspect shows more")]
    Payload {
        /// Where they are.
        input: String,
        /// What is wrong, and where.
        source: DecodeError,
    },
    /// A topic.
    #[error("cannot read --input {input}")]
    Topic {
        /// Which.
        input: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing to measure.
    #[error("--input has no rows to measure")]
    NoRows,
    /// Nothing was there in time.
    #[error("no row of --input was read in a quarter of --budget; raise it")]
    NoTime,
    /// How long a batch takes to fill is not known.
    #[error("nothing tells how fast rows come; pass --rate, the rows a second of one batch")]
    NoRate,
    /// This machine.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The rows are no sample.
    #[error("cannot measure the rows of --input")]
    Sample(#[from] SampleError),
    /// The rows cannot be measured.
    #[error("cannot measure the rows of --input")]
    Measure(#[from] MeasureError),
    /// The rows cannot be encoded.
    #[error("cannot encode the rows of --input")]
    Encode(#[from] EncodeError),
    /// No table for the rows.
    #[error("cannot measure inserts: the rows give no table")]
    Table(#[from] UnsupportedType),
    /// ClickHouse.
    #[error("cannot measure inserts")]
    ClickHouse(#[from] ClickHouseError),
    /// The broker.
    #[error("cannot measure deliveries")]
    Kafka(#[from] KafkaError),
}

/// Reads, measures and recommends, within the budget, or until `shutdown` is requested: then what is
/// known by then is the result. Temporary tables and topics are gone when it ends.
///
/// Not cancel-safe: dropping the future leaves the measuring thread running to its end.
///
/// # Errors
///
/// [`TuneError`].
pub async fn tune(options: TuneOptions, shutdown: Shutdown) -> Result<TuneReport, TuneError> {
    let runtime = Handle::current();
    let run = tokio::task::spawn_blocking(move || run(options, &shutdown, &runtime));
    match run.await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn run(
    mut options: TuneOptions,
    shutdown: &Shutdown,
    runtime: &Handle,
) -> Result<TuneReport, TuneError> {
    let mut clock = MachineClock::start();
    options.keep_to_budget();
    let gathered = input::gather(&options.input, options.budget, shutdown)?;
    let mut notes = gathered.notes;
    let sample = Sample::new(&gathered.batches)?;
    drop(gathered.batches);
    let mut goal = options.goal;
    let is_rate_found = goal.rate.is_none() && gathered.rate.is_some();
    goal.rate = goal.rate.or(gathered.rate);
    let needs_rate = goal.objective == volley_core::tune::Objective::Latency;
    if goal.rate.is_none() && (needs_rate || goal.max_latency.is_some()) {
        return Err(TuneError::NoRate);
    }
    let space = space(&options, &goal, &sample, &mut notes);

    // Servers are asked first whether they are there: nobody wants to hear of it after the budget.
    let inserts = options.clickhouse.as_ref();
    let inserts = inserts.map(|server| runtime.block_on(Inserts::connect(server))).transpose()?;
    let deliveries = options.kafka.as_ref();
    let deliveries = deliveries.map(Deliveries::connect).transpose()?;

    let has_servers = inserts.is_some() || deliveries.is_some();
    let share = if has_servers { SERVERS_SHARE } else { FINDINGS_SHARE };
    let left = clock.left(options.budget - options.budget / share);
    let start = if options.sweep { Search::sweep } else { Search::new };
    let mut search = start(space, goal, left, clock.wall());
    while !shutdown.is_requested() {
        let Some(task) = search.next(clock.wall()) else { break };
        let trial = measure(&sample, task, &mut clock)?;
        search.record(task, trial);
    }
    if search.was_cut() {
        notes.push("some points did not fit --budget and were left out".to_owned());
    }

    let finalists = search.finalists().into_iter().take(SERVER_POINTS);
    let finalists: Vec<_> = finalists.map(|measured| measured.point).collect();
    let deadline = options.budget - options.budget / FINDINGS_SHARE;
    if let Some(inserts) = inserts {
        // Half of the time is for the other one.
        let left = clock.left(deadline) / if deliveries.is_some() { 2 } else { 1 };
        let deadline = clock.elapsed() + left;
        let measured = inserts.measure(&sample, &finalists, &clock, deadline, shutdown);
        let measured = runtime.block_on(measured)?;
        let is_late = clock.left(deadline).is_zero();
        let why = if is_late { TOO_SHORT } else { "the loader would decode the others" };
        notes.extend(unmeasured("inserts", &finalists, &measured, why));
        for (point, ns) in measured {
            if let Some(measured) = search.points_mut().find(|found| found.point == point) {
                measured.insert.push(ns);
            }
        }
    }
    if let Some(deliveries) = deliveries {
        let measured =
            deliveries.measure(&sample, &finalists, &clock, deadline, shutdown, runtime)?;
        let is_late = clock.left(deadline).is_zero();
        let why = if is_late { TOO_SHORT } else { "the messages of the others are too large" };
        notes.extend(unmeasured("deliveries", &finalists, &measured, why));
        for (point, ns) in measured {
            if let Some(measured) = search.points_mut().find(|found| found.point == point) {
                measured.delivery.push(ns);
            }
        }
    }
    if shutdown.is_requested() {
        notes.push("it was stopped early".to_owned());
    }
    let outcome = Outcome {
        inputs: options.input.inputs,
        sample: &sample,
        search: &search,
        is_rate_found,
        notes,
        budget: options.budget,
    };
    Ok(outcome.report(&clock)?)
}

impl TuneOptions {
    /// No wait for a server is longer than all of it may take.
    fn keep_to_budget(&mut self) {
        let longest = self.budget.max(LEAST_PATIENCE);
        let brokers = self.kafka.iter_mut().chain([&mut self.input.kafka]);
        let timeouts = brokers.map(|kafka| &mut kafka.timeout);
        let servers = self.clickhouse.iter_mut().map(|server| &mut server.timeout);
        timeouts.chain(servers).for_each(|timeout| *timeout = longest.min(*timeout));
    }
}

/// A note on points that were not measured on a server, or not twice: the first time is a warm-up.
fn unmeasured(
    parts: &str,
    points: &[Point],
    measured: &[(Point, f64)],
    why: &str,
) -> Option<String> {
    let is_measured = |point: &&Point| measured.iter().any(|(other, _)| other == *point);
    let n_measured = points.iter().filter(is_measured).count();
    let of = points.len();
    let note = || format!("{parts} were measured of {n_measured} points of {of}: {why}");
    (n_measured < of).then(note)
}

/// The points to choose from: no batch is larger than what the sample holds twice, or than what fills
/// within the longest latency.
fn space(options: &TuneOptions, goal: &Goal, sample: &Sample, notes: &mut Vec<String>) -> Space {
    let mut space = Space::of(sample);
    let most = goal.max_rows().unwrap_or(usize::MAX);
    let mut rows = options.rows_per_batch.clone();
    if rows.is_empty() {
        rows = ladder(10, sample.max_window().min(most));
        // The rung between, which fills in just that time.
        if most < sample.max_window() {
            rows.push(most);
        }
    } else {
        let n_asked = rows.len();
        rows.retain(|&rows| rows <= sample.max_window());
        if rows.len() < n_asked {
            notes.push(format!(
                "batches of more than {} rows were left out: the sample has {}, and two different \
                 batches are needed",
                sample.max_window(),
                sample.rows().num_rows()
            ));
        }
    }
    space = space.with_rows(rows);
    if !options.codecs.is_empty() {
        space = space.with_codecs(options.codecs.clone());
    }
    if !options.framings.is_empty() {
        space = space.with_framings(options.framings.clone());
    }
    if options.dictionaries && sample.has_repeating_text() {
        space = space.with_dictionaries();
    } else if options.dictionaries {
        notes.push("no column of text repeats: there is nothing for --dictionaries".to_owned());
    }
    if sample.rows().num_rows() < 1000 {
        let n_rows = sample.rows().num_rows();
        notes.push(format!("{n_rows} rows are few: larger batches may do better; pass more"));
    }
    space
}

/// The payloads of a point's windows, again and again until they hold `n_rows` rows: costs that come
/// with each message count as often for every point. Returns them with their rows; `None` where the
/// deadline came first.
fn payloads(
    sample: &Sample,
    point: &Point,
    n_rows: usize,
    (clock, deadline): (&MachineClock, Duration),
) -> Result<Option<(Vec<Bytes>, usize)>, TuneError> {
    let mut encoder = Encoder::new(sample.schema(point), point.options())?;
    let windows = sample.windows(point).map_err(MeasureError::Window)?;
    let (mut payloads, mut n_taken) = (Vec::<Bytes>::new(), 0);
    for (i, window) in windows.iter().cycle().enumerate() {
        if n_taken >= n_rows {
            break;
        }
        if clock.left(deadline).is_zero() {
            return Ok(None);
        }
        let payload = match i.checked_sub(windows.len()) {
            None => encoder.encode(std::slice::from_ref(window))?.into(),
            Some(earlier) => payloads[earlier].clone(),
        };
        payloads.push(payload);
        n_taken += window.num_rows();
    }
    Ok(Some((payloads, n_taken)))
}
