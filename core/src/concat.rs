//! Arrays of one type put together.
//!
//! arrow-select does this too, and faster. But whoever calls it links its kernels for every type,
//! which are a seventh of what the browser loads; here one copy of bytes serves all.

use std::{collections::HashMap, ops::Range, sync::Arc};

use arrow_array::{
    Array, ArrayRef, DictionaryArray,
    builder::PrimitiveBuilder,
    cast::AsArray as _,
    make_array, new_empty_array,
    types::{
        ArrowDictionaryKeyType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
        UInt32Type, UInt64Type,
    },
};
use arrow_buffer::ArrowNativeType as _;
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType};

/// All values of `arrays` in a row; `None` of no arrays.
///
/// # Errors
///
/// [`ArrowError`] where they are too many for the offsets or keys of their type.
pub(crate) fn concat(arrays: &[&dyn Array]) -> Result<Option<ArrayRef>, ArrowError> {
    if let [] | [_] = arrays {
        return Ok(arrays.first().map(|only| only.slice(0, only.len())));
    }
    let n_values = arrays.iter().map(|array| array.len()).sum();
    let all = arrays.iter().enumerate().map(|(at, array)| (at, 0..array.len()));
    gathered(arrays, all, n_values).map(Some)
}

/// Ranges of values of `arrays`, of which there is one at least, each by the place of its array.
fn gathered(
    arrays: &[&dyn Array],
    ranges: impl Iterator<Item = (usize, Range<usize>)>,
    n_values: usize,
) -> Result<ArrayRef, ArrowError> {
    let data: Vec<_> = arrays.iter().map(|array| array.to_data()).collect();
    let mut gathered = MutableArrayData::new(data.iter().collect(), false, n_values);
    for (at, range) in ranges {
        gathered.try_extend(at, range.start, range.end)?;
    }
    Ok(make_array(gathered.freeze()))
}

/// A value of a dictionary: text and bytes are the same wherever they are, others where they are.
#[derive(PartialEq, Eq, Hash)]
enum Value<'a> {
    Bytes(&'a [u8]),
    Place(usize, usize),
}

/// `arrays`, dictionaries or plain values, as one dictionary of type `to`: what is used of their
/// values, in the order of the rows, text and bytes once.
///
/// # Errors
///
/// [`ArrowError::DictionaryKeyOverflowError`] where there are more values than keys.
pub(crate) fn dictionary(arrays: &[&dyn Array], to: &DataType) -> Result<ArrayRef, ArrowError> {
    let DataType::Dictionary(key_type, value_type) = to else {
        return Err(ArrowError::CastError(format!("{to} is no dictionary")));
    };
    let sources: Vec<&dyn Array> = arrays.iter().map(|array| values_of(*array)).collect();
    let mut found = HashMap::new();
    let mut places = Vec::new();
    let mut keys = Vec::with_capacity(arrays.iter().map(|array| array.len()).sum());
    for (source, array) in arrays.iter().enumerate() {
        let values = sources[source];
        let positions = array.as_any_dictionary_opt().filter(|_| !values.is_empty());
        let positions = positions.map(|dictionary| dictionary.normalized_keys());
        for row in 0..array.len() {
            if array.is_null(row) {
                keys.push(None);
                continue;
            }
            let position = positions.as_ref().map_or(row, |positions| positions[row]);
            let value = value(values, source, position);
            let key = *found.entry(value).or_insert_with(|| {
                places.push((source, position..position + 1));
                places.len() - 1
            });
            keys.push(Some(key));
        }
    }
    let n_values = places.len();
    let values = match n_values {
        0 => new_empty_array(value_type),
        _ => gathered(&sources, places.into_iter(), n_values)?,
    };
    match **key_type {
        DataType::Int8 => keyed::<Int8Type>(&keys, values),
        DataType::Int16 => keyed::<Int16Type>(&keys, values),
        DataType::Int32 => keyed::<Int32Type>(&keys, values),
        DataType::Int64 => keyed::<Int64Type>(&keys, values),
        DataType::UInt8 => keyed::<UInt8Type>(&keys, values),
        DataType::UInt16 => keyed::<UInt16Type>(&keys, values),
        DataType::UInt32 => keyed::<UInt32Type>(&keys, values),
        _ => keyed::<UInt64Type>(&keys, values),
    }
}

