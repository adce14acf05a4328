//! Volley beside what else moves the same rows: `cargo xtask compare`.
//!
//! One Apache Kafka for all, and for each load a ClickHouse engine (libchdb) in a process of its own.
//! Parties take turns, so that what else the machine does hits all of them; numbers are medians over
//! the rounds. CPU time and memory are what the operating system says of whole processes, start-up
//! and all; the engine's and the broker's are the difference over a run. After each load the table
//! is compared with the rows, by their number and a sum of their hashes.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

mod freshness;
mod made;
mod party;
mod process;
mod report;
mod run;
mod scaling;
mod stack;
mod steps;
mod tables;

use std::{
    env, fs,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Parser;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use volley_benches::{exit, machine::Machine};

use crate::{
    party::Party,
    report::Report,
    stack::{Broker, Contents, Engine, Programs},
};

/// Compare Volley with what else moves the same rows
///
/// Needs libchdb, Java and a Python with the packages of testcontainers-tests/requirements.txt, which
/// `cargo xtask compare` sees to. Writes compare.md and compare.json into a folder of benches/results.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask compare", help_expected = true)]
struct Cli {
    /// A million rows and three rounds: a few minutes once everything is built
    #[arg(long)]
    quick: bool,

    /// Rows of a run [default: 10,000,000; 1,000,000 with --quick]
    #[arg(long, value_name = "N")]
    rows: Option<u64>,

    /// Rounds [default: 5; 3 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,

    /// Only these, with commas between; Volley is always there
    #[arg(long, value_name = "PARTY", value_delimiter = ',')]
    parties: Vec<Party>,

    /// Also measure Volley alone: a tenth to ten times the rows, 1 to 12 partitions, two loaders
    #[arg(long)]
    scaling: bool,

    /// Folder for the results [default: benches/results/DATE-MACHINE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Everything that runs share.
pub(crate) struct Compare {
    pub(crate) runtime: Runtime,
    pub(crate) broker: Broker,
    pub(crate) programs: Programs,
    /// What the programs write.
    pub(crate) logs: TempDir,
    pub(crate) n_rows: u64,
    /// The rows of a run, in batches of a message.
    pub(crate) rows_file: PathBuf,
    /// What a table must hold after a run; `None` until it is known.
    pub(crate) expected: Option<Contents>,
    started: Instant,
}

fn main() -> ExitCode {
    exit::code(run(Cli::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(cli: Cli) -> Result<()> {
    let machine = Machine::this();
    let n_rows = cli.rows.unwrap_or(if cli.quick { 1_000_000 } else { 10_000_000 });
    let n_rounds = cli.rounds.unwrap_or(if cli.quick { 3 } else { 5 });
    let is_chosen = |party: &Party| {
        cli.parties.is_empty() || *party == Party::Volley || cli.parties.contains(party)
    };
    let parties: Vec<_> = Party::ALL.into_iter().filter(is_chosen).collect();

    let mut compare = Compare::start(n_rows)?;
    eprintln!("{}", machine.describe());
    let batches = made::rows(n_rows);
    made::write(&compare.rows_file, &batches)?;
    let engine = Engine::start(&compare.runtime, &compare.programs.volley, compare.logs.path())?;
    compare.expected = Some(compare.expected(&engine, &batches)?);
    let clickhouse = engine.version().to_owned();
    engine.stop()?;

    let mut report = Report::new(machine, clickhouse, n_rows, cli.quick);
    compare.say("steps");
    report.steps = Some(compare.steps(&batches)?);
    drop(batches);
    for round in 0..n_rounds {
        compare.say(&format!("round {} of {n_rounds}", round + 1));
        let (sent, loaded) = compare.round(round, &parties)?;
        report.sent.extend(sent);
        report.loaded.extend(loaded);
    }
    let (n_fresh, duration) = if cli.quick { (1, 9) } else { (3, 20) };
    for round in 0..n_fresh {
        for party in &parties {
            compare.say(&format!("freshness {} of {n_fresh}: {}", round + 1, party.name()));
            let fresh = compare.freshness(*party, round, Duration::from_secs(duration));
            report.fresh.push(fresh.with_context(|| party.name())?);
        }
    }
    if cli.scaling {
        report.scaling = Some(compare.scaling()?);
    }

    let out = report.machine.results(cli.out)?;
    let text = tables::text(&report);
    fs::write(out.join("compare.json"), serde_json::to_string(&report)?)?;
    fs::write(out.join("compare.md"), &text)?;
    println!("{text}");
    compare.say(&format!("written to {}", out.display()));
    Ok(())
}

impl Compare {
    fn start(n_rows: u64) -> Result<Self> {
        let ours = env::current_exe()?;
        let beside = |name: &str| ours.with_file_name(name);
        let python = env::var_os("VOLLEY_PYTHON").context(
            "VOLLEY_PYTHON names no Python with the peers' packages; use `cargo xtask compare`",
        )?;
        let programs = Programs {
            volley: env::var_os("VOLLEY_BIN").map_or_else(|| beside("volley"), PathBuf::from),
            rows: beside("rows"),
            python: python.into(),
            peers: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("peers"),
        };
        let logs = tempfile::Builder::new().prefix("volley-compare-").tempdir()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let rows_file = logs.path().join("rows.arrows");
        let broker = Broker::start()?;
        let started = Instant::now();
        Ok(Self { runtime, broker, programs, logs, n_rows, rows_file, expected: None, started })
    }

    pub(crate) fn say(&self, what: &str) {
        eprintln!("{:>5.0} s  {what}", self.started.elapsed().as_secs_f64());
    }
}
