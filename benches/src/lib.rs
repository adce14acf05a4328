//! What the benches share: their data, the cases of the grid, and the rival in Python.

#![warn(missing_docs)]
#![allow(clippy::expect_used, clippy::panic, reason = "a bench that cannot run has to stop")]

pub mod case;
mod data;
pub mod exit;
pub mod formats;
pub mod machine;
pub mod pyarrow;
pub mod statistics;

use std::{env, time::Duration};

use arrow_array::RecordBatch;
use criterion::Criterion;
use volley_core::{
    batcher::RowBuilder,
    codec::{Codec, CodecOptions, Framing},
    host::{HostBuilder, HostSample, MetricSet},
    layout,
};

pub use data::Data;

/// `rows` through the builder, `n_rows` in a batch.
pub fn built(rows: &[HostSample], n_rows: usize) -> Vec<RecordBatch> {
    let mut builder = HostBuilder::new(MetricSet::Basic, n_rows);
    let chunks = rows.chunks(n_rows).map(|chunk| {
        chunk.iter().for_each(|row| builder.append(row));
        builder.finish()
    });
    chunks.collect()
}

/// Whether each case just runs once, untimed, as in `cargo test`; `cargo bench` says `--bench`.
pub fn is_smoke() -> bool {
    !env::args().any(|arg| arg == "--bench")
}

/// Whether rough numbers are enough: `VOLLEY_BENCH_QUICK=1`, or none at all.
pub fn is_quick() -> bool {
    is_smoke() || env::var_os("VOLLEY_BENCH_QUICK").is_some_and(|quick| quick == "1")
}

/// How every bench measures, with what stands on the command line.
pub fn criterion() -> Criterion {
    let (warm_up_ms, measurement_ms) = if is_quick() { (50, 200) } else { (300, 1500) };
    Criterion::default()
        .sample_size(if is_quick() { 10 } else { 20 })
        .warm_up_time(Duration::from_millis(warm_up_ms))
        .measurement_time(Duration::from_millis(measurement_ms))
        .configure_from_args()
}

/// A codec as benchmark ids write it: `zstd_1`.
pub fn id(codec: Codec) -> String {
    codec.to_string().replace(':', "_")
}

/// Stream framing with the codec that users write as `codec`.
pub fn stream(codec: &str) -> CodecOptions {
    let codec = codec.parse().expect("a codec");
    CodecOptions { codec, framing: Framing::Stream }
}

/// Batches in turn, for ever, so that no case is measured on one lucky batch.
pub fn turns(batches: &[RecordBatch]) -> impl FnMut() -> RecordBatch {
    let mut batches = batches.iter().cycle();
    // A clone is a few reference counts, under 1 % of any case.
    move || batches.next().expect("at least one batch").clone()
}

/// The buffers of an uncompressed payload that hold something: what a codec is given.
pub fn buffers(payload: &[u8]) -> Vec<&[u8]> {
    let layout = layout::check(payload, &layout::Options::default()).expect("a sound payload");
    let stored = layout.buffers.iter().filter(|buffer| buffer.stored > 0);
    stored.map(|buffer| &payload[buffer.offset..buffer.offset + buffer.stored]).collect()
}
