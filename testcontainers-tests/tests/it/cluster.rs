//! Three brokers, of which one is away for a while.

use volley_e2e::{
    Case, NativeKafka, Outage, Scenario, assert_same_rows, concat, eventually, sorted,
};

use crate::volley::{JSON, produce};

pub(crate) const CASES: &[Case] = &[
    Case::on_cluster("cluster::broker_that_is_killed", broker_that_is_killed),
    Case::on_cluster("cluster::brokers_that_stop_in_turn", brokers_that_stop_in_turn),
];

/// One that leads a partition of the topic, so that someone has to notice.
fn broker_that_is_killed(scenario: &Scenario<'_>) {
    check(scenario, &[0], NativeKafka::kill_broker);
}

fn brokers_that_stop_in_turn(scenario: &Scenario<'_>) {
    check(scenario, &[0, 1, 2], NativeKafka::stop_broker);
}

/// Rows are produced and loaded all the time; while a broker is away and when it is back, they go
/// on. Nothing that was acknowledged is lost, and no message is there twice.
fn check(
    scenario: &Scenario<'_>,
    broker_idxs: &[usize],
    away: for<'k> fn(&'k NativeKafka, usize) -> Outage<'k>,
) {
    scenario.create_topic(6, &[]);
    let loader = scenario.start_load(scenario.load_options("a"));
    let rate = ["--rate", "2000", "--rows-per-batch", "20", "--devices", "12"];
    let mut producing = produce(scenario).args(rate).args(JSON).start();
    loader.wait_for_rows(1_000);
    for broker_idx in broker_idxs {
        let outage = away(scenario.stack().native(), *broker_idx);
        loader.wait_for_rows(loader.n_rows() + 2_000);
        outage.end().unwrap();
        loader.wait_for_rows(loader.n_rows() + 2_000);
    }
    producing.signal("TERM");
    producing.wait_for_stderr("finishing");
    let produced = producing.wait().succeeds();
    let n_rows = produced.count("rows_delivered");
    assert_eq!(produced.count("rows_sampled"), n_rows, "{produced}");

    let messages = scenario.messages();
    let sent: Vec<_> = messages.iter().flat_map(|message| message.batches()).collect();
    let sent = sorted(&concat(&sent), &["device", "ts"]);
    assert_eq!(sent.num_rows() as u64, n_rows);
    let table = scenario.table();
    let n_loaded = format!("SELECT uniqExact(device, ts) FROM {table}");
    eventually("all rows", || (scenario.query_text(&n_loaded) == n_rows.to_string()).then_some(()));
    loader.stop();
    // Where a commit did not get through, a block may have come twice.
    let sql = format!("SELECT DISTINCT * FROM {table} ORDER BY device, ts");
    assert_same_rows(&sent, &scenario.query(&sql));
}
