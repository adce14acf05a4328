//! Arrow schemas as ClickHouse columns and tables.

use std::{borrow::Cow, fmt::Write as _};

use arrow_schema::{DataType, Field, Schema, TimeUnit};

use crate::fingerprint::type_name;

mod fit;
mod target;

pub use fit::{Fit, Loss, fit};

/// Why a column has no ClickHouse type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: no clickhouse type takes arrow type {found}")]
#[non_exhaustive]
pub struct UnsupportedType {
    /// The column, with the path into nested types after dots.
    pub column: String,
    /// Its Arrow type.
    pub found: String,
}

/// What a created table should be like, beside its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOptions {
    /// Engine with its arguments, such as `ReplacingMergeTree`.
    pub engine: String,
    /// Sorting key as an SQL expression list, such as `device, ts`.
    pub order_by: String,
    /// Partition key expression.
    pub partition_by: Option<String>,
    /// Expiry expression, such as `ts + INTERVAL 30 DAY`.
    pub ttl: Option<String>,
    /// Inserts that the table remembers by their deduplication token.
    pub deduplication_window: u32,
}

impl Default for TableOptions {
    fn default() -> Self {
        Self {
            engine: "ReplacingMergeTree".to_owned(),
            order_by: "tuple()".to_owned(),
            partition_by: None,
            ttl: None,
            deduplication_window: 10_000,
        }
    }
}

/// The ClickHouse type that holds every value of an Arrow field, as ClickHouse's own Arrow reader
/// fills it.
///
/// | Arrow | ClickHouse |
/// |---|---|
/// | bool, (u)int8 … 64, float32, float64 | `Bool`, `(U)Int8` … `64`, `Float32`, `Float64` |
/// | float16 | `Float32` |
/// | utf8, binary, their large and view forms | `String` |
/// | fixed_size_binary(1 … 256) | `FixedString(n)` |
/// | date32, date64 | `Date32`, `DateTime64(3)` |
/// | time32\[s, ms\], time64\[µs, ns\] | `Time64(0 … 9)` |
/// | timestamp\[s … ns, zone\] | `DateTime64(0 … 9, 'zone')`; the zone +05:30 is `Fixed/UTC+05:30:00` |
/// | duration\[s … ns\] | `IntervalSecond` … `IntervalNanosecond` |
/// | decimal32 … decimal256(p, s) | `Decimal(p, s)` |
/// | list, large_list, fixed_size_list, map, struct | `Array`, `Map`, `Tuple` with names |
/// | dictionary of strings | `LowCardinality(String)` |
/// | other dictionaries | as their values |
///
/// A nullable field is `Nullable`, where ClickHouse can. Arrays, maps and tuples cannot: where they
/// are null, they have the values that lie beneath the null, which most writers leave empty.
///
/// ClickHouse's reader has limits of its own. It refuses a date32 before 1900 or after 2299, and
/// dictionaries that hold a value twice; in a dictionary of floats, −0 becomes 0. It takes date64 for
/// seconds in 32 bits: **a date64 outside 1970 to 2106 becomes another date, without a word.**
/// `Time64` is there since version 25.6.
///
/// # Errors
///
/// [`UnsupportedType`] for types that ClickHouse's reader refuses (intervals of months or days,
/// run-end encoding, list views, null, decimals with a scale below 0 or above their precision), that
/// lose their names in it (unions), or whose columns ClickHouse makes only under a setting
/// (fixed_size_binary over 256 bytes, which would lose zeros at its end in a `String`).
pub fn column_type(field: &Field) -> Result<String, UnsupportedType> {
    typed(field.name(), field.data_type(), field.is_nullable())
}

