//! What a load says of itself while things go wrong around it.

use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use volley_e2e::{Case, Fault, FaultProxy, PATIENCE, Scenario};

use crate::volley::{Served, load, load_through};

pub(crate) const CASES: &[Case] = &[
    Case::new("observed::clickhouse_away", clickhouse_away),
    Case::new("observed::paused", paused),
    Case::on_native_kafka("observed::ends_of_transactions", ends_of_transactions),
];

/// Lag grows, health is bad after a while, and all is well when it is back.
fn clickhouse_away(scenario: &Scenario<'_>) {
    scenario.create_topic(2, &[]);
    scenario.produce(scenario.produce_options(4, 1_000));
    let stack = scenario.stack();
    let proxy = FaultProxy::start(stack.runtime(), &stack.clickhouse);
    let mut run = load_through(scenario, "a", proxy.url())
        .args(["--metrics", "0", "--stall-after", "2s"])
        .start();
    let served = Served::by(&mut run);
    served.wait_for("volley_load_rows_total", 1_000.0);
    served.wait_for("volley_load_lag_rows", 0.0);
    assert_eq!(served.get("/healthz").0, 200);
    assert_eq!(served.get("/readyz").0, 200);

    proxy.set(Fault::Away);
    let mut n_messages = 0;
    for _ in 0..2 {
        n_messages += scenario.produce(scenario.produce_options(4, 300)).messages;
        served.wait_for("volley_load_lag_messages", n_messages as f64);
    }
    // Nothing is fetched of a partition that fails: of some of the 8 messages of 75 rows it is only known
    // that those before had 250.
    let lag_rows = served.metric("volley_load_lag_rows").unwrap();
    assert!((300.0..=2_000.0).contains(&lag_rows), "{lag_rows}");
    let reason = served.wait_for_health(503);
    assert!(reason.contains("messages to load, and nothing was loaded for "), "{reason}");
    assert_eq!(served.metric("volley_load_clickhouse_up"), Some(0.0));
    assert!(served.metric("volley_load_retries_total") > Some(0.0));
    assert!(served.metric("volley_load_lag_seconds") > Some(2.0));

    proxy.set(Fault::None);
    served.wait_for_health(200);
    served.wait_for("volley_load_rows_total", 1_600.0);
    served.wait_for("volley_load_lag_messages", 0.0);
    assert_eq!(served.metric("volley_load_stalled_partitions"), Some(0.0));
    assert_eq!(served.metric("volley_load_clickhouse_up"), Some(1.0));
    served.wait_for("volley_load_inflight_bytes", 0.0);
}

/// Lag is told also of what nobody fetches, because enough is in flight.
fn paused(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let n_first = scenario.produce(scenario.produce_options(1, 1_000)).messages;
    let stack = scenario.stack();
    let proxy = FaultProxy::start(stack.runtime(), &stack.clickhouse);
    let mut run = load_through(scenario, "a", proxy.url())
        .args(["--metrics", "0", "--max-inflight-bytes", "4kB"])
        .start();
    let served = Served::by(&mut run);
    served.wait_for("volley_load_messages_total", n_first as f64);
    proxy.set(Fault::Away);
    let mut n_more = 0;
    for _ in 0..3 {
        n_more += scenario.produce(scenario.produce_options(1, 1_000)).messages;
        served.wait_for("volley_load_lag_messages", n_more as f64);
    }
    // A few messages of 2 kB, not all of them.
    let n_bytes = served.metric("volley_load_inflight_bytes").unwrap();
    assert!((1.0..20_000.0).contains(&n_bytes), "{n_bytes}");
    proxy.set(Fault::None);
    served.wait_for("volley_load_messages_total", (n_first + n_more) as f64);
    served.wait_for("volley_load_lag_messages", 0.0);
}

/// Markers of transactions take offsets, and so do messages that were given up: nothing to wait for.
fn ends_of_transactions(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    scenario.produce(scenario.produce_options(1, 100));
    let payload = scenario.messages().remove(0).payload;
    let mut config = scenario.stack().client_config();
    config.set("transactional.id", scenario.topic());
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    let in_transaction = || {
        producer.begin_transaction().unwrap();
        let record = BaseRecord::<(), [u8]>::to(scenario.topic()).payload(&payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    };
    in_transaction();
    producer.commit_transaction(PATIENCE).unwrap();
    in_transaction();
    producer.abort_transaction(PATIENCE).unwrap();

    let mut run = load(scenario, "a").args(["--metrics", "0"]).start();
    let served = Served::by(&mut run);
    served.wait_for("volley_load_messages_total", 2.0);
    served.wait_for("volley_load_lag_messages", 0.0);
    assert_eq!(served.metric("volley_load_lag_seconds"), Some(0.0));
    assert_eq!(scenario.committed("a"), [2]);
}
