//! Host rows to record batches.
//!
//! Not timed: making the rows. Every case drops the batches that it makes.
#![allow(clippy::expect_used, reason = "a bench that cannot run has to stop")]

use std::{hint::black_box, num::NonZeroUsize, sync::Arc, time::Duration};

use arrow_array::{Float32Array, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use volley_benches::{Data, built, criterion};
use volley_core::{
    batcher::{BatchLimits, MicroBatcher},
    host::{HostBuilder, HostSample, MetricSet},
};

criterion_group! {
    name = benches;
    config = criterion();
    targets = bench_batcher
}
criterion_main!(benches);

fn bench_batcher(criterion: &mut Criterion) {
    let rows = Data::host_rows();
    for n_rows in [100, 1000, 10_000] {
        let mut group = criterion.benchmark_group(format!("batcher/rows_{n_rows}"));
        group.throughput(Throughput::Elements(rows.len() as u64));
        let expected = built(&rows, n_rows);
        assert_eq!(batched(&rows, n_rows), expected);
        assert_eq!(collected(&rows, n_rows), expected);

        group.bench_function("builder", |bencher| {
            bencher.iter(|| built(black_box(&rows), n_rows));
        });
        group.bench_function("batcher", |bencher| {
            bencher.iter(|| batched(black_box(&rows), n_rows));
        });
        group.bench_function("naive", |bencher| {
            bencher.iter(|| collected(black_box(&rows), n_rows));
        });
        group.finish();
    }
}

/// With the limits looked after, row by row.
fn batched(rows: &[HostSample], n_rows: usize) -> Vec<RecordBatch> {
    let limits = BatchLimits {
        n_rows: NonZeroUsize::new(n_rows).expect("at least one row"),
        n_bytes: NonZeroUsize::MAX,
        age: Duration::from_secs(1),
    };
    let mut batcher = MicroBatcher::new(HostBuilder::new(MetricSet::Basic, n_rows), limits);
    rows.iter().filter_map(|row| batcher.push(row, Duration::ZERO)).collect()
}

/// What one writes first: rows kept as they come, then one array at a time.
fn collected(rows: &[HostSample], n_rows: usize) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    let mut held = Vec::new();
    for row in rows {
        held.push(row.clone());
        if held.len() == n_rows {
            batches.push(collect(&held));
            held.clear();
        }
    }
    batches
}

fn collect(rows: &[HostSample]) -> RecordBatch {
    let floats = |value: fn(&HostSample) -> f32| {
        Arc::new(rows.iter().map(value).map(Some).collect::<Float32Array>()) as _
    };
    let columns = vec![
        Arc::new(rows.iter().map(|row| Some(&*row.device)).collect::<StringArray>()) as _,
        Arc::new(rows.iter().map(|row| Some(row.ts_us)).collect::<TimestampMicrosecondArray>())
            as _,
        floats(|row| row.cpu_used),
        floats(|row| row.cpu_free),
        floats(|row| row.memory_used),
        floats(|row| row.memory_free),
        Arc::new(rows.iter().map(|row| Some(row.run_elapsed_ms)).collect::<Int32Array>()) as _,
    ];
    RecordBatch::try_new(MetricSet::Basic.schema(), columns).expect("columns of the schema")
}
