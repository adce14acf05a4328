//! A column of every Arrow type that has a place in ClickHouse, and its payloads.

use std::sync::Arc;

use arrow::{
    array::{
        Array as _, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, Date32Array,
        Date64Array, Decimal32Array, Decimal64Array, Decimal128Array, Decimal256Array,
        DictionaryArray, DurationMicrosecondArray, DurationMillisecondArray,
        DurationNanosecondArray, DurationSecondArray, FixedSizeBinaryArray, FixedSizeListArray,
        Float16Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
        ListArray, MapArray, PrimitiveArray, RecordBatch, StringArray, StructArray,
        Time32MillisecondArray, Time32SecondArray, Time64MicrosecondArray, Time64NanosecondArray,
        TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
        TimestampSecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
    },
    buffer::OffsetBuffer,
    compute::{cast, concat, take},
    datatypes::{DataType, Field, Float16Type, Int8Type, Int16Type, Schema, UInt8Type, i256},
};

/// Rows of the first batch of a payload: enough for every buffer to shrink when it is compressed.
const N_LONG: u32 = 512;
/// Columns start at multiples of this in `n`.
const N_STEP: u32 = 1_000;

/// A type with values at its edges.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    /// The type, as the table in the docs names it.
    pub(crate) name: &'static str,
    /// Each value once, with a null but where the name says nothing of them and the type is nested.
    values: ArrayRef,
    index: u32,
}

impl Column {
    /// Two batches with `n`, which no other column's batches have, and the values: long runs of each
    /// first, then each once.
    pub(crate) fn batches(&self) -> [RecordBatch; 2] {
        let n_values = self.values.len() as u32;
        let run = N_LONG.div_ceil(n_values);
        let first = self.index * N_STEP;
        [
            self.batch(first, (0..N_LONG).map(|row| row / run)),
            self.batch(first + N_LONG, 0..n_values),
        ]
    }

    /// Both batches in one.
    pub(crate) fn rows(&self) -> RecordBatch {
        volley_e2e::concat(&self.batches())
    }

    /// The values of [`Self::rows`].
    pub(crate) fn array(&self) -> ArrayRef {
        self.rows().column(1).clone()
    }

    fn batch(&self, first: u32, indices: impl ExactSizeIterator<Item = u32>) -> RecordBatch {
        let n = UInt32Array::from_iter_values(first..first + indices.len() as u32);
        let column = take(&self.values, &UInt32Array::from_iter_values(indices), None).unwrap();
        let fields = vec![Field::new("n", DataType::UInt32, false), self.field()];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![Arc::new(n), column]).unwrap()
    }

    /// Whether it has null lists, maps or structs. ClickHouse knows no such thing, and has whatever
    /// lies beneath them.
    pub(crate) fn has_null_nested(&self) -> bool {
        self.values.data_type().is_nested() && self.values.null_count() > 0
    }

    /// The field, named as the type.
    pub(crate) fn field(&self) -> Field {
        let is_nullable = self.values.null_count() > 0;
        Field::new(self.name, self.values.data_type().clone(), is_nullable)
    }
}

/// Every type, in the order of the table in the docs.
pub(crate) fn columns() -> Vec<Column> {
    let columns = [numbers(), text_and_bytes(), times(), decimals(), nested(), dictionaries()];
    let columns = columns.into_iter().flatten().zip(0..);
    let column = |((name, values), index)| Column { name, values, index };
    columns.map(column).collect()
}

type Named = Vec<(&'static str, ArrayRef)>;

/// The values and a null between them.
fn with_null(array: impl Into<ArrayRef>) -> ArrayRef {
    let array = array.into();
    let indices = (0..array.len() as u32).map(Some);
    let indices: Vec<_> = indices.clone().take(1).chain([None]).chain(indices.skip(1)).collect();
    take(&array, &UInt32Array::from(indices), None).unwrap()
}

/// An array in its box, with a null.
macro_rules! column {
    ($array:expr) => {
        with_null(Arc::new($array) as ArrayRef)
    };
}

fn numbers() -> Named {
    type Half = <Float16Type as ArrowPrimitiveType>::Native;
    let halves = [0.0, -0.0, 1.5, f32::INFINITY, 65504.0, f32::NAN].map(Half::from_f32);
    let singles = [0.0, -0.0, f32::NAN, f32::INFINITY, f32::MIN, f32::MIN_POSITIVE / 2.0, f32::MAX];
    let doubles = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::MIN, f64::MIN_POSITIVE / 2.0, f64::MAX];
    vec![
        ("bool", column!(BooleanArray::from(vec![true, false]))),
        ("int8", column!(Int8Array::from(vec![0, -1, i8::MIN, i8::MAX]))),
        ("int16", column!(Int16Array::from(vec![0, -1, i16::MIN, i16::MAX]))),
        ("int32", column!(Int32Array::from(vec![0, -1, i32::MIN, i32::MAX]))),
        ("int64", column!(Int64Array::from(vec![0, -1, i64::MIN, i64::MAX]))),
        ("uint8", column!(UInt8Array::from(vec![0, 1, u8::MAX]))),
        ("uint16", column!(UInt16Array::from(vec![0, 1, u16::MAX]))),
        ("uint32", column!(UInt32Array::from(vec![0, 1, u32::MAX]))),
        ("uint64", column!(UInt64Array::from(vec![0, 1, u64::MAX]))),
        ("float16", column!(Float16Array::from(halves.to_vec()))),
        ("float32", column!(Float32Array::from(singles.to_vec()))),
        ("float64", column!(Float64Array::from(doubles.to_vec()))),
    ]
}

