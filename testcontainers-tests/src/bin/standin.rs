//! What runs inside the images that `cargo xtask standin` makes: servers that take the official
//! images' command lines and variables, made of what needs no container registry.
//!
//! - `standin broker redpanda start …` is Apache Kafka, told where to listen in Redpanda's words.
//! - `standin broker`, with `KAFKA_…` variables, is Apache Kafka as in its own image.
//! - `standin clickhouse`, with `CLICKHOUSE_…` variables, is the embedded ClickHouse.
//! - `standin files`, outside, prints what goes into the images, a line each: this program, and the
//!   folder of Apache Kafka's jars, which are fetched where missing.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that speaks to its log")]

use std::{
    collections::BTreeMap, env, error::Error, fs, io, net::Ipv4Addr,
    os::unix::process::CommandExt as _, process::Command,
};

use clickhouse::Client;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
};
use volley_e2e::kafka_jars;
use volley_embedded::{ClickHouseOptions, EmbeddedClickHouse};

/// Where the image has Apache Kafka's jars and libchdb.
const JARS: &str = "/standin/jars/*";
const LIBCHDB: &str = "/standin/libchdb.so";

const CONFIG: &str = "/tmp/server.properties";
/// Where the official image listens.
const HTTP_PORT: u16 = 8123;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["broker", "redpanda", "start", ref flags @ ..] => kafka(&from_redpanda(flags)?),
        ["broker"] => kafka(&from_variables(env::vars())),
        ["clickhouse"] => clickhouse(),
        ["files"] => {
            println!("{}\n{}", env::current_exe()?.display(), kafka_jars()?.display());
            Ok(())
        }
        _ => Err("expected broker [redpanda start …], clickhouse, or files".into()),
    }
}

type Properties = BTreeMap<String, String>;

/// Becomes a broker with these properties.
fn kafka(properties: &Properties) -> Result<()> {
    let lines = properties.iter().map(|(key, value)| format!("{key}={value}\n"));
    fs::write(CONFIG, lines.collect::<String>())?;
    let java = |main: &[&str]| {
        let mut java = Command::new("java");
        java.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", JARS]);
        java.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn").args(main);
        java
    };
    let format = ["format", "--cluster-id", "AAAAAAAAAAAAAAAAAAAAAQ", "--config", CONFIG];
    let formatted = java(&["kafka.tools.StorageTool"]).args(format).status()?;
    if !formatted.success() {
        return Err("the storage was not formatted".into());
    }
    Err(java(&["kafka.Kafka", CONFIG]).exec().into())
}

/// `KAFKA_NODE_ID` is `node.id`, and so on.
fn from_variables(variables: impl Iterator<Item = (String, String)>) -> Properties {
    let property = |(name, value): (String, String)| {
        let key = name.strip_prefix("KAFKA_")?.to_lowercase().replace('_', ".");
        Some((key, value))
    };
    variables.filter_map(property).collect()
}

