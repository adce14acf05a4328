//! librdkafka's own test broker, in this process.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::bindings::{
    rd_kafka_handle_mock_cluster, rd_kafka_mock_group_initial_rebalance_delay_ms,
};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer as _};

/// The one broker's id.
const BROKER_ID: i32 = 1;

/// How long a new consumer group waits for more members before it hands out partitions. The
/// broker's own default is 3 s, which whoever tries something out would wait for each time.
const INITIAL_REBALANCE_DELAY: Duration = Duration::from_millis(100);

/// Why the embedded broker failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// It did not start.
    #[error("the embedded broker did not start")]
    Start {
        /// What librdkafka said.
        source: KafkaError,
    },
    /// A topic was not created.
    #[error("the embedded broker did not create topic {topic} with {partitions} partitions")]
    CreateTopic {
        /// Its name.
        topic: String,
        /// How many were asked for.
        partitions: i32,
        /// What librdkafka said: it exists already, or the number is out of range.
        source: KafkaError,
    },
    /// It did not go down or come up.
    #[error("the embedded broker did not change its state")]
    State {
        /// What librdkafka said.
        source: KafkaError,
    },
}

/// A Kafka broker in this process, on loopback and a free port.
///
/// It is librdkafka's test broker. Clients see the Kafka protocol: idempotent producers, consumer
/// groups (classic, and the newer `consumer` protocol), committed offsets with their metadata,
/// transactions. What differs from a real broker:
///
/// - **It forgets.** A partition keeps 5 MiB or 100,000 message sets in memory, whichever is
///   reached first, and drops the oldest beyond that without a word. A consumer that falls so far
///   behind misses messages.
/// - Nothing survives the process.
/// - It has no CreateTopics request, so an admin client cannot create a topic. A topic appears with
///   [`create_topic`](Self::create_topic), or with 4 partitions when a producer first asks for it (a
///   consumer's asking does it too under `allow.auto.create.topics`).
/// - When a member joins or leaves a consumer group, partitions are handed out anew only a second
///   before the members' `session.timeout.ms` has passed, which is 44 s by default; the cooperative
///   assignor needs two such rounds. The first member of a group waits 100 ms.
/// - It has no size limit for a message, no compaction, no retention by time, no access control.
#[derive(Debug)]
pub struct EmbeddedBroker {
    // The broker runs in the background threads of this client, and ends with it.
    client: HiddenDebug<BaseProducer<DefaultProducerContext>>,
    bootstrap_servers: String,
}

impl EmbeddedBroker {
    /// Starts the broker. It stops when the value is dropped.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Start`] when no socket or thread could be had.
    pub fn start() -> Result<Self, BrokerError> {
        let start = |source| BrokerError::Start { source };
        let client: BaseProducer = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            // The client itself talks to nobody.
            .set("log_level", "3")
            .create()
            .map_err(start)?;
        let bootstrap_servers = cluster(&client).map_err(start)?.bootstrap_servers();
        set_initial_rebalance_delay(&client);
        tracing::debug!(%bootstrap_servers, "embedded broker is up");
        Ok(Self { client: HiddenDebug(client), bootstrap_servers })
    }

    /// What clients take as `bootstrap.servers`: `127.0.0.1:PORT`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Creates a topic.
    ///
    /// # Errors
    ///
    /// [`BrokerError::CreateTopic`] when it exists (a client that asked for it has created it) or
    /// `partitions` is not in 1..=100,000.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), BrokerError> {
        let error = |source| BrokerError::CreateTopic { topic: topic.into(), partitions, source };
        if partitions < 1 {
            // librdkafka takes it, and has a topic that nothing can be sent to.
            return Err(error(KafkaError::MockCluster(RDKafkaErrorCode::InvalidPartitions)));
        }
        cluster(&self.client.0)
            .and_then(|cluster| cluster.create_topic(topic, partitions, 1))
            .map_err(error)
    }

    /// Takes the broker down: connections break and new ones are refused, messages and offsets
    /// stay. For tests of a broker that goes away.
    ///
    /// # Errors
    ///
    /// [`BrokerError::State`] when librdkafka refuses.
    pub fn stop(&self) -> Result<(), BrokerError> {
        cluster(&self.client.0)
            .and_then(|cluster| cluster.broker_down(BROKER_ID))
            .map_err(|source| BrokerError::State { source })
    }

    /// Brings the broker back up, at the same address.
    ///
    /// # Errors
    ///
    /// [`BrokerError::State`] when librdkafka refuses.
    pub fn resume(&self) -> Result<(), BrokerError> {
        cluster(&self.client.0)
            .and_then(|cluster| cluster.broker_up(BROKER_ID))
            .map_err(|source| BrokerError::State { source })
    }
}

fn cluster(client: &BaseProducer) -> Result<MockCluster<'_, DefaultProducerContext>, KafkaError> {
    client.client().mock_cluster().ok_or(KafkaError::MockCluster(RDKafkaErrorCode::Fail))
}

/// The one setting that `rdkafka` does not pass on.
#[allow(unsafe_code)]
fn set_initial_rebalance_delay(client: &BaseProducer) {
    let delay_ms = i32::try_from(INITIAL_REBALANCE_DELAY.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the client is alive, `cluster` has seen its mock cluster, and the call takes the
    // cluster's lock.
    unsafe {
        let cluster = rd_kafka_handle_mock_cluster(client.client().native_ptr());
        rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, delay_ms);
    }
}

/// A client has nothing to show.
struct HiddenDebug<T>(T);

impl<T> std::fmt::Debug for HiddenDebug<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("..")
    }
}
