use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
    time::Duration,
};

use bytes::Bytes;
use volley_core::{fingerprint::Fingerprint, headers::checksum};

use super::intent::Intent;

/// How long an end of the partition must last before messages that were to come are given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// One message whose payload has been looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Schema of its batches; `None` of one that was put aside.
    pub schema: Option<Fingerprint>,
    /// Rows in it; may be none.
    pub n_rows: usize,
    /// CRC32C of the value.
    pub checksum: u32,
    /// The value; empty of one that was put aside.
    pub payload: Bytes,
}

impl Message {
    /// One that was put aside: it has its place in a block, so that its offset is committed, and
    /// nothing to insert.
    pub(crate) fn skipped(partition: i32, offset: i64, checksum: u32) -> Self {
        Self { partition, offset, schema: None, n_rows: 0, checksum, payload: Bytes::new() }
    }
}

/// When a block is cut: at whichever limit it reaches first. Unlike a batch's limits, a block may
/// go over them by its last message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// Rows in a block.
    pub n_rows: NonZeroUsize,
    /// Payload bytes in a block.
    pub n_bytes: NonZeroUsize,
    /// How long the first message of a block waits for others; longer where the block before it is
    /// still on its way, which makes inserts larger the slower they are.
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
    /// Schema of all of them; `None` where all were put aside.
    pub schema: Option<Fingerprint>,
    /// Rows in all of them.
    pub n_rows: usize,
    /// Bytes in all of them.
    pub n_bytes: usize,
    /// Checksum over the checksums of all of them.
    pub sum: u32,
    /// Checksum of the last one.
    pub end: u32,
    /// The messages, in order.
    pub messages: Vec<Message>,
    /// The intent to insert it, where that is committed.
    pub(crate) declared: Option<Intent>,
    /// Whether it was begun before, by this owner or the one before, and nobody knows how that ended: it
    /// is inserted as it is then, or not at all.
    pub(crate) may_be_stored: bool,
}

impl Block {
    fn new(message: &Message) -> Self {
        Self {
            partition: message.partition,
            first: message.offset,
            last: message.offset,
            schema: message.schema,
            n_rows: 0,
            n_bytes: 0,
            sum: 0,
            end: 0,
            messages: Vec::new(),
            declared: None,
            may_be_stored: false,
        }
    }

    fn push(&mut self, message: Message) {
        self.last = message.offset;
        self.schema = self.schema.or(message.schema);
        self.n_rows += message.n_rows;
        self.n_bytes += message.payload.len();
        let pair = [self.sum.to_be_bytes(), message.checksum.to_be_bytes()];
        self.sum = checksum(pair.as_flattened());
        self.end = message.checksum;
        self.messages.push(message);
    }

    /// The values, in order, of all messages that were not put aside.
    pub fn payloads(&self) -> Vec<Bytes> {
        self.sound_messages().map(|message| message.payload.clone()).collect()
    }

    /// The same, each with its offset.
    pub(crate) fn payloads_with_offsets(&self) -> Vec<(i64, Bytes)> {
        let messages = self.sound_messages();
        messages.map(|message| (message.offset, message.payload.clone())).collect()
    }

    /// How many messages it has that were not put aside.
    pub(crate) fn n_loaded(&self) -> u64 {
        self.sound_messages().count() as u64
    }

    fn sound_messages(&self) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(|message| message.schema.is_some())
    }

    /// Whether a message of this schema, if any, goes with the others.
    fn takes(&self, schema: Option<Fingerprint>) -> bool {
        schema.is_none() || self.schema.is_none() || self.schema == schema
    }

    /// Whether it has several messages, and nothing of it may be stored: what was, under the token of
    /// the whole, would be stored again under those of its halves.
    pub(crate) fn can_be_halved(&self) -> bool {
        self.messages.len() > 1 && !self.may_be_stored
    }

    /// Two blocks of about half of the messages each, to be declared anew; `None` of a single one.
    pub(crate) fn halves(self) -> Option<[Self; 2]> {
        let half = self.messages.len() / 2;
        let mut messages = self.messages.into_iter();
        let first = Self::of(messages.by_ref().take(half))?;
        Some([first, Self::of(messages)?])
    }

    fn of(mut messages: impl Iterator<Item = Message>) -> Option<Self> {
        let first = messages.next()?;
        let mut block = Self::new(&first);
        block.push(first);
        messages.for_each(|message| block.push(message));
        Some(block)
    }
}

