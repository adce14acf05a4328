//! What users of the binary `volley` see: exit codes, output, files, and that no row is lost
//! whatever goes wrong. Broker and ClickHouse are the embedded ones; a test that misses something
//! says `SKIPPED:`, or fails where `VOLLEY_NO_SKIP=1`.

// clippy.toml allows these in tests, but does not see that helpers of tests are tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod support;

mod arguments;
mod broker_gone;
mod clickhouse_gone;
mod demo;
mod dev;
mod diff;
mod dlq;
mod failover;
mod full_disk;
mod gateway;
mod help;
mod inspect;
mod limits;
mod messages;
mod observed;
mod roundtrip;
mod secrets;
mod signals;
mod table;
mod tls;
mod topic;
mod tune;
mod unreachable;
mod view;
