//! Every flat Arrow type that has a place in ClickHouse, with values at its edges.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, Date32Array, Date64Array,
        Decimal32Array, Decimal64Array, Decimal128Array, Decimal256Array, DurationMicrosecondArray,
        DurationMillisecondArray, DurationNanosecondArray, DurationSecondArray, Float16Array,
        Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
        Time32MillisecondArray, Time32SecondArray, Time64MicrosecondArray, Time64NanosecondArray,
        TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
        TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
    },
    compute::cast,
    datatypes::{DataType, Float16Type, i256},
};
use volley_e2e::{Case, Scenario};

use crate::columns::{check, fixed_size_binary};

pub(crate) const CASES: &[Case] = &[
    Case::new("types::numbers", numbers),
    Case::new("types::text_and_bytes", text_and_bytes),
    Case::new("types::times", times),
    Case::new("types::decimals", decimals),
];

fn numbers(scenario: &Scenario<'_>) {
    type Half = <Float16Type as ArrowPrimitiveType>::Native;
    let halves = [0.0, -0.0, 1.5, f32::INFINITY, 65504.0, f32::NAN].map(Half::from_f32);
    check(
        scenario,
        vec![
            ("bool", Arc::new(BooleanArray::from(vec![true, false]))),
            ("i8", Arc::new(Int8Array::from(vec![0, -1, i8::MIN, i8::MAX]))),
            ("i16", Arc::new(Int16Array::from(vec![0, -1, i16::MIN, i16::MAX]))),
            ("i32", Arc::new(Int32Array::from(vec![0, -1, i32::MIN, i32::MAX]))),
            ("i64", Arc::new(Int64Array::from(vec![0, -1, i64::MIN, i64::MAX]))),
            ("u8", Arc::new(UInt8Array::from(vec![0, 1, u8::MAX]))),
            ("u16", Arc::new(UInt16Array::from(vec![0, 1, u16::MAX]))),
            ("u32", Arc::new(UInt32Array::from(vec![0, 1, u32::MAX]))),
            ("u64", Arc::new(UInt64Array::from(vec![0, 1, u64::MAX]))),
            ("f16", Arc::new(Float16Array::from(halves.to_vec()))),
            (
                "f32",
                Arc::new(Float32Array::from(vec![
                    0.0,
                    -0.0,
                    f32::NAN,
                    f32::INFINITY,
                    f32::NEG_INFINITY,
                    f32::MIN_POSITIVE / 2.0,
                    f32::MAX,
                ])),
            ),
            (
                "f64",
                Arc::new(Float64Array::from(vec![
                    0.0,
                    -0.0,
                    f64::NAN,
                    f64::INFINITY,
                    f64::NEG_INFINITY,
                    f64::MIN_POSITIVE / 2.0,
                    f64::MAX,
                ])),
            ),
        ],
    );
}

fn text_and_bytes(scenario: &Scenario<'_>) {
    let long = "longer than a view holds inline ".repeat(40);
    let text: ArrayRef =
        Arc::new(StringArray::from(vec!["", "a", "naïve 日本語 🦀", "\0nul\0", &long]));
    let bytes: ArrayRef =
        Arc::new(BinaryArray::from(vec![&b""[..], b"\0\xff\xfe", long.as_bytes()]));
    let to = |array: &ArrayRef, data_type| cast(array, &data_type).unwrap();
    check(
        scenario,
        vec![
            ("large_utf8", to(&text, DataType::LargeUtf8)),
            ("utf8_view", to(&text, DataType::Utf8View)),
            ("utf8", text),
            ("large_binary", to(&bytes, DataType::LargeBinary)),
            ("binary_view", to(&bytes, DataType::BinaryView)),
            ("binary", bytes),
            ("fixed_1", edges::<1>()),
            ("fixed_16", edges::<16>()),
            ("fixed_256", edges::<256>()),
        ],
    );
}

/// All zeros, all ones, and zeros at the end.
fn edges<const N: usize>() -> ArrayRef {
    let mut padded = [0; N];
    padded[0] = b'a';
    fixed_size_binary(&[[0; N], [0xff; N], padded])
}

