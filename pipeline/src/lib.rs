//! Volley moves rows as Arrow micro-batches: it samples, packs them into record batches, writes
//! each as compressed Arrow IPC into Kafka and loads them into ClickHouse.
//!
//! ```text
//!  source ──rows──▶ produce ──IPC messages──▶ Kafka topic ──▶ load ──one INSERT a block──▶ ClickHouse
//! ```
//!
//! This crate is the command line `volley` and what it is made of. Bytes of Arrow IPC are the
//! business of `volley-core`; here are the clock, the network and the user.

pub mod cli;
pub mod clickhouse;
pub mod demo;
mod dlq;
pub mod exit;
pub mod human;
pub mod kafka;
pub mod load;
pub mod observe;
pub mod produce;
pub mod shutdown;
pub mod source;
pub mod tune;
mod turn;
mod view;
