//! 1,000 messages of the host schema into one stream, and what the check of a message costs.
//!
//! Not timed: encoding the messages, and copying the slices of a splice, which whoever sends them
//! need not do.
#![allow(clippy::expect_used, reason = "a bench that cannot run has to stop")]

use std::hint::black_box;

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_select::concat::concat_batches;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use volley_benches::{Data, criterion, stream};
use volley_core::{
    decode::{Decoder, decode},
    encode::{Encoder, encode},
    layout::{Options, Walker},
    splice::splice,
};

const N_MESSAGES: usize = 1000;

criterion_group! {
    name = benches;
    config = criterion();
    targets = bench_splice, bench_decode
}
criterion_main!(benches);

/// `n` payloads of `n_rows` each, the batches in turn.
fn payloads(n_rows: usize, n: usize) -> Vec<Vec<u8>> {
    let batches = Data::Host.batches(n_rows);
    let mut encoder = Encoder::new(batches[0].schema(), stream("zstd:1")).expect("a schema");
    let encoded = batches
        .iter()
        .cycle()
        .take(n)
        .map(|batch| encoder.encode(std::slice::from_ref(batch)).expect("a batch for IPC"));
    encoded.collect()
}

fn bench_splice(criterion: &mut Criterion) {
    let options = Options::default();
    for n_rows in [100, 1000, 10_000] {
        let payloads = payloads(n_rows, N_MESSAGES);
        let payloads: Vec<_> = payloads.iter().map(Vec::as_slice).collect();
        check(&payloads[..payloads.len().min(20)]);

        let mut group = criterion.benchmark_group(format!("splice/splice_{n_rows}"));
        group.throughput(Throughput::Elements((n_rows * N_MESSAGES) as u64));
        group.bench_function("splice", |bencher| {
            bencher.iter(|| splice(black_box(&payloads), &options).expect("payloads that splice"));
        });
        group.bench_function("layout", |bencher| {
            bencher.iter(|| {
                let mut walker = Walker::new(options.clone());
                for payload in black_box(&payloads) {
                    black_box(walker.check(payload).expect("a sound payload"));
                }
            });
        });
        group.sample_size(10);
        group.bench_function("reencode", |bencher| {
            bencher.iter(|| reencode(black_box(&payloads)));
        });
        group.finish();
    }
}

/// What a loader does without a splice: decode, concatenate, encode at the same level.
fn reencode(payloads: &[&[u8]]) -> Vec<u8> {
    let mut decoder = Decoder::default();
    let batches: Vec<_> = payloads
        .iter()
        .flat_map(|payload| decoder.decode(payload).expect("a payload that decodes"))
        .collect();
    encode(&concat(&batches), stream("zstd:1")).expect("a batch for IPC")
}

fn concat(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(&batches[0].schema(), batches).expect("batches of one schema")
}

/// The splice and the re-encoding hold the same rows.
fn check(payloads: &[&[u8]]) {
    let spliced = splice(payloads, &Options::default()).expect("payloads that splice").to_vec();
    let spliced = decode(&spliced).expect("a splice that decodes");
    assert_eq!(spliced.len(), payloads.len());
    let reencoded = decode(&reencode(payloads)).expect("a payload that decodes");
    assert_eq!(concat(&spliced), concat(&reencoded));
}

fn bench_decode(criterion: &mut Criterion) {
    for n_rows in [100, 1000, 10_000] {
        let payloads = payloads(n_rows, 10_000 / n_rows);
        let mut group = criterion.benchmark_group(format!("splice/decode_{n_rows}"));
        group.throughput(Throughput::Elements(10_000));
        let unchecked = |payload: &[u8]| {
            let reader = StreamReader::try_new(payload, None).expect("a schema message");
            reader.collect::<Result<Vec<_>, _>>().expect("a payload that decodes")
        };
        for payload in &payloads {
            assert_eq!(decode(payload).expect("a payload that decodes"), unchecked(payload));
        }
        group.bench_function("checked", |bencher| {
            let mut decoder = Decoder::default();
            bencher.iter(|| {
                for payload in black_box(&payloads) {
                    black_box(decoder.decode(payload).expect("a payload that decodes"));
                }
            });
        });
        group.bench_function("arrow_ipc", |bencher| {
            bencher.iter(|| {
                for payload in black_box(&payloads) {
                    black_box(unchecked(payload));
                }
            });
        });
        group.finish();
    }
}
