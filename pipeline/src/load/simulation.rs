//! A broker, a table and a few members in one thread, and everything that may go wrong between them,
//! in an order that a seed decides.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    num::NonZeroUsize,
    time::Duration,
};

use arrow::datatypes::{DataType, Field, Schema};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use volley_core::fingerprint::Fingerprint;

use super::{
    Block, BlockLimits, BlockPlanner, Delivery, Message,
    intent::Intent,
    lanes::{LaneId, Lanes, Refused},
};

const N_SEEDS: u64 = 2000;
const N_PARTITIONS: i32 = 3;
const N_MESSAGES: i64 = 40;
/// Things that happen before everything is left to end well.
const N_EVENTS: usize = 400;

/// The topic, what the group has committed, and the table.
struct World {
    log: HashMap<i32, Vec<Message>>,
    committed: HashMap<i32, (i64, String)>,
    /// The member that the broker takes commits from.
    owners: HashMap<i32, usize>,
    tokens: HashSet<String>,
    /// How often each message's rows are stored.
    stored: BTreeMap<(i32, i64), u32>,
    /// Messages whose rows the table refuses.
    poison: HashSet<(i32, i64)>,
    /// How often each of them was put aside.
    aside: HashMap<(i32, i64), u32>,
    /// Inserts of members that are gone, which may still arrive.
    stray: Vec<Block>,
}

struct Member {
    id: usize,
    planner: BlockPlanner,
    lanes: Lanes,
    positions: HashMap<i32, i64>,
    inserting: Vec<(LaneId, Block)>,
    now: Duration,
}

impl World {
    fn new(rng: &mut StdRng) -> Self {
        let schemas = ["a", "b"].map(|name| {
            Fingerprint::of(&Schema::new(vec![Field::new(name, DataType::Int32, true)]))
        });
        let mut log = HashMap::new();
        let mut poison = HashSet::new();
        for partition in 0..N_PARTITIONS {
            let mut offset = 0;
            let messages = (0..N_MESSAGES).map(|_| {
                // Offsets of aborted transactions are missing.
                offset += if rng.random_ratio(1, 10) { 3 } else { 1 };
                if rng.random_ratio(1, 20) {
                    poison.insert((partition, offset));
                }
                // Some cannot even be looked into.
                if rng.random_ratio(1, 20) {
                    return Message::skipped(partition, offset, rng.random());
                }
                Message {
                    partition,
                    offset,
                    schema: Some(schemas[usize::from(rng.random_ratio(1, 8))]),
                    n_rows: rng.random_range(0..4),
                    checksum: rng.random(),
                    payload: vec![0; rng.random_range(1..5)].into(),
                }
            });
            log.insert(partition, messages.collect());
        }
        Self {
            log,
            committed: HashMap::new(),
            owners: HashMap::new(),
            tokens: HashSet::new(),
            stored: BTreeMap::new(),
            poison,
            aside: HashMap::new(),
            stray: Vec::new(),
        }
    }

    /// Whether the broker took it. It refuses members that lost the partition.
    fn commit(&mut self, member: usize, commit: &super::lanes::Commit) -> bool {
        if self.owners.get(&commit.partition) != Some(&member) {
            return false;
        }
        let metadata = commit.intent.map(|intent| intent.metadata()).unwrap_or_default();
        self.committed.insert(commit.partition, (commit.offset, metadata));
        true
    }

    /// Whether the table took it, and not because it is empty or known already.
    fn insert(&mut self, block: &Block) -> bool {
        if block.n_rows == 0 {
            return true;
        }
        let is_poison = |message: &&Message| {
            message.n_rows > 0 && self.poison.contains(&(message.partition, message.offset))
        };
        if block.messages.iter().find(is_poison).is_some() {
            return false;
        }
        let intent = block.declared.unwrap_or_else(|| Intent::of(block));
        if self.tokens.insert(intent.token("topic", block.partition)) {
            for message in block.messages.iter().filter(|message| message.n_rows > 0) {
                *self.stored.entry((block.partition, message.offset)).or_default() += 1;
            }
        }
        true
    }

    /// Gives a partition to a member, which reads what the one before it has committed.
    fn assign(&mut self, partition: i32, member: &mut Member) {
        self.owners.insert(partition, member.id);
        let (offset, metadata) = self.committed.get(&partition).cloned().unwrap_or_default();
        if let Some(intent) = Intent::parse(offset, &metadata).unwrap() {
            member.planner.resume(partition, intent);
        }
        member.lanes.gain(&HashSet::from([partition]));
        member.positions.insert(partition, offset);
    }

    fn is_committed(&self, partition: i32) -> bool {
        let end = self.log[&partition].last().map(|message| message.offset + 1);
        let committed = self.committed.get(&partition);
        committed.is_some_and(|(offset, metadata)| Some(*offset) == end && metadata.is_empty())
    }

