//! Arbitrary schemas and record batches for property tests: every Arrow type, nested and
//! dictionary-encoded, with nulls, odd floats, zero rows, zero columns, and slices.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::*;
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::ArrayData;
use arrow_schema::{
    DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit, UnionFields,
    UnionMode,
};
use proptest::prelude::*;

/// A schema of 0 to 5 columns and 1 to 4 batches of it.
pub fn arb_batches() -> impl Strategy<Value = Vec<RecordBatch>> {
    arb_schema().prop_flat_map(arb_batches_of)
}

/// 1 to 4 batches of a schema, of 0 to 40 rows each.
pub fn arb_batches_of(schema: SchemaRef) -> impl Strategy<Value = Vec<RecordBatch>> {
    prop::collection::vec((0_usize..40, any::<u64>(), any::<bool>()), 1..4).prop_map(
        move |batches| {
            let make = |(rows, seed, is_sliced)| batch(&schema, rows, seed, is_sliced);
            batches.into_iter().map(make).collect()
        },
    )
}

/// A schema of 0 to 5 columns.
pub fn arb_schema() -> impl Strategy<Value = SchemaRef> {
    prop::collection::vec((arb_type(), any::<bool>()), 0..5).prop_map(|columns| {
        let field = |(at, (data_type, nullable)): (usize, (DataType, bool))| {
            let nullable = nullable || is_always_nullable(&data_type);
            Field::new(format!("c{at}"), data_type, nullable)
        };
        Arc::new(Schema::new(columns.into_iter().enumerate().map(field).collect::<Vec<_>>()))
    })
}

/// A batch whose values follow from `seed`. A sliced batch is cut from a larger one, where
/// arrow-ipc can read what it writes of such slices.
pub fn batch(schema: &SchemaRef, rows: usize, seed: u64, is_sliced: bool) -> RecordBatch {
    let mut values = Values::new(seed);
    let is_sliced = is_sliced && schema.fields().iter().all(|f| is_sliceable(f.data_type()));
    let all = if is_sliced { rows + 11 } else { rows };
    let columns = schema.fields().iter();
    let columns =
        columns.map(|f| array(f.data_type(), all, f.is_nullable(), &mut values)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(all));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options).unwrap();
    if is_sliced { batch.slice(5, rows) } else { batch }
}

/// Any type, up to three levels deep.
pub fn arb_type() -> impl Strategy<Value = DataType> {
    arb_leaf().prop_recursive(3, 12, 4, |inner| {
        let child = (inner.clone(), any::<bool>()).prop_map(|(data_type, nullable)| {
            let nullable = nullable || is_always_nullable(&data_type);
            Arc::new(Field::new("item", data_type, nullable))
        });
        let fields =
            prop::collection::vec((inner.clone(), any::<bool>()), 0..4).prop_map(|children| {
                let field = |(at, (t, nullable)): (usize, (DataType, bool))| {
                    let nullable = nullable || is_always_nullable(&t);
                    Field::new(format!("f{at}"), t, nullable)
                };
                Fields::from(children.into_iter().enumerate().map(field).collect::<Vec<_>>())
            });
        let union = (prop::collection::vec(inner.clone(), 1..4), any::<bool>()).prop_map(
            |(children, is_dense)| {
                let field = |(at, t): (usize, DataType)| {
                    (at as i8 * 3, Arc::new(Field::new(format!("u{at}"), t, true)))
                };
                let fields: UnionFields = children.into_iter().enumerate().map(field).collect();
                DataType::Union(fields, if is_dense { UnionMode::Dense } else { UnionMode::Sparse })
            },
        );
        let map = (inner.clone(), any::<bool>(), any::<bool>()).prop_map(
            |(value, nullable, is_sorted)| {
                let fields = vec![
                    Field::new("key", DataType::Utf8, false),
                    Field::new("value", value.clone(), nullable || is_always_nullable(&value)),
                ];
                DataType::Map(
                    Arc::new(Field::new("entries", DataType::Struct(fields.into()), false)),
                    is_sorted,
                )
            },
        );
        let run_ends = (inner.clone(), 0_usize..3).prop_map(|(values, width)| {
            let width = [DataType::Int16, DataType::Int32, DataType::Int64][width].clone();
            let run_ends = Field::new("run_ends", width, false);
            DataType::RunEndEncoded(
                Arc::new(run_ends),
                Arc::new(Field::new("values", values, true)),
            )
        });
        prop_oneof![
            child.clone().prop_map(DataType::List),
            child.clone().prop_map(DataType::LargeList),
            child.clone().prop_map(DataType::ListView),
            child.clone().prop_map(DataType::LargeListView),
            (child, 0_i32..4).prop_map(|(child, size)| DataType::FixedSizeList(child, size)),
            fields.prop_map(DataType::Struct),
            union,
            map,
            run_ends,
            (inner, arb_key()).prop_map(|(values, key)| match values {
                // A field has one dictionary; IPC cannot say more.
                DataType::Dictionary(_, _) => values,
                values => DataType::Dictionary(Box::new(key), Box::new(values)),
            }),
        ]
    })
}

