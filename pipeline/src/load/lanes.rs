use std::collections::{HashMap, HashSet, VecDeque};

use super::Block;

/// What is known of each assigned partition: the blocks that wait for their turn, and where the
/// consumer is.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    lanes: HashMap<i32, Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Block>,
    is_inserting: bool,
    /// Offset of the next message to read; `None` before the first message or end of partition.
    next: Option<i64>,
    is_at_end: bool,
}

impl Lanes {
    pub(crate) fn gain(&mut self, partitions: &HashSet<i32>) {
        for partition in partitions {
            self.lanes.entry(*partition).or_default();
        }
    }

    /// Forgets partitions; returns the bytes of the blocks that waited.
    pub(crate) fn lose(&mut self, partitions: &HashSet<i32>) -> usize {
        let lost = self.lanes.extract_if(|partition, _| partitions.contains(partition));
        lost.flat_map(|(_, lane)| lane.waiting).map(|block| block.n_bytes).sum()
    }

    pub(crate) fn has(&self, partition: i32) -> bool {
        self.lanes.contains_key(&partition)
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

    /// The next block of each partition that has no insert under way.
    pub(crate) fn start(&mut self) -> Vec<Block> {
        let mut started = Vec::new();
        for lane in self.lanes.values_mut().filter(|lane| !lane.is_inserting) {
            if let Some(block) = lane.waiting.pop_front() {
                lane.is_inserting = true;
                started.push(block);
            }
        }
        started
    }

    /// Lets the next block of a partition start; until then the one before is on its way, or failed.
    pub(crate) fn inserted(&mut self, partition: i32) {
        if let Some(lane) = self.lanes.get_mut(&partition) {
            lane.is_inserting = false;
        }
    }

    /// Whether every partition was read to its end and has nothing waiting.
    pub(crate) fn are_idle(&self) -> bool {
        self.lanes
            .values()
            .all(|lane| lane.is_at_end && lane.waiting.is_empty() && !lane.is_inserting)
    }

    pub(crate) fn n_waiting_messages(&self) -> u64 {
        let waiting = self.lanes.values().flat_map(|lane| &lane.waiting);
        waiting.map(|block| block.payloads.len() as u64).sum()
    }

    /// Where each partition is read next; `None` where no message has come yet.
    pub(crate) fn next_offsets(&self) -> Vec<(i32, Option<i64>)> {
        self.lanes.iter().map(|(partition, lane)| (*partition, lane.next)).collect()
    }
}
