//! A broker and a ClickHouse, started when the first test asks.

use std::{
    env, fmt,
    sync::{Arc, OnceLock},
};

use rdkafka::ClientConfig;
use tokio::runtime::{Builder, Runtime};
use volley_embedded::{ClickHouseOptions, EmbeddedBroker, EmbeddedClickHouse};

use crate::{
    Images, KafkaSize, NativeKafka,
    choice::{BROKERS_VAR, CLICKHOUSE_VAR},
    docker::DockerStack,
};

/// What is under a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StackKind {
    /// Servers that someone else runs.
    Env,
    /// Both in containers.
    Docker,
    /// Apache Kafka as a process, ClickHouse's engine in this one.
    Native,
    /// Both in this process.
    Embedded,
}

impl fmt::Display for StackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Env => "env",
            Self::Docker => "docker",
            Self::Native => "native",
            Self::Embedded => "embedded",
        })
    }
}

/// Everything that a process may start, each at most once: a second engine is not possible, and a
/// second Kafka not worth its time.
#[derive(Debug)]
pub struct Stacks {
    // Before the runtime, which its end needs.
    docker: OnceLock<Result<DockerStack, String>>,
    runtime: Runtime,
    native: OnceLock<Result<NativeKafka, String>>,
    cluster: OnceLock<Result<NativeKafka, String>>,
    embedded: OnceLock<Result<EmbeddedBroker, String>>,
    engine: OnceLock<Result<EmbeddedClickHouse, String>>,
}

impl Stacks {
    /// Nothing started yet.
    pub fn new() -> Arc<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Arc::new(Self {
            docker: OnceLock::new(),
            runtime,
            native: OnceLock::new(),
            cluster: OnceLock::new(),
            embedded: OnceLock::new(),
            engine: OnceLock::new(),
        })
    }

    /// Where the servers of a stack are; starts them if need be.
    ///
    /// # Panics
    ///
    /// If they do not start.
    pub fn get(&self, kind: StackKind) -> Stack<'_> {
        let set = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let (brokers, broker) = match kind {
            StackKind::Env => (set(BROKERS_VAR).unwrap(), Broker::Foreign),
            StackKind::Docker => {
                let docker = self.docker();
                (docker.brokers.clone(), Broker::Docker(docker))
            }
            StackKind::Native => {
                let kafka = self.native.get_or_init(|| text(NativeKafka::start(KafkaSize::ONE)));
                let kafka = or_panic(kafka);
                (kafka.bootstrap_servers().to_owned(), Broker::Native(kafka))
            }
            StackKind::Embedded => {
                let broker = or_panic(self.embedded.get_or_init(|| text(EmbeddedBroker::start())));
                (broker.bootstrap_servers().to_owned(), Broker::Embedded(broker))
            }
        };
        let (clickhouse, user, password) = match kind {
            StackKind::Env => (
                set(CLICKHOUSE_VAR).unwrap(),
                set("VOLLEY_CLICKHOUSE_USER"),
                set("VOLLEY_CLICKHOUSE_PASSWORD"),
            ),
            StackKind::Docker => {
                let docker = self.docker();
                let user = Some(docker.user.to_owned());
                (docker.url.clone(), user, Some(docker.password.clone()))
            }
            StackKind::Native | StackKind::Embedded => (self.engine().url().to_owned(), None, None),
        };
        let clickhouse_brokers = match broker {
            Broker::Docker(docker) => docker.inner_brokers.to_owned(),
            _ => brokers.clone(),
        };
        Stack {
            kind,
            brokers,
            clickhouse_brokers,
            broker,
            clickhouse,
            user,
            password,
            runtime: &self.runtime,
        }
    }

    /// The native stack with three brokers in place of one.
    ///
    /// # Panics
    ///
    /// If they do not start.
    pub fn cluster(&self) -> Stack<'_> {
        let kafka = self.cluster.get_or_init(|| text(NativeKafka::start(KafkaSize::THREE)));
        let kafka = or_panic(kafka);
        Stack {
            kind: StackKind::Native,
            brokers: kafka.bootstrap_servers().to_owned(),
            clickhouse_brokers: kafka.bootstrap_servers().to_owned(),
            broker: Broker::Native(kafka),
            clickhouse: self.engine().url().to_owned(),
            user: None,
            password: None,
            runtime: &self.runtime,
        }
    }

    /// Stops what was started. A process that ends with its engine open may crash.
    pub fn shutdown(self) {
        let Self { docker, runtime, native, cluster, embedded, engine } = self;
        drop((docker, native, cluster, embedded));
        if let Some(Ok(engine)) = engine.into_inner() {
            runtime.block_on(engine.shutdown());
        }
    }

    fn docker(&self) -> &DockerStack {
        or_panic(
            self.docker.get_or_init(|| {
                text(DockerStack::start(self.runtime.handle(), &Images::from_env()))
            }),
        )
    }

    fn engine(&self) -> &EmbeddedClickHouse {
        or_panic(self.engine.get_or_init(|| {
            text(self.runtime.block_on(EmbeddedClickHouse::start(ClickHouseOptions::default())))
        }))
    }
}

/// A running broker and a running ClickHouse.
#[derive(Debug)]
pub struct Stack<'a> {
    /// What they are.
    pub kind: StackKind,
    /// Kafka's bootstrap addresses.
    pub brokers: String,
    /// The same as ClickHouse reaches them, which may be elsewhere.
    pub clickhouse_brokers: String,
    /// ClickHouse's URL.
    pub clickhouse: String,
    /// ClickHouse's user; its default if `None`.
    pub user: Option<String>,
    /// That user's password.
    pub password: Option<String>,
    pub(crate) broker: Broker<'a>,
    pub(crate) runtime: &'a Runtime,
}

/// Who makes topics, and whose log is worth showing.
#[derive(Debug)]
pub(crate) enum Broker<'a> {
    Foreign,
    Docker(&'a DockerStack),
    Native(&'a NativeKafka),
    Embedded(&'a EmbeddedBroker),
}

impl Stack<'_> {
    /// A librdkafka configuration for it.
    pub fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("log_level", "3");
        config
    }

    /// Where what runs beside a test runs.
    pub fn runtime(&self) -> &tokio::runtime::Handle {
        self.runtime.handle()
    }

    /// The Kafka of the native stack.
    ///
    /// # Panics
    ///
    /// On any other stack.
    pub fn native(&self) -> &NativeKafka {
        match self.broker {
            Broker::Native(kafka) => kafka,
            _ => panic!("stack {} has no Kafka of its own", self.kind),
        }
    }

    /// What to show with a failed test.
    pub fn diagnostics(&self) -> String {
        let Self { kind, brokers, clickhouse, .. } = self;
        let log = match self.broker {
            Broker::Native(kafka) => format!("; Kafka's log ends:\n{}", kafka.log_tail()),
            Broker::Docker(docker) => format!("; {}", docker.log_tails()),
            Broker::Foreign | Broker::Embedded(_) => String::new(),
        };
        format!("stack {kind}: brokers {brokers}, clickhouse {clickhouse}{log}")
    }
}

fn text<T>(result: Result<T, impl std::error::Error>) -> Result<T, String> {
    result.map_err(|error| {
        let causes = std::iter::successors(error.source(), |cause| cause.source());
        causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
    })
}

fn or_panic<T>(started: &Result<T, String>) -> &T {
    started.as_ref().unwrap_or_else(|error| panic!("{error}"))
}
