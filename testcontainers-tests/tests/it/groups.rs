//! Consumer groups: who reads what, and where they go on.

use std::num::NonZeroUsize;

use volley::{
    clickhouse::{CreateTable, Creation},
    load::{BlockLimits, LoadOptions},
    produce::{MessageKey, ProduceOptions},
};
use volley_e2e::{Case, Scenario, eventually};

pub(crate) const CASES: &[Case] = &[
    Case::new("groups::each_group_loads_everything", each_group_loads_everything),
    Case::new("groups::stopped_loader_goes_on_where_it_was", stopped_loader_goes_on_where_it_was),
    Case::new("groups::two_loaders_share_the_rows", two_loaders_share_the_rows),
    Case::new("groups::loader_that_joins_late_loses_nothing", loader_that_joins_late_loses_nothing),
    Case::new("groups::loader_that_leaves_hands_over", loader_that_leaves_hands_over),
    Case::new("groups::replay_into_the_table_adds_nothing", replay_into_the_table_adds_nothing),
];

fn each_group_loads_everything(scenario: &Scenario<'_>) {
    scenario.create_topic(3, &[]);
    let options = |group: &str| LoadOptions {
        table: scenario.table_name(group),
        ..scenario.load_options(group)
    };
    let loaders = [scenario.start_load(options("a")), scenario.start_load(options("b"))];
    scenario.produce(scenario.produce_options(5, 3_000));
    for loader in loaders {
        loader.wait_for_rows(3_000);
        assert_eq!(loader.stop().rows_loaded, 3_000);
    }
    // A third comes when everything is there already.
    assert_eq!(scenario.load(options("c")).rows_loaded, 3_000);
    let tables = ["a", "b", "c"].map(|table| scenario.table_name(table).quoted());
    for table in tables {
        assert_eq!(count(scenario, &table), (3_000, 3_000), "{table}");
    }
}

fn stopped_loader_goes_on_where_it_was(scenario: &Scenario<'_>) {
    scenario.create_topic(2, &[]);
    scenario.produce(scenario.produce_options(4, 20_000));
    let options = scenario.load_options("a");
    let loader = scenario.start_load(slow(options.clone()));
    loader.wait_for_rows(1_000);
    let first = loader.stop();
    assert!(first.rows_loaded < 20_000, "stopped after {}", first.rows_loaded);
    assert_eq!(first.messages_left, 0);

    let second = scenario.load(options.clone());
    assert_eq!(first.rows_loaded + second.rows_loaded, 20_000);
    assert_eq!(count(scenario, &scenario.table()), (20_000, 20_000));
    assert_eq!(scenario.load(options).messages, 0);
}

fn two_loaders_share_the_rows(scenario: &Scenario<'_>) {
    scenario.create_topic(6, &[]);
    let first = scenario.start_load(scenario.load_options("a"));
    first.wait_for_partitions();
    let second = scenario.start_load(scenario.load_options("a"));
    second.wait_for_partitions();
    // Without a key, messages go everywhere.
    let options = scenario.produce_options(5, 20_000);
    scenario.produce(ProduceOptions { key: MessageKey::None, ..options });
    eventually("all rows", || (first.n_rows() + second.n_rows() >= 20_000).then_some(()));
    let loaded = [first.stop().rows_loaded, second.stop().rows_loaded];
    assert!(loaded.iter().all(|n_rows| *n_rows > 0), "{loaded:?}");
    assert_eq!(loaded[0] + loaded[1], 20_000);
    assert_eq!(count(scenario, &scenario.table()), (20_000, 20_000));
}

/// Partitions change hands while their rows are under way.
fn loader_that_joins_late_loses_nothing(scenario: &Scenario<'_>) {
    scenario.create_topic(6, &[]);
    scenario.produce(scenario.produce_options(12, 12_000));
    let options = slow(scenario.load_options("a"));
    let first = scenario.start_load(options.clone());
    first.wait_for_rows(500);
    let second = scenario.start_load(options);
    second.wait_for_partitions();
    let table = scenario.table();
    eventually("all rows", || {
        // What was under way when its partition went may come twice.
        let is_likely = first.n_rows() + second.n_rows() >= 12_000;
        (is_likely && count(scenario, &table).1 == 12_000).then_some(())
    });
    first.stop();
    second.stop();
    assert_eq!(count(scenario, &table).1, 12_000);
}

/// What comes after one of two has left is the other's.
fn loader_that_leaves_hands_over(scenario: &Scenario<'_>) {
    scenario.create_topic(4, &[]);
    let first = scenario.start_load(scenario.load_options("a"));
    first.wait_for_partitions();
    let second = scenario.start_load(scenario.load_options("a"));
    second.wait_for_partitions();
    let n_first = first.stop().rows_loaded;
    assert_eq!(n_first, 0);
    scenario.produce(scenario.produce_options(8, 4_000));
    second.wait_for_rows(4_000);
    assert_eq!(second.stop().rows_loaded, 4_000);
    assert_eq!(count(scenario, &scenario.table()), (4_000, 4_000));
}

/// A new group reads from the beginning, in blocks of its own, and the table folds the rows.
fn replay_into_the_table_adds_nothing(scenario: &Scenario<'_>) {
    scenario.create_topic(2, &[]);
    scenario.produce(scenario.produce_options(5, 3_000));
    let replacing = |group: &str| LoadOptions {
        creation: Creation::Create(CreateTable::default()),
        ..scenario.load_options(group)
    };
    assert_eq!(scenario.load(replacing("a")).rows_loaded, 3_000);
    assert_eq!(scenario.load(slow(replacing("b"))).rows_loaded, 3_000);
    let table = format!("{} FINAL", scenario.table());
    assert_eq!(count(scenario, &table), (3_000, 3_000));
}

/// A message to a block, and no more than a few in flight, so that there is a midway.
fn slow(options: LoadOptions) -> LoadOptions {
    let limits = BlockLimits { n_rows: NonZeroUsize::MIN, ..options.limits };
    LoadOptions { limits, max_inflight_bytes: 8_192, ..options }
}

/// Rows in a table, and different ones among them.
fn count(scenario: &Scenario<'_>, table: &str) -> (u64, u64) {
    let answer =
        scenario.query_text(&format!("SELECT count(), uniqExact(device, ts) FROM {table}"));
    let (rows, different) = answer.split_once('\t').unwrap();
    (rows.parse().unwrap(), different.parse().unwrap())
}
