//! The host-metrics schema, its row and its columnar builder.

use std::sync::{Arc, LazyLock};

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{PrimitiveBuilder, StringBuilder},
    types::{Float32Type, Int32Type, TimestampMicrosecondType, UInt32Type, UInt64Type},
};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::batcher::RowBuilder;

/// Which columns a host-metrics batch has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricSet {
    /// `device` utf8, `ts` timestamp\[µs\], `cpu_used`, `cpu_free`, `memory_used`, `memory_free`
    /// float32 (percent), `run_elapsed_ms` int32: exactly these, in this order.
    #[default]
    Basic,
    /// The basic columns, then those of [`FullMetrics`], in its order.
    Full,
}

/// One sample of a host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostSample {
    /// Name of the machine.
    pub device: Arc<str>,
    /// When it was sampled, µs since the epoch, UTC.
    pub ts_us: i64,
    /// Share of CPU time in use over all cores, percent.
    pub cpu_used: f32,
    /// The rest of it, percent.
    pub cpu_free: f32,
    /// Share of physical memory in use, percent.
    pub memory_used: f32,
    /// Share of physical memory that is available, percent.
    pub memory_free: f32,
    /// Time since the run started, ms; stays at the greatest int32 after 24.8 days.
    pub run_elapsed_ms: i32,
    /// What [`MetricSet::Full`] adds; not written otherwise.
    pub full: FullMetrics,
}

/// The columns that [`MetricSet::Full`] adds, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FullMetrics {
    /// Load average over 1 minute (`load_1m`, float32).
    pub load_1m: f32,
    /// Load average over 5 minutes (`load_5m`, float32).
    pub load_5m: f32,
    /// Load average over 15 minutes (`load_15m`, float32).
    pub load_15m: f32,
    /// Share of swap in use, percent; 0 without swap (`swap_used`, float32).
    pub swap_used: f32,
    /// Bytes read from disks in a second (`disk_read_bytes_per_sec`, uint64).
    pub disk_read_bytes_per_sec: u64,
    /// Bytes written to disks in a second (`disk_written_bytes_per_sec`, uint64).
    pub disk_written_bytes_per_sec: u64,
    /// Bytes received in a second (`network_received_bytes_per_sec`, uint64).
    pub network_received_bytes_per_sec: u64,
    /// Bytes sent in a second (`network_sent_bytes_per_sec`, uint64).
    pub network_sent_bytes_per_sec: u64,
    /// Number of processes (`process_count`, uint32).
    pub process_count: u32,
}

static BASIC_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(basic_fields())));
static FULL_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let mut fields = basic_fields();
    fields.extend(["load_1m", "load_5m", "load_15m", "swap_used"].map(float));
    fields.extend(
        [
            "disk_read_bytes_per_sec",
            "disk_written_bytes_per_sec",
            "network_received_bytes_per_sec",
            "network_sent_bytes_per_sec",
        ]
        .map(|name| Field::new(name, DataType::UInt64, false)),
    );
    fields.push(Field::new("process_count", DataType::UInt32, false));
    Arc::new(Schema::new(fields))
});

fn float(name: &str) -> Field {
    Field::new(name, DataType::Float32, false)
}

fn basic_fields() -> Vec<Field> {
    let mut fields = vec![
        Field::new("device", DataType::Utf8, false),
        Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), false),
    ];
    fields.extend(["cpu_used", "cpu_free", "memory_used", "memory_free"].map(float));
    fields.push(Field::new("run_elapsed_ms", DataType::Int32, false));
    fields
}

impl MetricSet {
    /// The schema of a batch with these columns; no column is nullable.
    pub fn schema(self) -> SchemaRef {
        match self {
            Self::Basic => BASIC_SCHEMA.clone(),
            Self::Full => FULL_SCHEMA.clone(),
        }
    }
}

/// Gathers [`HostSample`]s into columns.
#[derive(Debug)]
pub struct HostBuilder {
    set: MetricSet,
    capacity: usize,
    device: StringBuilder,
    ts: PrimitiveBuilder<TimestampMicrosecondType>,
    /// cpu_used, cpu_free, memory_used, memory_free.
    percents: [PrimitiveBuilder<Float32Type>; 4],
    run_elapsed_ms: PrimitiveBuilder<Int32Type>,
    full: FullBuilder,
}

/// The builders of [`FullMetrics`]; they stay empty, and without memory, in a basic set.
#[derive(Debug, Default)]
struct FullBuilder {
    /// Loads over 1, 5 and 15 minutes, then swap.
    floats: [PrimitiveBuilder<Float32Type>; 4],
    /// Disk read and written, network received and sent.
    rates: [PrimitiveBuilder<UInt64Type>; 4],
    process_count: PrimitiveBuilder<UInt32Type>,
}

impl HostBuilder {
    /// A builder with room for `capacity` rows.
    pub fn new(set: MetricSet, capacity: usize) -> Self {
        Self {
            set,
            capacity,
            device: StringBuilder::with_capacity(capacity, capacity * 8),
            ts: PrimitiveBuilder::with_capacity(capacity),
            percents: std::array::from_fn(|_| PrimitiveBuilder::with_capacity(capacity)),
            run_elapsed_ms: PrimitiveBuilder::with_capacity(capacity),
            full: FullBuilder::default(),
        }
    }
}

