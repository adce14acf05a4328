//! Lists, structs and maps, in each other and null.

use std::sync::Arc;

use arrow::{
    array::{
        Array as _, ArrayRef, FixedSizeListArray, Float64Array, Int8Array, ListArray, MapArray,
        RecordBatch, StringArray, StructArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    compute::cast,
    datatypes::{DataType, Field, Int8Type, Int32Type, UInt8Type},
};
use volley_e2e::{Case, Scenario};

use crate::columns::{check, check_batch};

pub(crate) const CASES: &[Case] =
    &[Case::new("nested::values", values), Case::new("nested::nulls", nulls)];

fn values(scenario: &Scenario<'_>) {
    let list = |array: ListArray| -> ArrayRef { Arc::new(array) };
    let numbers = ListArray::from_iter_primitive::<Int32Type, _, _>([
        Some(vec![Some(1), None, Some(i32::MIN)]),
        Some(vec![]),
        Some(vec![None]),
    ]);
    let fixed = FixedSizeListArray::from_iter_primitive::<UInt8Type, _, _>(
        [Some(vec![Some(1), None]), Some(vec![Some(0), Some(255)])],
        2,
    );
    let lists_of_lists = ListArray::new(
        Arc::new(Field::new_list_field(numbers.data_type().clone(), false)),
        OffsetBuffer::from_lengths([2, 0, 1]),
        Arc::new(numbers.clone()),
        None,
    );
    let lists_of_structs = ListArray::new(
        Arc::new(Field::new_list_field(records().data_type().clone(), false)),
        OffsetBuffer::from_lengths([0, 2, 1]),
        Arc::new(records()),
        None,
    );
    let large =
        cast(&lists_of_lists, &DataType::new_large_list(numbers.data_type().clone(), false));
    check(
        scenario,
        vec![
            ("list", list(numbers.clone())),
            ("large_list", large.unwrap()),
            ("fixed_list", Arc::new(fixed)),
            ("list_of_lists", list(lists_of_lists)),
            ("list_of_structs", list(lists_of_structs)),
            ("struct", Arc::new(records())),
            ("map_of_lists", Arc::new(map(Arc::new(numbers)))),
            ("map_of_structs", Arc::new(map(Arc::new(records())))),
        ],
    );
}

/// Three tuples with fields that may be null: text, a number, a list.
fn records() -> StructArray {
    let lists = ListArray::from_iter_primitive::<Int8Type, _, _>([
        Some(vec![Some(1), Some(2)]),
        Some(vec![]),
        Some(vec![None]),
    ]);
    StructArray::from(vec![
        (
            Arc::new(Field::new("name", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("x"), None, Some("")])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("a b`c", DataType::Float64, true)),
            Arc::new(Float64Array::from(vec![None, Some(-0.0), Some(1.5)])),
        ),
        (Arc::new(Field::new("list", lists.data_type().clone(), false)), Arc::new(lists)),
    ])
}

/// Three maps of two, none and one of three values.
fn map(values: ArrayRef) -> MapArray {
    let entries = StructArray::from(vec![
        (
            Arc::new(Field::new("key", DataType::Utf8, false)),
            Arc::new(StringArray::from(vec!["a", "", "日本"])) as ArrayRef,
        ),
        (Arc::new(Field::new("value", values.data_type().clone(), false)), values),
    ]);
    let field = Field::new("entries", entries.data_type().clone(), false);
    MapArray::new(Arc::new(field), OffsetBuffer::from_lengths([2, 0, 1]), entries, None, false)
}

/// ClickHouse's arrays, maps and tuples are never null: it has what lies beneath.
fn nulls(scenario: &Scenario<'_>) {
    let last_two = || Some(NullBuffer::from(vec![true, false, false]));
    let list = |nulls| {
        let (field, offsets, values, _) = ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1)]),
            Some(vec![]),
            Some(vec![Some(7), None]),
        ])
        .into_parts();
        Arc::new(ListArray::new(field, offsets, values, nulls)) as ArrayRef
    };
    let map = |nulls| {
        let (field, offsets, entries, _, is_sorted) =
            map(Arc::new(Int8Array::from(vec![1, 2, 3]))).into_parts();
        Arc::new(MapArray::new(field, offsets, entries, nulls, is_sorted)) as ArrayRef
    };
    let tuple = |nulls| {
        let (fields, columns, _) = records().into_parts();
        Arc::new(StructArray::new(fields, columns, nulls)) as ArrayRef
    };
    let columns = |[one, two, three]: [Option<NullBuffer>; 3]| {
        let columns = [("list", list(one)), ("map", map(two)), ("struct", tuple(three))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let input = columns([last_two(), last_two(), last_two()]);
    check_batch(scenario, &input, &columns([None, None, None]));
}
