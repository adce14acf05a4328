use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use clap::{Args, ValueEnum};

use super::{
    args::{ClickHouseArgs, Format, KafkaArgs, PayloadArgs, RunArgs},
    observe::{ObserveArgs, serve},
    output::{line, print_result},
    positions::PositionArgs,
    status::StatusLine,
};
use crate::{
    clickhouse::{CreateTable, Creation, Evolution, TableName},
    human::{Bytes, Count, PerSecond, Seconds, parse_bytes, parse_duration},
    load::{BlockLimits, Delivery, LoadObserver, LoadOptions, LoadSummary, NoObserver, load},
    observe::{LoadWatch, WatchOptions},
    shutdown::Shutdown,
};

/// Load a topic into a ClickHouse table
///
/// Reads messages as a member of a consumer group, gathers them into blocks, inserts each block as
/// one Arrow stream and then commits its offsets. Each row is stored once, also after a crash. While
/// ClickHouse is away it waits and tries again. Messages that cannot be loaded are put into a topic of
/// their own, and all others are loaded. Ctrl-C finishes what was read.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    kafka: KafkaArgs,

    /// Consumer group; members of one group share the partitions
    #[arg(long, value_name = "NAME", default_value = "volley-load", help_heading = "Kafka")]
    group: String,

    #[command(flatten)]
    clickhouse: ClickHouseArgs,

    /// Table to load into
    #[arg(
        long,
        value_name = "DATABASE.TABLE",
        default_value = "default.volley",
        help_heading = "Table"
    )]
    table: TableName,

    /// Create the table from the schema of the messages if it is not there (the default)
    #[arg(long, overrides_with = "no_create", help_heading = "Table")]
    create: bool,

    /// Stop if the table is not there
    #[arg(long, overrides_with = "create", help_heading = "Table")]
    no_create: bool,

    /// Created table: sorting key, which tells rows apart [default: device, ts where it has both]
    #[arg(long, value_name = "SQL", help_heading = "Table")]
    order_by: Option<String>,

    /// Created table: partition key, such as toYYYYMM(ts)
    #[arg(long, value_name = "SQL", help_heading = "Table")]
    partition_by: Option<String>,

    /// Created table: expiry, such as 'toDateTime(ts) + INTERVAL 30 DAY'
    #[arg(long, value_name = "SQL", help_heading = "Table")]
    ttl: Option<String>,

    /// Created table: engine [default: ReplacingMergeTree]
    #[arg(long, value_name = "SQL", help_heading = "Table")]
    engine: Option<String>,

    /// Say in columns _topic, _partition and _offset which message each row comes from
    #[arg(long, help_heading = "Table")]
    provenance: bool,

    /// Add columns to the table when messages have new ones; without it, that stops the run
    #[arg(long, help_heading = "Table")]
    evolve: bool,

    /// What a crash may do to rows
    #[arg(
        long,
        value_name = "GUARANTEE",
        default_value = "effectively-once",
        help_heading = "Blocks"
    )]
    delivery: DeliveryArg,

    /// Rows that make an insert
    #[arg(long, value_name = "N", default_value = "500000", help_heading = "Blocks")]
    block_rows: NonZeroUsize,

    /// Bytes of messages that make an insert
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "16MB",
        value_parser = parse_bytes,
        help_heading = "Blocks"
    )]
    block_bytes: NonZeroUsize,

    /// How long a message waits for others: longer gives fewer, larger inserts, and later rows
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "500ms",
        value_parser = parse_duration,
        help_heading = "Blocks"
    )]
    block_age: Duration,

    /// Topic for messages that cannot be loaded; each goes there as it is, with headers that say why.
    /// It is created if it is not there [default: TOPIC.dlq]
    #[arg(long, value_name = "NAME", conflicts_with = "no_dlq", help_heading = "Dead letters")]
    dlq_topic: Option<String>,

    /// Stop at a message that cannot be loaded, and keep it
    #[arg(long, help_heading = "Dead letters")]
    no_dlq: bool,

    #[command(flatten)]
    positions: PositionArgs,

    /// Stop when ClickHouse has been away for so long; without it, wait for ever
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Limits")]
    retry_for: Option<Duration>,

    #[command(flatten)]
    payload: PayloadArgs,

    #[command(flatten)]
    observe: ObserveArgs,

    #[command(flatten, next_help_heading = "Limits")]
    run: RunArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DeliveryArg {
    /// Each row is stored once; the table must remember inserts, as created ones do
    EffectivelyOnce,
    /// Rows of inserts that were under way may be stored twice
    AtLeastOnce,
}