fn arb_key() -> impl Strategy<Value = DataType> {
    use DataType::*;
    prop::sample::select(vec![Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64])
}

/// Any type without children.
pub fn arb_leaf() -> impl Strategy<Value = DataType> {
    use DataType::*;
    let units =
        [TimeUnit::Second, TimeUnit::Millisecond, TimeUnit::Microsecond, TimeUnit::Nanosecond];
    let mut types = vec![
        Null,
        Boolean,
        Int8,
        Int16,
        Int32,
        Int64,
        UInt8,
        UInt16,
        UInt32,
        UInt64,
        Float16,
        Float32,
        Float64,
        Utf8,
        LargeUtf8,
        Utf8View,
        Binary,
        LargeBinary,
        BinaryView,
        FixedSizeBinary(0),
        FixedSizeBinary(3),
        FixedSizeBinary(16),
        Date32,
        Date64,
        Time32(TimeUnit::Second),
        Time32(TimeUnit::Millisecond),
        Time64(TimeUnit::Microsecond),
        Time64(TimeUnit::Nanosecond),
        Interval(IntervalUnit::YearMonth),
        Interval(IntervalUnit::DayTime),
        Interval(IntervalUnit::MonthDayNano),
        Decimal32(9, 2),
        Decimal64(18, -3),
        Decimal128(38, 10),
        Decimal256(76, 20),
        Dictionary(Box::new(Int8), Box::new(Utf8)),
        Dictionary(Box::new(UInt32), Box::new(Int64)),
    ];
    for unit in units {
        types.push(Duration(unit));
        types.push(Timestamp(unit, None));
        types.push(Timestamp(unit, Some("UTC".into())));
        types.push(Timestamp(unit, Some("+02:30".into())));
    }
    prop::sample::select(types)
}

/// Whether values of a type are null although no bitmap says so.
fn is_always_nullable(data_type: &DataType) -> bool {
    match data_type {
        DataType::Null => true,
        DataType::Dictionary(_, values) => is_always_nullable(values),
        DataType::RunEndEncoded(_, values) => is_always_nullable(values.data_type()),
        DataType::Union(fields, _) => fields.iter().any(|(_, f)| is_always_nullable(f.data_type())),
        _ => false,
    }
}

/// Not below lists: arrow-ipc writes sparse unions and run ends there as if they were not sliced.
/// An empty slice of run ends it writes as one run of no length. It then refuses to read either.
fn is_sliceable(data_type: &DataType) -> bool {
    match data_type {
        DataType::RunEndEncoded(_, _) | DataType::Union(_, _) => false,
        DataType::List(f)
        | DataType::LargeList(f)
        | DataType::ListView(f)
        | DataType::LargeListView(f)
        | DataType::FixedSizeList(f, _)
        | DataType::Map(f, _) => is_sliceable(f.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| is_sliceable(f.data_type())),
        _ => true,
    }
}

/// Pseudo-random values that follow from a seed (SplitMix64).
#[derive(Debug)]
pub struct Values(u64);

impl Values {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }

    fn text(&mut self) -> String {
        const PIECES: &[&str] = &["", "a", "zwölf", "漢字", "🦀", "cpu-seconds ", "\0", "null"];
        (0..self.below(6)).map(|_| PIECES[self.below(PIECES.len())]).collect()
    }

    fn nulls(&mut self, len: usize, nullable: bool) -> Option<NullBuffer> {
        match self.below(4) {
            _ if !nullable => None,
            0 => None,
            1 => Some(NullBuffer::new_null(len)),
            _ => Some(NullBuffer::from((0..len).map(|_| self.below(3) > 0).collect::<Vec<_>>())),
        }
    }

    /// Lengths from 0 to 3 as offsets.
    fn offsets(&mut self, len: usize) -> Vec<usize> {
        let mut offsets = vec![0];
        for at in 0..len {
            offsets.push(offsets[at] + self.below(4));
        }
        offsets
    }
}

