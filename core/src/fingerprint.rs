//! One number for a schema, the same whoever wrote it.
//!
//! Two writers of the same columns produce different schema bytes: field order inside a flatbuffer,
//! key-value metadata, names of list items all differ. So the fingerprint is taken over a canonical
//! text instead, which any language can build:
//!
//! ```text
//! schema = column *( ", " column )
//! column = name " " type [ " not null" ]      name in double quotes, with \" and \\ escaped
//! type   = "int32" | "utf8" | "timestamp[us, UTC]" | "decimal128(10, 2)"
//!        | "list<" item ">" | "struct<" columns ">" | "map<" key ", " value ">" | …
//! ```
//!
//! Names of list items and of map entries are left out: they carry no meaning and writers disagree
//! on them. Metadata is left out too, and with it extension types: their storage is what is written.

use std::fmt::{self, Write as _};

use arrow_schema::{DataType, Field, FieldRef, IntervalUnit, Schema, TimeUnit, UnionMode};
use twox_hash::XxHash64;

/// XXH64 (seed 0) of a schema's canonical text; prints as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of `schema`: names, types, nullability and order of its columns.
    pub fn of(schema: &Schema) -> Self {
        Self(XxHash64::oneshot(0, canonical(schema).as_bytes()))
    }

    /// Reads the 16 hex digits that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hex.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The canonical text of a schema, as the [module](self) describes it.
pub fn canonical(schema: &Schema) -> String {
    let mut text = String::new();
    columns(&mut text, schema.fields());
    text
}

/// The canonical text of a type, such as `timestamp[us]`: what messages to users call it.
pub fn type_name(data_type: &DataType) -> String {
    let mut text = String::new();
    type_text(&mut text, data_type);
    text
}

fn columns<'a>(text: &mut String, fields: impl IntoIterator<Item = &'a FieldRef>) {
    for (i, field) in fields.into_iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        quoted(text, field.name());
        text.push(' ');
        item(text, field);
    }
}

fn item(text: &mut String, field: &Field) {
    type_text(text, field.data_type());
    if !field.is_nullable() {
        text.push_str(" not null");
    }
}

fn quoted(text: &mut String, name: &str) {
    text.push('"');
    for character in name.chars() {
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
}

fn type_text(text: &mut String, data_type: &DataType) {
    // Writing to a String cannot fail.
    let mut put = |arguments: fmt::Arguments<'_>| {
        let _ = text.write_fmt(arguments);
    };
    match data_type {
        DataType::Timestamp(unit, None) => put(format_args!("timestamp[{}]", unit_text(*unit))),
        DataType::Timestamp(unit, Some(zone)) => {
            put(format_args!("timestamp[{}, {zone}]", unit_text(*unit)));
        }
        DataType::Time32(unit) => put(format_args!("time32[{}]", unit_text(*unit))),
        DataType::Time64(unit) => put(format_args!("time64[{}]", unit_text(*unit))),
        DataType::Duration(unit) => put(format_args!("duration[{}]", unit_text(*unit))),
        DataType::Interval(unit) => put(format_args!(
            "interval[{}]",
            match unit {
                IntervalUnit::YearMonth => "year_month",
                IntervalUnit::DayTime => "day_time",
                IntervalUnit::MonthDayNano => "month_day_nano",
            }
        )),
        DataType::FixedSizeBinary(size) => put(format_args!("fixed_size_binary({size})")),
        DataType::Decimal32(precision, scale) => {
            put(format_args!("decimal32({precision}, {scale})"));
        }
        DataType::Decimal64(precision, scale) => {
            put(format_args!("decimal64({precision}, {scale})"));
        }
        DataType::Decimal128(precision, scale) => {
            put(format_args!("decimal128({precision}, {scale})"));
        }
        DataType::Decimal256(precision, scale) => {
            put(format_args!("decimal256({precision}, {scale})"));
        }
        DataType::List(field) => around(text, "list", |text| item(text, field)),
        DataType::LargeList(field) => around(text, "large_list", |text| item(text, field)),
        DataType::ListView(field) => around(text, "list_view", |text| item(text, field)),
        DataType::LargeListView(field) => around(text, "large_list_view", |text| item(text, field)),
        DataType::FixedSizeList(field, size) => {
            around(text, "fixed_size_list", |text| {
                item(text, field);
                let _ = write!(text, ", {size}");
            });
        }
        DataType::Struct(fields) => around(text, "struct", |text| columns(text, fields)),
        DataType::Map(entries, sorted) => {
            around(text, if *sorted { "sorted_map" } else { "map" }, |text| {
                match entries.data_type() {
                    DataType::Struct(pair) => items(text, pair.iter().map(AsRef::as_ref)),
                    other => type_text(text, other),
                }
            });
        }
        DataType::Dictionary(key, value) => around(text, "dictionary", |text| {
            type_text(text, key);
            text.push_str(", ");
            type_text(text, value);
        }),
        DataType::RunEndEncoded(run_ends, values) => around(text, "run_end_encoded", |text| {
            items(text, [run_ends.as_ref(), values.as_ref()]);
        }),
        DataType::Union(fields, mode) => {
            let name = match mode {
                UnionMode::Sparse => "sparse_union",
                UnionMode::Dense => "dense_union",
            };
            around(text, name, |text| {
                for (i, (id, field)) in fields.iter().enumerate() {
                    let _ = write!(text, "{}{id}: ", if i > 0 { ", " } else { "" });
                    columns(text, [field]);
                }
            });
        }
        simple => text.push_str(simple_name(simple)),
    }
}

