//! The binary `volley` as a process, on the servers of a scenario.

use std::{ffi::OsStr, path::PathBuf, process::Command, sync::LazyLock};

use volley_e2e::{PATIENCE, Scenario, eventually, volley_binary};

// Files of the binary's own tests, which use all that is in them.
#[allow(dead_code)]
#[path = "../../../pipeline/tests/cli/support/process.rs"]
mod process;
#[allow(dead_code)]
#[path = "../../../pipeline/tests/cli/support/served.rs"]
mod served;
#[path = "../../../pipeline/tests/cli/support/snapshot.rs"]
mod snapshot;

pub(crate) use process::Volley;
pub(crate) use served::Served;
pub(crate) use snapshot::{assert_snapshot, mask};

/// Where the committed texts lie.
const SNAPSHOTS: &str = "tests/it/snapshots";

/// `volley` with these arguments.
pub(crate) fn volley<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Volley {
    static BINARY: LazyLock<Result<PathBuf, String>> = LazyLock::new(volley_binary);
    let binary = BINARY.as_ref().unwrap_or_else(|error| panic!("{error}"));
    Volley::of(Command::new(binary)).args(arguments)
}

/// For a summary that a program reads.
pub(crate) const JSON: [&str; 2] = ["--format", "json"];

/// `volley produce` of made-up rows into the scenario's topic.
pub(crate) fn produce(scenario: &Scenario<'_>) -> Volley {
    volley(["produce", "--brokers", &scenario.stack().brokers, "--topic", scenario.topic()])
        .args(["--source", "synthetic"])
}

/// `volley load` of the scenario's topic into its table as group `group`.
pub(crate) fn load(scenario: &Scenario<'_>, group: &str) -> Volley {
    load_through(scenario, group, &scenario.stack().clickhouse)
}

/// The same, with ClickHouse at another address.
pub(crate) fn load_through(scenario: &Scenario<'_>, group: &str, url: &str) -> Volley {
    let load = volley(scenario.load_arguments(group, url));
    scenario.credentials().iter().fold(load, |load, (name, value)| load.env(name, value))
}
