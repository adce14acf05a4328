use std::{net::TcpListener, time::Duration};

use serde_json::Value;

use super::{golden, inspect};
use crate::support::{Broker, Finished, Topic, assert_snapshot, broker, closed_port, mask};

fn address(topic: &Topic<'_>, rest: &str) -> String {
    format!("kafka://{}/{}/{rest}", topic.broker.address(), topic.name)
}

/// The run fails with the address and these words.
#[track_caller]
fn fails(address: &str, words: &[&str]) -> Finished {
    let run = inspect(&["--timeout", "2s", address]).run().fails();
    run.says(&[&format!("cannot read {address}")]).says(words).within(Duration::from_secs(6))
}

#[test]
fn a_message_is_shown_with_what_came_beside_it() {
    let topic = broker().topic(2);
    topic.fill(1000);
    let message = topic.messages().into_iter().find(|message| message.offset == 1).unwrap();
    let address = address(&topic, &format!("{}/1", message.partition));
    let run = inspect(&[&address]).run().succeeds();
    // Sizes differ from run to run, and with them bars.
    let is_bar = |c: char| ('▁'..='▏').contains(&c);
    let mut shown = run.stdout.replace(&address, "ADDRESS").replace(is_bar, "");
    for (_, value) in message.headers.iter().filter(|(_, value)| value.len() >= 8) {
        shown = shown.replace(value, "VALUE");
    }
    assert_snapshot("inspect-message", &mask(&shown));

    let found = inspect(&["--format", "json", &address]).run().succeeds().json();
    assert_eq!(found["file"], address);
    assert_eq!((found["rows"].as_u64(), &found["framing"]), (Some(100), &"stream".into()));
    let beside = &found["message"];
    assert_eq!((&beside["topic"], beside["offset"].as_i64()), (&(&*topic.name).into(), Some(1)));
    assert_eq!(beside["partition"].as_i64(), Some(message.partition.into()));
    assert_eq!(beside["key"].as_str(), message.key.as_deref());
    assert_eq!(beside["timestamp_type"], "create");
    assert!(beside["timestamp"].as_str().unwrap().ends_with('Z'), "{beside}");
    assert_eq!(beside["value_bytes"], found["bytes"]);
    assert_eq!(beside["checksum"], "ok");
    let headers = beside["headers"].as_array().unwrap();
    let pairs: Vec<_> = headers
        .iter()
        .map(|header| {
            let text = |field: &str| header[field].as_str().unwrap().to_owned();
            (text("name"), text("value"))
        })
        .collect();
    assert_eq!(pairs, message.headers);
    let is_wrong = |header: &&Value| !matches!(header["status"].as_str(), Some("ok") | None);
    assert_eq!(headers.iter().find(is_wrong), None);
}

#[test]
fn nothing_is_committed_and_nobody_is_disturbed() {
    let topic = broker().topic(1);
    topic.fill(100);
    let group = format!("group.id={}", topic.group);
    inspect(&["--kafka", &group, &address(&topic, "0/0")]).run().succeeds();
    assert_eq!(topic.committed(), [0]);
}

#[test]
fn ends_have_names_and_sources_mix() {
    let topic = broker().topic(1);
    topic.fill(300);
    let file = golden("v4.arrows");
    let (first, last) = (address(&topic, "0/earliest"), address(&topic, "0/latest"));
    let run = inspect(&["--format", "json", &last, &file, &first]).run().succeeds();
    let file_of = |line: &str| serde_json::from_str::<Value>(line).unwrap()["file"].clone();
    let files: Vec<Value> = run.stdout.lines().map(file_of).collect();
    let last = topic.ends()[0] - 1;
    let expected = [address(&topic, &format!("0/{last}")), file, address(&topic, "0/0")];
    assert_eq!(files, expected);
}