fn around(text: &mut String, name: &str, inside: impl FnOnce(&mut String)) {
    text.push_str(name);
    text.push('<');
    inside(text);
    text.push('>');
}

fn items<'a>(text: &mut String, fields: impl IntoIterator<Item = &'a Field>) {
    for (i, field) in fields.into_iter().enumerate() {
        if i > 0 {
            text.push_str(", ");
        }
        item(text, field);
    }
}

fn simple_name(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Null => "null",
        DataType::Boolean => "bool",
        DataType::Int8 => "int8",
        DataType::Int16 => "int16",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::UInt8 => "uint8",
        DataType::UInt16 => "uint16",
        DataType::UInt32 => "uint32",
        DataType::UInt64 => "uint64",
        DataType::Float16 => "float16",
        DataType::Float32 => "float32",
        DataType::Float64 => "float64",
        DataType::Date32 => "date32",
        DataType::Date64 => "date64",
        DataType::Binary => "binary",
        DataType::LargeBinary => "large_binary",
        DataType::BinaryView => "binary_view",
        DataType::Utf8 => "utf8",
        DataType::LargeUtf8 => "large_utf8",
        DataType::Utf8View => "utf8_view",
        // Every type with parameters is written out by `type_text`.
        _ => "unknown",
    }
}

fn unit_text(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Arc};

    use super::*;

    fn list(item: &str, nullable: bool) -> DataType {
        DataType::List(Arc::new(Field::new(item, DataType::Int32, nullable)))
    }

    #[test]
    fn canonical_text_is_stable() {
        let schema = Schema::new(vec![
            Field::new("device", DataType::Utf8, false),
            Field::new(
                "a \"b\" \\",
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                true,
            ),
            Field::new("l", list("item", false), true),
            Field::new(
                "d",
                DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into()),
                true,
            ),
        ]);
        assert_eq!(
            canonical(&schema),
            r#""device" utf8 not null, "a \"b\" \\" timestamp[us, UTC], "l" list<int32 not null>, "d" dictionary<int8, utf8>"#
        );
        // As the xxhash package of Python computes it over that text.
        assert_eq!(Fingerprint::of(&schema).to_string(), "f6e49a275bc06020");
    }

    #[test]
    fn what_writers_disagree_on_does_not_count() {
        let one = Schema::new(vec![Field::new("l", list("item", true), true)]);
        let field = Field::new("l", list("element", true), true)
            .with_metadata(HashMap::from([("note".to_owned(), "x".to_owned())]));
        let other =
            Schema::new(vec![field]).with_metadata(HashMap::from([("pandas".into(), "{}".into())]));
        assert_eq!(Fingerprint::of(&one), Fingerprint::of(&other));
    }

    #[test]
    fn names_cannot_forge_another_schema() {
        let forged = Schema::new(vec![Field::new("a\" int32, \"b", DataType::Int32, true)]);
        let real = Schema::new(vec![
            Field::new("a", DataType::Int32, true),
            Field::new("b", DataType::Int32, true),
        ]);
        assert_ne!(canonical(&forged), canonical(&real));
    }

    #[test]
    fn text_form_is_read_back_and_nothing_else_is() {
        let fingerprint = Fingerprint::of(&Schema::empty());
        assert_eq!(Fingerprint::parse(&fingerprint.to_string()), Some(fingerprint));
        for wrong in
            ["", "+123456789abcdef", "0123456789abcde", "0123456789abcdefg", "é234567890abcde"]
        {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
