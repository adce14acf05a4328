//! Servers that are not there: named with the flag that says where they should be, in time.

use std::{net::TcpListener, time::Duration};

use crate::support::{PASSWORD, USER, Volley, broker, closed_port, database, volley};

/// `--timeout` in these tests, and how long a run may then take: a process has to start and end.
const TIMEOUT: &str = "2s";
const LIMIT: Duration = Duration::from_secs(6);

#[track_caller]
fn gives_up(run: Volley, texts: &[&str]) {
    run.args(["--timeout", TIMEOUT]).run().fails().says(texts).within(LIMIT);
}

#[test]
fn produce_without_a_broker() {
    let address = closed_port();
    let texts = ["cannot reach kafka at", &address, "--brokers", "--timeout", "Connection refused"];
    let produce = || volley(["produce", "--brokers", &address, "--rows", "10"]);
    gives_up(produce(), &texts);
    gives_up(produce().args(["--create-topic"]), &texts);
}

#[test]
fn produce_to_a_broker_that_never_answers() {
    // The kernel accepts for it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let run = volley(["produce", "--brokers", &address, "--rows", "10"]);
    gives_up(run, &["cannot reach kafka at", &address, "--brokers", "--timeout"]);
}

#[test]
fn produce_to_a_host_without_an_address() {
    let run = volley(["produce", "--brokers", "no-such-host.invalid:9092", "--rows", "10"]);
    gives_up(run, &["cannot reach kafka at no-such-host.invalid:9092", "--brokers"]);
}

#[test]
fn load_without_a_broker() {
    let Some(database) = database() else {
        return;
    };
    let address = closed_port();
    let run = volley(["load", "--brokers", &address, "--clickhouse", database.url()]).args([
        "--user",
        USER,
        "--password",
        PASSWORD,
    ]);
    let texts = ["cannot reach kafka at", &address, "--brokers", "--timeout", "Connection refused"];
    gives_up(run, &texts);
}

#[test]
fn load_without_clickhouse() {
    let url = format!("http://{}", closed_port());
    let run = volley(["load", "--brokers", broker().address(), "--clickhouse", &url]);
    gives_up(run, &["cannot reach clickhouse at", &url, "--clickhouse", "Connection refused"]);
}

#[test]
fn load_into_a_clickhouse_that_never_answers() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let run = volley(["load", "--brokers", broker().address(), "--clickhouse", &url]);
    gives_up(
        run,
        &["clickhouse at", &url, "did not answer within 2.00 s", "--clickhouse", "--timeout"],
    );
}
