//! Rows from a source through a topic into a table, over the choices that users have.

use std::{collections::HashMap, time::Duration};

use arrow::array::AsArray as _;
use volley_core::decode::decode;

use crate::support::{Topic, assert_same_rows, broker, database};

/// Produces with these arguments into a topic, loads it, and compares every value. Answers with the
/// topic and the number of rows.
fn check(n_partitions: i32, source: &str, arguments: &[&str]) -> Option<(Topic<'static>, u64)> {
    let database = database()?;
    let topic = broker().topic(n_partitions);
    let produced = topic.produce_from(source, arguments).run().succeeds();
    let n_rows = produced.count("rows_delivered");
    assert_eq!(produced.count("rows_sampled"), n_rows, "{produced}");
    assert_eq!(topic.n_rows(), n_rows, "{produced}");

    let loaded = topic.load(database.url(), &database.table()).args(["--until-idle", "1s"]);
    let loaded = loaded.run().succeeds();
    assert_eq!(loaded.count("rows_loaded"), n_rows, "{loaded}");
    assert_eq!(loaded.count("messages"), topic.ends().iter().sum::<i64>() as u64, "{loaded}");
    assert_eq!(loaded.count("messages"), produced.count("messages"), "{loaded}");
    assert_eq!(loaded.count("payload_bytes"), produced.count("payload_bytes"), "{loaded}");
    assert_eq!(topic.committed(), topic.ends(), "{loaded}");
    assert_same_rows(&topic, &database);
    assert_eq!(database.count(), n_rows, "no two rows have the same device and time");
    let stored = database.query(&format!("SELECT count() FROM {}", database.table()));
    assert_eq!(stored, n_rows.to_string(), "and none is there twice");
    Some((topic, n_rows))
}

#[test]
fn every_codec_in_either_framing() {
    for codec in ["none", "lz4", "zstd:3"] {
        for framing in ["stream", "file"] {
            let arguments = [
                "--rows",
                "1200",
                "--rows-per-batch",
                "100",
                "--codec",
                codec,
                "--framing",
                framing,
            ];
            let Some((topic, n_rows)) = check(2, "synthetic", &arguments) else {
                return;
            };
            assert_eq!(n_rows, 1200);
            let content_type = format!("application/vnd.apache.arrow.{framing}");
            for message in topic.messages() {
                let header = ("content-type".to_owned(), content_type.clone());
                assert!(message.headers.contains(&header), "{message:?}");
            }
        }
    }
}

#[test]
fn full_metrics_of_either_source() {
    let synthetic = ["--rows", "500", "--metrics", "full", "--rows-per-batch", "50"];
    let Some((topic, _)) = check(3, "synthetic", &synthetic) else {
        return;
    };
    assert_eq!(topic.batches()[0].num_columns(), 16);
    let host = ["--interval", "0", "--rows", "500", "--metrics", "full"];
    let Some((topic, n_rows)) = check(1, "host", &host) else {
        return;
    };
    assert_eq!(topic.batches()[0].num_columns(), 16);
    assert_eq!(n_rows, 500);
}

#[test]
fn host_metrics_have_the_columns_of_the_pattern() {
    let name = "tëst \"machine\"\t1";
    let arguments =
        ["--device", name, "--interval", "1ms", "--batches", "3", "--rows-per-batch", "40"];
    let Some((topic, n_rows)) = check(1, "host", &arguments) else {
        return;
    };
    assert_eq!(n_rows, 120);
    let batches = topic.batches();
    let names: Vec<_> = batches[0].schema().fields().iter().map(|f| f.name().clone()).collect();
    let expected =
        ["device", "ts", "cpu_used", "cpu_free", "memory_used", "memory_free", "run_elapsed_ms"];
    assert_eq!(names, expected);
    assert_eq!(batches[0].column(0).as_string::<i32>().value(0), name);
}

#[test]
fn keyed_by_device_a_device_keeps_its_order() {
    let arguments = ["--rows", "3000", "--devices", "17", "--rows-per-batch", "20"];
    let Some((topic, _)) = check(4, "synthetic", &arguments) else {
        return;
    };
    let mut seen: HashMap<String, (i32, i64)> = HashMap::new();
    let mut partitions = vec![0; 4];
    for message in topic.messages() {
        let key = message.key.unwrap();
        partitions[message.partition as usize] += 1;
        for batch in decode(&message.payload.unwrap()).unwrap() {
            let devices = batch.column(0).as_string::<i32>();
            let times =
                batch.column(1).as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
            for i in 0..batch.num_rows() {
                assert_eq!(devices.value(i), key);
                let last = seen.entry(key.clone()).or_insert((message.partition, i64::MIN));
                assert_eq!(last.0, message.partition, "{key} is in one partition");
                assert!(last.1 < times.value(i), "{key} is in order of time");
                last.1 = times.value(i);
            }
        }
    }
    assert_eq!(seen.len(), 17);
    assert!(partitions.iter().all(|n| *n > 0), "{partitions:?}");
}

