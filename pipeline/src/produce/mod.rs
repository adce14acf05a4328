//! Rows from a source to a topic: batches, payloads, acknowledged messages.

mod batchers;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arrow::array::RecordBatch;
use serde::Serialize;
use volley_core::{
    batcher::BatchLimits,
    codec::CodecOptions,
    encode::{EncodeError, Encoder},
    fingerprint::Fingerprint,
    headers::{MessageHeaders, time_column},
    host::MetricSet,
};

use batchers::Batchers;

use crate::{
    kafka::{
        Delivered, DeliveryObserver, KafkaError, KafkaOptions, Outgoing, Sender, SenderOptions,
        create_topic, message_limit,
    },
    shutdown::Shutdown,
    source::{
        HostOptions, HostSource, Pulled, Source, SourceError, SyntheticOptions, SyntheticSource,
    },
};

/// Room for what a message has beside its payload: headers (under 250 bytes), key, framing.
const MESSAGE_OVERHEAD: usize = 512;

/// What to send, how to cut it, where to.
#[derive(Clone, Debug)]
pub struct ProduceOptions {
    /// The cluster.
    pub kafka: KafkaOptions,
    /// The topic.
    pub topic: String,
    /// Creates the topic first, with so many partitions.
    pub create_topic: Option<i32>,
    /// Where rows come from.
    pub source: SourceOptions,
    /// Which columns they have.
    pub metrics: MetricSet,
    /// When a batch is cut.
    pub limits: BatchLimits,
    /// How it becomes bytes.
    pub codec: CodecOptions,
    /// What decides the partition.
    pub key: MessageKey,
    /// Batches to send; without end if `None`.
    pub n_batches: Option<u64>,
    /// Time to run; without end if `None`.
    pub duration: Option<Duration>,
    /// Most unacknowledged bytes.
    pub max_inflight_bytes: usize,
}

/// Where rows come from.
#[derive(Clone, Debug)]
pub enum SourceOptions {
    /// This machine.
    Host(HostOptions),
    /// Made-up machines.
    Synthetic(SyntheticOptions),
}

/// What decides the partition of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKey {
    /// The device: each device has batches of its own, and its rows keep their order.
    Device,
    /// Nothing: devices share batches, and partitions take turns.
    None,
}

/// Why producing stopped early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProduceError {
    /// The broker, or the way to it.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The source of rows.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A delivery failed midway.
    #[error("stopped after {n_delivered} of {n_sampled} sampled rows were acknowledged")]
    Interrupted {
        /// Rows that the broker has.
        n_delivered: u64,
        /// Rows that the source gave.
        n_sampled: u64,
        /// What failed.
        source: Box<KafkaError>,
    },
    /// A batch does not become a message.
    #[error("cannot encode a batch for topic '{topic}'")]
    Encode {
        /// The topic.
        topic: String,
        /// Why.
        source: EncodeError,
    },
}

/// What was produced, and where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ProduceSummary {
    /// Rows taken from the source.
    pub rows_sampled: u64,
    /// Rows that the broker acknowledged.
    pub rows_delivered: u64,
    /// Record batches cut.
    pub batches: u64,
    /// Messages that the broker acknowledged; more than batches where some were split.
    pub messages: u64,
    /// Batches that were over the message limit and went as several messages.
    pub batches_split: u64,
    /// Samples left out because taking or sending them was slower than the interval.
    pub samples_skipped: u64,
    /// Bytes of all payloads.
    pub payload_bytes: u64,
    /// Bytes of the same batches in memory.
    pub raw_bytes: u64,
    /// From start to the last acknowledgement.
    #[serde(skip)]
    pub elapsed: Duration,
    /// Making rows.
    #[serde(skip)]
    pub sampling: Duration,
    /// Rows to columns.
    #[serde(skip)]
    pub batching: Duration,
    /// Columns to payloads.
    #[serde(skip)]
    pub encoding: Duration,
}

