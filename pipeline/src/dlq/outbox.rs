use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    error::{KafkaError as LibError, RDKafkaError},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
};

use super::{
    DlqError, LetterId,
    letter::{Original, receipt},
};
use crate::kafka::{ClientLog, KafkaOptions, create, is_in_process_broker, require_topic};

/// Longest wait for a transaction to end. Longer than `transaction.timeout.ms`, after which the
/// broker ends it.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(90);

/// Where letters go, each with its receipt: both or neither.
///
/// On a broker with transactions nobody who reads committed messages only, as the loader does, ever
/// sees a letter twice: a batch that was not finished is undone when its transaction times out, or
/// when the next outbox of the same topic begins, which also ends the one before. librdkafka's
/// in-process broker undoes nothing; there, receipts follow when all letters of a batch are
/// acknowledged, so that a crash in between sends that batch again.
pub(super) struct Outbox {
    producer: ThreadedProducer<Context>,
    options: KafkaOptions,
    /// Where receipts go.
    letters: String,
    /// Where letters go.
    target: String,
    /// `None` with transactions; otherwise the receipts that are owed.
    owed: Option<Vec<LetterId>>,
    is_begun: bool,
    n_partitions: usize,
}

impl Outbox {
    /// Connects, and ends any outbox of the same dead-letter topic that is under way. Blocks.
    ///
    /// # Errors
    ///
    /// [`DlqError::Kafka`], [`DlqError::Transaction`].
    pub(super) fn open(
        options: &KafkaOptions,
        letters: &str,
        target: &str,
    ) -> Result<Self, DlqError> {
        let is_transactional = !is_in_process_broker(options)?;
        let id = format!("volley-dlq-replay-{letters}");
        let mut defaults = vec![
            // The broker took it once; it is its limits that count.
            ("message.max.bytes", "1000000000"),
            // It holds a batch to the limit of a message.
            ("batch.num.messages", "1"),
            ("linger.ms", "0"),
            ("compression.type", "none"),
            ("message.timeout.ms", "60000"),
        ];
        if is_transactional {
            defaults.extend([("transactional.id", &*id), ("transaction.timeout.ms", "60000")]);
        }
        let fixed = [("enable.idempotence", "true"), ("acks", "all")];
        let config = options.client_config(&defaults, &fixed)?;
        let log = ClientLog::default();
        let context = Context { log: log.clone(), failed: Arc::default() };
        let producer: ThreadedProducer<Context> = create(options, &config, context)?;
        let hint = "check --topic, or name another by --to";
        let n_partitions = require_topic(producer.client(), &log, options, target, hint)?;
        if is_transactional {
            let begun = producer.init_transactions(TRANSACTION_TIMEOUT);
            begun.map_err(|error| failed("beginning transactions", letters, &error))?;
        } else {
            tracing::warn!(
                "this broker does not undo transactions: a replay that is interrupted may send \
                 messages twice"
            );
        }
        Ok(Self {
            producer,
            options: options.clone(),
            letters: letters.to_owned(),
            target: target.to_owned(),
            owed: (!is_transactional).then(Vec::new),
            is_begun: false,
            n_partitions,
        })
    }

    pub(super) fn is_transactional(&self) -> bool {
        self.owed.is_none()
    }

