use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::kafka::{FetchError, KafkaError};

/// Why a request was not answered; in JSON an object with `error`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ApiError {
    #[error(
        "this host is not served: use the address that was printed, or allow it with --allow-host"
    )]
    ForeignHost,
    #[error("requests of another origin are refused")]
    ForeignOrigin,
    #[error("a token is needed: use the address that was printed, which has it")]
    Token,
    #[error("no such thing in the API")]
    NoSuchPath,
    #[error("there is no file {index}: {n} were given")]
    NoFile { index: usize, n: usize },
    #[error("cannot read {name}: {source}")]
    File { name: String, source: std::io::Error },
    #[error("{name} is {bytes} bytes, and at most {max} are served; raise --max-bytes")]
    TooLarge { name: String, bytes: u64, max: u64 },
    #[error("no kafka: start it with --brokers")]
    NoKafka,
    #[error(
        "topic '{0}' is not among those that were given by --topic, or no topic can have that name"
    )]
    HiddenTopic(String),
    #[error("the message has no value: it is a tombstone")]
    Tombstone,
    #[error("too much is going on: {0} at a time")]
    Busy(&'static str),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error("it stopped half way")]
    Stopped,
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::ForeignHost | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::Token => StatusCode::UNAUTHORIZED,
            Self::NoSuchPath
            | Self::NoFile { .. }
            | Self::NoKafka
            | Self::HiddenTopic(_)
            | Self::Tombstone
            | Self::Kafka(KafkaError::TopicMissing { .. })
            | Self::Fetch(
                FetchError::NoPartition { .. }
                | FetchError::OutOfRange { .. }
                | FetchError::Empty { .. }
                | FetchError::Gap { .. }
                | FetchError::Kafka(KafkaError::TopicMissing { .. }),
            ) => StatusCode::NOT_FOUND,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::File { .. } | Self::Stopped => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Fetch(_) | Self::Kafka(_) => StatusCode::BAD_GATEWAY,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = serde_json::json!({ "error": self.to_string() }).to_string();
        (self.status(), [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}
