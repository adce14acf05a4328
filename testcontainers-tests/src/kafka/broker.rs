use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};

use super::{
    Cluster, KafkaError,
    access::User,
    address,
    properties::{MECHANISMS, properties},
};
use crate::tether::Tethered;

/// How long a start may take on a busy machine; an idle one needs 5 s.
const START_LIMIT: Duration = Duration::from_secs(120);

/// Quick to start and small, at the price of peak speed.
const JVM: &[&str] = &[
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
];

/// One broker of a cluster, running or not.
#[derive(Debug)]
pub(super) struct Broker {
    idx: usize,
    process: Option<Tethered>,
}

impl Broker {
    /// Sets the broker up and starts it.
    pub(super) fn start(cluster: &Cluster, idx: usize) -> Result<Self, KafkaError> {
        let folder = cluster.broker_folder(idx);
        fs::create_dir(&folder)?;
        fs::write(config_path(&folder), properties(cluster, idx, &folder.join("data")))?;
        format_storage(cluster, idx)?;
        let mut broker = Self { idx, process: None };
        broker.restart(cluster)?;
        Ok(broker)
    }

    /// Starts it on the data that it has, and waits until it knows of every broker.
    pub(super) fn restart(&mut self, cluster: &Cluster) -> Result<(), KafkaError> {
        let mut server = java(cluster, "kafka.Kafka");
        server.arg(config_path(&cluster.broker_folder(self.idx)));
        let log = cluster.log_path(self.idx);
        self.process = Some(Tethered::start(&server, &log, &cluster.folder)?);
        self.wait_until_complete(cluster)
    }

    /// Ends as on `kill`: its partitions go to other brokers first.
    pub(super) fn stop(&mut self) {
        self.end("TERM");
    }

    /// Ends as on `kill -9`.
    pub(super) fn kill(&mut self) {
        self.end("KILL");
    }

    fn end(&mut self, signal: &str) {
        if let Some(process) = self.process.take() {
            // However it ended: it is gone.
            let _ = process.end(signal);
        }
    }

    fn wait_until_complete(&mut self, cluster: &Cluster) -> Result<(), KafkaError> {
        let started = Instant::now();
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", address(cluster.ports[self.idx].plain))
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "100")
            // Refused connections are what this waits through.
            .set("log_level", "0")
            .create()
            .map_err(io::Error::other)?;
        loop {
            let metadata = client.fetch_metadata(None, Duration::from_millis(500));
            if metadata.is_ok_and(|metadata| metadata.brokers().len() == cluster.ports.len()) {
                return Ok(());
            }
            let has_ended = self.process.as_mut().is_none_or(Tethered::has_ended);
            if has_ended || started.elapsed() > START_LIMIT {
                return Err(KafkaError::Start { log: cluster.log_tail(self.idx) });
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Its data goes with it, so it need not be asked.
        self.kill();
    }
}

/// Makes its data folder, with the user in it.
fn format_storage(cluster: &Cluster, broker_idx: usize) -> Result<(), KafkaError> {
    let mut format = java(cluster, "kafka.tools.StorageTool");
    format.args(["format", "--cluster-id", "AAAAAAAAAAAAAAAAAAAAAQ"]);
    for mechanism in MECHANISMS {
        let User { name, password } = &cluster.user;
        format.args(["--add-scram", &format!("{mechanism}=[name={name},password={password}]")]);
    }
    format.arg("--config").arg(config_path(&cluster.broker_folder(broker_idx)));
    let output = format.stdin(Stdio::null()).output()?;
    fs::write(cluster.log_path(broker_idx), [output.stdout, output.stderr].concat())?;
    if output.status.success() {
        return Ok(());
    }
    Err(KafkaError::Start { log: cluster.log_tail(broker_idx) })
}

fn java(cluster: &Cluster, main_class: &str) -> Command {
    let mut java = Command::new("java");
    java.args(JVM).arg("-cp").arg(cluster.jars.join("*")).arg(main_class);
    java
}

fn config_path(folder: &Path) -> PathBuf {
    folder.join("server.properties")
}
