//! Recommended points against those that look best in a sweep.

use anyhow::{Context as _, Result};
use volley_core::tune::{Goal, Measured, Point, Sample, Samples, Trial};

use super::{
    Found, Regret,
    sweep::{Sweep, is_timed},
    way::Way,
};

/// Points that cost this much more than the cheapest of the sweep may still be the best.
const NEAR: f64 = 1.15;

/// Trials of each point, by rounds.
type Rounds = Vec<Vec<(Point, Trial)>>;

/// The regret of each recommendation.
///
/// All points in question are measured in turns, every other round backwards. The even rounds say
/// which one is the best, the odd rounds what the recommended one costs more than that: a best point
/// that was chosen by its luck has none in the other rounds. The regret is the median of the rounds'
/// ratios.
pub(super) fn run(
    sample: &Sample,
    found: &[Found],
    sweep: &Sweep,
    way: &mut Way,
    n_rounds: usize,
) -> Result<Vec<Regret>> {
    let mut points: Vec<Point> = Vec::new();
    for point in found.iter().filter(|f| is_timed(&f.goal)).flat_map(|f| contenders(f, sweep)) {
        if !points.contains(&point) {
            points.push(point);
        }
    }
    let mut rounds = Rounds::with_capacity(n_rounds);
    for _ in 0..n_rounds {
        points.reverse();
        let trials = points.iter().map(|point| Ok((*point, way.trial(sample, point)?)));
        rounds.push(trials.collect::<Result<_>>()?);
    }
    let regret = |found: &Found| {
        if is_timed(&found.goal) { timed(found, sweep, &rounds) } else { exact(found, sweep) }
    };
    found.iter().map(regret).collect()
}

/// The recommended point, and all that may be better.
fn contenders(found: &Found, sweep: &Sweep) -> Vec<Point> {
    let limit = NEAR * sweep.lowest(&found.goal);
    let near = sweep.points().iter().filter(|measured| found.goal.cost(measured) <= limit);
    let others = near.map(|measured| measured.point).filter(|point| *point != found.point);
    std::iter::once(found.point).chain(others).collect()
}

fn timed(found: &Found, sweep: &Sweep, rounds: &Rounds) -> Result<Regret> {
    let (goal, recommended) = (&found.goal, found.point);
    let costs = |point: Point, odd: usize| {
        let rounds = rounds.iter().skip(odd).step_by(2).flatten();
        rounds.filter(move |trial| trial.0 == point).map(|(point, trial)| cost(goal, *point, trial))
    };
    let median = |point: &Point| {
        let mut samples = Samples::default();
        costs(*point, 0).for_each(|cost| samples.push(cost));
        samples.median()
    };
    let contenders = contenders(found, sweep);
    let best = contenders.iter().min_by(|a, b| median(a).total_cmp(&median(b)));
    let best = *best.context("a duel of nobody")?;
    let mut ratios = Samples::default();
    costs(recommended, 1).zip(costs(best, 1)).for_each(|(a, b)| ratios.push(a / b - 1.0));
    Ok(Regret { best, part: ratios.interval().context("a duel without rounds")? })
}

/// Bytes need no duel.
fn exact(found: &Found, sweep: &Sweep) -> Result<Regret> {
    let cost = |measured: &Measured| found.goal.cost(measured);
    let best = sweep.points().iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
    let best = best.context("a sweep of nothing")?;
    let recommended = sweep.points().iter().find(|measured| measured.point == found.point);
    let recommended = recommended.context("the sweep lacks a point")?;
    let mut ratio = Samples::default();
    ratio.push(cost(recommended) / cost(best) - 1.0);
    Ok(Regret { best: best.point, part: ratio.interval().context("bytes are numbers")? })
}

fn cost(goal: &Goal, point: Point, trial: &Trial) -> f64 {
    let mut measured = Measured::new(point, trial.size);
    measured.push(trial);
    goal.cost(&measured)
}
