use std::{
    collections::BTreeSet,
    env, fs,
    num::NonZeroUsize,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use volley_core::fingerprint::Fingerprint;

use super::{super::ProduceWatch, *};
use crate::load::{BlockLimits, BlockPlanner, DEAD_LETTER_CAUSES, Message};

const START_US: i64 = 1_700_000_000_000_000;

/// A watch whose clock stands still unless told.
struct Script {
    watch: Arc<LoadWatch>,
    start: Instant,
    seconds: Arc<AtomicU64>,
}

impl Script {
    fn new() -> Self {
        let (start, seconds) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let passed = seconds.clone();
        let options = WatchOptions {
            topic: "host-metrics".to_owned(),
            group: "the \"first\" group".to_owned(),
            stall_after: Duration::from_secs(59),
            block_age: Duration::from_secs(1),
        };
        let clock = move || {
            let seconds = passed.load(Ordering::Relaxed);
            let unix_us = START_US + seconds as i64 * 1_000_000;
            Now { instant: start + Duration::from_secs(seconds), unix_us }
        };
        Self { watch: Arc::new(LoadWatch::with_clock(&options, clock)), start, seconds }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.seconds.store(seconds, Ordering::Relaxed);
        self.start + Duration::from_secs(seconds)
    }

    /// Messages of 100 rows that were sampled and written at the start.
    fn received(&self, partition: i32, offsets: std::ops::Range<i64>) {
        for offset in offsets {
            let timestamp_ms = Some(START_US / 1000);
            let oldest_us = Some(START_US - 250_000);
            let message = Received { offset, n_rows: 100, timestamp_ms, oldest_us };
            self.watch.received(partition, message);
        }
    }

    fn block(partition: i32, offsets: std::ops::Range<i64>) -> Block {
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
        let schema = Some(Fingerprint::of(&schema));
        let n = NonZeroUsize::MAX;
        let limits = BlockLimits { n_rows: n, n_bytes: n, age: Duration::ZERO };
        let mut planner = BlockPlanner::new(limits);
        for offset in offsets {
            let payload = Bytes::from_static(&[0; 500]);
            let message = Message { partition, offset, schema, n_rows: 100, checksum: 0, payload };
            planner.push(message, Duration::ZERO, &mut Vec::new());
        }
        planner.finish().remove(0)
    }

    fn loaded(&self, partition: i32, offsets: std::ops::Range<i64>) {
        let stored = Stored {
            queryable_at: self.watch.now().instant,
            took: Duration::from_millis(40),
            is_reencoded: partition == 1,
        };
        self.watch.loaded(&Self::block(partition, offsets), &stored);
    }

    #[track_caller]
    fn check_health(&self, expected: Result<(), &str>) {
        let report = self.watch.health();
        assert_eq!(report.reason.as_deref().map_or(Ok(()), Err), expected);
        assert_eq!(report.ok, expected.is_ok());
    }

    #[track_caller]
    fn check_line(&self, expected: &str) {
        assert_eq!(self.watch.clone().status_line()(), expected);
    }
}

fn set(partitions: impl IntoIterator<Item = i32>) -> HashSet<i32> {
    partitions.into_iter().collect()
}

/// Something of everything.
fn scripted() -> Script {
    let script = Script::new();
    let watch = &script.watch;
    watch.connected();
    watch.resumed(0, 40);
    watch.assigned(&set(0..4));
    watch.lost(&set([3]));
    script.received(0, 40..45);
    script.received(1, 0..3);
    watch.reached_end(2);
    watch.in_flight(4_000);
    let asked_at = script.at(1);
    watch.ends(&[(0, 50), (1, 3), (2, 0), (3, 9)], asked_at);
    watch.dead_letter(0, 41, "damaged");
    watch.dead_letter(7, 1, "refused");
    watch.retrying(1);
    script.at(2);
    script.loaded(1, 0..2);
    script.loaded(0, 40..44);
    watch.commit_failed();
    script
}

/// `UPDATE_SNAPSHOTS=1` rewrites it.
#[test]
fn metrics_are_as_committed() {
    let found = scripted().watch.metrics().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/observe/load/metrics.txt");
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    let found = in_order(&found.replace(&version, "version=\"VERSION\""));
    if env::var_os("UPDATE_SNAPSHOTS").is_some_and(|set| set == "1") {
        fs::write(&path, &found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == expected, "to accept it: UPDATE_SNAPSHOTS=1\n{found}");
}

/// The series of each metric in order; labels come as a hash map has them.
fn in_order(metrics: &str) -> String {
    let mut lines: Vec<_> = metrics.split_inclusive('\n').collect();
    for family in lines.chunk_by_mut(|a, b| a.contains("cause=") && b.contains("cause=")) {
        family.sort_unstable();
    }
    lines.concat()
}

/// A series that begins with its first event hides that event from `increase()`.
#[test]
fn every_cause_is_there_from_the_start() {
    let metrics = Script::new().watch.metrics().unwrap();
    for cause in DEAD_LETTER_CAUSES {
        let end = format!("cause=\"{cause}\"}} 0\n");
        assert!(metrics.contains(&end), "{cause}: {metrics}");
    }
}

/// What the group has committed is told before the partition is ours.
#[test]
fn the_time_without_partitions_is_no_silence() {
    let script = Script::new();
    script.watch.assigned(&set([0]));
    let asked_at = script.at(1);
    script.watch.ends(&[(0, 5)], asked_at);
    script.watch.lost(&set([0]));
    script.at(500);
    script.watch.resumed(0, 5);
    script.watch.assigned(&set([0]));
    script.check_health(Ok(()));
    script.at(560);
    script.check_health(Err(
        "partition 0 has not come to its end, and nothing was loaded for 60.0 s",
    ));
}

#[test]
fn health_follows_the_partitions() {
    let script = Script::new();
    script.at(600);
    script.check_health(Ok(()));
    script.watch.assigned(&set([0, 1]));
    let answer = |end| {
        let asked_at = script.watch.now().instant;
        script.watch.reached_end(1);
        script.watch.ends(&[(0, end), (1, 0)], asked_at);
    };
    script.received(0, 0..3);
    answer(3);
    script.at(659);
    answer(4);
    script.check_health(Ok(()));
    script.at(660);
    script
        .check_health(Err("partition 0 has 4 messages to load, and nothing was loaded for 60.0 s"));
    let gauge = |name: &str| {
        let metrics = script.watch.metrics().unwrap();
        metrics.lines().find(|line| line.starts_with(name)).unwrap().to_owned()
    };
    assert!(gauge("volley_load_stalled_partitions").ends_with(" 1"));
    script.loaded(0, 0..3);
    script.check_health(Ok(()));
    assert!(gauge("volley_load_stalled_partitions").ends_with(" 0"));
    script.received(0, 3..4);
    script.loaded(0, 3..4);
    script.at(718);
    script.check_health(Ok(()));
    script.at(719);
    script.check_health(Err("no kafka broker said for 60.0 s where partitions end"));
    answer(4);
    script.check_health(Ok(()));
    script.at(9_000);
    script.watch.lost(&set([0, 1]));
    script.check_health(Ok(()));
}

#[test]
fn readiness_needs_both_ends() {
    let script = Script::new();
    assert!(!script.watch.readiness().ok);
    script.watch.connected();
    assert!(!script.watch.readiness().ok);
    // A member that the group has no partition for.
    script.watch.assigned(&set([]));
    assert!(script.watch.readiness().ok);
}

#[test]
fn the_status_line_follows_the_run() {
    Script::new().check_line("waiting for partitions");
    let script = scripted();
    script.check_line(
        "– rows, 600 in all · lag 7 messages, 2.00 s · fresh 2.25 s · 4.00 kB in flight · 2 put aside",
    );
    script.watch.retrying(0);
    script.at(5);
    script.watch.retrying(0);
    script.check_line(
        "– rows, 600 in all · lag 7 messages, 5.00 s · fresh 2.25 s · 4.00 kB in flight · 2 put aside \
         · clickhouse away for 3.00 s, 2 retries",
    );
    script.watch.lost(&set(0..3));
    script.check_line("no partitions: other members of the group have them all");
}

/// Nothing else may come that would say that ClickHouse is back.
#[test]
fn clickhouse_is_away_only_for_partitions_that_are_tried_again() {
    let script = Script::new();
    let watch = &script.watch;
    let check = |expected: u64| {
        let metrics = watch.metrics().unwrap();
        let up =
            metrics.lines().find(|line| line.starts_with("volley_load_clickhouse_up")).unwrap();
        assert!(up.ends_with(&format!(" {expected}")), "{up}");
    };
    watch.connected();
    watch.assigned(&set(0..4));
    watch.retrying(0);
    watch.retrying(1);
    watch.lost(&set([0, 3]));
    check(0);
    watch.lost(&set([1]));
    check(1);
    script.check_line("– rows, 0 in all · lag not known yet · 0 B in flight");
    // It is back, and refuses the only message.
    script.received(2, 0..1);
    watch.retrying(2);
    check(0);
    watch.dead_letter(2, 0, "refused");
    watch.skipped(&Script::block(2, 0..1));
    check(1);
}

/// A file of the documentation.
fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of metrics in a text of any kind.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("volley_")).map(str::to_owned).collect()
}

