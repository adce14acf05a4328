//! A rival of `volley produce` and `volley load` that moves rows one by one: JSON lines in messages,
//! the `clickhouse` crate's row inserter (`RowBinary`) behind them. Run by `compare`.
#![allow(clippy::print_stdout, reason = "a command-line tool")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use clap::{Args, Parser};
use clickhouse::{Client, Row, insert::Insert};
use rdkafka::{
    ClientConfig, Message as _,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::KafkaError,
    producer::{BaseProducer, BaseRecord, Producer as _},
    types::RDKafkaErrorCode,
};
use serde::{Deserialize, Serialize};
use volley::{
    shutdown::Shutdown,
    source::{HostOptions, HostSource, Pulled, Source, SyntheticOptions, SyntheticSource},
};
use volley_core::host::{HostSample, MetricSet};

/// Move rows one by one
#[derive(Debug, Parser)]
#[command(help_expected = true)]
enum Cli {
    /// Send rows as JSON lines, many in a message, compressed by the client
    Produce(Produce),
    /// Read JSON lines and insert rows as `RowBinary`, until nothing more comes
    Load(Load),
}

#[derive(Debug, Args)]
struct Topic {
    /// Brokers, `host:port`
    #[arg(long)]
    brokers: String,
    /// Topic
    #[arg(long)]
    topic: String,
}

#[derive(Debug, Args)]
struct Produce {
    #[command(flatten)]
    topic: Topic,
    /// Made-up rows to send; without it, samples of this machine
    #[arg(long)]
    rows: Option<u64>,
    /// Samples of this machine: time between them, ms
    #[arg(long, default_value_t = 1)]
    interval_ms: u64,
    /// Samples of this machine: time to run, ms
    #[arg(long, default_value_t = 1000)]
    duration_ms: u64,
    /// Rows in a message
    #[arg(long, default_value_t = 1000)]
    rows_per_message: usize,
    /// How long a row waits for its message to fill, ms
    #[arg(long, default_value_t = 1000)]
    linger_ms: u64,
}

#[derive(Debug, Args)]
struct Load {
    #[command(flatten)]
    topic: Topic,
    /// Consumer group
    #[arg(long)]
    group: String,
    /// Address of ClickHouse
    #[arg(long)]
    clickhouse: String,
    /// Table
    #[arg(long)]
    table: String,
    /// Rows of an insert
    #[arg(long, default_value_t = 500_000)]
    block_rows: usize,
    /// How long a row waits for its insert, ms
    #[arg(long, default_value_t = 500)]
    block_age_ms: u64,
    /// Stop when nothing came for so long, ms; without it, never
    #[arg(long)]
    until_idle_ms: Option<u64>,
}

/// The basic host metrics; the time in µs, which nobody has to parse.
#[derive(Debug, Deserialize, Row, Serialize)]
struct HostRow {
    device: String,
    ts: i64,
    cpu_used: f32,
    cpu_free: f32,
    memory_used: f32,
    memory_free: f32,
    run_elapsed_ms: i32,
}

#[derive(Serialize)]
struct SentRow<'a> {
    device: &'a str,
    ts: i64,
    cpu_used: f32,
    cpu_free: f32,
    memory_used: f32,
    memory_free: f32,
    run_elapsed_ms: i32,
}

fn main() -> Result<()> {
    match Cli::parse() {
        Cli::Produce(args) => produce(&args),
        Cli::Load(args) => {
            tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(load(&args))
        }
    }
}

fn produce(args: &Produce) -> Result<()> {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &args.topic.brokers)
        .set("compression.type", "zstd")
        .set("compression.level", "1")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .create()?;
    let mut source = source(args)?;
    let started = Instant::now();
    let linger = Duration::from_millis(args.linger_ms);
    let (mut rows, mut lines, mut n_lines, mut n_rows) = (Vec::new(), Vec::new(), 0, 0_u64);
    let mut due = None;
    loop {
        let pulled = source.pull(&mut rows, due);
        for row in rows.drain(..) {
            due.get_or_insert_with(|| Instant::now() + linger);
            append(&mut lines, &row)?;
            n_lines += 1;
            n_rows += 1;
            if n_lines == args.rows_per_message {
                send(&producer, &args.topic.topic, &mut lines)?;
                (n_lines, due) = (0, None);
            }
        }
        let is_over = pulled == Pulled::End
            || args.rows.is_none() && started.elapsed() >= Duration::from_millis(args.duration_ms);
        if !lines.is_empty() && (is_over || due.is_some_and(|due| due <= Instant::now())) {
            send(&producer, &args.topic.topic, &mut lines)?;
            (n_lines, due) = (0, None);
        }
        if is_over {
            break;
        }
    }
    producer.flush(Duration::from_secs(60)).context("flushing")?;
    println!("{{\"rows\":{n_rows}}}");
    Ok(())
}

