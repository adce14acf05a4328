//! Dictionaries: of every type, changing on the way, and such that ClickHouse refuses.

use std::sync::Arc;

use arrow::{
    array::{
        Array as _, ArrayRef, BinaryArray, Date32Array, DictionaryArray, Float32Array, Int64Array,
        ListArray, PrimitiveArray, RecordBatch, StringArray, StructArray,
        TimestampMicrosecondArray, UInt32Array,
    },
    buffer::OffsetBuffer,
    compute::cast,
    datatypes::{DataType, Field, Int8Type, Int16Type},
    ipc::{
        CompressionType,
        writer::{DictionaryHandling, IpcWriteOptions, StreamWriter},
    },
};
use volley::load::LoadError;
use volley_core::{
    codec::CodecOptions,
    encode::{Encoder, encode},
    layout::{self, MessageKind},
};
use volley_e2e::{Case, Scenario, assert_same_rows, concat};

use crate::columns::{check, check_batch, fixed_size_binary, options};

pub(crate) const CASES: &[Case] = &[
    Case::new("dictionaries::values", values),
    Case::new("dictionaries::inner_values", inner_values),
    Case::new("dictionaries::changing", changing),
    Case::new("dictionaries::growing", growing),
    Case::new("dictionaries::with_a_value_twice", with_a_value_twice),
];

fn values(scenario: &Scenario<'_>) {
    let text: DictionaryArray<Int8Type> = vec!["a", "b", "", "a"].into_iter().collect();
    let of = |keys, values: ArrayRef| -> ArrayRef {
        Arc::new(DictionaryArray::<Int16Type>::new(keys, values))
    };
    let keys = || PrimitiveArray::from(vec![1, 0, 2, 1]);
    let large = cast(&StringArray::from(vec!["x", "y", "z"]), &DataType::LargeUtf8).unwrap();
    let times = TimestampMicrosecondArray::from(vec![7, -8, 9]).with_timezone("UTC");
    check(
        scenario,
        vec![
            ("utf8", Arc::new(text)),
            ("large_utf8", of(keys(), large)),
            ("binary", of(keys(), Arc::new(BinaryArray::from(vec![&b"\xff"[..], b"", b"\0"])))),
            ("i64", of(keys(), Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX])))),
            // Not with −0: a low cardinality column knows one zero.
            ("f32", of(keys(), Arc::new(Float32Array::from(vec![f32::NAN, 0.0, -1.5])))),
            ("date32", of(keys(), Arc::new(Date32Array::from(vec![1, 2, 3])))),
            ("timestamp", of(keys(), Arc::new(times))),
            ("fixed", of(keys(), fixed_size_binary(&[[0; 3], [0xff; 3], *b"a\0\0"]))),
        ],
    );
}

/// Dictionaries below the top, and one whose null is among its values.
fn inner_values(scenario: &Scenario<'_>) {
    let flat: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "", "a"]));
    let with_null: ArrayRef = Arc::new(DictionaryArray::<Int16Type>::new(
        PrimitiveArray::from(vec![1, 0, 2, 1]),
        Arc::new(StringArray::from(vec![Some("x"), None, Some("z")])),
    ));
    let without = cast(&with_null, &DataType::Utf8).unwrap();
    let dictionary = |array: &ArrayRef| {
        let text = DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into());
        cast(array, &text).unwrap()
    };
    let batch = |text: ArrayRef, with_null: ArrayRef| {
        let item = Field::new_list_field(text.data_type().clone(), false);
        let offsets = OffsetBuffer::from_lengths([2, 0, 1, 1]);
        let list = ListArray::new(Arc::new(item), offsets, text.clone(), None);
        let field = Field::new("text", text.data_type().clone(), false);
        let tuple = StructArray::from(vec![(Arc::new(field), text)]);
        let columns: [(&str, ArrayRef); 3] =
            [("list", Arc::new(list)), ("struct", Arc::new(tuple)), ("with_null", with_null)];
        RecordBatch::try_from_iter_with_nullable(
            columns.map(|(name, column)| (name, column, name == "with_null")),
        )
        .unwrap()
    };
    check_batch(scenario, &batch(dictionary(&flat), with_null), &batch(flat, without));
}

