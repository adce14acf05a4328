use std::time::Duration;

use serde::Serialize;
use volley_core::{
    clickhouse::{Loss, UnsupportedType},
    layout::{self, Diagnostic},
    origin::NameClash,
};

use super::{
    Beginning, BlockLimits, Delivery, Ending, PositionError, body::BodyError, intent::UnknownIntent,
};
use crate::{
    clickhouse::{
        ClickHouseError, ClickHouseOptions, CreateTableError, Creation, ErrorKind, Evolution,
        ForgetfulTable, TableName,
    },
    kafka::{KafkaError, KafkaOptions},
    turn::Failure as _,
};

/// What to load, how to cut it, where to.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// The cluster.
    pub kafka: KafkaOptions,
    /// The topic.
    pub topic: String,
    /// The consumer group, which owns the committed offsets.
    pub group: String,
    /// The server.
    pub clickhouse: ClickHouseOptions,
    /// The table.
    pub table: TableName,
    /// What to do where it is missing.
    pub creation: Creation,
    /// What to do where it lacks columns that messages have.
    pub evolution: Evolution,
    /// Whether each row is to say which message it comes from, in columns of its own.
    pub provenance: bool,
    /// What a crash may do to rows.
    pub delivery: Delivery,
    /// Topic for messages that cannot be loaded; without one, such a message stops the run.
    pub dead_letters: Option<String>,
    /// When a block is cut.
    pub limits: BlockLimits,
    /// Where the group begins, in partitions for which it has committed nothing.
    pub from: Beginning,
    /// Where the run ends; where partitions are shared, in those that are this member's.
    pub until: Option<Ending>,
    /// Stops when every partition has been at its end for so long.
    pub until_idle: Option<Duration>,
    /// How long a passing failure is retried before it stops the run; for ever if `None`.
    pub retry_for: Option<Duration>,
    /// Most payload bytes held; consumption pauses above it. Where inserts of some partitions fail and
    /// theirs take all of it, an eighth more is for the others.
    pub max_inflight_bytes: usize,
    /// What a payload may claim; one that claims more stops the run like a damaged one.
    pub payload_limits: layout::Options,
}

#[cfg(test)]
impl LoadOptions {
    /// Of a topic and the group of the same name, into a ClickHouse that nobody asks.
    pub(crate) fn of_test(brokers: &str, topic: &str) -> Self {
        use std::num::NonZeroUsize;

        use crate::clickhouse::TlsOptions;

        let timeout = Duration::from_secs(2);
        Self {
            kafka: KafkaOptions { brokers: brokers.to_owned(), properties: Vec::new(), timeout },
            topic: topic.to_owned(),
            group: topic.to_owned(),
            clickhouse: ClickHouseOptions {
                urls: vec!["http://127.0.0.1:1".to_owned()],
                user: None,
                password: None,
                timeout,
                tls: TlsOptions::default(),
            },
            table: TableName { database: "d".to_owned(), table: "t".to_owned() },
            creation: Creation::Refuse,
            evolution: Evolution::Refuse,
            provenance: false,
            delivery: Delivery::EffectivelyOnce,
            dead_letters: Some(format!("{topic}.dlq")),
            limits: BlockLimits {
                n_rows: NonZeroUsize::MAX,
                n_bytes: NonZeroUsize::MAX,
                age: Duration::ZERO,
            },
            from: Beginning::Earliest,
            until: None,
            until_idle: None,
            retry_for: None,
            max_inflight_bytes: 1 << 20,
            payload_limits: layout::Options::default(),
        }
    }
}

/// Why loading stopped early. What was inserted before is committed; the rest stays in the topic.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The broker, or the way to it.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The group cannot begin where it is told to, or the run end.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// ClickHouse, before any message was at stake.
    #[error(transparent)]
    ClickHouse(#[from] ClickHouseError),
    /// The table, before any message was at stake.
    #[error("cannot load into {table}")]
    Table {
        /// The table.
        table: TableName,
        /// Why.
        source: Box<InsertProblem>,
    },
    /// A message is not what its headers or its framing say.
    #[error("topic '{topic}' partition {partition} offset {offset}: {reason}")]
    Message {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// What is wrong.
        reason: MessageProblem,
    },
    /// A message that cannot be loaded could not be put aside either.
    #[error(
        "topic '{topic}' partition {partition} offset {offset}: no dead letter could be written"
    )]
    DeadLetter {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// Why.
        source: Box<KafkaError>,
    },
    /// What the group has committed cannot be gone on from.
    #[error("topic '{topic}' partition {partition} offset {offset}: {source}")]
    Intent {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The committed offset.
        offset: i64,
        /// Why.
        source: UnknownIntent,
    },
    /// A block was not inserted.
    #[error(
        "topic '{topic}' partition {partition} offsets {first} to {last} were not inserted into {table}"
    )]
    Insert {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Offset of the first message.
        first: i64,
        /// Offset of the last message.
        last: i64,
        /// The table.
        table: TableName,
        /// Why.
        source: Box<InsertProblem>,
    },
}

