//! A topic into a table: messages to blocks, blocks to inserts, and only then commits.
//!
//! ```text
//!  consumer ──message──▶ BlockPlanner ──Block──▶ lane of its partition ──▶ Inserter ──▶ commit
//! ```
//!
//! A lane has one insert at a time, so offsets are committed in order; lanes run beside each other.

mod block;
mod body;
mod consumer;
mod inserter;
mod lanes;
mod options;
mod run;
mod schemas;

pub use block::{Block, BlockLimits, BlockPlanner, Message};
pub use options::{LoadError, LoadObserver, LoadOptions, LoadSummary, NoObserver};
pub use run::load;