fn text_and_bytes() -> Named {
    let long = "longer than a view holds inline ".repeat(4);
    let text = column!(StringArray::from(vec!["", "a", "naïve 日本語 🦀", "\0nul\0", &long]));
    let bytes = column!(BinaryArray::from(vec![&b""[..], b"\0\xff\xfe", long.as_bytes()]));
    let fixed = [[0_u8; 16], [0xff; 16], *b"ends with nuls\0\0"];
    let to = |array: &ArrayRef, data_type| cast(array, &data_type).unwrap();
    vec![
        ("utf8", text.clone()),
        ("large_utf8", to(&text, DataType::LargeUtf8)),
        ("utf8_view", to(&text, DataType::Utf8View)),
        ("binary", bytes.clone()),
        ("large_binary", to(&bytes, DataType::LargeBinary)),
        ("binary_view", to(&bytes, DataType::BinaryView)),
        (
            "fixed_size_binary(16)",
            column!(FixedSizeBinaryArray::try_from_iter(fixed.iter()).unwrap()),
        ),
    ]
}

fn times() -> Named {
    // The first and the last day of ClickHouse's dates: 1900-01-01 and 2299-12-31; and of its
    // date64, 2106-02-06, because it takes them for seconds in 32 bits.
    let days = vec![0, -25_567, 120_529, 19_000];
    let midnights = [0, 1, 49_709, 19_000].map(|day| day * 86_400_000).to_vec();
    let s = vec![0, -1, 1_700_000_000, -2_208_988_800];
    let ms = vec![0, -1, 1_700_000_000_123, -2_208_988_800_000];
    let us: Vec<i64> = ms.iter().map(|ms| ms * 1_000 + 7).collect();
    let ns = vec![0, -1, 1_700_000_000_123_456_789, 9_000_000_000_000_000_001];
    let zoned =
        |zone: &str| column!(TimestampMicrosecondArray::from(us.clone()).with_timezone(zone));
    let lengths = |per_second: i64| vec![0, -1, 90_061 * per_second + 1, -per_second];
    vec![
        ("date32", column!(Date32Array::from(days))),
        ("date64", column!(Date64Array::from(midnights))),
        ("time32[s]", column!(Time32SecondArray::from(vec![0, 1, 86_399]))),
        ("time32[ms]", column!(Time32MillisecondArray::from(vec![0, 1, 86_399_999]))),
        ("time64[us]", column!(Time64MicrosecondArray::from(vec![0, 1, 86_399_999_999]))),
        ("time64[ns]", column!(Time64NanosecondArray::from(vec![0, 1, 86_399_999_999_999]))),
        ("timestamp[s]", column!(TimestampSecondArray::from(s))),
        ("timestamp[ms]", column!(TimestampMillisecondArray::from(ms))),
        ("timestamp[us]", column!(TimestampMicrosecondArray::from(us.clone()))),
        ("timestamp[ns]", column!(TimestampNanosecondArray::from(ns))),
        ("timestamp[us, UTC]", zoned("UTC")),
        ("timestamp[us, Asia/Tokyo]", zoned("Asia/Tokyo")),
        ("timestamp[us, +05:30]", zoned("+05:30")),
        ("duration[s]", column!(DurationSecondArray::from(lengths(1)))),
        ("duration[ms]", column!(DurationMillisecondArray::from(lengths(1_000)))),
        ("duration[us]", column!(DurationMicrosecondArray::from(lengths(1_000_000)))),
        ("duration[ns]", column!(DurationNanosecondArray::from(lengths(1_000_000_000)))),
    ]
}