/// Cuts the messages of each partition into blocks.
///
/// Every message goes into exactly one block, in order. `now` is a time since any fixed moment.
#[derive(Debug)]
pub struct BlockPlanner {
    limits: BlockLimits,
    open: HashMap<i32, (Block, Duration)>,
    /// Partitions whose next block was cut already, by an owner that may have inserted it.
    resuming: HashMap<i32, Resuming>,
}

#[derive(Debug)]
struct Resuming {
    intent: Intent,
    /// Since when no message came at the end of the partition.
    at_end: Option<Duration>,
}

impl BlockPlanner {
    /// A planner without messages.
    pub fn new(limits: BlockLimits) -> Self {
        Self { limits, open: HashMap::new(), resuming: HashMap::new() }
    }

    /// Makes the next block of a partition that of an intent, whatever the limits.
    pub(crate) fn resume(&mut self, partition: i32, intent: Intent) {
        self.resuming.insert(partition, Resuming { intent, at_end: None });
    }

    /// Adds a message; appends the blocks that this completes to `cut`: the one before it, if that
    /// has another schema, and its own, if it fills that.
    pub fn push(&mut self, message: Message, now: Duration, cut: &mut Vec<Block>) {
        let partition = message.partition;
        let has_other_schema =
            self.open.get(&partition).is_some_and(|(block, _)| !block.takes(message.schema));
        // Offsets can be missing, the last one too: compaction and aborted transactions take them.
        let is_past =
            |resuming: &Resuming| has_other_schema || message.offset > resuming.intent.last;
        if self.resuming.get(&partition).is_some_and(is_past) {
            self.give_up(partition, cut);
        } else if has_other_schema {
            self.cut(partition, cut);
        }
        let (block, _) = self.open.entry(partition).or_insert_with(|| (Block::new(&message), now));
        block.push(message);
        if let Some(resuming) = self.resuming.get_mut(&partition) {
            resuming.at_end = None;
            if block.last == resuming.intent.last {
                block.declared = Some(resuming.intent).filter(|intent| intent.is_of(block));
                block.may_be_stored = block.declared.is_some();
                self.resuming.remove(&partition);
                self.cut(partition, cut);
            }
        } else if block.n_rows >= self.limits.n_rows.get()
            || block.n_bytes >= self.limits.n_bytes.get()
        {
            self.cut(partition, cut);
        }
    }

    /// Notes that a partition has no further message for now.
    pub(crate) fn reached_end(&mut self, partition: i32, now: Duration) {
        if let Some(resuming) = self.resuming.get_mut(&partition) {
            resuming.at_end.get_or_insert(now);
        }
    }

    /// Appends the blocks that are old enough at `now` to `cut`, but for those of partitions that are
    /// busy with the block before: as long as that takes, more messages can go with them.
    pub fn poll(&mut self, now: Duration, is_busy: impl Fn(i32) -> bool, cut: &mut Vec<Block>) {
        let is_lost = |resuming: &Resuming| resuming.lost_at().is_some_and(|at| at <= now);
        let lost = self.resuming.iter().filter(|(_, resuming)| is_lost(resuming));
        for partition in lost.map(|(partition, _)| *partition).collect::<Vec<_>>() {
            self.give_up(partition, cut);
        }
        let (age, resuming) = (self.limits.age, &self.resuming);
        let due = self.open.extract_if(|partition, (_, since)| {
            let is_due = since.saturating_add(age) <= now;
            is_due && !resuming.contains_key(partition) && !is_busy(*partition)
        });
        cut.extend(due.map(|(_, (block, _))| block));
    }

    /// When [`Self::poll`] will next have a block, if nothing else happens before.
    pub fn deadline(&self, is_busy: impl Fn(i32) -> bool) -> Option<Duration> {
        let is_free =
            |partition: &i32| !self.resuming.contains_key(partition) && !is_busy(*partition);
        let open = self.open.iter().filter(|(partition, _)| is_free(partition));
        let due = open.map(|(_, (_, since))| since.saturating_add(self.limits.age));
        due.chain(self.resuming.values().filter_map(Resuming::lost_at)).min()
    }

