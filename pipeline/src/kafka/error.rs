use std::time::Duration;

use crate::human::Seconds;

/// What can go wrong with a broker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// No broker answered in time.
    #[error(
        "cannot reach kafka at {brokers} within {}: {reason}; check --brokers, or wait longer \
         with --timeout", Seconds(*timeout)
    )]
    Unreachable {
        /// The bootstrap addresses.
        brokers: String,
        /// How long was waited.
        timeout: Duration,
        /// The last thing librdkafka said of it.
        reason: String,
    },
    /// A broker answered that user or password are wrong.
    #[error(
        "kafka at {brokers} refuses to let us in: {reason}; check the --kafka sasl.… properties"
    )]
    Refused {
        /// The bootstrap addresses.
        brokers: String,
        /// What librdkafka said of it, without the password.
        reason: String,
    },
    /// The broker has no such topic.
    #[error("topic '{topic}' does not exist on {brokers}; {hint}")]
    TopicMissing {
        /// The topic.
        topic: String,
        /// The bootstrap addresses.
        brokers: String,
        /// The way out.
        hint: &'static str,
    },
    /// The broker would not create a topic.
    #[error("cannot create topic '{topic}' on {brokers}: {reason}")]
    CreateTopic {
        /// The topic.
        topic: String,
        /// The bootstrap addresses.
        brokers: String,
        /// What the broker said.
        reason: String,
    },
    /// librdkafka does not take a property.
    #[error("kafka property '{key}' is refused: {reason}; check --kafka")]
    Property {
        /// The property's name; its value may be a secret.
        key: String,
        /// What librdkafka said.
        reason: String,
    },
    /// A message was not acknowledged.
    #[error("topic '{topic}': the broker did not take a message of {bytes} bytes: {reason}")]
    Delivery {
        /// The topic.
        topic: String,
        /// Size of the value.
        bytes: usize,
        /// What librdkafka said.
        reason: String,
    },
    /// Anything else of librdkafka's.
    #[error("kafka at {brokers}: {action} failed")]
    Client {
        /// The bootstrap addresses.
        brokers: String,
        /// What was tried.
        action: &'static str,
        /// What librdkafka said.
        source: rdkafka::error::KafkaError,
    },
}
