use std::{collections::VecDeque, time::Duration};

use super::{
    Goal, Interval, Measured, Objective, Point, Recommendation, Space, Task, Trial,
    measure::LEAST_TRIAL, sample::rows_of_trial,
};

/// Every so many rungs of rows are looked at first.
const COARSE_STEP: usize = 3;

/// Arms that are this much dearer than the cheapest at the same rows are given up before they are
/// refined.
const HOPELESS: f64 = 1.5;

/// Arms that are this much dearer than the cheapest at some rows are not tried at more rows, where
/// what batches cost by themselves makes even less of a difference.
const FAR: f64 = 4.0;

/// Arms that are left when the halving ends.
const FINALISTS: usize = 3;

/// What the intervals of encoding and decoding together have to be within, as a part of both.
const TIGHT: f64 = 0.02;

/// Fewer trials have no interval, more do not help.
const REPEATS: std::ops::Range<usize> = 5..40;

/// A trial is expected to take this much longer than those before it let one think.
const CAUTION: f64 = 1.5;

/// A codec of which nothing is known is expected to be this much slower than the one before it.
const STEP_UP: f64 = 4.0;

/// Finds the best point without measuring all of them.
///
/// An *arm* is all that a point has but its rows. First every arm is tried at a few rows, smallest
/// first. Then arms look at the rows beside their best until none is better, and half of the arms
/// are given up, again and again. The last ones are measured until their intervals are tight.
///
/// It never hands out what is not expected to fit the rest of its budget, judged by what was
/// measured so far. Time is a parameter: `now` is a [`Duration`] since any fixed moment.
#[derive(Clone, Debug)]
pub struct Search {
    space: Space,
    goal: Goal,
    end: Duration,
    stage: Stage,
    /// Arms that are still in the running.
    alive: Vec<usize>,
    queue: VecDeque<(usize, usize)>,
    found: Vec<Found>,
    /// Points that do not fit the budget.
    given_up: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Coarse,
    Refine,
    Tighten,
    /// Every point, rather than a search.
    All,
}

/// A point that was measured, by its place in the space.
#[derive(Clone, Debug)]
struct Found {
    arm: usize,
    rung: usize,
    measured: Measured,
    wall_ns: f64,
}

impl Search {
    /// A search that starts at `now` and ends before `now + budget`.
    pub fn new(space: Space, goal: Goal, budget: Duration, now: Duration) -> Self {
        let mut search = Self::empty(space, goal, budget, now, Stage::Coarse);
        for rung in search.coarse_rungs() {
            search.queue.extend(search.alive.iter().map(|&arm| (arm, rung)));
        }
        // Early, so that however small the budget, what one would do untold is among what is known;
        // not at first, because then nobody knows how long it takes.
        if let Some(place) = search.default_place() {
            search.queue.insert(search.queue.len().min(1), place);
        }
        search
    }

    /// Measures every point, the smallest first, until all intervals are tight: what a search is held
    /// against.
    pub fn sweep(space: Space, goal: Goal, budget: Duration, now: Duration) -> Self {
        Self::empty(space, goal, budget, now, Stage::All)
    }

    fn empty(space: Space, goal: Goal, budget: Duration, now: Duration, stage: Stage) -> Self {
        Self {
            alive: (0..space.n_arms()).collect(),
            space,
            goal,
            end: now.saturating_add(budget),
            stage,
            queue: VecDeque::new(),
            found: Vec::new(),
            given_up: Vec::new(),
        }
    }

    /// What to measure next; `None` when there is nothing left, or nothing that fits the budget.
    pub fn next(&mut self, now: Duration) -> Option<Task> {
        loop {
            if now >= self.end {
                return None;
            }
            match self.queue.pop_front() {
                Some(place) if self.is_settled(place) || self.is_far(place) => {}
                Some(place) if self.expected(place) > self.end - now => self.given_up.push(place),
                Some((arm, rung)) => {
                    let point = self.space.point(arm, rung);
                    return Some(Task { point, deadline: self.end });
                }
                None if self.plan() => {}
                None => return None,
            }
        }
    }

