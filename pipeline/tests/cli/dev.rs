//! `volley dev`: the embedded stack, its addresses, its data.

use std::path::Path;

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};

use crate::support::{PATIENCE, Running, assert_snapshot, has_engine, mask, query, volley};

/// A running `volley dev` and its addresses.
struct Dev {
    run: Running,
    brokers: String,
    clickhouse: String,
}

fn start(arguments: &[&str]) -> Dev {
    let mut run = volley(["dev", "--format", "json"]).args(arguments).start();
    let printed = run.wait_for_stdout("\n");
    let addresses: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let text = |field: &str| addresses[field].as_str().unwrap().to_owned();
    let version = text("clickhouse_version");
    assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{version}");
    Dev { run, brokers: text("brokers"), clickhouse: text("clickhouse") }
}

fn start_on(data: &Path) -> Dev {
    start(&["--data", data.to_str().unwrap()])
}

impl Dev {
    fn stop(self, signal: &str) {
        self.run.signal(signal);
        let run = self.run.wait().succeeds();
        assert_eq!(run.stdout.lines().count(), 1, "{run}");
    }

    /// Sends rows through its broker into its ClickHouse.
    fn load(&self, n_rows: u64) {
        let kafka = ["--brokers", &self.brokers, "--topic", "metrics"];
        let n_rows = n_rows.to_string();
        volley(["produce", "--source", "synthetic", "--rows", &n_rows])
            .args(kafka)
            .run()
            .succeeds();
        volley(["load", "--until-idle", "500ms", "--clickhouse", &self.clickhouse])
            .args(kafka)
            .run()
            .succeeds();
    }

    fn count(&self) -> String {
        query(&self.clickhouse, "SELECT count() FROM volley")
    }

    fn n_partitions(&self, topic: &str) -> usize {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).create().unwrap();
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        metadata.topics()[0].partitions().len()
    }
}

#[test]
fn topics_are_as_asked_for() {
    if !has_engine() {
        return;
    }
    let dev = start(&["--topic", "one:1", "--topic", "seven:7", "--topic", "plain"]);
    assert_eq!(["one", "seven", "plain"].map(|topic| dev.n_partitions(topic)), [1, 7, 4]);
    dev.stop("INT");
}

#[test]
fn data_is_kept_where_asked_and_two_run_side_by_side() {
    if !has_engine() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let kept = start_on(folder.path());
    let other = start(&[]);
    kept.load(1000);
    other.load(10);
    assert_eq!((kept.count(), other.count()), ("1000".to_owned(), "10".to_owned()));

    let path = folder.path().to_str().unwrap();
    let taken = volley(["dev", "--data", path]).run().fails();
    taken.says(&[path, "is it another process's"]);
    kept.stop("TERM");
    other.stop("INT");

    let reopened = start_on(folder.path());
    assert_eq!(reopened.count(), "1000");
    reopened.load(500);
    assert_eq!(reopened.count(), "1500");
    reopened.stop("INT");
}

#[test]
fn text_says_what_to_do_next() {
    if !has_engine() {
        return;
    }
    let mut run = volley(["dev"]).start();
    run.wait_for_stdout("Ctrl-C");
    run.signal("INT");
    let run = run.wait().succeeds();
    assert_snapshot("dev", &mask(&run.stdout));
}

#[test]
fn a_closed_output_ends_it_without_an_error() {
    if !has_engine() {
        return;
    }
    let run = volley(["dev"]).start_with_closed_stdout().wait().succeeds();
    assert!(!run.stderr.contains("error"), "{run}");
}

#[test]
fn what_cannot_be_used_is_named() {
    let library = volley(["dev"]).env("VOLLEY_LIBCHDB", "/nonexistent/libchdb.so").run().fails();
    library.says(&["no libchdb at /nonexistent/libchdb.so", "VOLLEY_LIBCHDB"]);
    let public = volley(["dev", "--clickhouse-listen", "0.0.0.0:0"]).run().fails();
    public.says(&["listens on loopback only", "127.0.0.1"]);
    if !has_engine() {
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    volley(["dev", "--data", path])
        .run()
        .fails()
        .says(&["cannot use the ClickHouse data folder", path]);
}
