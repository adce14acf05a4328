use std::{io::Write as _, net::SocketAddr, path::PathBuf, str::FromStr};

use clap::Args;
use serde::Serialize;
use volley_embedded::{ClickHouseOptions, EmbeddedBroker, EmbeddedClickHouse};

use super::{
    args::Format,
    output::{DIM, line},
};
use crate::shutdown::Shutdown;

/// Run a Kafka broker and ClickHouse in this process
///
/// For trying out and testing. Both listen on loopback, on free ports, until Ctrl-C. The broker
/// keeps messages in memory, about 5 MB for each partition, and drops older ones; ClickHouse is the
/// real engine (libchdb) behind the parts of the HTTP interface that clients use.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Keep ClickHouse's data in this folder, rather than in a temporary one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Where ClickHouse listens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    clickhouse_listen: SocketAddr,

    /// Create a topic; may be given several times. Others appear when first used, with 4 partitions
    #[arg(long = "topic", value_name = "NAME[:PARTITIONS]")]
    topics: Vec<NewTopic>,

    /// How to print the addresses
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Clone, Debug)]
struct NewTopic {
    name: String,
    n_partitions: i32,
}

impl FromStr for NewTopic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, count) = text.split_once(':').unwrap_or((text, "4"));
        match count.parse() {
            Ok(n_partitions @ 1..=1000) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), n_partitions })
            }
            _ => Err("expected NAME or NAME:PARTITIONS, with 1 to 1000 partitions".to_owned()),
        }
    }
}

#[derive(Serialize)]
struct Addresses<'a> {
    brokers: &'a str,
    clickhouse: &'a str,
    clickhouse_version: &'a str,
}

pub(crate) async fn run(args: DevArgs) -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals()?;
    let broker = EmbeddedBroker::start()?;
    for topic in &args.topics {
        broker.create_topic(&topic.name, topic.n_partitions)?;
    }
    let clickhouse = EmbeddedClickHouse::start(ClickHouseOptions {
        data: args.data,
        listen: args.clickhouse_listen,
        ..ClickHouseOptions::default()
    })
    .await?;
    let printed = print(args.format, broker.bootstrap_servers(), &clickhouse);
    if printed.is_ok() {
        shutdown.requested().await;
    }
    clickhouse.shutdown().await;
    printed
}

fn print(format: Format, brokers: &str, clickhouse: &EmbeddedClickHouse) -> anyhow::Result<()> {
    let (url, version) = (clickhouse.url(), clickhouse.version());
    let addresses = Addresses { brokers, clickhouse: url, clickhouse_version: version };
    let mut out = anstream::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(&addresses)?)?,
        Format::Text => {
            line(&mut out, "brokers", brokers)?;
            line(&mut out, "clickhouse", format!("{url} (version {version})"))?;
            writeln!(out, "\n{DIM}{}{DIM:#}", volley_embedded::NOTICE)?;
            writeln!(out, "\nIn other terminals:")?;
            let topic = "--topic metrics";
            writeln!(out, "  volley produce --brokers {brokers} {topic}")?;
            writeln!(out, "  volley load --brokers {brokers} {topic} --clickhouse {url}")?;
            writeln!(out, "  curl {url} --data 'SELECT count() FROM volley'")?;
            writeln!(out, "\nCtrl-C stops both.")?;
        }
    }
    out.flush()?;
    Ok(())
}
