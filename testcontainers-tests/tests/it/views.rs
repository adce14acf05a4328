//! Materialized views behind the table.

use std::{num::NonZeroUsize, sync::Arc};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use volley::load::LoadOptions;
use volley_core::{codec::CodecOptions, encode::encode};
use volley_e2e::{Case, Fault, FaultProxy, Scenario};

use crate::columns;

pub(crate) const CASES: &[Case] = &[
    Case::new("views::what_a_view_refuses_is_in_the_table_once", what_a_view_refuses),
    Case::new("views::a_repeated_insert_is_in_a_view_that_remembers_once", a_repeated_insert),
];

const N_MESSAGES: i64 = 8;

/// The table has the rows by the time the view refuses one, so that no part of the block is sent
/// under another token, and no message is put aside. Once the view is mended it gets them too.
fn what_a_view_refuses(scenario: &Scenario<'_>) {
    let view = create(scenario, 100);
    put(scenario, -1);
    let stopped = scenario.try_load(options(scenario)).unwrap_err();
    let causes = std::error::Error::source(&stopped).unwrap().to_string();
    assert!(
        causes.contains("while pushing to view") && causes.contains("mend the view"),
        "{causes}"
    );
    check(scenario, &scenario.table(), -1);

    scenario.execute(&format!("ALTER TABLE {view} DROP CONSTRAINT natural"));
    let loaded = scenario.load(options(scenario));
    assert_eq!((loaded.messages, loaded.dead_letters), (N_MESSAGES as u64, 0));
    check(scenario, &scenario.table(), -1);
    check(scenario, &view, -1);
    assert_eq!(scenario.committed("a"), [N_MESSAGES]);
}

/// The answer to an insert is lost, so that it is sent again. The table drops it, and passes it on to
/// the view all the same, whose own table drops it if that remembers inserts, else not.
fn a_repeated_insert(scenario: &Scenario<'_>) {
    let view = create(scenario, 100);
    put(scenario, 0);
    let proxy = FaultProxy::start(scenario.stack().runtime(), &scenario.stack().clickhouse);
    proxy.set(Fault::CutAnswer);
    let mut options = options(scenario);
    options.clickhouse.urls = vec![proxy.url().to_owned(), scenario.stack().clickhouse.clone()];
    let loaded = scenario.load(options);
    assert_eq!((loaded.messages, proxy.n_faults()), (N_MESSAGES as u64, 1));
    check(scenario, &scenario.table(), 0);
    check(scenario, &view, 0);
}

/// The table and a view into another, which takes no negative numbers; its name.
fn create(scenario: &Scenario<'_>, window: u32) -> String {
    scenario.create_topic(1, &[]);
    let view = scenario.table_name("seen").to_string();
    let window = format!("SETTINGS non_replicated_deduplication_window = {window}");
    let table = format!("ENGINE = MergeTree ORDER BY n {window}");
    scenario.execute(&format!("CREATE TABLE {} (n Int64) {table}", scenario.table()));
    let natural = "CONSTRAINT natural CHECK n >= 0";
    scenario.execute(&format!("CREATE TABLE {view} (n Int64, {natural}) {table}"));
    scenario.execute(&format!(
        "CREATE MATERIALIZED VIEW {} TO {view} AS SELECT n FROM {}",
        scenario.table_name("mv"),
        scenario.table()
    ));
    view
}

/// Messages of a row each, numbered from `first`.
fn put(scenario: &Scenario<'_>, first: i64) {
    scenario.put((first..first + N_MESSAGES).map(|n| {
        let n: ArrayRef = Arc::new(Int64Array::from(vec![n]));
        let batch = RecordBatch::try_from_iter([("n", n)]).unwrap();
        encode(&batch, CodecOptions::default()).unwrap()
    }));
}

/// All messages in one block.
fn options(scenario: &Scenario<'_>) -> LoadOptions {
    let mut options = columns::options(scenario);
    options.dead_letters = Some(scenario.dead_letter_topic());
    options.limits.n_rows = NonZeroUsize::new(N_MESSAGES as usize).unwrap();
    options
}

#[track_caller]
fn check(scenario: &Scenario<'_>, table: &str, first: i64) {
    let found = scenario
        .query_text(&format!("SELECT groupArray(n) FROM (SELECT n FROM {table} ORDER BY n)"));
    let expected: Vec<_> = (first..first + N_MESSAGES).map(|n| n.to_string()).collect();
    assert_eq!(found, format!("[{}]", expected.join(",")), "{table}");
}
