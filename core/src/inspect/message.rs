use serde::{Serialize, Serializer};

use super::{Inspection, hex};
use crate::{
    codec::Framing,
    fingerprint::Fingerprint,
    headers::{
        CONTENT_TYPE, CRC32C, MAX_TS, MIN_TS, MessageHeaders, ROWS, SCHEMA, checksum, hex32,
    },
};

/// What the headers of a message say, held against its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeadersInspection {
    /// Whether the payload is the one that `volley-crc32c` was computed of.
    pub checksum: Checksum,
    /// Every header, in its order.
    pub headers: Vec<HeaderInspection>,
}

/// What `volley-crc32c` says of the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// The payload is as it was written.
    Ok,
    /// It is not.
    Mismatch,
    /// There is no such header, or none that can be read.
    Absent,
}

/// A header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeaderInspection {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Option<Text>,
    /// Of Volley's headers: whether it fits the payload. `None` of others, and where the payload
    /// does not tell.
    pub status: Option<HeaderStatus>,
    /// What it would have to be to fit the payload, where it does not.
    pub expected: Option<String>,
}

/// How a header fits its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderStatus {
    /// It says what the payload says.
    Ok,
    /// It says something else.
    Mismatch,
    /// It does not say anything that its name promises.
    Unreadable,
}

/// Bytes that are text most of the time. In JSON a string, or an object with one string `hex`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// UTF-8.
    Utf8(String),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Utf8(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_vec()),
        }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Utf8(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.collect_map([("hex", hex(bytes))]),
        }
    }
}

impl HeadersInspection {
    /// Holds headers against the payload that they came with. A header may lack its value.
    pub fn of<'a, H>(headers: H, payload: &[u8], inspection: &Inspection) -> Self
    where
        H: Iterator<Item = (&'a str, Option<&'a [u8]>)> + Clone,
    {
        let crc32c = checksum(payload);
        let pairs = headers.clone().map(|(name, value)| (name, value.unwrap_or_default()));
        let checksum = match MessageHeaders::parse(pairs).crc32c {
            None => Checksum::Absent,
            Some(said) if said == crc32c => Checksum::Ok,
            Some(_) => Checksum::Mismatch,
        };
        let facts = Facts { crc32c, framing: Framing::of(payload), inspection };
        let headers = headers.map(|(name, value)| facts.header(name, value)).collect();
        Self { checksum, headers }
    }
}

/// What headers are about.
struct Facts<'a> {
    crc32c: u32,
    framing: Framing,
    inspection: &'a Inspection,
}

impl Facts<'_> {
    fn header(&self, name: &str, value: Option<&[u8]>) -> HeaderInspection {
        let text = std::str::from_utf8(value.unwrap_or_default()).unwrap_or_default();
        let (status, expected) = match self.expectation(name, text) {
            None => (None, None),
            Some(Err(Unreadable)) => (Some(HeaderStatus::Unreadable), None),
            Some(Ok(None)) => (Some(HeaderStatus::Ok), None),
            Some(Ok(expected)) => (Some(HeaderStatus::Mismatch), expected),
        };
        HeaderInspection { name: name.to_owned(), value: value.map(Text::from), status, expected }
    }

    /// What the header should be, if it is not that; `None` where that cannot be said.
    fn expectation(&self, name: &str, value: &str) -> Option<Result<Option<String>, Unreadable>> {
        let differs = |is_same: bool, expected: String| (!is_same).then_some(expected);
        let is_sound = self.inspection.is_sound();
        match name {
            CRC32C => Some(match hex32(value) {
                Some(said) => Ok(differs(said == self.crc32c, format!("{:08x}", self.crc32c))),
                None => Err(Unreadable),
            }),
            CONTENT_TYPE => {
                let known = [Framing::Stream, Framing::File].map(Framing::content_type);
                let expected = self.framing.content_type();
                // Another type is another writer's business.
                known.contains(&value).then(|| Ok(differs(value == expected, expected.to_owned())))
            }
            ROWS => match value.parse::<u64>() {
                Ok(said) if is_sound => {
                    let rows = self.inspection.rows;
                    Some(Ok(differs(said == rows, rows.to_string())))
                }
                Ok(_) => None,
                Err(_) => Some(Err(Unreadable)),
            },
            SCHEMA => match (Fingerprint::parse(value), &self.inspection.schema) {
                (None, _) => Some(Err(Unreadable)),
                (Some(said), Some(schema)) => {
                    Some(Ok(differs(said.to_string() == *schema, schema.clone())))
                }
                (Some(_), None) => None,
            },
            MIN_TS | MAX_TS if value.parse::<i64>().is_err() => Some(Err(Unreadable)),
            _ => None,
        }
    }
}

