use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError as LibError,
};
use tokio::runtime::Handle;
use volley_core::{
    fingerprint::Fingerprint,
    headers::MessageHeaders,
    tune::{Point, Sample},
};

use super::{TuneError, clock::MachineClock, payloads};
use crate::{
    kafka::{
        ClientLog, Delivered, DeliveryObserver, KafkaError, KafkaOptions, Outgoing, Sender,
        SenderOptions, create, create_topic, delete_topic, is_in_process_broker, is_unanswered,
        require_topic,
    },
    shutdown::Shutdown,
};

/// Rows on their way together, for every point.
const DELIVERY_ROWS: usize = 50_000;

/// Deliveries of a point, at most.
const MAX_DELIVERIES: usize = 25;

/// Most bytes of a request, and in flight.
const REQUEST_BYTES: usize = 1_000_000;
const INFLIGHT_BYTES: usize = 64_000_000;

/// Ways through a topic that is there while they are measured.
pub(super) struct Deliveries {
    kafka: KafkaOptions,
    topic: String,
    /// An in-process broker makes its topics by itself and keeps them as long as it lives.
    is_in_process: bool,
}

impl Deliveries {
    /// Asks whether the broker is there.
    pub(super) fn connect(kafka: &KafkaOptions) -> Result<Self, TuneError> {
        let is_in_process = is_in_process_broker(kafka)?;
        let topic = format!("volley-tune-{:016x}", rand::random::<u64>());
        Ok(Self { kafka: kafka.clone(), topic, is_in_process })
    }

    /// Sends payloads of each point in turn and waits for them at the other end, until the deadline:
    /// ns a row. The first of each point is a warm-up. The topic is gone at the end, however that
    /// comes.
    pub(super) fn measure(
        self,
        sample: &Sample,
        points: &[Point],
        clock: &MachineClock,
        deadline: Duration,
        shutdown: &Shutdown,
        runtime: &Handle,
    ) -> Result<Vec<(Point, f64)>, TuneError> {
        if clock.left(deadline).is_zero() {
            return Ok(Vec::new());
        }
        if self.is_in_process {
            return self.deliver(sample, points, (clock, deadline), shutdown);
        }
        create_topic(&self.kafka, &self.topic, 1, runtime)?;
        let result = self.deliver(sample, points, (clock, deadline), shutdown);
        let deleted = delete_topic(&self.kafka, &self.topic, runtime);
        let measured = result?;
        deleted?;
        Ok(measured)
    }

    fn deliver(
        &self,
        sample: &Sample,
        points: &[Point],
        (clock, deadline): (&MachineClock, Duration),
        shutdown: &Shutdown,
    ) -> Result<Vec<(Point, f64)>, TuneError> {
        let mut trains = Vec::with_capacity(points.len());
        for point in points {
            let encoded = payloads(sample, point, DELIVERY_ROWS, (clock, deadline))?;
            let Some((payloads, n_rows)) = encoded else { return Ok(Vec::new()) };
            if payloads.iter().all(|payload| payload.len() < REQUEST_BYTES) {
                trains.push((*point, payloads, n_rows));
            }
        }
        let options = SenderOptions {
            topic: self.topic.clone(),
            max_request_bytes: REQUEST_BYTES,
            max_inflight_bytes: INFLIGHT_BYTES,
        };
        let mut sender = Sender::connect(&self.kafka, options, Arc::new(Nobody))?;
        let consumer = self.consumer()?;
        let fingerprint = Fingerprint::of(sample.rows().schema_ref());
        let mut measured = Vec::new();
        let mut longest = Duration::ZERO;
        for turn in 0..=MAX_DELIVERIES {
            for (point, payloads, n_rows) in &trains {
                let is_due = clock.elapsed() + longest.mul_f64(1.5) >= deadline;
                if is_due || shutdown.is_requested() {
                    return Ok(measured);
                }
                let began = Instant::now();
                for payload in payloads {
                    let headers =
                        MessageHeaders::describe(payload, sample.rows(), fingerprint, None);
                    sender.send(Outgoing { key: None, payload, headers, n_rows: 0 })?;
                }
                // What was received was sent: nothing is left to flush.
                if !self.receive(&consumer, payloads, clock.left(deadline))? {
                    return Ok(measured);
                }
                let took = began.elapsed();
                longest = longest.max(took);
                if turn > 0 {
                    measured.push((*point, took.as_nanos() as f64 / *n_rows as f64));
                }
            }
        }
        Ok(measured)
    }

    fn consumer(&self) -> Result<BaseConsumer<ClientLog>, KafkaError> {
        let config = self.kafka.client_config(
            &[("group.id", "volley-tune"), ("check.crcs", "true"), ("fetch.wait.max.ms", "10")],
            &[("enable.auto.commit", "false"), ("enable.auto.offset.store", "false")],
        )?;
        let log = ClientLog::default();
        let consumer: BaseConsumer<ClientLog> = create(&self.kafka, &config, log.clone())?;
        // An in-process broker makes topics with a number of partitions of its own.
        let hint = "it was there a moment ago";
        let n_partitions =
            require_topic(consumer.client(), &log, &self.kafka, &self.topic, hint)? as i32;
        let mut assignment = TopicPartitionList::with_capacity(1);
        (0..n_partitions)
            .try_for_each(|partition| {
                assignment.add_partition_offset(&self.topic, partition, Offset::Beginning)
            })
            .and_then(|()| consumer.assign(&assignment))
            .map_err(self.kafka.client_error("assigning partitions"))?;
        Ok(consumer)
    }

    /// Waits for as many messages as were sent; false where they did not come in time.
    fn receive(
        &self,
        consumer: &BaseConsumer<ClientLog>,
        sent: &[Bytes],
        patience: Duration,
    ) -> Result<bool, KafkaError> {
        let began = Instant::now();
        let mut n_received = 0;
        while n_received < sent.len() {
            if began.elapsed() > patience {
                return Ok(false);
            }
            match consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(_)) => n_received += 1,
                Some(Err(LibError::PartitionEOF(_))) => {}
                Some(Err(error)) if is_unanswered(&error) => {}
                Some(Err(error)) => {
                    return Err(self.kafka.client_error("reading a message")(error));
                }
            }
        }
        Ok(true)
    }
}

struct Nobody;

impl DeliveryObserver for Nobody {
    fn delivered(&self, _: u64, _: Delivered) {}
}
