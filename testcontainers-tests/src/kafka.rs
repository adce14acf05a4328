//! Apache Kafka as a child process.

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use tempfile::TempDir;

use crate::jars::{self, JarsError};

/// How long a start may take on a busy machine; an idle one needs 5 s.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Quick to start and small, at the price of peak speed.
const JVM: &[&str] = &[
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
];

/// Runs its arguments as a program that dies when this shell's standard input ends, which it does
/// with the parent, however that ends.
const TETHER: &str = r#"exec 3<&0; { read -r _ <&3; kill -9 "$$"; } & exec "$@" 3<&- </dev/null"#;

/// Why Kafka does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// The jars, or the Java to run them.
    #[error(transparent)]
    Jars(#[from] JarsError),
    /// The process or its folder.
    #[error("apache kafka did not start")]
    Io(#[from] io::Error),
    /// It ended, or did not answer in time.
    #[error("apache kafka did not start; its log ends:\n{log}")]
    Start {
        /// The end of its log.
        log: String,
    },
}

/// One Apache Kafka broker in KRaft mode, on loopback and free ports, with its data in a temporary
/// folder.
///
/// It stops when the value is dropped, and also when this process ends in any other way. It does
/// not create topics by itself.
#[derive(Debug)]
pub struct NativeKafka {
    process: Child,
    folder: TempDir,
    bootstrap_servers: String,
}

impl NativeKafka {
    /// Starts a broker and waits until it answers: about 5 s, and the first time as long as it takes
    /// to fetch 43 MB.
    ///
    /// # Errors
    ///
    /// [`KafkaError`], with the end of the broker's log.
    pub fn start() -> Result<Self, KafkaError> {
        let jars = jars::ensure()?;
        // A port that was free may be taken by the time Kafka listens on it.
        let mut n_tries_left = 3;
        loop {
            n_tries_left -= 1;
            match Self::try_start(&jars) {
                Err(KafkaError::Start { log })
                    if n_tries_left > 0 && log.contains("Address already in use") => {}
                started => return started,
            }
        }
    }

    /// What clients take as `bootstrap.servers`: `127.0.0.1:PORT`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// The end of the broker's log.
    pub fn log_tail(&self) -> String {
        log_tail(self.folder.path())
    }

    fn try_start(jars: &Path) -> Result<Self, KafkaError> {
        let folder = tempfile::Builder::new().prefix("volley-kafka-").tempdir()?;
        let [port, controller_port] = free_ports()?;
        let config = folder.path().join("server.properties");
        fs::write(&config, properties(&folder.path().join("data"), port, controller_port))?;
        format_storage(jars, &config, folder.path())?;

        let log = fs::File::options().create(true).append(true).open(log_path(folder.path()))?;
        let process = Command::new("sh")
            .args(["-c", TETHER, "sh", "java"])
            .args(JVM)
            .args(["-cp", &class_path(jars), "kafka.Kafka"])
            .arg(&config)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let bootstrap_servers = format!("{}:{port}", Ipv4Addr::LOCALHOST);
        let mut kafka = Self { process, folder, bootstrap_servers };
        kafka.wait_until_it_answers()?;
        Ok(kafka)
    }

    fn wait_until_it_answers(&mut self) -> Result<(), KafkaError> {
        let started = Instant::now();
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "100")
            // Refused connections are what this waits through.
            .set("log_level", "0")
            .create()
            .map_err(io::Error::other)?;
        loop {
            let metadata = client.fetch_metadata(None, Duration::from_millis(500));
            if metadata.is_ok_and(|metadata| !metadata.brokers().is_empty()) {
                return Ok(());
            }
            let is_over = self.process.try_wait()?.is_some();
            if is_over || started.elapsed() > START_LIMIT {
                return Err(KafkaError::Start { log: self.log_tail() });
            }
        }
    }
}

impl Drop for NativeKafka {
    fn drop(&mut self) {
        // The end of its input is what stops it. Its data goes with it, so it need not be asked.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn format_storage(jars: &Path, config: &Path, folder: &Path) -> Result<(), KafkaError> {
    let output = Command::new("java")
        .args(JVM)
        .args(["-cp", &class_path(jars), "kafka.tools.StorageTool", "format"])
        .args(["--cluster-id", "AAAAAAAAAAAAAAAAAAAAAQ", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    fs::write(log_path(folder), said)?;
    if output.status.success() { Ok(()) } else { Err(KafkaError::Start { log: log_tail(folder) }) }
}

/// Broker and controller in one, and every internal topic on the one broker that there is.
fn properties(data: &Path, port: u16, controller_port: u16) -> String {
    let data = data.display();
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         controller.listener.names=CONTROLLER\n\
         controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={data}\n\
         auto.create.topics.enable=false\n\
         delete.topic.enable=true\n\
         offsets.topic.num.partitions=4\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\n\
         share.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\n"
    )
}

fn class_path(jars: &Path) -> String {
    jars.join("*").display().to_string()
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("kafka.log")
}

fn log_tail(folder: &Path) -> String {
    let log = fs::read(log_path(folder)).unwrap_or_default();
    jars::tail(&String::from_utf8_lossy(&log), 40)
}

/// Two different ports that nobody listens on.
fn free_ports() -> io::Result<[u16; 2]> {
    let listeners = [listen()?, listen()?];
    Ok([listeners[0].local_addr()?.port(), listeners[1].local_addr()?.port()])
}

fn listen() -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

#[cfg(test)]
mod tests {
    use std::{net::TcpStream, panic::catch_unwind};

    use super::*;

    #[test]
    fn tethered_process_ends_with_its_input() {
        let mut process = Command::new("sh")
            .args(["-c", TETHER, "sh", "sleep", "1000"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        drop(process.stdin.take());
        assert!(!process.wait().unwrap().success());
    }

    #[test]
    fn it_stops_with_its_owner_also_in_a_panic() {
        if let Err(error) = jars::check() {
            let may_skip = std::env::var_os("VOLLEY_NO_SKIP").is_none_or(|set| set != "1");
            assert!(may_skip, "may not skip: {error}");
            eprintln!("SKIPPED: {error}");
            return;
        }
        let kafka = NativeKafka::start().unwrap();
        let address = kafka.bootstrap_servers().to_owned();
        assert!(TcpStream::connect(&address).is_ok());
        let folder = kafka.folder.path().to_owned();
        let panicked = catch_unwind(move || {
            let _owned = kafka;
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        assert!(TcpStream::connect(&address).is_err());
        assert!(!folder.exists());
    }
}
