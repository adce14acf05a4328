//! What it costs to take `volley tune`'s word for it: `cargo xtask tune-regret`.
//!
//! For each data set a sweep measures every point of the space that a search has, and for each
//! objective a search recommends one. What a point costs is measured in two ways: [`Way::Codec`] is
//! what `volley tune` measures too, [`Way::Broker`] is all that a row goes through, from a batch over
//! a broker to a batch. Then what looks best in the sweep and what was recommended are measured
//! against each other ([`duel`]), since the lowest of many noisy numbers is one that was lucky.
//! Exit code 1 where a recommendation costs over 5 % more than the best.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a table for whoever runs it")]

mod duel;
mod sweep;
mod way;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Parser;
use volley_benches::{Data, exit, machine::Machine};
use volley_core::tune::{
    Clock as _, Goal, Interval, Measured, Objective, Point, Sample, Search, Space, measure,
};

use self::{
    sweep::Sweep,
    way::{ThreadClock, Way},
};

/// The most that a recommendation may cost more than the best point.
const MOST: f64 = 0.05;

/// Rows a second, for the objective that asks for them.
const RATE: f64 = 1000.0;

/// How thorough a run is.
#[derive(Clone, Copy, Debug)]
struct Effort {
    n_rows: usize,
    /// CPU time that a search has, as long as the default of `volley tune` on the wall.
    budget: Duration,
    /// Rounds of a duel.
    n_rounds: usize,
}

impl Effort {
    const FULL: Self = Self { n_rows: 100_000, budget: Duration::from_secs(30), n_rounds: 30 };
    const QUICK: Self = Self { n_rows: 10_000, budget: Duration::from_secs(10), n_rounds: 12 };
}

/// A recommendation.
#[derive(Clone, Copy, Debug)]
struct Found {
    goal: Goal,
    point: Point,
    n_points: usize,
    took: Duration,
}

/// What a recommendation costs more than the best point, as a part of that.
#[derive(Clone, Copy, Debug)]
struct Regret {
    best: Point,
    part: Interval,
}

/// Measure what the recommendations of `volley tune` cost more than the best points
///
/// For four data sets and every objective. Exit code 1 where it is over 5 %.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask tune-regret", help_expected = true)]
struct Cli {
    /// Fewer rows and rounds
    #[arg(long)]
    quick: bool,

    /// Also print every point of the sweeps on standard error: data, way, point, bytes and ns a row
    #[arg(long)]
    points: bool,
}

fn main() -> ExitCode {
    exit::code(run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let effort = if cli.quick { Effort::QUICK } else { Effort::FULL };
    let started = Instant::now();
    println!("{}\n", Machine::this().describe());
    let mut ways = [Way::Codec(ThreadClock), Way::broker()?];
    println!("| data | objective | recommended | points | CPU s | way | best | regret | 95 % |");
    println!("|---|---|---|---:|---:|---|---|---:|---:|");
    let mut worst: f64 = 0.0;
    for data in Data::ALL {
        let sample = Sample::new(&[data.table(effort.n_rows)])?;
        let found = searches(&sample, effort.budget)?;
        for way in &mut ways {
            let sweep = Sweep::run(&sample, &found, way)?;
            let say = |what: String| {
                eprintln!(
                    "{:>4.0} s  {} {way}: {what}",
                    started.elapsed().as_secs_f64(),
                    data.name()
                );
            };
            if cli.points {
                sweep.points().iter().for_each(|measured| print_point(data, way, measured));
            }
            say(format!("{} trials of {} points", sweep.n_trials(), sweep.points().len()));
            let regrets = duel::run(&sample, &found, &sweep, way, effort.n_rounds)?;
            for (found, regret) in found.iter().zip(regrets) {
                worst = worst.max(regret.part.median);
                print_line(data, found, way, &regret);
            }
        }
    }
    println!(
        "\nworst regret: {:.1} %, the most allowed: {:.0} %; {:.0} s",
        worst * 100.0,
        MOST * 100.0,
        started.elapsed().as_secs_f64()
    );
    Ok(if worst <= MOST { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print_point(data: Data, way: &Way, measured: &Measured) {
    let (bytes, ns) = (measured.bytes_per_row(), measured.work_ns());
    eprintln!("{}\t{way}\t{}\t{bytes:.2}\t{ns:.2}", data.name(), measured.point);
}

fn print_line(data: Data, found: &Found, way: &Way, regret: &Regret) {
    let Interval { low, median, high, .. } = regret.part;
    let best =
        if regret.best == found.point { "the same".to_owned() } else { regret.best.to_string() };
    println!(
        "| {} | {} | {} | {} | {:.1} | {way} | {best} | {:.1} % | {:.1} to {:.1} |",
        data.name(),
        found.goal.objective,
        found.point,
        found.n_points,
        found.took.as_secs_f64(),
        median * 100.0,
        low * 100.0,
        high * 100.0
    );
}

/// What `volley tune` recommends for each objective.
fn searches(sample: &Sample, budget: Duration) -> Result<Vec<Found>> {
    let objectives = [Objective::Bytes, Objective::Cpu, Objective::Latency, Objective::Balanced];
    let search = |objective| {
        let goal = Goal { objective, rate: Some(RATE), ..Goal::default() };
        let mut clock = ThreadClock;
        let began = clock.wall();
        let mut search = Search::new(Space::of(sample), goal, budget, began);
        while let Some(task) = search.next(clock.wall()) {
            let trial = measure(sample, task, &mut clock)?;
            search.record(task, trial);
        }
        let point = search.recommend().context("no point fits a message")?.measured.point;
        Ok(Found { goal, point, n_points: search.points().count(), took: clock.wall() - began })
    };
    objectives.into_iter().map(search).collect()
}
