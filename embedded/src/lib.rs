//! A Kafka broker and ClickHouse's own engine inside this process, on loopback.
//!
//! **For trying out and testing.** Nothing that production code depends on: the broker forgets
//! messages once a partition holds a few megabytes, and the engine serves one process on one
//! machine with no access control worth the name. Both speak the real protocols, so what works
//! against them is written the way it works against the real servers.
//!
//! ```text
//!  producer ──Kafka protocol──▶ EmbeddedBroker        librdkafka's broker, in memory
//!  loader   ──HTTP interface──▶ EmbeddedClickHouse    libchdb: ClickHouse's engine and its readers
//! ```
//!
//! - [`EmbeddedBroker`] (feature `broker`) is librdkafka's own test broker.
//! - [`EmbeddedClickHouse`] (feature `engine`) loads `libchdb` at run time and answers ClickHouse's
//!   HTTP interface. The body of an INSERT reaches the engine as the bytes that the client sent.
//! - [`cache`] (always) says where the library lies once set-up has fetched it.

#[cfg(feature = "broker")]
mod broker;
pub mod cache;
#[cfg(feature = "engine")]
mod chdb;
#[cfg(feature = "engine")]
mod clickhouse;

#[cfg(feature = "broker")]
pub use broker::{BrokerError, EmbeddedBroker};
#[cfg(feature = "engine")]
pub use clickhouse::{ClickHouseError, ClickHouseOptions, EmbeddedClickHouse};

/// What to tell the user when a part of this crate starts.
pub const NOTICE: &str = "the embedded broker and ClickHouse are for trying out and testing: \
    loopback only, the broker keeps about 5 MB a partition in memory, nothing is replicated";