/// Names of everything that either command serves.
fn samples() -> BTreeSet<String> {
    let produce = ProduceWatch::new("host-metrics", Duration::from_secs(60));
    let metrics = scripted().watch.metrics().unwrap() + &produce.metrics().unwrap();
    let lines = metrics.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('{').next().unwrap().to_owned()).collect()
}

/// The same without what each sample of a histogram has at its end.
fn families(samples: &BTreeSet<String>) -> BTreeSet<String> {
    let family = |name: &String| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        histogram.unwrap_or(name).to_owned()
    };
    samples.iter().map(family).collect()
}

fn expressions(dashboard: &serde_json::Value) -> String {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let definitions = variables.iter().filter_map(|variable| variable["definition"].as_str());
    let queries = targets.map(|target| target["expr"].as_str().unwrap()).chain(definitions);
    queries.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_dashboard_asks_for_all_that_there_is_and_for_nothing_else() {
    let dashboard = serde_json::from_str(&document("grafana-dashboard.json")).unwrap();
    let (asked, samples) = (names_in(&expressions(&dashboard)), samples());
    assert_eq!(asked.difference(&samples).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(families(&asked), families(&samples));
}

#[test]
fn alerts_ask_for_what_there_is() {
    let asked = names_in(&document("prometheus-alerts.yml"));
    assert_eq!(asked.difference(&samples()).collect::<Vec<_>>(), Vec::<&String>::new());
    assert!(asked.len() > 5, "{asked:?}");
}

#[test]
fn the_page_explains_every_metric() {
    assert_eq!(names_in(&document("observing.md")), families(&samples()));
}
