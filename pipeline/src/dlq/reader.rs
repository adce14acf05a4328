use std::time::Instant;

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::KafkaError as LibError,
};

use super::DlqError;
use crate::{
    kafka::{
        ClientLog, FetchedMessage, KafkaError, KafkaOptions, create, is_about_group, is_unanswered,
        require_topic,
    },
    shutdown::Shutdown,
};

/// Messages of one partition, from `next` to before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) partition: i32,
    pub(crate) next: i64,
    pub(crate) end: i64,
}

/// Reads a topic from one offset to another, without a consumer group: nothing is committed,
/// nobody's partitions move. Transactions that were aborted or have not ended are not there.
pub(crate) struct Reader {
    consumer: BaseConsumer<ClientLog>,
    log: ClientLog,
    options: KafkaOptions,
    topic: String,
    shutdown: Shutdown,
}

/// Hears how many messages have been read, and how many there are.
pub(crate) trait Progress {
    fn read(&mut self, n_read: u64, n_messages: u64);
}

impl Reader {
    /// Makes a client; nothing is sent yet. A shutdown ends what it reads early.
    pub(crate) fn new(
        options: KafkaOptions,
        topic: String,
        shutdown: Shutdown,
    ) -> Result<Self, KafkaError> {
        let config = options.client_config(
            &[
                // librdkafka wants a name even where no group is joined.
                ("group.id", "volley-dlq"),
                ("queued.max.messages.kbytes", "16384"),
                ("fetch.wait.max.ms", "100"),
            ],
            &[
                ("allow.auto.create.topics", "false"),
                // Where retention has taken the first messages meanwhile.
                ("auto.offset.reset", "earliest"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("enable.partition.eof", "true"),
                ("isolation.level", "read_committed"),
            ],
        )?;
        let log = ClientLog::default();
        let consumer = create(&options, &config, log.clone())?;
        Ok(Self { consumer, log, options, topic, shutdown })
    }

    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.shutdown.is_requested()
    }

    /// Whether there is a topic of this name. Blocks up to the options' timeout.
    pub(crate) fn has_topic(&self, topic: &str) -> Result<bool, KafkaError> {
        let hint = "check --topic";
        match require_topic(self.consumer.client(), &self.log, &self.options, topic, hint) {
            Ok(_) => Ok(true),
            Err(KafkaError::TopicMissing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// What every partition holds now. Blocks up to the options' timeout for each.
    pub(crate) fn ranges(&self) -> Result<Vec<Range>, KafkaError> {
        let hint = "check --topic and --dlq-topic";
        let (client, topic) = (self.consumer.client(), &self.topic);
        let n_partitions = require_topic(client, &self.log, &self.options, topic, hint)?;
        let range = |partition| {
            let asked = self.consumer.fetch_watermarks(topic, partition, self.options.timeout);
            let (next, end) = asked.map_err(|error| self.failed("asking for offsets", error))?;
            Ok(Range { partition, next, end })
        };
        (0..n_partitions).map(|partition| range(partition as i32)).collect()
    }

    /// Gives every message of the ranges to `each`, one partition after the other, until `each`
    /// fails or the shutdown is requested. Blocks up to the options' timeout for each message.
    pub(crate) fn read<E: From<DlqError>>(
        &self,
        ranges: &[Range],
        progress: &mut dyn Progress,
        mut each: impl FnMut(i32, FetchedMessage) -> Result<(), E>,
    ) -> Result<(), E> {
        let n_offsets = |range: &Range| u64::try_from(range.end - range.next).unwrap_or(0);
        let n_messages = ranges.iter().map(n_offsets).sum();
        let mut n_before = 0;
        for range in ranges {
            if range.next < range.end && !self.is_stopped() {
                self.read_partition(*range, |message| {
                    let n_read = n_before + u64::try_from(message.offset - range.next).unwrap_or(0);
                    progress.read(n_read, n_messages);
                    each(range.partition, message)
                })?;
            }
            n_before += n_offsets(range);
            progress.read(n_before, n_messages);
        }
        Ok(())
    }

    fn read_partition<E: From<DlqError>>(
        &self,
        range: Range,
        mut each: impl FnMut(FetchedMessage) -> Result<(), E>,
    ) -> Result<(), E> {
        let Range { partition, next, end } = range;
        let failed = |action, error| DlqError::from(self.failed(action, error));
        let mut assignment = TopicPartitionList::with_capacity(1);
        assignment
            .add_partition_offset(&self.topic, partition, Offset::Offset(next))
            .and_then(|()| self.consumer.assign(&assignment))
            .map_err(|error| failed("assigning a partition", error))?;
        let mut heard_at = Instant::now();
        while !self.is_stopped() {
            let timeout = self.options.timeout;
            let Some(left) = timeout.checked_sub(heard_at.elapsed()) else {
                let topic = self.topic.clone();
                return Err(DlqError::TimedOut { topic, partition, timeout }.into());
            };
            // Short, to hear of a shutdown.
            let message = match self.consumer.poll(left.min(std::time::Duration::from_millis(100)))
            {
                None => continue,
                Some(Ok(message)) => FetchedMessage::of(&message),
                Some(Err(LibError::PartitionEOF(_))) => break,
                Some(Err(error)) if is_unanswered(&error) || is_about_group(&error) => {
                    tracing::debug!(%error, "while reading dead letters");
                    continue;
                }
                Some(Err(error)) => return Err(failed("reading dead letters", error).into()),
            };
            if message.offset >= end {
                break;
            }
            let is_last = message.offset + 1 == end;
            each(message)?;
            if is_last {
                break;
            }
            heard_at = Instant::now();
        }
        self.consumer.unassign().map_err(|error| failed("giving a partition back", error))?;
        Ok(())
    }

    fn failed(&self, action: &'static str, error: LibError) -> KafkaError {
        if is_unanswered(&error) {
            return self.log.unreachable(&self.options);
        }
        self.options.client_error(action)(error)
    }
}
