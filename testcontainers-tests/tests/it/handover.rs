//! Partitions that change hands while their rows are under way.

use std::num::NonZeroUsize;

use volley::{
    clickhouse::Creation,
    load::{BlockLimits, Delivery, LoadOptions},
    produce::{MessageKey, ProduceOptions},
};
use volley_e2e::{Case, Scenario, eventually};

pub(crate) const CASES: &[Case] = &[Case::new(
    "handover::what_is_under_way_is_finished_first",
    what_is_under_way_is_finished_first,
)];

/// Nothing else keeps rows from being stored twice here: no intent is committed, and the table remembers
/// no insert.
fn what_is_under_way_is_finished_first(scenario: &Scenario<'_>) {
    scenario.create_topic(6, &[]);
    let table = scenario.table();
    scenario.execute(&format!(
        "CREATE TABLE {table} (device String, ts DateTime64(6), cpu_used Float32, cpu_free Float32, \
         memory_used Float32, memory_free Float32, run_elapsed_ms Int32) \
         ENGINE = MergeTree ORDER BY (device, ts)"
    ));
    let produce = scenario.produce_options(12, 12_000);
    scenario.produce(ProduceOptions { key: MessageKey::None, ..produce });
    let mut options = scenario.load_options("a");
    // A member that a busy machine keeps from its heartbeats for a session hands nothing over.
    let session = ["session.timeout.ms=10000", "heartbeat.interval.ms=500"];
    options.kafka.properties = session.map(|text| text.parse().unwrap()).to_vec();
    let options = LoadOptions {
        // A message to a block, and few in flight, so that there is a midway.
        limits: BlockLimits { n_rows: NonZeroUsize::MIN, ..options.limits },
        max_inflight_bytes: 8_192,
        delivery: Delivery::AtLeastOnce,
        creation: Creation::Refuse,
        ..options
    };
    let first = scenario.start_load(options.clone());
    first.wait_for_rows(500);
    let more = [(); 2].map(|()| scenario.start_load(options.clone()));
    more.iter().for_each(|loader| loader.wait_for_partitions());
    let is_early = first.n_rows() < 12_000;
    let loaded = first.stop().rows_loaded;
    assert!(is_early && loaded < 12_000, "{loaded} rows before anything changed hands");
    let count =
        || scenario.query_text(&format!("SELECT uniqExact(device, ts), count() FROM {table}"));
    eventually("all rows", || count().starts_with("12000\t").then_some(()));
    for loader in more {
        loader.stop();
    }
    assert_eq!(count(), "12000\t12000");
}
