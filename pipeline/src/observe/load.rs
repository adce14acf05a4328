use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use prometheus_client::{encoding::text, registry::Registry};

use super::{
    clock::Now,
    health::{Behind, Readiness, Report},
    metrics::{CauseLabel, Gauged, Lag, LoadCollector, LoadGauges, LoadMetrics, registry},
    partition::Partition,
    server::Observed,
    status::{Line, LoadStatus, Recent},
};
use crate::load::{Block, LoadObserver, Received, Stored};

/// How often the broker is asked where partitions end.
const ENDS_INTERVAL: Duration = Duration::from_secs(1);

/// What a [`LoadWatch`] has to know of the run.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    /// The topic.
    pub topic: String,
    /// The consumer group.
    pub group: String,
    /// A partition that has something to load is stalled when nothing of it was loaded for so long.
    pub stall_after: Duration,
    /// How long a message may wait for others; this is no standstill, so it comes on top.
    pub block_age: Duration,
}

/// Keeps what `volley load` does, for whoever asks.
pub struct LoadWatch {
    metrics: LoadMetrics,
    registry: Registry,
    shared: Arc<Shared>,
}

/// What gauges are made of too, which the registry holds.
struct Shared {
    state: Mutex<State>,
    /// A partition is stalled after so long.
    stall_after: Duration,
    clock: Box<dyn Fn() -> Now + Send + Sync>,
}

#[derive(Default)]
struct State {
    partitions: BTreeMap<i32, Partition>,
    readiness: Readiness,
    /// When the broker said last where partitions end, or when there were none to ask about.
    heard_at: Option<Instant>,
    away: Option<Away>,
    n_inflight_bytes: usize,
    /// Of the block that was loaded last, seconds.
    freshness: Option<f64>,
}

/// ClickHouse does not take inserts.
struct Away {
    since: Instant,
    n_retries: u64,
    /// Of these partitions.
    partitions: HashSet<i32>,
}

impl LoadWatch {
    /// A watch that was told nothing yet.
    pub fn new(options: &WatchOptions) -> Self {
        Self::with_clock(options, Now::read)
    }

    fn with_clock(options: &WatchOptions, clock: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            stall_after: options.stall_after.saturating_add(options.block_age),
            clock: Box::new(clock),
        });
        let mut registry = registry();
        let labels = [("topic", &options.topic), ("group", &options.group)];
        let labels = labels.map(|(name, value)| (name.into(), value.clone().into()));
        let of_topic = registry.sub_registry_with_labels(labels.into_iter());
        let metrics = LoadMetrics::register(of_topic);
        of_topic.register_collector(Box::new(LoadCollector(shared.clone())));
        Self { metrics, registry, shared }
    }

    /// The line of status, which is made anew each time.
    pub(crate) fn status_line(self: Arc<Self>) -> impl FnMut() -> String + Send {
        let mut recent = Recent::default();
        move || {
            let status = self.status();
            let rate = recent.rate(self.now().instant, status.n_rows);
            Line(&status, rate).to_string()
        }
    }

    fn status(&self) -> LoadStatus {
        let now = self.now();
        let state = self.shared.lock();
        let total = |of: &dyn Fn(&Partition) -> Option<u64>| {
            state.partitions.values().map(of).sum::<Option<u64>>()
        };
        let ages = state.partitions.values().filter_map(|partition| partition.lag_seconds(now));
        LoadStatus {
            is_assigned: state.readiness.is_assigned,
            n_partitions: state.partitions.len(),
            n_rows: self.metrics.rows.get(),
            lag_messages: total(&Partition::lag_messages),
            lag_seconds: ages.reduce(f64::max),
            freshness_seconds: state.freshness,
            n_inflight_bytes: state.n_inflight_bytes as u64,
            away: state.away.as_ref().map(|Away { since, n_retries, .. }| {
                (now.instant.saturating_duration_since(*since), *n_retries)
            }),
            n_dead_letters: self.n_dead_letters(),
        }
    }

    fn n_dead_letters(&self) -> u64 {
        let of = |cause| self.metrics.dead_letters.get_or_create(&CauseLabel { cause }).get();
        crate::load::DEAD_LETTER_CAUSES.into_iter().map(of).sum()
    }

    fn now(&self) -> Now {
        (self.shared.clock)()
    }
}

