//! Messages that are not what they should be.

use volley_core::codec::Framing;

use crate::support::{assert_same_rows, broker, database};

/// Loads a topic in which a bad message stands between good ones. Where bad ones are not to be put
/// aside it is named, what came before is in the table and committed, and it is where the next run
/// starts; otherwise the next run says why it puts it aside, and loads all others.
#[track_caller]
fn check(value: Option<&[u8]>, headers: &[(&str, &str)], reason: &str) {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(1);
    topic.fill(300);
    let bad = topic.ends()[0];
    topic.put(0, value, headers);
    topic.fill(200);

    let load = || topic.load(database.url(), &database.table()).args(["--until-idle", "500ms"]);
    let expected = format!("topic '{}' partition 0 offset {bad}: {reason}", topic.name);
    for _ in 0..2 {
        load().args(["--no-dlq"]).run().fails().says(&[&expected]);
        assert_eq!(topic.committed(), [bad], "everything before it, and nothing after");
        assert_eq!(database.count(), 300);
    }
    let run = load().run().succeeds().says(&["WARN", "dead letter: ", reason]);
    let run = run.says(&[&format!("offset={bad}"), &format!("{}.dlq", topic.name)]);
    assert_eq!((run.count("rows_loaded"), run.count("dead_letters")), (200, 1), "{run}");
    assert_eq!((topic.committed(), database.count()), (topic.ends(), 500), "{run}");
}

#[test]
fn random_bytes() {
    check(Some(b"\x00\x01hello, this is not arrow"), &[], "");
}

#[test]
fn an_empty_value() {
    check(Some(b""), &[], "");
}

#[test]
fn a_tombstone() {
    check(None, &[], "the message has no value");
}

#[test]
fn a_huge_length() {
    check(Some(b"\xff\xff\xff\xff\xff\xff\xff\x7f"), &[], "");
}

#[test]
fn a_checksum_that_does_not_fit() {
    let donor = broker().topic(1);
    donor.fill(10);
    let value = donor.messages().remove(0).payload.unwrap();
    let headers =
        [("content-type", Framing::of(&value).content_type()), ("volley-crc32c", "0000abcd")];
    check(Some(&value), &headers, "checksum ");
}

#[test]
fn a_value_that_was_cut_short() {
    let donor = broker().topic(1);
    donor.fill(10);
    let value = donor.messages().remove(0).payload.unwrap();
    check(Some(&value[..value.len() / 2]), &[], "");
}

#[test]
fn a_header_with_any_name_is_ignored() {
    let Some(database) = database() else {
        return;
    };
    let (donor, topic) = (broker().topic(1), broker().topic(1));
    donor.fill(100);
    for message in donor.messages() {
        topic.put_with_header_name(message.payload.as_deref().unwrap(), c"\xff\x01");
    }
    let load = topic.load(database.url(), &database.table()).args(["--until-idle", "500ms"]);
    assert_eq!(load.run().succeeds().count("rows_loaded"), 100);
}

#[test]
fn good_messages_need_no_headers() {
    let Some(database) = database() else {
        return;
    };
    let (donor, topic) = (broker().topic(1), broker().topic(1));
    donor.fill(500);
    for message in donor.messages() {
        topic.put(0, message.payload.as_deref(), &[("volley-rows", "not a number")]);
    }
    let load = topic.load(database.url(), &database.table()).args(["--until-idle", "500ms"]);
    assert_eq!(load.run().succeeds().count("rows_loaded"), 500);
    assert_same_rows(&donor, &database);
}