fn values_of(array: &dyn Array) -> &dyn Array {
    array.as_any_dictionary_opt().map_or(array, |dictionary| &**dictionary.values())
}

fn value(values: &dyn Array, source: usize, position: usize) -> Value<'_> {
    if values.is_null(position) {
        return Value::Place(source, position);
    }
    match values.data_type() {
        DataType::Utf8 => Value::Bytes(values.as_string::<i32>().value(position).as_bytes()),
        DataType::LargeUtf8 => Value::Bytes(values.as_string::<i64>().value(position).as_bytes()),
        DataType::Binary => Value::Bytes(values.as_binary::<i32>().value(position)),
        DataType::LargeBinary => Value::Bytes(values.as_binary::<i64>().value(position)),
        _ => Value::Place(source, position),
    }
}

fn keyed<K: ArrowDictionaryKeyType>(
    keys: &[Option<usize>],
    values: ArrayRef,
) -> Result<ArrayRef, ArrowError> {
    let mut builder = PrimitiveBuilder::<K>::with_capacity(keys.len());
    for key in keys {
        let key =
            key.map(|key| K::Native::from_usize(key).ok_or(ArrowError::DictionaryKeyOverflowError));
        builder.append_option(key.transpose()?);
    }
    Ok(Arc::new(DictionaryArray::try_new(builder.finish(), values)?))
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int32Array, StringArray};

    use super::*;

    fn words(words: &[Option<&str>]) -> DictionaryArray<Int8Type> {
        words.iter().copied().collect()
    }

    fn shown(array: &dyn Array) -> (Vec<Option<usize>>, Vec<String>) {
        let dictionary = array.as_any_dictionary();
        let keys = dictionary.keys();
        let positions = if dictionary.values().is_empty() {
            vec![0; keys.len()]
        } else {
            dictionary.normalized_keys()
        };
        let keys = (0..keys.len()).map(|at| keys.is_valid(at).then(|| positions[at]));
        let values = dictionary.values().as_string::<i32>().iter();
        (keys.collect(), values.map(|value| value.unwrap_or("null").to_owned()).collect())
    }

    #[test]
    fn values_follow_each_other() {
        let (a, b) = (Int32Array::from(vec![Some(1), None]), Int32Array::from(vec![3]));
        let whole = concat(&[&a, &b.slice(0, 0), &b]).unwrap().unwrap();
        assert_eq!(whole.as_ref(), &Int32Array::from(vec![Some(1), None, Some(3)]) as &dyn Array);
        assert_eq!(concat(&[&b]).unwrap().unwrap().len(), 1);
        assert!(concat(&[]).unwrap().is_none());
    }

    #[test]
    fn dictionaries_hold_what_is_used_once() {
        let (a, b) = (words(&[Some("x"), Some("y"), None]), words(&[Some("z"), Some("y")]));
        let to = a.data_type().clone();
        let both = dictionary(&[&a, &b], &to).unwrap();
        let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        assert_eq!(
            shown(&both),
            (vec![Some(0), Some(1), None, Some(2), Some(1)], strings(&["x", "y", "z"]))
        );
        let turned = dictionary(&[&words(&[Some("x"), Some("y")]).slice(1, 1), &a], &to).unwrap();
        assert_eq!(shown(&turned).1, ["y", "x"]);
        let part = dictionary(&[&both.slice(3, 2)], &to).unwrap();
        assert_eq!(shown(&part), (vec![Some(0), Some(1)], strings(&["z", "y"])));
        let plain = StringArray::from(vec![Some("b"), None, Some(""), Some("b")]);
        let encoded = dictionary(&[&plain], &to).unwrap();
        assert_eq!(shown(&encoded), (vec![Some(0), None, Some(1), Some(0)], strings(&["b", ""])));
        let nothing = dictionary(&[&words(&[None, None])], &to).unwrap();
        assert_eq!(shown(&nothing), (vec![None, None], vec![]));
        assert_eq!(dictionary(&[], &to).unwrap().len(), 0);
    }

    #[test]
    fn more_values_than_keys_are_an_error() {
        let text: StringArray = (0..129).map(|i| Some(i.to_string())).collect();
        let to = words(&[]).data_type().clone();
        assert!(dictionary(&[&text.slice(0, 128)], &to).is_ok());
        let error = dictionary(&[&text], &to).unwrap_err();
        assert!(matches!(error, ArrowError::DictionaryKeyOverflowError), "{error}");
    }
}
