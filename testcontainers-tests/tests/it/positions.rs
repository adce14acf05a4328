//! Where a group begins, and where a run ends.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use volley::load::{Beginning, Ending, LoadError, LoadOptions, PositionError};
use volley_core::{codec::CodecOptions, encode::encode};
use volley_e2e::{Case, Scenario, eventually};

use crate::columns;

pub(crate) const CASES: &[Case] = &[
    Case::new("positions::latest_is_the_end_when_the_group_began", latest_is_the_end),
    Case::new("positions::offsets_begin_a_group_once", offsets_begin_a_group_once),
    Case::new("positions::offsets_that_are_not_there_are_refused", offsets_that_are_not_there),
    Case::on_real_broker("positions::a_time_begins_a_group", a_time_begins_a_group),
    Case::new("positions::a_run_ends_before_an_offset", a_run_ends_before_an_offset),
    Case::new("positions::a_run_waits_for_its_end", a_run_waits_for_its_end),
    Case::new("positions::members_end_together", members_end_together),
];

fn latest_is_the_end(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    put(scenario, 0..3);
    let options = LoadOptions { from: Beginning::Latest, ..columns::options(scenario) };
    assert_eq!(scenario.load(options.clone()).messages, 0);
    // It stays that, whatever comes before the next run.
    assert_eq!(scenario.committed("a"), [3]);
    put(scenario, 3..5);
    assert_eq!(scenario.load(options).rows_loaded, 2);
    check(scenario, "[3,4]");
}

fn offsets_begin_a_group_once(scenario: &Scenario<'_>) {
    scenario.create_topic(2, &[]);
    put(scenario, 0..5);
    let from = |offset| LoadOptions {
        from: Beginning::Offsets([(0, offset)].into()),
        ..columns::options(scenario)
    };
    assert_eq!(scenario.load(from(2)).rows_loaded, 3);
    check(scenario, "[2,3,4]");
    // What the group has committed goes before.
    put(scenario, 5..6);
    assert_eq!(scenario.load(from(0)).rows_loaded, 1);
    check(scenario, "[2,3,4,5]");
}

fn offsets_that_are_not_there(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    put(scenario, 0..5);
    let error = |offsets: [(i32, i64); 1]| {
        let from = Beginning::Offsets(offsets.into());
        match scenario.try_load(LoadOptions { from, ..columns::options(scenario) }) {
            Err(LoadError::Position(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(error([(1, 0)]), PositionError::NoPartition { partition: 1, .. }));
    assert!(matches!(error([(0, 6)]), PositionError::OutOfRange { low: 0, high: 5, .. }));
    assert_eq!(scenario.committed("a"), [0]);
}

fn a_time_begins_a_group(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    put(scenario, 0..3);
    let between = now_ms() + 1;
    eventually("a later moment", || (now_ms() > between).then_some(()));
    put(scenario, 3..5);
    let options = |group: &str, ms| LoadOptions {
        from: Beginning::Time(ms),
        group: scenario.group(group),
        ..columns::options(scenario)
    };
    assert_eq!(scenario.load(options("a", between)).rows_loaded, 2);
    check(scenario, "[3,4]");
    // After the last one there is nothing.
    assert_eq!(scenario.load(options("b", now_ms() + 3_600_000)).rows_loaded, 0);
    assert_eq!(scenario.committed("b"), [5]);
}

fn a_run_ends_before_an_offset(scenario: &Scenario<'_>) {
    scenario.create_topic(2, &[]);
    put(scenario, 0..5);
    let until =
        |until| LoadOptions { until: Some(until), until_idle: None, ..columns::options(scenario) };
    assert_eq!(scenario.load(until(Ending::Offsets([(0, 3)].into()))).rows_loaded, 3);
    assert_eq!(scenario.committed("a")[0], 3);
    assert_eq!(scenario.load(until(Ending::End)).rows_loaded, 2);
    check(scenario, "[0,1,2,3,4]");
    // Where nothing is left it ends at once.
    assert_eq!(scenario.load(until(Ending::End)).messages, 0);
}

fn a_run_waits_for_its_end(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    put(scenario, 0..2);
    let until = Some(Ending::Offsets([(0, 4)].into()));
    let loader = scenario.start_load(LoadOptions { until, ..columns::options(scenario) });
    loader.wait_for_rows(2);
    put(scenario, 2..6);
    assert_eq!(loader.wait().rows_loaded, 4);
    assert_eq!(scenario.committed("a"), [4]);
    check(scenario, "[0,1,2,3]");
}

/// One of them has no partition, and ends when the other has loaded what there is.
fn members_end_together(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    put(scenario, 0..5);
    let options = LoadOptions { until: Some(Ending::End), ..columns::options(scenario) };
    let loaders = [(); 2].map(|()| scenario.start_load(options.clone()));
    let n_rows: u64 = loaders.map(|loader| loader.wait().rows_loaded).iter().sum();
    assert_eq!(n_rows, 5);
    check(scenario, "[0,1,2,3,4]");
}

/// Messages of one row each.
fn put(scenario: &Scenario<'_>, range: std::ops::Range<i64>) {
    scenario.put(range.map(|n| {
        let n: ArrayRef = Arc::new(Int64Array::from(vec![n]));
        let batch = RecordBatch::try_from_iter([("n", n)]).unwrap();
        encode(&batch, CodecOptions::default()).unwrap()
    }));
}

fn check(scenario: &Scenario<'_>, expected: &str) {
    let sql = format!("SELECT arraySort(groupArray(n)) FROM {}", scenario.table());
    assert_eq!(scenario.query_text(&sql), expected);
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}
