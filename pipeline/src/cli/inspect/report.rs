use std::io;

use jiff::Timestamp;
use rdkafka::Timestamp as KafkaTimestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use volley_core::{
    head::{Head, head},
    inspect::{ByteMap, Checksum, HeadersInspection, Inspection, Text},
    layout::{Options, walk, walk_values},
};

use super::{
    json_rows::json_rows,
    source::{Envelope, Payload},
};
use crate::human::Causes;

/// Which parts of a report are wanted.
pub(super) struct Parts {
    pub(super) limits: Options,
    pub(super) with_map: bool,
    pub(super) with_values: bool,
    pub(super) head: Option<usize>,
}

/// What was found in a payload; its JSON form is the contract with programs.
#[derive(Serialize)]
pub(super) struct Report {
    /// The file as it was given, - for standard input, or the address of a message.
    pub(super) file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<MessageReport>,
    #[serde(flatten)]
    pub(super) inspection: Inspection,
    #[serde(flatten)]
    pub(super) map: Option<ByteMap>,
    /// Becomes `head`, and `head_error` where rows are missing.
    #[serde(skip)]
    pub(super) head: Option<Head>,
}

/// What Kafka knows of a message.
#[derive(Serialize)]
pub(super) struct MessageReport {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// In UTC, such as `2026-01-31T12:00:00.123Z`.
    pub(super) timestamp: Option<String>,
    /// `create` or `append`: whose clock it is, the producer's or the broker's.
    pub(super) timestamp_type: Option<&'static str>,
    pub(super) key: Option<Text>,
    /// Bytes of the value; `null` of a tombstone.
    pub(super) value_bytes: Option<usize>,
    #[serde(flatten)]
    pub(super) headers: HeadersInspection,
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Vec<Box<RawValue>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_error: Option<String>,
}

impl Report {
    pub(super) fn new(payload: Payload, parts: &Parts) -> Self {
        let Payload { name, bytes, message } = payload;
        let walk = if parts.with_values { walk_values } else { walk };
        let (layout, diagnostics) = walk(&bytes, &parts.limits);
        let inspection = Inspection::new(&bytes, &layout, &diagnostics);
        Self {
            file: name,
            message: message.map(|message| MessageReport::new(message, &bytes, &inspection)),
            map: parts.with_map.then(|| ByteMap::of(&layout)),
            head: parts.head.map(|n_rows| head(&bytes, &parts.limits, n_rows)),
            inspection,
        }
    }

    /// Whether nothing says that the payload is not what was written.
    pub(super) fn is_sound(&self) -> bool {
        let is_changed = |message: &MessageReport| message.headers.checksum == Checksum::Mismatch;
        self.inspection.is_sound() && !self.message.as_ref().is_some_and(is_changed)
    }

    /// One object on one line.
    pub(super) fn write_json(&self, mut out: impl io::Write) -> io::Result<()> {
        let mut json = Json { report: self, head: None, head_error: None };
        if let Some(head) = &self.head {
            let (rows, error) = json_rows(&head.batches);
            let stopped = || head.stopped.as_ref().map(|error| Causes(error).to_string());
            (json.head, json.head_error) = (Some(rows), error.or_else(stopped));
        }
        serde_json::to_writer(&mut out, &json)?;
        writeln!(out)
    }
}

impl MessageReport {
    fn new(message: Envelope, value: &[u8], inspection: &Inspection) -> Self {
        let (timestamp_type, ms) = match message.timestamp {
            KafkaTimestamp::NotAvailable => (None, None),
            KafkaTimestamp::CreateTime(ms) => (Some("create"), Some(ms)),
            KafkaTimestamp::LogAppendTime(ms) => (Some("append"), Some(ms)),
        };
        let timestamp = ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let pairs = message.headers.iter().map(|(name, value)| (&**name, value.as_deref()));
        Self {
            topic: message.topic,
            partition: message.partition,
            offset: message.offset,
            timestamp: timestamp.map(|timestamp| timestamp.to_string()),
            timestamp_type,
            key: message.key.as_deref().map(Text::from),
            value_bytes: message.has_value.then_some(value.len()),
            headers: HeadersInspection::of(pairs, value, inspection),
        }
    }
}