fn decimals() -> Named {
    macro_rules! decimal {
        ($array:ident, $precision:expr, $scale:expr, $max:expr, $one:expr) => {
            column!(
                $array::from(vec![$one, -$one, $max, -$max, $one - $one])
                    .with_precision_and_scale($precision, $scale)
                    .unwrap()
            )
        };
    }
    let most = i256::from_string(&"9".repeat(76)).unwrap();
    vec![
        ("decimal32(9, 2)", decimal!(Decimal32Array, 9, 2, 999_999_999, 1)),
        ("decimal64(18, 4)", decimal!(Decimal64Array, 18, 4, 10_i64.pow(18) - 1, 1)),
        ("decimal128(38, 10)", decimal!(Decimal128Array, 38, 10, 10_i128.pow(38) - 1, 1)),
        ("decimal256(76, 20)", decimal!(Decimal256Array, 76, 20, most, i256::ONE)),
    ]
}

fn nested() -> Named {
    let numbers = || {
        ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>([
            Some(vec![Some(1), None, Some(i32::MIN)]),
            Some(vec![]),
            Some(vec![None]),
        ])
    };
    let large = DataType::new_large_list(DataType::Int32, true);
    let pairs = [Some(vec![Some(1), None]), Some(vec![Some(0), Some(255)])];
    let fixed = FixedSizeListArray::from_iter_primitive::<UInt8Type, _, _>(pairs, 2);
    let list: ArrayRef = Arc::new(numbers());
    let item = Arc::new(Field::new_list_field(record().data_type().clone(), false));
    let offsets = OffsetBuffer::from_lengths([0, 2, 1]);
    vec![
        ("list<int32>", list.clone()),
        ("list<int32>, some null", with_null(list.clone())),
        ("large_list<int32>", cast(&list, &large).unwrap()),
        ("fixed_size_list<uint8>(2)", Arc::new(fixed)),
        ("struct", Arc::new(record())),
        ("struct, some null", column!(record())),
        ("map<utf8, int64>", Arc::new(map())),
        ("map<utf8, int64>, some null", column!(map())),
        ("list<struct>", Arc::new(ListArray::new(item, offsets, Arc::new(record()), None))),
    ]
}

/// Three tuples with fields that may be null: text, a number, a list.
fn record() -> StructArray {
    let lists = ListArray::from_iter_primitive::<Int8Type, _, _>([
        Some(vec![Some(1), Some(2)]),
        Some(vec![]),
        Some(vec![None]),
    ]);
    let text = StringArray::from(vec![Some("x"), None, Some("")]);
    let number = Float64Array::from(vec![None, Some(-0.0), Some(1.5)]);
    let field = |name: &str, data_type: &DataType, nullable| {
        Arc::new(Field::new(name, data_type.clone(), nullable))
    };
    StructArray::from(vec![
        (field("name", &DataType::Utf8, true), Arc::new(text) as ArrayRef),
        (field("number", &DataType::Float64, true), Arc::new(number)),
        // May be null, for a null struct's fields are: ClickHouse refuses them where the field is not.
        (field("list", lists.data_type(), true), Arc::new(lists)),
    ])
}

/// Three maps of two, none and one of three values.
fn map() -> MapArray {
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "", "日本"]));
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MIN)]));
    let entries = StructArray::from(vec![
        (Arc::new(Field::new("key", DataType::Utf8, false)), keys),
        (Arc::new(Field::new("value", DataType::Int64, true)), values),
    ]);
    let field = Field::new("entries", entries.data_type().clone(), false);
    MapArray::new(Arc::new(field), OffsetBuffer::from_lengths([2, 0, 1]), entries, None, false)
}

fn dictionaries() -> Named {
    let of = |values: ArrayRef| -> ArrayRef {
        let keys = PrimitiveArray::from(vec![Some(1), None, Some(0), Some(2)]);
        Arc::new(DictionaryArray::<Int16Type>::new(keys, values))
    };
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "", "long enough not to be inline"]));
    let words: DictionaryArray<Int8Type> = vec!["a", "b", "", "a"].into_iter().collect();
    let item = Field::new_list_field(words.data_type().clone(), false);
    let offsets = OffsetBuffer::from_lengths([2, 0, 1, 1]);
    let list = ListArray::new(Arc::new(item), offsets, Arc::new(words), None);
    vec![
        ("dictionary<utf8>", of(text)),
        ("dictionary<int64>", of(Arc::new(Int64Array::from(vec![i64::MIN, 0, i64::MAX])))),
        ("list<dictionary<utf8>>", Arc::new(list)),
    ]
}

/// All arrays of one type, one after the other.
pub(crate) fn chained(batches: &[RecordBatch], column: usize) -> ArrayRef {
    let arrays: Vec<_> = batches.iter().map(|batch| batch.column(column).as_ref()).collect();
    concat(&arrays).unwrap()
}
