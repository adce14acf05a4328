use std::{fs, num::NonZeroUsize, path::PathBuf, time::Duration};

use anyhow::Context as _;
use clap::{ArgAction, Args, ValueEnum};
use tracing_subscriber::EnvFilter;
use volley_core::{
    codec::{Codec, CodecOptions, Framing},
    host::MetricSet,
    layout,
};

use super::{clickhouse_tls::ClickHouseTlsArgs, env_vars, kafka_properties::PropertyArgs, status};
use crate::{
    clickhouse::ClickHouseOptions,
    human::{parse_bytes, parse_duration},
    kafka::{KafkaOptions, is_topic},
};

/// Flags of every command that reaches Kafka.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kafka")]
pub(crate) struct KafkaArgs {
    /// Addresses of the cluster, with commas between [default: bootstrap.servers of --kafka, or
    /// 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT", env = env_vars::BROKERS)]
    brokers: Option<String>,

    /// Topic
    #[arg(long, value_name = "NAME", default_value = "volley", value_parser = parse_topic)]
    pub(crate) topic: String,

    #[command(flatten)]
    properties: PropertyArgs,
}

pub(crate) fn parse_topic(text: &str) -> Result<String, String> {
    if is_topic(text) {
        return Ok(text.to_owned());
    }
    Err("a topic has 1 to 249 letters, digits, '.', '_' or '-'".to_owned())
}

impl KafkaArgs {
    pub(crate) fn options(&self, timeout: Duration) -> KafkaOptions {
        let brokers = self.properties.brokers(self.brokers.as_deref());
        self.properties.options(&brokers, timeout)
    }
}

/// Flags of every command that reaches ClickHouse.
#[derive(Debug, Args)]
#[command(next_help_heading = "ClickHouse")]
pub(crate) struct ClickHouseArgs {
    /// Address of its HTTP interface; with several, one of them is used until it fails, then the next.
    /// They must be replicas: what one has stored, all have
    #[arg(
        long = "clickhouse",
        value_name = "URL",
        env = env_vars::CLICKHOUSE,
        default_value = "http://127.0.0.1:8123",
        value_delimiter = ',',
        value_parser = parse_url
    )]
    urls: Vec<String>,

    /// User
    #[arg(long, value_name = "NAME", env = env_vars::CLICKHOUSE_USER)]
    user: Option<String>,

    /// Password; other users of this machine can see it here, so rather use the environment or a file
    #[arg(
        long,
        value_name = "TEXT",
        env = env_vars::CLICKHOUSE_PASSWORD,
        hide_env_values = true,
        conflicts_with = "password_file"
    )]
    password: Option<String>,

    /// File that holds the password; a line end after it does not count
    #[arg(long, value_name = "FILE", env = env_vars::CLICKHOUSE_PASSWORD_FILE)]
    password_file: Option<PathBuf>,

    #[command(flatten)]
    tls: ClickHouseTlsArgs,
}

fn parse_url(text: &str) -> Result<String, String> {
    let expected = || "expected an address such as http://127.0.0.1:8123".to_owned();
    let (scheme, rest) = text.split_once("://").ok_or_else(expected)?;
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    if !matches!(scheme, "http" | "https") || host.is_empty() {
        return Err(expected());
    }
    if host.contains('@') {
        return Err("leave the user out of the address; use --user and --password".to_owned());
    }
    if text.contains(char::is_whitespace) {
        return Err(expected());
    }
    Ok(text.to_owned())
}

impl ClickHouseArgs {
    pub(crate) fn options(self, timeout: Duration) -> anyhow::Result<ClickHouseOptions> {
        let password = match (self.password, &self.password_file) {
            (Some(password), _) => {
                if std::env::var(env_vars::CLICKHOUSE_PASSWORD).as_ref() != Ok(&password) {
                    tracing::warn!(
                        "other users of this machine can see the value of --password; rather use \
                         --password-file"
                    );
                }
                Some(password)
            }
            (None, Some(path)) => Some(read_secret(path)?),
            (None, None) => None,
        };
        let tls = self.tls.into();
        Ok(ClickHouseOptions { urls: self.urls, user: self.user, password, timeout, tls })
    }
}

fn read_secret(path: &std::path::Path) -> anyhow::Result<String> {
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read --password-file {}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// How batches become bytes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Batches")]
pub(crate) struct CodecArgs {
    /// Rows in a batch, at most
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) rows_per_batch: NonZeroUsize,

    /// Compression of a batch: none, lz4, zstd or zstd:LEVEL (1 to 22)
    #[arg(long, value_name = "CODEC", default_value = "zstd:1")]
    codec: Codec,

    /// How a batch is framed: stream, or file, which readers can seek in
    #[arg(long, value_name = "FRAMING", default_value = "stream")]
    framing: Framing,
}

