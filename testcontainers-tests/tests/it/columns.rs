//! Arrays into ClickHouse and back, for the cases about types.

use std::{sync::Arc, time::Duration};

use arrow::{
    array::{Array as _, ArrayRef, FixedSizeBinaryArray, RecordBatch, UInt32Array},
    compute::take,
    datatypes::{DataType, Field, Schema},
};
use volley::{
    clickhouse::{CreateTable, Creation},
    load::{BlockLimits, LoadOptions},
};
use volley_core::{
    codec::{Codec, CodecOptions, Framing, ZstdLevel},
    encode::encode,
};
use volley_e2e::{Scenario, assert_same_rows};

/// Rows of a column; its values take turns.
const N_ROWS: u32 = 8;

/// Each array as a column that may not be null and, with nulls among its values, as one that may.
/// What is nested comes without nulls at the top, where ClickHouse has none.
pub(crate) fn check(scenario: &Scenario<'_>, arrays: Vec<(&str, ArrayRef)>) {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (name, array) in arrays {
        let len = array.len() as u32;
        let every = UInt32Array::from_iter_values((0..N_ROWS).map(|i| i % len));
        let some = UInt32Array::from_iter((0..N_ROWS).map(|i| (i % 3 != 1).then_some(i % len)));
        fields.push(Field::new(name, array.data_type().clone(), false));
        columns.push(take(&array, &every, None).unwrap());
        if !array.data_type().is_nested() {
            fields.push(Field::new(format!("{name}_or_null"), array.data_type().clone(), true));
            columns.push(take(&array, &some, None).unwrap());
        }
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    check_batch(scenario, &batch, &batch);
}

/// What any producer wrote into a topic, and what ClickHouse has of it: several messages of every
/// framing and codec, spliced into one insert.
pub(crate) fn check_batch(scenario: &Scenario<'_>, input: &RecordBatch, expected: &RecordBatch) {
    scenario.create_topic(1, &[]);
    let n: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..input.num_rows() as u32));
    let mut fields = vec![Arc::new(Field::new("n", DataType::UInt32, false))];
    fields.extend(input.schema().fields().iter().cloned());
    let columns = [vec![n], input.columns().to_vec()].concat();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let (stream, file) = (Framing::Stream, Framing::File);
    let zstd = Codec::Zstd(ZstdLevel::default());
    let kinds = [(zstd, stream), (Codec::None, file), (Codec::Lz4, stream), (zstd, file)];
    let n_rows = batch.num_rows().div_ceil(kinds.len());
    let messages = kinds.into_iter().enumerate().map(|(i, (codec, framing))| {
        let start = (i * n_rows).min(batch.num_rows());
        let part = batch.slice(start, n_rows.min(batch.num_rows() - start));
        encode(&part, CodecOptions { codec, framing }).unwrap()
    });
    scenario.put(messages);

    let loaded = scenario.load(options(scenario));
    assert_eq!(loaded.rows_loaded, batch.num_rows() as u64);
    assert_eq!((loaded.inserts, loaded.inserts_reencoded), (1, 0));
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY n", scenario.table()));
    assert_same_rows(expected, &stored);
}

/// To load into a table in order of `n`, without replacing, with time for all messages to come
/// together.
pub(crate) fn options(scenario: &Scenario<'_>) -> LoadOptions {
    let create = CreateTable {
        engine: Some("MergeTree".to_owned()),
        order_by: Some("n".to_owned()),
        ..CreateTable::default()
    };
    let options = scenario.load_options("a");
    LoadOptions {
        creation: Creation::Create(create),
        limits: BlockLimits { age: Duration::from_secs(1), ..options.limits },
        ..options
    }
}

pub(crate) fn fixed_size_binary<const N: usize>(values: &[[u8; N]]) -> ArrayRef {
    Arc::new(FixedSizeBinaryArray::try_from_iter(values.iter()).unwrap())
}