    /// Takes what a task gave: nothing where the time was up.
    pub fn record(&mut self, task: Task, trial: Option<Trial>) {
        let Some(place) = self.place_of(&task.point) else { return };
        let Some(trial) = trial else {
            self.given_up.push(place);
            return;
        };
        let at = self.found.iter().position(|found| (found.arm, found.rung) == place);
        let at = at.unwrap_or_else(|| {
            let measured = Measured::new(task.point, trial.size);
            let (arm, rung) = place;
            self.found.push(Found { arm, rung, measured, wall_ns: trial.wall_ns });
            self.found.len() - 1
        });
        let found = &mut self.found[at];
        found.measured.push(&trial);
        found.wall_ns = found.wall_ns.max(trial.wall_ns);
    }

    /// What was measured so far, in the order in which it was first.
    pub fn points(&self) -> impl Iterator<Item = &Measured> + Clone {
        self.found.iter().map(|found| &found.measured)
    }

    /// The same, to add what was measured elsewhere.
    pub fn points_mut(&mut self) -> impl Iterator<Item = &mut Measured> {
        self.found.iter_mut().map(|found| &mut found.measured)
    }

    /// The point to take, by what is known so far; `None` where none will do.
    pub fn recommend(&self) -> Option<Recommendation<'_>> {
        self.goal.recommend(self.points())
    }

    /// The best points of different arms, the recommended one first.
    pub fn finalists(&self) -> Vec<&Measured> {
        let recommended = self.recommend().map(|found| found.measured);
        let mut finalists: Vec<_> = recommended.into_iter().collect();
        let best = self.ranked_arms().into_iter().filter_map(|arm| self.best_of(arm));
        for found in best {
            if finalists.iter().all(|other| other.point != found.measured.point) {
                finalists.push(&found.measured);
            }
        }
        finalists
    }

    /// Whether points were left out because they did not fit the budget.
    pub fn was_cut(&self) -> bool {
        !self.given_up.is_empty() || !self.queue.is_empty()
    }

    /// The space.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The goal.
    pub fn goal(&self) -> &Goal {
        &self.goal
    }

    /// From the first to the last.
    fn coarse_rungs(&self) -> Vec<usize> {
        let last = self.space.rows().len().checked_sub(1);
        let rungs = (0..self.space.rows().len()).step_by(COARSE_STEP);
        let mut rungs: Vec<_> = rungs.chain(last).collect();
        rungs.dedup();
        rungs
    }

    /// What `volley produce` does untold, so that there is something to compare with.
    fn default_place(&self) -> Option<(usize, usize)> {
        self.place_of(&Point::default())
    }

    fn place_of(&self, point: &Point) -> Option<(usize, usize)> {
        let rung = self.space.rows().binary_search(&point.rows).ok()?;
        (0..self.space.n_arms())
            .find(|&arm| self.space.point(arm, rung) == *point)
            .map(|arm| (arm, rung))
    }

    fn found(&self, place: (usize, usize)) -> Option<&Found> {
        self.found.iter().find(|found| (found.arm, found.rung) == place)
    }

    /// Whether there is nothing to learn of a place: smaller batches of its arm are too large already,
    /// or it was given up.
    fn is_settled(&self, place: (usize, usize)) -> bool {
        let (arm, rung) = place;
        let is_too_large = |found: &Found| {
            found.arm == arm
                && found.rung < rung
                && found.measured.size.largest > self.goal.payload_limit
        };
        self.given_up.contains(&place) || self.found.iter().any(is_too_large)
    }

    /// Whether a place is not worth a first look, by what its arm costs at the rows looked at before.
    fn is_far(&self, place: (usize, usize)) -> bool {
        let (arm, rung) = place;
        let before = rung.saturating_sub(1) / COARSE_STEP * COARSE_STEP;
        // At the fewest rows, messages cost more than codecs.
        let is_first = self.stage == Stage::Coarse && before > 0;
        if !is_first || self.default_place() == Some(place) {
            return false;
        }
        let fitting = self
            .found
            .iter()
            .filter(|found| found.rung == before && self.goal.objection(&found.measured).is_none());
        let costs = fitting.map(|found| self.goal.cost(&found.measured));
        let lowest = costs.fold(f64::INFINITY, f64::min);
        // One that was far before has not been looked at.
        let own = self.found((arm, before)).map(|found| self.goal.cost(&found.measured));
        own.is_none_or(|cost| cost > FAR * lowest)
    }

    /// How long a trial is likely to take: as its arm at the nearest rows, or as the arm before it.
    fn expected(&self, (arm, rung): (usize, usize)) -> Duration {
        let nearest = |arm: usize| {
            let of_arm = self.found.iter().filter(move |found| found.arm == arm);
            of_arm.min_by_key(|found| found.rung.abs_diff(rung)).map(|found| found.wall_ns)
        };
        let before = || {
            let arms = (0..arm).rev().find_map(|other| Some((other, nearest(other)?)));
            arms.map(|(other, ns)| ns * STEP_UP.powi((arm - other).min(3) as i32))
        };
        let wall_ns = nearest(arm).or_else(before).unwrap_or(0.0);
        let n_rows = rows_of_trial(self.space.rows()[rung]);
        let seconds = wall_ns * n_rows as f64 * CAUTION / 1e9;
        LEAST_TRIAL.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }

    /// The cheapest point of an arm that will do.
    fn best_of(&self, arm: usize) -> Option<&Found> {
        let points = self.found.iter().filter(|found| found.arm == arm);
        let fitting = points.filter(|found| self.goal.objection(&found.measured).is_none());
        fitting.min_by(|a, b| self.goal.cost(&a.measured).total_cmp(&self.goal.cost(&b.measured)))
    }

    /// Arms in the running, the cheapest first; those that have no point which will do are left out.
    fn ranked_arms(&self) -> Vec<usize> {
        let cost = |arm: usize| Some((arm, self.goal.cost(&self.best_of(arm)?.measured)));
        let mut costs: Vec<_> = self.alive.iter().filter_map(|&arm| cost(arm)).collect();
        costs.sort_by(|a, b| a.1.total_cmp(&b.1));
        costs.into_iter().map(|(arm, _)| arm).collect()
    }

    /// Fills the queue; false when there is nothing more to do.
    fn plan(&mut self) -> bool {
        loop {
            let is_last = matches!(self.stage, Stage::Tighten | Stage::All);
            let places = match self.stage {
                Stage::Coarse => self.end_coarse(),
                Stage::Refine => self.refine(),
                Stage::Tighten => self.tighten(),
                Stage::All => self.loose_places(),
            };
            let open = places.into_iter().filter(|&place| !self.is_settled(place));
            self.queue = open.collect();
            if !self.queue.is_empty() || is_last {
                return !self.queue.is_empty();
            }
        }
    }

    fn end_coarse(&mut self) -> Vec<(usize, usize)> {
        self.stage = Stage::Refine;
        self.give_up_hopeless();
        Vec::new()
    }

    /// What lies beside the best points, or, where that is known, a second look at those of the better
    /// half, so that a lucky first one does not decide.
    fn refine(&mut self) -> Vec<(usize, usize)> {
        let unknown = self.unknown_neighbours();
        if !unknown.is_empty() {
            return unknown;
        }
        if self.alive.len() <= FINALISTS {
            self.stage = Stage::Tighten;
            return Vec::new();
        }
        let n_kept = (self.alive.len() / 2).max(FINALISTS);
        self.alive = self.ranked_arms().into_iter().take(n_kept).collect();
        let places = self.alive.iter().filter_map(|&arm| self.best_of(arm));
        places.map(|found| (found.arm, found.rung)).collect()
    }

    fn tighten(&self) -> Vec<(usize, usize)> {
        let loose =
            self.contenders().into_iter().filter(|found| !found.is_tight(self.goal.objective));
        let loose = loose.map(|found| (found.arm, found.rung));
        self.unknown_neighbours().into_iter().chain(loose).collect()
    }

    fn loose_places(&self) -> Vec<(usize, usize)> {
        let arms = self.space.n_arms();
        let rungs = 0..self.space.rows().len();
        let places = rungs.flat_map(|rung| (0..arms).map(move |arm| (arm, rung)));
        let is_tight = |found: &Found| found.is_tight(self.goal.objective);
        places.filter(|&place| !self.found(place).is_some_and(is_tight)).collect()
    }

    /// Keeps the arms that at some number of rows come near the cheapest one there. Their best points
    /// may be far apart still: where one is too large, the next smaller one was not looked at.
    fn give_up_hopeless(&mut self) {
        let fitting = self.found.iter().filter(|f| self.goal.objection(&f.measured).is_none());
        let costs: Vec<_> = fitting.map(|f| (f.arm, f.rung, self.goal.cost(&f.measured))).collect();
        let is_near = |&(_, rung, cost): &(usize, usize, f64)| {
            costs.iter().all(|&(_, other, lowest)| other != rung || cost <= lowest * HOPELESS)
        };
        let near: Vec<_> = costs.iter().filter(|at| is_near(at)).map(|&(arm, ..)| arm).collect();
        self.alive.retain(|arm| near.contains(arm));
    }

    /// Places beside the best of each arm in the running, and beside the recommended one, that were
    /// not measured yet.
    fn unknown_neighbours(&self) -> Vec<(usize, usize)> {
        let best = self.alive.iter().filter_map(|&arm| self.best_of(arm));
        let recommended = self.recommended();
        let mut unknown = Vec::new();
        for found in best.chain(recommended) {
            let below = found.rung.checked_sub(1);
            let above = Some(found.rung + 1).filter(|&rung| rung < self.space.rows().len());
            for rung in [below, above].into_iter().flatten() {
                let place = (found.arm, rung);
                let is_new = self.found(place).is_none() && !unknown.contains(&place);
                if is_new && !self.is_settled(place) {
                    unknown.push(place);
                }
            }
        }
        unknown
    }

    fn recommended(&self) -> Option<&Found> {
        let point = self.recommend()?.measured.point;
        self.found.iter().find(|found| found.measured.point == point)
    }

    /// The points that the recommendation is between: the best of the last arms, the recommended one
    /// and what is beside it.
    fn contenders(&self) -> Vec<&Found> {
        let mut contenders: Vec<&Found> = Vec::new();
        let best = self.ranked_arms().into_iter().filter_map(|arm| self.best_of(arm));
        let recommended = self.recommended();
        let beside = recommended.iter().flat_map(|found| {
            let rungs = [found.rung.checked_sub(1), found.rung.checked_add(1)];
            rungs.into_iter().flatten().filter_map(|rung| self.found((found.arm, rung)))
        });
        for found in recommended.into_iter().chain(best).chain(beside.collect::<Vec<_>>()) {
            let place = (found.arm, found.rung);
            if contenders.iter().all(|other| (other.arm, other.rung) != place) {
                contenders.push(found);
            }
        }
        contenders
    }
}

impl Found {
    /// Whether more trials would not tell more of what the objective asks for: bytes are exact at once.
    fn is_tight(&self, objective: Objective) -> bool {
        let n = self.measured.encode.len();
        let intervals = [self.measured.encode.interval(), self.measured.decode.interval()];
        let reach: f64 = intervals.iter().flatten().map(Interval::reach).sum();
        let is_known = objective == Objective::Bytes || reach <= TIGHT * self.measured.codec_ns();
        n >= REPEATS.end || (n >= REPEATS.start && is_known)
    }
}

#[cfg(test)]
mod tests;