/// An array of `len` values.
pub fn array(data_type: &DataType, len: usize, nullable: bool, v: &mut Values) -> ArrayRef {
    let child = |field: &FieldRef, len: usize, v: &mut Values| {
        array(field.data_type(), len, field.is_nullable(), v)
    };
    match data_type {
        DataType::Null => Arc::new(NullArray::new(len)),
        DataType::Boolean => {
            let bits = BooleanBuffer::from_iter((0..len).map(|_| v.below(2) == 0));
            Arc::new(BooleanArray::new(bits, v.nulls(len, nullable)))
        }
        DataType::Utf8 => Arc::new(strings::<i32>(len, nullable, v)),
        DataType::LargeUtf8 => Arc::new(strings::<i64>(len, nullable, v)),
        DataType::Binary => Arc::new(BinaryArray::from(strings::<i32>(len, nullable, v))),
        DataType::LargeBinary => Arc::new(LargeBinaryArray::from(strings::<i64>(len, nullable, v))),
        DataType::Utf8View => {
            let mut builder = StringViewBuilder::new().with_fixed_block_size(64);
            strings::<i32>(len, nullable, v).iter().for_each(|text| builder.append_option(text));
            Arc::new(builder.finish())
        }
        DataType::BinaryView => {
            let mut builder = BinaryViewBuilder::new().with_fixed_block_size(64);
            strings::<i32>(len, nullable, v).iter().for_each(|text| builder.append_option(text));
            Arc::new(builder.finish())
        }
        DataType::List(field) | DataType::Map(field, _) => {
            let offsets: Vec<i32> = v.offsets(len).into_iter().map(|at| at as i32).collect();
            let values = child(field, offsets[len] as usize, v);
            let offsets = OffsetBuffer::new(offsets.into());
            let nulls = v.nulls(len, nullable);
            match data_type {
                DataType::Map(_, is_sorted) => {
                    let entries = values.as_any().downcast_ref::<StructArray>().unwrap().clone();
                    Arc::new(MapArray::new(field.clone(), offsets, entries, nulls, *is_sorted))
                }
                _ => Arc::new(ListArray::new(field.clone(), offsets, values, nulls)),
            }
        }
        DataType::LargeList(field) => {
            let offsets: Vec<i64> = v.offsets(len).into_iter().map(|at| at as i64).collect();
            let values = child(field, offsets[len] as usize, v);
            let offsets = OffsetBuffer::new(offsets.into());
            Arc::new(LargeListArray::new(field.clone(), offsets, values, v.nulls(len, nullable)))
        }
        DataType::ListView(field) => {
            let (offsets, sizes, values) = list_view(field, len, v);
            let offsets = offsets.into_iter().map(|at| at as i32).collect::<ScalarBuffer<i32>>();
            let sizes = sizes.into_iter().map(|size| size as i32).collect::<ScalarBuffer<i32>>();
            let nulls = v.nulls(len, nullable);
            Arc::new(ListViewArray::new(field.clone(), offsets, sizes, values, nulls))
        }
        DataType::LargeListView(field) => {
            let (offsets, sizes, values) = list_view(field, len, v);
            let offsets = offsets.into_iter().map(|at| at as i64).collect::<ScalarBuffer<i64>>();
            let sizes = sizes.into_iter().map(|size| size as i64).collect::<ScalarBuffer<i64>>();
            let nulls = v.nulls(len, nullable);
            Arc::new(LargeListViewArray::new(field.clone(), offsets, sizes, values, nulls))
        }
        DataType::FixedSizeList(field, size) => {
            let values = child(field, len * *size as usize, v);
            let nulls = v.nulls(len, nullable);
            let data = ArrayData::builder(data_type.clone()).len(len).nulls(nulls);
            make_array(data.add_child_data(values.to_data()).build().unwrap())
        }
        DataType::Struct(fields) => {
            let nulls = v.nulls(len, nullable);
            if fields.is_empty() {
                return Arc::new(StructArray::new_empty_fields(len, nulls));
            }
            let columns = fields.iter().map(|field| child(field, len, v)).collect();
            Arc::new(StructArray::new(fields.clone(), columns, nulls))
        }
        DataType::Union(fields, mode) => union(fields, *mode, len, nullable, v),
        DataType::RunEndEncoded(run_ends, values) => {
            let mut ends = Vec::new();
            let mut end = 0;
            while end < len {
                end = (end + 1 + v.below(4)).min(len);
                ends.push(end as i64);
            }
            let values = array(values.data_type(), ends.len(), nullable, v);
            let ends: ArrayRef = match run_ends.data_type() {
                DataType::Int16 => {
                    Arc::new(Int16Array::from_iter_values(ends.iter().map(|&e| e as i16)))
                }
                DataType::Int32 => {
                    Arc::new(Int32Array::from_iter_values(ends.iter().map(|&e| e as i32)))
                }
                _ => Arc::new(Int64Array::from(ends.clone())),
            };
            let data = ArrayData::builder(data_type.clone()).len(len);
            let data = data.add_child_data(ends.to_data()).add_child_data(values.to_data());
            make_array(data.build().unwrap())
        }
        DataType::Dictionary(key, values) => {
            let n_values = 1 + v.below(5);
            let width = key.primitive_width().unwrap();
            let mut keys = Vec::new();
            for _ in 0..len {
                keys.extend_from_slice(&(v.below(n_values) as u64).to_le_bytes()[..width]);
            }
            let values = array(values, n_values, nullable, v);
            let data = ArrayData::builder(data_type.clone()).len(len).nulls(v.nulls(len, nullable));
            let data = data.add_buffer(Buffer::from(keys)).add_child_data(values.to_data());
            make_array(data.align_buffers(true).build().unwrap())
        }
        fixed => {
            let width = match fixed {
                DataType::FixedSizeBinary(width) => *width as usize,
                fixed => fixed.primitive_width().unwrap(),
            };
            let mut bytes = v.bytes(len * width);
            if fixed.is_floating() {
                odd_floats(&mut bytes, width, v);
            }
            let data = ArrayData::builder(fixed.clone()).len(len).nulls(v.nulls(len, nullable));
            make_array(data.add_buffer(Buffer::from(bytes)).align_buffers(true).build().unwrap())
        }
    }
}