/// Messages of one block with dictionaries of their own, and one that replaces its own midway.
fn changing(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let batch = |values: [&str; 4], first: u32| {
        let text: DictionaryArray<Int8Type> = values.into_iter().collect();
        let n = UInt32Array::from_iter_values(first..first + 4);
        let columns: [(&str, ArrayRef); 2] = [("n", Arc::new(n)), ("text", Arc::new(text))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let batches = [
        batch(["a", "b", "a", "a"], 0),
        batch(["c", "a", "b", "c"], 4),
        batch(["x", "x", "y", "a"], 8),
        batch(["y", "x", "z", "b"], 12),
    ];
    let mut encoder = Encoder::new(batches[0].schema(), CodecOptions::default()).unwrap();
    let [one, two, rest @ ..] = &batches;
    let messages = [std::slice::from_ref(one), std::slice::from_ref(two), rest]
        .map(|batches| encoder.encode(batches).unwrap());
    scenario.put(messages);
    let loaded = scenario.load(options(scenario));
    assert_eq!((loaded.rows_loaded, loaded.inserts), (16, 1));
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY n", scenario.table()));
    assert_same_rows(&concat(&batches), &stored);
}

/// Messages that send their dictionary and then only what is new in it, between others that do not.
fn growing(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let of = |words: &[&str], keys: [i8; 4], first: u32| {
        let words: ArrayRef = Arc::new(StringArray::from(words.to_vec()));
        let text = DictionaryArray::<Int8Type>::new(PrimitiveArray::from(keys.to_vec()), words);
        let n = UInt32Array::from_iter_values(first..first + 4);
        let columns: [(&str, ArrayRef); 2] = [("n", Arc::new(n)), ("text", Arc::new(text))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let batches = [
        of(&["a", "b"], [0, 1, 0, 1], 0),
        of(&["a", "b", "c"], [2, 0, 1, 2], 4),
        of(&["a", "b", "c", "d", "e"], [4, 3, 2, 0], 8),
        of(&["z", "y"], [1, 0, 0, 1], 12),
    ];
    let [grown @ .., alone] = &batches;
    let grow = || {
        let mut message = Vec::new();
        let options = IpcWriteOptions::default()
            .with_dictionary_handling(DictionaryHandling::Delta)
            .try_with_compression(Some(CompressionType::ZSTD))
            .unwrap();
        let schema = alone.schema();
        let mut writer =
            StreamWriter::try_new_with_options(&mut message, &schema, options).unwrap();
        grown.iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        drop(writer);
        message
    };
    let layout = layout::check(&grow(), &layout::Options::default()).unwrap();
    let is_delta = |kind| matches!(kind, MessageKind::Dictionary { is_delta: true, .. });
    assert_eq!(layout.messages.iter().filter(|message| is_delta(message.kind)).count(), 2);

    scenario.put([grow(), encode(alone, CodecOptions::default()).unwrap()]);
    let loaded = scenario.load(options(scenario));
    assert_eq!((loaded.rows_loaded, loaded.inserts, loaded.inserts_reencoded), (16, 1, 0));
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY n", scenario.table()));
    let expected: Vec<_> = batches
        .iter()
        .map(|batch| {
            let text = cast(batch.column(1), &DataType::Utf8).unwrap();
            RecordBatch::try_from_iter([("n", batch.column(0).clone()), ("text", text)]).unwrap()
        })
        .collect();
    assert_same_rows(&concat(&expected), &stored);
}

/// ClickHouse refuses them, so the loader stops there and keeps the message.
fn with_a_value_twice(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let text = DictionaryArray::<Int8Type>::new(
        PrimitiveArray::from(vec![0, 1, 2]),
        Arc::new(StringArray::from(vec!["a", "a", "b"])),
    );
    let batch = RecordBatch::try_from_iter([("n", Arc::new(text) as ArrayRef)]).unwrap();
    scenario.put([encode(&batch, CodecOptions::default()).unwrap()]);
    for _ in 0..2 {
        let error = scenario.try_load(options(scenario)).unwrap_err();
        let LoadError::Insert { first: 0, last: 0, source, .. } = &error else {
            panic!("{error}");
        };
        assert!(source.to_string().contains("duplicate values"), "{source}");
    }
}
