//! Arrow micro-batches, without IO.
//!
//! ```text
//!  rows ──▶ MicroBatcher ──RecordBatch──▶ Encoder ──IPC payload + MessageHeaders──▶ (a Kafka message)
//!                                                                                        │
//!  RecordBatch ◀── decode ◀──────────────────────────────────────────────────────────────┘
//! ```
//!
//! * [`batcher`] gathers rows and cuts record batches by rows, bytes or age.
//! * [`host`] is the host-metrics schema, its row and its columnar builder.
//! * [`codec`] names the compressions and framings; [`encode`] and [`decode`] apply them.
//! * [`fingerprint`] and [`headers`] describe a payload to whoever reads the message.
//! * [`layout`] walks the structure of any bytes without trusting them, before arrow-ipc sees them.
//! * [`inspect`] summarises a payload for people and programs.
//! * [`view`] opens a payload for looking at: rows, columns and bytes, damaged or not.
//! * [`splice`] makes one stream of many payloads without decoding them.
//! * [`tune`] finds the batch size and the codec that suit some rows; [`advice`] says what makes a
//!   payload larger than it needs to be; [`chart`] draws.
//! * [`origin`] adds columns to them that say which message a row comes from.
//! * [`clickhouse`] maps an Arrow schema to ClickHouse columns and table definitions.
//!
//! Nothing here reads a clock, starts a thread or does IO, so the same code runs in the command
//! line, in a browser and under a property test. Bytes that come from outside are never trusted.

#![warn(missing_docs)]

pub mod advice;
pub mod batcher;
pub mod chart;
pub mod clickhouse;
pub mod codec;
mod compress;
mod concat;
pub mod decode;
pub mod encode;
pub mod fingerprint;
pub mod head;
pub mod headers;
pub mod host;
pub mod inspect;
pub mod layout;
pub mod origin;
pub mod splice;
pub mod tune;
pub mod view;
