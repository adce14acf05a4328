//! Loaders that are killed, and whether every row is in the table once.

mod feed;
mod report;

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

pub use self::{
    feed::{Feed, Oracle},
    report::{Found, KillReport, When},
};
use crate::{FaultProxy, Member, Moment, PATIENCE, Scenario, Trap, eventually};

/// How the loaders are killed.
#[derive(Clone, Copy, Debug)]
pub struct KillOptions {
    /// How many times.
    pub n_kills: u32,
    /// Equal seeds kill at equal moments and start loaders with equal limits. What else happens
    /// meanwhile is up to the machine.
    pub seed: u64,
    /// What `--delivery` says: with `at-least-once`, rows come twice.
    pub delivery: &'static str,
}

/// Partitions of the topic.
const N_PARTITIONS: i32 = 3;

/// The consumer group.
const GROUP: &str = "killed";

/// A place for a loader, with its own way to ClickHouse, so that it is known whose insert is where.
struct Slot {
    proxy: FaultProxy,
    member: Option<Member>,
}

/// Kills loaders with SIGKILL while rows are produced, starts others in their place, and compares
/// what is in the table with what was produced. `killed` hears of each kill.
///
/// The table is a plain `MergeTree`, where a row that comes twice stays twice, and the rows are
/// counted without `FINAL`. One loader runs or two; the moment is any, or one in an insert that the
/// proxy sees; each loader cuts its blocks at limits of its own.
///
/// # Panics
///
/// If a loader ends by itself, nothing is inserted for a minute, or something else does not work.
pub fn kill_test(
    scenario: &Scenario<'_>,
    options: &KillOptions,
    mut killed: impl FnMut(When, &KillReport),
) -> KillReport {
    scenario.create_topic(N_PARTITIONS, &[]);
    let feed = Feed::start(scenario);
    let mut random = StdRng::seed_from_u64(options.seed);
    let mut slots = [0, 1].map(|_| Slot {
        proxy: FaultProxy::start(scenario.stack().runtime(), &scenario.stack().clickhouse),
        member: None,
    });
    let mut report = KillReport::new(options.seed);
    // Inserts of those who are dead, which have not arrived yet.
    let mut late: Vec<Trap> = Vec::new();
    while report.n_kills() < options.n_kills {
        let is_pair = random.random_bool(0.4);
        let both_die = random.random_bool(0.3) && report.n_kills() + 2 <= options.n_kills;
        let (when, pause) = (when(&mut random), random.random_range(0..1_500));
        let arguments = [arguments(&mut random, options), arguments(&mut random, options)];
        let first = usize::from(random.random_bool(0.5));
        for idx in [Some(first), is_pair.then_some(1 - first)].into_iter().flatten() {
            let Slot { proxy, member } = &mut slots[idx];
            member.get_or_insert_with(|| {
                Member::start(scenario, GROUP, proxy.url(), &arguments[idx])
            });
        }
        report.n_pairs += u32::from(slots.iter().all(|slot| slot.member.is_some()));
        let (victim, trap) = match when {
            When::AnyTime => {
                // This is what is at random, not a wait for something.
                std::thread::sleep(Duration::from_millis(pause));
                (slots.iter().position(|slot| slot.member.is_some()).unwrap(), None)
            }
            When::Insert(moment) => {
                let (victim, trap) = spring(&mut slots, moment);
                (victim, Some(trap))
            }
        };
        for trap in late.drain(..) {
            trap.let_go();
        }
        slots[victim].member.take().unwrap().kill();
        report.count(when);
        let other = &mut slots[1 - victim].member;
        if both_die && let Some(other) = other.take() {
            other.kill();
            report.count(When::AnyTime);
            report.n_both += 1;
        }
        match (when, trap) {
            (When::Insert(Moment::Late), Some(trap)) => late.push(trap),
            (_, Some(trap)) => trap.cut(),
            (_, None) => {}
        }
        killed(when, &report);
    }
    let oracle = feed.stop();
    late.into_iter().for_each(Trap::let_go);
    for slot in &mut slots {
        let member = slot.member.take();
        member.into_iter().for_each(Member::stop);
        let what = "the inserts of those who are dead";
        eventually(what, || (slot.proxy.n_underway() == 0).then_some(()));
    }
    finish(scenario, options, oracle);
    report.found = Some(Found::read(scenario, oracle));
    report
}

fn when(random: &mut StdRng) -> When {
    match random.random_range(0..10) {
        0..2 => When::AnyTime,
        2 => When::Insert(Moment::Begun),
        3..5 => When::Insert(Moment::MidBody),
        5 => When::Insert(Moment::Late),
        6..8 => When::Insert(Moment::Stored),
        _ => When::Insert(Moment::Answered),
    }
}

fn arguments(random: &mut StdRng, options: &KillOptions) -> Vec<String> {
    let n_rows = [1, 60, 1_000, 500_000][random.random_range(0..4)];
    let age_ms = [10, 100, 400][random.random_range(0..3)];
    let n_bytes = [4_000, 100_000, 64_000_000][random.random_range(0..3)];
    let limits = [
        format!("--block-rows={n_rows}"),
        format!("--block-age={age_ms}ms"),
        format!("--max-inflight-bytes={n_bytes}"),
    ];
    let delivery = format!("--delivery={}", options.delivery);
    // A message that is put aside would be lost: rather stop.
    let table = ["--engine=MergeTree", "--order-by=key", "--no-dlq"].map(str::to_owned);
    limits.into_iter().chain([delivery]).chain(table).collect()
}

/// Waits until an insert of either loader has got to a moment.
fn spring(slots: &mut [Slot], moment: Moment) -> (usize, Trap) {
    let mut traps: Vec<_> = slots.iter().map(|slot| slot.proxy.hold_next(moment)).collect();
    let began = Instant::now();
    let victim = loop {
        let sprung = traps
            .iter()
            .zip(slots.iter())
            .position(|(trap, slot)| trap.is_sprung() && slot.member.is_some());
        if let Some(victim) = sprung {
            break victim;
        }
        for slot in slots.iter_mut() {
            if let Some(member) = &mut slot.member {
                assert!(!member.has_ended(), "a loader ended by itself:\n{}", member.said());
            }
        }
        assert!(began.elapsed() < 2 * PATIENCE, "no insert in {:?}; {}", 2 * PATIENCE, said(slots));
        std::thread::sleep(Duration::from_millis(1));
    };
    // The other one's insert is not held, wherever it is.
    (victim, traps.swap_remove(victim))
}

fn said(slots: &[Slot]) -> String {
    let said = slots.iter().filter_map(|slot| slot.member.as_ref()).map(Member::said);
    said.collect::<Vec<_>>().join("\n--\n")
}

/// What is left, with nobody to disturb.
fn finish(scenario: &Scenario<'_>, options: &KillOptions, oracle: Oracle) {
    let arguments = [
        format!("--delivery={}", options.delivery),
        "--engine=MergeTree".to_owned(),
        "--order-by=key".to_owned(),
        "--no-dlq".to_owned(),
    ];
    let member = Member::start(scenario, GROUP, &scenario.stack().clickhouse, &arguments);
    let per_partition = (oracle.n_rows / feed::ROWS_PER_MESSAGE as u64) as i64;
    eventually("the last offsets", || {
        let committed: i64 = scenario.committed(GROUP).iter().sum();
        (committed == per_partition).then_some(())
    });
    member.stop();
}
