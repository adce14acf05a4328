//! Every environment variable that the command line reads.

/// Default of `--brokers`.
pub(crate) const BROKERS: &str = "VOLLEY_BROKERS";
/// Default of `--clickhouse`.
pub(crate) const CLICKHOUSE: &str = "VOLLEY_CLICKHOUSE";
/// Default of `--user`.
pub(crate) const CLICKHOUSE_USER: &str = "VOLLEY_CLICKHOUSE_USER";
/// Default of `--password`.
pub(crate) const CLICKHOUSE_PASSWORD: &str = "VOLLEY_CLICKHOUSE_PASSWORD";
/// Default of `--password-file`.
pub(crate) const CLICKHOUSE_PASSWORD_FILE: &str = "VOLLEY_CLICKHOUSE_PASSWORD_FILE";
/// Filter of the log in the syntax of tracing's `EnvFilter`; goes before `-v` and `-q`.
pub(crate) const LOG: &str = "VOLLEY_LOG";
