//! Who is compared, and the commands that run them.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use serde::Serialize;
use volley_core::{
    clickhouse::{TableOptions, create_table},
    host::MetricSet,
};

use crate::stack::Programs;

/// Rows of a message, for everyone.
pub(crate) const MESSAGE_ROWS: u64 = 1000;

/// Rows of an insert, for everyone who can say so.
const BLOCK_ROWS: u64 = 500_000;

/// Partitions of a topic.
pub(crate) const N_PARTITIONS: i32 = 2;

/// Who fills a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sender {
    /// `volley produce`.
    Volley,
    /// `peers/produce.py`.
    Python,
    /// `rows produce`: JSON lines.
    Rows,
}

/// Who fills a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Party {
    /// `volley produce`, `volley load`
    Volley,
    /// Bytewax, pyarrow, psutil, confluent-kafka, clickhouse-connect
    Python,
    /// ClickHouse's Kafka engine and a materialized view, on Volley's messages
    EngineArrow,
    /// The same on JSONEachRow
    EngineJson,
    /// rdkafka, serde_json, the clickhouse crate's row inserter
    Rows,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load<'a> {
    /// So many made-up rows, as fast as it goes; Python replays the file of the same.
    Rows { n_rows: u64, file: &'a Path },
    /// Samples of this machine.
    Host { interval: Duration, duration: Duration, message_rows: u64, linger: Duration },
}

/// How a loader gathers rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Blocks {
    pub(crate) age: Duration,
    /// Whether it ends with the topic; else it is stopped.
    pub(crate) ends: bool,
}

impl Sender {
    pub(crate) const ALL: [Self; 3] = [Self::Volley, Self::Python, Self::Rows];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Volley => "Volley",
            Self::Python => "Python",
            Self::Rows => "JSON rows in Rust",
        }
    }

    /// In names of topics.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Volley => "volley",
            Self::Python => "python",
            Self::Rows => "rows",
        }
    }

    pub(crate) fn command(
        self,
        programs: &Programs,
        brokers: &str,
        topic: &str,
        load: Load<'_>,
    ) -> Command {
        match self {
            Self::Volley => volley_produce(programs, brokers, topic, load),
            Self::Python => {
                let mut command = Command::new(&programs.python);
                command.arg(programs.peers.join("produce.py")).args([brokers, topic]);
                match load {
                    Load::Rows { file, .. } => {
                        command.args([&MESSAGE_ROWS.to_string(), "replay"]).arg(file);
                    }
                    Load::Host { interval, duration, message_rows, linger } => {
                        command.args([&message_rows.to_string(), "host"]);
                        let times = [interval, linger, duration];
                        command.args(times.map(|time| time.as_secs_f64().to_string()));
                    }
                }
                command
            }
            Self::Rows => {
                let mut command = Command::new(&programs.rows);
                command.args(["produce", "--brokers", brokers, "--topic", topic]);
                match load {
                    Load::Rows { n_rows, .. } => {
                        command.args(["--rows", &n_rows.to_string()]);
                        command.args(["--rows-per-message", &MESSAGE_ROWS.to_string()]);
                    }
                    Load::Host { interval, duration, message_rows, linger } => {
                        command.args(["--rows-per-message", &message_rows.to_string()]);
                        command.args(["--interval-ms", &interval.as_millis().to_string()]);
                        command.args(["--duration-ms", &duration.as_millis().to_string()]);
                        command.args(["--linger-ms", &linger.as_millis().to_string()]);
                    }
                }
                command
            }
        }
    }
}

fn volley_produce(programs: &Programs, brokers: &str, topic: &str, load: Load<'_>) -> Command {
    let mut command = Command::new(&programs.volley);
    command.args(["produce", "--brokers", brokers, "--topic", topic, "--format", "json"]);
    command.args(["--codec", "zstd:1", "--key-column", "none"]);
    match load {
        Load::Rows { n_rows, .. } => {
            command.args(["--source", "synthetic", "--seed", "1", "--devices", "10"]);
            command.args(["--rows", &n_rows.to_string()]);
            command.args(["--rows-per-batch", &MESSAGE_ROWS.to_string()]);
        }
        Load::Host { interval, duration, message_rows, linger } => {
            command.args(["--rows-per-batch", &message_rows.to_string()]);
            command.args(["--interval", &milliseconds(interval)]);
            command.args(["--duration", &milliseconds(duration)]);
            command.args(["--linger", &milliseconds(linger)]);
        }
    }
    command
}

fn milliseconds(time: Duration) -> String {
    format!("{}ms", time.as_millis())
}

