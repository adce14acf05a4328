use std::{
    num::{NonZeroU32, NonZeroU64, NonZeroUsize},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Args, ValueEnum};
use volley_core::batcher::BatchLimits;

use super::{
    args::{CodecArgs, Format, KafkaArgs, Metrics, RunArgs},
    config::ConfigArgs,
    observe::{ObserveProduceArgs, serve},
    output::{line, print_result},
    status::StatusLine,
};
use crate::{
    human::{Bytes, Count, PerSecond, Seconds, parse_bytes, parse_duration},
    observe::ProduceWatch,
    produce::{MessageKey, ProduceOptions, ProduceSummary, SourceOptions, produce},
    shutdown::Shutdown,
    source::{HostOptions, SyntheticOptions},
};

/// Send rows to a topic, packed into record batches
///
/// Samples this machine (or makes rows up), packs the rows into record batches and sends each as one
/// Kafka message, until Ctrl-C or a limit. Then it waits for what is on its way and prints a summary.
#[derive(Debug, Args)]
pub(crate) struct ProduceArgs {
    #[command(flatten)]
    config: ConfigArgs,

    #[command(flatten)]
    kafka: KafkaArgs,

    /// Create the topic first, if it is not there
    #[arg(long, help_heading = "Kafka")]
    create_topic: bool,

    /// Partitions of a topic that is created
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        requires = "create_topic",
        value_parser = clap::value_parser!(i32).range(1..=100_000),
        help_heading = "Kafka"
    )]
    partitions: i32,

    /// What decides the partition: device, so that a device keeps its order, or none
    #[arg(long, value_name = "COLUMN", default_value = "device", help_heading = "Kafka")]
    key_column: KeyColumn,

    /// Where rows come from
    #[arg(long, value_name = "SOURCE", default_value = "host", help_heading = "Rows")]
    source: SourceName,

    /// Which columns they have
    #[arg(long, value_name = "SET", default_value = "basic", help_heading = "Rows")]
    metrics: Metrics,

    /// Time between samples of this machine; 0 is as fast as it goes
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "1s",
        value_parser = parse_duration,
        help_heading = "Rows"
    )]
    interval: Duration,

    /// What to call this machine, rather than its host name
    #[arg(long, value_name = "NAME", help_heading = "Rows")]
    device: Option<String>,

    /// Rows to send; without it, until something else ends the run
    #[arg(long, value_name = "N", help_heading = "Rows")]
    rows: Option<NonZeroU64>,

    /// Made-up rows: equal seeds give equal series
    #[arg(long, value_name = "N", default_value = "1", help_heading = "Rows")]
    seed: u64,

    /// Made-up rows: how many machines they come from
    #[arg(long, value_name = "N", default_value = "10", help_heading = "Rows")]
    devices: NonZeroU32,

    /// Made-up rows: rows in a second; without it, as fast as they are taken
    #[arg(long, value_name = "N", help_heading = "Rows")]
    rate: Option<NonZeroU64>,

    #[command(flatten)]
    codec: CodecArgs,

    /// Uncompressed bytes in a batch, at most
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "4MB",
        value_parser = parse_bytes,
        help_heading = "Batches"
    )]
    bytes_per_batch: NonZeroUsize,

    /// How long a row waits for its batch to fill: longer gives fuller batches, and later rows
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "1s",
        value_parser = parse_duration,
        help_heading = "Batches"
    )]
    linger: Duration,

    /// Batches to send
    #[arg(long, value_name = "N", help_heading = "Limits")]
    batches: Option<NonZeroU64>,

    /// Time to run
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Limits")]
    duration: Option<Duration>,

    #[command(flatten)]
    observe: ObserveProduceArgs,

    #[command(flatten, next_help_heading = "Limits")]
    run: RunArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SourceName {
    /// This machine
    Host,
    /// Made-up machines, for trying things out at any rate
    Synthetic,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KeyColumn {
    Device,
    None,
}

impl ProduceArgs {
    fn options(self) -> ProduceOptions {
        let n_rows = self.rows.map(NonZeroU64::get);
        let source = match self.source {
            SourceName::Host => SourceOptions::Host(HostOptions {
                device: self.device,
                metrics: self.metrics.into(),
                interval: self.interval,
                n_rows,
            }),
            SourceName::Synthetic => SourceOptions::Synthetic(SyntheticOptions {
                seed: self.seed,
                n_devices: self.devices.get(),
                n_rows,
                rate: self.rate.map(NonZeroU64::get),
                start_us: now_us(),
            }),
        };
        ProduceOptions {
            kafka: self.kafka.options(self.run.timeout),
            topic: self.kafka.topic,
            create_topic: self.create_topic.then_some(self.partitions),
            source,
            metrics: self.metrics.into(),
            limits: BatchLimits {
                n_rows: self.codec.rows_per_batch,
                n_bytes: self.bytes_per_batch,
                age: self.linger,
            },
            codec: self.codec.options(),
            key: match self.key_column {
                KeyColumn::Device => MessageKey::Device,
                KeyColumn::None => MessageKey::None,
            },
            n_batches: self.batches.map(NonZeroU64::get),
            duration: self.duration,
            max_inflight_bytes: self.run.max_inflight_bytes.get(),
        }
    }
}

fn now_us() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

pub(crate) async fn run(args: ProduceArgs) -> anyhow::Result<()> {
    let format = args.run.format;
    let ObserveProduceArgs { metrics_address, stall_after } = args.observe;
    let options = args.options();
    let topic = options.topic.clone();
    let watch = Arc::new(ProduceWatch::new(&topic, stall_after));
    let _server = serve(metrics_address, watch.clone())?;
    let status =
        if format == Format::Text { StatusLine::start(watch.clone().status_line()) } else { None };
    let shutdown = Shutdown::on_signals()?;
    let produced = produce(options, shutdown, watch).await;
    drop(status);
    let summary = produced?;
    print_result(format, &summary, |out| print(out, &topic, &summary))
}

fn print(
    out: &mut dyn std::io::Write,
    topic: &str,
    summary: &ProduceSummary,
) -> std::io::Result<()> {
    let rows = format!("{} delivered to topic '{topic}'", Count(summary.rows_delivered));
    line(out, "rows", rows)?;
    let per_row = summary.payload_bytes as f64 / summary.rows_delivered.max(1) as f64;
    let messages = format!(
        "{}, {} in all, {per_row:.1} B/row",
        Count(summary.messages),
        Bytes(summary.payload_bytes)
    );
    line(out, "messages", messages)?;
    let rate = PerSecond(summary.rows_delivered, summary.elapsed);
    line(out, "time", format!("{}, {rate} rows", Seconds(summary.elapsed)))?;
    if summary.batches_split > 0 {
        line(out, "split", format!("{} batches over the message limit", summary.batches_split))?;
    }
    if summary.samples_skipped > 0 {
        line(
            out,
            "skipped",
            format!("{} samples: slower than --interval", summary.samples_skipped),
        )?;
    }
    Ok(())
}
