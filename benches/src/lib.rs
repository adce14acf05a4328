//! What the benches share: their data, the cases of the grid, and the rival in Python.

#![warn(missing_docs)]
#![allow(clippy::expect_used, clippy::panic, reason = "a bench that cannot run has to stop")]

pub mod pyarrow;

use arrow_array::{
    RecordBatch,
    cast::AsArray,
    types::{Float32Type, Int32Type, TimestampMicrosecondType},
};
use volley_core::{
    batcher::RowBuilder,
    codec::{Codec, CodecOptions, Framing},
    decode::decode,
    host::{FullMetrics, HostBuilder, HostSample, MetricSet},
    layout,
};

/// Rows that the benches run on: 10,000 of the host schema, in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// One machine, recorded every 100 ms while it was compiling, and while it was not.
    Host,
    /// Ten made-up machines that share their batches.
    Synthetic,
}

impl Data {
    fn file(self) -> &'static [u8] {
        match self {
            Self::Host => include_bytes!("../data/host.arrow"),
            Self::Synthetic => include_bytes!("../data/synthetic.arrow"),
        }
    }

    /// Its rows.
    pub fn rows(self) -> Vec<HostSample> {
        let batches = decode(self.file()).expect("the data is a sound payload");
        batches.iter().flat_map(rows_of).collect()
    }

    /// Its rows as batches of `n_rows`, built as the pipeline builds them. A batch of all rows has
    /// a second beside it, which starts half-way: an encoder that is given one batch over and over
    /// could remember it.
    ///
    /// # Panics
    ///
    /// Unless `n_rows` divides 10,000.
    pub fn batches(self, n_rows: usize) -> Vec<RecordBatch> {
        let mut rows = self.rows();
        assert!(rows.len().is_multiple_of(n_rows), "{} rows in batches of {n_rows}", rows.len());
        let mut batches = built(&rows, n_rows);
        if batches.len() == 1 {
            rows.rotate_left(n_rows / 2);
            batches.extend(built(&rows, n_rows));
        }
        batches
    }
}

/// `rows` through the builder, `n_rows` in a batch.
pub fn built(rows: &[HostSample], n_rows: usize) -> Vec<RecordBatch> {
    let mut builder = HostBuilder::new(MetricSet::Basic, n_rows);
    let chunks = rows.chunks(n_rows).map(|chunk| {
        chunk.iter().for_each(|row| builder.append(row));
        builder.finish()
    });
    chunks.collect()
}

fn rows_of(batch: &RecordBatch) -> Vec<HostSample> {
    assert_eq!(batch.schema(), MetricSet::Basic.schema());
    let device = batch.column(0).as_string::<i32>();
    let ts = batch.column(1).as_primitive::<TimestampMicrosecondType>();
    let floats = |column: usize| batch.column(column).as_primitive::<Float32Type>().values();
    let (cpu_used, cpu_free, memory_used, memory_free) =
        (floats(2), floats(3), floats(4), floats(5));
    let run_elapsed_ms = batch.column(6).as_primitive::<Int32Type>();
    (0..batch.num_rows())
        .map(|row| HostSample {
            device: device.value(row).into(),
            ts_us: ts.value(row),
            cpu_used: cpu_used[row],
            cpu_free: cpu_free[row],
            memory_used: memory_used[row],
            memory_free: memory_free[row],
            run_elapsed_ms: run_elapsed_ms.value(row),
            full: FullMetrics::default(),
        })
        .collect()
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
