use std::{
    ffi::OsString,
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use rdkafka::Timestamp;

use super::table::printable;
use crate::kafka::{FetchedMessage, MessageAddress, MessageOffset, ParseAddressError};

/// Where a payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdin,
    File(PathBuf),
    Message(MessageAddress),
}

/// A payload, and what came beside it.
pub(super) struct Payload {
    /// What names it: the file, or the address of the message with its offset as a number.
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) message: Option<Envelope>,
}

/// A Kafka message without its value.
pub(super) struct Envelope {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) timestamp: Timestamp,
    pub(super) key: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
    /// Whether there is a value at all: tombstones have none.
    pub(super) has_value: bool,
}

/// An argument begins like the address of a message and is none.
#[derive(Debug, thiserror::Error)]
#[error("{0}, or ./kafka:... for a file of that name")]
pub(super) struct NotAnAddress(ParseAddressError);

impl Source {
    pub(super) fn parse(argument: OsString) -> Result<Self, NotAnAddress> {
        match argument.to_str() {
            Some("-") => Ok(Self::Stdin),
            Some(text) if text.starts_with("kafka:") => {
                text.parse().map(Self::Message).map_err(NotAnAddress)
            }
            _ => Ok(Self::File(argument.into())),
        }
    }
}

/// For a sentence: names of files may hold anything.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("-"),
            Self::File(path) => f.write_str(&printable(&path.to_string_lossy(), 4096)),
            Self::Message(address) => write!(f, "{address}"),
        }
    }
}

pub(super) fn stdin() -> io::Result<Payload> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(Payload { name: "-".to_owned(), bytes, message: None })
}

pub(super) fn file(path: &Path) -> io::Result<Payload> {
    let bytes = fs::read(path)?;
    Ok(Payload { name: path.to_string_lossy().into_owned(), bytes, message: None })
}

impl Payload {
    pub(super) fn of_message(address: &MessageAddress, message: FetchedMessage) -> Self {
        let FetchedMessage { offset, timestamp, key, headers, value } = message;
        let MessageAddress { topic, partition, .. } = address.clone();
        let has_value = value.is_some();
        let at = MessageAddress { offset: MessageOffset::At(offset), ..address.clone() };
        let envelope = Envelope { topic, partition, offset, timestamp, key, headers, has_value };
        Self { name: at.to_string(), bytes: value.unwrap_or_default(), message: Some(envelope) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Source, String> {
        Source::parse(text.into()).map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_are_files_unless_they_say_otherwise() {
        assert_eq!(parse("-"), Ok(Source::Stdin));
        for file in ["a.arrow", "./kafka:x", "./-", "http://h/x", "kafka"] {
            assert_eq!(parse(file), Ok(Source::File(file.into())));
        }
        let message = "kafka://h:9092/t/0/latest";
        assert_eq!(parse(message), Ok(Source::Message(message.parse().unwrap())));
        let error = parse("kafka:x").unwrap_err();
        assert!(error.contains("./kafka:"), "{error}");
    }
}
