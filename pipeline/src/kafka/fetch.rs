use std::{
    fmt,
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset, Timestamp, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::KafkaError as LibError,
    message::BorrowedMessage,
    types::RDKafkaErrorCode,
};

use super::{
    ClientLog, KafkaError, KafkaOptions, MessageAddress, MessageOffset, create, headers,
    is_unanswered, knock, require_topic,
};
use crate::human::Seconds;

/// Offsets at the end of a partition that are tried for its latest message.
const MAX_MARKERS: i64 = 16;

/// Reads single messages of a cluster, without a consumer group: nothing is committed, nobody's
/// partitions move.
pub(crate) struct Fetcher {
    pub(super) consumer: BaseConsumer<ClientLog>,
    pub(super) log: ClientLog,
    pub(super) options: KafkaOptions,
}

/// A message as it lies in its partition.
#[derive(Clone, Debug)]
pub(crate) struct FetchedMessage {
    pub(crate) offset: i64,
    pub(crate) timestamp: Timestamp,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) value: Option<Vec<u8>>,
}

/// A partition, for a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) topic: String,
    pub(super) partition: i32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "topic '{}' partition {}", self.topic, self.partition)
    }
}

/// Why a message could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum FetchError {
    #[error(
        "no kafka broker answers at {brokers} within {}: {reason}; check the address, or wait \
         longer with --timeout", Seconds(*timeout)
    )]
    Unreachable { brokers: String, timeout: Duration, reason: String },
    #[error("topic '{topic}' has no partition {partition}: {}", partitions(*n_partitions))]
    NoPartition { topic: String, partition: i32, n_partitions: usize },
    #[error(
        "{place} has no offset {offset}: its low watermark is {low}, its high watermark {high}; {}",
        range(*low, *high)
    )]
    OutOfRange { place: Place, offset: i64, low: i64, high: i64 },
    #[error("{place} holds no message: its low and its high watermark are {high}")]
    Empty { place: Place, high: i64 },
    #[error(
        "{place} has no message at offset {offset}, which was compacted away or marks the end of a \
         transaction; {}", following(*next)
    )]
    Gap { place: Place, offset: i64, next: Option<i64> },
    #[error(
        "{place} offset {offset} did not come within {}; wait longer with --timeout",
        Seconds(*timeout)
    )]
    TimedOut { place: Place, offset: i64, timeout: Duration },
    #[error(transparent)]
    Kafka(#[from] KafkaError),
}

impl FetchError {
    /// Whether the broker has answered that the message is not there any more: retention or compaction
    /// has taken it, or whoever made the topic anew.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::NoPartition { .. }
                | Self::OutOfRange { .. }
                | Self::Empty { .. }
                | Self::Gap { .. }
        )
    }
}

fn partitions(n: usize) -> String {
    match n {
        1 => "it has only partition 0".to_owned(),
        n => format!("it has {n}, which are 0 to {}", n - 1),
    }
}

fn range(low: i64, high: i64) -> String {
    if low >= high {
        return "it holds no message".to_owned();
    }
    format!("try {low} to {}", high - 1)
}

fn following(next: Option<i64>) -> String {
    next.map_or("none follows".to_owned(), |next| format!("the next message is at {next}"))
}

