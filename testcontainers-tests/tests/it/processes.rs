//! The binary in the hands of a user: what it prints, signals, and a sudden end.

use std::{fs, net::TcpStream, path::Path, process::Command};

use volley_e2e::{Case, Scenario, assert_same_rows, concat, eventually, sorted};

use crate::volley::{JSON, Volley, assert_snapshot, load, mask, produce, volley};

pub(crate) const CASES: &[Case] = &[
    Case::new("processes::produce_load_inspect", produce_load_inspect),
    Case::new("processes::demo", demo),
    Case::new("processes::asked_to_stop_it_finishes", asked_to_stop_it_finishes),
    Case::new("processes::killed_it_loads_each_row_once", killed_it_loads_each_row_once),
    Case::on_native_kafka(
        "processes::kafka_ends_with_who_started_it",
        kafka_ends_with_who_started_it,
    ),
];

fn produce_load_inspect(scenario: &Scenario<'_>) {
    scenario.create_topic(2, &[]);
    let rows = ["--rows", "5000", "--rows-per-batch", "200", "--seed", "3"];
    let produced = produce(scenario).args(rows).run().succeeds();
    let loaded = load(scenario, "a").args(["--until-idle", "500ms"]).run().succeeds();
    let loaded = loaded.says(&["created table", "no new messages; finishing"]);
    check_rows(scenario);

    let messages = scenario.messages();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("message.arrows");
    fs::write(&file, &messages[0].payload).unwrap();
    let inspected = volley(["inspect".as_ref(), file.as_os_str()]).run().succeeds();

    assert!(produced.stdout.contains("5,000 delivered"), "{produced}");
    assert!(loaded.stdout.contains("5,000 loaded into"), "{loaded}");
    assert_eq!(produced.stderr, "");
    assert_eq!(inspected.stderr, "");
    let said = [
        "$ volley produce\n",
        &produced.stdout,
        "\n$ volley load\n",
        &loaded.stdout,
        "\n$ volley inspect\n",
        &inspected.stdout,
    ];
    let said = said.concat().replace(scenario.topic(), "NAME");
    let said = said.replace(folder.path().to_str().unwrap(), "DIR");
    assert_snapshot("produce-load-inspect", &mask(&said));
}

/// It stands on its own servers, and should do so beside any others.
fn demo(_: &Scenario<'_>) {
    let run = volley(["demo", "--batches", "5"]).run().succeeds();
    assert!(run.stdout.contains("5,000 sampled, 5,000 loaded, 5,000 queryable"), "{run}");
    assert_snapshot("demo", &mask(&run.stdout));
}

/// Both signals, in a run that is under way: what it has stored is committed, and nothing else.
fn asked_to_stop_it_finishes(scenario: &Scenario<'_>) {
    const N_ROWS: u64 = 20_000;
    scenario.create_topic(2, &[]);
    scenario.produce(scenario.produce_options(4, N_ROWS));
    // Where a row that comes twice stays twice.
    let load = || load(scenario, "a").args(["--engine", "MergeTree"]).args(JSON);
    let mut n_loaded = 0;
    for signal in ["INT", "TERM"] {
        let mut run = small_blocks(load()).start();
        wait_for_rows(scenario, n_loaded + 500);
        run.signal(signal);
        run.wait_for_stderr("finishing; once more to stop at once");
        let run = run.wait().succeeds();
        n_loaded += run.count("rows_loaded");
        assert!(n_loaded < N_ROWS, "it was over before it was stopped: {run}");
        assert_eq!(run.count("messages_left"), 0, "{run}");
        assert_eq!(n_rows(scenario), n_loaded, "{run}");
    }
    let rest = load().args(["--until-idle", "500ms"]).run().succeeds();
    assert_eq!(n_loaded + rest.count("rows_loaded"), N_ROWS, "{rest}");
    check_rows(scenario);
}

/// Again and again, wherever it happens to be, into a table where a row that comes twice stays
/// twice.
fn killed_it_loads_each_row_once(scenario: &Scenario<'_>) {
    const N_ROWS: u64 = 20_000;
    scenario.create_topic(2, &[]);
    scenario.produce(scenario.produce_options(4, N_ROWS));
    let load = || load(scenario, "a").args(["--engine", "MergeTree"]);
    for n_kills in 1..=5 {
        let run = small_blocks(load()).start();
        wait_for_rows(scenario, n_kills * 1_000);
        run.signal("KILL");
        let run = run.wait();
        assert_eq!(run.code, None, "it was over before it was killed: {run}");
        assert!(n_rows(scenario) < N_ROWS, "{run}");
    }
    load().args(["--until-idle", "500ms"]).run().succeeds();
    let ends = scenario.messages().iter().fold(vec![0; 2], |mut ends, message| {
        ends[message.partition as usize] = message.offset + 1;
        ends
    });
    assert_eq!(scenario.committed("a"), ends);
    check_rows(scenario);
}

/// `cargo xtask kafka`, which can no more tidy up than a suite that is killed.
fn kafka_ends_with_who_started_it(_: &Scenario<'_>) {
    let mut kafka = Volley::of(Command::new(env!("CARGO_BIN_EXE_kafka")))
        .args(["--port", "0", "--brokers", "1"])
        .start();
    let said = kafka.wait_for_stdout("volley load takes the same");
    let after = |text: &str| {
        let (_, rest) = said.split_once(text).unwrap_or_else(|| panic!("no {text}: {said}"));
        rest.split_whitespace().next().unwrap()
    };
    let (address, file) = (after("--brokers "), Path::new(after("ssl.ca.location=")));
    assert!(TcpStream::connect(address).is_ok() && file.exists());
    kafka.signal("KILL");
    eventually("Kafka's end", || TcpStream::connect(address).is_err().then_some(()));
    let folder = file.parent().unwrap();
    eventually("the end of its folder", || (!folder.exists()).then_some(()));
}

/// A message to an insert, and few in flight, so that there is a midway.
fn small_blocks(load: Volley) -> Volley {
    load.args(["--block-rows", "1", "--max-inflight-bytes", "8kB"])
}

fn wait_for_rows(scenario: &Scenario<'_>, n_wanted: u64) {
    eventually("rows", || (n_rows(scenario) >= n_wanted).then_some(()));
}

/// Different rows in the table, which may not be there yet.
fn n_rows(scenario: &Scenario<'_>) -> u64 {
    let table = scenario.table();
    if scenario.query_text(&format!("EXISTS {table}")) == "0" {
        return 0;
    }
    scenario.query_text(&format!("SELECT uniqExact(device, ts) FROM {table}")).parse().unwrap()
}

/// Every row of the topic is in the table, once.
fn check_rows(scenario: &Scenario<'_>) {
    let sent: Vec<_> = scenario.messages().iter().flat_map(|m| m.batches()).collect();
    let table = scenario.table();
    let sql = format!("SELECT * FROM {table} ORDER BY device, ts");
    assert_same_rows(&sorted(&concat(&sent), &["device", "ts"]), &scenario.query(&sql));
}