#[test]
fn a_value_that_is_not_the_one_that_was_written_is_a_no() {
    let (donor, topic) = (broker().topic(1), broker().topic(1));
    donor.fill(10);
    let message = donor.messages().remove(0);
    let headers = [("volley-crc32c", "0000abcd"), ("volley-rows", "11"), ("trace", "\u{1b}[31m")];
    topic.put(0, message.payload.as_deref(), &headers);
    let run = inspect(&[&address(&topic, "0/0")]).run().exits_with(1);
    for text in ["✗ 0000abcd", "✗ 11", "the value has 1\n", "\\u{1b}[31m", "✗ changed"] {
        assert!(run.stdout.contains(text), "{text} {run}");
    }
    let found = inspect(&["--format", "json", &address(&topic, "0/0")]).run().exits_with(1).json();
    assert_eq!(found["message"]["checksum"], "mismatch");
    assert_eq!(found["diagnostics"], Value::Array(Vec::new()));
    let rows = &found["message"]["headers"][1];
    assert_eq!((&rows["status"], &rows["expected"]), (&"mismatch".into(), &"1".into()));
}

#[test]
fn messages_of_others_are_as_good() {
    let topic = broker().topic(1);
    let value = std::fs::read(golden("polars-zstd.arrow")).unwrap();
    topic.put(0, Some(&value), &[]);
    let run = inspect(&["--head", "1", &address(&topic, "0/0")]).run().succeeds();
    assert!(run.stdout.contains("no volley-crc32c header"), "{run}");
}

#[test]
fn a_header_may_have_any_name() {
    let topic = broker().topic(1);
    topic.put_with_header_name(b"no arrow", c"\xff\x1b");
    let run = inspect(&[&address(&topic, "0/0")]).run().exits_with(1);
    assert!(run.stdout.contains("headers     \u{fffd}\\u{1b}"), "{run}");
}

#[test]
fn a_tombstone_is_a_no() {
    let topic = broker().topic(1);
    topic.put(0, None, &[]);
    let run = inspect(&["--head", "1", "--map", &address(&topic, "0/0")]).run().exits_with(1);
    assert!(run.stdout.contains("no value (a tombstone)"), "{run}");
    let run = inspect(&["--format", "json", &address(&topic, "0/0")]).run().exits_with(1);
    assert_eq!(run.json()["message"]["value_bytes"], Value::Null);
}

#[test]
fn what_is_not_there_is_named() {
    let topic = broker().topic(3);
    topic.put(1, Some(b"x"), &[]);
    let missing = format!("kafka://{}/no-such-topic/0/0", topic.broker.address());
    fails(&missing, &["topic 'no-such-topic' does not exist"]);
    fails(&address(&topic, "3/0"), &["no partition 3", "it has 3, which are 0 to 2"]);
    let out_of_range = ["no offset 1", "low watermark is 0", "high watermark 1", "try 0 to 0"];
    fails(&address(&topic, "1/1"), &out_of_range);
    fails(&address(&topic, "0/0"), &["no offset 0", "it holds no message"]);
    fails(&address(&topic, "0/latest"), &["holds no message"]);
    fails(&address(&topic, "0/earliest"), &["holds no message"]);
}

#[test]
fn brokers_that_are_not_there_are_named() {
    let address = format!("kafka://{}/t/0/0", closed_port());
    fails(&address, &["no kafka broker answers", "Connection refused", "--timeout"]);
    // The kernel accepts for it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("kafka://{}/t/0/0", silent.local_addr().unwrap());
    fails(&address, &["no kafka broker answers", "no answer"]);
    let stopped = Broker::start();
    let topic = stopped.topic(1);
    topic.put(0, Some(b"x"), &[]);
    stopped.stop();
    fails(&self::address(&topic, "0/0"), &["no kafka broker answers", "check the address"]);
}

#[test]
fn one_of_several_brokers_is_enough() {
    let topic = broker().topic(1);
    topic.fill(10);
    let address =
        format!("kafka://{},{}/{}/0/0", closed_port(), topic.broker.address(), topic.name);
    inspect(&[&address]).run().succeeds();
}

#[test]
fn addresses_and_properties_are_checked_before_anything_is_asked() {
    let words = ["no broker can have that address", "kafka://HOST:PORT/TOPIC/PARTITION/OFFSET"];
    inspect(&["kafka:///t/0/0"]).run().fails().says(&words).says(&["./kafka:"]);
    inspect(&["kafka://b/t/0/x"]).run().fails().says(&["the offset is no number"]);
    let run = inspect(&["--kafka", "no.such=1", "kafka://127.0.0.1:1/t/0/0"]).run().fails();
    run.says(&["kafka property 'no.such' is refused"]).within(Duration::from_secs(2));
}