    /// Adds a letter to the batch. It goes to this partition, if there is such a one, and otherwise
    /// by its key. Blocks while librdkafka's queue is full.
    pub(super) fn put(
        &mut self,
        id: LetterId,
        partition: Option<i32>,
        message: &Original,
    ) -> Result<(), DlqError> {
        if !self.is_begun {
            if self.is_transactional() {
                let begun = self.producer.begin_transaction();
                begun.map_err(|error| failed("beginning a transaction", &self.letters, &error))?;
            }
            self.is_begun = true;
        }
        let headers = message.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: value.as_deref() })
        });
        let exists = |partition: &i32| {
            usize::try_from(*partition).is_ok_and(|partition| partition < self.n_partitions)
        };
        let mut record = BaseRecord::<'_, [u8], [u8]>::to(&self.target).headers(headers);
        record.partition = partition.filter(exists);
        record.payload = message.value.as_deref();
        record.key = message.key.as_deref();
        self.send(record)?;
        match &mut self.owed {
            Some(owed) => owed.push(id),
            None => self.put_receipt(id)?,
        }
        Ok(())
    }

    /// Ends the batch: all of it counts now, and is known to have been replayed. Blocks.
    pub(super) fn commit(&mut self) -> Result<(), DlqError> {
        if !self.is_begun {
            return Ok(());
        }
        if let Some(owed) = self.owed.take() {
            self.owed = Some(Vec::new());
            self.flush()?;
            owed.into_iter().try_for_each(|id| self.put_receipt(id))?;
            self.flush()?;
        } else {
            // Says why, where the commit only says that.
            self.flush()?;
            let committed = self.producer.commit_transaction(TRANSACTION_TIMEOUT);
            committed.map_err(|error| failed("ending a transaction", &self.letters, &error))?;
        }
        self.is_begun = false;
        Ok(())
    }

    fn put_receipt(&self, id: LetterId) -> Result<(), DlqError> {
        let headers = receipt(id, &self.target, Timestamp::now());
        let headers = headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        // A key of its own, for a topic that is compacted.
        let key = format!("replayed {id}");
        let record = BaseRecord::<'_, [u8], [u8]>::to(&self.letters)
            .partition(id.partition)
            .key(key.as_bytes())
            .headers(headers);
        self.send(record)
    }

    fn send(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<(), DlqError> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((LibError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    self.producer.poll(Duration::from_millis(20));
                }
                Err((error, record)) => {
                    self.check_fenced()?;
                    let bytes = record.payload.map_or(0, <[u8]>::len);
                    let reason = self.producer.context().reason().unwrap_or(error.to_string());
                    let (topic, what) = (record.topic.to_owned(), format!("{bytes} bytes"));
                    return Err(DlqError::NotTaken { topic, what, reason });
                }
            }
        }
    }

    /// Another one may have begun, which librdkafka says of whatever is done next.
    fn check_fenced(&self) -> Result<(), DlqError> {
        match self.producer.client().fatal_error() {
            Some((code, _)) if is_fenced(code) => {
                Err(DlqError::Fenced { topic: self.letters.clone() })
            }
            _ => Ok(()),
        }
    }

    fn flush(&self) -> Result<(), DlqError> {
        let flushed = self.producer.flush(TRANSACTION_TIMEOUT);
        self.check_fenced()?;
        if let Some(reason) = self.producer.context().reason() {
            let (topic, what) = (self.target.clone(), "a dead letter".to_owned());
            return Err(DlqError::NotTaken { topic, what, reason });
        }
        flushed.map_err(|error| self.options.client_error("sending")(error).into())
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        // What was not committed is not to be: without this the broker waits for its time-out, and
        // nobody reads past it meanwhile.
        if self.is_begun
            && self.is_transactional()
            && let Err(error) = self.producer.abort_transaction(TRANSACTION_TIMEOUT)
        {
            tracing::debug!(%error, "a transaction was not undone");
        }
    }
}

fn failed(action: &'static str, letters: &str, error: &LibError) -> DlqError {
    let code = error.rdkafka_error_code();
    if code.is_some_and(is_fenced) {
        return DlqError::Fenced { topic: letters.to_owned() };
    }
    let hint = match code {
        Some(RDKafkaErrorCode::TransactionalIdAuthorizationFailed) => {
            "; allow transactional id volley-dlq-replay-TOPIC, or name one that is allowed by \
             --kafka transactional.id=ID"
        }
        _ => "",
    };
    let reason = match error {
        LibError::Transaction(source) => RDKafkaError::to_string(source),
        other => other.to_string(),
    };
    DlqError::Transaction { action, reason, hint }
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    matches!(code, Fenced | InvalidProducerEpoch | ProducerFenced)
}

struct Context {
    log: ClientLog,
    /// Why the first message was not taken.
    failed: Arc<Mutex<Option<String>>>,
}

impl Context {
    fn reason(&self) -> Option<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // What is fatal to a transaction is an error of ours, and said there.
        let level = match facility {
            "FATAL" | "TXNERR" => RDKafkaLogLevel::Error,
            _ => level,
        };
        self.log.log(level, facility, message);
    }

    fn error(&self, error: LibError, reason: &str) {
        self.log.error(error, reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let reason = match (error.rdkafka_error_code(), self.log.last_error()) {
                (Some(RDKafkaErrorCode::MessageTimedOut), Some(cause)) => {
                    format!("timed out; last error: {cause}")
                }
                (Some(code), _) => code.to_string(),
                (None, _) => error.to_string(),
            };
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert(reason);
        }
    }
}
