use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, UInt32Array},
    datatypes::{DataType, Field, Schema},
};
use rdkafka::{
    ClientContext, Message as _,
    message::DeliveryResult,
    producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer},
};
use volley_core::{codec::CodecOptions, encode::Encoder};

use crate::{PATIENCE, Scenario};

pub(super) const ROWS_PER_MESSAGE: i64 = 20;
const MESSAGES_PER_SECOND: u32 = 100;

/// Rows with known keys, produced without end: `key` counts from 0, `value` follows from it.
#[derive(Debug)]
pub struct Feed {
    n_rows: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    producing: Option<JoinHandle<()>>,
}

/// What a feed has put into the topic, each row once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oracle {
    /// Rows, whose keys are those from 0 below this.
    pub n_rows: u64,
    /// Sum of their values.
    pub sum: u64,
}

impl Feed {
    /// Starts it, into a topic that is there.
    pub fn start(scenario: &Scenario<'_>) -> Self {
        let mut config = scenario.stack().client_config();
        // A message that is sent again is there once.
        config.set("enable.idempotence", "true").set("linger.ms", "1");
        let acknowledged = Arc::new(AtomicU64::new(0));
        let context = Acknowledged(acknowledged.clone());
        let producer: ThreadedProducer<Acknowledged> = config.create_with_context(context).unwrap();
        let (topic, n_partitions) = (scenario.topic().to_owned(), scenario.n_partitions() as i64);
        let (n_rows, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (rows, stop) = (n_rows.clone(), is_over.clone());
        let producing = thread::spawn(move || {
            let mut encoder = Encoder::new(batch(0).schema(), CodecOptions::default()).unwrap();
            let began = Instant::now();
            for message in 0.. {
                if stop.load(Ordering::Acquire) {
                    break;
                }
                let payload = encoder.encode(&[batch(message)]).unwrap();
                let partition = (message % n_partitions) as i32;
                let record = BaseRecord::<(), _>::to(&topic).partition(partition).payload(&payload);
                producer.send(record).map_err(|(error, _)| error).unwrap();
                rows.fetch_add(ROWS_PER_MESSAGE as u64, Ordering::AcqRel);
                let due = Duration::from_secs(1) / MESSAGES_PER_SECOND * (message as u32 + 1);
                thread::sleep(due.saturating_sub(began.elapsed()));
            }
            producer.flush(PATIENCE).unwrap();
            let n_messages = rows.load(Ordering::Acquire) / ROWS_PER_MESSAGE as u64;
            assert_eq!(acknowledged.load(Ordering::Acquire), n_messages, "not all acknowledged");
        });
        Self { n_rows, is_over, producing: Some(producing) }
    }

    /// Rows that it has sent so far.
    pub fn n_rows(&self) -> u64 {
        self.n_rows.load(Ordering::Acquire)
    }

    /// Ends it, and waits until everything is acknowledged.
    pub fn stop(mut self) -> Oracle {
        self.end().unwrap();
        let n_rows = self.n_rows.load(Ordering::Acquire);
        Oracle { n_rows, sum: (0..n_rows).map(|key| u64::from(value(key))).sum() }
    }

    fn end(&mut self) -> thread::Result<()> {
        self.is_over.store(true, Ordering::Release);
        self.producing.take().map_or(Ok(()), JoinHandle::join)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // Only where a test panics is it not over yet.
        let _ = self.end();
    }
}

/// Anything that a row of another key is unlikely to have.
fn value(key: u64) -> u32 {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

fn batch(message: i64) -> RecordBatch {
    let keys = message * ROWS_PER_MESSAGE..(message + 1) * ROWS_PER_MESSAGE;
    let values = keys.clone().map(|key| value(key as u64));
    let columns: [ArrayRef; 2] = [
        Arc::new(Int64Array::from_iter_values(keys)),
        Arc::new(UInt32Array::from_iter_values(values)),
    ];
    let fields = [("key", DataType::Int64), ("value", DataType::UInt32)];
    let fields = fields.map(|(name, data_type)| Field::new(name, data_type, false));
    RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns.to_vec()).unwrap()
}

/// Counts messages that the broker has.
struct Acknowledged(Arc<AtomicU64>);

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.0.fetch_add(1, Ordering::AcqRel);
            }
            Err((error, message)) => {
                eprintln!("a message to partition {} is lost: {error}", message.partition());
            }
        }
    }
}
