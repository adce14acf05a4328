use jiff::Timestamp;
use rdkafka::Timestamp as KafkaTimestamp;
use serde::Serialize;
use volley_core::{headers::MessageHeaders, inspect::Text};

use crate::kafka::FetchedMessage;

/// Most bytes of a key or of one header's value that are shown.
const MAX_VALUE: usize = 1024;
/// Most bytes of all headers that are shown, so that many envelopes stay small.
const MAX_HEADERS: usize = 8192;

/// A Kafka message without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Envelope {
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// In UTC, such as `2026-01-31T12:00:00.123Z`.
    timestamp: Option<String>,
    /// `create` or `append`: whose clock it is, the producer's or the broker's.
    timestamp_type: Option<&'static str>,
    key: Option<Text>,
    /// Bytes of the value; `null` of a tombstone.
    value_bytes: Option<usize>,
    /// Rows, as the header says.
    rows: Option<u64>,
    headers: Vec<Header>,
    /// Whether the key or a header is longer than what is here.
    is_cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Header {
    name: String,
    value: Option<Text>,
}

impl Envelope {
    pub(super) fn of(message: &FetchedMessage, partition: i32) -> Self {
        let (timestamp_type, ms) = match message.timestamp {
            KafkaTimestamp::NotAvailable => (None, None),
            KafkaTimestamp::CreateTime(ms) => (Some("create"), Some(ms)),
            KafkaTimestamp::LogAppendTime(ms) => (Some("append"), Some(ms)),
        };
        let timestamp = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let pairs = message.headers.iter();
        let pairs = pairs.map(|(name, value)| (&**name, value.as_deref().unwrap_or_default()));
        let mut cut = Cut { left: MAX_HEADERS, is_cut: false };
        let mut headers = Vec::new();
        for (name, value) in &message.headers {
            if cut.left == 0 {
                cut.is_cut = true;
                break;
            }
            let name = String::from_utf8_lossy(cut.bytes(name.as_bytes())).into_owned();
            headers.push(Header { name, value: value.as_deref().map(|value| cut.text(value)) });
        }
        cut.left = MAX_VALUE;
        Self {
            partition,
            offset: message.offset,
            timestamp: timestamp.map(|timestamp| timestamp.to_string()),
            timestamp_type,
            key: message.key.as_deref().map(|key| cut.text(key)),
            value_bytes: message.value.as_ref().map(Vec::len),
            rows: MessageHeaders::parse(pairs).n_rows,
            headers,
            is_cut: cut.is_cut,
        }
    }
}

/// Takes bytes until there is no room.
struct Cut {
    left: usize,
    is_cut: bool,
}

impl Cut {
    fn bytes<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let len = bytes.len().min(MAX_VALUE).min(self.left);
        self.is_cut |= len < bytes.len();
        self.left -= len;
        &bytes[..len]
    }

    fn text(&mut self, bytes: &[u8]) -> Text {
        let shown = self.bytes(bytes);
        // A cut through a character does not make bytes of a text.
        match std::str::from_utf8(shown) {
            Err(error) if shown.len() < bytes.len() && error.error_len().is_none() => {
                Text::from(&shown[..error.valid_up_to()])
            }
            _ => Text::from(shown),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(headers: Vec<(String, Option<Vec<u8>>)>) -> FetchedMessage {
        FetchedMessage {
            offset: 42,
            timestamp: KafkaTimestamp::CreateTime(1_700_000_000_123),
            key: Some(b"host-1".to_vec()),
            headers,
            value: Some(vec![0; 1234]),
        }
    }

    /// What the page is told of a message.
    #[test]
    fn an_envelope_is_all_but_the_value() {
        let header = |name: &str, value: &[u8]| (name.to_owned(), Some(value.to_vec()));
        let headers = vec![
            header("volley-rows", b"1000"),
            header("trace", &[0xff, 0x01]),
            ("empty".to_owned(), None),
        ];
        assert_eq!(
            serde_json::to_value(Envelope::of(&message(headers), 3)).unwrap(),
            json!({
                "partition": 3, "offset": 42,
                "timestamp": "2023-11-14T22:13:20.123Z", "timestamp_type": "create",
                "key": "host-1", "value_bytes": 1234, "rows": 1000,
                "headers": [
                    { "name": "volley-rows", "value": "1000" },
                    { "name": "trace", "value": { "hex": "ff01" } },
                    { "name": "empty", "value": null },
                ],
                "is_cut": false,
            })
        );
        let tombstone = FetchedMessage {
            timestamp: KafkaTimestamp::NotAvailable,
            key: None,
            value: None,
            ..message(vec![])
        };
        let shown = serde_json::to_value(Envelope::of(&tombstone, 0)).unwrap();
        for field in ["timestamp", "timestamp_type", "key", "value_bytes", "rows"] {
            assert_eq!(shown[field], json!(null), "{field}");
        }
    }

    #[test]
    fn what_is_long_is_cut_and_says_so() {
        let long = |n: usize| vec![("n".repeat(5000), Some("ä".repeat(5000).into_bytes())); n];
        let shown = Envelope::of(&message(long(10_000)), 0);
        assert!(shown.is_cut && serde_json::to_string(&shown).unwrap().len() < 20_000);
        let Some(Text::Utf8(value)) = &shown.headers[0].value else { panic!("{shown:?}") };
        assert_eq!(value.len(), MAX_VALUE);
        let odd = FetchedMessage {
            key: Some(format!("x{}", "ä".repeat(600)).into_bytes()),
            ..message(vec![])
        };
        assert!(matches!(Envelope::of(&odd, 0).key, Some(Text::Utf8(key)) if key.len() == 1023));
    }
}