struct Unreadable;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::CodecOptions,
        encode::encode,
        inspect::{inspect, tests::batch},
        layout::Options,
    };

    fn inspected(payload: &[u8], headers: &[(&str, &str)]) -> HeadersInspection {
        let inspection = inspect(payload, &Options::default());
        let pairs = headers.iter().map(|(name, value)| (*name, Some(value.as_bytes())));
        HeadersInspection::of(pairs, payload, &inspection)
    }

    fn statuses(inspection: &HeadersInspection) -> Vec<Option<HeaderStatus>> {
        inspection.headers.iter().map(|header| header.status).collect()
    }

    #[test]
    fn headers_that_fit_are_ok_and_others_say_what_would() {
        let batch = batch("n");
        let payload = encode(&batch, CodecOptions::default()).unwrap();
        let fingerprint = Fingerprint::of(batch.schema_ref());
        let right = MessageHeaders::describe(&payload, &batch, fingerprint, None).to_pairs();
        let right: Vec<_> = right.iter().map(|(name, value)| (*name, &**value)).collect();
        let found = inspected(&payload, &right);
        assert_eq!(found.checksum, Checksum::Ok);
        assert_eq!(statuses(&found), [Some(HeaderStatus::Ok); 4]);

        let wrong = [
            (CONTENT_TYPE, Framing::File.content_type()),
            (SCHEMA, "0000000000000000"),
            (ROWS, "4"),
            (CRC32C, "00000000"),
        ];
        let found = inspected(&payload, &wrong);
        assert_eq!(found.checksum, Checksum::Mismatch);
        assert_eq!(statuses(&found), [Some(HeaderStatus::Mismatch); 4]);
        let expected: Vec<_> = found.headers.iter().map(|header| header.expected.clone()).collect();
        let right: Vec<_> = right.iter().map(|(_, value)| Some((*value).to_owned())).collect();
        assert_eq!(expected, right);
    }

    #[test]
    fn headers_of_others_and_unreadable_ones_are_told_apart() {
        let payload = encode(&batch("n"), CodecOptions::default()).unwrap();
        let headers = [("trace", "7"), (CONTENT_TYPE, "text/plain"), (MIN_TS, "5")];
        let found = inspected(&payload, &headers);
        assert_eq!((found.checksum, statuses(&found)), (Checksum::Absent, vec![None; 3]));
        let headers = [(CRC32C, "+1234567"), (ROWS, "-1"), (SCHEMA, "x"), (MAX_TS, "soon")];
        let found = inspected(&payload, &headers);
        assert_eq!(found.checksum, Checksum::Absent);
        assert_eq!(statuses(&found), [Some(HeaderStatus::Unreadable); 4]);
    }

    /// A damaged payload does not tell how many rows it had.
    #[test]
    fn rows_of_a_damaged_payload_are_not_compared() {
        let payload = encode(&batch("n"), CodecOptions::default()).unwrap();
        let found = inspected(&payload[..payload.len() / 2], &[(ROWS, "3")]);
        assert_eq!(statuses(&found), [None]);
    }

    #[test]
    fn text_is_text_where_it_is() {
        assert_eq!(Text::from(&b"host-1"[..]), Text::Utf8("host-1".to_owned()));
        assert_eq!(Text::from(&[0xff, 0][..]), Text::Bytes(vec![0xff, 0]));
    }
}
