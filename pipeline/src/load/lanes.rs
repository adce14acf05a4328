use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::Duration,
};

use serde::Serialize;

use super::{Block, circuit::Circuit, intent::Intent};

/// What a crash may do to rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Delivery {
    /// Each row is stored once: what is about to be inserted is written into the committed offset
    /// first, so that the next owner repeats exactly that, and ClickHouse drops what it has.
    #[default]
    EffectivelyOnce,
    /// Rows of inserts that were under way may be stored twice. One commit less for each insert, and
    /// the table need not remember inserts.
    AtLeastOnce,
}

/// What is known of each assigned partition: the blocks that wait for their turn, how far the one
/// before them is, and where the consumer is.
///
/// Within a partition everything has an order: the intent to insert a block is committed, then the
/// block is inserted, then the offset after it is committed, with the intent for the next one where
/// that waits already. Nothing here talks to anyone: whoever does asks for [`Self::commits`] and
/// [`Self::start`], and says how they went.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    delivery: Delivery,
    lanes: HashMap<i32, Lane>,
    n_lanes: u64,
}

/// Tells the lane of a partition from one that the same partition had before it was lost and came
/// back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneId(u64);

/// An offset to commit for a partition: everything below it is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// What will be inserted next.
    pub(crate) intent: Option<Intent>,
}

/// What becomes of a block whose rows were refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Its halves are tried.
    Again,
    /// Its only message is to be put aside; [`Lanes::inserted`] is told when that is done.
    Message(Block),
    /// Its partition was lost, so that the next owner tries it.
    Lost(Block),
}

#[derive(Debug)]
struct Lane {
    id: LaneId,
    waiting: VecDeque<Block>,
    phase: Phase,
    /// Bytes of the block that is on its way.
    n_inserting_bytes: usize,
    /// While its inserts fail for a reason that may pass.
    circuit: Option<Circuit>,
    /// Offset of the next message to read; `None` before the first message or end of partition.
    next: Option<i64>,
    is_at_end: bool,
}

/// How far the last block of a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Stored, and committed.
    Committed,
    /// On its way, or given up.
    Inserting,
    /// Stored; this offset is to be committed.
    Stored(i64),
}

