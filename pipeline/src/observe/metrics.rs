use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram, info::Info,
    },
    registry::Registry,
};

use crate::load::DEAD_LETTER_CAUSES;

/// What `volley load` counts. Every series is there from the start, at zero: of one that comes into
/// being with its first event, Prometheus misses that event.
#[derive(Debug)]
pub(crate) struct LoadMetrics {
    pub(crate) rows: Counter,
    pub(crate) messages: Counter,
    pub(crate) bytes: Counter,
    pub(crate) inserts: Counter,
    pub(crate) inserts_reencoded: Counter,
    pub(crate) retries: Counter,
    pub(crate) commit_failures: Counter,
    pub(crate) rebalances: Counter,
    pub(crate) dead_letters: Family<CauseLabel, Counter>,
    pub(crate) insert_seconds: Histogram,
    pub(crate) block_rows: Histogram,
    pub(crate) freshness_seconds: Histogram,
}

/// Why a message could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CauseLabel {
    pub(crate) cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabel {
    partition: i32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

/// A registry whose only metric so far is the version.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    let build = Info::new(BuildLabels { version: env!("CARGO_PKG_VERSION") });
    registry.register("volley_build", "Version of Volley", build);
    registry
}

impl LoadMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(format!("volley_load_{name}"), help, counter.clone());
            counter
        };
        let rows = counter("rows", "Rows inserted");
        let messages = counter("messages", "Messages whose rows were inserted");
        let bytes = counter("bytes", "Bytes of the values of those messages");
        let inserts = counter("inserts", "Inserts that ClickHouse acknowledged");
        let inserts_reencoded = counter(
            "inserts_reencoded",
            "Inserts whose rows had to be decoded, because their messages do not splice",
        );
        let retries = counter("retries", "Inserts that failed in passing and are sent again");
        let commit_failures = counter("commit_failures", "Commits of offsets that were refused");
        let rebalances = counter("rebalances", "Times that partitions were gained or lost");
        let dead_letters = Family::<CauseLabel, Counter>::default();
        for cause in DEAD_LETTER_CAUSES {
            drop(dead_letters.get_or_create(&CauseLabel { cause }));
        }
        let help = "Messages that could not be loaded and were put into the dead-letter topic";
        registry.register("volley_load_dead_letters", help, dead_letters.clone());
        let mut histogram = |name: &str, help: &str, buckets: &[f64]| {
            let histogram = Histogram::new(buckets.iter().copied());
            registry.register(format!("volley_load_{name}"), help, histogram.clone());
            histogram
        };
        let insert_seconds = histogram(
            "insert_seconds",
            "Time of the attempt of an insert that succeeded",
            &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0],
        );
        let block_rows = histogram(
            "block_rows",
            "Rows of an insert",
            &[1.0, 10.0, 100.0, 1e3, 1e4, 5e4, 1e5, 2.5e5, 5e5, 1e6, 2e6],
        );
        let freshness_seconds = histogram(
            "freshness_seconds",
            "From the oldest sample of a message to its being queryable, one observation a message; of \
             messages whose headers say when their rows were sampled",
            &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0],
        );
        Self {
            rows,
            messages,
            bytes,
            inserts,
            inserts_reencoded,
            retries,
            commit_failures,
            rebalances,
            dead_letters,
            insert_seconds,
            block_rows,
            freshness_seconds,
        }
    }
}

/// What is true at the moment of a scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadGauges {
    pub(crate) n_partitions: u64,
    pub(crate) n_stalled_partitions: u64,
    pub(crate) n_inflight_bytes: u64,
    pub(crate) is_clickhouse_up: bool,
    /// A partition that was lost is not there, rather than at its last value.
    pub(crate) lag: Vec<Lag>,
}

/// How far a partition is behind; `None` where it is not known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lag {
    pub(crate) partition: i32,
    pub(crate) messages: Option<u64>,
    pub(crate) rows: Option<f64>,
    pub(crate) seconds: Option<f64>,
}

/// Whoever knows the gauges.
pub(crate) trait Gauged: Send + Sync + 'static {
    fn gauges(&self) -> LoadGauges;
}

/// Asks for the gauges when they are scraped.
pub(crate) struct LoadCollector<T>(pub(crate) T);

impl<T> fmt::Debug for LoadCollector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoadCollector")
    }
}

impl<T: Gauged> Collector for LoadCollector<T> {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let LoadGauges {
            n_partitions,
            n_stalled_partitions,
            n_inflight_bytes,
            is_clickhouse_up,
            lag,
        } = self.0.gauges();
        gauge(&mut encoder, "assigned_partitions", "Partitions of this member", n_partitions)?;
        gauge(
            &mut encoder,
            "stalled_partitions",
            "Partitions that have something to load of which nothing was loaded for --stall-after",
            n_stalled_partitions,
        )?;
        gauge(
            &mut encoder,
            "inflight_bytes",
            "Bytes of messages that were read and are not inserted yet",
            n_inflight_bytes,
        )?;
        gauge(
            &mut encoder,
            "clickhouse_up",
            "1 if ClickHouse took the last insert, 0 while it is away and an insert is tried again",
            u64::from(is_clickhouse_up),
        )?;
        per_partition(
            &mut encoder,
            "lag_messages",
            "Messages that are not loaded yet: the end of the partition less the first offset that is \
             not loaded",
            lag.iter().filter_map(|lag| Some((lag.partition, lag.messages?))),
        )?;
        per_partition(
            &mut encoder,
            "lag_rows",
            "Rows in those messages: of those that were read as they are, of the others the mean of the \
             messages read so far",
            lag.iter().filter_map(|lag| Some((lag.partition, lag.rows?))),
        )?;
        per_partition(
            &mut encoder,
            "lag_seconds",
            "Age of the first message that is not loaded, by its Kafka timestamp, or of the last one \
             that was loaded where the first was not read yet; 0 without lag",
            lag.iter().filter_map(|lag| Some((lag.partition, lag.seconds?))),
        )
    }
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let (name, help) = (format!("volley_load_{name}"), format!("{help}."));
    let gauge = ConstGauge::new(value);
    gauge.encode(encoder.encode_descriptor(&name, &help, None, gauge.metric_type())?)
}

fn per_partition<N: EncodeGaugeValue>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    values: impl Iterator<Item = (i32, N)>,
) -> fmt::Result {
    let (name, help) = (format!("volley_load_{name}"), format!("{help}."));
    let kind = ConstGauge::new(0_u64).metric_type();
    let mut family = encoder.encode_descriptor(&name, &help, None, kind)?;
    for (partition, value) in values {
        let labels = PartitionLabel { partition };
        ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
