//! Kafka through librdkafka: how clients are configured, what can go wrong, what a topic is like.

mod address;
mod client;
mod error;
mod fetch;
mod headers;
mod range;
mod sender;
mod topic;

pub(crate) use address::is_topic;
pub use address::{MessageAddress, MessageOffset, ParseAddressError};
pub(crate) use client::{ClientLog, create};
pub use client::{KafkaOptions, ParsePropertyError, Property};
pub use error::KafkaError;
pub(crate) use fetch::{FetchError, FetchedMessage, Fetcher, is_about_group};
pub(crate) use headers::headers;
pub use sender::{Delivered, DeliveryObserver, Outgoing, Sender, SenderOptions};
pub(crate) use topic::{
    TopicConfig, create_topic, delete_topic, is_in_process_broker, is_unanswered, knock,
    message_limit, require_topic, topic_config,
};
