//! What came beside a payload in a Kafka message, held against it.

use serde::{Deserialize, Deserializer, Serialize};

use super::View;
use crate::{
    headers::checksum,
    inspect::{HeadersInspection, Text},
};

/// What most brokers take: `message.max.bytes` of librdkafka, and of Kafka but for some bytes.
const DEFAULT_LIMIT: u64 = 1_000_000;
/// From here on, a message that is a little larger may be refused.
const NEAR: f64 = 0.8;

/// A Kafka message without its value, and what is known of its topic.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Envelope {
    /// Headers in their order.
    pub headers: Vec<Header>,
    /// Most bytes of a message that the topic takes, where that is known.
    pub max_message_bytes: Option<u64>,
    /// How the broker compresses messages of the topic by itself, where it does.
    pub compression: Option<String>,
}

/// A header as it came.
#[derive(Clone, Debug, Deserialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value, which it may lack.
    #[serde(deserialize_with = "text")]
    pub value: Option<Text>,
}

/// An [`Envelope`] held against its payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EnvelopeCheck {
    /// The headers, and whether the checksum among them is the payload's.
    #[serde(flatten)]
    pub headers: HeadersInspection,
    /// CRC-32C of the payload, 8 hex digits.
    pub crc32c: String,
    /// Most bytes that a message of the topic may have.
    pub limit_bytes: u64,
    /// The payload as a part of that: above 1 for one that only another broker takes.
    pub limit_share: f64,
    /// What its sender or the owner of the topic may want to change.
    pub notes: Vec<String>,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Raw {
        Utf8(String),
        Bytes { hex: String },
    }
    let raw = Option::<Raw>::deserialize(deserializer)?;
    Ok(raw.map(|raw| match raw {
        Raw::Utf8(text) => Text::Utf8(text),
        Raw::Bytes { hex } => Text::Bytes(unhex(&hex)),
    }))
}

/// Pairs of digits; what is none counts as zero.
fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0) as u8;
    text.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

impl Header {
    fn pair(&self) -> (&str, Option<&[u8]>) {
        let value = self.value.as_ref().map(|value| match value {
            Text::Utf8(text) => text.as_bytes(),
            Text::Bytes(bytes) => bytes,
        });
        (&self.name, value)
    }
}

impl View {
    /// Holds the envelope that the payload came in against it.
    pub fn check_envelope(&self, envelope: &Envelope) -> EnvelopeCheck {
        let inspection = self.summary().inspection;
        let pairs = envelope.headers.iter().map(Header::pair);
        let limit_bytes = envelope.max_message_bytes.filter(|limit| *limit > 0);
        let limit_share = self.payload.len() as f64 / limit_bytes.unwrap_or(DEFAULT_LIMIT) as f64;
        let mut notes = Vec::new();
        if let Some(kind) = &envelope.compression
            && matches!(&*inspection.codec, "lz4" | "zstd" | "mixed")
        {
            notes.push(format!(
                "compressed twice: its buffers are compressed, and the topic's compression.type={kind} \
                 compresses them again, which takes time and saves next to nothing; producer is the \
                 better setting"
            ));
        }
        if limit_share >= NEAR {
            notes.push(format!(
                "close to the limit: {} of {} bytes that the topic takes; fewer rows in a batch keep \
                 the next one below it",
                self.payload.len(),
                limit_bytes.unwrap_or(DEFAULT_LIMIT)
            ));
        }
        EnvelopeCheck {
            headers: HeadersInspection::of(pairs, &self.payload, &inspection),
            crc32c: format!("{:08x}", checksum(&self.payload)),
            limit_bytes: limit_bytes.unwrap_or(DEFAULT_LIMIT),
            limit_share,
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int32Array, RecordBatch};

    use super::*;
    use crate::{
        codec::{Codec, CodecOptions, Framing},
        encode::encode,
        fingerprint::Fingerprint,
        headers::MessageHeaders,
        inspect::{Checksum, HeaderStatus},
    };

    fn batch(rows: i32) -> RecordBatch {
        let values = Int32Array::from_iter_values(0..rows);
        RecordBatch::try_from_iter([("n", Arc::new(values) as _)]).unwrap()
    }

    fn view(codec: Codec, rows: i32) -> (View, Envelope) {
        let batch = batch(rows);
        let payload = encode(&batch, CodecOptions { codec, framing: Framing::Stream }).unwrap();
        let fingerprint = Fingerprint::of(batch.schema_ref());
        let pairs = MessageHeaders::describe(&payload, &batch, fingerprint, None).to_pairs();
        let header = |(name, value): (&str, String)| Header {
            name: name.to_owned(),
            value: Some(Text::Utf8(value)),
        };
        let headers = pairs.into_iter().map(header).collect();
        (View::open(payload, None).unwrap(), Envelope { headers, ..Envelope::default() })
    }

    #[test]
    fn the_golden_envelope_fits_its_payload() {
        let (view, envelope) = view(Codec::default(), 1000);
        let check = view.check_envelope(&envelope);
        assert_eq!(check.headers.checksum, Checksum::Ok);
        let statuses = check.headers.headers.iter().map(|header| header.status);
        assert!(
            statuses.clone().count() == 4
                && statuses.into_iter().all(|s| s == Some(HeaderStatus::Ok))
        );
        assert_eq!((check.limit_bytes, check.notes), (DEFAULT_LIMIT, vec![]));
        let Some(Text::Utf8(said)) = &envelope.headers.last().unwrap().value else { panic!() };
        assert_eq!(*said, check.crc32c);
    }

    #[test]
    fn a_changed_payload_and_what_costs_are_told() {
        let (view, mut envelope) = view(Codec::default(), 1000);
        envelope.headers[3].value = Some(Text::Bytes(vec![0xff]));
        envelope.headers[2].value = Some(Text::Utf8("999".to_owned()));
        envelope.compression = Some("gzip".to_owned());
        envelope.max_message_bytes = Some(view.payload.len() as u64);
        let check = view.check_envelope(&envelope);
        assert_eq!(check.headers.checksum, Checksum::Absent);
        assert_eq!(check.headers.headers[3].status, Some(HeaderStatus::Unreadable));
        assert_eq!(check.headers.headers[2].expected.as_deref(), Some("1000"));
        assert!((check.limit_share - 1.0).abs() < 1e-9);
        let [twice, close] = &check.notes[..] else { panic!("{check:?}") };
        assert!(twice.contains("compression.type=gzip") && close.contains("close to the limit"));
    }

    /// Plain buffers gain from the broker's compression.
    #[test]
    fn plain_payloads_are_not_compressed_twice() {
        let (view, mut envelope) = view(Codec::None, 10);
        envelope.compression = Some("zstd".to_owned());
        assert_eq!(view.check_envelope(&envelope).notes, [""; 0]);
    }

    #[test]
    fn odd_digits_are_no_reason_to_stop() {
        assert_eq!(unhex("00ffA"), [0, 0xff]);
        assert_eq!(unhex("zäö"), [0, 0]);
    }
}
