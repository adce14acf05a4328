use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    time::Duration,
};

use bytes::Bytes;
use volley_core::fingerprint::Fingerprint;

/// One message whose payload has been looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Schema of its batches.
    pub schema: Fingerprint,
    /// Rows in it; may be none.
    pub n_rows: usize,
    /// The value.
    pub payload: Bytes,
}

/// When a block is cut: at whichever limit it reaches first. Unlike a batch's limits, a block may
/// go over them by its last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// Rows in a block.
    pub n_rows: NonZeroUsize,
    /// Payload bytes in a block.
    pub n_bytes: NonZeroUsize,
    /// How long the first message of a block waits for others.
    pub age: Duration,
}

/// Consecutive messages of one partition and one schema: what becomes one insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The partition.
    pub partition: i32,
    /// Offset of the first message.
    pub first: i64,
    /// Offset of the last message.
    pub last: i64,
    /// Schema of all of them.
    pub schema: Fingerprint,
    /// Rows in all of them.
    pub n_rows: usize,
    /// Bytes in all of them.
    pub n_bytes: usize,
    /// The values, in order.
    pub payloads: Vec<Bytes>,
}

/// Cuts the messages of each partition into blocks.
///
/// Every message goes into exactly one block, in order. `now` is a time since any fixed moment.
#[derive(Debug)]
pub struct BlockPlanner {
    limits: BlockLimits,
    open: HashMap<i32, (Block, Duration)>,
}

impl BlockPlanner {
    /// A planner without messages.
    pub fn new(limits: BlockLimits) -> Self {
        Self { limits, open: HashMap::new() }
    }

    /// Adds a message; appends the blocks that this completes to `cut`: the one before it, if that
    /// has another schema, and its own, if it fills that.
    pub fn push(&mut self, message: Message, now: Duration, cut: &mut Vec<Block>) {
        let partition = message.partition;
        if self.open.get(&partition).is_some_and(|(block, _)| block.schema != message.schema) {
            cut.extend(self.open.remove(&partition).map(|(block, _)| block));
        }
        let (block, _) = self.open.entry(partition).or_insert_with(|| {
            let block = Block {
                partition,
                first: message.offset,
                last: message.offset,
                schema: message.schema,
                n_rows: 0,
                n_bytes: 0,
                payloads: Vec::new(),
            };
            (block, now)
        });
        block.last = message.offset;
        block.n_rows += message.n_rows;
        block.n_bytes += message.payload.len();
        block.payloads.push(message.payload);
        if block.n_rows >= self.limits.n_rows.get() || block.n_bytes >= self.limits.n_bytes.get() {
            cut.extend(self.open.remove(&partition).map(|(block, _)| block));
        }
    }

    /// Appends the blocks that are old enough at `now` to `cut`.
    pub fn poll(&mut self, now: Duration, cut: &mut Vec<Block>) {
        let age = self.limits.age;
        let due = self.open.extract_if(|_, (_, since)| since.saturating_add(age) <= now);
        cut.extend(due.map(|(_, (block, _))| block));
    }

    /// When [`Self::poll`] will next have a block.
    pub fn deadline(&self) -> Option<Duration> {
        self.open.values().map(|(_, since)| since.saturating_add(self.limits.age)).min()
    }

    /// Every open block, whatever the limits.
    pub fn finish(&mut self) -> Vec<Block> {
        self.open.drain().map(|(_, (block, _))| block).collect()
    }

    /// Forgets the open blocks of partitions that are no longer ours; returns their bytes. Their
    /// messages were not committed, so the next owner reads them.
    pub fn forget(&mut self, partitions: &HashSet<i32>) -> usize {
        let lost = self.open.extract_if(|partition, _| partitions.contains(partition));
        lost.map(|(_, (block, _))| block.n_bytes).sum()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    const LIMITS: BlockLimits = BlockLimits {
        n_rows: NonZeroUsize::new(10).unwrap(),
        n_bytes: NonZeroUsize::new(100).unwrap(),
        age: Duration::from_millis(500),
    };

    fn schema(name: &str) -> Fingerprint {
        Fingerprint::of(&Schema::new(vec![Field::new(name, DataType::Int32, true)]))
    }

    fn message(partition: i32, offset: i64, n_rows: usize, n_bytes: usize) -> Message {
        Message { partition, offset, schema: schema("a"), n_rows, payload: vec![0; n_bytes].into() }
    }

    /// Offsets of the blocks that these messages give, pushed at once.
    fn check(messages: impl IntoIterator<Item = Message>, expected: &[(i32, i64, i64)]) {
        let mut planner = BlockPlanner::new(LIMITS);
        let mut cut = Vec::new();
        for message in messages {
            planner.push(message, Duration::ZERO, &mut cut);
        }
        let found: Vec<_> = cut.iter().map(|b| (b.partition, b.first, b.last)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn rows_and_bytes_cut() {
        check((0..7).map(|i| message(0, i, 4, 1)), &[(0, 0, 2), (0, 3, 5)]);
        check((0..5).map(|i| message(0, i, 1, 60)), &[(0, 0, 1), (0, 2, 3)]);
        check([message(0, 5, 99, 1)], &[(0, 5, 5)]);
    }

    #[test]
    fn partitions_do_not_mix() {
        let messages = (0..6).map(|i| message((i % 2) as i32, i, 5, 1));
        check(messages, &[(0, 0, 2), (1, 1, 3)]);
    }

    #[test]
    fn another_schema_starts_another_block() {
        let other = Message { schema: schema("b"), ..message(0, 1, 1, 1) };
        check([message(0, 0, 1, 1), other.clone(), message(0, 2, 1, 1)], &[(0, 0, 0), (0, 1, 1)]);
        let full = Message { n_rows: 10, ..other };
        check([message(0, 0, 1, 1), full], &[(0, 0, 0), (0, 1, 1)]);
    }

    #[test]
    fn age_cuts_and_lost_partitions_are_forgotten() {
        let mut planner = BlockPlanner::new(LIMITS);
        let mut cut = Vec::new();
        planner.push(message(0, 0, 1, 7), Duration::from_millis(100), &mut cut);
        planner.push(message(1, 0, 1, 8), Duration::from_millis(200), &mut cut);
        assert_eq!(planner.deadline(), Some(Duration::from_millis(600)));
        planner.poll(Duration::from_millis(599), &mut cut);
        assert_eq!(cut, []);
        planner.poll(Duration::from_millis(600), &mut cut);
        assert_eq!(cut.len(), 1);
        assert_eq!(planner.forget(&HashSet::from([1, 2])), 8);
        assert!(planner.is_empty() && planner.deadline().is_none());
    }
}
