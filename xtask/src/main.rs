//! Set-up and automation for the workspace: `cargo xtask --help` lists what it does.
//!
//! Everything that takes more than a few lines of shell lives here, so that it works the same on
//! Linux and macOS and is checked by the compiler. Speaks on stderr only: stdout belongs to the
//! commands it runs.
#![allow(clippy::print_stderr, reason = "a command-line tool that talks to whoever runs it")]

mod cache;
mod contract;
mod fuzz;
mod libchdb;
mod python;
mod run;
mod standin;
mod steps;
mod tasks;
mod tools;
mod viewer;
mod viewer_bench;
mod viewer_page;
mod viewer_test;
mod wasm;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::viewer_test::Purpose;

/// Set-up and automation for the Volley workspace.
#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo xtask",
    help_expected = true,
    disable_help_subcommand = true,
    after_help = "Environment:\n  \
        VOLLEY_CACHE_DIR  where downloads are kept\n  \
        VOLLEY_LIBCHDB    a libchdb to use in place of a downloaded one\n  \
        VOLLEY_CHROMIUM   a Chromium or Chrome for the tests of the browser inspector\n  \
        VOLLEY_PYTHON     a Python with the test suite's packages to use in place of a venv\n  \
        VOLLEY_CONTRACT   a folder with the foreign readers' packages to use in place of a made one\n  \
        CARGO_TARGET_DIR  where cargo builds, as always"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run the whole pipeline on embedded servers: fetch what it needs, build it, `volley demo`
    ///
    /// What follows `demo` goes to `volley demo` as it is, for instance `cargo xtask demo --format
    /// json`, which prints one JSON object as the last line of stdout. `cargo xtask demo -- --help`
    /// lists the options.
    Demo(PassedOn),
    /// Run Apache Kafka on loopback until Ctrl-C, with passwords and certificates to try
    ///
    /// Prints its addresses and the settings that clients need. `cargo xtask kafka -- --help` lists
    /// the options, such as `--brokers 3`. Needs Java 17 or later, and Maven the first time.
    Kafka(PassedOn),
    /// Set up everything, then run every test and build the browser module
    ///
    /// What follows `test` goes to `cargo test`, for instance `cargo xtask test -p volley-core
    /// codec -- --nocapture`; then only what it names is built and run. With CI=true a test that
    /// lacks what it needs fails in place of being skipped.
    Test(PassedOn),
    /// Check formatting, clippy and the documentation, with warnings as errors
    Lint,
    /// Check the licences, duplicates and sources of all dependencies with cargo-deny
    Deny {
        /// Also check for known vulnerabilities; downloads RustSec's database
        #[arg(long)]
        advisories: bool,
    },
    /// Damage payloads in every way, and print what became of it
    ///
    /// Every byte of payloads over twelve schemas, three codecs and two framings is changed three times,
    /// each payload is cut to every length, and its messages are swapped and repeated, in processes
    /// limited to 2 GB. The tests take a sample of the same.
    Mutate,
    /// Feed random bytes to the readers of untrusted bytes, with cargo-fuzz
    ///
    /// Needs a nightly toolchain. The tests replay the seeds, and every input that once failed, with
    /// any toolchain.
    Fuzz {
        /// The reader to fuzz [default: one after another]
        #[arg(value_parser = fuzz::TARGETS)]
        target: Option<String>,
        /// For how long each
        #[arg(long, default_value_t = 10, value_name = "N")]
        minutes: u32,
    },
    /// Build volley-core and the viewer for the browser
    ///
    /// Uses rustup's wasm32-unknown-unknown where it is or can be installed, and a distribution's
    /// Rust with the standard library's source elsewhere. Needs a clang for zstd's C code.
    Wasm,
    /// Build target/release/volley with the browser inspector's page inside, for `volley view`
    ///
    /// `cargo build --release -p volley` builds the same without the page.
    Build,
    /// Build the browser inspector: target/viewer/site for any static host, and one file beside it
    Viewer {
        /// An origin that the page's `?url=` may read from, beside its own; may be repeated
        #[arg(long, value_name = "ORIGIN")]
        connect: Vec<String>,
    },
    /// Build the browser inspector and test it in Chromium
    ///
    /// Uses VOLLEY_CHROMIUM, else a Chromium or Chrome that it finds. Fetches playwright-core and
    /// axe-core from npm into the cache.
    ViewerTest {
        /// Accept the sizes of this build: write them to wasm-viewer/sizes.json
        #[arg(long)]
        update_sizes: bool,
        /// Test nothing, make the pictures of the README again: wasm-viewer/screenshots
        #[arg(long, conflicts_with = "update_sizes")]
        screenshots: bool,
    },
    /// Run the benchmarks, and sum them up in benches/results: tables, charts, raw numbers
    ///
    /// With `--quick` first, rough numbers in a few minutes. What else follows `bench` goes to `cargo
    /// bench`, for instance `cargo xtask bench --bench codec -- zstd_1`; then only criterion reports.
    /// `cargo xtask bench --browser` measures the browser inspector's decoder beside arrow-js in
    /// Chromium, and `--quick` behind it roughly.
    Bench(PassedOn),
    /// Kill loaders with SIGKILL at random moments, and count what is lost or there twice
    ///
    /// On Apache Kafka and ClickHouse's engine; takes about 4 s a kill. What follows `kill-test` are
    /// its options, such as `--kills 20`; `cargo xtask kill-test -- --help` lists them. Exits with 1
    /// where a row is lost or there twice.
    KillTest(PassedOn),
    /// Measure what `volley load` costs: CPU a million rows, and memory
    ///
    /// Builds the release binary, and feeds it from Apache Kafka into an endpoint that answers at
    /// once, and into ClickHouse's engine. `cargo xtask load-speed -- --help` lists the options;
    /// `cargo xtask load-speed steady` measures the cases of that name.
    LoadSpeed(PassedOn),
    /// Compare Volley with what else moves the same rows, on Apache Kafka and ClickHouse's engine
    ///
    /// Beside it: the same in Python, ClickHouse's Kafka engine, and rows one by one. What follows
    /// `compare` goes to the comparison: `--quick` takes a few minutes once everything is built.
    /// `cargo xtask compare -- --help` lists the options. Linux only.
    Compare(PassedOn),
    /// Check that `volley tune` recommends what a measurement of every point recommends
    ///
    /// Prints what each recommendation costs more than the best point of a full sweep, for four data
    /// sets and every objective, by encoding and decoding alone and over a broker in the process, and
    /// fails where that is over 5 %. Counts CPU time.
    TuneRegret {
        /// Fewer rows and rounds
        #[arg(long)]
        quick: bool,
    },
    /// Run the end-to-end suite in containers, on images made here
    ///
    /// For machines that reach no container registry: makes images that stand in for Redpanda, Apache
    /// Kafka and ClickHouse, starts a Docker engine for them where none runs, and stops it. Needs root
    /// on Linux. What follows `standin` goes to `cargo test`, for instance `cargo xtask standin --
    /// docker::groups`.
    Standin(PassedOn),
    /// Everything that must pass before a change lands: test, lint, deny
    Ci,
    /// Fetch what the other commands need: libchdb, Python packages, other languages' Arrow readers;
    /// quick when it is there
    Setup,
}

