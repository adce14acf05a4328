//! The broker's container: what it is told about where it is.

use std::{
    net::{Ipv4Addr, TcpListener},
    time::Duration,
};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
};
use testcontainers::{ContainerRequest, GenericImage, ImageExt as _, core::IntoContainerPort as _};
use tokio::runtime::Handle;

use crate::docker::{Container, DockerError, image, images::BrokerImage, run, wait};

/// The broker's name among containers.
pub(super) const HOST: &str = "broker";
/// Its bootstrap address there.
pub(super) const INNER_ADDRESS: &str = "broker:29092";

const PORT: u16 = 9092;

/// A broker that answers.
pub(super) struct Broker {
    pub(super) container: Container,
    pub(super) address: String,
}

/// Starts a broker that is found at one address from this machine and at another from containers.
pub(super) fn start(
    runtime: &Handle,
    image: &BrokerImage,
    run_label: &str,
) -> Result<Broker, DockerError> {
    let name = image.name();
    // A broker tells its clients its own address, so the port has to be known before it starts; and
    // one that was free may be taken by the time it is published.
    let mut n_tries_left = 3;
    let (container, port) = loop {
        n_tries_left -= 1;
        let port = free_port()?;
        let request = request(image, port).with_hostname(HOST);
        match run(runtime, request, name, run_label, PORT, Some(port)) {
            Err(DockerError::Run { source, .. })
                if n_tries_left > 0 && source.to_string().contains("already") => {}
            started => break (started?, port),
        }
    };
    let address = format!("{}:{port}", Ipv4Addr::LOCALHOST);
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &address)
        .set("reconnect.backoff.ms", "20")
        .set("reconnect.backoff.max.ms", "100")
        // Broken connections are what this waits through.
        .set("log_level", "0")
        .create()
        .map_err(std::io::Error::other)?;
    wait(runtime, &container, name, || {
        match client.fetch_metadata(None, Duration::from_millis(500)) {
            Ok(metadata) if metadata.brokers().is_empty() => Err("it has no broker yet".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })?;
    Ok(Broker { container, address })
}

fn request(image_name: &BrokerImage, port: u16) -> ContainerRequest<GenericImage> {
    let request = image(image_name.name()).with_exposed_port(PORT.tcp());
    match image_name {
        BrokerImage::Redpanda(_) => request.with_cmd(redpanda_command(port)),
        BrokerImage::Kafka(_) => {
            let variables = kafka_variables(port);
            variables
                .into_iter()
                .fold(request.into(), |request: ContainerRequest<_>, (key, value)| {
                    request.with_env_var(key, value)
                })
        }
    }
}

/// One small node. Redpanda makes no topics by itself unless told to.
fn redpanda_command(port: u16) -> Vec<String> {
    let listen = format!("internal://0.0.0.0:29092,external://0.0.0.0:{PORT}");
    let advertise = format!("internal://{INNER_ADDRESS},external://127.0.0.1:{port}");
    let node = "redpanda start --node-id 0 --smp 1 --memory 1G --reserve-memory 0M \
        --overprovisioned --check=false";
    let addresses = ["--kafka-addr", &listen, "--advertise-kafka-addr", &advertise];
    node.split(' ').chain(addresses).map(str::to_owned).collect()
}

/// Broker and controller in one, and every internal topic on the one broker that there is.
fn kafka_variables(port: u16) -> Vec<(&'static str, String)> {
    let advertise = format!("INTERNAL://{INNER_ADDRESS},EXTERNAL://127.0.0.1:{port}");
    let listen = format!("INTERNAL://:29092,EXTERNAL://:{PORT},CONTROLLER://:9093");
    let protocols = "INTERNAL:PLAINTEXT,EXTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT";
    let mut variables =
        vec![("KAFKA_ADVERTISED_LISTENERS", advertise), ("KAFKA_LISTENERS", listen)];
    let fixed = [
        ("KAFKA_NODE_ID", "1"),
        ("KAFKA_PROCESS_ROLES", "broker,controller"),
        ("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093"),
        ("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER"),
        ("KAFKA_INTER_BROKER_LISTENER_NAME", "INTERNAL"),
        ("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", protocols),
        ("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false"),
        ("KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS", "4"),
        ("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1"),
        ("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1"),
        ("KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR", "1"),
        ("KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR", "1"),
        ("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0"),
    ];
    variables.extend(fixed.map(|(key, value)| (key, value.to_owned())));
    variables
}

fn free_port() -> Result<u16, DockerError> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