    /// Every open block, whatever the limits, but those that must be formed as they were before.
    pub fn finish(&mut self) -> Vec<Block> {
        let resuming = &self.resuming;
        let free = self.open.extract_if(|partition, _| !resuming.contains_key(partition));
        free.map(|(_, (block, _))| block).collect()
    }

    /// The open blocks of partitions from which nothing more comes for a while.
    pub(crate) fn finish_of(&mut self, partitions: &HashSet<i32>) -> Vec<Block> {
        let resuming = &self.resuming;
        let held = self.open.extract_if(|partition, _| {
            partitions.contains(partition) && !resuming.contains_key(partition)
        });
        held.map(|(_, (block, _))| block).collect()
    }

    /// Forgets partitions that are no longer ours; returns the bytes of their open blocks, whose
    /// messages were not committed, so that the next owner reads them.
    pub fn forget(&mut self, partitions: &HashSet<i32>) -> usize {
        self.resuming.retain(|partition, _| !partitions.contains(partition));
        let lost = self.open.extract_if(|partition, _| partitions.contains(partition));
        lost.map(|(_, (block, _))| block.n_bytes).sum()
    }

    /// Whether no message waits.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Partitions whose messages are needed before any block can be cut.
    pub(crate) fn resuming(&self) -> impl Iterator<Item = i32> + '_ {
        self.resuming.keys().copied()
    }

    /// Whether the next block of a partition is one that was begun.
    pub(crate) fn is_resuming(&self, partition: i32) -> bool {
        self.resuming.contains_key(&partition)
    }

    fn cut(&mut self, partition: i32, cut: &mut Vec<Block>) {
        cut.extend(self.open.remove(&partition).map(|(block, _)| block));
    }

    /// Goes on without the block that was meant, because its messages are no longer there.
    fn give_up(&mut self, partition: i32, cut: &mut Vec<Block>) {
        if let Some(Resuming { intent, .. }) = self.resuming.remove(&partition) {
            let Intent { first, last, .. } = intent;
            tracing::warn!(
                partition,
                first,
                last,
                "the last message of a block that was begun is gone; what is left of it is inserted \
                 as another block, and rows that were stored before are stored twice"
            );
        }
        self.cut(partition, cut);
    }
}

impl Resuming {
    fn lost_at(&self) -> Option<Duration> {
        Some(self.at_end?.saturating_add(PATIENCE))
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
        let payload = vec![0; n_bytes].into();
        let checksum = offset as u32;
        Message { partition, offset, schema: Some(schema("a")), n_rows, checksum, payload }
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
        let other = Message { schema: Some(schema("b")), ..message(0, 1, 1, 1) };
        check([message(0, 0, 1, 1), other.clone(), message(0, 2, 1, 1)], &[(0, 0, 0), (0, 1, 1)]);
        let full = Message { n_rows: 10, ..other };
        check([message(0, 0, 1, 1), full], &[(0, 0, 0), (0, 1, 1)]);
    }

    #[test]
    fn messages_that_were_put_aside_go_with_any_others() {
        let aside = |offset| Message::skipped(0, offset, 7);
        let mut planner = BlockPlanner::new(LIMITS);
        let mut cut = Vec::new();
        for message in [aside(0), message(0, 1, 4, 1), aside(2), message(0, 3, 6, 1), aside(4)] {
            planner.push(message, Duration::ZERO, &mut cut);
        }
        assert_eq!((cut[0].first, cut[0].last, cut[0].n_rows), (0, 3, 10));
        assert_eq!((cut[0].payloads().len(), cut[0].schema), (2, Some(schema("a"))));
        let rest = planner.finish();
        assert_eq!((rest[0].first, rest[0].schema, rest[0].n_loaded()), (4, None, 0));
    }

