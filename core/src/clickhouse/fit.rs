use std::fmt;

use arrow_schema::{DataType, Field, Fields, TimeUnit};

use super::target::Target;

/// What becomes of the values of an Arrow column in a column of a ClickHouse table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The table's column is what the values are.
    Exact,
    /// It holds every value, and more.
    Widening,
    /// Nothing is known against it: ClickHouse takes each value as it is, or refuses it.
    Unknown,
    /// ClickHouse would make other values of some of them, without a word.
    Lossy(Loss),
}

/// What is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// The column is for another kind of thing: text where there are numbers.
    Kind,
    /// Values beyond its range become others.
    Range,
    /// Digits that it does not have are cut off.
    Precision,
    /// Fields of a struct that a tuple does not have are dropped.
    Fields,
    /// Zero bytes at the end of a value of fixed size are dropped.
    Zeros,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "these are different things",
            Self::Range => "values out of its range would become others",
            Self::Precision => "digits would be cut off",
            Self::Fields => "fields would be dropped",
            Self::Zeros => "zero bytes at the end would be dropped",
        })
    }
}

impl Fit {
    fn and(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Exact => 0,
            Self::Widening => 1,
            Self::Unknown => 2,
            Self::Lossy(_) => 3,
        }
    }
}

const KIND: Fit = Fit::Lossy(Loss::Kind);
const RANGE: Fit = Fit::Lossy(Loss::Range);
const PRECISION: Fit = Fit::Lossy(Loss::Precision);

