//! The browser's decoder beside arrow-js, on the same files in the same Chromium: the end of `cargo
//! xtask bench --browser`.
//!
//! Makes the files, has `browser/run.mjs` time both in turns and compare what they found, and writes
//! `browser.md` and `browser.json`.
#![allow(clippy::print_stderr, reason = "a command-line tool")]

mod files;
mod report;
mod times;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use volley_benches::machine::Machine;

use crate::{report::Report, times::Times};

/// Measure the browser's decoder beside arrow-js
#[derive(Debug, Parser)]
#[command(help_expected = true)]
struct Cli {
    /// Fewer rounds, and no file of 100 MB
    #[arg(long)]
    quick: bool,

    /// Folder for the results [default: benches/results/DATE-MACHINE]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let machine = Machine::this();
    let folder = tempfile::tempdir()?;
    let made = files::make(folder.path(), cli.quick)?;

    // The page, the packages and the browser are in variables that xtask sets.
    let mut node = Command::new("node");
    node.arg(root.join("browser/run.mjs")).env("VOLLEY_FIXTURES", folder.path());
    if cli.quick {
        node.env("VOLLEY_BENCH_QUICK", "1");
    }
    let status = node.status().context("node could not be started")?;
    ensure!(status.success(), "browser/run.mjs failed: {status}");
    let times = fs::read_to_string(folder.path().join("times.json"))?;
    let times: Times = serde_json::from_str(&times).context("times.json")?;

    let out = cli.out.unwrap_or_else(|| root.join("results").join(machine.folder()));
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let report = Report { machine, is_quick: cli.quick, files: made, times };
    fs::write(out.join("browser.md"), report.to_markdown())?;
    fs::write(out.join("browser.json"), serde_json::to_string_pretty(&report)?)?;
    eprintln!("{} times, written to {}", report.times.runs.len(), out.display());
    Ok(())
}
