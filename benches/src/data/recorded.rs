use std::sync::Arc;

use arrow_array::{
    ArrayRef, RecordBatch, TimestampMicrosecondArray,
    cast::AsArray,
    types::{Float32Type, Int32Type, TimestampMicrosecondType},
};
use arrow_select::concat::concat_batches;
use volley_core::{
    decode::decode,
    host::{FullMetrics, HostSample, MetricSet},
};

pub(super) const HOST: &[u8] = include_bytes!("../../data/host.arrow");
pub(super) const HOST_FULL: &[u8] = include_bytes!("../../data/host_full.arrow");

/// Where the time is, in both.
const TS: usize = 1;

/// The first `n_rows` of a recording that starts again, later, whenever it is over.
pub(super) fn table(file: &[u8], n_rows: usize) -> RecordBatch {
    let recording = recording(file);
    let ts = recording.column(TS).as_primitive::<TimestampMicrosecondType>();
    let (first, last) = (ts.value(0), ts.value(ts.len() - 1));
    // One sample's time more than it lasted.
    let period = last - first + (last - first) / (ts.len() as i64 - 1);
    let rounds: Vec<_> = (0..n_rows.div_ceil(ts.len()))
        .map(|round| {
            let mut columns = recording.columns().to_vec();
            let moved = ts.unary(|ts| ts + period * round as i64);
            columns[TS] = Arc::new(moved as TimestampMicrosecondArray) as ArrayRef;
            RecordBatch::try_new(recording.schema(), columns).expect("columns of the schema")
        })
        .collect();
    let table = concat_batches(&recording.schema(), &rounds).expect("batches of one schema");
    table.slice(0, n_rows)
}

fn recording(file: &[u8]) -> RecordBatch {
    let batches = decode(file).expect("the data is a sound payload");
    concat_batches(&batches[0].schema(), &batches).expect("batches of one schema")
}

pub(super) fn host_rows() -> Vec<HostSample> {
    let batch = recording(HOST);
    assert_eq!(batch.schema(), MetricSet::Basic.schema());
    let device = batch.column(0).as_string::<i32>();
    let ts = batch.column(TS).as_primitive::<TimestampMicrosecondType>();
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
