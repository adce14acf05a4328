use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::{DataType, Field, Schema, TimeUnit};

use super::Random;

const N_COLUMNS: usize = 8;

/// A time every millisecond, and floats between 0 and 1 with 53 random bits each.
pub(super) fn table(n_rows: usize) -> RecordBatch {
    let mut random = Random(1);
    let mut columns = [const { Vec::new() }; N_COLUMNS];
    // Row by row, so that the first rows are the same however many are made.
    for _ in 0..n_rows {
        columns.iter_mut().for_each(|column| column.push(random.unit()));
    }
    let ts = (0..n_rows as i64).map(|row| 1_700_000_000_000_000 + row * 1000);
    let ts = Arc::new(TimestampMicrosecondArray::from_iter_values(ts)) as ArrayRef;
    let floats = columns.into_iter().map(|column| Arc::new(Float64Array::from(column)) as _);

    let mut fields =
        vec![Field::new("ts", DataType::Timestamp(TimeUnit::Microsecond, None), false)];
    fields.extend((0..N_COLUMNS).map(|i| Field::new(format!("f{i}"), DataType::Float64, false)));
    let columns = std::iter::once(ts).chain(floats).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("columns of the schema")
}