fn typed(path: &str, data_type: &DataType, nullable: bool) -> Result<String, UnsupportedType> {
    let unsupported = || UnsupportedType { column: path.to_owned(), found: type_name(data_type) };
    let child = |field: &Field| {
        typed(&format!("{path}.{}", field.name()), field.data_type(), field.is_nullable())
    };
    let scalar = match data_type {
        DataType::Boolean => "Bool".to_owned(),
        DataType::Int8 => "Int8".to_owned(),
        DataType::Int16 => "Int16".to_owned(),
        DataType::Int32 => "Int32".to_owned(),
        DataType::Int64 => "Int64".to_owned(),
        DataType::UInt8 => "UInt8".to_owned(),
        DataType::UInt16 => "UInt16".to_owned(),
        DataType::UInt32 => "UInt32".to_owned(),
        DataType::UInt64 => "UInt64".to_owned(),
        DataType::Float16 | DataType::Float32 => "Float32".to_owned(),
        DataType::Float64 => "Float64".to_owned(),
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView => "String".to_owned(),
        DataType::FixedSizeBinary(size @ 1..=256) => format!("FixedString({size})"),
        DataType::Date32 => "Date32".to_owned(),
        DataType::Date64 => "DateTime64(3)".to_owned(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("Time64({})", digits(*unit)),
        DataType::Timestamp(unit, None) => format!("DateTime64({})", digits(*unit)),
        DataType::Timestamp(unit, Some(zone)) => {
            format!("DateTime64({}, {})", digits(*unit), quote_string(&zone_name(zone)))
        }
        DataType::Duration(unit) => format!("Interval{unit:?}"),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if u8::try_from(*scale).is_ok_and(|scale| scale <= *precision) =>
        {
            format!("Decimal({precision}, {scale})")
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            return Ok(format!("Array({})", child(item)?));
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else {
                return Err(unsupported());
            };
            let [key, value] = &pair[..] else {
                return Err(unsupported());
            };
            // A key is never null, whatever its field says.
            let key = typed(&format!("{path}.{}", key.name()), key.data_type(), false)?;
            return Ok(format!("Map({key}, {})", child(value)?));
        }
        DataType::Struct(fields) if !fields.is_empty() => {
            let mut text = "Tuple(".to_owned();
            for (i, field) in fields.iter().enumerate() {
                let separator = if i > 0 { ", " } else { "" };
                let _ =
                    write!(text, "{separator}{} {}", quote_identifier(field.name()), child(field)?);
            }
            return Ok(text + ")");
        }
        DataType::Dictionary(_, values) => {
            let inner = typed(path, values, nullable)?;
            let is_text = matches!(inner.as_str(), "String" | "Nullable(String)");
            return Ok(if is_text { format!("LowCardinality({inner})") } else { inner });
        }
        _ => return Err(unsupported()),
    };
    Ok(if nullable { format!("Nullable({scalar})") } else { scalar })
}

/// Digits after the second.
fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// A zone as ClickHouse calls it: Arrow writes an offset from UTC as `+HH:MM`.
fn zone_name(zone: &str) -> Cow<'_, str> {
    let is_offset = match zone.as_bytes() {
        [b'+' | b'-', hours @ .., b':', m1, m2] => {
            hours.len() == 2 && hours.iter().chain([m1, m2]).all(u8::is_ascii_digit)
        }
        _ => false,
    };
    if is_offset { format!("Fixed/UTC{zone}:00").into() } else { zone.into() }
}

/// The statement that creates a table for `schema`; `table` is already quoted.
///
/// # Errors
///
/// [`UnsupportedType`], as [`column_type`].
pub fn create_table(
    table: &str,
    schema: &Schema,
    options: &TableOptions,
) -> Result<String, UnsupportedType> {
    let mut sql = format!("CREATE TABLE IF NOT EXISTS {table}\n(\n");
    for (i, field) in schema.fields().iter().enumerate() {
        let separator = if i > 0 { ",\n" } else { "" };
        let name = quote_identifier(field.name());
        let _ = write!(sql, "{separator}    {name} {}", column_type(field)?);
    }
    let _ = write!(sql, "\n)\nENGINE = {}", options.engine);
    if let Some(partition_by) = &options.partition_by {
        let _ = write!(sql, "\nPARTITION BY {partition_by}");
    }
    let _ = write!(sql, "\nORDER BY ({})", options.order_by);
    if let Some(ttl) = &options.ttl {
        let _ = write!(sql, "\nTTL {ttl}");
    }
    // Plain MergeTree tables forget tokens by default; replicated ones have a window of their own.
    if !options.engine.starts_with("Replicated") && !options.engine.starts_with("Shared") {
        let window = options.deduplication_window;
        let _ = write!(sql, "\nSETTINGS non_replicated_deduplication_window = {window}");
    }
    Ok(sql)
}

/// The statement that adds columns for `fields`, where they are missing; `table` is already quoted.
///
/// # Errors
///
/// [`UnsupportedType`], as [`column_type`].
pub fn add_columns(table: &str, fields: &[&Field]) -> Result<String, UnsupportedType> {
    let mut sql = format!("ALTER TABLE {table}");
    for (i, field) in fields.iter().enumerate() {
        let separator = if i > 0 { "," } else { "" };
        let (name, definition) = (quote_identifier(field.name()), column_type(field)?);
        let _ = write!(sql, "{separator} ADD COLUMN IF NOT EXISTS {name} {definition}");
    }
    Ok(sql)
}

/// The statement to which a body of spliced or encoded batches is sent.
///
/// Columns are named, because ClickHouse silently drops a column of the body that it does not find.
pub fn insert_into(table: &str, schema: &Schema) -> String {
    let columns: Vec<_> =
        schema.fields().iter().map(|field| quote_identifier(field.name())).collect();
    format!("INSERT INTO {table} ({}) FORMAT ArrowStream", columns.join(", "))
}

/// An identifier in backquotes.
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", escape(name, '`'))
}

/// A string literal in single quotes.
pub fn quote_string(text: &str) -> String {
    format!("'{}'", escape(text, '\''))
}

