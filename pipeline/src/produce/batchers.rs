use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use arrow::array::RecordBatch;
use volley_core::{
    batcher::{BatchLimits, MicroBatcher},
    host::{HostBuilder, HostSample, MetricSet},
};

use super::{MessageKey, ProduceOptions};

/// A batch and the key of its message.
pub(super) type Cut = (Option<Arc<str>>, RecordBatch);

/// One batcher for each key, or one for all.
pub(super) struct Batchers {
    metrics: MetricSet,
    limits: BatchLimits,
    key: MessageKey,
    by_key: HashMap<Option<Arc<str>>, MicroBatcher<HostBuilder>>,
    /// Keys in the order in which their open batches began, which is the order in which these fall
    /// due. An entry whose batch has left since is skipped when its turn comes.
    began: VecDeque<(Duration, Option<Arc<str>>)>,
}

impl Batchers {
    pub(super) fn new(options: &ProduceOptions) -> Self {
        Self {
            metrics: options.metrics,
            limits: options.limits,
            key: options.key,
            by_key: HashMap::new(),
            began: VecDeque::new(),
        }
    }

    pub(super) fn push(&mut self, row: &HostSample, now: Duration, cut: &mut Vec<Cut>) {
        let key = match self.key {
            MessageKey::Device => Some(row.device.clone()),
            MessageKey::None => None,
        };
        let batcher = self.by_key.entry(key.clone()).or_insert_with(|| {
            // More is grown into: a limit may be far above what a batch ever holds.
            let capacity = self.limits.n_rows.get().min(16_384);
            MicroBatcher::new(HostBuilder::new(self.metrics, capacity), self.limits)
        });
        let was_empty = batcher.deadline().is_none();
        let full = batcher.push(row, now);
        let is_new = (was_empty || full.is_some()) && batcher.deadline().is_some();
        cut.extend(full.map(|batch| (key.clone(), batch)));
        // A row that fills the next batch alone makes it due at once.
        cut.extend(batcher.poll(now).map(|batch| (key.clone(), batch)));
        if is_new && batcher.deadline().is_some() {
            self.began.push_back((now, key));
        }
    }

    /// Cuts every batch whose oldest row is as old as allowed.
    pub(super) fn poll(&mut self, now: Duration, cut: &mut Vec<Cut>) {
        while let Some((began, _)) = self.began.front() {
            if began.saturating_add(self.limits.age) > now {
                return;
            }
            let Some((_, key)) = self.began.pop_front() else {
                return;
            };
            if let Some(batch) = self.by_key.get_mut(&key).and_then(|batcher| batcher.poll(now)) {
                cut.push((key, batch));
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.began.front().map(|(began, _)| began.saturating_add(self.limits.age))
    }

    pub(super) fn finish(&mut self, cut: &mut Vec<Cut>) {
        for (key, batcher) in &mut self.by_key {
            cut.extend(batcher.finish().map(|batch| (key.clone(), batch)));
        }
        self.began.clear();
    }
}
