//! The servers that every party uses: one broker for all, an engine for each load.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rdkafka::{
    ClientConfig, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    types::RDKafkaErrorCode,
};
use rustix::process::Pid;
use tokio::runtime::Runtime;
use volley::clickhouse::{ClickHouse, ClickHouseOptions, TlsOptions};
use volley_e2e::{KafkaSize, NativeKafka, committed_offsets};

use crate::process::{self, Program};

/// Apache Kafka in a process of its own.
pub(crate) struct Broker {
    kafka: NativeKafka,
    pid: Pid,
    admin: AdminClient<DefaultClientContext>,
}

impl Broker {
    pub(crate) fn start() -> Result<Self> {
        let kafka = NativeKafka::start(KafkaSize::ONE).context("starting Apache Kafka")?;
        let pid = process::java_child("kafka.Kafka")?;
        let admin = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap_servers())
            .create()
            .context("an admin client")?;
        let broker = Self { kafka, pid, admin };
        broker.make_offsets_topic()?;
        Ok(broker)
    }

    /// Asks for the offset of a group. The first who does waits seconds for the topic that holds them.
    fn make_offsets_topic(&self) -> Result<()> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.address());
        let mut asked = TopicPartitionList::new();
        asked.add_partition("none", 0);
        committed_offsets(config, "first", &asked).context("group offsets")?;
        Ok(())
    }

    pub(crate) fn address(&self) -> &str {
        self.kafka.bootstrap_servers()
    }

    /// CPU time of its process so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        process::cpu(self.pid)
    }

    pub(crate) fn create_topic(
        &self,
        runtime: &Runtime,
        topic: &str,
        n_partitions: i32,
    ) -> Result<()> {
        let new = NewTopic::new(topic, n_partitions, TopicReplication::Fixed(1))
            // For the rivals' sake too: no message of this is refused for its size.
            .set("max.message.bytes", "10000000");
        let created = self.admin.create_topics([&new], &AdminOptions::new());
        for result in runtime.block_on(created)? {
            result.map_err(|(_, code)| code).or_else(is_there_already)?;
        }
        Ok(())
    }

    pub(crate) fn delete_topic(&self, runtime: &Runtime, topic: &str) -> Result<()> {
        let deleted = self.admin.delete_topics(&[topic], &AdminOptions::new());
        for result in runtime.block_on(deleted)? {
            result.map_err(|(_, code)| code)?;
        }
        Ok(())
    }

    /// Bytes that it keeps for a topic, record headers and Kafka's own compression included.
    pub(crate) fn topic_bytes(&self, topic: &str) -> Result<u64> {
        let mut n_bytes = 0;
        for entry in fs::read_dir(self.kafka.folder().join("broker-0/data"))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.rsplit_once('-').is_some_and(|(of, _)| of == topic) {
                for file in fs::read_dir(path)? {
                    let file = file?.path();
                    if file.extension().is_some_and(|extension| extension == "log") {
                        n_bytes += file.metadata()?.len();
                    }
                }
            }
        }
        Ok(n_bytes)
    }
}

fn is_there_already(code: RDKafkaErrorCode) -> Result<String, RDKafkaErrorCode> {
    match code {
        RDKafkaErrorCode::TopicAlreadyExists => Ok(String::new()),
        code => Err(code),
    }
}

/// ClickHouse's engine, libchdb, in a process of its own: `volley dev`, whose broker stays idle.
pub(crate) struct Engine {
    program: Program,
    clickhouse: ClickHouse,
}

/// What the engine says of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) n_rows: u64,
    /// Sum of a hash of each row, its time counted from the first one.
    pub(crate) checksum: u64,
}

impl Engine {
    pub(crate) fn start(runtime: &Runtime, volley: &Path, logs: &Path) -> Result<Self> {
        // Its data lies in a folder that it removes when it ends, also by a Ctrl-C that ends us all.
        let mut command = Command::new(volley);
        command.args(["dev", "--format", "json"]);
        let program = Program::start(&command, "engine", logs)?;
        let started = Instant::now();
        let url = loop {
            if let Ok(line) = serde_json::from_str::<serde_json::Value>(&program.output()) {
                break line["clickhouse"].as_str().context("an address")?.to_owned();
            }
            if program.has_ended() {
                return Err(program.failure());
            }
            ensure!(started.elapsed() < Duration::from_secs(60), "the engine does not start");
            thread::sleep(Duration::from_millis(20));
        };
        let timeout = Duration::from_secs(60);
        let urls = vec![url.clone()];
        let tls = TlsOptions::default();
        let options = ClickHouseOptions { urls, user: None, password: None, timeout, tls };
        let clickhouse = runtime.block_on(ClickHouse::connect(&url, &options))?;
        Ok(Self { program, clickhouse })
    }

    pub(crate) fn url(&self) -> &str {
        self.clickhouse.url()
    }

    pub(crate) fn version(&self) -> &str {
        self.clickhouse.version()
    }

    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.program.cpu()
    }

    pub(crate) fn peak_bytes(&self) -> u64 {
        self.program.peak_bytes()
    }

    pub(crate) fn execute(&self, runtime: &Runtime, sql: &str) -> Result<()> {
        runtime.block_on(self.clickhouse.execute(sql)).with_context(|| sql.to_owned())
    }

    pub(crate) fn number(&self, runtime: &Runtime, sql: &str) -> Result<i64> {
        runtime.block_on(self.clickhouse.fetch_one(sql, &[])).with_context(|| sql.to_owned())
    }

    pub(crate) fn n_rows(&self, runtime: &Runtime) -> Result<u64> {
        let n_rows = self.number(runtime, "SELECT toInt64(count()) FROM rows")?;
        Ok(u64::try_from(n_rows)?)
    }

    pub(crate) fn contents(&self, runtime: &Runtime) -> Result<Contents> {
        let sql = "WITH assumeNotNull((SELECT min(toUnixTimestamp64Micro(ts)) FROM rows)) AS first \
                   SELECT sum(cityHash64(device, toUnixTimestamp64Micro(ts) - first, cpu_used, \
                   cpu_free, memory_used, memory_free, run_elapsed_ms)) FROM rows";
        let checksum: u64 = runtime.block_on(self.clickhouse.fetch_one(sql, &[]))?;
        Ok(Contents { n_rows: self.n_rows(runtime)?, checksum })
    }

    pub(crate) fn stop(self) -> Result<()> {
        self.program.stop().map(drop)
    }
}

/// Where the programs are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) volley: PathBuf,
    pub(crate) rows: PathBuf,
    pub(crate) python: PathBuf,
    pub(crate) peers: PathBuf,
}