impl fmt::Debug for LoadWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadWatch").finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// One that is ours, or about to be.
    fn partition(&mut self, partition: i32, now: Instant) -> &mut Partition {
        if self.partitions.is_empty() {
            self.heard_at = Some(now);
        }
        self.partitions.entry(partition).or_insert_with(|| Partition::new(now))
    }

    /// No insert of these partitions is tried again.
    fn no_longer_tried(&mut self, partitions: &HashSet<i32>) {
        self.away.take_if(|away| {
            away.partitions.retain(|partition| !partitions.contains(partition));
            away.partitions.is_empty()
        });
    }

    fn behind(&self, now: Instant) -> Vec<Behind> {
        let behind = |(partition, found): (&i32, &Partition)| {
            let stuck_for = found.stuck_for(now)?;
            let lag_messages = found.lag_messages();
            Some(Behind { partition: *partition, lag_messages, stuck_for })
        };
        self.partitions.iter().filter_map(behind).collect()
    }

    fn silent_for(&self, now: Instant) -> Option<Duration> {
        let heard_at = self.heard_at.filter(|_| !self.partitions.is_empty())?;
        Some(now.saturating_duration_since(heard_at))
    }

    fn rows_per_message(&self) -> f64 {
        let read = self.partitions.values().map(Partition::n_read);
        let (n_messages, n_rows) = read.fold((0, 0), |(messages, rows), (more, more_rows)| {
            (messages + more, rows + more_rows)
        });
        if n_messages == 0 { 0.0 } else { n_rows as f64 / n_messages as f64 }
    }
}

impl Gauged for Arc<Shared> {
    fn gauges(&self) -> LoadGauges {
        let now = (self.clock)();
        let state = self.lock();
        let rows_per_message = state.rows_per_message();
        let lag = |(partition, found): (&i32, &Partition)| Lag {
            partition: *partition,
            messages: found.lag_messages(),
            rows: found.lag_rows(rows_per_message),
            seconds: found.lag_seconds(now),
        };
        let behind = state.behind(now.instant);
        let stalled = behind.iter().filter(|found| found.stuck_for >= self.stall_after);
        LoadGauges {
            n_partitions: state.partitions.len() as u64,
            n_stalled_partitions: stalled.count() as u64,
            n_inflight_bytes: state.n_inflight_bytes as u64,
            is_clickhouse_up: state.readiness.is_connected && state.away.is_none(),
            lag: state.partitions.iter().map(lag).collect(),
        }
    }
}

impl Observed for LoadWatch {
    fn metrics(&self) -> Result<String, fmt::Error> {
        let mut written = String::new();
        text::encode(&mut written, &self.registry)?;
        Ok(written)
    }

    fn health(&self) -> Report {
        let now = self.now().instant;
        let state = self.shared.lock();
        Report::health(&state.behind(now), state.silent_for(now), self.shared.stall_after)
    }

    fn readiness(&self) -> Report {
        Report::readiness(self.shared.lock().readiness)
    }
}

impl LoadObserver for LoadWatch {
    fn ends_interval(&self) -> Option<Duration> {
        Some(ENDS_INTERVAL)
    }

    fn connected(&self) {
        self.shared.lock().readiness.is_connected = true;
    }

    fn assigned(&self, partitions: &HashSet<i32>) {
        self.metrics.rebalances.inc();
        let now = self.now().instant;
        let mut state = self.shared.lock();
        state.readiness.is_assigned = true;
        for partition in partitions {
            state.partition(*partition, now);
        }
    }

    fn lost(&self, partitions: &HashSet<i32>) {
        self.metrics.rebalances.inc();
        let mut state = self.shared.lock();
        state.partitions.retain(|partition, _| !partitions.contains(partition));
        // Whoever has them now finds out.
        state.no_longer_tried(partitions);
    }

