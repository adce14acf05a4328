//! What is read: events of the consumer to messages of the planner.

use std::time::Instant;

use bytes::Bytes;
use rdkafka::{Message as _, error::KafkaError as LibError, message::BorrowedMessage};
use volley_core::headers::{MessageHeaders, checksum};

use super::{
    super::{
        LoadError, Message, MessageProblem, Received, consumer::Consumer, dead_letters::Cause,
    },
    Loading,
};
use crate::kafka::{FetchedMessage, headers, is_unanswered};

impl Loading {
    pub(super) async fn receive(
        &mut self,
        consumer: &Consumer,
        received: Result<BorrowedMessage<'_>, LibError>,
    ) -> Result<(), LoadError> {
        match received {
            Ok(message) => self.accept(consumer, &message).await,
            Err(LibError::PartitionEOF(partition)) => {
                self.lanes.reached_end(partition);
                self.planner.reached_end(partition, self.start.elapsed());
                self.observer.reached_end(partition);
                Ok(())
            }
            Err(error @ LibError::MessageConsumptionFatal(_)) => {
                Err(consumer.error("reading", error).into())
            }
            // The client says so itself, and not each time.
            Err(error) if is_unanswered(&error) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "reading from kafka failed; trying again");
                Ok(())
            }
        }
    }

    async fn accept(
        &mut self,
        consumer: &Consumer,
        received: &BorrowedMessage<'_>,
    ) -> Result<(), LoadError> {
        let (partition, offset) = (received.partition(), received.offset());
        if !self.lanes.has(partition) || self.is_leaving(partition) {
            return Ok(());
        }
        if self.is_past_bound(consumer, partition, offset) {
            self.lanes.read(partition, offset);
            self.observer.reached_end(partition);
            return Ok(());
        }
        let headers = message_headers(received);
        let message = match self.look_into(received, &headers) {
            Ok(message) => message,
            Err(problem) => {
                self.put_aside(received, problem).await?;
                let checksum = received.payload().map_or(0, checksum);
                Message::skipped(partition, offset, checksum)
            }
        };
        self.last_activity = Instant::now();
        self.first_message.get_or_insert(self.last_activity);
        self.lanes.read(partition, offset);
        let timestamp_ms = received.timestamp().to_millis();
        self.observer.received(partition, noted(&message, &headers, timestamp_ms));
        self.n_inflight_bytes += message.payload.len();
        let mut cut = Vec::new();
        self.planner.push(message, self.start.elapsed(), &mut cut);
        self.queue(cut);
        Ok(())
    }

    fn look_into(
        &mut self,
        received: &BorrowedMessage<'_>,
        headers: &MessageHeaders,
    ) -> Result<Message, MessageProblem> {
        let payload = received.payload().ok_or(MessageProblem::NoValue)?;
        let checksum = check_sum(headers, payload)?;
        let (schema, n_rows) = self.schemas.read(payload)?;
        let (partition, offset) = (received.partition(), received.offset());
        let payload = Bytes::copy_from_slice(payload);
        Ok(Message { partition, offset, schema: Some(schema), n_rows, checksum, payload })
    }

    /// Stops the run where there is no dead-letter topic.
    async fn put_aside(
        &mut self,
        received: &BorrowedMessage<'_>,
        reason: MessageProblem,
    ) -> Result<(), LoadError> {
        let (partition, offset) = (received.partition(), received.offset());
        let topic = self.options.topic.clone();
        let Some(dead_letters) = &self.dead_letters else {
            return Err(LoadError::Message { topic, partition, offset, reason });
        };
        let cause = Cause::of_message(&reason);
        let put = dead_letters.put(partition, FetchedMessage::of(received), &cause).await;
        put.map_err(|error| {
            let source = Box::new(error);
            LoadError::DeadLetter { topic, partition, offset, source }
        })?;
        self.summary.dead_letters += 1;
        Ok(())
    }
}

/// What an observer hears of a message. The rows of one that was put aside are never queryable.
fn noted(message: &Message, headers: &MessageHeaders, timestamp_ms: Option<i64>) -> Received {
    let times = headers.time_range.filter(|_| message.schema.is_some());
    Received {
        offset: message.offset,
        n_rows: message.n_rows as u64,
        timestamp_ms,
        oldest_us: times.map(|range| range.min_us),
    }
}

fn message_headers(message: &BorrowedMessage<'_>) -> MessageHeaders {
    let headers = headers(message);
    let pairs = headers.iter().map(|(name, value)| (&**name, value.unwrap_or_default()));
    MessageHeaders::parse(pairs)
}

/// Checksum of the value, compared with the one in its headers, if they have one.
fn check_sum(headers: &MessageHeaders, payload: &[u8]) -> Result<u32, MessageProblem> {
    let found = checksum(payload);
    match headers.crc32c {
        Some(expected) if found != expected => Err(MessageProblem::Checksum { found, expected }),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Schema;
    use volley_core::fingerprint::Fingerprint;

    use super::*;

    #[test]
    fn what_was_put_aside_is_never_fresh() {
        let pairs = [("volley-min-ts", b"5".as_slice()), ("volley-max-ts", b"9".as_slice())];
        let headers = MessageHeaders::parse(pairs);
        let aside = Message::skipped(0, 3, 0);
        let sound = Message { schema: Some(Fingerprint::of(&Schema::empty())), ..aside.clone() };
        let times = [aside, sound].map(|message| noted(&message, &headers, Some(7)));
        assert_eq!(times.map(|noted| noted.oldest_us), [None, Some(5)]);
        assert_eq!(times.map(|noted| (noted.offset, noted.timestamp_ms)), [(3, Some(7)); 2]);
    }
}
