use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use arrow_array::RecordBatch;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};
use rustix::time::{ClockId, clock_gettime};
use volley::kafka::{Delivered, DeliveryObserver, KafkaOptions, Outgoing, Sender, SenderOptions};
use volley_core::{
    decode::Decoder,
    encode::Encoder,
    fingerprint::Fingerprint,
    headers::MessageHeaders,
    layout,
    tune::{Clock, Point, Sample, Size, Task, Trial, measure},
};
use volley_embedded::EmbeddedBroker;

/// Rows that go over the broker in a trial, at least.
const ROWS: usize = 20_000;

/// Most bytes on their way together: the embedded broker forgets messages that are older than a few
/// megabytes.
const ON_THE_WAY: usize = 500_000;

const TOPIC: &str = "tune-regret";

/// Longest wait for a message.
const PATIENCE: Duration = Duration::from_secs(30);

/// How it is measured what a point costs. Both count CPU time, so that what others do on the machine
/// matters less.
pub(super) enum Way {
    /// Encoding and decoding, by the clock of the thread: what `volley tune` measures.
    Codec(ThreadClock),
    /// Encoding, sending, the broker's part, receiving and decoding, by the clock of the process, whose
    /// broker is librdkafka's own.
    Broker(Box<Broker>),
}

/// The thread's work, which is the budget of a search here too: it then gets as far on a machine that
/// others use.
pub(super) struct ThreadClock;

/// A broker in this process, and a way through a topic of it.
pub(super) struct Broker {
    sender: Sender,
    consumer: BaseConsumer,
    _broker: EmbeddedBroker,
}

impl Clock for ThreadClock {
    fn wall(&mut self) -> Duration {
        busy(ClockId::ThreadCPUTime)
    }
}

fn busy(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Codec(_) => "codec",
            Self::Broker(_) => "end to end",
        })
    }
}

impl Way {
    /// A way through a broker of its own.
    pub(super) fn broker() -> Result<Self> {
        Ok(Self::Broker(Box::new(Broker::start()?)))
    }

    /// Measures a point once. Over the broker, all time counts as that of encoding.
    pub(super) fn trial(&mut self, sample: &Sample, point: &Point) -> Result<Trial> {
        match self {
            Self::Codec(clock) => {
                let task = Task { point: *point, deadline: Duration::MAX };
                measure(sample, task, clock)?.context("a trial without a deadline")
            }
            Self::Broker(broker) => broker.trial(sample, point),
        }
    }
}

impl Broker {
    fn start() -> Result<Self> {
        let broker = EmbeddedBroker::start()?;
        let brokers = broker.bootstrap_servers().to_owned();
        let kafka = KafkaOptions { brokers, properties: Vec::new(), timeout: PATIENCE };
        let options = SenderOptions {
            topic: TOPIC.to_owned(),
            max_request_bytes: 1_000_000,
            max_inflight_bytes: 64_000_000,
        };
        let sender = Sender::connect(&kafka, options, Arc::new(Nobody))?;
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &kafka.brokers)
            .set("group.id", TOPIC)
            .set("enable.auto.commit", "false")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "10")
            .create()?;
        let metadata = consumer.fetch_metadata(Some(TOPIC), PATIENCE)?;
        let topic = metadata.topics().first().context("no topic")?;
        let mut assignment = TopicPartitionList::new();
        for partition in topic.partitions() {
            assignment.add_partition_offset(TOPIC, partition.id(), Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        Ok(Self { sender, consumer, _broker: broker })
    }

    fn trial(&mut self, sample: &Sample, point: &Point) -> Result<Trial> {
        let mut encoder = Encoder::new(sample.schema(point), point.options())?;
        // The bytes were made here: limits are for those of others.
        let limits = layout::Options { max_raw_bytes: u64::MAX, ..layout::Options::default() };
        let mut decoder = Decoder::new(limits);
        let fingerprint = Fingerprint::of(sample.rows().schema_ref());
        let windows = sample.windows(point)?;
        let n_rows: usize = windows.iter().map(RecordBatch::num_rows).sum();
        let n_passes = ROWS.div_ceil(n_rows.max(1));

        // The first is a warm-up.
        let mut turns = windows.iter().cycle();
        let mut left = 1;
        let mut began = Duration::ZERO;
        let mut size = Size::default();
        for is_timed in [false, true] {
            if is_timed {
                (left, size) = (windows.len() * n_passes, Size::default());
                began = busy(ClockId::ProcessCPUTime);
            }
            while left > 0 {
                let (mut n_sent, mut n_bytes) = (0, 0);
                while n_sent < left && n_bytes < ON_THE_WAY {
                    let window = turns.next().context("no windows")?;
                    let payload = encoder.encode(std::slice::from_ref(window))?;
                    let headers =
                        MessageHeaders::describe(&payload, sample.rows(), fingerprint, None);
                    let message = Outgoing { key: None, payload: &payload, headers, n_rows: 0 };
                    self.sender.send(message)?;
                    size.rows += window.num_rows() as u64;
                    size.largest = size.largest.max(payload.len());
                    (n_sent, n_bytes) = (n_sent + 1, n_bytes + payload.len());
                }
                self.receive(n_sent, &mut decoder)?;
                size.bytes += n_bytes as u64;
                left -= n_sent;
            }
        }
        let took = busy(ClockId::ProcessCPUTime).saturating_sub(began);
        let per_row = took.as_nanos() as f64 / size.rows as f64;
        size.rows /= n_passes as u64;
        size.bytes /= n_passes as u64;
        Ok(Trial { size, encode_ns: per_row, decode_ns: 0.0, wall_ns: per_row })
    }

    fn receive(&self, n_messages: usize, decoder: &mut Decoder) -> Result<()> {
        let began = Instant::now();
        let mut n_received = 0;
        while n_received < n_messages {
            ensure!(began.elapsed() < PATIENCE, "a message did not come back");
            if let Some(message) = self.consumer.poll(Duration::from_millis(100)) {
                decoder.decode(message?.payload().context("a message without a value")?)?;
                n_received += 1;
            }
        }
        Ok(())
    }
}

struct Nobody;

impl DeliveryObserver for Nobody {
    fn delivered(&self, _: u64, _: Delivered) {}
}
