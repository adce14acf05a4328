//! Three brokers, of which one is away for a while.

use volley_e2e::{Case, Loader, Outage, Scenario, assert_same_rows, concat, eventually, sorted};

use crate::volley::{JSON, produce};

pub(crate) const CASES: &[Case] =
    &[Case::on_cluster("cluster::a_broker_may_be_away", a_broker_may_be_away)];

/// Rows are produced and loaded all the time, and go on while a broker is away and when it is back,
/// whether it was asked to go or not. Each of the three leads partitions, of the topic and of the
/// group's offsets. Nothing that was acknowledged is lost, and no message is there twice.
fn a_broker_may_be_away(scenario: &Scenario<'_>) {
    scenario.create_topic(3, &[]);
    let loader = scenario.start_load(scenario.load_options("a"));
    let rate = ["--rate", "500", "--rows-per-batch", "10", "--devices", "12"];
    let mut producing = produce(scenario).args(rate).args(JSON).start();
    loader.wait_for_rows(500);
    let kafka = scenario.stack().native();
    goes_on_without(&loader, || kafka.kill_broker(0));
    goes_on_without(&loader, || kafka.stop_broker(1));
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

fn goes_on_without<'k>(loader: &Loader<'_>, away: impl FnOnce() -> Outage<'k>) {
    let outage = away();
    loader.wait_for_rows(loader.n_rows() + 500);
    outage.end().unwrap();
    loader.wait_for_rows(loader.n_rows() + 500);
}