    fn resumed(&self, partition: i32, offset: i64) {
        let now = self.now().instant;
        let mut state = self.shared.lock();
        // It comes before the partition is ours.
        state.partition(partition, now).resumed(offset);
    }

    fn received(&self, partition: i32, message: Received) {
        let now = self.now().instant;
        if let Some(found) = self.shared.lock().partitions.get_mut(&partition) {
            found.received(message, now);
        }
    }

    fn reached_end(&self, partition: i32) {
        let now = self.now().instant;
        if let Some(found) = self.shared.lock().partitions.get_mut(&partition) {
            found.reached_end(now);
        }
    }

    fn ends(&self, ends: &[(i32, i64)], asked_at: Instant) {
        let now = self.now().instant;
        let mut state = self.shared.lock();
        state.heard_at = Some(now);
        for (partition, end) in ends {
            if let Some(found) = state.partitions.get_mut(partition) {
                found.ends_at(*end, asked_at, now);
            }
        }
    }

    fn retrying(&self, partition: i32) {
        self.metrics.retries.inc();
        let since = self.now().instant;
        let mut state = self.shared.lock();
        let new = || Away { since, n_retries: 0, partitions: HashSet::new() };
        let away = state.away.get_or_insert_with(new);
        away.n_retries += 1;
        away.partitions.insert(partition);
    }

    fn loaded(&self, block: &Block, stored: &Stored) {
        let now = self.now();
        let queryable_us = now.unix_us_at(stored.queryable_at);
        let loaded = {
            let mut state = self.shared.lock();
            let found = state.partitions.get_mut(&block.partition);
            let loaded = found.map(|found| found.loaded(block.last, now.instant));
            let loaded = loaded.unwrap_or_default();
            // One of no rows asks nothing of ClickHouse.
            if block.n_rows > 0 {
                state.away = None;
            }
            let oldest = loaded.iter().filter_map(|message| message.oldest_us).min();
            let age = oldest.map(|oldest_us| seconds_between(oldest_us, queryable_us));
            state.freshness = age.or(state.freshness);
            loaded
        };
        for oldest_us in loaded.iter().filter_map(|message| message.oldest_us) {
            self.metrics.freshness_seconds.observe(seconds_between(oldest_us, queryable_us));
        }
        self.metrics.rows.inc_by(block.n_rows as u64);
        self.metrics.messages.inc_by(block.n_loaded());
        self.metrics.bytes.inc_by(block.n_bytes as u64);
        if block.n_rows > 0 {
            self.metrics.inserts.inc();
            self.metrics.inserts_reencoded.inc_by(u64::from(stored.is_reencoded));
            self.metrics.insert_seconds.observe(stored.took.as_secs_f64());
            self.metrics.block_rows.observe(block.n_rows as f64);
        }
    }

    fn dead_letter(&self, partition: i32, offset: i64, cause: &'static str) {
        self.metrics.dead_letters.get_or_create(&CauseLabel { cause }).inc();
        if let Some(found) = self.shared.lock().partitions.get_mut(&partition) {
            found.put_aside(offset);
        }
    }

    fn skipped(&self, block: &Block) {
        let now = self.now().instant;
        let mut state = self.shared.lock();
        if let Some(found) = state.partitions.get_mut(&block.partition) {
            found.loaded(block.last, now);
        }
        state.no_longer_tried(&HashSet::from([block.partition]));
    }

    fn in_flight(&self, n_bytes: usize) {
        self.shared.lock().n_inflight_bytes = n_bytes;
    }

    fn commit_failed(&self) {
        self.metrics.commit_failures.inc();
    }
}

/// Zero where the clocks of two machines put the end before the start.
fn seconds_between(start_us: i64, end_us: i64) -> f64 {
    end_us.saturating_sub(start_us).max(0) as f64 / 1e6
}

#[cfg(test)]
mod tests;