impl Lanes {
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self { delivery, ..Self::default() }
    }

    pub(crate) fn gain(&mut self, partitions: &HashSet<i32>) {
        for partition in partitions {
            let id = LaneId(self.n_lanes);
            self.n_lanes += 1;
            self.lanes.entry(*partition).or_insert(Lane {
                id,
                waiting: VecDeque::new(),
                phase: Phase::Committed,
                n_inserting_bytes: 0,
                circuit: None,
                next: None,
                is_at_end: false,
            });
        }
    }

    /// Forgets partitions; returns the bytes of the blocks that waited.
    pub(crate) fn lose(&mut self, partitions: &HashSet<i32>) -> usize {
        let lost = self.lanes.extract_if(|partition, _| partitions.contains(partition));
        lost.flat_map(|(_, lane)| lane.waiting).map(|block| block.n_bytes).sum()
    }

    /// Forgets the blocks of partitions that are not on their way; returns their bytes.
    pub(crate) fn leave(&mut self, partitions: &HashSet<i32>) -> usize {
        let leaving = self.lanes.iter_mut().filter(|(partition, _)| partitions.contains(partition));
        leaving.flat_map(|(_, lane)| lane.waiting.drain(..)).map(|block| block.n_bytes).sum()
    }

    /// Whether nothing of partitions is on its way, or stored and not yet committed.
    pub(crate) fn are_settled(&self, partitions: &HashSet<i32>) -> bool {
        let mut lanes = partitions.iter().filter_map(|partition| self.lanes.get(partition));
        lanes.all(|lane| lane.phase == Phase::Committed)
    }

    pub(crate) fn has(&self, partition: i32) -> bool {
        self.lanes.contains_key(&partition)
    }

    /// Whether a block that is queued now would have to wait for another one of its partition.
    pub(crate) fn is_busy(&self, partition: i32) -> bool {
        let is_busy = |lane: &Lane| lane.phase == Phase::Inserting || !lane.waiting.is_empty();
        self.lanes.get(&partition).is_some_and(is_busy)
    }

    pub(crate) fn read(&mut self, partition: i32, offset: i64) {
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.next = Some(offset + 1);
            lane.is_at_end = false;
        }
    }

    pub(crate) fn reached_end(&mut self, partition: i32) {
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.is_at_end = true;
        }
    }

    /// Queues a block behind those of its partition.
    pub(crate) fn queue(&mut self, block: Block) {
        if let Some(lane) = self.lanes.get_mut(&block.partition) {
            lane.waiting.push_back(block);
        }
    }

    /// What is to be committed now, at most one offset for each partition.
    pub(crate) fn commits(&self) -> Vec<Commit> {
        let commit = |(&partition, lane): (&i32, &Lane)| {
            let intent = lane.intent(self.delivery);
            let offset = match (intent, lane.phase) {
                (_, Phase::Inserting) | (None, Phase::Committed) => return None,
                // Between the two there are no messages.
                (Some(intent), _) => intent.first,
                (None, Phase::Stored(next)) => next,
            };
            Some(Commit { partition, offset, intent })
        };
        self.lanes.iter().filter_map(commit).collect()
    }

    /// Notes that one of [`Self::commits`] has succeeded.
    pub(crate) fn committed(&mut self, commit: &Commit) {
        let Some(lane) = self.lanes.get_mut(&commit.partition) else { return };
        lane.phase = Phase::Committed;
        if let Some(block) = lane.waiting.front_mut() {
            block.declared = block.declared.or(commit.intent);
        }
    }

    /// The next block of each partition that may be inserted at `now`, a time since any fixed moment.
    pub(crate) fn start(&mut self, now: Duration) -> Vec<(LaneId, Block)> {
        let mut started = Vec::new();
        for lane in self.lanes.values_mut() {
            if let Some(block) = lane.startable(self.delivery, now) {
                lane.phase = Phase::Inserting;
                lane.n_inserting_bytes = block.n_bytes;
                started.push((lane.id, block));
            }
        }
        started
    }

    /// Lets the next block of a partition start. `false` where the partition was lost meanwhile: it is
    /// the next owner who says that the block is stored.
    pub(crate) fn inserted(&mut self, id: LaneId, block: &Block) -> bool {
        let lane = self.lanes.get_mut(&block.partition).filter(|lane| lane.id == id);
        let Some(lane) = lane else { return false };
        lane.phase = Phase::Stored(block.last + 1);
        lane.circuit = None;
        lane.n_inserting_bytes = 0;
        true
    }

    /// Notes that an insert failed for a reason that may pass: the same block is tried again, after a
    /// while; `None` where its partition was lost.
    pub(crate) fn failed(
        &mut self,
        id: LaneId,
        block: Block,
        now: Duration,
        jitter: f64,
    ) -> Option<Circuit> {
        let lane = self.lanes.get_mut(&block.partition).filter(|lane| lane.id == id);
        let lane = lane?;
        lane.phase = Phase::Committed;
        lane.n_inserting_bytes = 0;
        lane.waiting.push_front(block);
        Some(*lane.circuit.insert(Circuit::after(lane.circuit, now, jitter)))
    }

    /// When a block that failed is to be tried again.
    pub(crate) fn retry_at(&self) -> Option<Duration> {
        let waits = self.lanes.values().filter(|lane| lane.phase == Phase::Committed);
        waits.filter_map(|lane| lane.circuit).map(|circuit| circuit.until()).min()
    }

    /// Partitions whose inserts fail.
    pub(crate) fn failing(&self) -> impl Iterator<Item = i32> + '_ {
        let failing = self.lanes.iter().filter(|(_, lane)| lane.circuit.is_some());
        failing.map(|(partition, _)| *partition)
    }

    /// Bytes of their blocks.
    pub(crate) fn n_failing_bytes(&self) -> usize {
        let failing = self.lanes.values().filter(|lane| lane.circuit.is_some());
        let bytes = |lane: &Lane| {
            lane.n_inserting_bytes + lane.waiting.iter().map(|block| block.n_bytes).sum::<usize>()
        };
        failing.map(bytes).sum()
    }

    /// Every partition.
    pub(crate) fn partitions(&self) -> impl Iterator<Item = i32> + '_ {
        self.lanes.keys().copied()
    }

    /// Notes that a block was refused, of which nothing is stored. One of several messages is tried
    /// again as two halves, to find the message that is at fault.
    pub(crate) fn refused(&mut self, id: LaneId, block: Block) -> Refused {
        let lane = self.lanes.get_mut(&block.partition).filter(|lane| lane.id == id);
        let Some(lane) = lane else { return Refused::Lost(block) };
        // It is not over before it is put aside, which may have to be tried again.
        if block.messages.len() < 2 {
            return Refused::Message(block);
        }
        // Whoever refuses is there.
        lane.circuit = None;
        lane.phase = Phase::Committed;
        lane.n_inserting_bytes = 0;
        for half in block.halves().into_iter().flatten().rev() {
            lane.waiting.push_front(half);
        }
        Refused::Again
    }

    /// Whether everything that was queued is stored and committed.
    pub(crate) fn are_done(&self) -> bool {
        let is_done = |lane: &Lane| lane.waiting.is_empty() && lane.phase == Phase::Committed;
        self.lanes.values().all(is_done)
    }

    /// Whether every partition was read to its end, and everything is stored and committed.
    pub(crate) fn are_idle(&self) -> bool {
        self.lanes.values().all(|lane| lane.is_at_end) && self.are_done()
    }

    /// Forgets the blocks that wait; returns how many messages they have.
    pub(crate) fn clear_waiting(&mut self) -> u64 {
        let waiting = self.lanes.values_mut().flat_map(|lane| lane.waiting.drain(..));
        waiting.map(|block| block.messages.len() as u64).sum()
    }

    /// Where each partition is read next, and whether it was read to its end.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (i32, Option<i64>, bool)> + '_ {
        self.lanes.iter().map(|(partition, lane)| (*partition, lane.next, lane.is_at_end))
    }

    /// Where each partition is read next; `None` where no message has come yet.
    pub(crate) fn next_offsets(&self) -> Vec<(i32, Option<i64>)> {
        self.lanes.iter().map(|(partition, lane)| (*partition, lane.next)).collect()
    }
}

