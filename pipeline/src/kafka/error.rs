use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode as Code;

use crate::{human::Seconds, turn::Failure};

/// What can go wrong with a broker.
#[derive(Clone, Debug, thiserror::Error)]
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

impl Failure for KafkaError {
    /// Of an answer that names a reason, those that brokers call retriable and that last no longer than
    /// an election or a restart.
    fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Client { source, .. } => {
                super::is_unanswered(source)
                    || matches!(
                        source.rdkafka_error_code(),
                        Some(
                            Code::MessageTimedOut
                                | Code::LeaderNotAvailable
                                | Code::NotLeaderForPartition
                                | Code::BrokerNotAvailable
                                | Code::ReplicaNotAvailable
                                | Code::NetworkException
                                | Code::NotEnoughReplicas
                                | Code::NotEnoughReplicasAfterAppend
                                | Code::KafkaStorageError
                                | Code::FencedLeaderEpoch
                                | Code::UnknownLeaderEpoch
                                | Code::OffsetNotAvailable
                                | Code::NotController
                        )
                    )
            }
            Self::Refused { .. }
            | Self::TopicMissing { .. }
            | Self::CreateTopic { .. }
            | Self::Property { .. }
            | Self::Delivery { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::KafkaError as LibError;

    use super::*;

    #[test]
    fn what_an_election_ends_may_pass_and_a_refusal_does_not() {
        let may_pass = |code| {
            let source = LibError::MessageProduction(code);
            KafkaError::Client { brokers: String::new(), action: "writing", source }.may_pass()
        };
        assert!([Code::MessageTimedOut, Code::NotLeaderForPartition].into_iter().all(may_pass));
        assert!(!may_pass(Code::TopicAuthorizationFailed) && !may_pass(Code::MessageSizeTooLarge));
    }
}
