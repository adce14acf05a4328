//! The contract: everyone reads our messages, we read everyone's.
//!
//! ```text
//!  columns ──encode──▶ payloads ──▶ a party's script ──values──▶ outcome ◀── gaps ──▶ docs/contract.md
//!                                         └──payloads of its own──▶ walked, decoded, loaded
//! ```
//!
//! Each party runs once, over a payload of every type in every form. What came of each must be what
//! [`gaps`] says, no better and no worse, so the table in the docs, which is made of it, is true.

mod broker;
mod canonical;
mod clickhouse;
mod columns;
mod gaps;
mod outcome;
mod parties;
mod party;
mod readers;
mod table;
mod writers;

use std::sync::Arc;

use libtest_mimic::Trial;
use volley_e2e::{Case, StackKind, Stacks};

/// Each party on one stack, for all meet the same payloads and the same engine on any; and whether the
/// table in the docs is up to date.
pub(crate) fn trials(stacks: &Arc<Stacks>, kinds: &[StackKind]) -> Vec<Trial> {
    // Those whose ClickHouse is pinned, first with a real broker.
    let fits = [StackKind::Native, StackKind::Embedded];
    let stack = fits.into_iter().find(|kind| kinds.contains(kind));
    let mut trials = volley_e2e::trials(stacks, stack.as_slice(), CASES);
    trials.push(Trial::test("contract::docs", || {
        table::check();
        Ok(())
    }));
    trials
}

const CASES: &[Case] = &[
    Case::new("contract::pyarrow", readers::pyarrow),
    Case::new("contract::polars", readers::polars),
    Case::new("contract::duckdb", readers::duckdb),
    Case::new("contract::arrow_js", readers::arrow_js),
    Case::new("contract::arrow_go", readers::arrow_go),
    Case::new("contract::arrow_java", readers::arrow_java),
    Case::new("contract::clickhouse_http", clickhouse::http),
    Case::new("contract::clickhouse_kafka_engine", clickhouse::kafka_engine),
    Case::new("contract::clickhouse_connect", clickhouse::insert_arrow),
    Case::new("contract::confluent_kafka", broker::confluent_kafka),
    Case::new("contract::kcat", broker::kcat),
    Case::new("contract::bytewax_reads", broker::bytewax_reads),
    Case::new("contract::bytewax_writes", broker::bytewax_writes),
];