    fn check(&self, is_effectively_once: bool, seed: u64) {
        for message in self.log.values().flatten().filter(|message| message.n_rows > 0) {
            let at = (message.partition, message.offset);
            let times = self.stored.get(&at).copied().unwrap_or_default();
            if self.poison.contains(&at) {
                let aside = self.aside.get(&at).copied().unwrap_or_default();
                assert!(times == 0 && aside > 0, "seed {seed}: {at:?} is stored, or not put aside");
                continue;
            }
            let is_right = if is_effectively_once { times == 1 } else { times >= 1 };
            assert!(is_right, "seed {seed}: message {at:?} is stored {times} times");
        }
        for partition in 0..N_PARTITIONS {
            assert!(self.is_committed(partition), "seed {seed}: partition {partition}");
        }
    }
}

impl Member {
    fn new(id: usize, delivery: Delivery, rng: &mut StdRng) -> Self {
        let mut limit = |most| NonZeroUsize::new(rng.random_range(1..=most)).unwrap();
        let limits = BlockLimits {
            n_rows: limit(20),
            n_bytes: limit(40),
            age: Duration::from_secs(limit(20).get() as u64),
        };
        Self {
            id,
            planner: BlockPlanner::new(limits),
            lanes: Lanes::new(delivery),
            positions: HashMap::new(),
            inserting: Vec::new(),
            now: Duration::ZERO,
        }
    }

    fn lose(&mut self, partition: i32) {
        let lost = HashSet::from([partition]);
        self.planner.forget(&lost);
        self.lanes.lose(&lost);
        self.positions.remove(&partition);
    }

    fn queue(&mut self, blocks: Vec<Block>) {
        blocks.into_iter().for_each(|block| self.lanes.queue(block));
    }

    fn read(&mut self, world: &World, partition: i32) {
        let Some(position) = self.positions.get_mut(&partition) else { return };
        let next = world.log[&partition].iter().find(|message| message.offset >= *position);
        let Some(message) = next else { return };
        *position = message.offset + 1;
        let mut cut = Vec::new();
        self.planner.push(message.clone(), self.now, &mut cut);
        self.queue(cut);
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        let mut cut = Vec::new();
        self.planner.poll(self.now, |p| self.lanes.is_busy(p), &mut cut);
        self.queue(cut);
    }

    /// Ends a run: what is open is cut, what can be committed is, what has started is awaited. What it
    /// lost with its last poll is gone by then.
    fn end(&mut self, world: &mut World, lost: &HashSet<i32>) {
        self.planner.forget(lost);
        self.lanes.lose(lost);
        let open = self.planner.finish();
        self.queue(open);
        for _ in 0..100 {
            self.advance(world, || true);
            if self.inserting.is_empty() && self.lanes.commits().is_empty() {
                break;
            }
            while !self.inserting.is_empty() {
                self.finish_insert(world, 0, true);
            }
        }
        self.lanes.clear_waiting();
    }

    /// As `run/inserts.rs` does it; `answer` says whether the member hears that a commit succeeded.
    fn advance(&mut self, world: &mut World, mut answer: impl FnMut() -> bool) {
        self.inserting.extend(self.lanes.start(self.now));
        let commits = self.lanes.commits();
        let mut is_done = true;
        for commit in &commits {
            is_done &= world.commit(self.id, commit);
        }
        if is_done && answer() {
            commits.iter().for_each(|commit| self.lanes.committed(commit));
            self.inserting.extend(self.lanes.start(self.now));
        }
    }

    /// The insert arrives or not, and what is heard of it is a failure that may pass.
    fn fail_insert(&mut self, world: &mut World, index: usize, arrives: bool) {
        let (lane, mut block) = self.inserting.swap_remove(index);
        if arrives {
            world.insert(&block);
        }
        block.may_be_stored = true;
        self.lanes.failed(lane, block, self.now, 0.5);
    }

    /// A gateway on the way takes less at once. What cannot be halved would end the run.
    fn refuse_size(&mut self, index: usize) {
        if self.inserting[index].1.can_be_halved() {
            let (lane, block) = self.inserting.swap_remove(index);
            let refused = self.lanes.refused(lane, block);
            assert!(!matches!(refused, Refused::Message(_)));
        }
    }

    /// The answer of an insert comes, or is lost.
    fn finish_insert(&mut self, world: &mut World, index: usize, has_answer: bool) {
        let is_stored = world.insert(&self.inserting[index].1);
        if !has_answer {
            // Whatever comes back now, it got through.
            self.inserting[index].1.may_be_stored = true;
            return;
        }
        let (lane, block) = self.inserting.swap_remove(index);
        if is_stored {
            self.lanes.inserted(lane, &block);
            return;
        }
        if let Refused::Message(block) = self.lanes.refused(lane, block) {
            *world.aside.entry((block.partition, block.first)).or_default() += 1;
            self.lanes.inserted(lane, &block);
        }
    }
}

