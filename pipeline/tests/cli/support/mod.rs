//! What the tests of the binary stand on: a child process, a broker, an engine, a proxy between.

mod broker;
mod engine;
mod process;
mod proxy;
mod rows;
mod served;
mod snapshot;
mod tls;

use std::{
    ffi::OsStr,
    process::Command,
    sync::LazyLock,
    thread,
    time::{Duration, Instant},
};

pub(crate) use broker::{Broker, Topic, broker, closed_port};
pub(crate) use engine::{Database, PASSWORD, USER, database, has_engine, query};
pub(crate) use process::{Finished, Running, Volley};
pub(crate) use proxy::Proxy;
pub(crate) use rows::assert_same_rows;
pub(crate) use served::Served;
pub(crate) use snapshot::{assert_snapshot, mask};
pub(crate) use tls::{Clients, TlsProxy};

/// Longer than anything here takes, shorter than anyone waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Where the committed texts lie.
const SNAPSHOTS: &str = "tests/cli/snapshots";

/// `volley` with these arguments.
pub(crate) fn volley<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Volley {
    Volley::of(Command::new(env!("CARGO_BIN_EXE_volley"))).args(arguments)
}

/// For what is asynchronous underneath: the engine and its client.
pub(crate) static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
});

/// Says why a test does not run; a panic where tests may not be skipped.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("VOLLEY_NO_SKIP").is_none_or(|set| set != "1"), "may not skip: {why}");
    eprintln!("SKIPPED: {why}");
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A name that no other test has.
pub(crate) fn random_name(prefix: &str) -> String {
    format!("{prefix}_{:016x}", rand::random::<u64>())
}
