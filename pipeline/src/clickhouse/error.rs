use std::{path::PathBuf, time::Duration};

use crate::human::Seconds;

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
    #[error("clickhouse at {url} refused: {message}")]
    Exception {
        /// The address.
        url: String,
        /// ClickHouse's error code, 0 where the answer had none.
        code: u32,
        /// What it said, without its stack of addresses.
        message: String,
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

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// It may pass: wait and send the same block again.
    Transient,
    /// The rows are at fault.
    Data,
    /// The table is not what it was when it was looked at: look again.
    Table,
    /// Nothing gets better by itself: stop and say so.
    Configuration,
}

/// ClickHouse's codes that are not a matter of configuration, each with its name there.
const KINDS: &[(u32, ErrorKind)] = &[
    (6, ErrorKind::Data),         // CANNOT_PARSE_TEXT
    (26, ErrorKind::Data),        // CANNOT_PARSE_QUOTED_STRING
    (27, ErrorKind::Data),        // CANNOT_PARSE_INPUT_ASSERTION_FAILED
    (33, ErrorKind::Data),        // CANNOT_READ_ALL_DATA
    (38, ErrorKind::Data),        // CANNOT_PARSE_DATE
    (41, ErrorKind::Data),        // CANNOT_PARSE_DATETIME
    (72, ErrorKind::Data),        // CANNOT_PARSE_NUMBER
    (69, ErrorKind::Data),        // ARGUMENT_OUT_OF_BOUND
    (117, ErrorKind::Data),       // INCORRECT_DATA
    (128, ErrorKind::Data),       // TOO_LARGE_ARRAY_SIZE
    (131, ErrorKind::Data),       // TOO_LARGE_STRING_SIZE
    (271, ErrorKind::Data),       // CANNOT_DECOMPRESS
    (321, ErrorKind::Data),       // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
    (349, ErrorKind::Data),       // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
    (376, ErrorKind::Data),       // CANNOT_PARSE_UUID
    (407, ErrorKind::Data),       // DECIMAL_OVERFLOW
    (469, ErrorKind::Data),       // VIOLATED_CONSTRAINT
    (691, ErrorKind::Data),       // UNKNOWN_ELEMENT_OF_ENUM
    (16, ErrorKind::Table),       // NO_SUCH_COLUMN_IN_TABLE
    (60, ErrorKind::Table),       // UNKNOWN_TABLE
    (81, ErrorKind::Table),       // UNKNOWN_DATABASE
    (218, ErrorKind::Table),      // TABLE_IS_DROPPED
    (159, ErrorKind::Transient),  // TIMEOUT_EXCEEDED
    (198, ErrorKind::Transient),  // DNS_ERROR
    (202, ErrorKind::Transient),  // TOO_MANY_SIMULTANEOUS_QUERIES
    (203, ErrorKind::Transient),  // NO_FREE_CONNECTION
    (209, ErrorKind::Transient),  // SOCKET_TIMEOUT
    (210, ErrorKind::Transient),  // NETWORK_ERROR
    (225, ErrorKind::Transient),  // NO_ZOOKEEPER
    (236, ErrorKind::Transient),  // ABORTED
    (241, ErrorKind::Transient),  // MEMORY_LIMIT_EXCEEDED
    (242, ErrorKind::Transient),  // TABLE_IS_READ_ONLY
    (243, ErrorKind::Transient),  // NOT_ENOUGH_SPACE
    (252, ErrorKind::Transient),  // TOO_MANY_PARTS
    (279, ErrorKind::Transient),  // ALL_CONNECTION_TRIES_FAILED
    (285, ErrorKind::Transient),  // TOO_FEW_LIVE_REPLICAS
    (286, ErrorKind::Transient),  // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
    (319, ErrorKind::Transient),  // UNKNOWN_STATUS_OF_INSERT
    (394, ErrorKind::Transient),  // QUERY_WAS_CANCELLED
    (439, ErrorKind::Transient),  // CANNOT_SCHEDULE_TASK
    (473, ErrorKind::Transient),  // DEADLOCK_AVOIDED
    (499, ErrorKind::Transient),  // S3_ERROR
    (517, ErrorKind::Transient),  // CANNOT_ASSIGN_ALTER
    (733, ErrorKind::Transient),  // TABLE_IS_BEING_RESTARTED
    (745, ErrorKind::Transient),  // SERVER_OVERLOADED
    (999, ErrorKind::Transient),  // KEEPER_EXCEPTION
    (1000, ErrorKind::Transient), // POCO_EXCEPTION
];

/// UNKNOWN_USER, WRONG_PASSWORD, REQUIRED_PASSWORD, AUTHENTICATION_FAILED.
const DENIALS: [u32; 4] = [192, 193, 194, 516];

impl ClickHouseError {
    /// What to do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => ErrorKind::Transient,
            Self::Exception { code, message, .. } => {
                // Not ClickHouse's words: a gateway before it has none to pass on.
                if *code == 0 {
                    return ErrorKind::Transient;
                }
                // TOO_MANY_PARTS too, of a block that will have as many each time.
                if message.contains("max_partitions_per_insert_block") {
                    return ErrorKind::Configuration;
                }
                let known = KINDS.iter().find(|(known, _)| known == code);
                match known {
                    Some((_, kind)) => *kind,
                    // A full disk comes as a system error of whatever wrote to it.
                    None if message.contains("No space left on device") => ErrorKind::Transient,
                    None => ErrorKind::Configuration,
                }
            }
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
                let (code, message) = parse_exception(&text);
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
fn parse_exception(text: &str) -> (u32, String) {
    let text = text.trim();
    let coded = text.strip_prefix("Code: ").and_then(|rest| rest.split_once(". "));
    let Some((code, rest)) = coded else {
        return (0, text.to_owned());
    };
    let rest = rest.strip_prefix("DB::Exception: ").unwrap_or(rest);
    let rest = rest.rsplit_once(" (version ").map_or(rest, |(message, _)| message);
    (code.parse().unwrap_or(0), rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_taken_apart() {
        let text = "Code: 60. DB::Exception: Table d.t does not exist. (UNKNOWN_TABLE) (version 26.7.1.1 (official build))\n";
        assert_eq!(
            parse_exception(text),
            (60, "Table d.t does not exist. (UNKNOWN_TABLE)".to_owned())
        );
        assert_eq!(parse_exception("<html>"), (0, "<html>".to_owned()));
        assert_eq!(parse_exception("Code: x. y"), (0, "y".to_owned()));
    }

    #[test]
    fn kinds_decide_between_waiting_and_stopping() {
        let kind = |code, message: &str| {
            ClickHouseError::Exception { url: String::new(), code, message: message.to_owned() }
                .kind()
        };
        for passing in [252, 499, 745] {
            assert_eq!(kind(passing, ""), ErrorKind::Transient, "{passing}");
        }
        assert_eq!(kind(218, ""), ErrorKind::Table);
        let partitions = "Too many partitions for single INSERT block (more than 100). The limit is \
                          controlled by 'max_partitions_per_insert_block' setting.";
        assert_eq!(kind(252, partitions), ErrorKind::Configuration);
        assert_eq!(kind(0, "<h1>500 Internal Server Error</h1>"), ErrorKind::Transient);
        assert_eq!(kind(117, ""), ErrorKind::Data);
        assert_eq!(kind(516, ""), ErrorKind::Configuration);
        assert_eq!(kind(75, "errno: 28, strerror: No space left on device"), ErrorKind::Transient);
        assert!(
            KINDS
                .iter()
                .enumerate()
                .all(|(i, (code, _))| KINDS[..i].iter().all(|(c, _)| c != code))
        );
    }
}