fn escape(text: &str, quote: char) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\0' => escaped.push_str("\\0"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            _ => {
                if character == quote || character == '\\' {
                    escaped.push('\\');
                }
                escaped.push(character);
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::host::MetricSet;

    fn check(data_type: DataType, nullable: bool, expected: Result<&str, &str>) {
        let field = Field::new("c", data_type, nullable);
        let found = column_type(&field).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{field:?}");
    }

    #[test]
    fn types_map_as_documented() {
        let dictionary =
            |value: DataType| DataType::Dictionary(DataType::Int8.into(), value.into());
        let list = |item| DataType::List(Arc::new(Field::new("item", item, true)));
        check(DataType::UInt64, false, Ok("UInt64"));
        check(DataType::Float16, true, Ok("Nullable(Float32)"));
        check(DataType::BinaryView, false, Ok("String"));
        check(DataType::FixedSizeBinary(256), false, Ok("FixedString(256)"));
        check(
            DataType::Timestamp(TimeUnit::Nanosecond, Some("Asia/Tokyo".into())),
            false,
            Ok("DateTime64(9, 'Asia/Tokyo')"),
        );
        check(
            DataType::Timestamp(TimeUnit::Second, Some("-03:30".into())),
            false,
            Ok("DateTime64(0, 'Fixed/UTC-03:30:00')"),
        );
        check(DataType::Time32(TimeUnit::Millisecond), true, Ok("Nullable(Time64(3))"));
        check(DataType::Time64(TimeUnit::Nanosecond), false, Ok("Time64(9)"));
        check(DataType::Duration(TimeUnit::Microsecond), false, Ok("IntervalMicrosecond"));
        check(DataType::Decimal128(38, 3), true, Ok("Nullable(Decimal(38, 3))"));
        check(dictionary(DataType::Utf8), true, Ok("LowCardinality(Nullable(String))"));
        check(dictionary(DataType::Int64), true, Ok("Nullable(Int64)"));
        check(list(DataType::Int8), true, Ok("Array(Nullable(Int8))"));
        let fields = vec![
            Field::new("a b", DataType::Int8, false),
            Field::new("c`", list(DataType::Utf8), false),
        ];
        check(
            DataType::Struct(fields.into()),
            true,
            Ok("Tuple(`a b` Int8, `c\\`` Array(Nullable(String)))"),
        );
        let entry = vec![
            Field::new("key", dictionary(DataType::Utf8), true),
            Field::new("value", DataType::Int8, true),
        ];
        let entries = Field::new("entries", DataType::Struct(entry.into()), false);
        check(
            DataType::Map(Arc::new(entries), false),
            true,
            Ok("Map(LowCardinality(String), Nullable(Int8))"),
        );
    }

    #[test]
    fn types_without_a_place_are_named_with_their_path() {
        check(DataType::Null, true, Err("column c: no clickhouse type takes arrow type null"));
        let nested = DataType::Struct(vec![Field::new("t", DataType::Null, true)].into());
        check(nested, true, Err("column c.t: no clickhouse type takes arrow type null"));
        check(
            DataType::Decimal128(5, -2),
            true,
            Err("column c: no clickhouse type takes arrow type decimal128(5, -2)"),
        );
        check(
            DataType::FixedSizeBinary(257),
            false,
            Err("column c: no clickhouse type takes arrow type fixed_size_binary(257)"),
        );
        check(
            DataType::Decimal32(2, 3),
            true,
            Err("column c: no clickhouse type takes arrow type decimal32(2, 3)"),
        );
    }

    #[test]
    fn table_definition_reads_well() {
        let options = TableOptions {
            order_by: "device, ts".to_owned(),
            partition_by: Some("toYYYYMM(ts)".to_owned()),
            ttl: Some("toDateTime(ts) + INTERVAL 30 DAY".to_owned()),
            ..TableOptions::default()
        };
        let sql = create_table("`db`.`host`", &MetricSet::Basic.schema(), &options).unwrap();
        assert_eq!(
            sql,
            "CREATE TABLE IF NOT EXISTS `db`.`host`\n(\n    `device` String,\n    `ts` DateTime64(6),\n    \
             `cpu_used` Float32,\n    `cpu_free` Float32,\n    `memory_used` Float32,\n    \
             `memory_free` Float32,\n    `run_elapsed_ms` Int32\n)\nENGINE = ReplacingMergeTree\n\
             PARTITION BY toYYYYMM(ts)\nORDER BY (device, ts)\nTTL toDateTime(ts) + INTERVAL 30 DAY\n\
             SETTINGS non_replicated_deduplication_window = 10000"
        );
    }

    #[test]
    fn names_cannot_break_out_of_their_quotes() {
        assert_eq!(quote_identifier("a`; DROP TABLE x; --\\"), "`a\\`; DROP TABLE x; --\\\\`");
        assert_eq!(quote_string("it's\n"), "'it\\'s\\n'");
    }
}