fn strings<O: OffsetSizeTrait>(
    len: usize,
    nullable: bool,
    v: &mut Values,
) -> GenericStringArray<O> {
    let nulls = v.nulls(len, nullable);
    let is_valid = |at: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at));
    (0..len).map(|at| is_valid(at).then(|| v.text())).collect()
}

/// Offsets and sizes of lists that overlap and come in any order.
fn list_view(field: &FieldRef, len: usize, v: &mut Values) -> (Vec<usize>, Vec<usize>, ArrayRef) {
    let n_values = v.below(2 * len + 1);
    let offsets: Vec<usize> = (0..len).map(|_| v.below(n_values + 1)).collect();
    let sizes = offsets.iter().map(|offset| v.below(n_values - offset + 1)).collect();
    (offsets, sizes, array(field.data_type(), n_values, field.is_nullable(), v))
}

fn union(
    fields: &UnionFields,
    mode: UnionMode,
    len: usize,
    nullable: bool,
    v: &mut Values,
) -> ArrayRef {
    let ids: Vec<i8> = fields.iter().map(|(id, _)| id).collect();
    let type_ids: Vec<i8> = (0..len).map(|_| ids[v.below(ids.len())]).collect();
    let mut lens = vec![0; 128];
    let offsets: Vec<i32> = type_ids
        .iter()
        .map(|&id| {
            lens[id as usize] += 1;
            lens[id as usize] - 1
        })
        .collect();
    let children = fields
        .iter()
        .map(|(id, field)| {
            let is_dense = mode == UnionMode::Dense;
            let len = if is_dense { lens[id as usize] as usize } else { len };
            array(field.data_type(), len, nullable, v)
        })
        .collect();
    let offsets = (mode == UnionMode::Dense).then(|| offsets.into());
    Arc::new(UnionArray::try_new(fields.clone(), type_ids.into(), offsets, children).unwrap())
}

fn odd_floats(bytes: &mut [u8], width: usize, v: &mut Values) {
    for value in bytes.chunks_exact_mut(width) {
        let odd = [f64::NAN, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX];
        let odd = odd[v.below(odd.len())];
        match (v.below(2), width) {
            (0, 8) => value.copy_from_slice(&odd.to_le_bytes()),
            (0, 4) => value.copy_from_slice(&(odd as f32).to_le_bytes()),
            _ => {}
        }
    }
}