impl From<DeliveryArg> for Delivery {
    fn from(delivery: DeliveryArg) -> Self {
        match delivery {
            DeliveryArg::EffectivelyOnce => Self::EffectivelyOnce,
            DeliveryArg::AtLeastOnce => Self::AtLeastOnce,
        }
    }
}

impl LoadArgs {
    fn options(self) -> anyhow::Result<LoadOptions> {
        let timeout = self.run.timeout;
        let dead_letters = if self.no_dlq {
            None
        } else {
            Some(self.dlq_topic.unwrap_or_else(|| format!("{}.dlq", self.kafka.topic)))
        };
        Ok(LoadOptions {
            kafka: self.kafka.options(timeout),
            topic: self.kafka.topic,
            group: self.group,
            clickhouse: self.clickhouse.options(timeout)?,
            table: self.table,
            creation: if self.no_create {
                Creation::Refuse
            } else {
                Creation::Create(CreateTable {
                    engine: self.engine,
                    order_by: self.order_by,
                    partition_by: self.partition_by,
                    ttl: self.ttl,
                })
            },
            evolution: if self.evolve { Evolution::AddColumns } else { Evolution::Refuse },
            provenance: self.provenance,
            delivery: self.delivery.into(),
            dead_letters,
            limits: BlockLimits {
                n_rows: self.block_rows,
                n_bytes: self.block_bytes,
                age: self.block_age,
            },
            from: self.positions.from,
            until: self.positions.until,
            until_idle: self.positions.until_idle,
            retry_for: self.retry_for,
            max_inflight_bytes: self.run.max_inflight_bytes.get(),
            payload_limits: self.payload.limits(),
        })
    }
}

pub(crate) async fn run(args: LoadArgs) -> anyhow::Result<()> {
    let format = args.run.format;
    let ObserveArgs { metrics, stall_after } = args.observe;
    let options = args.options()?;
    let table = options.table.clone();
    let watch = Arc::new(LoadWatch::new(&WatchOptions {
        topic: options.topic.clone(),
        group: options.group.clone(),
        stall_after,
        block_age: options.limits.age,
    }));
    let server = serve(metrics, watch.clone())?;
    let status =
        if format == Format::Text { StatusLine::start(watch.clone().status_line()) } else { None };
    let is_watched = server.is_some() || status.is_some();
    let observer: Arc<dyn LoadObserver> = if is_watched { watch } else { Arc::new(NoObserver) };
    let shutdown = Shutdown::on_signals()?;
    let loaded = load(options, shutdown, observer).await;
    drop(status);
    let summary = loaded?;
    print_result(format, &summary, |out| print(out, &table, &summary))
}

fn print(
    out: &mut dyn std::io::Write,
    table: &TableName,
    summary: &LoadSummary,
) -> std::io::Result<()> {
    line(out, "rows", format!("{} loaded into {table}", Count(summary.rows_loaded)))?;
    let messages = format!("{}, {} in all", Count(summary.messages), Bytes(summary.payload_bytes));
    line(out, "messages", messages)?;
    let per_insert = summary.rows_loaded / summary.inserts.max(1);
    let inserts = format!(
        "{} of {} rows on average, {} retried",
        Count(summary.inserts),
        Count(per_insert),
        Count(summary.retries)
    );
    line(out, "inserts", inserts)?;
    if summary.dead_letters > 0 {
        let count = Count(summary.dead_letters);
        line(out, "put aside", format!("{count} messages; see volley dlq list"))?;
    }
    let rate = PerSecond(summary.rows_loaded, summary.elapsed);
    line(out, "time", format!("{}, {rate} rows", Seconds(summary.elapsed)))?;
    if summary.messages_left > 0 {
        let left = format!(
            "{} messages read and not loaded; they stay in the topic",
            summary.messages_left
        );
        line(out, "left", left)?;
    }
    Ok(())
}
