//! Holding back, noticing that there is nothing more, and finishing.

use std::{
    collections::{BTreeMap, HashSet},
    time::{Duration, Instant},
};

use super::{
    super::{
        LoadError,
        consumer::Consumer,
        positions::Bound,
        timeouts::{ASK_PAUSE, LAST_COMMITS},
    },
    Loading,
};

impl Loading {
    /// Stops and starts fetching, so that no more than the allowed bytes are held, and nothing more of
    /// partitions whose inserts fail. True where that has cut blocks.
    pub(super) fn throttle(&mut self, consumer: &Consumer) -> Result<bool, LoadError> {
        self.observer.in_flight(self.n_inflight_bytes);
        let failing_bytes = self.lanes.n_failing_bytes();
        let all = self.options.max_inflight_bytes;
        // What fails for long must not leave nothing for the others.
        let limit = all.saturating_sub(failing_bytes).max(all / 8);
        let bytes = self.n_inflight_bytes.saturating_sub(failing_bytes);
        self.is_full = bytes > if self.is_full { limit / 2 } else { limit };
        let mut held: HashSet<i32> = if self.is_full {
            self.lanes.partitions().collect()
        } else {
            self.lanes.failing().collect()
        };
        let is_past = |(partition, next, _): (i32, Option<i64>, bool)| {
            next.is_some_and(|next| self.is_past_bound(consumer, partition, next))
                .then_some(partition)
        };
        held.extend(self.lanes.positions().filter_map(is_past));
        // A block that must be formed again needs its messages, however many they are.
        for partition in self.planner.resuming() {
            held.remove(&partition);
        }
        held.extend(self.leaving.iter().flat_map(|leaving| &leaving.partitions));
        if held == self.held {
            return Ok(false);
        }
        let [stop, go_on] = [&held - &self.held, &self.held - &held];
        consumer.hold(&stop, &go_on).map_err(|error| consumer.error("pausing", error))?;
        tracing::debug!(held = held.len(), bytes = self.n_inflight_bytes, "bytes in flight");
        // A block that no further message can fill is due now.
        let open = self.planner.finish_of(&stop);
        let has_cut = !open.is_empty();
        self.queue(open);
        self.held = held;
        Ok(has_cut)
    }

    /// Whether a message is behind the end of the run. One that belongs to a block that was begun is not.
    pub(super) fn is_past_bound(&self, consumer: &Consumer, partition: i32, offset: i64) -> bool {
        // A partition that was added since is not part of the run.
        let is_past = |bounds: &BTreeMap<i32, Bound>| {
            bounds.get(&partition).is_none_or(|bound| offset >= bound.offset)
        };
        consumer.bounds().is_some_and(is_past) && !self.planner.is_resuming(partition)
    }

    /// Whether this member has read and stored all of its partitions up to the end of the run; one that
    /// has no partitions, whether the group has committed all of them.
    pub(super) async fn is_at_bounds(&mut self, consumer: &Consumer) -> Result<bool, LoadError> {
        let Some(bounds) = consumer.bounds().filter(|_| self.is_assigned) else {
            return Ok(false);
        };
        if self.ask_again.is_some_and(|at| Instant::now() < at) {
            return Ok(false);
        }
        self.ask_again = None;
        let mut has_partitions = false;
        for (partition, next, is_at_end) in self.lanes.positions() {
            has_partitions = true;
            let Some(bound) = bounds.get(&partition) else { continue };
            let is_past = next.is_some_and(|next| next >= bound.offset);
            // What was there when the run started is before any end that was seen since.
            let is_done = is_past || (is_at_end && bound.is_there);
            if !is_done || self.planner.is_resuming(partition) {
                return Ok(false);
            }
        }
        if has_partitions {
            // Nothing more can fill what is open.
            let open = self.planner.finish();
            self.queue(open);
            self.advance(consumer).await;
            return Ok(self.lanes.are_done());
        }
        let is_done = consumer.is_committed_to_bounds().await?;
        if !is_done {
            self.ask_again = Some(Instant::now() + ASK_PAUSE);
        }
        Ok(is_done)
    }

    pub(super) async fn is_idle(&mut self, consumer: &Consumer) -> Result<bool, LoadError> {
        let Some(until_idle) = self.options.until_idle else {
            return Ok(false);
        };
        if self.last_activity.elapsed() < until_idle {
            return Ok(false);
        }
        let seems_idle = self.is_assigned && self.lanes.are_idle() && self.planner.is_empty();
        // A broker that is away looks like one without messages, so it is asked.
        if seems_idle && consumer.is_at_end(self.lanes.next_offsets()).await? {
            return Ok(true);
        }
        // Look again after a moment, not at once.
        self.last_activity =
            Instant::now() - until_idle + until_idle.min(Duration::from_millis(100));
        Ok(false)
    }

    /// Waits for the inserts under way and, if `with_waiting`, for those queued behind them.
    pub(super) async fn drain(
        &mut self,
        consumer: &Consumer,
        with_waiting: bool,
    ) -> Result<(), LoadError> {
        let mut result = Ok(());
        let mut give_up_at = None;
        self.is_draining = true;
        if !with_waiting {
            self.summary.messages_left += self.lanes.clear_waiting();
        }
        loop {
            // A commit may wait for a broker that is away.
            let began = Instant::now();
            self.advance(consumer).await;
            if let Some(done) = self.inserts.join_next().await {
                let finished = self.finish_insert(done);
                if finished.is_err() {
                    self.summary.messages_left += self.lanes.clear_waiting();
                }
                result = result.and(finished);
                give_up_at = None;
                continue;
            }
            match self.commit_again {
                Some(again) if Instant::now() < *give_up_at.get_or_insert(began + LAST_COMMITS) => {
                    tokio::time::sleep_until(again.into()).await;
                }
                None if !self.lanes.commits().is_empty() => {}
                _ => {
                    self.summary.messages_left += self.lanes.clear_waiting();
                    return result;
                }
            }
        }
    }
}
