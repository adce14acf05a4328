//! Every data set × rows of a message × codec × framing, and what each operation on a message takes.
//!
//! Ids are `DATA/OPERATION_ROWS/CODEC`, with `_file` behind the codec for file framing. Not timed:
//! making batches and payloads, and the checks that they decode to what they were made of.
//! `VOLLEY_BENCH_QUICK=1` leaves out the highest levels and most of the file framing.
#![allow(clippy::expect_used, reason = "a bench that cannot run has to stop")]

use std::hint::black_box;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use volley_benches::{Data, case::Case, criterion, is_quick, is_smoke, turns};
use volley_core::{
    decode::{Decoder, decode},
    encode::{Encoder, encode},
    fingerprint::Fingerprint,
    layout::{Options, Walker},
    splice::splice,
};

/// Rows that are spliced and encoded anew at once, at most; at least two messages.
const JOINED_ROWS: usize = 100_000;

fn main() {
    let mut criterion = criterion();
    for data in Data::ALL {
        // The largest says nothing new to a test.
        for n_rows in Case::ROWS.into_iter().filter(|rows| !is_smoke() || *rows < 100_000) {
            let batches = data.batches(n_rows);
            bench_codec(&mut criterion, data, &batches);
            bench_joining(&mut criterion, data, &batches);
        }
        bench_fingerprint(&mut criterion, data);
    }
    criterion.final_summary();
}

fn group<'c>(
    criterion: &'c mut Criterion,
    data: Data,
    operation: &str,
    n_rows: usize,
) -> BenchmarkGroup<'c, WallTime> {
    let mut group = criterion.benchmark_group(format!("{}/{operation}_{n_rows}", data.name()));
    group.throughput(Throughput::Elements(n_rows as u64));
    group
}

fn bench_codec(criterion: &mut Criterion, data: Data, batches: &[RecordBatch]) {
    let n_rows = batches[0].num_rows();
    let mut encoding = group(criterion, data, "encode", n_rows);
    for case in Case::of(n_rows, is_quick()) {
        let mut encoder = Encoder::new(batches[0].schema(), case.options).expect("a schema");
        let payload = encoder.encode(&batches[..1]).expect("a batch for IPC");
        assert_eq!(decode(&payload).expect("a sound payload"), batches[..1]);
        let mut next = turns(batches);
        encoding.bench_function(case.id(), |bencher| {
            bencher.iter(|| encoder.encode(&[black_box(next())]).expect("a batch for IPC"));
        });
    }
    encoding.finish();
    let mut decoding = group(criterion, data, "decode", n_rows);
    for case in Case::of(n_rows, is_quick()) {
        let payload = encode(&batches[0], case.options).expect("a batch for IPC");
        let mut decoder = Decoder::default();
        decoding.bench_function(case.id(), |bencher| {
            bencher.iter(|| decoder.decode(black_box(&payload)).expect("a sound payload"));
        });
    }
    decoding.finish();
}

/// What a loader does with messages; without a codec and with one, because the structure is all that
/// counts for two of three.
fn bench_joining(criterion: &mut Criterion, data: Data, batches: &[RecordBatch]) {
    let n_rows = batches[0].num_rows();
    let n_messages = (JOINED_ROWS / n_rows).clamp(2, 100);
    for case in Case::of(n_rows, is_quick()).filter(Case::is_joined) {
        let mut encoder = Encoder::new(batches[0].schema(), case.options).expect("a schema");
        let encode_one = |batch: &RecordBatch| {
            encoder.encode(std::slice::from_ref(batch)).expect("a batch for IPC")
        };
        let payloads: Vec<_> = batches.iter().cycle().take(n_messages).map(encode_one).collect();
        let payloads: Vec<_> = payloads.iter().map(Vec::as_slice).collect();
        let options = Options::default();
        let n_joined = n_rows * n_messages;
        let spliced = splice(&payloads, &options).expect("payloads that splice").to_vec();
        let spliced = decode(&spliced).expect("a splice that decodes");
        assert_eq!(spliced.iter().map(RecordBatch::num_rows).sum::<usize>(), n_joined);

        let mut joining = group(criterion, data, "layout", n_rows);
        joining.throughput(Throughput::Elements(n_joined as u64));
        joining.bench_function(case.id(), |bencher| {
            bencher.iter(|| {
                let mut walker = Walker::new(options.clone());
                for payload in black_box(&payloads) {
                    black_box(walker.check(payload).expect("a sound payload"));
                }
            });
        });
        joining.finish();
        let mut joining = group(criterion, data, "splice", n_rows);
        joining.throughput(Throughput::Elements(n_joined as u64));
        joining.bench_function(case.id(), |bencher| {
            bencher.iter(|| splice(black_box(&payloads), &options).expect("payloads that splice"));
        });
        joining.finish();
        let mut joining = group(criterion, data, "reencode", n_rows);
        joining.throughput(Throughput::Elements(n_joined as u64));
        joining.bench_function(case.id(), |bencher| {
            let mut decoder = Decoder::default();
            bencher.iter(|| {
                let decode = |payload: &&[u8]| decoder.decode(payload).expect("a sound payload");
                let decoded: Vec<_> = black_box(&payloads).iter().flat_map(decode).collect();
                let joined = concat_batches(decoded[0].schema_ref(), &decoded);
                encode(&joined.expect("batches of one schema"), case.options)
            });
        });
        joining.finish();
    }
}

fn bench_fingerprint(criterion: &mut Criterion, data: Data) {
    let schema = data.table(1).schema();
    let mut group = criterion.benchmark_group(format!("{}/fingerprint", data.name()));
    group.bench_function("schema", |bencher| {
        bencher.iter(|| Fingerprint::of(black_box(&schema)));
    });
    group.finish();
}
