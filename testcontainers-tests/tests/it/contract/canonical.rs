//! Values as `contract/README.md` writes them.

use arrow::{
    array::{Array, ArrayRef, AsArray as _, OffsetSizeTrait},
    compute::cast,
    datatypes::{
        DataType, Decimal128Type, Decimal256Type, Float64Type, Int64Type, TimeUnit, UInt64Type,
    },
};
use serde_json::{Value, json};

/// One JSON value for each value.
pub(crate) fn canonical(array: &ArrayRef) -> Vec<Value> {
    let n_values = array.len();
    let each = |show: &dyn Fn(usize) -> Value| -> Vec<Value> {
        let shown = |row| if array.is_null(row) { Value::Null } else { show(row) };
        (0..n_values).map(shown).collect()
    };
    let to = |data_type: DataType| cast(array, &data_type).unwrap();
    let seconds = |array: &ArrayRef, digits: usize| {
        let counts = cast(array, &DataType::Int64).unwrap();
        let counts = counts.as_primitive::<Int64Type>();
        each(&|row| json!(scaled(&counts.value(row).to_string(), digits)))
    };
    match array.data_type() {
        DataType::Dictionary(_, values) => canonical(&to((**values).clone())),
        DataType::Boolean => each(&|row| json!(array.as_boolean().value(row))),
        DataType::UInt64 => {
            each(&|row| json!(array.as_primitive::<UInt64Type>().value(row).to_string()))
        }
        integer if integer.is_integer() => seconds(array, 0),
        float if float.is_floating() => {
            let floats = to(DataType::Float64);
            let floats = floats.as_primitive::<Float64Type>();
            each(&|row| json!(hex_of_float(floats.value(row))))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = to(DataType::Utf8);
            each(&|row| json!(text.as_string::<i32>().value(row)))
        }
        DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::FixedSizeBinary(_) => {
            let bytes = to(DataType::Binary);
            each(&|row| json!(hex(bytes.as_binary::<i32>().value(row))))
        }
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale) => {
            let numbers = to(DataType::Decimal128(38, *scale));
            let numbers = numbers.as_primitive::<Decimal128Type>();
            each(&|row| json!(scaled(&numbers.value(row).to_string(), *scale as usize)))
        }
        DataType::Decimal256(_, scale) => {
            let numbers = array.as_primitive::<Decimal256Type>();
            each(&|row| json!(scaled(&numbers.value(row).to_string(), *scale as usize)))
        }
        DataType::Date32 => {
            let days = to(DataType::Int32);
            let days = cast(&days, &DataType::Int64).unwrap();
            let days = days.as_primitive::<Int64Type>();
            each(&|row| json!((days.value(row) * 86_400).to_string()))
        }
        DataType::Date64 => seconds(array, 3),
        DataType::Time32(unit) => seconds(&to(DataType::Int32), digits(*unit)),
        DataType::Timestamp(unit, _) | DataType::Time64(unit) | DataType::Duration(unit) => {
            seconds(array, digits(*unit))
        }
        DataType::List(_) => lists::<i32>(array),
        DataType::LargeList(_) => lists::<i64>(array),
        DataType::FixedSizeList(_, _) => {
            each(&|row| json!(canonical(&array.as_fixed_size_list().value(row))))
        }
        DataType::Struct(fields) => {
            let columns: Vec<_> = array.as_struct().columns().iter().map(canonical).collect();
            let named = || fields.iter().map(|field| field.name().clone()).zip(&columns);
            each(&|row| named().map(|(name, column)| (name, column[row].clone())).collect())
        }
        DataType::Map(..) => each(&|row| {
            let entries = array.as_map().value(row);
            let [keys, values] = [0, 1].map(|column| canonical(entries.column(column)));
            keys.into_iter().zip(values).map(|(key, value)| json!([key, value])).collect()
        }),
        other => panic!("no canonical text for {other}"),
    }
}

fn lists<O: OffsetSizeTrait>(array: &ArrayRef) -> Vec<Value> {
    let lists = array.as_list::<O>().iter();
    lists.map(|list| list.map_or(Value::Null, |list| json!(canonical(&list)))).collect()
}

/// 1050 with 3 digits after the point is `1.05`.
fn scaled(number: &str, digits: usize) -> String {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let number = format!("{number:0>width$}", width = digits + 1);
    let (whole, part) = number.split_at(number.len() - digits);
    let part = part.trim_end_matches('0');
    let point = if part.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{part}")
}

fn digits(unit: TimeUnit) -> usize {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

fn hex_of_float(number: f64) -> String {
    if number.is_nan() { "nan".to_owned() } else { format!("{:016x}", number.to_bits()) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
