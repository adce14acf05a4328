use std::time::Instant;

use rdkafka::{
    Message as _, Offset, TopicPartitionList, consumer::Consumer as _,
    error::KafkaError as LibError,
};

use super::{
    FetchError, FetchedMessage, Fetcher,
    fetch::{Place, is_about_group},
    is_unanswered,
};

/// Which offsets a partition has: from `low` to before `high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watermarks {
    pub(crate) low: i64,
    pub(crate) high: i64,
}

impl Fetcher {
    /// Every topic with its number of partitions, in order of names; those that Kafka keeps for
    /// itself are left out.
    pub(crate) fn topics(&self) -> Result<Vec<(String, usize)>, FetchError> {
        let metadata = self.consumer.fetch_metadata(None, self.options.timeout);
        let metadata = metadata.map_err(|error| self.failed("asking for topics", error))?;
        let topics = metadata.topics().iter().filter(|topic| !topic.name().starts_with("__"));
        let mut topics: Vec<_> =
            topics.map(|topic| (topic.name().to_owned(), topic.partitions().len())).collect();
        topics.sort();
        Ok(topics)
    }

    /// The offsets that a partition has.
    pub(crate) fn watermarks(&self, topic: &str, partition: i32) -> Result<Watermarks, FetchError> {
        let asked = self.consumer.fetch_watermarks(topic, partition, self.options.timeout);
        let (low, high) = asked.map_err(|error| self.failed("asking for offsets", error))?;
        Ok(Watermarks { low, high })
    }

    /// The messages at the offsets from `first` to before `end`, in order: fewer where they come to
    /// `max_bytes`, but one at least; offsets that were compacted away have none.
    ///
    /// Returns with them the offset after which nothing was read. Blocks up to the options' timeout.
    pub(crate) fn fetch_range(
        &self,
        topic: &str,
        partition: i32,
        first: i64,
        end: i64,
        max_bytes: usize,
    ) -> Result<(Vec<FetchedMessage>, i64), FetchError> {
        if first >= end {
            return Ok((Vec::new(), end));
        }
        let mut assignment = TopicPartitionList::with_capacity(1);
        let assigned = assignment
            .add_partition_offset(topic, partition, Offset::Offset(first))
            .and_then(|()| self.consumer.assign(&assignment));
        assigned.map_err(|error| self.failed("assigning a partition", error))?;
        let place = Place { topic: topic.to_owned(), partition };
        let received = self.receive_range(place, first, end, max_bytes);
        let unassigned = self.consumer.unassign();
        let received = received?;
        unassigned.map_err(|error| self.failed("giving a partition back", error))?;
        Ok(received)
    }

    fn receive_range(
        &self,
        place: Place,
        first: i64,
        end: i64,
        max_bytes: usize,
    ) -> Result<(Vec<FetchedMessage>, i64), FetchError> {
        let deadline = Instant::now() + self.options.timeout;
        let (mut messages, mut next, mut left_bytes) = (Vec::new(), first, max_bytes);
        while next < end {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                if !messages.is_empty() {
                    break;
                }
                let timeout = self.options.timeout;
                return Err(FetchError::TimedOut { place, offset: next, timeout });
            }
            match self.consumer.poll(left) {
                None => {}
                Some(Ok(message)) if message.offset() >= end => next = end,
                Some(Ok(message)) => {
                    let bytes = message.payload_len() + message.key_len();
                    if bytes > left_bytes && !messages.is_empty() {
                        break;
                    }
                    left_bytes = left_bytes.saturating_sub(bytes);
                    next = message.offset() + 1;
                    messages.push(FetchedMessage::of(&message));
                }
                Some(Err(LibError::PartitionEOF(_))) => next = end,
                Some(Err(error)) if is_unanswered(&error) || is_about_group(&error) => {
                    tracing::debug!(%error, "while waiting for messages");
                }
                Some(Err(error)) => return Err(self.failed("reading messages", error)),
            }
        }
        Ok((messages, next))
    }
}