impl Party {
    pub(crate) const ALL: [Self; 5] =
        [Self::Volley, Self::Python, Self::EngineArrow, Self::EngineJson, Self::Rows];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Volley => "Volley",
            Self::Python => "Python",
            Self::EngineArrow => "Kafka engine, ArrowStream",
            Self::EngineJson => "Kafka engine, JSONEachRow",
            Self::Rows => "JSON rows in Rust",
        }
    }

    /// In names of topics.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Volley => "volley",
            Self::Python => "python",
            Self::EngineArrow => "engine-arrow",
            Self::EngineJson => "engine-json",
            Self::Rows => "rows",
        }
    }

    /// Whose messages it loads.
    pub(crate) fn sender(self) -> Sender {
        match self {
            Self::Volley | Self::EngineArrow => Sender::Volley,
            Self::Python => Sender::Python,
            Self::EngineJson | Self::Rows => Sender::Rows,
        }
    }

    /// Its consumer group: several parties read one topic, each from its beginning.
    fn group(self, topic: &str) -> String {
        format!("{topic}-{}", self.id())
    }

    /// Makes its table `rows`: that of `volley load`, whose memory of inserted blocks the others do
    /// without, because they would pay for it and get nothing.
    pub(crate) fn table(self) -> Result<String> {
        let window = if self == Self::Volley { 10_000 } else { 0 };
        let options = TableOptions {
            engine: "ReplacingMergeTree".to_owned(),
            order_by: "device, ts".to_owned(),
            partition_by: None,
            ttl: None,
            deduplication_window: window,
        };
        let schema = MetricSet::Basic.schema();
        create_table("rows", &schema, &options).context("the table of host metrics")
    }

    /// The program that loads; `None` where that is the engine itself, by [`Self::statements`].
    pub(crate) fn command(
        self,
        programs: &Programs,
        brokers: &str,
        topic: &str,
        clickhouse: &str,
        blocks: Blocks,
    ) -> Option<Command> {
        let (age, group) = (blocks.age, self.group(topic));
        match self {
            Self::Volley => {
                let mut command = Command::new(&programs.volley);
                command.args(["load", "--brokers", brokers, "--topic", topic]);
                command.args(["--group", &group]);
                command.args(["--clickhouse", clickhouse, "--table", "default.rows"]);
                command.args(["--block-rows", &BLOCK_ROWS.to_string(), "--format", "json"]);
                command.args(["--block-age", &milliseconds(age)]);
                if blocks.ends {
                    command.args(["--until-idle", "500ms"]);
                }
                Some(command)
            }
            Self::Python => {
                let port = clickhouse.rsplit(':').next().unwrap_or_default();
                let mut command = Command::new(&programs.python);
                command.arg(programs.peers.join("load.py")).args([brokers, topic, port, "rows"]);
                command.arg((BLOCK_ROWS / MESSAGE_ROWS).to_string());
                command.arg(age.as_secs_f64().to_string());
                command.arg(if blocks.ends { "all" } else { "for-ever" });
                Some(command)
            }
            Self::Rows => {
                let mut command = Command::new(&programs.rows);
                command.args(["load", "--brokers", brokers, "--topic", topic]);
                command.args(["--group", &group, "--clickhouse", clickhouse, "--table", "rows"]);
                command.args(["--block-rows", &BLOCK_ROWS.to_string()]);
                command.args(["--block-age-ms", &age.as_millis().to_string()]);
                if blocks.ends {
                    command.args(["--until-idle-ms", "500"]);
                }
                Some(command)
            }
            Self::EngineArrow | Self::EngineJson => None,
        }
    }

    /// What makes the engine load by itself: a table that reads the topic, and a view that moves its
    /// rows. A consumer for each partition, each on a thread of its own.
    pub(crate) fn statements(self, brokers: &str, topic: &str, blocks: Blocks) -> [String; 2] {
        let (format, ts, moved) = match self {
            Self::EngineJson => {
                ("JSONEachRow", "Int64", "* EXCEPT ts, fromUnixTimestamp64Micro(ts) AS ts")
            }
            _ => ("ArrowStream", "DateTime64(6)", "*"),
        };
        let queue = format!(
            "CREATE TABLE queue (device String, ts {ts}, cpu_used Float32, cpu_free Float32, \
             memory_used Float32, memory_free Float32, run_elapsed_ms Int32) ENGINE = Kafka \
             SETTINGS kafka_broker_list = '{brokers}', kafka_topic_list = '{topic}', \
             kafka_group_name = '{group}', kafka_format = '{format}', \
             kafka_num_consumers = {N_PARTITIONS}, kafka_thread_per_consumer = 1, \
             kafka_max_block_size = {BLOCK_ROWS}, kafka_flush_interval_ms = {age}, \
             kafka_poll_timeout_ms = {poll}",
            group = self.group(topic),
            age = blocks.age.as_millis(),
            poll = blocks.age.as_millis().min(100),
        );
        [queue, format!("CREATE MATERIALIZED VIEW view TO rows AS SELECT {moved} FROM queue")]
    }
}
