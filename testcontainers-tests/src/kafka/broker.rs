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
    Cluster, KafkaError, Ports, address,
    properties::{MECHANISMS, properties},
    tether::Tethered,
};
use crate::jars;

/// How long a start may take on a busy machine; an idle one needs 5 s.
const START_LIMIT: Duration = Duration::from_secs(60);

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
    process: Option<Tethered>,
    ports: Ports,
    n_brokers: usize,
    jars: PathBuf,
    cluster_folder: PathBuf,
    /// Its own folder in that of the cluster.
    folder: PathBuf,
}

impl Broker {
    /// Sets the broker up and starts it.
    pub(super) fn start(cluster: &Cluster, idx: usize) -> Result<Self, KafkaError> {
        let folder = cluster.folder.join(format!("broker-{idx}"));
        fs::create_dir(&folder)?;
        let text = properties(cluster, idx, &folder.join("data"));
        fs::write(config_path(&folder), text)?;
        let mut broker = Self {
            process: None,
            ports: cluster.ports[idx],
            n_brokers: cluster.ports.len(),
            jars: cluster.jars.clone(),
            cluster_folder: cluster.folder.clone(),
            folder,
        };
        broker.format_storage(cluster)?;
        broker.restart()?;
        Ok(broker)
    }

    /// Starts it on the data that it has, and waits until it knows of every broker.
    pub(super) fn restart(&mut self) -> Result<(), KafkaError> {
        let mut java = Command::new("java");
        java.args(JVM).args(["-cp", &self.class_path(), "kafka.Kafka"]);
        java.arg(config_path(&self.folder));
        self.process = Some(Tethered::start(&java, &self.log_path(), &self.cluster_folder)?);
        self.wait_until_complete()
    }

    /// Ends as on `kill`: its partitions go to other brokers first.
    pub(super) fn stop(&mut self) {
        self.end("TERM");
    }

    /// Ends as on `kill -9`.
    pub(super) fn kill(&mut self) {
        self.end("KILL");
    }

    pub(super) fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The end of its log.
    pub(super) fn log_tail(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        jars::tail(&String::from_utf8_lossy(&log), 40)
    }

    fn end(&mut self, signal: &str) {
        if let Some(process) = self.process.take() {
            process.end(signal);
        }
    }

    fn format_storage(&self, cluster: &Cluster) -> Result<(), KafkaError> {
        let mut format = Command::new("java");
        format.args(JVM).args(["-cp", &self.class_path(), "kafka.tools.StorageTool", "format"]);
        format.args(["--cluster-id", "AAAAAAAAAAAAAAAAAAAAAQ"]);
        for mechanism in MECHANISMS {
            let user = &cluster.user;
            let credentials =
                format!("{mechanism}=[name={},password={}]", user.name, user.password);
            format.args(["--add-scram", &credentials]);
        }
        let output =
            format.arg("--config").arg(config_path(&self.folder)).stdin(Stdio::null()).output()?;
        fs::write(self.log_path(), [output.stdout, output.stderr].concat())?;
        if output.status.success() { Ok(()) } else { Err(self.not_started()) }
    }

    fn wait_until_complete(&mut self) -> Result<(), KafkaError> {
        let started = Instant::now();
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", address(self.ports.plain))
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "100")
            // Refused connections are what this waits through.
            .set("log_level", "0")
            .create()
            .map_err(io::Error::other)?;
        loop {
            let metadata = client.fetch_metadata(None, Duration::from_millis(500));
            if metadata.is_ok_and(|metadata| metadata.brokers().len() == self.n_brokers) {
                return Ok(());
            }
            let has_ended = self.process.as_mut().is_none_or(Tethered::has_ended);
            if has_ended || started.elapsed() > START_LIMIT {
                return Err(self.not_started());
            }
        }
    }

    fn not_started(&self) -> KafkaError {
        KafkaError::Start { log: self.log_tail() }
    }

    fn class_path(&self) -> String {
        self.jars.join("*").display().to_string()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("kafka.log")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Its data goes with it, so it need not be asked.
        self.kill();
    }
}

fn config_path(folder: &Path) -> PathBuf {
    folder.join("server.properties")
}