/// What is wrong with a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageProblem {
    /// No value, as a tombstone has.
    #[error("the message has no value")]
    NoValue,
    /// The value changed since it was written.
    #[error("checksum {found:08x} is not the {expected:08x} of its volley-crc32c header")]
    Checksum {
        /// Of the value.
        found: u32,
        /// In the header.
        expected: u32,
    },
    /// The value is not a whole, sound payload, or claims more than the limits allow.
    #[error("{0}{hint}", hint = way_out(.0))]
    Damaged(Box<Diagnostic>),
    /// A record batch without a schema before it.
    #[error("the message has no schema")]
    NoSchema,
    /// Streams of several schemas in one message; no insert could take them together.
    #[error("the message holds streams of different schemas")]
    SeveralSchemas,
}

fn way_out(found: &Diagnostic) -> &'static str {
    match found.code {
        layout::Code::OverCap => "; raise --max-batch-bytes if you trust the writer",
        _ => "",
    }
}

/// Why a block was not inserted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InsertProblem {
    /// ClickHouse refused it, or stayed away for longer than allowed.
    #[error(transparent)]
    ClickHouse(#[from] ClickHouseError),
    /// The payloads do not become one stream.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A message that was refused could not be put aside either.
    #[error("no dead letter could be written")]
    DeadLetter(#[source] KafkaError),
    /// The table is missing and may not be created.
    #[error("the table does not exist; create it, or leave out --no-create")]
    NoTable,
    /// The table is missing and the schema does not give one.
    #[error("the table does not exist and cannot be created")]
    Create(#[source] CreateTableError),
    /// The table could not keep the promise that each row is stored once.
    #[error(transparent)]
    Forgetful(#[from] ForgetfulTable),
    /// The table lacks columns that the messages have.
    #[error(
        "the table has no {} that the messages have; --evolve adds them, or: {statement}",
        columns_named(columns)
    )]
    NoColumns {
        /// The columns.
        columns: Vec<String>,
        /// What adds them.
        statement: String,
    },
    /// A column of the messages has the name of one that says where rows come from.
    #[error("{0}; rename it, or leave out --provenance")]
    Provenance(NameClash),
    /// The table lacks a column that the messages have, and there is no type for it.
    #[error("the table lacks a column that the messages have, and it cannot be added")]
    NoColumnType(#[source] UnsupportedType),
    /// A column would not hold the values as they are.
    #[error(
        "column '{column}' is {table_type} in the table and {arrow_type} in the messages: {loss}; \
         change one of them"
    )]
    ColumnType {
        /// The column.
        column: String,
        /// Its type in the table.
        table_type: String,
        /// Its type in the messages.
        arrow_type: String,
        /// What ClickHouse would do to the values.
        loss: Loss,
    },
}

impl InsertProblem {
    /// Whether the same may go well later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::ClickHouse(error) => error.may_pass(),
            Self::DeadLetter(error) => error.may_pass(),
            _ => false,
        }
    }

    /// Whether the table is not what it was when it was looked at.
    pub(crate) fn is_about_table(&self) -> bool {
        matches!(self, Self::ClickHouse(error) if error.kind() == ErrorKind::Table)
    }

    /// Whether the same is taken in smaller parts.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, Self::ClickHouse(error) if error.kind() == ErrorKind::TooLarge)
    }
}

/// At most ten of them: a schema may have thousands.
fn columns_named(columns: &[String]) -> String {
    let shown: Vec<_> = columns.iter().take(10).map(|column| format!("'{column}'")).collect();
    let word = if columns.len() == 1 { "column" } else { "columns" };
    let more = match columns.len() - shown.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    format!("{word} {}{more}", shown.join(", "))
}

/// What was loaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LoadSummary {
    /// Rows in the table because of this run.
    pub rows_loaded: u64,
    /// Messages they came in.
    pub messages: u64,
    /// Bytes of those messages' values.
    pub payload_bytes: u64,
    /// Inserts made.
    pub inserts: u64,
    /// Inserts whose rows had to be decoded, because their messages do not splice.
    pub inserts_reencoded: u64,
    /// Messages that could not be loaded and went to the dead-letter topic.
    pub dead_letters: u64,
    /// Inserts that failed and were sent again.
    pub retries: u64,
    /// Messages read and left in the topic, because the run was stopped while ClickHouse was away.
    pub messages_left: u64,
    /// From the first message to the last commit.
    #[serde(skip)]
    pub elapsed: Duration,
    /// Time in inserts, added up over partitions.
    #[serde(skip)]
    pub inserting: Duration,
}
