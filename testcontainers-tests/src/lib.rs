//! What the end-to-end suite stands on: real stacks, and one test's own corner of them.
//!
//! ```text
//!  Choice ──which──▶ Stacks ──starts lazily──▶ Stack (broker + ClickHouse) ──▶ Scenario (one test)
//! ```
//!
//! A test body is written once, against a [`Scenario`], and runs on every chosen [`Stack`]:
//!
//! | stack | Kafka | ClickHouse | chosen by |
//! |---|---|---|---|
//! | `env` | at `VOLLEY_BROKERS` | at `VOLLEY_CLICKHOUSE` | both variables, or `VOLLEY_E2E=env` |
//! | `docker` | Redpanda or Apache Kafka, a container | ClickHouse, a container | a Docker engine that has the images, or `VOLLEY_E2E=docker`, which pulls them |
//! | `native` | Apache Kafka, a process of its own | libchdb, in this process | libchdb, Java and Maven, or `VOLLEY_E2E=native` |
//! | `embedded` | librdkafka's, in this process | libchdb, in this process | libchdb, or `VOLLEY_E2E=embedded` |
//!
//! Without `VOLLEY_E2E`, the addresses in the environment if there are any, and otherwise `embedded`,
//! `native` and `docker` beside each other, whichever this machine has. What is named in `VOLLEY_E2E`
//! may not be skipped. [`Images`] says which images `docker` uses; `cargo xtask standin` runs it on
//! ones made here.
//!
//! Some cases need what a stack does not have; the suite lists them. Those about a cluster run on the
//! native stack with three brokers in place of one. Cases about the binary run the one that
//! `VOLLEY_BIN` names, or the one that cargo has built beside the test.
//!
//! [`FaultProxy`] stands between a loader and ClickHouse where things are to go wrong: [`kill_test`]
//! kills loaders at moments that it sees, the storms make it fail in every way, for as many seconds as
//! `VOLLEY_STORM_SECONDS` says.
//!
//! Everything in here panics where it cannot go on: it only ever runs inside a test.

// A test that cannot go on panics, and a harness talks to its user.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod binary;
mod case;
mod choice;
mod docker;
mod jars;
mod kafka;
mod kill;
mod loader;
mod member;
mod offsets;
mod proxy;
mod rows;
mod scenario;
mod stack;
mod tether;
mod usage;

pub use binary::volley_binary;
pub use case::{Case, left_out, trials};
pub use choice::Choice;
pub use docker::{DockerError, Images, containers_of, reap_if_asked};
pub use jars::{JarsError, KAFKA_VERSION, ensure as kafka_jars};
pub use kafka::{Access, KafkaError, KafkaSize, NativeKafka, Outage};
pub use kill::{Feed, Found, KillOptions, KillReport, Oracle, When, kill_test};
pub use loader::Loader;
pub use member::Member;
pub use offsets::committed_offsets;
pub use proxy::{Fault, FaultProxy, Moment, Trap};
pub use rows::{assert_same_rows, concat, difference, sorted};
pub use scenario::{Message, Scenario};
pub use stack::{Stack, StackKind, Stacks};
pub use usage::Usage;

use std::time::{Duration, Instant};

/// Longer than anything here takes, shorter than anyone waits.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
///
/// # Panics
///
/// After [`PATIENCE`], saying what was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
