//! The whole pipeline in one process, on the embedded stack: produce, load, ask.

mod freshness;
mod watch;

use std::{
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use arrow::json::LineDelimitedWriter;
use clickhouse::Row;
use serde::{Deserialize, Serialize};
use volley_core::{batcher::BatchLimits, codec::CodecOptions, host::MetricSet, layout};
use volley_embedded::{BrokerError, EmbeddedBroker, EmbeddedClickHouse};

use crate::{
    clickhouse::{
        ClickHouseError, ClickHouseOptions, CreateTable, Creation, Evolution, Servers, TableName,
        TlsOptions,
    },
    kafka::{KafkaOptions, Property},
    load::{Beginning, BlockLimits, Delivery, LoadError, LoadOptions, LoadSummary, load},
    produce::{MessageKey, ProduceError, ProduceOptions, ProduceSummary, SourceOptions, produce},
    shutdown::Shutdown,
    source::HostOptions,
};
pub use watch::DemoObserver;
use watch::Watch;

const TOPIC: &str = "host-metrics";
const TABLE: &str = "demo.host_metrics";

/// How long anything in this process may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the demo runs.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Batches to send.
    pub n_batches: u64,
    /// Rows in each.
    pub rows_per_batch: NonZeroUsize,
    /// How they become bytes.
    pub codec: CodecOptions,
    /// Which columns they have.
    pub metrics: MetricSet,
    /// Time between samples; zero is as fast as it goes.
    pub interval: Duration,
    /// Where ClickHouse keeps its data; in a temporary folder if `None`.
    pub data: Option<PathBuf>,
}

