//! Checks the flatbuffer of a schema before anything converts it: arrow-ipc panics on types that
//! it does not know and on children that are missing.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_ipc::convert::fb_to_schema;
use arrow_ipc::{
    self as ipc, DateUnit, Endianness, IntervalUnit, Precision, TimeUnit, Type, UnionMode,
};

use super::SchemaLayout;
use super::diagnostic::Code;
use super::schema::short;

/// A fault in a schema, before it is given its place in the payload.
#[derive(Debug)]
pub(super) struct SchemaFault {
    pub(super) code: Code,
    pub(super) column: Option<String>,
    pub(super) found: String,
    pub(super) expected: String,
}

/// Converts a schema, having checked every field of it.
///
/// `max_columns` counts fields at every depth.
pub(super) fn read_schema(
    schema: ipc::Schema<'_>,
    max_columns: usize,
) -> Result<SchemaLayout, SchemaFault> {
    let fault = |found: String, expected: &str| SchemaFault {
        code: Code::SchemaMalformed,
        column: None,
        found,
        expected: expected.to_owned(),
    };
    let is_foreign_endian = match schema.endianness() {
        Endianness::Little | Endianness::Big => !schema.endianness().equals_to_target_endianness(),
        other => return Err(fault(format!("byte order {}", other.0), "little or big")),
    };
    let Some(fields) = schema.fields() else {
        return Err(fault("no list of fields".to_owned(), "one, which may be empty"));
    };
    let is_big = schema.endianness() == Endianness::Big;
    let mut check = FieldCheck { left: max_columns, max: max_columns, is_big, path: Vec::new() };
    for field in fields {
        check.field(field)?;
    }
    SchemaLayout::new(&Arc::new(fb_to_schema(schema)), is_foreign_endian).map_err(|column| {
        SchemaFault {
            code: Code::DictionaryConflict,
            column: Some(column),
            found: "other values than the first column with this id".to_owned(),
            expected: "one type for each dictionary id".to_owned(),
        }
    })
}

struct FieldCheck<'a> {
    left: usize,
    max: usize,
    is_big: bool,
    path: Vec<&'a str>,
}

impl<'a> FieldCheck<'a> {
    /// Checks a field and its children. The depth is bounded by the flatbuffer verifier's.
    fn field(&mut self, field: ipc::Field<'a>) -> Result<(), SchemaFault> {
        self.path.push(field.name().unwrap_or_default());
        let Some(left) = self.left.checked_sub(1) else {
            let expected = format!("at most {}", self.max);
            return Err(self.fault(Code::OverCap, "more columns".to_owned(), expected));
        };
        self.left = left;
        self.own(field)
            .map_err(|(code, (found, expected))| self.fault(code, found, expected.to_owned()))?;
        for child in field.children().into_iter().flatten() {
            self.field(child)?;
        }
        self.path.pop();
        Ok(())
    }

    /// Checks a field without its children.
    fn own(&self, field: ipc::Field<'a>) -> Result<(), (Code, Fault)> {
        if let Some(dictionary) = field.dictionary() {
            let keys = dictionary.indexType().ok_or_else(|| no("type of the keys"));
            keys.and_then(check_int).map_err(|fault| (Code::SchemaMalformed, fault))?;
        }
        check_type(field).map_err(|fault| (Code::SchemaMalformed, fault))?;
        if self.is_big && field.type_type() == Type::Decimal {
            // arrow-ipc has no conversion for these at all.
            let found = "a big-endian decimal".to_owned();
            return Err((Code::ForeignEndianness, (found, "values in little-endian order")));
        }
        Ok(())
    }

    fn fault(&self, code: Code, found: String, expected: String) -> SchemaFault {
        let path: Vec<Cow<'_, str>> = self.path.iter().map(|name| short(name)).collect();
        SchemaFault { code, column: Some(path.join(".")), found, expected }
    }
}