impl CodecArgs {
    pub(crate) fn options(&self) -> CodecOptions {
        CodecOptions { codec: self.codec, framing: self.framing }
    }
}

/// Which columns host metrics have.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Metrics {
    /// Device, time, CPU, memory, time since the start: seven columns
    Basic,
    /// And load, swap, disks, networks, processes: sixteen columns
    Full,
}

impl From<Metrics> for MetricSet {
    fn from(metrics: Metrics) -> Self {
        match metrics {
            Metrics::Basic => Self::Basic,
            Metrics::Full => Self::Full,
        }
    }
}

/// What a command prints of its results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs: one object on one line
    Json,
}

/// Flags of every command that reads payloads, which nobody trusts.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct PayloadArgs {
    /// Most bytes that a payload may claim to have when decompressed; one that claims more is refused
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "256MiB",
        value_parser = parse_bytes
    )]
    max_batch_bytes: NonZeroUsize,
}

impl PayloadArgs {
    pub(crate) fn limits(&self) -> layout::Options {
        let max_raw_bytes = self.max_batch_bytes.get() as u64;
        layout::Options { max_raw_bytes, ..layout::Options::default() }
    }
}

/// Flags of every command that moves messages.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Most bytes of messages held at a time
    #[arg(long, value_name = "SIZE", default_value = "64MB", value_parser = parse_bytes)]
    pub(crate) max_inflight_bytes: NonZeroUsize,

    /// Longest wait for an answer of the broker or of ClickHouse before giving up
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,

    /// How to print the summary
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub(crate) format: Format,
}

/// In the help, after a command's own flags: by itself clap mixes flags of all commands among them, in
/// an order that changes with every command that is added.
const BEHIND_ALL: usize = 1000;

/// What is said beside the results.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct LogArgs {
    /// Say more on standard error; twice for everything
    #[arg(
        short,
        long,
        action = ArgAction::Count,
        global = true,
        conflicts_with = "quiet",
        display_order = BEHIND_ALL
    )]
    verbose: u8,

    /// Say nothing on standard error but errors
    #[arg(short, long, global = true, display_order = BEHIND_ALL + 1)]
    quiet: bool,

    /// Colours: where the output is a terminal and NO_COLOR is not set, always, or never
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        global = true,
        display_order = BEHIND_ALL + 2
    )]
    color: Color,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl LogArgs {
    /// Sets colours and the log up for the rest of the process. `level` is how much is said without
    /// flags.
    pub(crate) fn init(&self, level: &str) {
        match self.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        if self.quiet {
            status::be_quiet();
        }
        let level = match (self.quiet, self.verbose) {
            (true, _) => "error",
            (false, 0) => level,
            (false, 1) => "info,volley=debug,volley_embedded=debug",
            (false, _) => "trace",
        };
        let filter = std::env::var(env_vars::LOG).unwrap_or_default();
        let filter = if filter.is_empty() {
            EnvFilter::new(level)
        } else {
            EnvFilter::builder().parse_lossy(filter)
        };
        let is_colored =
            anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(|| status::LogWriter)
            .with_ansi(is_colored)
            .with_target(self.verbose > 1)
            .compact()
            .init();
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Payload {
        #[command(flatten)]
        payload: PayloadArgs,
    }

    #[test]
    fn the_default_limit_is_the_one_of_the_walk() {
        let default = Payload::parse_from(["volley"]).payload.limits();
        assert_eq!(default.max_raw_bytes, layout::Options::default().max_raw_bytes);
    }

    #[test]
    fn addresses_are_http_without_secrets() {
        for right in ["http://127.0.0.1:8123", "https://ch.example/path?x=1", "http://[::1]:8123/"]
        {
            assert_eq!(parse_url(right), Ok(right.to_owned()));
        }
        for wrong in
            ["", "localhost:8123", "tcp://h:9000", "http://", "http://u:p@h:8123", "http://a b"]
        {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn topics_are_what_kafka_takes() {
        assert!(parse_topic("a.b_c-D9").is_ok());
        for wrong in ["", ".", "..", "a b", "ä", &"x".repeat(250)] {
            assert!(parse_topic(wrong).is_err(), "{wrong}");
        }
    }
}