#[derive(Debug, clap::Args)]
struct PassedOn {
    /// Passed on unchanged
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().task {
        Task::Demo(_) => tasks::demo(&passed_on()),
        Task::Kafka(_) => tasks::kafka(&passed_on()),
        Task::Test(_) => tasks::test(&passed_on()),
        Task::Lint => tasks::lint(),
        Task::Deny { advisories } => tasks::deny(advisories),
        Task::Mutate => tasks::mutate(),
        Task::Fuzz { target, minutes } => fuzz::run(target.as_deref(), minutes),
        Task::Wasm => wasm::build().map(drop),
        Task::Build => tasks::build(),
        Task::Viewer { connect } => viewer::build(&connect).map(drop),
        Task::ViewerTest { update_sizes, screenshots } => {
            viewer_test::run(match (update_sizes, screenshots) {
                (_, true) => Purpose::Screenshots,
                (true, _) => Purpose::UpdateSizes,
                _ => Purpose::Test,
            })
        }
        Task::Bench(_) => tasks::bench(&passed_on()),
        Task::KillTest(_) => tasks::kill_test(&passed_on()),
        Task::LoadSpeed(_) => tasks::load_speed(&passed_on()),
        Task::Compare(_) => tasks::compare(&passed_on()),
        Task::TuneRegret { quick } => tasks::tune_regret(quick),
        Task::Standin(_) => standin::standin(&passed_on()),
        Task::Ci => tasks::ci(),
        Task::Setup => tasks::setup(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// What stands after the command, `--` included: clap would drop the one that separates cargo's
/// arguments from a test's.
fn passed_on() -> Vec<OsString> {
    std::env::args_os().skip(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_of_the_task_are_not_taken_for_ours() {
        let line = ["xtask", "demo", "--format", "json", "--help"];
        let Task::Demo(passed) = Cli::try_parse_from(line).unwrap().task else {
            panic!("not the demo")
        };
        assert_eq!(passed.args, line[2..]);
    }
}
