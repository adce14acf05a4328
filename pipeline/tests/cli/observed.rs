//! What a running load says of itself: metrics, health, readiness.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use crate::support::{
    Database, PATIENCE, Proxy, Running, Topic, broker, database, eventually, volley,
};

/// A load that serves metrics, and where.
struct Observed {
    run: Running,
    address: String,
}

impl Observed {
    fn start(topic: &Topic<'_>, database: &Database, url: &str, arguments: &[&str]) -> Self {
        let mut run = topic
            .load(url, &database.table())
            .args(["--metrics", "127.0.0.1:0"])
            .args(arguments)
            .start();
        let said = run.wait_for_stderr("/metrics");
        let (_, rest) = said.split_once("serving metrics at http://").unwrap();
        let address = rest.split_once("/metrics").unwrap().0.to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{said}");
        Self { run, address }
    }

    /// Status and body.
    fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = &self.address;
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path)
    }

    /// The sum of a metric over its series; `None` where it has none.
    fn metric(&self, name: &str) -> Option<f64> {
        let (status, metrics) = self.get("/metrics");
        assert_eq!(status, 200, "{metrics}");
        assert!(metrics.ends_with("# EOF\n"), "{metrics}");
        let of_name = |line: &&str| line.split('{').next() == Some(name);
        let values = metrics.lines().filter(of_name).map(|line| {
            let (_, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap()
        });
        values.reduce(|sum, value| sum + value)
    }

    #[track_caller]
    fn wait_for(&self, name: &str, wanted: f64) {
        eventually(&format!("{name} to be {wanted}"), || {
            (self.metric(name) == Some(wanted)).then_some(())
        });
    }
}

#[test]
fn metrics_count_what_is_loaded() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(2);
    topic.fill(1000);
    let load = Observed::start(&topic, &database, database.url(), &[]);
    load.wait_for("volley_load_rows_total", 1000.0);
    load.wait_for("volley_load_lag_messages", 0.0);
    let n_messages = topic.messages().len() as f64;
    assert_eq!(load.metric("volley_load_messages_total"), Some(n_messages));
    assert_eq!(load.metric("volley_load_freshness_seconds_count"), Some(n_messages));
    assert_eq!(load.metric("volley_load_assigned_partitions"), Some(2.0));
    assert_eq!(load.metric("volley_load_lag_seconds"), Some(0.0));
    assert_eq!(load.metric("volley_load_clickhouse_up"), Some(1.0));
    assert_eq!(load.metric("volley_load_dead_letters_total"), Some(0.0));
    assert_eq!(load.get("/healthz"), (200, "{\"ok\":true}\n".to_owned()));
    assert_eq!(load.get("/readyz"), (200, "{\"ok\":true}\n".to_owned()));
    assert_eq!(load.get("/").0, 404);
    assert_eq!(load.ask("POST", "/metrics").0, 405);

    topic.put(0, Some(b"no arrow"), &[]);
    load.wait_for("volley_load_dead_letters_total", 1.0);
    load.wait_for("volley_load_lag_messages", 0.0);
    load.run.signal("INT");
    let run = load.run.wait().succeeds();
    assert_eq!(run.count("rows_loaded"), 1000, "{run}");
    TcpStream::connect(&load.address).expect_err("nobody listens any more");
}

#[test]
fn health_is_bad_while_nothing_moves() {
    let Some(database) = database() else {
        return;
    };
    let mut proxy = Proxy::to(database.url());
    let topic = broker().topic(1);
    topic.fill(300);
    let load = Observed::start(&topic, &database, &proxy.url(), &["--stall-after", "1s"]);
    load.wait_for("volley_load_rows_total", 300.0);
    load.wait_for("volley_load_lag_messages", 0.0);
    assert_eq!(load.get("/healthz").0, 200);

    proxy.cut();
    topic.fill(200);
    load.wait_for("volley_load_lag_rows", 200.0);
    load.wait_for("volley_load_clickhouse_up", 0.0);
    let reason = eventually("bad health", || {
        let (status, body) = load.get("/healthz");
        (status == 503).then_some(body)
    });
    assert!(reason.contains("partition 0 has "), "{reason}");
    assert!(reason.contains("nothing was loaded for "), "{reason}");
    assert!(reason.ends_with("\"partitions\":[0]}\n"), "{reason}");
    assert_eq!(load.metric("volley_load_stalled_partitions"), Some(1.0));
    assert!(load.metric("volley_load_retries_total") > Some(0.0));
    assert!(load.metric("volley_load_lag_seconds") > Some(1.0));
    // It is past its start all the same.
    assert_eq!(load.get("/readyz").0, 200);

    proxy.restore();
    load.wait_for("volley_load_rows_total", 500.0);
    eventually("good health", || (load.get("/healthz").0 == 200).then_some(()));
    assert_eq!(load.metric("volley_load_clickhouse_up"), Some(1.0));
}

#[test]
fn it_is_not_ready_before_clickhouse_answers() {
    let Some(database) = database() else {
        return;
    };
    let mut proxy = Proxy::to(database.url());
    proxy.stall();
    let topic = broker().topic(1);
    let load = Observed::start(&topic, &database, &proxy.url(), &["--timeout", "60s"]);
    let reason = "{\"ok\":false,\"reason\":\"clickhouse has not answered yet\"}\n";
    assert_eq!(load.get("/readyz"), (503, reason.to_owned()));
    assert_eq!(load.get("/healthz").0, 200);
    assert_eq!(load.metric("volley_load_clickhouse_up"), Some(0.0));
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = volley(["load", "--metrics", &port]).run().fails();
    let address = format!("cannot serve metrics at 127.0.0.1:{port}; choose another address");
    run.says(&[&address, "caused by: Address already in use"]);
}

#[test]
fn an_address_that_is_none_is_refused() {
    let run = volley(["load", "--metrics", ":9464"]).run().fails();
    run.says(&["--metrics", "expected a port such as 9464"]);
    let run = volley(["load", "--stall-after", "5s"]).run().fails();
    run.says(&["--metrics"]);
}
