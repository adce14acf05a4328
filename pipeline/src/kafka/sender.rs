use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Message,
    config::RDKafkaLogLevel,
    error::KafkaError as LibError,
    message::{DeliveryResult, Header, OwnedHeaders},
    producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};
use volley_core::headers::MessageHeaders;

use super::{ClientLog, KafkaError, KafkaOptions, create, require_topic};

/// What a [`Sender`] needs to know beside the cluster.
#[derive(Clone, Debug)]
pub struct SenderOptions {
    /// Where messages go.
    pub topic: String,
    /// Most bytes of a partition's messages that go to the broker together, because it holds them
    /// all to the topic's `max.message.bytes` as if they were one. A message that is larger by
    /// itself goes alone.
    pub max_request_bytes: usize,
    /// Most bytes that may be unacknowledged; [`Sender::send`] waits while there are more.
    pub max_inflight_bytes: usize,
}

/// One message on its way out.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Decides the partition; without one, partitions take turns.
    pub key: Option<&'a str>,
    /// The value.
    pub payload: &'a [u8],
    /// Its headers.
    pub headers: MessageHeaders,
    /// Rows in it, for the observer.
    pub n_rows: usize,
}

/// One acknowledged message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The partition that took it.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Rows in it.
    pub n_rows: usize,
    /// Bytes of its value.
    pub n_bytes: usize,
    /// From [`Sender::send`] to the acknowledgement.
    pub took: Duration,
}

/// Hears of each acknowledged message, on librdkafka's thread and in the order of each partition.
pub trait DeliveryObserver: Send + Sync + 'static {
    /// `ordinal` counts messages in the order they were sent, from 0.
    fn delivered(&self, ordinal: u64, message: Delivered);
}

