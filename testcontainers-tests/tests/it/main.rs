//! Every case on every chosen stack; `volley_e2e` says how they are chosen.

// A test that fails panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod binary_security;
mod cluster;
mod columns;
mod contract;
mod damaged;
mod dead_letters;
mod dictionaries;
mod evolve;
mod groups;
mod handover;
mod kills;
mod letters;
mod nested;
mod observed;
mod partitions;
mod poison;
mod positions;
mod processes;
mod provenance;
mod reaping;
mod roundtrip;
mod schemas;
mod security;
mod storms;
mod types;
mod views;
mod volley;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::Arguments;
use volley_e2e::{Case, Choice, Stacks, left_out, reap_if_asked, trials};

/// In the order in which they run: the slowest first, so that the others run beside it.
const CASES: &[&[Case]] = &[
    cluster::CASES,
    kills::CASES,
    storms::CASES,
    processes::CASES,
    roundtrip::CASES,
    partitions::CASES,
    observed::CASES,
    groups::CASES,
    handover::CASES,
    schemas::CASES,
    evolve::CASES,
    positions::CASES,
    provenance::CASES,
    types::CASES,
    nested::CASES,
    dictionaries::CASES,
    damaged::CASES,
    dead_letters::CASES,
    letters::CASES,
    poison::CASES,
    views::CASES,
    security::CASES,
    binary_security::CASES,
];

fn main() -> ExitCode {
    if reap_if_asked() {
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let choice = match Choice::from_env() {
        Ok(choice) => choice,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let cases = CASES.concat();
    if !arguments.list {
        eprintln!("{choice}");
        for line in left_out(&choice.stacks, &cases) {
            eprintln!("{line}");
        }
    }
    let stacks = Stacks::new();
    let mut trials = trials(&stacks, &choice.stacks, &cases);
    trials.extend(reaping::trials(&choice.stacks));
    trials.extend(contract::trials(&stacks, &choice.stacks));
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(stacks) = Arc::into_inner(stacks) {
        stacks.shutdown();
    }
    conclusion.exit_code()
}
