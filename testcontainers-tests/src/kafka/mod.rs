//! Apache Kafka as child processes: one broker, or several that form a cluster.

mod access;
mod broker;
mod outage;
mod properties;

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    sync::Mutex,
    thread,
};

use tempfile::TempDir;

pub use self::{access::Access, outage::Outage};
use self::{
    access::{Credentials, User},
    broker::Broker,
};
use crate::jars::{self, JarsError};

/// Why Kafka does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// The jars, or the Java to run them.
    #[error(transparent)]
    Jars(#[from] JarsError),
    /// A process or its folder.
    #[error("apache kafka did not start")]
    Io(#[from] io::Error),
    /// The certificates.
    #[error("no certificates could be made for apache kafka")]
    Certificates(#[from] rcgen::Error),
    /// Someone listens on a port that was asked for.
    #[error("port {port} on 127.0.0.1 is taken; choose another first one with --port")]
    Port {
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// It ended, or did not answer in time.
    #[error("apache kafka did not start; its log ends:\n{log}")]
    Start {
        /// The end of its log.
        log: String,
    },
}

/// What to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KafkaSize {
    /// Brokers, 1 to 9; each has about 220 MB of memory when it has started. Topics have up to three replicas, and of three,
    /// two must have a message before it is acknowledged.
    pub n_brokers: u16,
    /// The first of the ports that clients use, one after the other: the plain ones of all brokers,
    /// then those for passwords, then those for certificates. Any free ones if `None`.
    pub first_port: Option<u16>,
}

impl KafkaSize {
    /// One broker on free ports.
    pub const ONE: Self = Self { n_brokers: 1, first_port: None };
    /// The smallest cluster that can do without one of its brokers.
    pub const THREE: Self = Self { n_brokers: 3, first_port: None };
}

/// Apache Kafka in KRaft mode on loopback, with its data in a temporary folder.
///
/// Each broker is a controller too, and listens for three kinds of clients: plain ones, such with a
/// user and password over TLS (SCRAM), and such with a certificate of their own (mutual TLS).
/// Certificates and password are made anew for each start. It does not create topics by itself.
///
/// Everything stops when the value is dropped, and also when this process ends in any other way,
/// SIGKILL included; the folder goes with it.
#[derive(Debug)]
pub struct NativeKafka {
    // Before the folder, which they write into.
    brokers: Vec<Mutex<Broker>>,
    outage: Mutex<()>,
    cluster: Cluster,
    credentials: Credentials,
    bootstrap_servers: String,
    folder: TempDir,
}

/// What the brokers know of each other.
#[derive(Debug)]
struct Cluster {
    jars: PathBuf,
    folder: PathBuf,
    ports: Vec<Ports>,
    user: User,
}

/// Where one broker listens.
#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    password: u16,
    certificate: u16,
    controller: u16,
}

impl NativeKafka {
    /// Starts it and waits until every broker is part of it: about 5 s for one, and the first time
    /// as long as it takes to fetch 43 MB.
    ///
    /// # Errors
    ///
    /// [`KafkaError`], with the end of a broker's log.
    pub fn start(size: KafkaSize) -> Result<Self, KafkaError> {
        let jars = jars::ensure()?;
        // A port that was free may be taken by the time Kafka listens on it.
        let mut n_tries_left = 3;
        loop {
            n_tries_left -= 1;
            match Self::try_start(&jars, size) {
                Err(KafkaError::Start { log })
                    if n_tries_left > 0 && log.contains("Address already in use") => {}
                started => return started,
            }
        }
    }

    /// The way in without any security.
    pub fn plain(&self) -> Access {
        Access { brokers: self.bootstrap_servers.clone(), properties: Vec::new() }
    }

    /// The way in with a user and a password over TLS. `mechanism` is `PLAIN`, `SCRAM-SHA-256` or
    /// `SCRAM-SHA-512`.
    pub fn with_password(&self, mechanism: &str) -> Access {
        self.credentials.with_password(self.cluster.addresses(|ports| ports.password), mechanism)
    }

    /// The way in with a certificate over TLS.
    pub fn with_certificate(&self) -> Access {
        self.credentials.with_certificate(self.cluster.addresses(|ports| ports.certificate))
    }

    /// What clients take as `bootstrap.servers`: `127.0.0.1:PORT`, with commas between.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// How many brokers it has, running or not.
    pub fn n_brokers(&self) -> usize {
        self.brokers.len()
    }

    /// Asks a broker to hand over its partitions and end, and waits until it has. It comes back,
    /// with its data, when the [`Outage`] ends. There is one outage at a time: a second one waits
    /// for the end of the first.
    ///
    /// # Panics
    ///
    /// If there is no such broker; they count from 0.
    pub fn stop_broker(&self, broker_idx: usize) -> Outage<'_> {
        Outage::new(self, broker_idx, Broker::stop)
    }

    /// As [`Self::stop_broker`], without asking: as a crash does, which leaves what was written to
    /// the operating system.
    ///
    /// # Panics
    ///
    /// If there is no such broker; they count from 0.
    pub fn kill_broker(&self, broker_idx: usize) -> Outage<'_> {
        Outage::new(self, broker_idx, Broker::kill)
    }

    /// The end of each broker's log.
    pub fn log_tail(&self) -> String {
        let tails = (0..self.n_brokers()).map(|idx| self.cluster.log_tail(idx));
        tails.collect::<Vec<_>>().join("\n--\n")
    }

    /// Where it keeps its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn try_start(jars: &Path, size: KafkaSize) -> Result<Self, KafkaError> {
        let folder = tempfile::Builder::new().prefix("volley-kafka-").tempdir()?;
        let credentials = Credentials::make(folder.path())?;
        let cluster = Cluster {
            jars: jars.to_owned(),
            folder: folder.path().to_owned(),
            ports: ports(size)?,
            user: credentials.user(),
        };
        // Side by side: alone, a broker of several would wait for the others.
        let started: Vec<_> = thread::scope(|scope| {
            let cluster = &cluster;
            let start = |idx| scope.spawn(move || Broker::start(cluster, idx));
            let starting: Vec<_> = (0..cluster.ports.len()).map(start).collect();
            starting.into_iter().map(|starting| starting.join().unwrap()).collect()
        });
        let brokers = started.into_iter().map(|broker| Ok(Mutex::new(broker?)));
        let brokers: Vec<_> = brokers.collect::<Result<_, KafkaError>>()?;
        let bootstrap_servers = cluster.addresses(|ports| ports.plain);
        let outage = Mutex::default();
        Ok(Self { brokers, outage, cluster, credentials, bootstrap_servers, folder })
    }
}

