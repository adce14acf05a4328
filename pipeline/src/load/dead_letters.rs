use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    error::KafkaError as LibError,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tokio::runtime::Handle;
use volley_core::headers::checksum;

use super::{InsertProblem, LoadObserver, LoadOptions, Message, MessageProblem};
use crate::{
    clickhouse::ClickHouseError,
    human::Causes,
    kafka::{
        ClientLog, FetchError, FetchedMessage, Fetcher, KafkaError, KafkaOptions, MessageAddress,
        MessageOffset, create, create_topic,
    },
    turn::Turn,
};

/// Longest text of an error that a dead letter carries, in bytes.
const MAX_ERROR_BYTES: usize = 1000;

/// Puts messages that cannot be loaded into a topic of their own, as they were, with headers that
/// say why they are there and where they come from.
///
/// | header | value |
/// |---|---|
/// | `volley-dlq-cause` | one of [`DEAD_LETTER_CAUSES`](super::DEAD_LETTER_CAUSES) |
/// | `volley-dlq-code` | code of the layout's diagnostic, or ClickHouse's number; absent where there is none |
/// | `volley-dlq-error` | the whole error, at most 1,000 bytes |
/// | `volley-dlq-topic`, `-partition`, `-offset` | where the message lies |
/// | `volley-dlq-timestamp` | its timestamp, ms since the epoch |
/// | `volley-dlq-time` | when it was put here, ms since the epoch |
/// | `volley-dlq-table` | the table that it was to be loaded into |
pub(crate) struct DeadLetters {
    kafka: KafkaOptions,
    /// The topic that is loaded.
    source: String,
    table: String,
    /// The topic that dead letters go to.
    topic: String,
    observer: Arc<dyn LoadObserver>,
    /// Made with the first dead letter: most runs have none.
    writer: OnceLock<Writer>,
    making: Turn<KafkaError>,
    /// To use the fetcher, which knows one question at a time.
    fetching: Turn<KafkaError>,
}

struct Writer {
    producer: FutureProducer<ClientLog>,
    fetcher: Arc<Fetcher>,
}

/// Why a message is put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    kind: &'static str,
    code: Option<String>,
    error: String,
}

impl DeadLetters {
    /// For the topic that the options name; `None` where they name none.
    pub(crate) fn new(options: &LoadOptions, observer: Arc<dyn LoadObserver>) -> Option<Self> {
        let mut kafka = options.kafka.clone();
        // Where a group begins says nothing about reading one message again.
        kafka.properties.retain(|property| property.key != "auto.offset.reset");
        Some(Self {
            kafka,
            source: options.topic.clone(),
            table: options.table.to_string(),
            topic: options.dead_letters.clone()?,
            observer,
            writer: OnceLock::new(),
            making: Turn::default(),
            fetching: Turn::default(),
        })
    }