/// An idempotent producer for one topic, with bounded memory.
///
/// Not async: it lives on the thread that builds batches, and makes that thread wait where the
/// broker is slower.
pub struct Sender {
    producer: ThreadedProducer<Context>,
    topic: String,
    max_inflight_bytes: usize,
    n_sent: u64,
    options: KafkaOptions,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Sender {
    /// Connects, and makes sure that the topic is there. Blocks up to the options' timeout.
    ///
    /// # Errors
    ///
    /// [`KafkaError::Unreachable`], [`KafkaError::TopicMissing`], [`KafkaError::Property`].
    pub fn connect(
        kafka: &KafkaOptions,
        options: SenderOptions,
        observer: Arc<dyn DeliveryObserver>,
    ) -> Result<Self, KafkaError> {
        let queue_kbytes = (options.max_inflight_bytes / 512).max(1024).to_string();
        let request_bytes = options.max_request_bytes.clamp(1, i32::MAX as usize).to_string();
        let config = kafka.client_config(
            &[
                ("batch.size", &request_bytes),
                // A message is a batch already: waiting for more only makes it late.
                ("linger.ms", "0"),
                // Payloads are compressed inside; twice costs time and gains nothing.
                ("compression.type", "none"),
                ("message.timeout.ms", "120000"),
                ("queue.buffering.max.kbytes", &queue_kbytes),
            ],
            &[("enable.idempotence", "true"), ("acks", "all")],
        )?;
        let log = ClientLog::default();
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let context = Context { log: log.clone(), shared, observer };
        let producer: ThreadedProducer<Context> = create(kafka, &config, context)?;
        let hint = "create it, or pass --create-topic";
        require_topic(producer.client(), &log, kafka, &options.topic, hint)?;
        Ok(Self {
            producer,
            topic: options.topic,
            max_inflight_bytes: options.max_inflight_bytes,
            n_sent: 0,
            options: kafka.clone(),
        })
    }

    /// Hands a message to librdkafka, after waiting until it fits the bytes in flight.
    ///
    /// # Errors
    ///
    /// The first failed delivery so far, of this message or one before it. Nothing is sent after it.
    pub fn send(&mut self, message: Outgoing<'_>) -> Result<(), KafkaError> {
        let n_bytes = message.payload.len();
        self.reserve(n_bytes)?;
        let opaque = Box::new(InFlight {
            ordinal: self.n_sent,
            n_rows: message.n_rows,
            n_bytes,
            sent_at: Instant::now(),
        });
        let mut headers = OwnedHeaders::new_with_capacity(6);
        for (key, value) in message.headers.to_pairs() {
            headers = headers.insert(Header { key, value: Some(&value) });
        }
        let mut record = BaseRecord::with_opaque_to(&self.topic, opaque)
            .payload(message.payload)
            .headers(headers);
        record.key = message.key;
        self.enqueue(record)?;
        self.n_sent += 1;
        Ok(())
    }

    /// Waits until every message is acknowledged or has failed.
    ///
    /// # Errors
    ///
    /// The first failed delivery.
    pub fn flush(&self) -> Result<(), KafkaError> {
        let shared = &self.producer.context().shared;
        let mut state = shared.lock();
        while state.n_messages > 0 {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.failure(&self.topic)
    }

    /// Messages handed over so far.
    pub fn n_sent(&self) -> u64 {
        self.n_sent
    }

    fn reserve(&self, n_bytes: usize) -> Result<(), KafkaError> {
        let shared = &self.producer.context().shared;
        let mut state = shared.lock();
        loop {
            state.failure(&self.topic)?;
            // A message larger than the limit goes alone.
            if state.n_messages == 0 || state.n_bytes + n_bytes <= self.max_inflight_bytes {
                state.n_messages += 1;
                state.n_bytes += n_bytes;
                return Ok(());
            }
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn enqueue(
        &self,
        mut record: BaseRecord<'_, str, [u8], Box<InFlight>>,
    ) -> Result<(), KafkaError> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((LibError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    let shared = &self.producer.context().shared;
                    // Ends with the next acknowledgement, or looks again.
                    let wait =
                        shared.changed.wait_timeout(shared.lock(), Duration::from_millis(20));
                    drop(wait);
                }
                Err((error, record)) => {
                    let n_bytes = record.payload.map_or(0, <[u8]>::len);
                    self.producer.context().shared.release(n_bytes, None);
                    return Err(match error.rdkafka_error_code() {
                        Some(code) => KafkaError::Delivery {
                            topic: self.topic.clone(),
                            bytes: n_bytes,
                            reason: code.to_string(),
                        },
                        None => self.options.client_error("sending")(error),
                    });
                }
            }
        }
    }
}

/// What librdkafka carries for us with each message.
#[derive(Debug)]
struct InFlight {
    ordinal: u64,
    n_rows: usize,
    n_bytes: usize,
    sent_at: Instant,
}

struct Context {
    log: ClientLog,
    shared: Arc<Shared>,
    observer: Arc<dyn DeliveryObserver>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    n_messages: usize,
    n_bytes: usize,
    /// Size and cause of the first message that failed.
    failed: Option<(usize, String)>,
}

impl State {
    fn failure(&self, topic: &str) -> Result<(), KafkaError> {
        match &self.failed {
            None => Ok(()),
            Some((bytes, reason)) => Err(KafkaError::Delivery {
                topic: topic.to_owned(),
                bytes: *bytes,
                reason: reason.clone(),
            }),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, n_bytes: usize, failure: Option<String>) {
        let mut state = self.lock();
        state.n_messages -= 1;
        state.n_bytes -= n_bytes;
        if let Some(reason) = failure {
            state.failed.get_or_insert((n_bytes, reason));
        }
        drop(state);
        self.changed.notify_all();
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.log.log(level, facility, message);
    }

    fn error(&self, error: LibError, reason: &str) {
        self.log.error(error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<InFlight>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<InFlight>) {
        let failure = match result {
            Ok(message) => {
                let delivered = Delivered {
                    partition: message.partition(),
                    offset: message.offset(),
                    n_rows: sent.n_rows,
                    n_bytes: sent.n_bytes,
                    took: sent.sent_at.elapsed(),
                };
                self.observer.delivered(sent.ordinal, delivered);
                None
            }
            Err((error, _)) => Some(match (error.rdkafka_error_code(), self.log.last_error()) {
                (Some(RDKafkaErrorCode::MessageTimedOut), Some(cause)) => {
                    format!("timed out; last error: {cause}")
                }
                (Some(code), _) => code.to_string(),
                (None, _) => error.to_string(),
            }),
        };
        self.shared.release(sent.n_bytes, failure);
    }
}
