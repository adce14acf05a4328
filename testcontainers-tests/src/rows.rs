//! Rows of different origin, compared value by value.

use arrow::{
    array::{Array as _, ArrayRef, RecordBatch},
    compute::{SortColumn, cast, concat_batches, lexsort_to_indices, take_record_batch},
    datatypes::DataType,
    error::ArrowError,
};

/// All rows in one batch; at least one batch is needed, for the schema.
pub fn concat(batches: &[RecordBatch]) -> RecordBatch {
    concat_batches(&batches.first().expect("a batch").schema(), batches).unwrap()
}

/// The rows in order of some columns.
pub fn sorted(batch: &RecordBatch, columns: &[&str]) -> RecordBatch {
    let columns: Vec<_> = columns
        .iter()
        .map(|name| SortColumn {
            values: batch.column_by_name(name).unwrap().clone(),
            options: None,
        })
        .collect();
    take_record_batch(batch, &lexsort_to_indices(&columns, None).unwrap()).unwrap()
}

/// Panics unless `found` has the rows of `expected`, in the same order and to the bit.
///
/// `found` may have other columns beside, and other Arrow types where these hold the same values, as
/// ClickHouse's answers do: it has one type of text.
#[track_caller]
pub fn assert_same_rows(expected: &RecordBatch, found: &RecordBatch) {
    assert_eq!(found.num_rows(), expected.num_rows(), "number of rows");
    let mut wrong = Vec::new();
    for (field, expected) in expected.schema().fields().iter().zip(expected.columns()) {
        let name = field.name();
        let found = found.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
        wrong.extend(difference(expected, found).map(|text| format!("{name}: {text}")));
    }
    assert!(wrong.is_empty(), "columns differ:\n{}", wrong.join("\n"));
}

/// Where two columns differ, as [`assert_same_rows`] compares them; `None` where they do not.
pub fn difference(expected: &ArrayRef, found: &ArrayRef) -> Option<String> {
    // A dictionary is a way to write values, not a value.
    let expected = &match expected.data_type() {
        DataType::Dictionary(_, values) => cast(expected, values).unwrap(),
        _ => expected.clone(),
    };
    let arrow_type = found.data_type();
    let found = match as_type_of(expected, found) {
        Ok(found) => found,
        Err(error) => return Some(format!("came back as {arrow_type}: {error}")),
    };
    if found.as_ref() == expected.as_ref() {
        return None;
    }
    let at =
        (0..expected.len()).find(|i| found.slice(*i, 1).as_ref() != expected.slice(*i, 1).as_ref());
    let at = at.unwrap_or_default();
    let (found, expected) = (found.slice(at, 1), expected.slice(at, 1));
    Some(format!("row {at} came back as {arrow_type} {found:?}, not {expected:?}"))
}

/// `found` in the type of `expected`. A time with a zone and one without are the same instant here,
/// where a cast would read the clock on the wall.
fn as_type_of(expected: &ArrayRef, found: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match (found.data_type(), expected.data_type()) {
        (DataType::Timestamp(from, _), DataType::Timestamp(to, _)) if from == to => {
            cast(&cast(found, &DataType::Int64)?, expected.data_type())
        }
        _ => cast(found, expected.data_type()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{
            Array, BinaryArray, DictionaryArray, Float32Array, Int64Array, StringArray,
            TimestampMicrosecondArray,
        },
        datatypes::Int8Type,
    };

    use super::*;

    fn check(expected: impl Array + 'static, found: impl Array + 'static, same: bool) {
        let arrays: [ArrayRef; 2] = [Arc::new(expected), Arc::new(found)];
        let difference = difference(&arrays[0], &arrays[1]);
        assert_eq!(difference.is_none(), same, "{difference:?}");
    }

    #[test]
    fn types_may_differ_and_values_may_not() {
        let text = StringArray::from(vec!["a", "b"]);
        let bytes = |values: [&[u8]; 2]| BinaryArray::from_vec(values.to_vec());
        check(text.clone(), bytes([b"a", b"b"]), true);
        check(text.clone(), bytes([b"a", b"c"]), false);
        check(text.clone(), bytes([b"a", b"\xff"]), false);
        let dictionary: DictionaryArray<Int8Type> = vec!["a", "b"].into_iter().collect();
        check(dictionary, text, true);
        let floats = |values: [f32; 2]| Float32Array::from(values.to_vec());
        check(floats([f32::NAN, 0.0]), floats([f32::NAN, 0.0]), true);
        check(floats([f32::NAN, 0.0]), floats([f32::NAN, -0.0]), false);
        let nullable = |values: [Option<i64>; 2]| Int64Array::from(values.to_vec());
        check(nullable([Some(0), None]), nullable([Some(0), Some(0)]), false);
    }

    #[test]
    fn times_are_instants() {
        let time = |us: i64| TimestampMicrosecondArray::from(vec![us]);
        check(time(5), time(5).with_timezone("Asia/Tokyo"), true);
        check(time(5), time(6).with_timezone("UTC"), false);
    }
}