/// Why the demo failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The embedded broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The embedded ClickHouse.
    #[error(transparent)]
    Engine(#[from] volley_embedded::ClickHouseError),
    /// Sending.
    #[error("producing failed")]
    Produce(#[from] ProduceError),
    /// Loading.
    #[error("loading failed")]
    Load(#[from] LoadError),
    /// Asking.
    #[error("asking for the result failed")]
    Query(#[from] ClickHouseError),
    /// The demo was told to stop.
    #[error("stopped before the demo was through")]
    Stopped,
}

/// What the demo did; JSON has the fields that are not skipped.
#[derive(Clone, Debug, Serialize)]
pub struct DemoReport {
    /// Rows taken from this machine.
    pub rows_sampled: u64,
    /// Rows that the loader inserted.
    pub rows_loaded: u64,
    /// Rows that ClickHouse counts.
    pub rows_queryable: u64,
    /// Kafka messages.
    pub messages: u64,
    /// Bytes of their values.
    pub payload_bytes: u64,
    /// Bytes of the same rows as Arrow in memory.
    pub raw_bytes: u64,
    /// Bytes of the same rows as JSON lines, reckoned from a part of them.
    pub json_bytes: u64,
    /// Compression, as `--codec` takes it.
    pub codec: String,
    /// Framing, as `--framing` takes it.
    pub framing: String,
    /// Version of the engine.
    pub clickhouse_version: String,
    /// From the first sample to the last answer.
    pub elapsed_ms: f64,
    /// Median time from a sample to its being queryable.
    pub freshness_p50_ms: f64,
    /// The same for the slowest hundredth.
    pub freshness_p99_ms: f64,
    /// Greatest CPU use that ClickHouse found, percent.
    pub max_cpu_used: f32,
    /// Rows in a second of each stage, while it was at work.
    pub rows_per_second: StageRates,
    /// The last rows by time, as ClickHouse gives them.
    pub last_rows: Vec<LastRow>,
    /// The producer's account.
    #[serde(skip)]
    pub produced: ProduceSummary,
    /// The loader's account.
    #[serde(skip)]
    pub loaded: LoadSummary,
}

/// Rows in a second of each stage, while it was at work; 0 where that was too short to tell.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StageRates {
    /// Reading this machine's counters.
    pub sample: f64,
    /// Rows to columns.
    pub batch: f64,
    /// Columns to payloads.
    pub encode: f64,
    /// Payloads to ClickHouse, acknowledged.
    pub insert: f64,
}

/// A row of the demo's table.
#[derive(Clone, Debug, Deserialize, Serialize, Row)]
pub struct LastRow {
    /// The machine.
    pub device: String,
    /// When it was sampled, UTC.
    pub ts: String,
    /// Percent.
    pub cpu_used: f32,
    /// Percent.
    pub memory_used: f32,
    /// Since the start of the run.
    pub run_elapsed_ms: i32,
}

/// Runs the demo and reports; the embedded stack is gone when it returns.
///
/// # Errors
///
/// [`DemoError`].
pub async fn demo(
    options: DemoOptions,
    shutdown: Shutdown,
    observer: Arc<dyn DemoObserver>,
) -> Result<DemoReport, DemoError> {
    let broker = EmbeddedBroker::start()?;
    broker.create_topic(TOPIC, 1)?;
    let engine = EmbeddedClickHouse::start(volley_embedded::ClickHouseOptions {
        data: options.data.clone(),
        ..Default::default()
    })
    .await?;
    let report = run(&options, &broker, engine.url(), shutdown, observer).await;
    engine.shutdown().await;
    report
}

async fn run(
    options: &DemoOptions,
    broker: &EmbeddedBroker,
    url: &str,
    shutdown: Shutdown,
    observer: Arc<dyn DemoObserver>,
) -> Result<DemoReport, DemoError> {
    let kafka = KafkaOptions {
        brokers: broker.bootstrap_servers().to_owned(),
        properties: Vec::new(),
        timeout: TIMEOUT,
    };
    let clickhouse = ClickHouseOptions {
        urls: vec![url.to_owned()],
        user: None,
        password: None,
        timeout: TIMEOUT,
        tls: TlsOptions::default(),
    };
    let watch = Arc::new(Watch::new(observer));

    // The loader first: freshness is about rows that find it running.
    let (stop_loading, loading_stops) = Shutdown::new();
    // The embedded broker lets a fetch that finds nothing wait to its end, whatever comes meanwhile.
    let fetch_soon = Property { key: "fetch.wait.max.ms".to_owned(), value: "5".to_owned() };
    let load_kafka = KafkaOptions { properties: vec![fetch_soon], ..kafka.clone() };
    let load_options = load_options(load_kafka, clickhouse.clone());
    let mut loading = tokio::spawn(load(load_options, loading_stops, watch.clone()));
    tokio::select! {
        () = watch.assigned() => {}
        ended = &mut loading => return Err(early_end(ended)),
        () = shutdown.requested() => return Err(DemoError::Stopped),
    }

    let start = Instant::now();
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let producing = produce(produce_options(options, kafka), shutdown.clone(), watch.clone());
    let produced = tokio::select! {
        produced = producing => produced?,
        ended = &mut loading => {
            watch.give_up();
            return Err(early_end(ended));
        }
    };
    tokio::select! {
        () = watch.loaded_all(produced.rows_delivered) => {}
        ended = &mut loading => return Err(early_end(ended)),
    }
    stop_loading.request();
    let loaded = match loading.await {
        Ok(loaded) => loaded?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    report(options, &clickhouse, &watch, (start, since_epoch), produced, loaded).await
}

/// The loader never ends by itself but by an error.
fn early_end(ended: Result<Result<LoadSummary, LoadError>, tokio::task::JoinError>) -> DemoError {
    match ended {
        Ok(Ok(_)) => DemoError::Stopped,
        Ok(Err(error)) => error.into(),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

fn load_options(kafka: KafkaOptions, clickhouse: ClickHouseOptions) -> LoadOptions {
    let (database, table) = TABLE.split_once('.').unwrap_or(("default", TABLE));
    LoadOptions {
        kafka,
        topic: TOPIC.to_owned(),
        group: "volley-demo".to_owned(),
        clickhouse,
        table: TableName { database: database.to_owned(), table: table.to_owned() },
        creation: Creation::Create(CreateTable::default()),
        // Small and quick: this is about freshness, and the engine is idle otherwise.
        limits: BlockLimits {
            n_rows: NonZeroUsize::MAX,
            n_bytes: const { NonZeroUsize::new(1 << 20).unwrap() },
            age: Duration::from_millis(10),
        },
        evolution: Evolution::default(),
        provenance: false,
        delivery: Delivery::default(),
        dead_letters: None,
        from: Beginning::Earliest,
        until: None,
        until_idle: None,
        retry_for: Some(TIMEOUT),
        max_inflight_bytes: 64 << 20,
        payload_limits: layout::Options::default(),
    }
}

fn produce_options(options: &DemoOptions, kafka: KafkaOptions) -> ProduceOptions {
    ProduceOptions {
        kafka,
        topic: TOPIC.to_owned(),
        create_topic: None,
        source: SourceOptions::Host(HostOptions {
            device: None,
            metrics: options.metrics,
            interval: options.interval,
            n_rows: Some(options.n_batches.saturating_mul(options.rows_per_batch.get() as u64)),
        }),
        metrics: options.metrics,
        limits: BatchLimits {
            n_rows: options.rows_per_batch,
            n_bytes: NonZeroUsize::MAX,
            age: Duration::MAX,
        },
        codec: options.codec,
        key: MessageKey::Device,
        n_batches: Some(options.n_batches),
        duration: None,
        max_inflight_bytes: 1 << 20,
    }
}

async fn report(
    options: &DemoOptions,
    clickhouse: &ClickHouseOptions,
    watch: &Watch,
    (start, since_epoch): (Instant, Duration),
    produced: ProduceSummary,
    loaded: LoadSummary,
) -> Result<DemoReport, DemoError> {
    let servers = Servers::new(clickhouse.clone());
    let server = servers.get(servers.current()).await?;
    // FINAL: rows that came twice after a retry would otherwise hide rows that never came.
    // A kept table may hold rows of earlier demos.
    let sql = format!(
        "SELECT count(), max(cpu_used) FROM {TABLE} FINAL \
         WHERE ts >= fromUnixTimestamp64Micro({})",
        since_epoch.as_micros()
    );
    let (rows_queryable, max_cpu_used): (u64, f32) = server.fetch_one(&sql, &[]).await?;
    let sql = format!(
        "SELECT device, toString(ts, 'UTC') AS ts, cpu_used, memory_used, run_elapsed_ms \
         FROM {TABLE} ORDER BY {TABLE}.ts DESC LIMIT 3"
    );
    let last_rows = server.fetch_all(&sql, &[]).await?;
    let elapsed = start.elapsed();
    let freshness = watch.freshness();
    let rate = |n_rows: u64, time: Duration| {
        if time.is_zero() { 0.0 } else { (n_rows as f64 / time.as_secs_f64()).round() }
    };
    Ok(DemoReport {
        rows_sampled: produced.rows_sampled,
        rows_loaded: loaded.rows_loaded,
        rows_queryable,
        messages: produced.messages,
        payload_bytes: produced.payload_bytes,
        raw_bytes: produced.raw_bytes,
        json_bytes: json_bytes(watch, produced.rows_sampled),
        codec: options.codec.codec.to_string(),
        framing: options.codec.framing.to_string(),
        clickhouse_version: server.version().to_owned(),
        elapsed_ms: milliseconds(elapsed),
        freshness_p50_ms: milliseconds(freshness.percentile(50)),
        freshness_p99_ms: milliseconds(freshness.percentile(99)),
        max_cpu_used,
        rows_per_second: StageRates {
            sample: rate(produced.rows_sampled, produced.sampling),
            batch: rate(produced.rows_sampled, produced.batching),
            encode: rate(produced.rows_sampled, produced.encoding),
            insert: rate(loaded.rows_loaded, loaded.inserting),
        },
        last_rows,
        produced,
        loaded,
    })
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// What the rows would take as JSON lines, reckoned from the first batch.
fn json_bytes(watch: &Watch, n_rows: u64) -> u64 {
    let Some(batch) = watch.first_batch() else {
        return 0;
    };
    let mut lines = Vec::new();
    let written = LineDelimitedWriter::new(&mut lines).write(&batch);
    if written.is_err() || batch.num_rows() == 0 {
        return 0;
    }
    (lines.len() as f64 / batch.num_rows() as f64 * n_rows as f64).round() as u64
}
