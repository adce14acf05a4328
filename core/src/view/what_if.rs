//! A table written otherwise: what each codec, number of rows in a batch and form of text would take.
//!
//! The points, what they take and the choice are [`tune`](crate::tune)'s: what it says here is what
//! `volley tune` says of the same rows.

use std::time::Duration;

use arrow_array::RecordBatch;
use serde::Serialize;

use super::{ExportError, View};
use crate::{
    encode::{EncodeError, Encoder},
    tune::{
        Clock, Goal, Interval, MeasureError, Measured, Objection, Objective, Point, Sample,
        SampleError, Search, Size, Space, command, front, measure, reason, settings,
    },
};

/// Most rows that are measured, the first of a table: enough for batches of 50,000.
const MAX_ROWS: usize = 100_000;
/// Bytes of them in memory that are enough.
const MAX_BYTES: usize = 1 << 26;

/// Why a table cannot be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WhatIfError {
    /// Its rows cannot be read.
    #[error(transparent)]
    Rows(#[from] ExportError),
    /// Its rows are no sample.
    #[error(transparent)]
    Sample(#[from] SampleError),
    /// Its rows cannot be written and read again.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// The same.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Measures the first rows of a table, a little with each step.
#[derive(Debug)]
pub struct WhatIf {
    table: usize,
    budget: Duration,
    /// Batches that were read, until they are a sample.
    batches: Vec<RecordBatch>,
    measuring: Option<Measuring>,
    is_done: bool,
}

#[derive(Debug)]
struct Measuring {
    sample: Sample,
    search: Search,
    raw_bytes_per_row: f64,
}

/// What is known so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WhatIfReport {
    /// Rows that are measured; 0 while they are read.
    pub rows: usize,
    /// Points that there are.
    pub candidates: usize,
    /// Those that were measured, in the order in which they were first.
    pub points: Vec<WhatIfPoint>,
    /// The point to take; `None` where none will do.
    pub choice: Option<WhatIfChoice>,
    /// Columns that are dictionary-encoded where a point has dictionaries.
    pub dictionary_columns: Vec<String>,
    /// Whether nothing more will come.
    pub is_done: bool,
}

/// One point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WhatIfPoint {
    /// The point.
    pub point: Point,
    /// What its payloads take: the same on every machine, lz4 apart.
    pub size: Size,
    /// Encoding, ns a row.
    pub encode_ns: Option<Interval>,
    /// Checking and decoding, ns a row.
    pub decode_ns: Option<Interval>,
    /// Whether no other has both fewer bytes and less encoding and decoding.
    pub is_front: bool,
    /// Why it will not do.
    pub objection: Option<Objection>,
    /// What to paste.
    pub command: String,
}

/// The point to take.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WhatIfChoice {
    /// Its place in [`WhatIfReport::points`].
    pub index: usize,
    /// Why this one.
    pub reason: String,
}

impl WhatIf {
    /// Of the table at an index, for as long as `budget` at most.
    pub fn new(table: usize, budget: Duration) -> Self {
        Self { table, budget, batches: Vec::new(), measuring: None, is_done: false }
    }

    /// Goes on for `slice`, or a batch or a trial longer.
    ///
    /// # Errors
    ///
    /// [`WhatIfError`]; then there is nothing to go on with.
    pub fn step(
        &mut self,
        view: &mut View,
        clock: &mut dyn Clock,
        slice: Duration,
    ) -> Result<(), WhatIfError> {
        let until = clock.wall().saturating_add(slice);
        while !self.is_done {
            match &mut self.measuring {
                None => self.read(view, clock)?,
                Some(measuring) => match measuring.search.next(clock.wall()) {
                    Some(task) => {
                        let trial = measure(&measuring.sample, task, clock)?;
                        measuring.search.record(task, trial);
                    }
                    None => self.is_done = true,
                },
            }
            if clock.wall() >= until {
                break;
            }
        }
        Ok(())
    }

    /// One more batch; a sample of all of them where there are enough.
    fn read(&mut self, view: &mut View, clock: &mut dyn Clock) -> Result<(), WhatIfError> {
        let n_rows: usize = self.batches.iter().map(RecordBatch::num_rows).sum();
        let n_bytes: usize = self.batches.iter().map(RecordBatch::get_array_memory_size).sum();
        if n_rows < MAX_ROWS
            && n_bytes < MAX_BYTES
            && let Some(batch) = view.record_batch(self.table, self.batches.len())?
        {
            self.batches.push(batch.slice(0, batch.num_rows().min(MAX_ROWS - n_rows)));
            return Ok(());
        }
        let sample = Sample::new(&std::mem::take(&mut self.batches))?;
        let mut space = Space::of(&sample);
        if sample.has_repeating_text() {
            space = space.with_dictionaries();
        }
        let search = Search::sweep(space, Goal::default(), self.budget, clock.wall());
        let raw_bytes_per_row = sample.raw_bytes_per_row();
        self.measuring = Some(Measuring { sample, search, raw_bytes_per_row });
        Ok(())
    }

