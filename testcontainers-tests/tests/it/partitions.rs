//! Topics: how many partitions, which of them, how large a message.

use std::{collections::HashMap, num::NonZeroUsize};

use arrow::{
    array::{AsArray as _, RecordBatch},
    datatypes::TimestampMicrosecondType,
};
use volley::produce::ProduceOptions;
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