#[test]
fn without_a_key_devices_share_batches() {
    let arguments = ["--rows", "2000", "--rows-per-batch", "100", "--key-column", "none"];
    let Some((topic, _)) = check(2, "synthetic", &arguments) else {
        return;
    };
    let messages = topic.messages();
    assert_eq!(messages.len(), 20);
    assert!(messages.iter().all(|message| message.key.is_none()));
    let batch = &topic.batches()[0];
    let devices: std::collections::HashSet<_> =
        batch.column(0).as_string::<i32>().iter().flatten().collect();
    assert_eq!(devices.len(), 10);
}

#[test]
fn equal_seeds_give_equal_series() {
    let values = |seed: &str| {
        let topic = broker().topic(1);
        topic.produce(&["--rows", "300", "--seed", seed, "--key-column", "none"]).run().succeeds();
        let batches = topic.batches();
        let cpu = batches.iter().map(|batch| {
            batch.column(2).as_primitive::<arrow::datatypes::Float32Type>().values().to_vec()
        });
        cpu.collect::<Vec<_>>().concat()
    };
    let first = values("7");
    assert_eq!(first.len(), 300);
    assert_eq!(first, values("7"));
    assert_ne!(first, values("8"));
}

#[test]
fn limits_end_a_run() {
    let topic = broker().topic(1);
    let no_key = ["--key-column", "none", "--rows-per-batch", "10"];
    let run = topic.produce(&["--batches", "7"]).args(no_key).run().succeeds();
    assert_eq!((run.count("rows_delivered"), run.count("messages")), (70, 7), "{run}");

    let run = topic.produce(&["--rows", "25"]).args(no_key).run().succeeds();
    assert_eq!((run.count("rows_delivered"), run.count("messages")), (25, 3), "{run}");

    let run = topic.produce(&["--duration", "300ms", "--rate", "1000"]).args(no_key).run();
    let run = run.succeeds().within(Duration::from_secs(10));
    assert!((1..=2000).contains(&run.count("rows_delivered")), "{run}");
    assert_eq!(topic.n_rows(), 95 + run.count("rows_delivered"), "{run}");
}

#[test]
fn linger_sends_a_batch_that_does_not_fill() {
    let topic = broker().topic(1);
    let mut run = topic.produce_from("host", &["--interval", "5ms", "--linger", "50ms"]).start();
    crate::support::eventually("a message while the run goes on", || {
        (topic.ends()[0] > 1).then_some(())
    });
    run.signal("INT");
    run.wait_for_stderr("finishing");
    let run = run.wait().succeeds();
    assert_eq!(topic.n_rows(), run.count("rows_delivered"), "{run}");
}

#[test]
fn a_second_load_finds_nothing_new() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(2);
    topic.fill(1000);
    let load = || topic.load(database.url(), &database.table()).args(["--until-idle", "500ms"]);
    assert_eq!(load().run().succeeds().count("rows_loaded"), 1000);
    assert_eq!(load().run().succeeds().count("rows_loaded"), 0);
    topic.fill(500);
    assert_eq!(load().run().succeeds().count("rows_loaded"), 500);
    assert_same_rows(&topic, &database);
}

#[test]
fn many_small_messages_become_few_inserts() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(1);
    topic.produce(&["--rows", "2000", "--rows-per-batch", "10"]).run().succeeds();
    let load = |blocks: &[&str]| {
        let load = topic.in_another_group().load(database.url(), &database.table());
        load.args(["--until-idle", "1s"]).args(blocks).run().succeeds()
    };
    let run = load(&[]);
    assert_eq!((run.count("messages"), run.count("rows_loaded")), (200, 2000), "{run}");
    assert!(run.count("inserts") <= 5, "{run}");
    let run = load(&["--block-rows", "100"]);
    assert_eq!((run.count("inserts"), run.count("rows_loaded")), (20, 2000), "{run}");
    assert_eq!(database.count(), 2000);
}
