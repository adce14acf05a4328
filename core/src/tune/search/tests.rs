use proptest::prelude::*;

use super::*;
use crate::{
    codec::Codec,
    tune::{Objective, Size, TOLERANCE, ladder},
};

/// What a codec does: bytes and ns a row, and bytes and ns a batch.
#[derive(Clone, Copy, Debug)]
struct Arm {
    bytes: f64,
    batch_bytes: f64,
    ns: f64,
    batch_ns: f64,
}

/// Smooth costs over rows, as real ones are, with a clock that their work drives.
#[derive(Debug)]
struct Surface {
    arms: Vec<Arm>,
    now: Duration,
}

fn space(n_arms: usize, to: usize) -> Space {
    let codecs = ["none", "lz4", "zstd:1", "zstd:3", "zstd:6", "zstd:9", "zstd:19"];
    let column = std::sync::Arc::new(arrow_array::Int64Array::from(vec![1])) as _;
    let row = arrow_array::RecordBatch::try_from_iter([("n", column)]).unwrap();
    Space::of(&crate::tune::Sample::new(&[row]).unwrap())
        .with_rows(ladder(10, to))
        .with_codecs(codecs[..n_arms].iter().map(|codec| codec.parse().unwrap()).collect())
}

impl Surface {
    fn trial(&self, space: &Space, point: &Point) -> Trial {
        let arms = 0..space.n_arms();
        let arm = arms.into_iter().find(|&arm| space.point(arm, 0).codec == point.codec);
        let arm = self.arms[arm.unwrap()];
        let rows = point.rows as f64;
        let bytes = (arm.bytes * rows + arm.batch_bytes).round() as usize;
        let ns = arm.ns + arm.batch_ns / rows;
        let size = Size { rows: point.rows as u64, bytes: bytes as u64, largest: bytes };
        Trial { size, encode_ns: ns * 0.7, decode_ns: ns * 0.3, wall_ns: ns }
    }

    /// Runs a search to its end; the points that it asked for.
    fn run(&mut self, search: &mut Search, budget: Duration) -> Vec<Point> {
        let mut asked = Vec::new();
        while let Some(task) = search.next(self.now) {
            assert_eq!(task.deadline, budget);
            let trial = self.trial(search.space(), &task.point);
            let ns = trial.wall_ns * rows_of_trial(task.point.rows) as f64;
            self.now += Duration::from_nanos(ns as u64 + 1000);
            assert!(self.now <= budget, "{:?} took it to {:?}", task.point, self.now);
            search.record(task, Some(trial));
            asked.push(task.point);
            assert!(asked.len() < 10_000, "it never ends");
        }
        asked
    }

    fn lowest(&self, space: &Space, goal: &Goal) -> Option<f64> {
        let mut all = Search::sweep(space.clone(), *goal, Duration::MAX, Duration::ZERO);
        for point in space.points() {
            let task = Task { point, deadline: Duration::MAX };
            all.record(task, Some(self.trial(space, &point)));
        }
        all.recommend().map(|found| found.lowest)
    }
}

/// Codecs in the order of what they cost; each is up to three times as slow as the one before.
fn arb_surface() -> impl Strategy<Value = Surface> {
    let arm = (0.5..1.1_f64, 1.0..3.0_f64);
    let first = (1.0..200.0_f64, 100.0..3000.0_f64, 1.0..100.0_f64, 1e3..3e4_f64);
    (first, prop::collection::vec(arm, 0..7)).prop_map(|(first, steps)| {
        let (bytes, batch_bytes, ns, batch_ns) = first;
        let mut arms = vec![Arm { bytes, batch_bytes, ns, batch_ns }];
        for (smaller, slower) in steps.into_iter().take(6) {
            let last = arms[arms.len() - 1];
            arms.push(Arm { bytes: last.bytes * smaller, ns: last.ns * slower, ..last });
        }
        Surface { arms, now: Duration::ZERO }
    })
}

fn arb_goal() -> impl Strategy<Value = Goal> {
    let objective = prop_oneof![
        Just(Objective::Bytes),
        Just(Objective::Cpu),
        Just(Objective::Latency),
        Just(Objective::Balanced)
    ];
    let max_latency = prop::option::of((1_u64..10_000).prop_map(Duration::from_millis));
    (objective, prop::option::of(1.0..1e6_f64), max_latency).prop_map(
        |(objective, rate, max_latency)| Goal { objective, rate, max_latency, ..Goal::default() },
    )
}