/// Hears of batches as they move; every method does nothing unless overridden.
pub trait ProduceObserver: Send + Sync + 'static {
    /// The broker has answered, and has the topic.
    fn connected(&self) {}

    /// A batch is about to be sent as message number `ordinal`, counted from 0, of `n_bytes`.
    fn sending(&self, ordinal: u64, batch: &RecordBatch, n_bytes: usize) {
        let _ = (ordinal, batch, n_bytes);
    }

    /// Message number `ordinal` was acknowledged.
    fn delivered(&self, ordinal: u64, message: Delivered) {
        let _ = (ordinal, message);
    }
}

/// Hears nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoObserver;

impl ProduceObserver for NoObserver {}

/// Runs until the source ends, a limit is reached or `shutdown` is requested; then flushes.
///
/// Not cancel-safe: dropping the future leaves the sending thread running to its end.
///
/// # Errors
///
/// [`ProduceError`]; rows that were acknowledged before it are in the topic.
pub async fn produce(
    options: ProduceOptions,
    shutdown: Shutdown,
    observer: Arc<dyn ProduceObserver>,
) -> Result<ProduceSummary, ProduceError> {
    let runtime = tokio::runtime::Handle::current();
    let run = tokio::task::spawn_blocking(move || {
        if let Some(n_partitions) = options.create_topic {
            create_topic(&options.kafka, &options.topic, n_partitions, &runtime)?;
        }
        let counts = Arc::new(DeliveryCounts { observer, ..DeliveryCounts::new() });
        let limit = message_limit(&options.kafka, &options.topic, &runtime)?;
        let sender_options = SenderOptions {
            topic: options.topic.clone(),
            max_request_bytes: limit,
            max_inflight_bytes: options.max_inflight_bytes,
        };
        let sender = Sender::connect(&options.kafka, sender_options, counts.clone())?;
        counts.observer.connected();
        let payload_limit = limit.saturating_sub(MESSAGE_OVERHEAD);
        Producing::new(&options, sender, counts, payload_limit)?.run(&options, &shutdown)
    });
    match run.await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The state of the thread that turns rows into messages.
struct Producing {
    sender: Sender,
    counts: Arc<DeliveryCounts>,
    topic: String,
    encoder: Encoder,
    fingerprint: Fingerprint,
    time_column: Option<usize>,
    payload_limit: usize,
    batchers: Batchers,
    summary: ProduceSummary,
}

impl Producing {
    fn new(
        options: &ProduceOptions,
        sender: Sender,
        counts: Arc<DeliveryCounts>,
        payload_limit: usize,
    ) -> Result<Self, ProduceError> {
        let schema = options.metrics.schema();
        let topic = options.topic.clone();
        let encoder = Encoder::new(schema.clone(), options.codec)
            .map_err(|source| ProduceError::Encode { topic: topic.clone(), source })?;
        Ok(Self {
            sender,
            counts,
            topic,
            encoder,
            fingerprint: Fingerprint::of(&schema),
            time_column: time_column(&schema),
            payload_limit,
            batchers: Batchers::new(options),
            summary: ProduceSummary::default(),
        })
    }

    fn run(
        mut self,
        options: &ProduceOptions,
        shutdown: &Shutdown,
    ) -> Result<ProduceSummary, ProduceError> {
        let mut source: Box<dyn Source> = match &options.source {
            SourceOptions::Host(host) => {
                Box::new(HostSource::start(host.clone(), shutdown.clone())?)
            }
            SourceOptions::Synthetic(synthetic) => {
                Box::new(SyntheticSource::new(synthetic.clone(), shutdown.clone()))
            }
        };
        let start = Instant::now();
        let end = options.duration.and_then(|duration| start.checked_add(duration));
        let result = self.pump(source.as_mut(), start, end, options.n_batches);
        let result = result.and_then(|()| self.sender.flush().map_err(|e| self.interrupted(e)));

        let stats = source.stats();
        self.summary.elapsed = start.elapsed();
        self.summary.sampling = stats.busy;
        self.summary.samples_skipped = stats.n_skipped;
        self.summary.rows_delivered = self.counts.n_rows.load(Ordering::Acquire);
        self.summary.messages = self.counts.n_messages.load(Ordering::Acquire);
        result.map(|()| self.summary)
    }

    /// Rows to batches to messages, until there is nothing more to send.
    fn pump(
        &mut self,
        source: &mut dyn Source,
        start: Instant,
        end: Option<Instant>,
        n_batches: Option<u64>,
    ) -> Result<(), ProduceError> {
        let mut rows = Vec::new();
        let mut cut = Vec::new();
        let is_done = |n_cut: u64| n_batches.is_some_and(|limit| n_cut >= limit);
        loop {
            let batch_due = self.batchers.deadline().and_then(|at| start.checked_add(at));
            let deadline = [batch_due, end].into_iter().flatten().min();
            let pulled = source.pull(&mut rows, deadline);

            let began = Instant::now();
            let now = began - start;
            for row in rows.drain(..) {
                self.batchers.push(&row, now, &mut cut);
                self.summary.rows_sampled += 1;
                if is_done(self.summary.batches + cut.len() as u64) {
                    break;
                }
            }
            self.batchers.poll(now, &mut cut);
            let is_end = pulled == Pulled::End || end.is_some_and(|end| end <= began);
            if is_end {
                self.batchers.finish(&mut cut);
            }
            self.summary.batching += began.elapsed();

            for (key, batch) in cut.drain(..) {
                if !is_done(self.summary.batches) {
                    self.send(key.as_deref(), &batch)?;
                }
            }
            if is_end || is_done(self.summary.batches) {
                return Ok(());
            }
        }
    }

    fn send(&mut self, key: Option<&str>, batch: &RecordBatch) -> Result<(), ProduceError> {
        self.summary.batches += 1;
        self.summary.raw_bytes += slice_bytes(batch);
        let began = Instant::now();
        let parts = self
            .encoder
            .encode_within(batch, self.payload_limit)
            .map_err(|source| ProduceError::Encode { topic: self.topic.clone(), source })?;
        self.summary.encoding += began.elapsed();
        if parts.len() > 1 {
            self.summary.batches_split += 1;
            tracing::warn!(
                rows = batch.num_rows(),
                messages = parts.len(),
                limit_bytes = self.payload_limit,
                "batch is over the message limit and goes as several messages; \
                 lower --rows-per-batch to choose the cuts"
            );
        }
        for (part, payload) in &parts {
            self.summary.payload_bytes += payload.len() as u64;
            self.counts.observer.sending(self.sender.n_sent(), part, payload.len());
            let headers =
                MessageHeaders::describe(payload, part, self.fingerprint, self.time_column);
            let message = Outgoing { key, payload, headers, n_rows: part.num_rows() };
            self.sender.send(message).map_err(|error| self.interrupted(error))?;
        }
        Ok(())
    }

    fn interrupted(&self, source: KafkaError) -> ProduceError {
        ProduceError::Interrupted {
            n_delivered: self.counts.n_rows.load(Ordering::Acquire),
            n_sampled: self.summary.rows_sampled,
            source: Box::new(source),
        }
    }
}

/// Bytes that the rows of a batch take in memory, whatever its arrays are slices of.
fn slice_bytes(batch: &RecordBatch) -> u64 {
    let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    sizes.map(|size| size.unwrap_or(0) as u64).sum()
}

struct DeliveryCounts {
    n_rows: AtomicU64,
    n_messages: AtomicU64,
    observer: Arc<dyn ProduceObserver>,
}

impl DeliveryCounts {
    fn new() -> Self {
        Self {
            n_rows: AtomicU64::new(0),
            n_messages: AtomicU64::new(0),
            observer: Arc::new(NoObserver),
        }
    }
}

impl DeliveryObserver for DeliveryCounts {
    fn delivered(&self, ordinal: u64, message: Delivered) {
        self.n_rows.fetch_add(message.n_rows as u64, Ordering::Release);
        self.n_messages.fetch_add(1, Ordering::Release);
        self.observer.delivered(ordinal, message);
    }
}
