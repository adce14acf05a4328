//! A topic into a table: messages to blocks, blocks to inserts, and only then commits.
//!
//! ```text
//!  consumer ──message──▶ BlockPlanner ──Block──▶ lane of its partition ──▶ Inserter ──▶ commit
//! ```
//!
//! A lane has one insert at a time, so offsets are committed in order; lanes run beside each other.

mod block;
mod body;
mod circuit;
mod consumer;
mod dead_letters;
mod ends;
mod inserter;
mod intent;
mod lanes;
mod observer;
mod options;
mod positions;
mod run;
mod schemas;
#[cfg(test)]
mod simulation;
mod table;
mod timeouts;

pub use block::{Block, BlockLimits, BlockPlanner, Message};
pub use intent::UnknownIntent;
pub use lanes::Delivery;
pub use observer::{DEAD_LETTER_CAUSES, LoadObserver, NoObserver, Received, Stored};
pub use options::{InsertProblem, LoadError, LoadOptions, LoadSummary, MessageProblem};
pub use positions::{Beginning, Ending, ParseBeginningError, ParseEndingError, PositionError};
pub use run::load;
