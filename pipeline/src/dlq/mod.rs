//! Dead letters: messages that could not be loaded, in a topic of their own.
//!
//! ```text
//!  dead-letter topic ──Reader──▶ Selection ──▶ list · show
//!                                          ├──▶ export ──▶ files
//!                                          └──▶ replay ──▶ the topic they come from
//!                                                     └──▶ receipts, beside the letters
//! ```
//!
//! The loader writes them; see its `DeadLetters` for their headers. Everything here reads the topic
//! to the end that it had in the beginning, without a consumer group. What was replayed is noted in
//! the same topic, by a *receipt* in the letter's partition: it lies behind the letter, so that
//! retention takes the letter first, and it does not expire as committed offsets do.

mod error;
mod export;
mod letter;
mod outbox;
mod reader;
mod replay;
mod selection;

pub(crate) use error::DlqError;
pub(crate) use export::export;
pub(crate) use letter::{Letter, LetterId, Origin, as_letter};
pub(crate) use reader::{Progress, Reader};
pub(crate) use replay::{ReplayOptions, ReplaySummary, replay};
pub(crate) use selection::{Filter, Found, LetterState, Selection};
