//! What a message says about its payload, in Kafka headers.
//!
//! | header | value |
//! |---|---|
//! | `content-type` | `application/vnd.apache.arrow.stream` or `.file` |
//! | `volley-schema` | [`Fingerprint`] of the schema, 16 hex digits |
//! | `volley-rows` | rows in the payload, decimal |
//! | `volley-min-ts`, `volley-max-ts` | least and greatest value of the time column, µs since the epoch, decimal; absent without such a column or without a value in it |
//! | `volley-crc32c` | CRC-32C (Castagnoli) of the whole value, 8 hex digits |
//!
//! A reader needs none of them and ignores any that it cannot read: messages of other writers have
//! no such headers and are as good.

use arrow_array::{
    Array, RecordBatch,
    cast::AsArray,
    types::{
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType,
    },
};
use arrow_schema::{DataType, Schema, TimeUnit};

use crate::{codec::Framing, fingerprint::Fingerprint};

pub(crate) const CONTENT_TYPE: &str = "content-type";
pub(crate) const SCHEMA: &str = "volley-schema";
pub(crate) const ROWS: &str = "volley-rows";
pub(crate) const MIN_TS: &str = "volley-min-ts";
pub(crate) const MAX_TS: &str = "volley-max-ts";
pub(crate) const CRC32C: &str = "volley-crc32c";

/// The headers of one message; a field is `None` where the header is absent or unreadable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessageHeaders {
    /// Framing of the value, from `content-type`.
    pub framing: Option<Framing>,
    /// Fingerprint of the schema.
    pub schema: Option<Fingerprint>,
    /// Rows in the value.
    pub n_rows: Option<u64>,
    /// Least and greatest event time in the value.
    pub time_range: Option<TimeRange>,
    /// CRC-32C of the value.
    pub crc32c: Option<u32>,
}

/// Least and greatest event time, in µs since the epoch, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// The least.
    pub min_us: i64,
    /// The greatest.
    pub max_us: i64,
}

impl MessageHeaders {
    /// The headers of `payload`, which holds `batch` of the schema that `fingerprint` is of.
    ///
    /// `time_column` is an index, as [`time_column`] finds it.
    pub fn describe(
        payload: &[u8],
        batch: &RecordBatch,
        fingerprint: Fingerprint,
        time_column: Option<usize>,
    ) -> Self {
        Self {
            framing: Some(Framing::of(payload)),
            schema: Some(fingerprint),
            n_rows: Some(batch.num_rows() as u64),
            time_range: time_column.and_then(|column| TimeRange::of(batch.column(column))),
            crc32c: Some(checksum(payload)),
        }
    }

    /// Reads headers in whatever order; of repeated ones the last counts, as in Kafka.
    pub fn parse<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let mut parsed = Self::default();
        let (mut min_us, mut max_us) = (None, None);
        for (name, value) in headers {
            let Ok(value) = std::str::from_utf8(value) else {
                continue;
            };
            match name {
                CONTENT_TYPE => {
                    parsed.framing = [Framing::Stream, Framing::File]
                        .into_iter()
                        .find(|framing| framing.content_type() == value);
                }
                SCHEMA => parsed.schema = Fingerprint::parse(value),
                ROWS => parsed.n_rows = value.parse().ok(),
                MIN_TS => min_us = value.parse().ok(),
                MAX_TS => max_us = value.parse().ok(),
                CRC32C => parsed.crc32c = hex32(value),
                _ => {}
            }
        }
        parsed.time_range = min_us
            .zip(max_us)
            .filter(|(min_us, max_us)| min_us <= max_us)
            .map(|(min_us, max_us)| TimeRange { min_us, max_us });
        parsed
    }

    /// The headers as names and values, to be written in this order.
    pub fn to_pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::with_capacity(6);
        if let Some(framing) = self.framing {
            pairs.push((CONTENT_TYPE, framing.content_type().to_owned()));
        }
        if let Some(schema) = self.schema {
            pairs.push((SCHEMA, schema.to_string()));
        }
        if let Some(n_rows) = self.n_rows {
            pairs.push((ROWS, n_rows.to_string()));
        }
        if let Some(range) = self.time_range {
            pairs.push((MIN_TS, range.min_us.to_string()));
            pairs.push((MAX_TS, range.max_us.to_string()));
        }
        if let Some(crc32c) = self.crc32c {
            pairs.push((CRC32C, format!("{crc32c:08x}")));
        }
        pairs
    }
}

/// CRC-32C (Castagnoli) of a payload, as the `volley-crc32c` header has it.
pub fn checksum(payload: &[u8]) -> u32 {
    crc32c::crc32c(payload)
}

