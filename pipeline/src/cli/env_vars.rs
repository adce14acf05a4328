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
/// Default of `--clickhouse-ca`.
pub(crate) const CLICKHOUSE_CA: &str = "VOLLEY_CLICKHOUSE_CA";
/// Default of `--clickhouse-cert`.
pub(crate) const CLICKHOUSE_CERT: &str = "VOLLEY_CLICKHOUSE_CERT";
/// Default of `--clickhouse-key`.
pub(crate) const CLICKHOUSE_KEY: &str = "VOLLEY_CLICKHOUSE_KEY";
/// Default of `--kafka-file`.
pub(crate) const KAFKA_FILE: &str = "VOLLEY_KAFKA_FILE";
/// Secrets, and the librdkafka properties that they are.
pub(crate) const KAFKA_SECRETS: [(&str, &str); 2] = [
    ("VOLLEY_KAFKA_SASL_PASSWORD", "sasl.password"),
    ("VOLLEY_KAFKA_SSL_KEY_PASSWORD", "ssl.key.password"),
];
/// Filter of the log in the syntax of tracing's `EnvFilter`; goes before `-v` and `-q`.
pub(crate) const LOG: &str = "VOLLEY_LOG";
