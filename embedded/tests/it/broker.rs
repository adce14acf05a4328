//! The broker through `rdkafka`.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};
use volley_embedded::EmbeddedBroker;

use crate::support::PATIENCE;

const POLL: Duration = Duration::from_millis(100);

fn client(broker: &EmbeddedBroker) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.bootstrap_servers());
    config
}

/// Sends messages of so many bytes to each of the topic's partitions in turn.
fn produce(broker: &EmbeddedBroker, topic: &str, partitions: i32, messages: i32, bytes: usize) {
    let producer: BaseProducer =
        client(broker).set("enable.idempotence", "true").set("linger.ms", "1").create().unwrap();
    for number in 0..messages {
        let key = number.to_string();
        let payload = vec![b'x'; bytes];
        let partition = number % partitions;
        let record = BaseRecord::to(topic).partition(partition).key(&key).payload(&payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.poll(Duration::ZERO);
    }
    producer.flush(PATIENCE).unwrap();
}

fn member(broker: &EmbeddedBroker, group: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = client(broker)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    consumer
}

#[test]
fn each_group_reads_every_message_of_every_partition_once() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 3).unwrap();
    produce(&broker, "t", 3, 300, 10);
    for group in ["g", "h"] {
        let member = member(&broker, group, "t");
        let started = Instant::now();
        let mut keys = Vec::new();
        while keys.len() < 300 {
            if let Some(message) = member.poll(POLL) {
                let message = message.unwrap();
                keys.push(String::from_utf8_lossy(message.key().unwrap()).into_owned());
                member.commit_message(&message, CommitMode::Sync).unwrap();
            }
            assert!(started.elapsed() < PATIENCE, "read {} messages", keys.len());
        }
        assert!(member.poll(POLL).is_none(), "each message comes once");
        assert_eq!(keys.iter().collect::<HashSet<_>>().len(), 300);
        assert_eq!(member.assignment().unwrap().count(), 3);
    }
}

#[test]
fn committed_offsets_keep_their_metadata() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 2).unwrap();
    produce(&broker, "t", 2, 10, 10);
    let commit = |metadata: &str| {
        let consumer: BaseConsumer = client(&broker).set("group.id", "g").create().unwrap();
        let mut offsets = TopicPartitionList::new();
        let mut partition = offsets.add_partition("t", 1);
        partition.set_offset(Offset::Offset(4)).unwrap();
        partition.set_metadata(metadata);
        consumer.commit(&offsets, CommitMode::Sync).unwrap();
    };
    // The size that an intent has to fit in.
    for metadata in ["first", &"x".repeat(4_000)] {
        commit(metadata);
        let consumer: BaseConsumer = client(&broker).set("group.id", "g").create().unwrap();
        let mut asked = TopicPartitionList::new();
        asked.add_partition("t", 1);
        let found = consumer.committed_offsets(asked, PATIENCE).unwrap();
        let partition = found.find_partition("t", 1).unwrap();
        assert_eq!(partition.offset(), Offset::Offset(4));
        assert_eq!(partition.metadata(), metadata);
    }
}

#[test]
fn a_broker_that_went_away_comes_back_with_its_messages() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    produce(&broker, "t", 1, 5, 10);
    broker.stop().unwrap();
    let probe: BaseConsumer = client(&broker).create().unwrap();
    probe.fetch_metadata(Some("t"), Duration::from_secs(1)).expect_err("it is down");
    broker.resume().unwrap();
    produce(&broker, "t", 1, 5, 10);
    assert_eq!(probe.fetch_watermarks("t", 0, PATIENCE).unwrap(), (0, 10));
}

#[test]
fn a_partition_forgets_beyond_five_mebibytes() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    produce(&broker, "t", 1, 100, 100_000);
    let probe: BaseConsumer = client(&broker).create().unwrap();
    let (low, high) = probe.fetch_watermarks("t", 0, PATIENCE).unwrap();
    assert_eq!(high, 100);
    let kept = (high - low) * 100_000;
    assert!((3 << 20..=6 << 20).contains(&kept), "{kept} bytes kept, from offset {low}");
}

#[test]
fn topics_appear_when_asked_for_and_are_created_once() {
    let broker = EmbeddedBroker::start().unwrap();
    let probe: BaseConsumer =
        client(&broker).set("allow.auto.create.topics", "true").create().unwrap();
    let metadata = probe.fetch_metadata(Some("asked-for"), PATIENCE).unwrap();
    assert_eq!(metadata.topics()[0].partitions().len(), 4);
    let error = broker.create_topic("asked-for", 1).unwrap_err().to_string();
    assert_eq!(error, "the embedded broker did not create topic asked-for with 1 partitions");
    broker.create_topic("zero", 0).unwrap_err();
}
