//! Decoded columns and dictionaries, kept while there is room.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use super::Fault;

/// Bytes of decoded columns that are kept.
const ROOM: usize = 1 << 28;
/// Sets of dictionaries that are kept: scrolling goes over one batch after another.
const SETS: usize = 4;

/// The dictionaries of a batch by their ids.
pub(super) type Dictionaries = Arc<HashMap<i64, ArrayRef>>;

/// What was used last is kept longest.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// By message and position; the one used last at the end.
    columns: VecDeque<((usize, usize), Result<ArrayRef, Fault>)>,
    bytes: usize,
    /// By the messages they were read from.
    sets: VecDeque<(Vec<usize>, Dictionaries)>,
}

impl Cache {
    pub(super) fn column(
        &mut self,
        message: usize,
        position: usize,
    ) -> Option<Result<ArrayRef, Fault>> {
        let at = self.columns.iter().rposition(|(key, _)| *key == (message, position))?;
        let entry = self.columns.remove(at)?;
        let column = entry.1.clone();
        self.columns.push_back(entry);
        Some(column)
    }

    /// Keeps a column. The one kept last always stays, however large.
    pub(super) fn keep_column(
        &mut self,
        message: usize,
        position: usize,
        column: Result<ArrayRef, Fault>,
    ) {
        self.bytes += size(&column);
        self.columns.push_back(((message, position), column));
        while self.bytes > ROOM && self.columns.len() > 1 {
            if let Some((_, dropped)) = self.columns.pop_front() {
                self.bytes -= size(&dropped);
            }
        }
    }

    pub(super) fn dictionaries(&self, messages: &[usize]) -> Option<Dictionaries> {
        let set = self.sets.iter().find(|(key, _)| key == messages)?;
        Some(Arc::clone(&set.1))
    }

    pub(super) fn keep_dictionaries(&mut self, messages: Vec<usize>, set: Dictionaries) {
        if self.sets.len() == SETS {
            self.sets.pop_front();
        }
        self.sets.push_back((messages, set));
    }
}

/// With something for the entry itself, so that the number of entries is bounded too.
fn size(column: &Result<ArrayRef, Fault>) -> usize {
    1024 + column.as_ref().map_or(0, Array::get_array_memory_size)
}
