//! The embedded stack, used the way that its users do.
//!
//! Tests of the engine need libchdb (`VOLLEY_LIBCHDB` or the cache), those of clickhouse-connect a
//! Python that has it (`VOLLEY_PYTHON`). What is missing is said on stderr, and fails the test
//! under `VOLLEY_NO_SKIP=1`.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

mod broker;
mod clickhouse_connect;
mod client_crate;
mod curl;
mod hostile;
mod lifecycle;
mod support;
