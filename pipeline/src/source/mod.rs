//! Where rows come from.

mod host;
mod sampler;
mod synthetic;

use std::time::Instant;

use volley_core::host::HostSample;

pub use host::{HostOptions, HostSource};
pub use synthetic::{SyntheticOptions, SyntheticSource};

/// Most rows that one pull brings: enough to make its cost small, little enough to stay in cache.
const PULL_ROWS: usize = 1024;

/// This machine does not let itself be measured.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {reading} of this machine; try --source synthetic")]
#[non_exhaustive]
pub struct SourceError {
    /// What was to be read.
    pub reading: &'static str,
    /// Why not.
    pub source: sysinfo::Error,
}

/// What a pull brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// At least one row.
    Rows,
    /// The deadline came first.
    Deadline,
    /// No more rows will come.
    End,
}

/// Rows in order of time.
///
/// It lives on the thread that builds batches, and may make it wait for a row.
pub trait Source: Send {
    /// Appends the rows that are there, after waiting for the first one until `deadline`, or for
    /// ever without one.
    fn pull(&mut self, rows: &mut Vec<HostSample>, deadline: Option<Instant>) -> Pulled;

    /// Time spent on making rows so far, and samples left out.
    fn stats(&self) -> SourceStats;
}

/// How a source has been doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStats {
    /// Time spent on making rows, without waiting.
    pub busy: std::time::Duration,
    /// Samples that were due and not taken, because taking or sending them was slower.
    pub n_skipped: u64,
}
