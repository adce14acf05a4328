//! The kill test for people: `cargo xtask kill-test`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::Arc,
    time::Instant,
};

use clap::{Parser, builder::PossibleValuesParser, value_parser};
use volley_e2e::{KillOptions, KillReport, Scenario, StackKind, Stacks, kill_test};

/// Kill loaders with SIGKILL at random moments, and count what is lost or there twice
///
/// Rows with known keys are produced all the time into Apache Kafka, and loaded into ClickHouse's
/// engine by one loader or two, which are killed, mid-insert included, and started again. At the end
/// the rows of the table are counted, without FINAL. Exits with 0 where each is there once, with 1
/// where one is lost or there twice, with 2 where the test could not be carried out.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask kill-test", help_expected = true)]
struct Cli {
    /// Loaders to kill
    #[arg(long, value_name = "N", default_value = "100", value_parser = value_parser!(u32).range(1..))]
    kills: u32,

    /// Chooses the moments [default: another each time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// What the loaders promise: with at-least-once, rows come twice
    #[arg(
        long,
        value_name = "GUARANTEE",
        default_value = "effectively-once",
        value_parser = PossibleValuesParser::new(["effectively-once", "at-least-once"])
    )]
    delivery: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let seed = cli.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let options = KillOptions { n_kills: cli.kills, seed, delivery: cli.delivery.leak() };
    eprintln!("{} kills, --seed {seed}", cli.kills);
    let stacks = Stacks::new();
    // What does not work says so in a panic.
    let ran = catch_unwind(AssertUnwindSafe(|| run(&stacks, &options)));
    if let Some(stacks) = Arc::into_inner(stacks) {
        stacks.shutdown();
    }
    let Ok(report) = ran else {
        return ExitCode::from(2);
    };
    println!("{report}");
    if report.verdict() == (0, 0) { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn run(stacks: &Stacks, options: &KillOptions) -> KillReport {
    let stack = stacks.get(StackKind::Native);
    let scenario = Scenario::new(&stack);
    let began = Instant::now();
    kill_test(&scenario, options, |when, report| {
        let (n_kills, of, took) = (report.n_kills(), options.n_kills, began.elapsed().as_secs());
        eprintln!("{n_kills:>4} of {of}, {took:>4} s: {when}");
    })
}