fn simulate(seed: u64, delivery: Delivery) -> World {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut world = World::new(&mut rng);
    let mut n_members = 2;
    let mut members: Vec<_> =
        (0..n_members).map(|id| Member::new(id, delivery, &mut rng)).collect();
    for partition in 0..N_PARTITIONS {
        let owner = rng.random_range(0..members.len());
        world.assign(partition, &mut members[owner]);
    }
    for _ in 0..N_EVENTS {
        let at = rng.random_range(0..members.len());
        let partition = rng.random_range(0..N_PARTITIONS);
        match rng.random_range(0..100) {
            0..50 => members[at].read(&world, partition),
            50..60 => members[at].wait(Duration::from_secs(rng.random_range(0..10))),
            60..75 => members[at].advance(&mut world, || rng.random_ratio(4, 5)),
            75..88 => {
                let member = &mut members[at];
                if !member.inserting.is_empty() {
                    let index = rng.random_range(0..member.inserting.len());
                    // The request arrives, its answer does, or both.
                    if rng.random_ratio(1, 5) {
                        member.fail_insert(&mut world, index, rng.random_bool(0.5));
                    } else if rng.random_ratio(1, 8) {
                        member.refuse_size(index);
                    } else if rng.random_ratio(3, 4) {
                        member.finish_insert(&mut world, index, rng.random_ratio(3, 4));
                    }
                }
            }
            88..92 => {
                if let Some(block) = world.stray.pop() {
                    world.insert(&block);
                }
            }
            92..97 => {
                // The group takes a partition from its owner, who may not have heard of it yet when the
                // next one begins; its inserts go on in any case.
                let heirs: Vec<_> = (0..members.len())
                    .filter(|heir| world.owners.get(&partition) != Some(&members[*heir].id))
                    .collect();
                let heir = heirs[rng.random_range(0..heirs.len())];
                let knows_at_once = rng.random_bool(0.5);
                if knows_at_once {
                    members.iter_mut().for_each(|member| member.lose(partition));
                }
                members[heir].lose(partition);
                world.assign(partition, &mut members[heir]);
                let heir = members[heir].id;
                if !knows_at_once {
                    late(&mut members, &mut world, partition, heir, &mut rng);
                }
            }
            event => {
                let mut gone = members.swap_remove(at);
                if event < 99 {
                    // It crashes.
                    world.stray.extend(gone.inserting.drain(..).map(|(_, block)| block));
                } else {
                    // It is told to stop, between losing a partition or getting one and knowing what
                    // was begun there.
                    let mut lost = HashSet::new();
                    match world.owners.get(&partition) {
                        Some(owner) if *owner == gone.id => {
                            if let Some(heir) = members.first_mut() {
                                world.assign(partition, heir);
                            }
                            // It may not have heard of it.
                            lost.extend(rng.random_bool(0.5).then_some(partition));
                        }
                        _ => {
                            members.iter_mut().for_each(|member| member.lose(partition));
                            gone.lose(partition);
                            world.owners.insert(partition, gone.id);
                        }
                    }
                    gone.end(&mut world, &lost);
                }

                members.push(Member::new(n_members, delivery, &mut rng));
                n_members += 1;
                let orphans: Vec<_> = (0..N_PARTITIONS)
                    .filter(|partition| world.owners.get(partition) == Some(&gone.id))
                    .collect();
                for partition in orphans {
                    let heir = rng.random_range(0..members.len());
                    world.assign(partition, &mut members[heir]);
                }
            }
        }
    }
    end_well(&mut world, &mut members);
    world
}

/// Lets the members that lost a partition act once more before they notice.
fn late(members: &mut [Member], world: &mut World, partition: i32, heir: usize, rng: &mut StdRng) {
    for member in members.iter_mut().filter(|member| member.id != heir) {
        if rng.random_bool(0.5) {
            member.read(world, partition);
            member.advance(world, || true);
        }
        member.lose(partition);
    }
}

fn end_well(world: &mut World, members: &mut [Member]) {
    for _ in 0..1000 {
        if (0..N_PARTITIONS).all(|partition| world.is_committed(partition)) {
            break;
        }
        for member in &mut *members {
            for partition in 0..N_PARTITIONS {
                member.read(world, partition);
            }
            member.wait(Duration::from_secs(1));
            member.advance(world, || true);
            while !member.inserting.is_empty() {
                member.finish_insert(world, 0, true);
            }
        }
    }
    while let Some(block) = world.stray.pop() {
        world.insert(&block);
    }
}

#[test]
fn every_row_is_stored_once_whatever_happens() {
    for seed in 0..N_SEEDS {
        simulate(seed, Delivery::EffectivelyOnce).check(true, seed);
    }
}

#[test]
fn at_least_once_loses_nothing_and_does_store_rows_twice() {
    let mut n_twice = 0;
    for seed in 0..N_SEEDS / 4 {
        let world = simulate(seed, Delivery::AtLeastOnce);
        world.check(false, seed);
        n_twice += world.stored.values().filter(|times| **times > 1).count();
    }
    // Else nothing went wrong, and the other test has shown nothing.
    assert!(n_twice > 0);
}
