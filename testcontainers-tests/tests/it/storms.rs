//! Everything around the loader fails for a while, and every row is in the table once.

use std::{sync::Arc, time::Duration};

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use volley_core::{
    codec::{Codec, CodecOptions},
    encode::encode,
};
use volley_e2e::{
    Case, Fault, FaultProxy, Feed, Found, Member, Oracle, Outage, Scenario, eventually,
};

pub(crate) const CASES: &[Case] = &[
    Case::on_cluster("storms::brokers_restart", brokers_restart),
    Case::on_real_broker("storms::members_come_and_go", members_come_and_go),
    Case::on_real_broker("storms::clickhouse_fails_in_every_way", clickhouse_fails_in_every_way),
    Case::on_real_broker(
        "storms::memory_is_bounded_while_clickhouse_is_away",
        memory_is_bounded_while_clickhouse_is_away,
    ),
];

/// The group of all members here.
const GROUP: &str = "stormy";

/// About what a feed sends in a second.
const A_SECOND: u64 = 2_000;

/// A member joins or leaves every second, up to four at once, whatever the group is at.
fn members_come_and_go(scenario: &Scenario<'_>) {
    const N_CHANGES: usize = 16;
    scenario.create_topic(6, &[]);
    let feed = Feed::start(scenario);
    let mut members = vec![start(scenario, &scenario.stack().clickhouse, &[])];
    // Up to four and down to one, twice and a bit.
    for change in 0..N_CHANGES {
        wait_for(&feed, feed.n_rows() + A_SECOND);
        if change % 6 < 3 {
            members.push(start(scenario, &scenario.stack().clickhouse, &[]));
        } else {
            // The eldest, which has most of the partitions.
            members.remove(0).stop();
        }
    }
    let oracle = feed.stop();
    wait_for_keys(scenario, oracle.n_rows);
    members.into_iter().for_each(Member::stop);
    check(scenario, oracle);
}

/// Two of three brokers are away for a while, one killed and one asked to go. Each leads
/// partitions of the topic and of the group's offsets.
fn brokers_restart(scenario: &Scenario<'_>) {
    scenario.create_topic(3, &[]);
    let feed = Feed::start(scenario);
    let members =
        [0, 1].map(|_| start(scenario, &scenario.stack().clickhouse, &["--block-age=200ms"]));
    let kafka = scenario.stack().native();
    goes_on_without(scenario, &feed, || kafka.kill_broker(0));
    goes_on_without(scenario, &feed, || kafka.stop_broker(1));
    let oracle = feed.stop();
    wait_for_keys(scenario, oracle.n_rows);
    members.into_iter().for_each(Member::stop);
    check(scenario, oracle);
}

fn goes_on_without<'k>(scenario: &Scenario<'_>, feed: &Feed, away: impl FnOnce() -> Outage<'k>) {
    wait_for_keys(scenario, feed.n_rows());
    let outage = away();
    wait_for_keys(scenario, feed.n_rows() + A_SECOND);
    outage.end().unwrap();
}

/// Away, answering 500, cutting the connection in the middle of a body and before the answer, slow:
/// each until it was met several times, and for as long as `VOLLEY_STORM_SECONDS` says, else for a
/// second. The loader says that it is not well while nothing gets through, and that it is afterwards.
fn clickhouse_fails_in_every_way(scenario: &Scenario<'_>) {
    const N_MET: u64 = 4;
    let n_seconds = std::env::var("VOLLEY_STORM_SECONDS").map_or(1, |n| n.parse().unwrap());
    scenario.create_topic(3, &[]);
    let proxy = FaultProxy::start(scenario.stack().runtime(), &scenario.stack().clickhouse);
    let feed = Feed::start(scenario);
    let arguments = ["--block-age=200ms", "--metrics=127.0.0.1:0", "--stall-after=2s"];
    let mut member = start(scenario, proxy.url(), &arguments);
    let health = |member: &Member, expected: u16| {
        let what = format!("{expected} from /healthz");
        eventually(&what, || (member.get("/healthz").0 == expected).then_some(()));
    };
    wait_for_keys(scenario, A_SECOND);
    health(&member, 200);
    let slow = Fault::Slow(Duration::from_millis(200));
    for fault in [Fault::Away, Fault::ServerError, Fault::CutBody, Fault::CutAnswer, slow] {
        let n_before = proxy.n_faults();
        proxy.set(fault);
        (0..n_seconds).for_each(|_| wait_for(&feed, feed.n_rows() + A_SECOND));
        eventually(&format!("{fault:?} to be met"), || {
            assert!(!member.has_ended(), "it gave up at {fault:?}: {}", member.said());
            (proxy.n_faults() >= n_before + N_MET).then_some(())
        });
        if fault != slow {
            health(&member, 503);
        }
        proxy.set(Fault::None);
        wait_for_keys(scenario, feed.n_rows());
        health(&member, 200);
    }
    let oracle = feed.stop();
    wait_for_keys(scenario, oracle.n_rows);
    member.stop();
    check(scenario, oracle);
}

