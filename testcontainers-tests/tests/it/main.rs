//! Every case on every chosen stack; `volley_e2e` says how they are chosen.

// A test that fails panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod columns;
mod dictionaries;
mod groups;
mod nested;
mod partitions;
mod roundtrip;
mod schemas;
mod types;

use std::{process::ExitCode, sync::Arc};

use libtest_mimic::Arguments;
use volley_e2e::{Choice, Stacks, trials};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let choice = match Choice::from_env() {
        Ok(choice) => choice,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    if !arguments.list {
        let kinds: Vec<_> = choice.stacks.iter().map(ToString::to_string).collect();
        let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
        eprintln!("stacks: {kinds}");
        for (kind, why) in &choice.skipped {
            eprintln!("SKIPPED: stack {kind}: {why}");
        }
    }
    let stacks = Stacks::new();
    let cases = [
        roundtrip::CASES,
        partitions::CASES,
        groups::CASES,
        schemas::CASES,
        types::CASES,
        nested::CASES,
        dictionaries::CASES,
    ]
    .concat();
    let conclusion = libtest_mimic::run(&arguments, trials(&stacks, &choice.stacks, &cases));
    if let Some(stacks) = Arc::into_inner(stacks) {
        stacks.shutdown();
    }
    conclusion.exit_code()
}