    #[test]
    fn age_cuts_and_lost_partitions_are_forgotten() {
        let mut planner = BlockPlanner::new(LIMITS);
        let mut cut = Vec::new();
        planner.push(message(0, 0, 1, 7), Duration::from_millis(100), &mut cut);
        planner.push(message(1, 0, 1, 8), Duration::from_millis(200), &mut cut);
        assert_eq!(planner.deadline(|_| false), Some(Duration::from_millis(600)));
        planner.poll(Duration::from_millis(599), |_| false, &mut cut);
        assert_eq!(cut, []);
        // The block before it is not stored yet.
        let is_busy = |partition| partition == 0;
        assert_eq!(planner.deadline(is_busy), Some(Duration::from_millis(700)));
        planner.poll(Duration::from_millis(600), is_busy, &mut cut);
        assert_eq!(cut, []);
        planner.poll(Duration::from_millis(600), |_| false, &mut cut);
        assert_eq!(cut.len(), 1);
        assert_eq!(planner.forget(&HashSet::from([1, 2])), 8);
        assert!(planner.is_empty() && planner.deadline(|_| false).is_none());
    }

    #[test]
    fn a_block_that_was_begun_is_formed_again_whatever_the_limits() {
        let limits = BlockLimits { n_rows: NonZeroUsize::new(25).unwrap(), ..LIMITS };
        let begun = {
            let mut planner = BlockPlanner::new(limits);
            let mut cut = Vec::new();
            (5..9).for_each(|i| planner.push(message(0, i, 7, 1), Duration::ZERO, &mut cut));
            cut.remove(0)
        };
        let intent = Intent::of(&begun);

        let mut planner = BlockPlanner::new(LIMITS);
        planner.resume(0, intent);
        let mut cut = Vec::new();
        (5..8).for_each(|i| planner.push(message(0, i, 7, 1), Duration::ZERO, &mut cut));
        planner.poll(Duration::from_secs(3600), |_| false, &mut cut);
        assert_eq!((cut.len(), planner.finish().len(), planner.deadline(|_| false)), (0, 0, None));
        (8..10).for_each(|i| planner.push(message(0, i, 10, 1), Duration::ZERO, &mut cut));
        let [again, next] = &cut[..] else { panic!("{cut:?}") };
        assert_eq!(again.declared, Some(intent));
        assert_eq!((again.first, again.last, next.first), (5, 8, 9));
        assert_eq!(next.declared, None);
    }

    #[test]
    fn halves_hold_the_messages_of_the_whole() {
        let block = Block::of((3..8).map(|i| message(0, i, 2, 10))).unwrap();
        let [first, second] = block.clone().halves().unwrap();
        assert_eq!((first.first, first.last, second.first, second.last), (3, 4, 5, 7));
        assert_eq!(first.n_rows + second.n_rows, block.n_rows);
        assert_eq!(first.n_bytes + second.n_bytes, block.n_bytes);
        assert_eq!([first.messages, second.messages].concat(), block.messages);
        assert_eq!(Block::of([message(0, 3, 2, 10)].into_iter()).unwrap().halves(), None);
    }

    #[test]
    fn a_block_whose_last_message_is_gone_or_another_is_a_new_one() {
        let intent = |first, last, end| {
            let mut block = Block::new(&message(0, first, 1, 1));
            block.push(Message { checksum: end, ..message(0, last, 1, 1) });
            Intent::of(&block)
        };
        // A topic made anew: the same offsets, other messages.
        let mut planner = BlockPlanner::new(LIMITS);
        let mut cut = Vec::new();
        planner.resume(0, intent(0, 1, 99));
        (0..2).for_each(|i| planner.push(message(0, i, 1, 1), Duration::ZERO, &mut cut));
        assert_eq!((cut.len(), cut[0].last, cut[0].declared), (1, 1, None));

        // Compaction took the last one.
        planner.resume(0, intent(2, 4, 4));
        for offset in [2, 5] {
            planner.push(message(0, offset, 1, 1), Duration::ZERO, &mut cut);
        }
        assert_eq!((cut.len(), cut[1].last, cut[1].declared), (2, 2, None));

        // The partition ends before it, and stays so.
        planner.resume(1, intent(2, 4, 4));
        planner.push(message(1, 2, 1, 1), Duration::ZERO, &mut cut);
        planner.reached_end(1, Duration::from_secs(1));
        planner.poll(Duration::from_secs(30), |_| false, &mut cut);
        assert_eq!(cut.iter().filter(|block| block.partition == 1).count(), 0);
        planner.poll(planner.deadline(|_| false).unwrap(), |_| false, &mut cut);
        assert_eq!(cut.iter().filter(|block| block.partition == 1).count(), 1);
    }
}
