//! A column type of ClickHouse's, taken apart as far as fitting values into it needs.

use std::borrow::Cow;

/// What a column holds, without `Nullable`, `LowCardinality` and the like around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target<'t> {
    Bool,
    Int {
        bits: u16,
    },
    UInt {
        bits: u16,
    },
    /// Bits of the mantissa, with the one that is not written.
    Float {
        mantissa: u16,
    },
    Decimal {
        precision: u8,
        scale: u8,
    },
    String,
    /// Bytes.
    FixedString(u64),
    Date,
    Date32,
    DateTime,
    /// Digits after the second.
    DateTime64(u8),
    Time,
    /// Digits after the second.
    Time64(u8),
    /// Its unit, such as `Second`.
    Interval(&'t str),
    /// Type of the items.
    Array(&'t str),
    /// Types of keys and values.
    Map(&'t str, &'t str),
    Tuple(Vec<Element<'t>>),
    /// Any other.
    Other,
}

/// An element of a tuple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element<'t> {
    pub(super) name: Option<Cow<'t, str>>,
    pub(super) type_name: &'t str,
}

impl<'t> Target<'t> {
    /// Of a type as `system.columns` writes it.
    pub(super) fn of(type_name: &'t str) -> Self {
        let mut type_name = type_name.trim();
        let (name, arguments) = loop {
            let (name, arguments) = call(type_name);
            match (name, &arguments[..]) {
                ("Nullable" | "LowCardinality", [inner])
                | ("SimpleAggregateFunction", [_, inner]) => type_name = inner,
                _ => break (name, arguments),
            }
        };
        Self::parse(name, &arguments).unwrap_or(Self::Other)
    }

    fn parse(name: &'t str, arguments: &[&'t str]) -> Option<Self> {
        let first = arguments.first();
        Some(match name {
            "Bool" => Self::Bool,
            "BFloat16" => Self::Float { mantissa: 8 },
            "Float32" => Self::Float { mantissa: 24 },
            "Float64" => Self::Float { mantissa: 53 },
            "Decimal" => Self::Decimal {
                precision: first?.parse().ok()?,
                scale: arguments.get(1)?.parse().ok()?,
            },
            "String" => Self::String,
            "FixedString" => Self::FixedString(first?.parse().ok()?),
            "Date" => Self::Date,
            "Date32" => Self::Date32,
            "DateTime" => Self::DateTime,
            "DateTime64" => Self::DateTime64(first?.parse().ok()?),
            "Time" => Self::Time,
            "Time64" => Self::Time64(first?.parse().ok()?),
            "Array" => Self::Array(first?),
            "Map" => Self::Map(first?, arguments.get(1)?),
            "Tuple" => Self::Tuple(arguments.iter().map(|text| Element::parse(text)).collect()),
            _ => {
                let bits = |prefix| name.strip_prefix(prefix)?.parse().ok();
                if let Some(unit) = name.strip_prefix("Interval") {
                    Self::Interval(unit)
                } else if let Some(bits) = bits("Int") {
                    Self::Int { bits }
                } else {
                    Self::UInt { bits: bits("UInt")? }
                }
            }
        })
    }
}

impl<'t> Element<'t> {
    /// `Int8`, `a Int8` or `` `a b` Int8 ``.
    fn parse(text: &'t str) -> Self {
        if let Some(quoted) = text.strip_prefix('`') {
            let Some(end) = end_of_quoted(quoted, '`') else {
                return Self { name: None, type_name: "" };
            };
            let (name, rest) = quoted.split_at(end);
            let name = if name.contains('\\') { unescape(name).into() } else { name.into() };
            return Self { name: Some(name), type_name: rest.trim_start_matches('`').trim() };
        }
        let (before, _) = text.split_once('(').unwrap_or((text, ""));
        match before.split_once(' ') {
            Some((name, _)) => {
                let type_name = text.get(name.len()..).unwrap_or_default().trim();
                Self { name: Some(name.into()), type_name }
            }
            None => Self { name: None, type_name: text },
        }
    }
}

/// Name and arguments of `Name(argument, …)`; no arguments of what is not of this form.
fn call(text: &str) -> (&str, Vec<&str>) {
    let Some((name, rest)) = text.split_once('(') else {
        return (text, Vec::new());
    };
    let Some(mut rest) = rest.strip_suffix(')') else {
        return (text, Vec::new());
    };
    let mut arguments = Vec::new();
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(character) = rest.get(at..).and_then(|rest| rest.chars().next()) {
        at += character.len_utf8();
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '\'' | '`' => {
                let quoted = rest.get(at..).unwrap_or_default();
                at += end_of_quoted(quoted, character).map_or(quoted.len(), |end| end + 1);
            }
            ',' if depth == 0 => {
                arguments.push(rest.get(..at - 1).unwrap_or_default().trim());
                rest = rest.get(at..).unwrap_or_default();
                at = 0;
            }
            _ => {}
        }
    }
    arguments.push(rest.trim());
    (name, arguments)
}

/// Where the closing quote is; a backslash takes the next character's meaning away.
fn end_of_quoted(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.find(|character| {
        let is_end = character == quote && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        is_end
    })
}

/// Undoes what [`quote_identifier`](super::quote_identifier) does.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        plain.extend(characters.next().map(|escaped| match escaped {
            '0' => '\0',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            other => other,
        }));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clickhouse::quote_identifier;

    #[test]
    fn types_are_taken_apart() {
        assert_eq!(Target::of("Nullable(DateTime64(3, 'Asia/Tokyo'))"), Target::DateTime64(3));
        assert_eq!(Target::of("UInt128"), Target::UInt { bits: 128 });
        assert_eq!(
            Target::of("Map(LowCardinality(String), Array(Tuple(Int8, Int8)))"),
            Target::Map("LowCardinality(String)", "Array(Tuple(Int8, Int8))")
        );
        assert_eq!(Target::of("Point"), Target::Other);
    }

    #[test]
    fn names_of_elements_may_hold_anything() {
        for name in ["a b", "c`", "it's, (so)", "\\", "tab\there"] {
            let text =
                format!("Tuple({} Array(Int8), x Enum8('a, b' = 1))", quote_identifier(name));
            let Target::Tuple(elements) = Target::of(&text) else { panic!("{text}") };
            assert_eq!(elements.len(), 2, "{text}");
            assert_eq!(elements[0].name.as_deref(), Some(name));
            assert_eq!(elements[0].type_name, "Array(Int8)");
            assert_eq!(elements[1].type_name, "Enum8('a, b' = 1)");
        }
    }
}
