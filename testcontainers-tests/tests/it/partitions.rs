//! Topics: how many partitions, which of them, how large a message.

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroUsize,
};

use arrow::{
    array::{AsArray as _, RecordBatch},
    datatypes::TimestampMicrosecondType,
};
use volley::produce::{ProduceError, ProduceOptions, SourceOptions};
use volley_core::{
    batcher::BatchLimits,
    codec::{Codec, CodecOptions},
    host::MetricSet,
};
use volley_e2e::{Case, Scenario, StackKind, assert_same_rows, concat, sorted};

pub(crate) const CASES: &[Case] = &[
    Case::new("partitions::topic_is_created_as_asked", topic_is_created_as_asked),
    Case::new("partitions::devices_keep_their_order", devices_keep_their_order),
    Case::on_real_broker("partitions::large_batches_are_split", large_batches_are_split),
    Case::new("partitions::row_over_the_limit_is_named", row_over_the_limit_is_named),
    Case::new("partitions::missing_topic_is_not_loaded", missing_topic_is_not_loaded),
    Case::on_real_broker(
        "partitions::missing_topic_is_not_produced_to",
        missing_topic_is_not_produced_to,
    ),
    Case::on_real_broker("partitions::added_ones_are_loaded", added_ones_are_loaded),
];

fn topic_is_created_as_asked(scenario: &Scenario<'_>) {
    let create = |n_partitions| {
        let create_topic = Some(n_partitions);
        scenario.produce(ProduceOptions { create_topic, ..scenario.produce_options(3, 300) });
        scenario.n_partitions()
    };
    // The embedded broker makes topics by itself, of 4 partitions.
    let expected = if scenario.stack().kind == StackKind::Embedded { 4 } else { 5 };
    assert_eq!(create(5), expected);
    // One that exists stays as it is.
    assert_eq!(create(7), expected);
    assert_eq!(scenario.load(scenario.load_options("a")).rows_loaded, 600);
}

fn devices_keep_their_order(scenario: &Scenario<'_>) {
    scenario.create_topic(4, &[]);
    scenario.produce(scenario.produce_options(9, 9_000));
    let mut devices: HashMap<String, (i32, i64)> = HashMap::new();
    for message in scenario.messages() {
        let key = message.key.clone().unwrap();
        for batch in message.batches() {
            let names = batch.column_by_name("device").unwrap().as_string::<i32>();
            assert!(names.iter().all(|name| name == Some(key.as_str())));
            let times = batch.column_by_name("ts").unwrap();
            for time in times.as_primitive::<TimestampMicrosecondType>().values() {
                let last = devices.entry(key.clone()).or_insert((message.partition, i64::MIN));
                assert_eq!(last.0, message.partition, "{key} is in one partition");
                assert!(last.1 < *time, "{key} runs forward");
                last.1 = *time;
            }
        }
    }
    assert_eq!(devices.len(), 9);
}

fn large_batches_are_split(scenario: &Scenario<'_>) {
    scenario.create_topic(2, &[("max.message.bytes", "20000")]);
    let options = scenario.produce_options(2, 4_000);
    let produced = scenario.produce(ProduceOptions {
        metrics: MetricSet::Full,
        codec: CodecOptions { codec: Codec::None, ..CodecOptions::default() },
        limits: BatchLimits { n_rows: NonZeroUsize::new(2_000).unwrap(), ..options.limits },
        ..options
    });
    assert_eq!((produced.batches, produced.batches_split), (2, 2));
    let messages = scenario.messages();
    assert!(messages.len() > 10, "{} messages", messages.len());
    assert_eq!(messages.len() as u64, produced.messages);
    assert!(messages.iter().all(|message| message.payload.len() < 20_000));

    let sent: Vec<RecordBatch> = messages.iter().flat_map(|message| message.batches()).collect();
    assert_eq!(scenario.load(scenario.load_options("a")).rows_loaded, 4_000);
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY device, ts", scenario.table()));
    assert_same_rows(&sorted(&concat(&sent), &["device", "ts"]), &stored);
}

/// On the embedded broker the client keeps the limit: it has none of its own.
fn row_over_the_limit_is_named(scenario: &Scenario<'_>) {
    let mut options = scenario.produce_options(1, 100);
    if scenario.stack().kind == StackKind::Embedded {
        scenario.create_topic(1, &[]);
        options.kafka.properties.push("message.max.bytes=1000".parse().unwrap());
    } else {
        scenario.create_topic(1, &[("max.message.bytes", "1000")]);
    }
    let error = scenario.try_produce(options).unwrap_err();
    let ProduceError::Encode { topic, source } = &error else {
        panic!("{error}");
    };
    assert_eq!(topic, scenario.topic());
    // 512 of the 1,000 bytes are for what a message has beside its value.
    let said = source.to_string();
    assert!(said.contains("a single row") && said.contains("limit is 488"), "{said}");
    assert!(said.contains("max.message.bytes"), "{said}");
    assert_eq!(scenario.messages().len(), 0);
}

fn missing_topic_is_not_loaded(scenario: &Scenario<'_>) {
    let error = scenario.try_load(scenario.load_options("a")).unwrap_err();
    assert_missing(scenario, &error.to_string(), "check --topic");
    assert_eq!(scenario.query_text(&format!("EXISTS {}", scenario.table())), "0");
}

fn missing_topic_is_not_produced_to(scenario: &Scenario<'_>) {
    let error = scenario.try_produce(scenario.produce_options(1, 100)).unwrap_err();
    assert_missing(scenario, &error.to_string(), "create it, or pass --create-topic");
    assert_eq!(scenario.n_partitions(), 0);
}

#[track_caller]
fn assert_missing(scenario: &Scenario<'_>, error: &str, hint: &str) {
    let (topic, brokers) = (scenario.topic(), &scenario.stack().brokers);
    assert_eq!(error, format!("topic '{topic}' does not exist on {brokers}; {hint}"));
}

/// What goes into them before a loader has seen them is read from its beginning.
fn added_ones_are_loaded(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let mut options = scenario.load_options("a");
    let often = "topic.metadata.refresh.interval.ms=300".parse().unwrap();
    options.kafka.properties.push(often);
    let loader = scenario.start_load(options);
    scenario.produce(scenario.produce_options(12, 3_000));
    loader.wait_for_rows(3_000);
    scenario.add_partitions(4);
    // Other rows than before.
    let mut more = scenario.produce_options(12, 3_000);
    let SourceOptions::Synthetic(source) = &mut more.source else {
        unreachable!("the suite's rows are made up");
    };
    source.start_us += 3_600_000_000;
    scenario.produce(more);
    loader.wait_for_rows(6_000);
    assert_eq!(loader.stop().rows_loaded, 6_000);

    let messages = scenario.messages();
    let used: HashSet<_> = messages.iter().map(|message| message.partition).collect();
    assert_eq!(used.len(), 4);
    let sent: Vec<RecordBatch> = messages.iter().flat_map(|message| message.batches()).collect();
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY device, ts", scenario.table()));
    assert_same_rows(&sorted(&concat(&sent), &["device", "ts"]), &stored);
}