impl Cluster {
    /// Of all brokers, running or not, with commas between.
    fn addresses(&self, port: fn(&Ports) -> u16) -> String {
        self.ports.iter().map(port).map(address).collect::<Vec<_>>().join(",")
    }

    fn broker_folder(&self, broker_idx: usize) -> PathBuf {
        self.folder.join(format!("broker-{broker_idx}"))
    }

    fn log_path(&self, broker_idx: usize) -> PathBuf {
        self.broker_folder(broker_idx).join("kafka.log")
    }

    /// The end of a broker's log.
    fn log_tail(&self, broker_idx: usize) -> String {
        let log = fs::read(self.log_path(broker_idx)).unwrap_or_default();
        jars::tail(&String::from_utf8_lossy(&log), 40)
    }
}

fn address(port: u16) -> String {
    format!("{}:{port}", Ipv4Addr::LOCALHOST)
}

fn ports(size: KafkaSize) -> Result<Vec<Ports>, KafkaError> {
    let mut free = FreePorts::default();
    let n_brokers = size.n_brokers;
    let mut nth = |kind: u16, broker: u16| match size.first_port {
        Some(first) => free.this(first.saturating_add(kind * n_brokers + broker)),
        None => Ok(free.any()?),
    };
    let mut ports = Vec::new();
    for broker in 0..n_brokers {
        let [plain, password, certificate] = [nth(0, broker)?, nth(1, broker)?, nth(2, broker)?];
        ports.push(Ports { plain, password, certificate, controller: 0 });
    }
    for ports in &mut ports {
        ports.controller = free.any()?;
    }
    Ok(ports)
}

/// Ports that nobody listens on, each given out once.
#[derive(Debug, Default)]
struct FreePorts(Vec<TcpListener>);

impl FreePorts {
    fn this(&mut self, port: u16) -> Result<u16, KafkaError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        self.0.push(listener.map_err(|source| KafkaError::Port { port, source })?);
        Ok(port)
    }

    /// One that no client gets by chance while its broker is away: below those that systems give to
    /// outgoing connections.
    fn any(&mut self) -> io::Result<u16> {
        let mut n_tries_left = 100;
        loop {
            n_tries_left -= 1;
            let port = rand::random_range(20_000..32_000);
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                Ok(listener) => {
                    self.0.push(listener);
                    return Ok(port);
                }
                Err(error) if n_tries_left == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpStream, panic::catch_unwind};

    use super::*;
    use crate::eventually;

    #[test]
    fn it_stops_with_its_owner_also_in_a_panic() {
        if !has_kafka() {
            return;
        }
        let kafka = NativeKafka::start(KafkaSize::ONE).unwrap();
        let address = kafka.bootstrap_servers().to_owned();
        assert!(TcpStream::connect(&address).is_ok());
        let folder = kafka.folder().to_owned();
        let panicked = catch_unwind(move || {
            let _owned = kafka;
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        assert!(TcpStream::connect(&address).is_err());
        assert!(!folder.exists());
    }

    #[test]
    fn ports_run_from_the_first() {
        let (first, ports) = eventually("six free ports in a row", || {
            let first = FreePorts::default().any().unwrap();
            let size = KafkaSize { n_brokers: 2, first_port: Some(first) };
            Some((first, ports(size).ok()?))
        });
        let found = ports.iter().map(|p| [p.plain, p.password, p.certificate].map(|p| p - first));
        assert_eq!(found.collect::<Vec<_>>(), [[0, 2, 4], [1, 3, 5]]);
    }

    #[test]
    fn a_port_that_is_taken_is_named() {
        let mut taken = FreePorts::default();
        let port = taken.any().unwrap();
        let error = ports(KafkaSize { n_brokers: 1, first_port: Some(port) }).unwrap_err();
        assert!(error.to_string().starts_with(&format!("port {port} on 127.0.0.1 is taken")));
    }

    /// Says so where there is no Java.
    fn has_kafka() -> bool {
        let Err(error) = jars::check() else {
            return true;
        };
        let may_skip = std::env::var_os("VOLLEY_NO_SKIP").is_none_or(|set| set != "1");
        assert!(may_skip, "may not skip: {error}");
        eprintln!("SKIPPED: {error}");
        false
    }
}