impl Lane {
    /// What is to be declared before the next block can be inserted.
    fn intent(&self, delivery: Delivery) -> Option<Intent> {
        let block = self.waiting.front()?;
        let needs = delivery == Delivery::EffectivelyOnce
            && block.declared.is_none()
            && block.n_rows > 0
            && self.phase != Phase::Inserting;
        needs.then(|| Intent::of(block))
    }

    fn startable(&mut self, delivery: Delivery, now: Duration) -> Option<Block> {
        if self.circuit.is_some_and(|circuit| circuit.until() > now) {
            return None;
        }
        let block = self.waiting.front()?;
        let is_declared = block.declared.is_some() || block.n_rows == 0;
        let is_ready =
            self.phase == Phase::Committed && (is_declared || delivery == Delivery::AtLeastOnce);
        if is_ready { self.waiting.pop_front() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use bytes::Bytes;

    use super::{super::*, *};

    /// One that holds messages of one row.
    fn block(offsets: std::ops::Range<i64>) -> Block {
        let n = NonZeroUsize::MAX;
        let limits = BlockLimits { n_rows: n, n_bytes: n, age: Duration::ZERO };
        let mut planner = BlockPlanner::new(limits);
        for offset in offsets {
            let payload = Bytes::from_static(&[0; 5]);
            let message =
                Message { partition: 0, offset, schema: None, n_rows: 1, checksum: 0, payload };
            planner.push(message, Duration::ZERO, &mut Vec::new());
        }
        planner.finish().remove(0)
    }

    #[test]
    fn who_refuses_rows_is_not_away() {
        let mut lanes = Lanes::new(Delivery::AtLeastOnce);
        lanes.gain(&HashSet::from([0]));
        lanes.queue(block(0..2));
        let (id, first) = lanes.start(Duration::ZERO).remove(0);
        let circuit = lanes.failed(id, first, Duration::ZERO, 0.0).unwrap();
        assert_eq!((lanes.failing().count(), lanes.n_failing_bytes()), (1, 10));
        assert!(lanes.start(Duration::ZERO).is_empty() && !lanes.are_done());
        let (id, first) = lanes.start(circuit.until()).remove(0);
        assert!(matches!(lanes.refused(id, first), Refused::Again));
        assert_eq!((lanes.failing().count(), lanes.retry_at()), (0, None));
        let (_, half) = lanes.start(circuit.until()).remove(0);
        assert_eq!((half.first, half.last), (0, 0));
    }

    #[test]
    fn a_message_that_cannot_be_put_aside_is_tried_less_and_less_often() {
        let mut lanes = Lanes::new(Delivery::AtLeastOnce);
        lanes.gain(&HashSet::from([0]));
        lanes.queue(block(0..1));
        let mut now = Duration::ZERO;
        let waits = [200, 400, 800].map(|_| {
            let (id, message) = lanes.start(now).remove(0);
            let Refused::Message(message) = lanes.refused(id, message) else { panic!() };
            let circuit = lanes.failed(id, message, now, 0.0).unwrap();
            let wait = circuit.until() - now;
            now = circuit.until();
            wait.as_millis()
        });
        assert_eq!(waits, [200, 400, 800]);
        let (id, message) = lanes.start(now).remove(0);
        let Refused::Message(message) = lanes.refused(id, message) else { panic!() };
        assert!(lanes.inserted(id, &message));
        assert_eq!(lanes.failing().count(), 0);
    }
}