    /// Writes a message and waits until every replica has it.
    pub(crate) async fn put(
        &self,
        partition: i32,
        message: FetchedMessage,
        cause: &Cause,
    ) -> Result<(), KafkaError> {
        let FetchedMessage { offset, timestamp, key, headers, value } = message;
        let Cause { kind, code, error } = cause;
        tracing::warn!(partition, offset, topic = self.topic, "dead letter: {error}");
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut all: Vec<(&str, Option<Vec<u8>>)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let text = |text: &str| Some(text.as_bytes().to_vec());
        all.push(("volley-dlq-cause", text(kind)));
        all.extend(code.as_deref().map(|code| ("volley-dlq-code", text(code))));
        let end = error.floor_char_boundary(MAX_ERROR_BYTES);
        all.push(("volley-dlq-error", text(&error[..end])));
        all.push(("volley-dlq-topic", text(&self.source)));
        all.push(("volley-dlq-partition", text(&partition.to_string())));
        all.push(("volley-dlq-offset", text(&offset.to_string())));
        let timestamp = timestamp.to_millis().map(|millis| millis.to_string());
        all.extend(timestamp.as_deref().map(|ms| ("volley-dlq-timestamp", text(ms))));
        all.push(("volley-dlq-time", text(&time.as_millis().to_string())));
        all.push(("volley-dlq-table", text(&self.table)));
        let headers = all.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: value.as_deref() })
        });
        let record = FutureRecord {
            topic: &self.topic,
            partition: None,
            payload: value.as_deref(),
            key: key.as_deref(),
            timestamp: None,
            headers: Some(headers),
        };
        let sent = self.writer().await?.producer.send(record, Duration::from_secs(60)).await;
        sent.map_err(|(error, _)| self.failed("writing a dead letter", error))?;
        self.observer.dead_letter(partition, offset, kind);
        Ok(())
    }

    /// As [`Self::put`], for one that was read already: key and headers are read again, and lost if
    /// they are not there any more.
    ///
    /// # Errors
    ///
    /// [`KafkaError`]; what may pass may be tried again.
    pub(crate) async fn put_again(
        &self,
        message: &Message,
        cause: &Cause,
    ) -> Result<(), KafkaError> {
        let Message { partition, offset, .. } = *message;
        let found = self.find(message).await?.filter(|found| {
            let is_same = found.value.as_deref().map_or(0, checksum) == message.checksum;
            if !is_same {
                tracing::warn!(partition, offset, "another message lies there; its key is lost");
            }
            is_same
        });
        let original = found.unwrap_or_else(|| FetchedMessage {
            offset,
            timestamp: rdkafka::Timestamp::NotAvailable,
            key: None,
            headers: Vec::new(),
            value: Some(message.payload.to_vec()),
        });
        self.put(partition, original, cause).await
    }

    /// The message where it lies; `None` if it does so no more.
    async fn find(&self, message: &Message) -> Result<Option<FetchedMessage>, KafkaError> {
        let Message { partition, offset, .. } = *message;
        let fetcher = self.writer().await?.fetcher.clone();
        let address = MessageAddress {
            brokers: self.kafka.brokers.clone(),
            topic: self.source.clone(),
            partition,
            offset: MessageOffset::At(offset),
        };
        let mut turn = self.fetching.take().await?;
        let fetched = match tokio::task::spawn_blocking(move || fetcher.fetch(&address)).await {
            Ok(fetched) => fetched,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        match fetched {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_gone() => {
                tracing::warn!(partition, offset, "key and headers are lost: {}", Causes(&error));
                Ok(None)
            }
            Err(error) => {
                let error = self.unread(error);
                turn.failed(&error);
                Err(error)
            }
        }
    }

    /// Made by the first who wants it.
    async fn writer(&self) -> Result<&Writer, KafkaError> {
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let mut turn = self.making.take().await?;
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let (kafka, topic, runtime) = (self.kafka.clone(), self.topic.clone(), Handle::current());
        let making = tokio::task::spawn_blocking(move || Writer::new(kafka, &topic, &runtime));
        let made = match making.await {
            Ok(made) => made,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let writer = made.inspect_err(|error| turn.failed(error))?;
        Ok(self.writer.get_or_init(|| writer))
    }

    fn unread(&self, error: FetchError) -> KafkaError {
        let KafkaOptions { brokers, timeout, .. } = self.kafka.clone();
        match error {
            FetchError::Kafka(error) => error,
            FetchError::Unreachable { reason, .. } => {
                KafkaError::Unreachable { brokers, timeout, reason }
            }
            error => KafkaError::Unreachable { brokers, timeout, reason: error.to_string() },
        }
    }

    fn failed(&self, action: &'static str, error: LibError) -> KafkaError {
        self.kafka.client_error(action)(error)
    }
}

impl Writer {
    fn new(kafka: KafkaOptions, topic: &str, runtime: &Handle) -> Result<Self, KafkaError> {
        create_topic(&kafka, topic, 1, runtime)?;
        let config = kafka.client_config(
            &[
                ("linger.ms", "0"),
                ("message.timeout.ms", "60000"),
                // What the broker took once it takes again; the headers come on top.
                ("message.max.bytes", "1000000000"),
            ],
            &[("enable.idempotence", "true"), ("acks", "all")],
        )?;
        let producer = create(&kafka, &config, ClientLog::default())?;
        let fetcher = Arc::new(Fetcher::new(kafka)?);
        Ok(Self { producer, fetcher })
    }
}

impl Cause {
    /// Of a message that is not what it should be.
    pub(crate) fn of_message(problem: &MessageProblem) -> Self {
        let (kind, code) = match problem {
            MessageProblem::NoValue => ("no-value", None),
            MessageProblem::Checksum { .. } => ("checksum", None),
            MessageProblem::Damaged(diagnostic) => {
                ("damaged", Some(diagnostic.code.as_str().to_owned()))
            }
            MessageProblem::NoSchema | MessageProblem::SeveralSchemas => ("schema", None),
        };
        Self { kind, code, error: Causes(problem).to_string() }
    }

    /// Of a message whose rows were refused; `None` where it is not the message's fault.
    pub(crate) fn of_insert(problem: &InsertProblem) -> Option<Self> {
        let (kind, code) = match problem {
            InsertProblem::ClickHouse(error) if error.is_about_data() => {
                let ClickHouseError::Exception { code, .. } = error else { return None };
                ("refused", Some(code.to_string()))
            }
            InsertProblem::Body(_) => ("values", None),
            _ => return None,
        };
        Some(Self { kind, code, error: Causes(problem).to_string() })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use futures_util::future::join_all;
    use rdkafka::{
        ClientConfig, Message as _, Offset, TopicPartitionList,
        consumer::{BaseConsumer, Consumer as _},
    };
    use volley_embedded::EmbeddedBroker;

    use super::*;
    use crate::{load::NoObserver, turn::Failure as _};

    /// A topic with one message, and what puts its messages aside.
    async fn setting() -> (EmbeddedBroker, DeadLetters) {
        let broker = EmbeddedBroker::start().unwrap();
        ["t", "t.dlq"].iter().for_each(|topic| broker.create_topic(topic, 1).unwrap());
        let brokers = broker.bootstrap_servers();
        let producer: FutureProducer =
            ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
        let record = FutureRecord::to("t").partition(0).key("key").payload("value");
        producer.send(record, Duration::from_secs(10)).await.unwrap();
        let options = LoadOptions::of_test(brokers, "t");
        let letters = DeadLetters::new(&options, Arc::new(NoObserver)).unwrap();
        (broker, letters)
    }

    fn message(offset: i64, value: &'static str) -> Message {
        let payload = value.as_bytes().into();
        let checksum = checksum(value.as_bytes());
        Message { partition: 0, offset, schema: None, n_rows: 1, checksum, payload }
    }

    fn cause() -> Cause {
        Cause { kind: "refused", code: None, error: String::new() }
    }

    /// Key and value of each letter.
    fn letters(broker: &EmbeddedBroker, n: usize) -> Vec<(Option<String>, String)> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", broker.bootstrap_servers()).set("group.id", "reader");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut from = TopicPartitionList::new();
        from.add_partition_offset("t.dlq", 0, Offset::Beginning).unwrap();
        consumer.assign(&from).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let letters = consumer.iter().take(n).map(|letter| {
            let letter = letter.unwrap();
            (letter.key().map(text), text(letter.payload().unwrap()))
        });
        letters.collect()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn key_and_headers_are_lost_only_where_the_message_is_gone() {
        let (broker, dead_letters) = setting().await;
        dead_letters.put_again(&message(0, "value"), &cause()).await.unwrap();
        // The topic was made anew, and holds less, or something else.
        dead_letters.put_again(&message(7, "gone"), &cause()).await.unwrap();
        dead_letters.put_again(&message(0, "before"), &cause()).await.unwrap();
        let expected = [(Some("key"), "value"), (None, "gone"), (None, "before")];
        let expected = expected.map(|(key, value)| (key.map(str::to_owned), value.to_owned()));
        assert_eq!(letters(&broker, 3), expected);

        broker.stop().unwrap();
        let put = dead_letters.put_again(&message(0, "value"), &cause()).await;
        assert!(put.is_err_and(|error| error.may_pass()));
        broker.resume().unwrap();
        dead_letters.put_again(&message(0, "value"), &cause()).await.unwrap();
        assert_eq!(letters(&broker, 4)[3], expected[0]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_broker_that_is_away_is_waited_for_once_however_many_are_refused() {
        let (broker, dead_letters) = setting().await;
        let put_all = async || {
            let (message, cause) = (message(0, "value"), cause());
            let began = Instant::now();
            let put = join_all((0..10).map(|_| dead_letters.put_again(&message, &cause))).await;
            assert!(put.iter().all(Result::is_err));
            // Each would have waited for two seconds.
            assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        };
        broker.stop().unwrap();
        put_all().await;
        assert!(dead_letters.writer.get().is_none());
        broker.resume().unwrap();
        dead_letters.put_again(&message(0, "value"), &cause()).await.unwrap();
        broker.stop().unwrap();
        put_all().await;
    }
}
