//! Which batch size and codec suit some rows: measured, not guessed.
//!
//! A [`Sample`] is the rows. A [`Search`] over a [`Space`] of [`Point`]s hands out what to measure
//! next, [`measure()`] encodes and decodes windows of the rows, and the search takes the [`Trial`]
//! until the intervals are tight or the budget is spent. A [`Goal`] turns measurements into one cost
//! and picks one point.
//!
//! ```text
//! Search::next ──Task──▶ measure(Sample, Clock) ──Trial──▶ Search::record ──▶ Goal::recommend
//! ```
//!
//! Sizes depend on the rows and the point alone: they are the same on every machine and in a
//! browser, but for lz4, which finds other matches where pointers have 32 bits. Times come from the [`Clock`] that the caller brings. The units are bytes a row and ns a
//! row, everywhere.
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! # use arrow_array::{Int64Array, RecordBatch};
//! use volley_core::tune::{Clock, Goal, Objective, Sample, Search, Space, measure};
//!
//! struct Stopped;
//! impl Clock for Stopped {
//!     fn wall(&mut self) -> Duration {
//!         Duration::ZERO
//!     }
//! }
//!
//! let column = Arc::new(Int64Array::from_iter_values(0..1000)) as _;
//! let rows = RecordBatch::try_from_iter([("n", column)])?;
//! let sample = Sample::new(&[rows])?;
//! let goal = Goal { objective: Objective::Bytes, ..Goal::default() };
//! let mut search = Search::new(Space::of(&sample), goal, Duration::from_secs(1), Duration::ZERO);
//! while let Some(task) = search.next(Duration::ZERO) {
//!     search.record(task, measure(&sample, task, &mut Stopped)?);
//! }
//! let recommendation = search.recommend().expect("everything fits a message");
//! assert_eq!(recommendation.measured.point.rows, 500);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod goal;
mod interval;
mod measure;
mod point;
mod reason;
mod sample;
mod search;
mod settings;

pub use self::{
    goal::{
        BYTE_NS, Goal, Measured, Objection, Objective, ParseObjectiveError, Recommendation,
        TOLERANCE, front,
    },
    interval::{Interval, Samples},
    measure::{Clock, MeasureError, Task, Trial, measure},
    point::{Point, Space, ladder},
    reason::reason,
    sample::{DictionarySaving, Sample, SampleError, Size},
    search::Search,
    settings::{Setting, command, settings},
};
