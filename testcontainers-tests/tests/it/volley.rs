//! The binary `volley` as a process, on the servers of a scenario.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use volley_e2e::{Scenario, eventually};

// Files of the binary's own tests, which use all that is in them.
#[allow(dead_code)]
#[path = "../../../pipeline/tests/cli/support/process.rs"]
mod process;
#[path = "../../../pipeline/tests/cli/support/snapshot.rs"]
mod snapshot;

pub(crate) use process::Volley;
pub(crate) use snapshot::{assert_snapshot, mask};

/// Where the committed texts lie.
const SNAPSHOTS: &str = "tests/it/snapshots";

/// What names the binary.
const BINARY_VAR: &str = "VOLLEY_BIN";

/// `volley` with these arguments.
pub(crate) fn volley<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Volley {
    static BINARY: LazyLock<Result<PathBuf, String>> = LazyLock::new(binary);
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
    let stack = scenario.stack();
    let mut load = volley(["load", "--brokers", &stack.brokers, "--topic", scenario.topic()])
        .args(["--group", &scenario.group(group), "--clickhouse", &stack.clickhouse])
        .args(["--table", &scenario.table()]);
    for (key, value) in scenario.short_session() {
        load = load.args(["--kafka", &format!("{key}={value}")]);
    }
    if let Some(user) = &stack.user {
        load = load.env("VOLLEY_CLICKHOUSE_USER", user);
    }
    if let Some(password) = &stack.password {
        load = load.env("VOLLEY_CLICKHOUSE_PASSWORD", password);
    }
    load
}

/// The binary that the environment names, or the one that cargo has built beside this test.
fn binary() -> Result<PathBuf, String> {
    if let Some(named) = env::var_os(BINARY_VAR).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        let missing = || format!("{BINARY_VAR}: there is no file {}", named.display());
        return if named.is_file() { Ok(named) } else { Err(missing()) };
    }
    let test = env::current_exe().map_err(|error| error.to_string())?;
    // Tests lie in a folder beside it.
    let beside = test.parent().unwrap_or(&test);
    let built = beside.with_file_name(format!("volley{}", env::consts::EXE_SUFFIX));
    let problem = if !built.is_file() {
        format!("there is no {}", built.display())
    } else if let Some(source) = newer_source(&built) {
        format!("{} is older than {}", built.display(), source.display())
    } else {
        return Ok(built);
    };
    Err(format!("{problem}; build it with `cargo build -p volley`, or set {BINARY_VAR}"))
}

/// A source file that was changed after the binary was built, according to what cargo notes of it.
fn newer_source(binary: &Path) -> Option<PathBuf> {
    let notes = fs::read_to_string(binary.with_extension("d")).ok()?;
    let (_, sources) = notes.split_once(": ")?;
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let built = changed(binary)?;
    let sources = sources.split_whitespace().map(PathBuf::from);
    sources.into_iter().find(|source| changed(source).is_some_and(|at| at > built))
}
