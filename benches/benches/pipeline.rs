//! Rows to acknowledged messages, the whole producer: made-up rows, batches, payloads, a broker.
//!
//! Two groups that say which broker answers: `produce_embedded` is librdkafka's own, in this process,
//! `produce_kafka` is Apache Kafka, a process beside it, and is left out of `cargo test`. Not timed:
//! connecting. Every row is counted as acknowledged before its time counts. A batch over the broker's
//! limit (100,000 rows are, without a codec) goes as several messages.
#![allow(clippy::expect_used, reason = "a bench that cannot run has to stop")]

use std::{env, num::NonZeroUsize, sync::Arc, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tokio::runtime::Runtime;
use volley::{
    kafka::KafkaOptions,
    produce::{MessageKey, NoObserver, ProduceOptions, SourceOptions, produce},
    shutdown::Shutdown,
    source::SyntheticOptions,
};
use volley_benches::{criterion, is_smoke, stream};
use volley_core::{batcher::BatchLimits, host::MetricSet};
use volley_e2e::{KafkaSize, NativeKafka};
use volley_embedded::EmbeddedBroker;

criterion_group! {
    name = benches;
    config = criterion();
    targets = bench_embedded, bench_kafka
}
criterion_main!(benches);

fn bench_embedded(criterion: &mut Criterion) {
    let broker = EmbeddedBroker::start().expect("a broker in this process");
    bench_produce(criterion, "produce_embedded", broker.bootstrap_servers());
}

fn bench_kafka(criterion: &mut Criterion) {
    if is_smoke() {
        return;
    }
    match NativeKafka::start(KafkaSize::ONE) {
        Ok(kafka) => bench_produce(criterion, "produce_kafka", kafka.bootstrap_servers()),
        #[expect(clippy::print_stderr, reason = "for whoever runs the bench")]
        Err(error) => {
            let may_skip = env::var_os("VOLLEY_NO_SKIP").is_none_or(|no| no != "1");
            assert!(may_skip, "may not skip: {error}");
            eprintln!("SKIPPED: {error}");
        }
    }
}

fn bench_produce(criterion: &mut Criterion, subject: &str, brokers: &str) {
    let runtime = Runtime::new().expect("a runtime");
    for n_rows in [100, 1000, 10_000, 100_000] {
        let mut group = criterion.benchmark_group(format!("{subject}/rows_{n_rows}"));
        group.sample_size(10);
        // So many that a run is longer than what starts it.
        let n_sent = match n_rows {
            _ if is_smoke() => 10_000,
            100 => 100_000,
            _ => 500_000,
        };
        group.throughput(Throughput::Elements(n_sent));
        for codec in ["none", "zstd:1"] {
            let topic = format!("bench-{n_rows}");
            let options = options(brokers, &topic, codec, n_rows, n_sent);
            group.bench_function(volley_benches::id(options.codec.codec), |bencher| {
                bencher.iter_custom(|n| (0..n).map(|_| send(&runtime, &options, n_sent)).sum());
            });
        }
        group.finish();
    }
}

/// How long it took from the first row to the last acknowledgement.
fn send(runtime: &Runtime, options: &ProduceOptions, n_sent: u64) -> Duration {
    let run = produce(options.clone(), Shutdown::never(), Arc::new(NoObserver));
    let summary = runtime.block_on(run).expect("rows that are sent");
    assert_eq!(summary.rows_delivered, n_sent);
    summary.elapsed
}

fn options(brokers: &str, topic: &str, codec: &str, n_rows: usize, n_sent: u64) -> ProduceOptions {
    let at_least_one = |n: usize| NonZeroUsize::new(n).unwrap_or(NonZeroUsize::MIN);
    ProduceOptions {
        kafka: KafkaOptions {
            brokers: brokers.to_owned(),
            properties: Vec::new(),
            timeout: Duration::from_secs(60),
        },
        topic: topic.to_owned(),
        create_topic: Some(1),
        source: SourceOptions::Synthetic(SyntheticOptions {
            seed: 1,
            n_devices: 10,
            n_rows: Some(n_sent),
            rate: None,
            start_us: 1_700_000_000_000_000,
        }),
        metrics: MetricSet::Basic,
        limits: BatchLimits {
            n_rows: at_least_one(n_rows),
            n_bytes: NonZeroUsize::MAX,
            age: Duration::from_secs(60),
        },
        codec: stream(codec),
        key: MessageKey::None,
        n_batches: None,
        duration: None,
        max_inflight_bytes: 64 << 20,
    }
}