impl Fetcher {
    /// Makes a client of brokers that answer and let us in. Blocks as [`knock`] does.
    ///
    /// # Errors
    ///
    /// [`FetchError::Unreachable`], [`FetchError::Kafka`].
    pub(crate) fn connect(options: KafkaOptions) -> Result<Self, FetchError> {
        knock(&options).map_err(|error| match error {
            KafkaError::Unreachable { brokers, timeout, reason } => {
                FetchError::Unreachable { brokers, timeout, reason }
            }
            other => other.into(),
        })?;
        Ok(Self::new(options)?)
    }

    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`KafkaError::Property`].
    pub(crate) fn new(options: KafkaOptions) -> Result<Self, KafkaError> {
        let config = options.client_config(
            &[
                // librdkafka wants a name even where no group is joined.
                ("group.id", "volley-inspect"),
                ("isolation.level", "read_uncommitted"),
                ("check.crcs", "true"),
                // One message is wanted, not what follows it.
                ("queued.min.messages", "1"),
                ("queued.max.messages.kbytes", "1024"),
                // How long it waits with one in the queue before it asks again; a second by default.
                ("fetch.queue.backoff.ms", "1"),
                ("fetch.wait.max.ms", "100"),
            ],
            &[
                ("allow.auto.create.topics", "false"),
                ("auto.offset.reset", "error"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("enable.partition.eof", "true"),
            ],
        )?;
        let log = ClientLog::default();
        let consumer = create(&options, &config, log.clone())?;
        Ok(Self { consumer, log, options })
    }

    /// Reads one message. Blocks up to the options' timeout for each question to the broker.
    pub(crate) fn fetch(&self, address: &MessageAddress) -> Result<FetchedMessage, FetchError> {
        let MessageAddress { topic, partition, offset, .. } = address.clone();
        let n_partitions = self.n_partitions(&topic)?;
        if usize::try_from(partition).is_ok_and(|partition| partition >= n_partitions) {
            return Err(FetchError::NoPartition { topic, partition, n_partitions });
        }
        let watermarks = self.consumer.fetch_watermarks(&topic, partition, self.options.timeout);
        let (low, high) = watermarks.map_err(|error| self.failed("asking for offsets", error))?;
        let place = Place { topic, partition };
        match offset {
            MessageOffset::Earliest | MessageOffset::Latest if low >= high => {
                Err(FetchError::Empty { place, high })
            }
            MessageOffset::At(offset) if !(low..high).contains(&offset) => {
                Err(FetchError::OutOfRange { place, offset, low, high })
            }
            MessageOffset::At(offset) => self.fetch_at(&place, offset),
            MessageOffset::Earliest => match self.fetch_at(&place, low) {
                Err(FetchError::Gap { next: Some(next), .. }) => self.fetch_at(&place, next),
                result => result,
            },
            MessageOffset::Latest => {
                // A transaction ends with a marker, which is no message.
                let mut offset = high - 1;
                loop {
                    let result = self.fetch_at(&place, offset);
                    let is_gap = matches!(result, Err(FetchError::Gap { .. }));
                    if !is_gap || offset <= low.max(high - MAX_MARKERS) {
                        return result;
                    }
                    offset -= 1;
                }
            }
        }
    }

    /// Number of partitions of a topic.
    pub(crate) fn n_partitions(&self, topic: &str) -> Result<usize, FetchError> {
        let hint = "check its name";
        let client = self.consumer.client();
        let asked = require_topic(client, &self.log, &self.options, topic, hint);
        asked.map_err(|error| match error {
            KafkaError::Unreachable { .. } => self.unreachable(),
            other => other.into(),
        })
    }

    /// Gives the last `n_messages` of a partition to `each`, in their order, until it says false, the
    /// end of the partition or the deadline; fewer where the partition holds fewer. Blocks up to the
    /// options' timeout for an answer, and for each message.
    pub(crate) fn newest(
        &self,
        topic: &str,
        partition: i32,
        n_messages: usize,
        deadline: Instant,
        each: &mut dyn FnMut(FetchedMessage) -> bool,
    ) -> Result<(), FetchError> {
        let n_partitions = self.n_partitions(topic)?;
        let topic = topic.to_owned();
        if usize::try_from(partition).is_ok_and(|partition| partition >= n_partitions) {
            return Err(FetchError::NoPartition { topic, partition, n_partitions });
        }
        let watermarks = self.consumer.fetch_watermarks(&topic, partition, self.options.timeout);
        let (low, high) = watermarks.map_err(|error| self.failed("asking for offsets", error))?;
        let first = high.saturating_sub_unsigned(n_messages as u64).max(low);
        if first >= high {
            return Ok(());
        }
        let mut assignment = TopicPartitionList::with_capacity(1);
        let assigned = assignment
            .add_partition_offset(&topic, partition, Offset::Offset(first))
            .and_then(|()| self.consumer.assign(&assignment));
        assigned.map_err(|error| self.failed("assigning a partition", error))?;
        let result = self.read_to(&Place { topic, partition }, high, deadline, each);
        let unassigned = self.consumer.unassign();
        result?;
        unassigned.map_err(|error| self.failed("giving a partition back", error))
    }

    fn read_to(
        &self,
        place: &Place,
        end: i64,
        deadline: Instant,
        each: &mut dyn FnMut(FetchedMessage) -> bool,
    ) -> Result<(), FetchError> {
        let mut heard = Instant::now();
        while Instant::now() < deadline {
            if heard.elapsed() >= self.options.timeout {
                let (place, timeout) = (place.clone(), self.options.timeout);
                return Err(FetchError::TimedOut { place, offset: end - 1, timeout });
            }
            match self.consumer.poll(Duration::from_millis(100)) {
                None => {}
                Some(Ok(message)) => {
                    heard = Instant::now();
                    let offset = message.offset();
                    if offset >= end || !each(FetchedMessage::of(&message)) || offset + 1 == end {
                        return Ok(());
                    }
                }
                Some(Err(LibError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) if is_unanswered(&error) || is_about_group(&error) => {
                    tracing::debug!(%error, "while waiting for messages");
                }
                Some(Err(error)) => return Err(self.failed("reading messages", error)),
            }
        }
        Ok(())
    }

    fn fetch_at(&self, place: &Place, offset: i64) -> Result<FetchedMessage, FetchError> {
        let mut assignment = TopicPartitionList::with_capacity(1);
        let assigned = assignment
            .add_partition_offset(&place.topic, place.partition, Offset::Offset(offset))
            .and_then(|()| self.consumer.assign(&assignment));
        assigned.map_err(|error| self.failed("assigning a partition", error))?;
        let message = self.receive(place, offset);
        // What was fetched ahead is of no use to the next question.
        let unassigned = self.consumer.unassign();
        let message = message?;
        unassigned.map_err(|error| self.failed("giving a partition back", error))?;
        Ok(message)
    }

    /// Waits for the message of the assignment; others of the partition say that there is none.
    fn receive(&self, place: &Place, offset: i64) -> Result<FetchedMessage, FetchError> {
        let deadline = Instant::now() + self.options.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (place, timeout) = (place.clone(), self.options.timeout);
                return Err(FetchError::TimedOut { place, offset, timeout });
            }
            let next = match self.consumer.poll(left) {
                None => continue,
                Some(Ok(message)) if message.offset() == offset => {
                    return Ok(FetchedMessage::of(&message));
                }
                Some(Ok(message)) => Some(message.offset()),
                Some(Err(LibError::PartitionEOF(_))) => None,
                Some(Err(error)) if is_unanswered(&error) || is_about_group(&error) => {
                    tracing::debug!(%error, "while waiting for a message");
                    continue;
                }
                Some(Err(error)) => return Err(self.failed("reading a message", error)),
            };
            return Err(FetchError::Gap { place: place.clone(), offset, next });
        }
    }

    pub(super) fn failed(&self, action: &'static str, error: LibError) -> FetchError {
        if is_unanswered(&error) {
            return self.unreachable();
        }
        self.options.client_error(action)(error).into()
    }

    fn unreachable(&self) -> FetchError {
        // A consumer hears why only when it is polled.
        let deadline = Instant::now() + Duration::from_millis(100);
        while self.log.last_error().is_none() && Instant::now() < deadline {
            self.consumer.poll(Duration::from_millis(10));
        }
        let KafkaOptions { brokers, timeout, .. } = self.options.clone();
        let reason = self.log.last_error().unwrap_or_else(|| "no answer".to_owned());
        FetchError::Unreachable { brokers, timeout, reason }
    }
}

impl ConsumerContext for ClientLog {}

/// librdkafka looks for the coordinator of a group that it will never join.
pub(crate) fn is_about_group(error: &LibError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
                | RDKafkaErrorCode::NotCoordinator
        )
    )
}

impl FetchedMessage {
    /// A copy of all that librdkafka has of a message.
    pub(crate) fn of(message: &BorrowedMessage<'_>) -> Self {
        let owned = |value: Option<&[u8]>| value.map(<[u8]>::to_vec);
        let headers = headers(message).into_iter();
        Self {
            offset: message.offset(),
            timestamp: message.timestamp(),
            key: owned(message.key()),
            headers: headers.map(|(name, value)| (name.into_owned(), owned(value))).collect(),
            value: owned(message.payload()),
        }
    }
}
