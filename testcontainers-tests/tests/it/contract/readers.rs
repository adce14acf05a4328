//! Programs that read our payloads from files, and write what they read.

use std::{fs, path::Path, process::Command};

use volley_core::{encode::Encoder, inspect::inspect, layout::Options};
use volley_e2e::Scenario;

use super::{
    canonical::canonical,
    columns::columns,
    outcome::{Fault, Form, Outcomes, Side, check},
    parties::version,
    party::{self, Answer},
    writers::{Payloads, check_written},
};

pub(crate) fn pyarrow(scenario: &Scenario<'_>) {
    reads_and_writes(scenario, "pyarrow", party::python("pyarrow_party.py"));
}

pub(crate) fn polars(scenario: &Scenario<'_>) {
    reads_and_writes(scenario, "Polars", party::python("polars_party.py"));
}

pub(crate) fn arrow_js(scenario: &Scenario<'_>) {
    reads_and_writes(scenario, "arrow-js", party::node());
}

pub(crate) fn duckdb(_: &Scenario<'_>) {
    reads("DuckDB", party::python("duckdb_party.py"));
}

pub(crate) fn arrow_go(_: &Scenario<'_>) {
    reads("arrow-go", party::go());
}

pub(crate) fn arrow_java(_: &Scenario<'_>) {
    reads("arrow-java", party::java());
}

/// Our payload of each column in each form.
pub(crate) fn our_payloads() -> Payloads {
    let mut payloads = Payloads::new();
    for (i, column) in columns().iter().enumerate() {
        let batches = column.batches();
        let schema = batches[0].schema();
        for form in Form::ALL {
            let mut encoder = Encoder::new(schema.clone(), form.options()).unwrap();
            let payload = encoder.encode(&batches).unwrap();
            // There is something for readers to decompress.
            let inspection = inspect(&payload, &Options::default());
            let shrinks = inspection.columns[1..].iter().any(|column| column.stored < column.raw);
            assert_eq!(shrinks, form.codec() != "none", "{}, {form}", column.name);
            payloads.insert((i, form), payload);
        }
    }
    payloads
}

fn reads(party: &str, command: Option<Command>) {
    let Some(command) = command else { return };
    let written = tempfile::tempdir().unwrap();
    check(party, Side::Reads, &read(party, &ask(command, written.path())));
}

fn reads_and_writes(scenario: &Scenario<'_>, party: &str, command: Option<Command>) {
    let Some(command) = command else { return };
    let folder = tempfile::tempdir().unwrap();
    let answer = ask(command, folder.path());
    let read = read(party, &answer);
    let mut payloads = Payloads::new();
    let mut written = Outcomes::new();
    for column in 0..columns().len() {
        // It writes what it has read.
        if read[&(column, Form::ALL[0])].is_err() {
            continue;
        }
        for form in Form::ALL {
            let name = form.file_name(column);
            if let Some(error) = answer.unwritten.get(&name) {
                written.insert((column, form), Err(Fault::Refused(error.clone())));
            } else {
                payloads.insert((column, form), fs::read(folder.path().join(&name)).unwrap());
            }
        }
    }
    written.extend(check_written(scenario, &payloads));
    check(party, Side::Reads, &read);
    check(party, Side::Writes, &written);
}

fn ask(command: Command, written: &Path) -> Answer {
    let folder = tempfile::tempdir().unwrap();
    for ((column, form), payload) in our_payloads() {
        fs::write(folder.path().join(form.file_name(column)), payload).unwrap();
    }
    party::ask(command, folder.path(), written)
}

/// Whether the party saw what we wrote.
fn read(party: &str, answer: &Answer) -> Outcomes {
    assert_eq!(answer.version, version(party), "{party} is not the release that is pinned");
    let mut outcomes = Outcomes::new();
    for (i, column) in columns().iter().enumerate() {
        let expected = canonical(&column.array());
        for form in Form::ALL {
            let outcome = match &answer.values[&form.file_name(i)] {
                Ok(values) => same(&expected, values),
                Err(error) => Err(Fault::Refused(error.clone())),
            };
            outcomes.insert((i, form), outcome);
        }
    }
    outcomes
}

/// The first value that differs.
pub(crate) fn same(
    expected: &[serde_json::Value],
    found: &[serde_json::Value],
) -> Result<(), Fault> {
    if expected == found {
        return Ok(());
    }
    let at = expected.iter().zip(found).position(|(expected, found)| expected != found);
    Err(Fault::Changed(match at {
        Some(at) => format!("row {at} is {}, not {}", found[at], expected[at]),
        None => format!("{} rows, not {}", found.len(), expected.len()),
    }))
}
