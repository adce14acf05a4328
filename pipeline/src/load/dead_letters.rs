use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    error::KafkaError as LibError,
    message::{Header, OwnedHeaders},
    producer::{FutureProducer, FutureRecord},
};
use tokio::{runtime::Handle, sync::OnceCell};

use super::{InsertProblem, LoadObserver, LoadOptions, Message, MessageProblem};
use crate::{
    clickhouse::ClickHouseError,
    human::Causes,
    kafka::{
        ClientLog, FetchedMessage, Fetcher, KafkaError, KafkaOptions, MessageAddress,
        MessageOffset, create, create_topic,
    },
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
    writer: OnceCell<Writer>,
}

struct Writer {
    producer: FutureProducer<ClientLog>,
    fetcher: Arc<Mutex<Fetcher>>,
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
            writer: OnceCell::new(),
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

    /// As [`Self::put`], for one that was read already: key and headers are read again.
    pub(crate) async fn put_again(
        &self,
        message: &Message,
        cause: &Cause,
    ) -> Result<(), KafkaError> {
        let fetcher = self.writer().await?.fetcher.clone();
        let Message { partition, offset, .. } = *message;
        let address = MessageAddress {
            brokers: self.kafka.brokers.clone(),
            topic: self.source.clone(),
            partition,
            offset: MessageOffset::At(offset),
        };
        let fetching = tokio::task::spawn_blocking(move || {
            fetcher.lock().unwrap_or_else(PoisonError::into_inner).fetch(&address)
        });
        let fetched = match fetching.await {
            Ok(fetched) => fetched,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let original = fetched.unwrap_or_else(|error| {
            tracing::warn!(partition, offset, "key and headers are lost: {}", Causes(&error));
            FetchedMessage {
                offset,
                timestamp: rdkafka::Timestamp::NotAvailable,
                key: None,
                headers: Vec::new(),
                value: Some(message.payload.to_vec()),
            }
        });
        self.put(partition, original, cause).await
    }

    async fn writer(&self) -> Result<&Writer, KafkaError> {
        let making = self.writer.get_or_try_init(async || {
            let (kafka, topic) = (self.kafka.clone(), self.topic.clone());
            let runtime = Handle::current();
            let made = tokio::task::spawn_blocking(move || Writer::new(kafka, &topic, &runtime));
            match made.await {
                Ok(made) => made,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        });
        making.await
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
        let fetcher = Arc::new(Mutex::new(Fetcher::new(kafka)?));
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
