//! Rows in, record batches out.

use std::{num::NonZeroUsize, time::Duration};

use arrow_array::RecordBatch;

/// Gathers rows of one kind into columns.
pub trait RowBuilder {
    /// One row.
    type Row;

    /// Raw Arrow bytes that `row` adds to a batch: its values and offsets, before compression.
    fn row_bytes(&self, row: &Self::Row) -> usize;

    /// Adds a row at the end.
    fn append(&mut self, row: &Self::Row);

    /// The rows gathered since the last call, in order, as one batch.
    fn finish(&mut self) -> RecordBatch;
}

/// When a batch is cut: at whichever limit it reaches first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most rows in a batch.
    pub n_rows: NonZeroUsize,
    /// Most raw bytes in a batch, as [`RowBuilder::row_bytes`] counts them. A row that is larger by
    /// itself makes a batch of one.
    pub n_bytes: NonZeroUsize,
    /// Longest time that a row waits for its batch to fill. Longer gives fuller batches, which
    /// compress better, and later rows.
    pub age: Duration,
}

/// Cuts a stream of rows into batches within [`BatchLimits`].
///
/// No row is lost, none comes twice, order is kept. Time is a parameter: `now` is a [`Duration`]
/// since any fixed moment, and never runs backwards. The caller asks [`Self::deadline`] how long it
/// may wait and then calls [`Self::poll`].
#[derive(Debug)]
pub struct MicroBatcher<B> {
    builder: B,
    limits: BatchLimits,
    n_rows: usize,
    n_bytes: usize,
    /// When the oldest row in the builder came.
    since: Option<Duration>,
}

impl<B: RowBuilder> MicroBatcher<B> {
    /// An empty batcher.
    pub fn new(builder: B, limits: BatchLimits) -> Self {
        Self { builder, limits, n_rows: 0, n_bytes: 0, since: None }
    }

    /// Adds a row; returns the batch that this completes, if it does.
    ///
    /// A row that no longer fits the byte limit completes the batch before it and starts the next.
    /// Where it also fills that next one alone, the next is due at once: [`Self::deadline`] says so.
    pub fn push(&mut self, row: &B::Row, now: Duration) -> Option<RecordBatch> {
        let row_bytes = self.builder.row_bytes(row);
        let overflows =
            self.n_rows > 0 && self.n_bytes.saturating_add(row_bytes) > self.limits.n_bytes.get();
        let before = if overflows { self.finish() } else { None };

        self.builder.append(row);
        self.n_rows += 1;
        self.n_bytes = self.n_bytes.saturating_add(row_bytes);
        self.since.get_or_insert(now);
        before.or_else(|| self.poll(now))
    }

    /// The batch that is due at `now`, if one is: full, or its oldest row as old as allowed.
    pub fn poll(&mut self, now: Duration) -> Option<RecordBatch> {
        self.deadline().filter(|deadline| *deadline <= now).and_then(|_| self.finish())
    }

    /// When [`Self::poll`] will have a batch if no more rows come; `None` while there are no rows.
    pub fn deadline(&self) -> Option<Duration> {
        let since = self.since?;
        let is_full =
            self.n_rows >= self.limits.n_rows.get() || self.n_bytes >= self.limits.n_bytes.get();
        Some(if is_full { since } else { since.saturating_add(self.limits.age) })
    }

    /// The rows held so far as a batch, whatever the limits; `None` if there are none.
    pub fn finish(&mut self) -> Option<RecordBatch> {
        self.since.take()?;
        self.n_rows = 0;
        self.n_bytes = 0;
        Some(self.builder.finish())
    }
}