/// How an Arrow type fits a table's column of type `table_type`, as `system.columns` writes it.
///
/// | Arrow | exact | widening | lossy |
/// |---|---|---|---|
/// | bool | `Bool` | numbers | |
/// | (u)int8 … 64 | the same | wider, floats and decimals that hold every value | narrower, the other sign, `Bool` |
/// | float16 … 64 | the same | wider floats | narrower floats, integers, decimals |
/// | decimal(p, s) | the same | as many digits on both sides of the point; integers without a scale | fewer digits after the point, floats |
/// | utf8, binary | `String` | | |
/// | fixed_size_binary(n) | `FixedString(n)` | a longer one | a shorter one, `String` |
/// | date32 | `Date32` | `DateTime64(0 … 8)`, `Int32`, `Int64` | `Date`, `DateTime`, `DateTime64(9)` |
/// | timestamp, time | `DateTime64`, `Time64` with the unit's digits | more digits; of seconds `Int64` | fewer digits, `Date`, `Int64` of smaller units |
/// | duration | `Interval` of the unit | smaller units, `Int64` | larger units |
/// | list, map, struct | as the worst of what is in them | and elements that the struct lacks | and fields that the tuple lacks |
///
/// `Nullable`, `LowCardinality`, dictionaries and `SimpleAggregateFunction` count as what they hold; a
/// null becomes the default of a column that has no nulls. What ClickHouse checks value by value is
/// [`Fit::Unknown`]: text in an `Enum`, a `UUID` or a `FixedString`, an integer in too short a `Decimal`.
/// So are seconds in a `DateTime`, which ends in 2106, integers as times, and all other types.
pub fn fit(data_type: &DataType, table_type: &str) -> Fit {
    let target = Target::of(table_type);
    match data_type {
        DataType::Dictionary(_, values) => fit(values, table_type),
        DataType::Boolean => boolean(&target),
        DataType::Int8 => integer(8, Signed::Yes, &target),
        DataType::Int16 => integer(16, Signed::Yes, &target),
        DataType::Int32 => integer(32, Signed::Yes, &target),
        DataType::Int64 => integer(64, Signed::Yes, &target),
        DataType::UInt8 => integer(8, Signed::No, &target),
        DataType::UInt16 => integer(16, Signed::No, &target),
        DataType::UInt32 => integer(32, Signed::No, &target),
        DataType::UInt64 => integer(64, Signed::No, &target),
        DataType::Float16 => float(11, &target),
        DataType::Float32 => float(24, &target),
        DataType::Float64 => float(53, &target),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => match u8::try_from(*scale) {
            Ok(scale) => decimal(*precision, scale, &target),
            Err(_) => Fit::Unknown,
        },
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView => text(&target),
        DataType::FixedSizeBinary(size) => fixed_size_binary(*size, &target),
        DataType::Date32 => date(&target),
        DataType::Date64 => date_in_ms(&target),
        DataType::Timestamp(unit, _) => timestamp(*unit, &target),
        DataType::Time32(unit) | DataType::Time64(unit) => time(*unit, &target),
        DataType::Duration(unit) => duration(*unit, &target),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            match target {
                Target::Array(inner) => fit(item.data_type(), inner),
                Target::Other => Fit::Unknown,
                _ => KIND,
            }
        }
        DataType::Map(entries, _) => map(entries, &target),
        DataType::Struct(fields) => structure(fields, &target),
        _ => Fit::Unknown,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signed {
    Yes,
    No,
}

fn boolean(target: &Target<'_>) -> Fit {
    match target {
        Target::Bool => Fit::Exact,
        Target::Int { .. } | Target::UInt { .. } | Target::Float { .. } => Fit::Widening,
        Target::Decimal { .. } | Target::Other => Fit::Unknown,
        _ => KIND,
    }
}

fn integer(bits: u16, signed: Signed, target: &Target<'_>) -> Fit {
    let is_signed = signed == Signed::Yes;
    match *target {
        Target::Int { bits: found } if is_signed && found == bits => Fit::Exact,
        Target::UInt { bits: found } if !is_signed && found == bits => Fit::Exact,
        Target::Int { bits: found } if found > bits => Fit::Widening,
        Target::UInt { bits: found } if !is_signed && found > bits => Fit::Widening,
        Target::Int { .. } | Target::UInt { .. } | Target::Bool => RANGE,
        Target::Float { mantissa } if bits - u16::from(is_signed) <= mantissa => Fit::Widening,
        Target::Float { .. } => PRECISION,
        Target::Decimal { precision, scale } => {
            let n_digits = match (bits, signed) {
                (8, _) => 3,
                (16, _) => 5,
                (32, _) => 10,
                (_, Signed::Yes) => 19,
                (_, Signed::No) => 20,
            };
            if precision.saturating_sub(scale) >= n_digits { Fit::Widening } else { Fit::Unknown }
        }
        Target::Date
        | Target::Date32
        | Target::DateTime
        | Target::DateTime64(_)
        | Target::Time
        | Target::Time64(_)
        | Target::Interval(_)
        | Target::Other => Fit::Unknown,
        _ => KIND,
    }
}

fn float(mantissa: u16, target: &Target<'_>) -> Fit {
    match *target {
        Target::Float { mantissa: found } if found == mantissa => Fit::Exact,
        Target::Float { mantissa: found } if found > mantissa => Fit::Widening,
        Target::Float { .. } | Target::Int { .. } | Target::UInt { .. } => PRECISION,
        Target::Decimal { .. } => PRECISION,
        Target::Bool => RANGE,
        Target::Other => Fit::Unknown,
        _ => KIND,
    }
}

fn decimal(precision: u8, scale: u8, target: &Target<'_>) -> Fit {
    let n_whole = precision.saturating_sub(scale);
    match *target {
        Target::Decimal { precision: found, scale: found_scale } => {
            if (found, found_scale) == (precision, scale) {
                Fit::Exact
            } else if found_scale < scale {
                PRECISION
            } else if found.saturating_sub(found_scale) >= n_whole {
                Fit::Widening
            } else {
                Fit::Unknown
            }
        }
        Target::Int { .. } | Target::UInt { .. } | Target::Float { .. } if scale > 0 => PRECISION,
        // 10 bits hold any three digits.
        Target::Int { bits } if u16::from(precision) * 10 / 3 < bits - 1 => Fit::Widening,
        Target::Int { .. } => Fit::Unknown,
        Target::UInt { .. } | Target::Bool => RANGE,
        Target::Float { .. } => PRECISION,
        Target::Other => Fit::Unknown,
        _ => KIND,
    }
}

fn text(target: &Target<'_>) -> Fit {
    match target {
        Target::String => Fit::Exact,
        Target::FixedString(_) | Target::Other => Fit::Unknown,
        _ => KIND,
    }
}

fn fixed_size_binary(size: i32, target: &Target<'_>) -> Fit {
    match *target {
        Target::FixedString(found) => match u64::try_from(size) {
            Ok(size) if size == found => Fit::Exact,
            Ok(size) if size < found => Fit::Widening,
            _ => RANGE,
        },
        Target::String => Fit::Lossy(Loss::Zeros),
        // ClickHouse writes its own wide integers so.
        Target::Int { bits: 128.. } | Target::UInt { bits: 128.. } | Target::Other => Fit::Unknown,
        _ => KIND,
    }
}

fn date(target: &Target<'_>) -> Fit {
    match *target {
        Target::Date32 => Fit::Exact,
        Target::DateTime64(..9) | Target::Int { bits: 32.. } => Fit::Widening,
        Target::Date | Target::DateTime | Target::DateTime64(_) => RANGE,
        Target::Int { .. } | Target::UInt { .. } => RANGE,
        Target::Other => Fit::Unknown,
        _ => KIND,
    }
}

/// ClickHouse takes it for seconds in 32 bits, whatever the column.
fn date_in_ms(target: &Target<'_>) -> Fit {
    match target {
        Target::DateTime64(3) => Fit::Exact,
        Target::DateTime64(_) => Fit::Widening,
        Target::Date | Target::Date32 | Target::DateTime | Target::Other => Fit::Unknown,
        Target::Int { .. } | Target::UInt { .. } => Fit::Unknown,
        _ => KIND,
    }
}

fn timestamp(unit: TimeUnit, target: &Target<'_>) -> Fit {
    match *target {
        Target::DateTime64(found) => more_digits(found, unit),
        Target::DateTime if unit == TimeUnit::Second => Fit::Unknown,
        Target::DateTime | Target::Date | Target::Date32 => PRECISION,
        _ => seconds(unit, target),
    }
}

fn time(unit: TimeUnit, target: &Target<'_>) -> Fit {
    match *target {
        Target::Time64(found) => more_digits(found, unit),
        Target::Time => Fit::Unknown,
        _ => seconds(unit, target),
    }
}

/// As a number, a time is its whole seconds.
fn seconds(unit: TimeUnit, target: &Target<'_>) -> Fit {
    match *target {
        Target::Int { .. } | Target::UInt { .. } if unit != TimeUnit::Second => PRECISION,
        Target::Int { bits: 64.. } => Fit::Widening,
        Target::Int { .. } | Target::UInt { .. } => RANGE,
        Target::Float { .. } | Target::Decimal { .. } | Target::Other => Fit::Unknown,
        _ => KIND,
    }
}

fn duration(unit: TimeUnit, target: &Target<'_>) -> Fit {
    match *target {
        Target::Interval("Second") => more_digits(0, unit),
        Target::Interval("Millisecond") => more_digits(3, unit),
        Target::Interval("Microsecond") => more_digits(6, unit),
        Target::Interval("Nanosecond") => more_digits(9, unit),
        Target::Interval(_) => PRECISION,
        Target::Int { bits: 64.. } => Fit::Widening,
        Target::Int { .. } | Target::UInt { .. } => RANGE,
        Target::Other => Fit::Unknown,
        _ => KIND,
    }
}

fn more_digits(found: u8, unit: TimeUnit) -> Fit {
    match found.cmp(&super::digits(unit)) {
        std::cmp::Ordering::Equal => Fit::Exact,
        std::cmp::Ordering::Greater => Fit::Widening,
        std::cmp::Ordering::Less => PRECISION,
    }
}

fn map(entries: &Field, target: &Target<'_>) -> Fit {
    match (target, entries.data_type()) {
        (Target::Map(key_type, value_type), DataType::Struct(pair)) => match &pair[..] {
            [key, value] => fit(key.data_type(), key_type).and(fit(value.data_type(), value_type)),
            _ => Fit::Unknown,
        },
        (Target::Other, _) => Fit::Unknown,
        _ => KIND,
    }
}

/// By name where the tuple has names, by place where it has none.
fn structure(fields: &Fields, target: &Target<'_>) -> Fit {
    let elements = match target {
        Target::Tuple(elements) => elements,
        Target::Other => return Fit::Unknown,
        _ => return KIND,
    };
    if elements.iter().any(|element| element.name.is_none()) {
        if elements.len() != fields.len() {
            return Fit::Lossy(Loss::Fields);
        }
        let pairs = fields.iter().zip(elements);
        return pairs.fold(Fit::Exact, |found, (field, element)| {
            found.and(fit(field.data_type(), element.type_name))
        });
    }
    let found = if elements.len() > fields.len() { Fit::Widening } else { Fit::Exact };
    fields.iter().fold(found, |found, field| {
        let same = |element: &&super::target::Element<'_>| {
            element.name.as_deref() == Some(field.name().as_str())
        };
        found.and(match elements.iter().find(same) {
            Some(element) => fit(field.data_type(), element.type_name),
            None => Fit::Lossy(Loss::Fields),
        })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{clickhouse::column_type, host::MetricSet};

    const EXACT: Fit = Fit::Exact;
    const WIDENING: Fit = Fit::Widening;
    const UNKNOWN: Fit = Fit::Unknown;

    #[track_caller]
    fn check(data_type: &DataType, expected: &[(&str, Fit)]) {
        for (table_type, fitting) in expected {
            assert_eq!(fit(data_type, table_type), *fitting, "{data_type} in {table_type}");
            let wrapped = format!("LowCardinality(Nullable({table_type}))");
            assert_eq!(fit(data_type, &wrapped), *fitting, "{data_type} in {wrapped}");
        }
    }

    #[test]
    fn numbers() {
        check(
            &DataType::Int32,
            &[
                ("Int32", EXACT),
                ("Int64", WIDENING),
                ("Int256", WIDENING),
                ("Float64", WIDENING),
                ("Decimal(12, 2)", WIDENING),
                ("Decimal(11, 2)", UNKNOWN),
                ("Int16", RANGE),
                ("UInt64", RANGE),
                ("Bool", RANGE),
                ("Float32", PRECISION),
                ("DateTime64(3)", UNKNOWN),
                ("String", KIND),
                ("Array(Int32)", KIND),
                ("Dynamic", UNKNOWN),
                ("SimpleAggregateFunction(sum, Int64)", WIDENING),
                ("AggregateFunction(sum, Int64)", UNKNOWN),
            ],
        );
        check(&DataType::UInt16, &[("Int32", WIDENING), ("Int16", RANGE), ("Float32", WIDENING)]);
        check(&DataType::Int16, &[("Float32", WIDENING), ("BFloat16", PRECISION)]);
        check(&DataType::Boolean, &[("Bool", EXACT), ("UInt8", WIDENING), ("String", KIND)]);
        check(
            &DataType::Float32,
            &[
                ("Float32", EXACT),
                ("Float64", WIDENING),
                ("BFloat16", PRECISION),
                ("Int64", PRECISION),
                ("Decimal(9, 2)", PRECISION),
                ("Date", KIND),
                ("String", KIND),
            ],
        );
        check(
            &DataType::Decimal128(10, 2),
            &[
                ("Decimal(10, 2)", EXACT),
                ("Decimal(12, 3)", WIDENING),
                ("Decimal(10, 3)", UNKNOWN),
                ("Decimal(18, 1)", PRECISION),
                ("Int64", PRECISION),
                ("Float64", PRECISION),
            ],
        );
        let whole = DataType::Decimal64(18, 0);
        check(&whole, &[("Int64", WIDENING), ("Int32", UNKNOWN), ("UInt64", RANGE)]);
    }

    #[test]
    fn text_and_bytes() {
        check(
            &DataType::LargeUtf8,
            &[
                ("String", EXACT),
                ("FixedString(2)", UNKNOWN),
                ("Enum8('a' = 1)", UNKNOWN),
                ("UUID", UNKNOWN),
                ("Int32", KIND),
                ("DateTime64(6)", KIND),
            ],
        );
        check(
            &DataType::FixedSizeBinary(16),
            &[
                ("FixedString(16)", EXACT),
                ("FixedString(17)", WIDENING),
                ("FixedString(15)", RANGE),
                ("String", Fit::Lossy(Loss::Zeros)),
                ("UUID", UNKNOWN),
                ("Int128", UNKNOWN),
                ("Int64", KIND),
            ],
        );
        let dictionary = DataType::Dictionary(DataType::Int8.into(), DataType::Utf8.into());
        check(&dictionary, &[("String", EXACT)]);
    }

    #[test]
    fn times() {
        check(
            &DataType::Timestamp(TimeUnit::Microsecond, Some("Asia/Tokyo".into())),
            &[
                ("DateTime64(6, 'UTC')", EXACT),
                ("DateTime64(9)", WIDENING),
                ("DateTime64(3)", PRECISION),
                ("DateTime('UTC')", PRECISION),
                ("Date32", PRECISION),
                ("Int64", PRECISION),
                ("String", KIND),
                ("Time64(6)", KIND),
            ],
        );
        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        check(&seconds, &[("DateTime", UNKNOWN), ("Int64", WIDENING), ("UInt32", RANGE)]);
        check(
            &DataType::Date32,
            &[
                ("Date32", EXACT),
                ("DateTime64(3)", WIDENING),
                ("Int32", WIDENING),
                ("DateTime64(9)", RANGE),
                ("Date", RANGE),
                ("DateTime", RANGE),
            ],
        );
        let time = DataType::Time32(TimeUnit::Millisecond);
        check(&time, &[("Time64(3)", EXACT), ("Time64(0)", PRECISION), ("Date", KIND)]);
        let duration = DataType::Duration(TimeUnit::Millisecond);
        check(
            &duration,
            &[
                ("IntervalMillisecond", EXACT),
                ("IntervalNanosecond", WIDENING),
                ("IntervalSecond", PRECISION),
                ("IntervalHour", PRECISION),
            ],
        );
    }

    #[test]
    fn what_is_nested_fits_as_its_worst_part() {
        let list =
            |item: &DataType| DataType::List(Arc::new(Field::new("item", item.clone(), true)));
        check(&list(&list(&DataType::Int64)), &[("Array(Array(Int32))", RANGE)]);
        check(
            &list(&DataType::Utf8),
            &[("Array(LowCardinality(String))", EXACT), ("String", KIND)],
        );
        let pair = vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", DataType::Int32, true),
        ];
        let entries = Field::new("entries", DataType::Struct(pair.into()), false);
        let map = DataType::Map(Arc::new(entries), false);
        check(&map, &[("Map(String, Int64)", WIDENING), ("Map(String, Int8)", RANGE)]);
        let fields = vec![
            Field::new("a b", DataType::Int32, true),
            Field::new("c", DataType::Decimal128(9, 2), true),
        ];
        check(
            &DataType::Struct(fields.into()),
            &[
                ("Tuple(`a b` Int32, c Decimal(9, 2))", EXACT),
                ("Tuple(c Decimal(9, 2), `a b` Int64)", WIDENING),
                ("Tuple(`a b` Int32, c Decimal(9, 2), d Enum8('),`' = 1))", WIDENING),
                ("Tuple(`a b` Int32)", Fit::Lossy(Loss::Fields)),
                ("Tuple(Int32, Decimal(9, 2))", EXACT),
                ("Tuple(Decimal(9, 2), Int32)", PRECISION),
                ("Tuple(Int32)", Fit::Lossy(Loss::Fields)),
                ("JSON", UNKNOWN),
            ],
        );
    }

    #[test]
    fn columns_that_are_made_for_a_type_fit_it() {
        for set in [MetricSet::Basic, MetricSet::Full] {
            for field in set.schema().fields() {
                assert_eq!(
                    fit(field.data_type(), &column_type(field).unwrap()),
                    EXACT,
                    "{field:?}"
                );
            }
        }
        let half = Field::new("h", DataType::Float16, true);
        assert_eq!(fit(half.data_type(), &column_type(&half).unwrap()), WIDENING);
    }

    #[test]
    fn types_that_are_none_are_not_known() {
        for wrong in ["", "(", "Array(", "Tuple(`a", "Decimal(x, y)", "Nullable(", "Map(String)"] {
            let found = fit(&DataType::Int32, wrong);
            assert!(matches!(found, UNKNOWN | KIND), "{wrong}: {found:?}");
        }
    }
}
