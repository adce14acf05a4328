//! What it costs to take `volley tune`'s word for it.
//!
//! On each data set, for each objective: the search recommends a point, a sweep measures every point
//! again and again, until its interval is tight or the time is up, and the regret is what the
//! recommended point costs more than the cheapest, by the sweep's measurements. Exit code 1 where a
//! regret is over 5 %.

#![allow(clippy::print_stdout, reason = "a table for whoever runs it")]

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::time::{ClockId, clock_gettime};
use volley_benches::{Data, is_quick};
use volley_core::tune::{Clock, Goal, Measured, Objective, Sample, Search, Space, measure};

/// The goal for every regret.
const MOST: f64 = 0.05;

/// Trials that a sweep has to have of every point.
const LEAST: usize = 2;

/// Rows a second, for the objective that asks for them.
const RATE: f64 = 1000.0;

struct MachineClock(Instant);

impl Clock for MachineClock {
    fn wall(&mut self) -> Duration {
        self.0.elapsed()
    }

    fn busy(&mut self) -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
    }
}

fn main() -> Result<ExitCode> {
    let (n_rows, budget, sweep_budget) = if is_quick() {
        (10_000, Duration::from_secs(10), Duration::from_secs(45))
    } else {
        (100_000, Duration::from_secs(30), Duration::from_secs(1200))
    };
    println!(
        "| data | objective | recommended | cheapest | regret | trials | of a sweep's | s | sweep s |"
    );
    println!("|---|---|---|---|---:|---:|---:|---:|---:|");
    let mut worst: f64 = 0.0;
    for data in Data::ALL {
        let sample = Sample::new(&[data.table(n_rows)])?;
        let (sweep, sweep_took) = run(Search::sweep, &sample, Goal::default(), sweep_budget)?;
        let n_least = sweep.points().map(|measured| measured.encode.len()).min();
        ensure!(n_least >= Some(LEAST), "{}: {n_least:?} trials of a point are few", data.name());
        for objective in [Objective::Bytes, Objective::Cpu, Objective::Latency, Objective::Balanced]
        {
            let goal = Goal { objective, rate: Some(RATE), ..Goal::default() };
            let (search, took) = run(Search::new, &sample, goal, budget)?;
            let found = search.recommend().context("no point fits a message")?.measured.point;
            let at = sweep.points().find(|measured| measured.point == found);
            let at = at.context("the sweep lacks a point")?;
            let fitting = sweep.points().filter(|point| goal.objection(point).is_none());
            let cheapest = fitting.min_by(|a, b| goal.cost(a).total_cmp(&goal.cost(b)));
            let cheapest = cheapest.context("no point fits a message")?;
            let regret = goal.cost(at) / goal.cost(cheapest) - 1.0;
            worst = worst.max(regret);
            println!(
                "| {} | {objective} | {found} | {} | {:.1} % | {} | {} | {:.1} | {:.1} |",
                data.name(),
                cheapest.point,
                regret * 100.0,
                n_trials(search.points()),
                n_trials(sweep.points()),
                took.as_secs_f64(),
                sweep_took.as_secs_f64()
            );
        }
    }
    println!("\nworst regret: {:.1} %, the goal is {:.0} %", worst * 100.0, MOST * 100.0);
    Ok(if worst <= MOST { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(
    start: fn(Space, Goal, Duration, Duration) -> Search,
    sample: &Sample,
    goal: Goal,
    budget: Duration,
) -> Result<(Search, Duration)> {
    let mut clock = MachineClock(Instant::now());
    let mut search = start(Space::of(sample), goal, budget, clock.wall());
    while let Some(task) = search.next(clock.wall()) {
        let trial = measure(sample, task, &mut clock)?;
        search.record(task, trial);
    }
    Ok((search, clock.wall()))
}

fn n_trials<'a>(points: impl Iterator<Item = &'a Measured>) -> usize {
    points.map(|measured| measured.encode.len()).sum()
}
