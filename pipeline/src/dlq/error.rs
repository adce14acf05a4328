use std::{io, path::PathBuf, time::Duration};

use super::LetterId;
use crate::{human::Seconds, kafka::KafkaError};

/// Why dead letters could not be read, written to files, or sent back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DlqError {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(
        "topic '{topic}' partition {partition}: nothing came for {}; wait longer with --timeout",
        Seconds(*timeout)
    )]
    TimedOut { topic: String, partition: i32, timeout: Duration },
    #[error("topic '{topic}' has no dead letter {id}; see volley dlq list --all")]
    NoLetter { topic: String, id: LetterId },
    #[error("{} is there already; choose another folder, or replace it with --force", path.display())]
    Exists { path: PathBuf },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error(
        "another replay of topic '{topic}' has begun, so this one has ended; what it sent counts \
         only as far as it said"
    )]
    Fenced { topic: String },
    #[error("{action} failed: {reason}{hint}")]
    Transaction { action: &'static str, reason: String, hint: &'static str },
    #[error("topic '{topic}': the broker did not take {what}: {reason}")]
    NotTaken { topic: String, what: String, reason: String },
}
