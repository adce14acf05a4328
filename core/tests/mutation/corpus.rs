//! The payloads that are damaged: every kind of column, codec and framing.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit, UnionFields, UnionMode};
use volley_core::layout::Framing;

use crate::arbitrary::batch;
use crate::common::{CODECS, FRAMINGS, Writing, encode};

/// A schema, written in one way.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    schema: SchemaRef,
    writing: Writing,
}

/// Each schema with each codec in each framing.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, schema) in schemas() {
        for compression in CODECS {
            for framing in FRAMINGS {
                let writing = Writing { framing, compression, alignment: 8, ..Writing::default() };
                cases.push(Case { name, schema: Arc::clone(&schema), writing });
            }
        }
    }
    cases
}

impl Case {
    pub fn codec(&self) -> &'static str {
        self.writing.compression.and_then(|codec| codec.variant_name()).unwrap_or("none")
    }

    pub fn framing(&self) -> Framing {
        self.writing.framing
    }

    /// One batch of 20 rows, for damage to bytes.
    pub fn payload(&self) -> Vec<u8> {
        encode(&self.schema, &[batch(&self.schema, 20, 7, false)], self.writing).unwrap()
    }

    /// Two batches, for damage to the order of messages. A file has one dictionary for both, so
    /// that there they are the same batch.
    pub fn payload_of_two(&self) -> Vec<u8> {
        let seed = if self.framing() == Framing::File { 1 } else { 2 };
        let batches = [batch(&self.schema, 9, 1, false), batch(&self.schema, 9, seed, false)];
        encode(&self.schema, &batches, self.writing).unwrap()
    }
}

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// Schemas that between them have every shape of nodes and buffers.
fn schemas() -> Vec<(&'static str, SchemaRef)> {
    use DataType::*;
    let item = |t: DataType| Arc::new(Field::new("item", t, true));
    let dictionary = |values: DataType| Dictionary(Box::new(Int16), Box::new(values));
    let pair = Fields::from(vec![Field::new("a", Int32, true), Field::new("b", Utf8, true)]);
    let entries = vec![Field::new("key", Utf8, false), Field::new("value", Int64, true)];
    let union = |mode| {
        let fields = [(0, Field::new("i", Int32, true)), (5, Field::new("s", Utf8, true))];
        Union(fields.into_iter().map(|(id, f)| (id, Arc::new(f))).collect::<UnionFields>(), mode)
    };
    let runs = Arc::new(Field::new("run_ends", Int32, false));
    vec![
        (
            "narrow",
            schema(vec![
                Field::new("time", Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
                Field::new("host", Utf8, false),
                Field::new("value", Float64, true),
                Field::new("up", Boolean, true),
            ]),
        ),
        (
            "dictionary",
            schema(vec![
                Field::new("host", dictionary(Utf8), true),
                Field::new("point", dictionary(Struct(pair.clone())), true),
            ]),
        ),
        (
            "lists",
            schema(vec![
                Field::new("list", List(item(Struct(pair.clone()))), true),
                Field::new("large", LargeList(item(Int8)), true),
                Field::new("fixed", FixedSizeList(item(Float32), 3), true),
            ]),
        ),
        (
            "views",
            schema(vec![
                Field::new("text", Utf8View, true),
                Field::new("bytes", BinaryView, true),
                Field::new("lists", ListView(item(Int32)), true),
                Field::new("large", LargeListView(item(Utf8View)), true),
            ]),
        ),
        (
            "map",
            schema(vec![Field::new(
                "map",
                Map(Arc::new(Field::new("entries", Struct(entries.into()), false)), false),
                true,
            )]),
        ),
        (
            "unions",
            schema(vec![
                Field::new("dense", union(UnionMode::Dense), true),
                Field::new("sparse", union(UnionMode::Sparse), true),
            ]),
        ),
        (
            "runs",
            schema(vec![
                Field::new("runs", RunEndEncoded(runs.clone(), item(Utf8)), true),
                Field::new("null", Null, true),
                Field::new("coded", RunEndEncoded(runs, item(dictionary(Utf8))), true),
            ]),
        ),
        (
            "fixed",
            schema(vec![
                Field::new("id", FixedSizeBinary(16), true),
                Field::new("small", Decimal32(9, 2), true),
                Field::new("money", Decimal128(38, 10), true),
                Field::new("huge", Decimal256(76, 20), true),
                Field::new("span", Interval(arrow_schema::IntervalUnit::MonthDayNano), true),
            ]),
        ),
        (
            "large",
            schema(vec![
                Field::new("text", LargeUtf8, true),
                Field::new("bytes", LargeBinary, true),
                Field::new("half", Float16, true),
            ]),
        ),
        (
            "nested dictionary",
            schema(vec![Field::new(
                "lists",
                List(item(dictionary(List(item(dictionary(Utf8)))))),
                true,
            )]),
        ),
        ("no columns", schema(vec![])),
        (
            "struct",
            schema(vec![
                Field::new("empty", Struct(Fields::empty()), true),
                Field::new("pair", Struct(pair), false),
            ]),
        ),
    ]
}