/// Exactly eight hex digits; `from_str_radix` alone would take a sign too.
pub(crate) fn hex32(text: &str) -> Option<u32> {
    let is_hex = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// The first timestamp column of a schema: the event time unless the user names another.
pub fn time_column(schema: &Schema) -> Option<usize> {
    schema.fields().iter().position(|field| matches!(field.data_type(), DataType::Timestamp(..)))
}

impl TimeRange {
    /// The range of a timestamp array of any unit, widened to whole µs; `None` for other types and
    /// where there is no value.
    pub fn of(array: &dyn Array) -> Option<Self> {
        let DataType::Timestamp(unit, _) = array.data_type() else {
            return None;
        };
        let (min, max) = match unit {
            TimeUnit::Second => min_max(array.as_primitive::<TimestampSecondType>()),
            TimeUnit::Millisecond => min_max(array.as_primitive::<TimestampMillisecondType>()),
            TimeUnit::Microsecond => min_max(array.as_primitive::<TimestampMicrosecondType>()),
            TimeUnit::Nanosecond => min_max(array.as_primitive::<TimestampNanosecondType>()),
        }?;
        Some(match unit {
            TimeUnit::Second => Self::scaled(min, max, 1_000_000),
            TimeUnit::Millisecond => Self::scaled(min, max, 1000),
            TimeUnit::Microsecond => Self::scaled(min, max, 1),
            TimeUnit::Nanosecond => Self {
                min_us: min.div_euclid(1000),
                max_us: max.div_euclid(1000) + i64::from(max.rem_euclid(1000) > 0),
            },
        })
    }

    /// The smallest range that holds both.
    pub fn union(self, other: Self) -> Self {
        Self { min_us: self.min_us.min(other.min_us), max_us: self.max_us.max(other.max_us) }
    }

    fn scaled(min: i64, max: i64, factor: i64) -> Self {
        Self { min_us: min.saturating_mul(factor), max_us: max.saturating_mul(factor) }
    }
}

fn min_max<T: arrow_array::ArrowPrimitiveType<Native = i64>>(
    array: &arrow_array::PrimitiveArray<T>,
) -> Option<(i64, i64)> {
    if array.null_count() == 0 {
        // The common case, in a form that the compiler vectorises.
        let values = array.values();
        values.first()?;
        let min = values.iter().fold(i64::MAX, |least, &value| least.min(value));
        let max = values.iter().fold(i64::MIN, |greatest, &value| greatest.max(value));
        return Some((min, max));
    }
    array.iter().flatten().fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((min, max)) => Some((value.min(min), value.max(max))),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int64Array, TimestampMicrosecondArray, TimestampNanosecondArray};

    use super::*;

    #[test]
    fn headers_are_read_back_as_written() {
        let ts = TimestampMicrosecondArray::from(vec![Some(7), None, Some(-3)]);
        let batch = RecordBatch::try_from_iter([("ts", Arc::new(ts) as _)]).unwrap();
        let fingerprint = Fingerprint::of(batch.schema_ref());
        let headers = MessageHeaders::describe(
            b"ARROW1..",
            &batch,
            fingerprint,
            time_column(batch.schema_ref()),
        );
        assert_eq!(headers.time_range, Some(TimeRange { min_us: -3, max_us: 7 }));
        let pairs = headers.to_pairs();
        assert_eq!(pairs.len(), 6);
        let back =
            MessageHeaders::parse(pairs.iter().map(|(name, value)| (*name, value.as_bytes())));
        assert_eq!(back, headers);
    }

    /// The check value that the CRC catalogue gives for CRC-32C of "123456789".
    #[test]
    fn checksum_is_castagnoli() {
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn unreadable_headers_count_as_absent() {
        let junk: [(&str, &[u8]); 8] = [
            (CONTENT_TYPE, b"text/plain"),
            (SCHEMA, b"xyz"),
            (ROWS, b"-1"),
            (ROWS, &[0xff, 0xfe]),
            (MIN_TS, b"9"),
            (MAX_TS, b"1"),
            (CRC32C, b"+1234567"),
            ("other", b""),
        ];
        let parsed = MessageHeaders::parse(junk);
        assert_eq!(parsed.to_pairs(), MessageHeaders::default().to_pairs());
    }

    #[test]
    fn ranges_are_widened_to_whole_microseconds() {
        let range = TimeRange::of(&TimestampNanosecondArray::from(vec![-1500, 1500])).unwrap();
        assert_eq!((range.min_us, range.max_us), (-2, 2));
        assert_eq!(TimeRange::of(&TimestampMicrosecondArray::from(vec![None::<i64>])), None);
        assert_eq!(TimeRange::of(&Int64Array::from(vec![1])), None);
    }
}