    /// What is known so far, and the choice by an objective.
    pub fn report(&self, objective: Objective) -> WhatIfReport {
        let Some(Measuring { sample, search, raw_bytes_per_row }) = &self.measuring else {
            return WhatIfReport::default();
        };
        let goal = Goal { objective, ..*search.goal() };
        let measured: Vec<&Measured> = search.points().collect();
        let will_do = |point: &&Measured| goal.objection(point).is_none();
        let mut fronts =
            front(&measured.iter().copied().filter(will_do).collect::<Vec<_>>()).into_iter();
        let points = measured.iter().map(|point| {
            let objection = goal.objection(point);
            WhatIfPoint {
                point: point.point,
                size: point.size,
                encode_ns: point.encode.interval(),
                decode_ns: point.decode.interval(),
                is_front: objection.is_none() && fronts.next().unwrap_or_default(),
                objection,
                command: command(&settings(&goal, &point.point, *raw_bytes_per_row)),
            }
        });
        let default = measured.iter().copied().find(|point| point.point == Point::default());
        let choice = goal.recommend(search.points()).map(|chosen| WhatIfChoice {
            index: measured
                .iter()
                .position(|point| point.point == chosen.measured.point)
                .unwrap_or_default(),
            reason: reason(&goal, &chosen, default),
        });
        let encoded = sample.schema(&Point { dictionary: true, ..Point::default() });
        let plain = sample.rows().schema();
        let pairs = encoded.fields().iter().zip(plain.fields());
        let changed = pairs.filter(|(encoded, plain)| encoded != plain);
        WhatIfReport {
            rows: sample.rows().num_rows(),
            candidates: search.space().len(),
            points: points.collect(),
            choice,
            dictionary_columns: changed.map(|(field, _)| field.name().clone()).collect(),
            is_done: self.is_done,
        }
    }

