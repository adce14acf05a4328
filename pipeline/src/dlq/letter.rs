use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::kafka::FetchedMessage;

/// The first of the headers that the loader appends to those of the message.
const CAUSE: &str = "volley-dlq-cause";
/// Of a receipt: the offset of the letter that was replayed.
const REPLAYED: &str = "volley-dlq-replayed";
/// Of a message that was sent back: which letter it was.
const REPLAYED_FROM: &str = "volley-dlq-replayed-from";
/// Cause of a message that the loader has not written.
pub(crate) const UNKNOWN_CAUSE: &str = "unknown";

/// Where a dead letter lies in its topic: `PARTITION/OFFSET`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LetterId {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.offset)
    }
}

impl Serialize for LetterId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A text is not a [`LetterId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected PARTITION/OFFSET, such as 0/17")]
pub(crate) struct ParseLetterIdError;

impl FromStr for LetterId {
    type Err = ParseLetterIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let (partition, offset) = text.split_once('/').ok_or(ParseLetterIdError)?;
        if !is_number(partition) || !is_number(offset) {
            return Err(ParseLetterIdError);
        }
        let partition = partition.parse().map_err(|_| ParseLetterIdError)?;
        Ok(Self { partition, offset: offset.parse().map_err(|_| ParseLetterIdError)? })
    }
}

/// Where a message was when it could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Origin {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// What the headers of a dead letter say; its JSON form is the contract with programs. Texts are as
/// they came: anyone may have written them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Letter {
    #[serde(rename = "letter")]
    pub(crate) id: LetterId,
    /// `None` of a message that the loader has not written.
    pub(crate) origin: Option<Origin>,
    /// Of the original message.
    #[serde(serialize_with = "as_text")]
    pub(crate) timestamp: Option<Timestamp>,
    /// When it was put aside.
    #[serde(serialize_with = "as_text")]
    pub(crate) time: Option<Timestamp>,
    pub(crate) cause: String,
    pub(crate) code: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) table: Option<String>,
    /// Of the value; `None` of a tombstone.
    pub(crate) bytes: Option<usize>,
}

/// A message as it was before it became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Original {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(crate) value: Option<Vec<u8>>,
}

/// In UTC, such as `2026-01-31T12:00:00.123Z`.
fn as_text<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

/// What a message of a dead-letter topic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Letter(Box<Letter>),
    /// The letter at this offset of the partition was replayed.
    Receipt {
        offset: i64,
    },
}

impl Entry {
    pub(crate) fn of(partition: i32, message: &FetchedMessage) -> Self {
        let headers = &message.headers;
        let own = &headers[n_original(headers)..];
        if own.is_empty()
            && message.value.is_none()
            && let Some(offset) = text(headers, REPLAYED).and_then(|offset| offset.parse().ok())
        {
            return Self::Receipt { offset };
        }
        let number = |name| text(own, name).and_then(|text| text.parse::<i64>().ok());
        let time = |name| number(name).and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let origin = || {
            Some(Origin {
                topic: text(own, "volley-dlq-topic")?,
                partition: i32::try_from(number("volley-dlq-partition")?).ok()?,
                offset: number("volley-dlq-offset")?,
            })
        };
        Self::Letter(Box::new(Letter {
            id: LetterId { partition, offset: message.offset },
            origin: origin(),
            timestamp: time("volley-dlq-timestamp"),
            time: time("volley-dlq-time"),
            cause: text(own, CAUSE).unwrap_or_else(|| UNKNOWN_CAUSE.to_owned()),
            code: text(own, "volley-dlq-code"),
            error: text(own, "volley-dlq-error"),
            table: text(own, "volley-dlq-table"),
            bytes: message.value.as_ref().map(Vec::len),
        }))
    }
}

/// A message of a dead-letter topic as what the loader says of it, and as it was before; `None` of a
/// receipt.
pub(crate) fn as_letter(
    partition: i32,
    message: FetchedMessage,
) -> Option<(Letter, FetchedMessage)> {
    let Entry::Letter(letter) = Entry::of(partition, &message) else { return None };
    let (offset, timestamp) = (message.offset, message.timestamp);
    let Original { key, headers, value } = Original::of(message);
    Some((*letter, FetchedMessage { offset, timestamp, key, headers, value }))
}

impl Original {
    /// Takes off what the loader has put on, and what a replay before has.
    pub(crate) fn of(message: FetchedMessage) -> Self {
        let FetchedMessage { key, mut headers, value, .. } = message;
        headers.truncate(n_original(&headers));
        headers.retain(|(name, _)| name != REPLAYED_FROM);
        Self { key, headers, value }
    }

    /// The header by which a message that was sent back names the letter that it was.
    pub(crate) fn mark(&mut self, topic: &str, id: LetterId) {
        let value = format!("{topic}/{id}").into_bytes();
        self.headers.push((REPLAYED_FROM.to_owned(), Some(value)));
    }
}

/// Headers of the receipt for a letter that was sent to `topic` at `now`.
pub(crate) fn receipt(
    letter: LetterId,
    topic: &str,
    now: Timestamp,
) -> [(&'static str, String); 3] {
    [
        (REPLAYED, letter.offset.to_string()),
        ("volley-dlq-to", topic.to_owned()),
        ("volley-dlq-time", now.as_millisecond().to_string()),
    ]
}

/// How many headers the message had before the loader appended its own, whatever their names.
fn n_original(headers: &[(String, Option<Vec<u8>>)]) -> usize {
    headers.iter().rposition(|(name, _)| name == CAUSE).unwrap_or(headers.len())
}

fn text(headers: &[(String, Option<Vec<u8>>)], name: &str) -> Option<String> {
    let (_, value) = headers.iter().find(|(found, _)| found == name)?;
    value.as_deref().map(|value| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(headers: &[(&str, &str)], value: Option<&[u8]>) -> FetchedMessage {
        let owned =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Some(value.as_bytes().to_vec()));
        FetchedMessage {
            offset: 17,
            timestamp: rdkafka::Timestamp::NotAvailable,
            key: None,
            headers: headers.iter().map(owned).collect(),
            value: value.map(<[u8]>::to_vec),
        }
    }

    /// One that was a dead letter before, and was given headers by someone who likes surprises.
    const HEADERS: [(&str, &str); 12] = [
        ("volley-dlq-cause", "forged"),
        ("volley-dlq-topic", "payments"),
        ("volley-dlq-replayed", "3"),
        ("trace", "1"),
        ("volley-dlq-replayed-from", "t.dlq/0/3"),
        ("volley-dlq-cause", "damaged"),
        ("volley-dlq-code", "body-length"),
        ("volley-dlq-error", "too short"),
        ("volley-dlq-topic", "t"),
        ("volley-dlq-partition", "2"),
        ("volley-dlq-offset", "42"),
        ("volley-dlq-time", "1700000000123"),
    ];

    #[test]
    fn what_counts_is_what_the_loader_appended() {
        let Entry::Letter(letter) = Entry::of(0, &message(&HEADERS, None)) else {
            panic!("a receipt");
        };
        let origin = Origin { topic: "t".to_owned(), partition: 2, offset: 42 };
        assert_eq!((letter.origin, &*letter.cause), (Some(origin), "damaged"));
        assert_eq!(letter.time.unwrap().to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!((letter.timestamp, letter.table, letter.bytes), (None, None, None));

        let mut original = Original::of(message(&HEADERS, Some(b"x")));
        let names: Vec<_> = original.headers.iter().map(|(name, _)| &**name).collect();
        let expected = ["volley-dlq-cause", "volley-dlq-topic", "volley-dlq-replayed", "trace"];
        assert_eq!(names, expected);
        original.mark("t.dlq", letter.id);
        let (name, value) = original.headers.last().unwrap();
        assert_eq!((&**name, value.as_deref()), (REPLAYED_FROM, Some(&b"t.dlq/0/17"[..])));
    }

    #[test]
    fn a_message_of_anyone_is_a_letter_of_unknown_cause() {
        for headers in [&[][..], &[("volley-dlq-cause", "\u{1b}"), ("volley-dlq-offset", "-x")]] {
            let Entry::Letter(letter) = Entry::of(1, &message(headers, Some(b"?"))) else {
                panic!("a receipt");
            };
            assert_eq!((letter.origin, letter.bytes), (None, Some(1)));
        }
    }

    #[test]
    fn receipts_are_told_from_letters() {
        let id = LetterId { partition: 0, offset: 3 };
        let headers = receipt(id, "t", Timestamp::UNIX_EPOCH);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        assert_eq!(Entry::of(0, &message(&headers, None)), Entry::Receipt { offset: 3 });
        let forged = Entry::of(0, &message(&headers, Some(b"a value")));
        assert!(matches!(forged, Entry::Letter(_)), "{forged:?}");
    }

    #[test]
    fn ids_are_read_and_written() {
        let id: LetterId = "2/9223372036854775807".parse().unwrap();
        assert_eq!(id.to_string(), "2/9223372036854775807");
        for wrong in ["", "1", "/", "1/", "/1", "-1/2", "1/+2", "1/2/3", "2147483648/0"] {
            assert_eq!(wrong.parse::<LetterId>(), Err(ParseLetterIdError), "{wrong}");
        }
    }
}
