//! `volley dlq`: what could not be loaded, and how it goes back.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{Finished, Topic, Volley, assert_snapshot, broker, closed_port, volley};

/// A topic with two partitions, and that of its dead letters.
struct Letters {
    topic: Topic<'static>,
    letters: Topic<'static>,
}

impl Letters {
    /// Without any.
    fn new() -> Self {
        let topic = broker().topic(2);
        Self { letters: topic.dead_letters(), topic }
    }

    /// Five, of every sort: two that are damaged, one of them from another topic; one without value
    /// and one that ClickHouse refused; one that no loader has written.
    fn of_every_sort() -> Self {
        let all = Self::new();
        let (name, here) = (all.topic.name.clone(), &all.topic.name);
        let cut = "message 1, byte 536: the body length does not fit the payload: found 120 bytes, \
                   expected at least 144\n\u{1b}[31m";
        all.put(Some(&payload()[..400]), "damaged", Some("body-length"), cut, here, 0, 120);
        all.put(None, "no-value", None, "the message has no value", here, 1, 7);
        let refused =
            "clickhouse at http://127.0.0.1:8123: code 469: constraint natural is violated";
        all.put(Some(&payload()), "refused", Some("469"), refused, &name, 1, 8);
        all.put(Some(b"{}"), "damaged", Some("metadata-length"), "byte 0", "elsewhere", 5, 3);
        all.letters.put(0, Some(b"hello"), &[("trace", "1")]);
        all
    }