/// What lies in the topic is many times what the loader may hold, which it reads and then waits with.
fn memory_is_bounded_while_clickhouse_is_away(scenario: &Scenario<'_>) {
    const N_MESSAGES: i64 = 150;
    const ROWS_PER_MESSAGE: i64 = 110_000;
    /// What it may hold, and half as much again for what librdkafka has fetched.
    const MAY_HOLD: u64 = 8_000_000 + 4_000_000;
    scenario.create_topic(1, &[]);
    let payload = |message: i64| {
        let keys = message * ROWS_PER_MESSAGE..(message + 1) * ROWS_PER_MESSAGE;
        let keys: ArrayRef = Arc::new(Int64Array::from_iter_values(keys));
        let batch = RecordBatch::try_from_iter([("key", keys)]).unwrap();
        encode(&batch, CodecOptions { codec: Codec::None, ..CodecOptions::default() }).unwrap()
    };
    scenario.put([payload(0)]);
    let proxy = FaultProxy::start(scenario.stack().runtime(), &scenario.stack().clickhouse);
    let member = start(scenario, proxy.url(), &["--max-inflight-bytes=8MB"]);
    wait_for_keys(scenario, ROWS_PER_MESSAGE as u64);
    let usage = member.usage();
    let Some(before) = usage.peak_rss() else {
        eprintln!("SKIPPED: the memory of a process is not known here; it is on Linux");
        assert!(std::env::var_os("VOLLEY_NO_SKIP").is_none_or(|set| set != "1"), "may not skip");
        return;
    };
    proxy.set(Fault::Away);
    scenario.put((1..N_MESSAGES).map(payload));
    let n_bytes = (N_MESSAGES * ROWS_PER_MESSAGE * 8) as u64;
    // Four tries, which are further and further apart: time enough to read it all.
    eventually("tries", || (proxy.n_faults() >= 4).then_some(()));
    let while_away = usage.peak_rss().unwrap() - before;
    proxy.set(Fault::None);
    wait_for_keys(scenario, (N_MESSAGES * ROWS_PER_MESSAGE) as u64);
    let grown = usage.peak_rss().unwrap() - before;
    member.stop();
    eprintln!(
        "memory: {before} before, {while_away} more while away, {grown} more at the end of {n_bytes}"
    );
    // The bodies of inserts that are tried again, fragments, the pages of the code itself.
    assert!(grown < 2 * MAY_HOLD, "{grown} bytes more than {before}, of {n_bytes}");
    let rows = scenario.query_text(&format!("SELECT count() FROM {}", scenario.table()));
    assert_eq!(rows, (N_MESSAGES * ROWS_PER_MESSAGE).to_string());
}

/// A loader into a table where a row that comes twice stays twice. Any message that it would put aside
/// stops it. Nobody is killed here, so that a long session only keeps a busy machine from losing it.
fn start(scenario: &Scenario<'_>, clickhouse: &str, arguments: &[&str]) -> Member {
    let table = ["--engine=MergeTree", "--order-by=key", "--no-dlq"];
    let session = ["--kafka=session.timeout.ms=30000"];
    let arguments: Vec<_> =
        table.iter().chain(&session).chain(arguments).map(|&text| text.to_owned()).collect();
    Member::start(scenario, GROUP, clickhouse, &arguments)
}

fn wait_for(feed: &Feed, n_rows: u64) {
    eventually("the feed's rows", || (feed.n_rows() >= n_rows).then_some(()));
}

/// Waits until so many different rows are in the table, which may not be there yet.
#[track_caller]
fn wait_for_keys(scenario: &Scenario<'_>, n_keys: u64) {
    let table = scenario.table();
    let exists = || scenario.query_text(&format!("EXISTS {table}")) == "1";
    eventually("the table", || exists().then_some(()));
    let sql = format!("SELECT uniqExact(key) FROM {table}");
    eventually("the keys", || {
        (scenario.query_text(&sql).parse::<u64>().unwrap() >= n_keys).then_some(())
    });
}

fn check(scenario: &Scenario<'_>, oracle: Oracle) {
    let found = Found::read(scenario, oracle);
    assert_eq!((found.n_lost(), found.n_duplicate()), (0, 0), "{found:?}");
}