proptest! {
    /// With time enough it finds what a full sweep finds.
    #[test]
    fn it_finds_the_best(mut surface in arb_surface(), goal in arb_goal(), to in 1_usize..60_000) {
        let space = space(surface.arms.len(), to);
        let lowest = surface.lowest(&space, &goal);
        let budget = Duration::from_secs(100_000);
        let mut search = Search::new(space, goal, budget, Duration::ZERO);
        surface.run(&mut search, budget);
        prop_assert!(!search.was_cut());
        let found = search.recommend();
        prop_assert_eq!(found.is_some(), lowest.is_some());
        if let (Some(found), Some(lowest)) = (found, lowest) {
            let limit = lowest * (1.0 + TOLERANCE) * 1.000_001;
            prop_assert!(found.cost <= limit, "{} is not {lowest}: {found:?}", found.cost);
        }
    }

    /// However little time there is, it is not exceeded, and what is known by then is of use.
    #[test]
    fn it_keeps_to_its_budget(
        mut surface in arb_surface(),
        goal in arb_goal(),
        ms in 0_u64..3000,
        is_sweep in any::<bool>(),
    ) {
        let space = space(surface.arms.len(), 50_000);
        let budget = Duration::from_millis(ms);
        let start = if is_sweep { Search::sweep } else { Search::new };
        let mut search = start(space, goal, budget, Duration::ZERO);
        let n_asked = surface.run(&mut search, budget).len();
        prop_assert!(n_asked > 0 || budget <= LEAST_TRIAL);
        if goal.max_latency.is_none() && n_asked > 0 {
            prop_assert!(search.recommend().is_some());
        }
    }
}

fn surface() -> Surface {
    let arm = |bytes, ns| Arm { bytes, batch_bytes: 800.0, ns, batch_ns: 1e4 };
    let arms = [
        (40.0, 5.0),
        (25.0, 20.0),
        (15.0, 60.0),
        (14.5, 90.0),
        (14.0, 200.0),
        (13.9, 400.0),
        (13.0, 3000.0),
    ];
    Surface { arms: arms.map(|(bytes, ns)| arm(bytes, ns)).to_vec(), now: Duration::ZERO }
}

#[test]
fn it_measures_few_of_the_points_and_the_last_ones_again() {
    let budget = Duration::from_secs(3600);
    let space = space(7, 50_000);
    let mut search = Search::new(space.clone(), Goal::default(), budget, Duration::ZERO);
    let asked = surface().run(&mut search, budget);
    let n_points = search.points().count();
    assert!(n_points < space.len() * 7 / 10, "{n_points} of {}", space.len());
    let recommended = search.recommend().unwrap().measured.point;
    let n_looks = asked.iter().filter(|point| **point == recommended).count();
    assert!(n_looks >= REPEATS.start, "{n_looks}");
    assert!(search.points().any(
        |measured| measured.point.rows == 1000 && measured.point.codec == Codec::default()
    ));
    assert_eq!(search.finalists()[0].point, recommended);
}

#[test]
fn what_is_too_large_is_not_made_larger() {
    let budget = Duration::from_secs(3600);
    let goal = Goal { objective: Objective::Bytes, payload_limit: 100_000, ..Goal::default() };
    let mut search = Search::new(space(7, 5_000_000), goal, budget, Duration::ZERO);
    let asked = surface().run(&mut search, budget);
    assert_eq!(search.recommend().unwrap().measured.point.to_string(), "2000 rows, zstd:19");
    let largest = asked.iter().map(|point| point.rows).max();
    assert!(largest.unwrap() <= 100_000, "{largest:?}");
}

#[test]
fn a_sweep_measures_everything() {
    let budget = Duration::from_secs(36_000);
    let space = space(7, 1000);
    let mut search = Search::sweep(space.clone(), Goal::default(), budget, Duration::ZERO);
    surface().run(&mut search, budget);
    assert_eq!(search.points().count(), space.len());
    assert!(search.points().all(|measured| measured.encode.len() == REPEATS.start));
}

#[test]
fn what_was_not_finished_is_given_up() {
    let mut search =
        Search::new(space(1, 10), Goal::default(), Duration::from_secs(1), Duration::ZERO);
    let task = search.next(Duration::ZERO).unwrap();
    search.record(task, None);
    assert_eq!((search.next(Duration::ZERO), search.recommend()), (None, None));
    assert!(search.was_cut());
}
