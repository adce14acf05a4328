//! Record batch to payload, beside what others make of the same batches.
//!
//! Not timed: making the batches, starting Python, and the check that each payload decodes to its
//! batch again. A payload is a new allocation in every case but `zstd_1_alone`.
#![allow(clippy::expect_used, reason = "a bench that cannot run has to stop")]

use std::hint::black_box;

use arrow_array::RecordBatch;
use arrow_ipc::{
    CompressionType, MetadataVersion,
    writer::{IpcWriteOptions, StreamWriter},
};
use criterion::{
    BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use volley_benches::{
    Data, buffers, criterion, id,
    pyarrow::{Pyarrow, Threads, python},
    stream, turns,
};
use volley_core::{
    codec::{Codec, CodecOptions},
    decode::decode,
    encode::{Encoder, encode},
};

criterion_group! {
    name = benches;
    config = criterion();
    targets = bench_encode
}
criterion_main!(benches);

fn bench_encode(criterion: &mut Criterion) {
    for n_rows in [100, 1000, 10_000] {
        let mut group = criterion.benchmark_group(format!("codec/encode_{n_rows}"));
        bench_codecs(&mut group, &Data::Host.batches(n_rows));
        group.finish();
    }
    for data in [Data::HostFull, Data::RandomFloats, Data::Logs] {
        let name = format!("codec/encode_{}_1000", data.name());
        let mut group = criterion.benchmark_group(name);
        bench_codecs(&mut group, &data.batches(1000));
        group.finish();
    }
}

fn bench_codecs(group: &mut BenchmarkGroup<'_, WallTime>, batches: &[RecordBatch]) {
    group.throughput(Throughput::Elements(batches[0].num_rows() as u64));
    for codec in ["zstd:1", "none", "lz4", "zstd:3"] {
        let options = stream(codec);
        let id = id(options.codec);
        bench_volley(group, &id, batches, options);
        bench_arrow_rs(group, &format!("{id}_arrow_rs"), batches, options.codec);
        for (threads, name) in [(Threads::One, "pyarrow_1_thread"), (Threads::Default, "pyarrow")] {
            bench_pyarrow(group, &format!("{id}_{name}"), batches, options.codec, threads);
        }
        if let Codec::Zstd(level) = options.codec {
            bench_zstd_alone(group, &format!("{id}_alone"), batches, level.get().into());
        }
    }
}

fn check(payload: &[u8], batch: &RecordBatch) {
    let decoded = decode(payload).expect("a payload that decodes");
    assert_eq!(decoded, std::slice::from_ref(batch));
}

/// One encoder for all messages, as the pipeline uses it.
fn bench_volley(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: &str,
    batches: &[RecordBatch],
    options: CodecOptions,
) {
    let mut encoder = Encoder::new(batches[0].schema(), options).expect("a schema for IPC");
    let mut encode = move |batch| encoder.encode(&[batch]).expect("a batch for IPC");
    batches.iter().for_each(|batch| check(&encode(batch.clone()), batch));
    let mut next = turns(batches);
    group.bench_function(id, |bencher| bencher.iter(|| encode(black_box(next()))));
}

/// As arrow's documentation shows it: a new writer for each message, with default alignment.
fn bench_arrow_rs(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: &str,
    batches: &[RecordBatch],
    codec: Codec,
) {
    let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5).expect("valid options");
    let options = match codec {
        Codec::None => Ok(options),
        Codec::Lz4 => options.try_with_compression(Some(CompressionType::LZ4_FRAME)),
        Codec::Zstd(level) => options
            .try_with_compression(Some(CompressionType::ZSTD))
            .and_then(|options| options.try_with_compression_level(Some(level.get().into()))),
    };
    let options = options.expect("valid options");
    let encode = |batch: &RecordBatch| {
        let schema = batch.schema_ref();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), schema, options.clone())?;
        writer.write(batch)?;
        writer.into_inner()
    };
    batches.iter().for_each(|batch| check(&encode(batch).expect("a batch for IPC"), batch));
    let mut next = turns(batches);
    group.bench_function(id, |bencher| bencher.iter(|| encode(black_box(&next()))));
}

/// The time is what Python measured around its own loop: talking to it is not in it.
fn bench_pyarrow(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: &str,
    batches: &[RecordBatch],
    codec: Codec,
    threads: Threads,
) {
    let Some(python) = python() else { return };
    // Only a case that is run starts it.
    let start = || {
        let pyarrow = Pyarrow::start(python, batches, codec, threads);
        check(&pyarrow.payload, &batches[0]);
        pyarrow
    };
    let mut pyarrow = None;
    group.bench_function(id, |bencher| {
        let pyarrow = pyarrow.get_or_insert_with(start);
        bencher.iter_custom(|n| pyarrow.encode(n));
    });
}

/// The limit: zstd on the same buffers, with a context and an output that are there already, and
/// nothing else: no lengths, no metadata, no payload.
fn bench_zstd_alone(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: &str,
    batches: &[RecordBatch],
    level: i32,
) {
    let payloads: Vec<_> = batches
        .iter()
        .map(|batch| encode(batch, stream("none")).expect("a batch for IPC"))
        .collect();
    let buffers: Vec<_> = payloads.iter().map(|payload| buffers(payload)).collect();
    let mut compressor = zstd::bulk::Compressor::new(level).expect("a level of zstd");
    let largest = buffers.iter().flatten().map(|buffer| buffer.len()).max().unwrap_or_default();
    let mut output = Vec::with_capacity(zstd::zstd_safe::compress_bound(largest));
    let mut compress = move |buffers: &[&[u8]]| {
        for buffer in buffers {
            compressor.compress_to_buffer(buffer, &mut output).expect("room for the output");
            black_box(&output);
        }
    };
    let mut next = buffers.iter().cycle();
    group.bench_function(id, |bencher| {
        bencher.iter(|| compress(black_box(next.next().expect("at least one batch"))));
    });
}