fn source(args: &Produce) -> Result<Box<dyn Source>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
    let synthetic = |n_rows| SyntheticOptions {
        seed: 1,
        n_devices: 10,
        n_rows: Some(n_rows),
        rate: None,
        start_us: i64::try_from(now).unwrap_or(i64::MAX),
    };
    let host = || HostOptions {
        device: None,
        metrics: MetricSet::Basic,
        interval: Duration::from_millis(args.interval_ms),
        n_rows: None,
    };
    Ok(match args.rows {
        Some(n_rows) => Box::new(SyntheticSource::new(synthetic(n_rows), Shutdown::never())),
        None => Box::new(HostSource::start(host(), Shutdown::never())?),
    })
}

fn append(lines: &mut Vec<u8>, row: &HostSample) -> Result<()> {
    let sent = SentRow {
        device: &row.device,
        ts: row.ts_us,
        cpu_used: row.cpu_used,
        cpu_free: row.cpu_free,
        memory_used: row.memory_used,
        memory_free: row.memory_free,
        run_elapsed_ms: row.run_elapsed_ms,
    };
    serde_json::to_writer(&mut *lines, &sent)?;
    lines.push(b'\n');
    Ok(())
}

fn send(producer: &BaseProducer, topic: &str, lines: &mut Vec<u8>) -> Result<()> {
    loop {
        match producer.send(BaseRecord::<(), [u8]>::to(topic).payload(lines)) {
            Ok(()) => break,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
    producer.poll(Duration::ZERO);
    lines.clear();
    Ok(())
}

async fn load(args: &Load) -> Result<()> {
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", &args.topic.brokers)
        .set("group.id", &args.group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(&[&args.topic.topic])?;
    let client = Client::default()
        .with_url(&args.clickhouse)
        .with_compression(clickhouse::Compression::None)
        .with_setting("async_insert", "0");
    let mut insert: Option<(Insert<HostRow>, Instant)> = None;
    let (mut n_rows, mut n_held) = (0_u64, 0);
    let age = Duration::from_millis(args.block_age_ms);
    let mut last = Instant::now();
    loop {
        let wait = insert.as_ref().map_or(Duration::from_millis(50), |(_, due)| {
            due.saturating_duration_since(Instant::now())
        });
        if let Ok(message) = tokio::time::timeout(wait, consumer.recv()).await {
            let message = message?;
            last = Instant::now();
            if insert.is_none() {
                insert = Some((client.insert::<HostRow>(&args.table).await?, last + age));
            }
            let Some((open, _)) = &mut insert else { continue };
            let lines = message.payload().unwrap_or_default().split(|byte| *byte == b'\n');
            for line in lines.filter(|line| !line.is_empty()) {
                open.write(&serde_json::from_slice(line)?).await?;
                n_held += 1;
            }
        }
        let is_due = |due: Instant| n_held >= args.block_rows || due <= Instant::now();
        if insert.as_ref().is_some_and(|(_, due)| is_due(*due))
            && let Some((open, _)) = insert.take()
        {
            open.end().await?;
            consumer.commit_consumer_state(CommitMode::Async)?;
            n_rows += std::mem::take(&mut n_held) as u64;
        }
        let idle = args.until_idle_ms.map(Duration::from_millis);
        if n_rows > 0 && insert.is_none() && idle.is_some_and(|idle| last.elapsed() >= idle) {
            break;
        }
    }
    println!("{{\"rows\":{n_rows}}}");
    Ok(())
}
