use anyhow::Result;
use volley_core::tune::{Goal, Measured, Point, Sample, Space};

use super::{Found, way::Way};

/// Trials of every point.
const LEAST: usize = 2;

/// Trials of a point that comes near the cheapest.
const MOST: usize = 6;

/// A point that costs this much more than the cheapest, for every objective, is not tried again.
const NEAR: f64 = 1.4;

/// Every point of a space that fits a message, measured in rounds: what else the machine does then
/// hits all of them alike.
pub(super) struct Sweep {
    points: Vec<Measured>,
}

impl Sweep {
    pub(super) fn run(sample: &Sample, found: &[Found], way: &mut Way) -> Result<Self> {
        let mut sweep = Self { points: Vec::new() };
        for point in Space::of(sample).points() {
            let trial = way.trial(sample, &point)?;
            let mut measured = Measured::new(point, trial.size);
            measured.push(&trial);
            if found.iter().any(|found| found.goal.objection(&measured).is_none()) {
                sweep.points.push(measured);
            }
        }
        for round in 1..MOST {
            for point in sweep.open(found, round) {
                let trial = way.trial(sample, &point)?;
                if let Some(measured) = sweep.points.iter_mut().find(|m| m.point == point) {
                    measured.push(&trial);
                }
            }
        }
        Ok(sweep)
    }

    /// What is measured in a round.
    fn open(&self, found: &[Found], round: usize) -> Vec<Point> {
        let is_near = |measured: &&Measured| {
            let mut goals = found.iter().map(|found| &found.goal).filter(|goal| is_timed(goal));
            round < LEAST || goals.any(|goal| goal.cost(measured) <= NEAR * self.lowest(goal))
        };
        self.points.iter().filter(is_near).map(|measured| measured.point).collect()
    }

    pub(super) fn points(&self) -> &[Measured] {
        &self.points
    }

    pub(super) fn n_trials(&self) -> usize {
        self.points.iter().map(|measured| measured.encode.len()).sum()
    }

    pub(super) fn lowest(&self, goal: &Goal) -> f64 {
        self.points.iter().map(|measured| goal.cost(measured)).fold(f64::INFINITY, f64::min)
    }
}

/// Whether costs need a clock: bytes are exact.
pub(super) fn is_timed(goal: &Goal) -> bool {
    goal.objective != volley_core::tune::Objective::Bytes
}
