use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::TimestampMicrosecondType,
};
use tokio::sync::watch;

use super::freshness::{Freshness, QueryableRange, SentMessage};
use crate::{
    kafka::Delivered,
    load::{Block, LoadObserver, Stored},
    produce::ProduceObserver,
};

/// Bytes of messages that may be in the topic and not yet in the table. The embedded broker drops
/// the oldest of a partition above 5 MiB, read or not.
const MAX_UNLOADED_BYTES: usize = 3 << 20;

/// Hears how many rows have passed each stage; both methods do nothing unless overridden.
pub trait DemoObserver: Send + Sync + 'static {
    /// Rows in the topic so far.
    fn delivered(&self, n_rows: u64) {
        let _ = n_rows;
    }

    /// Rows in the table so far.
    fn loaded(&self, n_rows: u64) {
        let _ = n_rows;
    }
}

/// Follows every row from producer to loader, and keeps the one from running away from the other.
pub(crate) struct Watch {
    observer: Arc<dyn DemoObserver>,
    state: Mutex<State>,
    changed: Condvar,
    is_assigned: watch::Sender<bool>,
    n_loaded: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    first_batch: Option<RecordBatch>,
    sent: HashMap<u64, SentMessage>,
    placed: HashMap<(i32, i64), u64>,
    queryable: Vec<QueryableRange>,
    n_delivered_rows: u64,
    n_delivered_bytes: usize,
    n_loaded_bytes: usize,
    has_given_up: bool,
}

impl Watch {
    pub(crate) fn new(observer: Arc<dyn DemoObserver>) -> Self {
        Self {
            observer,
            state: Mutex::default(),
            changed: Condvar::new(),
            is_assigned: watch::Sender::new(false),
            n_loaded: watch::Sender::new(0),
        }
    }

    /// Ends when the loader has its partitions.
    pub(crate) async fn assigned(&self) {
        // The sender lives as long as we do.
        let _ = self.is_assigned.subscribe().wait_for(|is_assigned| *is_assigned).await;
    }

    /// Ends when so many rows are in the table.
    pub(crate) async fn loaded_all(&self, n_rows: u64) {
        let _ = self.n_loaded.subscribe().wait_for(|n_loaded| *n_loaded >= n_rows).await;
    }

    /// Lets the producer go on although nobody loads any more.
    pub(crate) fn give_up(&self) {
        self.lock().has_given_up = true;
        self.changed.notify_all();
    }

    pub(crate) fn freshness(&self) -> Freshness {
        let state = self.lock();
        Freshness::of(&state.sent, &state.placed, &state.queryable)
    }

    pub(crate) fn first_batch(&self) -> Option<RecordBatch> {
        self.lock().first_batch.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProduceObserver for Watch {
    fn sending(&self, ordinal: u64, batch: &RecordBatch, _: usize) {
        let times = batch.column_by_name("ts").and_then(|column| {
            column.as_primitive_opt::<TimestampMicrosecondType>().map(|ts| ts.values().to_vec())
        });
        let mut state = self.lock();
        state.first_batch.get_or_insert_with(|| batch.clone());
        state.sent.insert(ordinal, SentMessage { sampled_us: times.unwrap_or_default() });
        while state.n_delivered_bytes.saturating_sub(state.n_loaded_bytes) > MAX_UNLOADED_BYTES
            && !state.has_given_up
        {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn delivered(&self, ordinal: u64, message: Delivered) {
        let mut state = self.lock();
        state.placed.insert((message.partition, message.offset), ordinal);
        state.n_delivered_bytes += message.n_bytes;
        state.n_delivered_rows += message.n_rows as u64;
        self.observer.delivered(state.n_delivered_rows);
    }
}

impl LoadObserver for Watch {
    fn assigned(&self, _: &HashSet<i32>) {
        self.is_assigned.send_replace(true);
    }

    fn loaded(&self, block: &Block, stored: &Stored) {
        let now = SystemTime::now() - stored.queryable_at.elapsed();
        let at_us = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as i64;
        let mut state = self.lock();
        state.n_loaded_bytes += block.n_bytes;
        state.queryable.push(QueryableRange {
            partition: block.partition,
            first: block.first,
            last: block.last,
            at_us,
        });
        drop(state);
        self.changed.notify_all();
        self.n_loaded.send_modify(|n_loaded| *n_loaded += block.n_rows as u64);
        self.observer.loaded(*self.n_loaded.borrow());
    }
}