    #[expect(clippy::too_many_arguments, reason = "all that a dead letter has, in a test")]
    fn put(
        &self,
        value: Option<&[u8]>,
        cause: &str,
        code: Option<&str>,
        error: &str,
        topic: &str,
        partition: i32,
        offset: i64,
    ) {
        let (partition, at) = (partition.to_string(), offset.to_string());
        let (written, put) = (1_700_000_000_000 + offset, 1_700_000_600_000 + offset * 1000);
        let (written, put) = (written.to_string(), put.to_string());
        let mut headers = vec![("trace", &*at), ("volley-dlq-cause", cause)];
        headers.extend(code.map(|code| ("volley-dlq-code", code)));
        headers.extend([
            ("volley-dlq-error", error),
            ("volley-dlq-topic", topic),
            ("volley-dlq-partition", &partition),
            ("volley-dlq-offset", &at),
            ("volley-dlq-timestamp", &written),
            ("volley-dlq-time", &put),
            ("volley-dlq-table", "default.rows"),
        ]);
        self.letters.put(0, value, &headers);
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Volley {
        volley(["dlq", command, "--brokers", broker().address(), "--topic", &self.topic.name])
            .args(arguments)
    }

    fn list(&self, arguments: &[&str]) -> Vec<Value> {
        let run = self.run("list", &["--format", "json"]).args(arguments).run().succeeds();
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A summary without what differs from run to run.
    #[track_caller]
    fn prints(&self, name: &str, run: &Finished) {
        assert_snapshot(name, &run.stdout.replace(&self.topic.name, "TOPIC"));
    }
}

fn payload() -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../core/tests/golden");
    fs::read(Path::new(folder).join("polars-zstd.arrow")).unwrap()
}

#[test]
fn every_letter_has_a_line() {
    let letters = Letters::of_every_sort();
    let run = letters.run("list", &[]).run().succeeds();
    assert_eq!(run.stderr, "");
    letters.prints("dlq-list", &run);

    let listed = letters.list(&[]);
    assert_eq!(listed.len(), 5);
    let first = &listed[0];
    assert_eq!((&first["letter"], &first["code"]), (&"0/0".into(), &"body-length".into()));
    assert_eq!(first["origin"]["topic"], letters.topic.name);
    assert_eq!(first["time"], "2023-11-14T22:25:20Z");
    assert!(first["error"].as_str().unwrap().ends_with("\n\u{1b}[31m"), "{first}");
    let last = &listed[4];
    assert_eq!((&last["cause"], &last["origin"]), (&"unknown".into(), &Value::Null));
}

#[test]
fn letters_are_chosen_by_what_they_are() {
    let letters = Letters::of_every_sort();
    let check = |arguments: &[&str], expected: &[&str]| {
        let listed = letters.list(arguments);
        let ids: Vec<_> = listed.iter().map(|line| line["letter"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{arguments:?}");
    };
    check(&["--cause", "damaged"], &["0/0", "0/3"]);
    check(&["--cause", "469", "--cause", "no-value"], &["0/1", "0/2"]);
    check(&["--cause", "nothing"], &[]);
    check(&["--partition", "1"], &["0/1", "0/2"]);
    check(&["--since", "2023-11-14T22:25:00Z"], &["0/0"]);
    check(&["--since", "1h"], &[]);
    check(&["--limit", "2"], &["0/0", "0/1"]);
    let run = letters.run("list", &["--limit", "2"]).run().succeeds();
    assert!(run.stdout.ends_with("3 more behind --limit\n"), "{run}");
    letters.run("list", &["--since", "noon"]).run().fails().says(&["--since", "such as 2h"]);
}

#[test]
fn a_monitor_asks_by_exit_code() {
    let letters = Letters::of_every_sort();
    letters.run("list", &["--exit-code"]).run().exits_with(1);
    letters.run("list", &["--exit-code", "--cause", "schema"]).run().succeeds();
}

#[test]
fn without_letters_there_is_nothing_to_say() {
    let empty = Letters::new();
    let never = broker().topic(1);
    for topic in [&empty.topic.name, &never.name] {
        let dlq =
            |command| volley(["dlq", command, "--brokers", broker().address(), "--topic", topic]);
        let run = dlq("list").args(["--exit-code"]).run().succeeds();
        assert_eq!(run.stdout, "no dead letters\n");
        let run = dlq("replay").args(["--format", "json"]).run().succeeds();
        assert_eq!(run.count("replayed"), 0);
    }
    let run = volley(["dlq", "list", "--brokers", broker().address(), "--topic", "no-such"]).run();
    run.fails().says(&["topic 'no-such.dlq' does not exist", "--topic and --dlq-topic"]);
    let run = volley(["dlq", "list", "--brokers", &closed_port(), "--timeout", "1s"]).run();
    run.fails().says(&["cannot reach kafka at", "--brokers"]);
}

#[test]
fn one_is_shown_with_what_is_in_it() {
    let letters = Letters::of_every_sort();
    let run = letters.run("show", &["0/0"]).run().succeeds();
    let address = format!("kafka://{}/{}/0/0", broker().address(), letters.letters.name);
    let shown = run.stdout.replace(&address, "ADDRESS").replace(&letters.topic.name, "TOPIC");
    // The message's own time is that of the test.
    let (before, rest) = shown.split_once("created ").unwrap();
    let (_, after) = rest.split_once(',').unwrap();
    assert_snapshot("dlq-show", &format!("{before}created TIME,{after}"));

    let by_address = volley(["dlq", "show", &address, "--format", "json"]).run().succeeds().json();
    assert_eq!((&by_address["cause"], &by_address["bytes"]), (&"damaged".into(), &400.into()));
    assert_eq!(by_address["payload"]["file"], address);
    let headers = by_address["payload"]["message"]["headers"].as_array().unwrap();
    assert_eq!((headers.len(), &headers[0]["name"]), (1, &"trace".into()));

    letters.run("show", &["0/9"]).run().fails().says(&["has no offset 9", "try 0 to 4"]);
    letters.run("show", &["9"]).run().fails().says(&["expected PARTITION/OFFSET, such as 0/17"]);
}

#[test]
fn letters_become_files_and_replace_none() {
    let letters = Letters::of_every_sort();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/letters");
    let path = path.to_str().unwrap();
    let export = |arguments: &[&str]| letters.run("export", &[path]).args(arguments).run();
    let run = export(&["--cause", "damaged", "--format", "json"]).succeeds();
    assert_eq!((run.count("letters"), run.count("bytes")), (2, 402), "{run}");
    let file = |name: &str| Path::new(path).join(format!("{}-0-{name}", letters.letters.name));
    assert_eq!(fs::read(file("0.arrow")).unwrap(), payload()[..400]);
    let beside: Value = serde_json::from_slice(&fs::read(file("0.json")).unwrap()).unwrap();
    assert_eq!((&beside["letter"], &beside["cause"]), (&"0/0".into(), &"damaged".into()));
    assert_eq!(beside["headers"], serde_json::json!([["trace", "120"]]));

    fs::write(file("3.arrow"), b"mine").unwrap();
    export(&["0/3"]).fails().says(&["0-3.arrow is there already", "--force"]);
    assert_eq!(fs::read(file("3.arrow")).unwrap(), b"mine");
    let run = export(&["--force"]).succeeds();
    assert!(run.stdout.starts_with("exported    5 in "), "{run}");
    assert_eq!(fs::read(file("3.arrow")).unwrap(), b"{}");
    assert!(!file("1.arrow").exists() && file("1.json").exists(), "a tombstone has no bytes");
    export(&["0/5"]).fails().says(&["has no dead letter 0/5"]);
}

#[test]
fn what_is_replayed_goes_back_once() {
    let letters = Letters::of_every_sort();
    let run = letters.run("replay", &["--dry-run"]).run().exits_with(1);
    letters.prints("dlq-replay-dry", &run);
    assert_eq!(letters.topic.ends(), [0, 0]);

    let run = letters.run("replay", &[]).run().exits_with(1);
    let run = run.says(&["this broker does not undo transactions"]);
    letters.prints("dlq-replay", &run);
    let sent = letters.topic.messages();
    let places: Vec<_> = sent.iter().map(|message| (message.partition, message.offset)).collect();
    assert_eq!(places, [(0, 0), (1, 0), (1, 1)]);
    assert_eq!(sent[0].payload.as_deref(), Some(&payload()[..400]));
    assert_eq!(sent[1].payload, None);
    let from = format!("{}/0/0", letters.letters.name);
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(sent[0].headers, [own("trace", "120"), own("volley-dlq-replayed-from", &from)]);

    let run = letters.run("replay", &["--format", "json"]).run().exits_with(1);
    assert_eq!((run.count("replayed"), run.count("replayed_before")), (0, 3), "{run}");
    assert_eq!(letters.topic.ends(), [1, 2]);
    let run = letters.run("list", &[]).run().succeeds();
    assert!(run.stdout.contains("2 dead letters: 1 damaged, 1 unknown; 3 were replayed"), "{run}");
    let run = letters.run("list", &["--all"]).run().succeeds();
    letters.prints("dlq-list-all", &run);

    let again = ["--again", "--cause", "no-value", "--format", "json"];
    let run = letters.run("replay", &again).run().succeeds();
    assert_eq!(run.count("replayed"), 1, "{run}");
    assert_eq!(letters.topic.ends(), [1, 3]);
}

/// As after a loader that crashed before it committed.
#[test]
fn what_was_put_aside_twice_goes_back_once() {
    let letters = Letters::new();
    for offset in [7, 7, 8] {
        let topic = &letters.topic.name;
        letters.put(Some(b"{}"), "damaged", None, "byte 0", topic, 0, offset);
    }
    let run = letters.run("list", &[]).run().succeeds();
    assert!(run.stdout.ends_with("2 dead letters: 2 damaged; 1 lies there twice\n"), "{run}");
    let run = letters.run("replay", &["--format", "json"]).run().succeeds();
    assert_eq!(run.count("replayed"), 2, "{run}");
    let run = letters.run("replay", &["0/1", "--format", "json"]).run().succeeds();
    assert_eq!((run.count("replayed"), run.count("replayed_before")), (0, 1), "{run}");
    assert_eq!(letters.topic.ends(), [2, 0]);
}

#[test]
fn what_comes_from_elsewhere_goes_where_it_is_told_to() {
    let letters = Letters::of_every_sort();
    let other = broker().topic(2);
    let to = ["--to", &*other.name, "--format", "json", "0/3", "0/4"];
    let run = letters.run("replay", &to).run().succeeds();
    assert_eq!((run.count("replayed"), run.count("bytes")), (2, 7), "{run}");
    let mut sent: Vec<_> = other.messages().into_iter().filter_map(|m| m.payload).collect();
    sent.sort();
    assert_eq!(sent, [&b"hello"[..], b"{}"]);
    assert_eq!(letters.topic.ends(), [0, 0]);
    letters.run("replay", &["0/99"]).run().fails().says(&["has no dead letter 0/99"]);
}