fn times(scenario: &Scenario<'_>) {
    // The first and the last day of ClickHouse's dates: 1900-01-01 and 2299-12-31.
    let days = vec![0, -25_567, 120_529, 19_000];
    // The last day of its date64, 2106-02-06, because it takes them for seconds in 32 bits.
    let ms = [0, 1, 49_709, 19_000].map(|day| day * 86_400_000).to_vec();
    let odd_ms = vec![0, -1, 1_700_000_000_123, -2_208_988_800_000];
    let us: Vec<i64> = odd_ms.iter().map(|ms| ms * 1_000 + 7).collect();
    let s = vec![0, -1, 1_700_000_000, -2_208_988_800];
    let ns = vec![0, -1, 1_700_000_000_123_456_789, 9_000_000_000_000_000_001];
    let zoned = |zone: &str| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(us.clone()).with_timezone(zone))
    };
    let zoned_s = TimestampSecondArray::from(s.clone()).with_timezone("Europe/Berlin");
    check(
        scenario,
        vec![
            ("date32", Arc::new(Date32Array::from(days))),
            ("date64", Arc::new(Date64Array::from(ms))),
            ("timestamp_s", Arc::new(TimestampSecondArray::from(s))),
            ("timestamp_ms", Arc::new(TimestampMillisecondArray::from(odd_ms))),
            ("timestamp_us", Arc::new(TimestampMicrosecondArray::from(us.clone()))),
            ("timestamp_ns", Arc::new(TimestampNanosecondArray::from(ns))),
            ("timestamp_s_zone", Arc::new(zoned_s)),
            ("timestamp_utc", zoned("UTC")),
            ("timestamp_tokyo", zoned("Asia/Tokyo")),
            ("timestamp_east", zoned("+05:30")),
            ("timestamp_west", zoned("-09:00")),
            ("time32_s", Arc::new(Time32SecondArray::from(vec![0, 1, 86_399]))),
            ("time32_ms", Arc::new(Time32MillisecondArray::from(vec![0, 1, 86_399_999]))),
            ("time64_us", Arc::new(Time64MicrosecondArray::from(vec![0, 1, 86_399_999_999]))),
            ("time64_ns", Arc::new(Time64NanosecondArray::from(vec![0, 1, 86_399_999_999_999]))),
            ("duration_s", Arc::new(DurationSecondArray::from(vec![0, -1, i64::MAX]))),
            ("duration_ms", Arc::new(DurationMillisecondArray::from(vec![0, -1, i64::MIN]))),
            ("duration_us", Arc::new(DurationMicrosecondArray::from(vec![0, -1, i64::MAX]))),
            ("duration_ns", Arc::new(DurationNanosecondArray::from(vec![0, -1, i64::MAX]))),
        ],
    );
}

fn decimals(scenario: &Scenario<'_>) {
    let decimal32 = |values, precision, scale| -> ArrayRef {
        Arc::new(Decimal32Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    let decimal64 = |values, precision, scale| -> ArrayRef {
        Arc::new(Decimal64Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    let decimal128 = |values, precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    let decimal256 = |values, precision, scale| -> ArrayRef {
        Arc::new(Decimal256Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    let nines = 10_i128.pow(38) - 1;
    let many_nines = i256::from_string(&"9".repeat(76)).unwrap();
    check(
        scenario,
        vec![
            ("decimal32", decimal32(vec![0, -1, 999_999_999, -999_999_999], 9, 2)),
            ("decimal32_small", decimal32(vec![0, -9, 9], 1, 0)),
            ("decimal64", decimal64(vec![0, -1, 10_i64.pow(18) - 1], 18, 18)),
            ("decimal64_small", decimal64(vec![0, -1, 99_999], 5, 3)),
            ("decimal128", decimal128(vec![0, -1, nines, -nines], 38, 10)),
            // Precisions that ClickHouse stores in fewer bytes than Arrow.
            ("decimal128_9", decimal128(vec![0, -1, 999_999_999], 9, 9)),
            ("decimal128_18", decimal128(vec![0, -1, 10_i128.pow(18) - 1], 18, 0)),
            ("decimal256", decimal256(vec![i256::ZERO, i256::MINUS_ONE, many_nines], 76, 76)),
            ("decimal256_20", decimal256(vec![i256::ZERO, i256::MINUS_ONE], 20, 5)),
        ],
    );
}