    /// The first message of a point that was measured: a payload of its rows.
    ///
    /// # Errors
    ///
    /// [`EncodeError`].
    pub fn message(&self, index: usize) -> Result<Option<Vec<u8>>, EncodeError> {
        let Some(Measuring { sample, search, .. }) = &self.measuring else { return Ok(None) };
        let Some(Measured { point, .. }) = search.points().nth(index) else { return Ok(None) };
        let windows = sample.windows(point)?;
        let mut encoder = Encoder::new(sample.schema(point), point.options())?;
        encoder.encode(windows.get(..1).unwrap_or_default()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Array as _, Int64Array, StringArray};

    use super::*;
    use crate::{codec::CodecOptions, decode::decode, encode::encode, view::tests::golden};

    /// Each look takes 3 ms, so that one pass is a trial.
    struct Ticking(u64);

    impl Clock for Ticking {
        fn wall(&mut self) -> Duration {
            self.0 += 3;
            Duration::from_millis(self.0)
        }
    }

    fn batch(from: i64, n_rows: i64) -> RecordBatch {
        let rows = from..from + n_rows;
        let words = rows.clone().map(|i| (i % 7 != 3).then(|| format!("word-{}", i % 5)));
        let ids = rows.clone().map(|i| Some(format!("id-{}", i * i % 997)));
        RecordBatch::try_from_iter_with_nullable([
            ("n", Arc::new(Int64Array::from_iter_values(rows)) as _, false),
            ("word", Arc::new(words.collect::<StringArray>()) as _, true),
            ("id", Arc::new(ids.collect::<StringArray>()) as _, false),
        ])
        .unwrap()
    }

    fn view(batches: &[RecordBatch]) -> View {
        let mut encoder = Encoder::new(batches[0].schema(), CodecOptions::default()).unwrap();
        View::open(encoder.encode(batches).unwrap(), None).unwrap()
    }

    const LONG: Duration = Duration::from_secs(3_000_000);

    /// Until there is nothing left, or every point was measured once.
    fn run(view: &mut View, table: usize, budget: Duration) -> Result<WhatIf, WhatIfError> {
        let (mut what_if, mut clock) = (WhatIf::new(table, budget), Ticking(0));
        loop {
            what_if.step(view, &mut clock, Duration::ZERO)?;
            let report = what_if.report(Objective::Bytes);
            let is_whole = report.candidates > 0 && report.points.len() == report.candidates;
            if what_if.is_done || is_whole {
                return Ok(what_if);
            }
        }
    }

    /// What the page says of sizes is what messages of `volley produce` take.
    #[test]
    fn sizes_are_those_of_the_encoder() {
        let rows = batch(0, 600);
        let mut view = view(&[rows.slice(0, 250), rows.slice(250, 350)]);
        let what_if = run(&mut view, 0, LONG).unwrap();
        let report = what_if.report(Objective::Bytes);
        assert_eq!((report.rows, report.candidates), (600, 5 * 7 * 2));
        assert_eq!(report.dictionary_columns, ["word"]);
        for (index, found) in report.points.iter().enumerate() {
            let first = what_if.message(index).unwrap().unwrap();
            assert!(first.len() <= found.size.largest);
            let n_rows = found.point.rows;
            let read = decode(&first).unwrap();
            assert_eq!(read[0].column(0), &rows.slice(0, n_rows).column(0).clone());
            if found.point.dictionary {
                assert!(read[0].column(1).as_any().downcast_ref::<StringArray>().is_none());
                continue;
            }
            let by_hand = |at| encode(&rows.slice(at, n_rows), found.point.options()).unwrap();
            assert_eq!(first, by_hand(0), "{}", found.point);
            if n_rows == 200 {
                let payloads = [0, 200, 400].map(by_hand);
                let bytes = payloads.iter().map(Vec::len).sum::<usize>() as u64;
                let largest = payloads.iter().map(Vec::len).max().unwrap();
                assert_eq!(found.size, Size { rows: 600, bytes, largest }, "{}", found.point);
            }
        }
        assert_eq!(what_if.message(report.points.len()).unwrap(), None);
    }

    #[test]
    fn the_choice_follows_the_objective_and_is_ready_to_paste() {
        let mut view = view(&[batch(0, 600)]);
        let what_if = run(&mut view, 0, LONG).unwrap();
        let report = what_if.report(Objective::Bytes);
        let chosen = &report.points[report.choice.as_ref().unwrap().index];
        let fewest = report.points.iter().map(|p| p.size.bytes_per_row()).fold(f64::MAX, f64::min);
        assert!(chosen.size.bytes_per_row() <= fewest * 1.02);
        let flags =
            format!("--rows-per-batch {} --codec {}", chosen.point.rows, chosen.point.codec);
        assert_eq!(chosen.command, format!("volley produce {flags}"));
        assert!(report.points.iter().any(|p| p.is_front));
        // Each payload takes a look, so that work falls with rows.
        let quick = what_if.report(Objective::Cpu);
        let chosen = &quick.points[quick.choice.unwrap().index];
        assert_eq!(chosen.point.rows, 200, "{}", chosen.point);
    }

    #[test]
    fn a_step_ends_with_its_slice_and_all_of_it_with_the_budget() {
        let mut view = view(&[batch(0, 40), batch(40, 40)]);
        let (mut what_if, mut clock) = (WhatIf::new(0, Duration::from_secs(2)), Ticking(0));
        let mut seen = 0;
        for step in 0.. {
            what_if.step(&mut view, &mut clock, Duration::ZERO).unwrap();
            let report = what_if.report(Objective::Balanced);
            // Two batches are read, then they become a sample.
            assert_eq!(report.rows, if step < 2 { 0 } else { 80 });
            assert!(report.points.len() <= seen + 1);
            seen = report.points.len();
            if report.is_done {
                break;
            }
        }
        assert!(seen > 3 && clock.0 < 2200, "{seen} points in {} ms", clock.0);
        what_if.step(&mut view, &mut clock, LONG).unwrap();
    }

    #[test]
    fn what_cannot_be_measured_says_why() {
        let check = |view: &mut View, expected: &str| {
            let error = run(view, 0, LONG).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&mut View::open(b"no arrow".to_vec(), None).unwrap(), "no such table");
        check(&mut view(&[batch(0, 0)]), "there are no rows to measure");
        let payload = encode(&batch(0, 600), CodecOptions::default()).unwrap();
        let cut = payload[..payload.len() / 2].to_vec();
        check(&mut View::open(cut, None).unwrap(), "cannot be read at byte");
    }

    /// Columns of every type, by other writers: measured or refused, never a panic.
    #[test]
    fn tables_of_any_type_are_measured() {
        let mut n_measured = 0;
        for (name, payload) in golden() {
            let mut view = View::open(payload, None).unwrap();
            for table in 0..view.tables.len() {
                match run(&mut view, table, LONG) {
                    Ok(what_if) => {
                        n_measured += what_if.report(Objective::Balanced).points.len();
                    }
                    Err(WhatIfError::Sample(_)) => {}
                    Err(error) => panic!("{name}: {error}"),
                }
            }
        }
        assert!(n_measured > 100, "{n_measured}");
    }
}
