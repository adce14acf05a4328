//! What a run of the benchmarks found, as tables and charts: the end of `cargo xtask bench`.
//!
//! Reads criterion's estimates, counts the bytes of each case anew (they are the same on every
//! machine), and writes `summary.md`, `bench.json` and charts.
#![allow(clippy::print_stderr, reason = "a command-line tool")]

mod charts;
mod estimates;
mod grid;
mod summary;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::Parser;
use volley_benches::{exit, machine::Machine};

use crate::{estimates::Estimates, grid::Grid};

/// Sum a run of the benchmarks up
#[derive(Debug, Parser)]
#[command(help_expected = true)]
struct Cli {
    /// Where criterion has put its results
    #[arg(long, value_name = "DIR")]
    criterion: PathBuf,

    /// The command that ran, for the page
    #[arg(long, value_name = "TEXT")]
    command: String,

    /// Folder for the results [default: benches/results/DATE-MACHINE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    exit::code(run(Cli::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(cli: Cli) -> Result<()> {
    let machine = Machine::this();
    let estimates = Estimates::read(&cli.criterion)?;
    ensure!(!estimates.is_empty(), "{} holds no results", cli.criterion.display());
    let out = machine.results(cli.out)?;

    let grid = Grid::new(&estimates);
    for (name, chart) in charts::all(&grid) {
        fs::write(out.join(name), chart.to_svg())?;
    }
    let text = summary::text(&machine, &cli.command, &estimates, &grid);
    fs::write(out.join("summary.md"), text)?;
    fs::write(out.join("bench.json"), serde_json::to_string_pretty(&estimates)?)?;
    eprintln!("{} results, written to {}", estimates.len(), out.display());
    Ok(())
}
