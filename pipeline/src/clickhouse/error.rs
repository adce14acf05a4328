use std::{path::PathBuf, time::Duration};

use super::{
    gateway,
    kind::{self, ErrorKind},
};
use crate::{human::Seconds, turn::Failure};

/// What can go wrong with ClickHouse.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClickHouseError {
    /// No connection, or none that lasted.
    #[error("cannot reach clickhouse at {url}: {reason}; check --clickhouse")]
    Unreachable {
        /// The address.
        url: String,
        /// The innermost cause.
        reason: String,
    },
    /// No answer in time.
    #[error(
        "clickhouse at {url} did not answer within {}; check --clickhouse, or wait longer with \
         --timeout", Seconds(*timeout)
    )]
    TimedOut {
        /// The address.
        url: String,
        /// How long was waited.
        timeout: Duration,
    },
    /// ClickHouse does not let this user in.
    #[error("clickhouse at {url} refused: {message}; check --user and --password")]
    Denied {
        /// The address.
        url: String,
        /// What it said.
        message: String,
    },
    /// A user or password that HTTP cannot carry.
    #[error("{flag} has a character that an http header cannot carry; use printable ascii")]
    Credential {
        /// The flag that it came from.
        flag: &'static str,
    },
    /// Nowhere to go.
    #[error("there is no clickhouse to load into; pass --clickhouse")]
    NoAddress,
    /// A file for TLS.
    #[error("{flag} {}: {reason}", path.display())]
    Tls {
        /// The flag that names it.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An exception of ClickHouse's.
    #[error("clickhouse at {url} refused: {message}{}", kind::way_out(*code, message))]
    Exception {
        /// The address.
        url: String,
        /// ClickHouse's error code.
        code: u32,
        /// What it said, without its stack of addresses.
        message: String,
    },
    /// An answer that has none of ClickHouse's codes: something before it gave it.
    #[error("what answers at {url} is not clickhouse: {answer}{}", gateway::way_out(*status))]
    Gateway {
        /// The address.
        url: String,
        /// The HTTP status, where the answer tells it.
        status: Option<u16>,
        /// Its first words.
        answer: String,
    },
    /// Older than Volley can load into.
    #[error(
        "clickhouse at {url} is version {found}; compressed arrow needs {}.{} or later",
        super::MIN_VERSION.0, super::MIN_VERSION.1
    )]
    TooOld {
        /// The address.
        url: String,
        /// Its version.
        found: String,
    },
    /// The answer is not what was asked for.
    #[error("clickhouse at {url} gave an answer that cannot be read: {reason}")]
    Answer {
        /// The address.
        url: String,
        /// Why.
        reason: String,
    },
}

/// UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED.
const DENIALS: [u32; 4] = [192, 193, 194, 516];

impl Failure for ClickHouseError {
    fn may_pass(&self) -> bool {
        self.kind() == ErrorKind::Transient
    }
}

impl ClickHouseError {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => ErrorKind::Transient,
            Self::Exception { code, message, .. } => kind::of_exception(*code, message),
            Self::Gateway { status, .. } => gateway::kind(*status),
            Self::Denied { .. }
            | Self::Credential { .. }
            | Self::NoAddress
            | Self::Tls { .. }
            | Self::TooOld { .. }
            | Self::Answer { .. } => ErrorKind::Configuration,
        }
    }

    /// Whether ClickHouse found fault with the rows themselves.
    pub fn is_about_data(&self) -> bool {
        self.kind() == ErrorKind::Data
    }

    pub(super) fn new(url: &str, timeout: Duration, error: clickhouse::error::Error) -> Self {
        use clickhouse::error::Error;

        let url = url.to_owned();
        match error {
            Error::TimedOut => Self::TimedOut { url, timeout },
            Error::Network(_) => Self::Unreachable { url, reason: with_way_out(innermost(&error)) },
            Error::BadResponse(text) => {
                let Some((code, message)) = parse_exception(&text) else {
                    let (status, answer) = gateway::parse(&text);
                    return Self::Gateway { url, status, answer };
                };
                if DENIALS.contains(&code) {
                    return Self::Denied { url, message };
                }
                Self::Exception { url, code, message }
            }
            other => Self::Answer { url, reason: innermost(&other) },
        }
    }
}

/// rustls names what is wrong with the other side's certificate, or says what that said of ours.
fn with_way_out(reason: String) -> String {
    if reason.contains("UnknownIssuer") {
        return format!("{reason}; name the authority of its certificate by --clickhouse-ca FILE");
    }
    if reason.contains("CertificateRequired") {
        return format!("{reason}; show one by --clickhouse-cert FILE and --clickhouse-key FILE");
    }
    reason
}

fn innermost(error: &clickhouse::error::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// `Code: 60. DB::Exception: Table … does not exist. (UNKNOWN_TABLE) (version 26.7.1.1)`
fn parse_exception(text: &str) -> Option<(u32, String)> {
    let text = text.trim().strip_prefix("Code: ")?;
    // An answer without text has only the number.
    let (code, rest) = text.split_once(". ").unwrap_or((text, ""));
    let rest = rest.strip_prefix("DB::Exception: ").unwrap_or(rest);
    let rest = rest.rsplit_once(" (version ").map_or(rest, |(message, _)| message);
    Some((code.parse().ok()?, rest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_taken_apart() {
        let text = "Code: 60. DB::Exception: Table d.t does not exist. (UNKNOWN_TABLE) (version 26.7.1.1 (official build))\n";
        assert_eq!(
            parse_exception(text),
            Some((60, "Table d.t does not exist. (UNKNOWN_TABLE)".to_owned()))
        );
        assert_eq!(parse_exception("<html>"), None);
        assert_eq!(parse_exception("Code: x. y"), None);
        assert_eq!(parse_exception("Code: 241"), Some((241, String::new())));
    }
}
