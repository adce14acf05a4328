//! A loader that runs beside the test.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use tokio::{task::JoinHandle, time::timeout};
use volley::{
    load::{Block, LoadError, LoadObserver, LoadOptions, LoadSummary, Stored, load},
    shutdown::{Shutdown, ShutdownTrigger},
};

use crate::{PATIENCE, Stack, eventually};

/// A `load` that is under way.
#[derive(Debug)]
pub struct Loader<'a> {
    stack: &'a Stack<'a>,
    trigger: ShutdownTrigger,
    handle: JoinHandle<Result<LoadSummary, LoadError>>,
    seen: Arc<Seen>,
}

impl<'a> Loader<'a> {
    pub(crate) fn start(stack: &'a Stack<'a>, options: LoadOptions) -> Self {
        let (trigger, shutdown) = Shutdown::new();
        let seen = Arc::new(Seen::default());
        let options = LoadOptions { until_idle: None, ..options };
        let handle = stack.runtime.spawn(load(options, shutdown, seen.clone()));
        Self { stack, trigger, handle, seen }
    }

    /// Rows that it has inserted so far.
    pub fn n_rows(&self) -> u64 {
        self.seen.n_rows.load(Ordering::Acquire)
    }

    /// Waits until the group has given it a partition.
    #[track_caller]
    pub fn wait_for_partitions(&self) {
        eventually("a partition for the loader", || {
            (self.seen.n_gained.load(Ordering::Acquire) > 0).then_some(())
        });
    }

    /// Waits until it has inserted at least so many rows.
    #[track_caller]
    pub fn wait_for_rows(&self, n_rows: u64) {
        eventually("the loader's rows", || {
            assert!(!self.handle.is_finished(), "the loader ended early");
            (self.n_rows() >= n_rows).then_some(())
        });
    }

    /// Waits for the end that its options say.
    pub fn wait(self) -> LoadSummary {
        self.end()
    }

    /// Stops it as Ctrl-C does, and waits for its end.
    pub fn stop(self) -> LoadSummary {
        self.trigger.request();
        self.end()
    }

    /// One that never ends fails its test, and does not hold up the suite.
    fn end(self) -> LoadSummary {
        let ended = self.stack.runtime.block_on(async { timeout(5 * PATIENCE, self.handle).await });
        ended.expect("a loader that ends").unwrap().unwrap()
    }
}

#[derive(Debug, Default)]
struct Seen {
    n_rows: AtomicU64,
    n_gained: AtomicUsize,
}

impl LoadObserver for Seen {
    fn assigned(&self, partitions: &HashSet<i32>) {
        self.n_gained.fetch_add(partitions.len(), Ordering::Release);
    }

    fn loaded(&self, block: &Block, _: &Stored) {
        self.n_rows.fetch_add(block.n_rows as u64, Ordering::Release);
    }
}