/// What was found, and what would be right.
type Fault = (String, &'static str);

fn no(what: &'static str) -> Fault {
    ("none".to_owned(), what)
}

fn check_int(int: ipc::Int<'_>) -> Result<(), Fault> {
    match int.bitWidth() {
        8 | 16 | 32 | 64 => Ok(()),
        width => Err((format!("an integer of {width} bits"), "8, 16, 32 or 64 bits")),
    }
}

fn check_type(field: ipc::Field<'_>) -> Result<(), Fault> {
    let children = field.children().map_or(0, |children| children.len());
    let expect_children = |count: usize, what: &'static str| {
        if children == count { Ok(()) } else { Err((format!("{children} children"), what)) }
    };
    let unit = |unit: TimeUnit| match unit {
        TimeUnit::SECOND | TimeUnit::MILLISECOND | TimeUnit::MICROSECOND | TimeUnit::NANOSECOND => {
            Ok(())
        }
        other => Err((format!("time unit {}", other.0), "a unit from 0 to 3")),
    };
    match field.type_type() {
        Type::Null
        | Type::Bool
        | Type::Binary
        | Type::BinaryView
        | Type::LargeBinary
        | Type::Utf8
        | Type::Utf8View
        | Type::LargeUtf8 => expect_children(0, "no children"),
        Type::Int => {
            expect_children(0, "no children")?;
            check_int(field.type_as_int().ok_or_else(|| no("an integer type"))?)
        }
        Type::FloatingPoint => {
            expect_children(0, "no children")?;
            let float = field.type_as_floating_point().ok_or_else(|| no("a float type"))?;
            match float.precision() {
                Precision::HALF | Precision::SINGLE | Precision::DOUBLE => Ok(()),
                other => Err((format!("float precision {}", other.0), "0, 1 or 2")),
            }
        }
        Type::FixedSizeBinary => {
            expect_children(0, "no children")?;
            let binary = field.type_as_fixed_size_binary().ok_or_else(|| no("a binary type"))?;
            match binary.byteWidth() {
                0.. => Ok(()),
                width => Err((format!("values of {width} bytes"), "0 or more")),
            }
        }
        Type::Date => {
            expect_children(0, "no children")?;
            match field.type_as_date().ok_or_else(|| no("a date type"))?.unit() {
                DateUnit::DAY | DateUnit::MILLISECOND => Ok(()),
                other => Err((format!("date unit {}", other.0), "0 or 1")),
            }
        }
        Type::Time => {
            expect_children(0, "no children")?;
            let time = field.type_as_time().ok_or_else(|| no("a time type"))?;
            match (time.bitWidth(), time.unit()) {
                (32, TimeUnit::SECOND | TimeUnit::MILLISECOND)
                | (64, TimeUnit::MICROSECOND | TimeUnit::NANOSECOND) => Ok(()),
                (width, unit) => Err((
                    format!("a time of {width} bits in unit {}", unit.0),
                    "32 bits for seconds and milliseconds, 64 for the rest",
                )),
            }
        }
        Type::Timestamp => {
            expect_children(0, "no children")?;
            unit(field.type_as_timestamp().ok_or_else(|| no("a timestamp type"))?.unit())
        }
        Type::Duration => {
            expect_children(0, "no children")?;
            unit(field.type_as_duration().ok_or_else(|| no("a duration type"))?.unit())
        }
        Type::Interval => {
            expect_children(0, "no children")?;
            match field.type_as_interval().ok_or_else(|| no("an interval type"))?.unit() {
                IntervalUnit::YEAR_MONTH
                | IntervalUnit::DAY_TIME
                | IntervalUnit::MONTH_DAY_NANO => Ok(()),
                other => Err((format!("interval unit {}", other.0), "0, 1 or 2")),
            }
        }
        Type::Decimal => {
            expect_children(0, "no children")?;
            check_decimal(field.type_as_decimal().ok_or_else(|| no("a decimal type"))?)
        }
        Type::List | Type::LargeList | Type::ListView | Type::LargeListView => {
            expect_children(1, "one child")
        }
        Type::FixedSizeList => {
            expect_children(1, "one child")?;
            let list = field.type_as_fixed_size_list().ok_or_else(|| no("a list type"))?;
            match list.listSize() {
                0.. => Ok(()),
                size => Err((format!("lists of {size} values"), "0 or more")),
            }
        }
        Type::Map => {
            expect_children(1, "one child")?;
            field.type_as_map().ok_or_else(|| no("a map type"))?;
            let entries = field.children().map(|children| children.get(0));
            let is_pair = entries.is_some_and(|entries| {
                entries.type_type() == Type::Struct_
                    && entries.dictionary().is_none()
                    && entries.children().is_some_and(|fields| fields.len() == 2)
            });
            if is_pair {
                Ok(())
            } else {
                Err(("other entries".to_owned(), "a struct of key and value"))
            }
        }
        Type::Struct_ => Ok(()),
        Type::RunEndEncoded => {
            expect_children(2, "run ends and values")?;
            let run_ends = field.children().map(|children| children.get(0));
            let width = run_ends
                .filter(|run_ends| run_ends.dictionary().is_none())
                .and_then(|run_ends| run_ends.type_as_int())
                .filter(|int| int.is_signed())
                .map(|int| int.bitWidth());
            match width {
                Some(16 | 32 | 64) => Ok(()),
                _ => Err(("other run ends".to_owned(), "signed integers of 16, 32 or 64 bits")),
            }
        }
        Type::Union => check_union(field, children),
        other => Err((format!("type number {}", other.0), "a type of the Arrow format")),
    }
}

fn check_decimal(decimal: ipc::Decimal<'_>) -> Result<(), Fault> {
    let max = match decimal.bitWidth() {
        32 => 9,
        64 => 18,
        128 => 38,
        256 => 76,
        width => {
            return Err((format!("a decimal of {width} bits"), "32, 64, 128 or 256 bits"));
        }
    };
    if !(1..=max).contains(&decimal.precision()) {
        return Err((
            format!("precision {}", decimal.precision()),
            "a precision that the width holds",
        ));
    }
    if i8::try_from(decimal.scale()).is_err() {
        return Err((format!("scale {}", decimal.scale()), "-128 to 127"));
    }
    Ok(())
}

fn check_union(field: ipc::Field<'_>, children: usize) -> Result<(), Fault> {
    let union = field.type_as_union().ok_or_else(|| no("a union type"))?;
    if !matches!(union.mode(), UnionMode::Sparse | UnionMode::Dense) {
        return Err((format!("union mode {}", union.mode().0), "0 or 1"));
    }
    if !(1..=128).contains(&children) {
        return Err((format!("{children} children"), "1 to 128"));
    }
    let Some(ids) = union.typeIds() else {
        return Ok(());
    };
    if ids.len() != children {
        return Err((format!("{} type ids for {children} children", ids.len()), "one for each"));
    }
    let mut seen = 0_u128;
    for id in ids {
        let bit = u32::try_from(id).ok().and_then(|id| 1_u128.checked_shl(id));
        match bit {
            Some(bit) if seen & bit == 0 => seen |= bit,
            _ => return Err((format!("type id {id}"), "ids from 0 to 127, each once")),
        }
    }
    Ok(())
}