/// What a single node of Redpanda would be, with these flags.
fn from_redpanda(flags: &[&str]) -> Result<Properties> {
    let (mut listen, mut advertise) = (None, None);
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        let mut value = || flags.next().copied().ok_or_else(|| format!("{flag} lacks its value"));
        match *flag {
            "--kafka-addr" => listen = Some(value()?),
            "--advertise-kafka-addr" => advertise = Some(value()?),
            // How much of the machine to use, and of the cluster: Kafka has its own ways.
            "--memory" | "--node-id" | "--reserve-memory" | "--smp" => drop(value()?),
            "--check=false" | "--overprovisioned" => {}
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    let listen = listen.ok_or("--kafka-addr is missing")?;
    let advertise = advertise.ok_or("--advertise-kafka-addr is missing")?;
    let names: Vec<&str> =
        listen.split(',').filter_map(|address| Some(address.split_once("://")?.0)).collect();
    let first = names.first().ok_or("--kafka-addr has no NAME://ADDRESS")?;
    let protocols: String = names.iter().map(|name| format!(",{name}:PLAINTEXT")).collect();
    let properties = [
        ("node.id", "0"),
        ("process.roles", "broker,controller"),
        ("listeners", &format!("{listen},CONTROLLER://127.0.0.1:9093")),
        ("advertised.listeners", advertise),
        ("listener.security.protocol.map", &format!("CONTROLLER:PLAINTEXT{protocols}")),
        ("inter.broker.listener.name", first),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", "0@127.0.0.1:9093"),
        // As Redpanda does on one node.
        ("auto.create.topics.enable", "false"),
        ("offsets.topic.num.partitions", "4"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
    ];
    Ok(properties.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
}

/// The embedded ClickHouse listens on loopback only, and in a container that is the container's:
/// its port is passed on from where the official image listens.
#[tokio::main]
async fn clickhouse() -> Result<()> {
    let var = |name: &str, default: &str| match env::var(name) {
        Ok(value) if !value.is_empty() => value,
        _ => default.to_owned(),
    };
    let (user, password) = (var("CLICKHOUSE_USER", "default"), var("CLICKHOUSE_PASSWORD", ""));
    let engine = EmbeddedClickHouse::start(ClickHouseOptions {
        libchdb: Some(LIBCHDB.into()),
        user: user.clone(),
        password: password.clone(),
        ..ClickHouseOptions::default()
    })
    .await?;
    let client = Client::default().with_url(engine.url()).with_user(user).with_password(password);
    let database = var("CLICKHOUSE_DB", "default");
    client
        .query("CREATE DATABASE IF NOT EXISTS ?")
        .bind(clickhouse::sql::Identifier(&database))
        .execute()
        .await?;

    let inner = engine.url().trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, HTTP_PORT)).await?;
    eprintln!("ClickHouse {} on port {HTTP_PORT}", engine.version());
    let mut stopped = signal(SignalKind::terminate())?;
    loop {
        let outer = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = stopped.recv() => break,
        };
        let inner = inner.clone();
        tokio::spawn(async move {
            if let Err(error) = pass_on(outer, &inner).await {
                eprintln!("a connection broke: {error}");
            }
        });
    }
    engine.shutdown().await;
    Ok(())
}

async fn pass_on(mut outer: TcpStream, inner: &str) -> io::Result<()> {
    let mut inner = TcpStream::connect(inner).await?;
    // An answer in small pieces is not to wait for anything here either.
    outer.set_nodelay(true)?;
    inner.set_nodelay(true)?;
    copy_bidirectional(&mut outer, &mut inner).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redpandas_flags_become_kafkas_properties() {
        let flags = [
            "--smp",
            "1",
            "--check=false",
            "--kafka-addr",
            "internal://0.0.0.0:1,external://0.0.0.0:2",
            "--advertise-kafka-addr",
            "internal://broker:1,external://127.0.0.1:3",
        ];
        let properties = from_redpanda(&flags).unwrap();
        let check = |key: &str, expect| assert_eq!(properties[key], expect, "{key}");
        let listen = "internal://0.0.0.0:1,external://0.0.0.0:2,CONTROLLER://127.0.0.1:9093";
        check("listeners", listen);
        check("advertised.listeners", "internal://broker:1,external://127.0.0.1:3");
        check("inter.broker.listener.name", "internal");
        let protocols = "CONTROLLER:PLAINTEXT,internal:PLAINTEXT,external:PLAINTEXT";
        check("listener.security.protocol.map", protocols);

        let refused = |flags: &[&str]| from_redpanda(flags).unwrap_err().to_string();
        assert_eq!(refused(&["--mode", "dev-container"]), "unknown flag --mode");
        assert_eq!(refused(&["--smp"]), "--smp lacks its value");
        assert_eq!(refused(&[]), "--kafka-addr is missing");
    }

    #[test]
    fn kafkas_variables_become_its_properties() {
        let set = [("KAFKA_NODE_ID", "1"), ("HOME", "/")];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let expected = Properties::from([("node.id".to_owned(), "1".to_owned())]);
        assert_eq!(from_variables(set.into_iter()), expected);
    }
}