impl RowBuilder for HostBuilder {
    type Row = HostSample;

    fn row_bytes(&self, row: &HostSample) -> usize {
        // Offset and text of the device, ts, four percents, run_elapsed_ms.
        let basic = 4 + row.device.len() + 8 + 4 * 4 + 4;
        match self.set {
            MetricSet::Basic => basic,
            MetricSet::Full => basic + 4 * 4 + 4 * 8 + 4,
        }
    }

    fn append(&mut self, row: &HostSample) {
        self.device.append_value(&row.device);
        self.ts.append_value(row.ts_us);
        let values = [row.cpu_used, row.cpu_free, row.memory_used, row.memory_free];
        for (column, value) in self.percents.iter_mut().zip(values) {
            column.append_value(value);
        }
        self.run_elapsed_ms.append_value(row.run_elapsed_ms);
        if self.set == MetricSet::Full {
            self.full.append(&row.full);
        }
    }

    fn finish(&mut self) -> RecordBatch {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(16);
        columns.push(Arc::new(self.device.finish()));
        columns.push(Arc::new(self.ts.finish()));
        for column in &mut self.percents {
            columns.push(Arc::new(column.finish()));
        }
        columns.push(Arc::new(self.run_elapsed_ms.finish()));
        if self.set == MetricSet::Full {
            self.full.finish(&mut columns);
        }
        *self = Self::new(self.set, self.capacity);
        #[expect(
            clippy::expect_used,
            reason = "the columns above are the schema's, all equally long"
        )]
        RecordBatch::try_new(self.set.schema(), columns).expect("builders follow the schema")
    }
}

impl FullBuilder {
    fn append(&mut self, row: &FullMetrics) {
        let floats = [row.load_1m, row.load_5m, row.load_15m, row.swap_used];
        for (column, value) in self.floats.iter_mut().zip(floats) {
            column.append_value(value);
        }
        let rates = [
            row.disk_read_bytes_per_sec,
            row.disk_written_bytes_per_sec,
            row.network_received_bytes_per_sec,
            row.network_sent_bytes_per_sec,
        ];
        for (column, value) in self.rates.iter_mut().zip(rates) {
            column.append_value(value);
        }
        self.process_count.append_value(row.process_count);
    }

    fn finish(&mut self, columns: &mut Vec<ArrayRef>) {
        for column in &mut self.floats {
            columns.push(Arc::new(column.finish()));
        }
        for column in &mut self.rates {
            columns.push(Arc::new(column.finish()));
        }
        columns.push(Arc::new(self.process_count.finish()));
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::{cast::AsArray, types::Int32Type};

    use super::*;

    fn sample(i: i32) -> HostSample {
        HostSample {
            device: "host".into(),
            ts_us: i64::from(i),
            cpu_used: 25.0,
            cpu_free: 75.0,
            memory_used: 40.0,
            memory_free: 60.0,
            run_elapsed_ms: i,
            full: FullMetrics { process_count: 3, ..FullMetrics::default() },
        }
    }

    #[test]
    fn basic_columns_are_the_ones_that_consumers_know() {
        assert_eq!(
            crate::fingerprint::canonical(&MetricSet::Basic.schema()),
            "\"device\" utf8 not null, \"ts\" timestamp[us] not null, \
             \"cpu_used\" float32 not null, \"cpu_free\" float32 not null, \
             \"memory_used\" float32 not null, \"memory_free\" float32 not null, \
             \"run_elapsed_ms\" int32 not null"
        );
        let (basic, full) = (MetricSet::Basic.schema(), MetricSet::Full.schema());
        assert_eq!(full.fields()[..7], basic.fields()[..]);
        assert_eq!(full.fields().len(), 16);
    }

    #[test]
    fn batches_hold_the_rows_in_order_and_start_anew() {
        for set in [MetricSet::Basic, MetricSet::Full] {
            let mut builder = HostBuilder::new(set, 2);
            for n_rows in [3, 1, 0] {
                (0..n_rows).for_each(|i| builder.append(&sample(i)));
                let batch = builder.finish();
                assert_eq!(batch.schema(), set.schema());
                let elapsed = batch.column(6).as_primitive::<Int32Type>();
                assert_eq!(elapsed.values().to_vec(), (0..n_rows).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn row_bytes_are_what_the_arrays_hold() {
        for set in [MetricSet::Basic, MetricSet::Full] {
            let mut builder = HostBuilder::new(set, 10);
            let counted: usize = (0..10).map(|i| builder.row_bytes(&sample(i))).sum();
            (0..10).for_each(|i| builder.append(&sample(i)));
            let held: usize = builder
                .finish()
                .columns()
                .iter()
                .map(|column| column.to_data().get_slice_memory_size().unwrap())
                .sum();
            // Offsets of n rows are n + 1 numbers.
            assert_eq!(counted + 4, held, "{set:?}");
        }
    }
}
