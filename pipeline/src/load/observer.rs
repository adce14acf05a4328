use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use super::Block;

/// Hears of the run as it goes; every method does nothing unless overridden. They are called on the
/// run's own threads, so none may wait.
pub trait LoadObserver: Send + Sync + 'static {
    /// How often to ask the broker where the assigned partitions end, for [`Self::ends`]; never if
    /// `None`. Each time is one request to each broker.
    fn ends_interval(&self) -> Option<Duration> {
        None
    }

    /// ClickHouse has answered for the first time.
    fn connected(&self) {}

    /// The group has committed `offset` for a partition that is about to be assigned.
    fn resumed(&self, partition: i32, offset: i64) {
        let _ = (partition, offset);
    }

    /// The group gave this member these partitions beside those it has: messages from now on are read
    /// at once.
    fn assigned(&self, partitions: &HashSet<i32>) {
        let _ = partitions;
    }

    /// The group took these partitions away.
    fn lost(&self, partitions: &HashSet<i32>) {
        let _ = partitions;
    }

    /// A message was read; partition by partition in order of offset.
    fn received(&self, partition: i32, message: Received) {
        let _ = (partition, message);
    }

    /// There is no further message in a partition for now, or none that this run is to load.
    fn reached_end(&self, partition: i32) {
        let _ = partition;
    }

    /// Partitions, each with the offset behind its last message that this run is to load, as the broker answered a question of
    /// `asked_at`.
    fn ends(&self, ends: &[(i32, i64)], asked_at: Instant) {
        let _ = (ends, asked_at);
    }

    /// So many bytes of messages are held.
    fn in_flight(&self, n_bytes: usize) {
        let _ = n_bytes;
    }

    /// An insert of a partition failed in passing, and is sent again after a while.
    fn retrying(&self, partition: i32) {
        let _ = partition;
    }

    /// A block is in the table; its offsets are about to be committed. Of one whose messages are all
    /// among the dead letters, `n_rows` is 0 and nothing was inserted.
    fn loaded(&self, block: &Block, stored: &Stored) {
        let _ = (block, stored);
    }

    /// A message is among the dead letters. `cause` is one of [`DEAD_LETTER_CAUSES`].
    fn dead_letter(&self, partition: i32, offset: i64, cause: &'static str) {
        let _ = (partition, offset, cause);
    }

    /// ClickHouse refused the only message of a block, and it is among the dead letters; its offset is
    /// about to be committed.
    fn skipped(&self, block: &Block) {
        let _ = block;
    }

    /// Offsets could not be committed; that is tried again.
    fn commit_failed(&self) {}
}

/// What the header `volley-dlq-cause` of a dead letter says.
pub const DEAD_LETTER_CAUSES: [&str; 6] =
    ["no-value", "checksum", "damaged", "schema", "values", "refused"];

/// A message that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its offset.
    pub offset: i64,
    /// Rows in it; none of one that is a dead letter already.
    pub n_rows: u64,
    /// Kafka's timestamp, ms since the epoch, where it has one.
    pub timestamp_ms: Option<i64>,
    /// When its oldest row was sampled, µs since the epoch, where its headers say so and it is no dead
    /// letter.
    pub oldest_us: Option<i64>,
}

/// How a block came into the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// When ClickHouse had answered.
    pub queryable_at: Instant,
    /// Time of the attempt that succeeded.
    pub took: Duration,
    /// Whether its rows had to be decoded for it.
    pub is_reencoded: bool,
}

/// Hears nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoObserver;

impl LoadObserver for NoObserver {}
