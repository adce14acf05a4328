use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::datatypes::{Schema, SchemaRef};
use rand::RngExt as _;
use tokio::sync::Mutex;
use volley_core::{
    clickhouse::{accepts, column_type, insert_into, quote_identifier},
    fingerprint::{Fingerprint, type_name},
    layout,
};

use super::{
    Block, Delivery, LoadObserver, LoadOptions, body::body, intent::Intent, options::InsertProblem,
};
use crate::{
    clickhouse::{ClickHouse, ClickHouseError, Creation, ErrorKind, TableInfo, TableName},
    human::{Count, Seconds},
    shutdown::Shutdown,
};

/// First wait after a passing failure; each further one doubles it, up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// How an insert ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// Every row is stored.
    Stored {
        /// Attempts before the one that succeeded.
        n_retries: u64,
        /// Whether its rows had to be decoded for it.
        is_reencoded: bool,
        /// Time of the attempt that succeeded, from its first byte to ClickHouse's answer.
        took: Duration,
    },
    /// The only message was put into the dead-letter topic.
    PutAside,
    /// The run was stopped while ClickHouse was away; nothing of the block may be committed.
    Abandoned,
}

/// Puts blocks into the table.
pub(crate) struct Inserter {
    server: ClickHouse,
    topic: String,
    table: TableName,
    creation: Creation,
    delivery: Delivery,
    retry_for: Option<Duration>,
    payload_limits: layout::Options,
    shutdown: Shutdown,
    observer: Arc<dyn LoadObserver>,
    /// The insert statement of each schema for which the table has been looked at.
    statements: Mutex<HashMap<Fingerprint, Arc<str>>>,
}

impl Inserter {
    pub(crate) fn new(
        server: ClickHouse,
        options: &LoadOptions,
        shutdown: Shutdown,
        observer: Arc<dyn LoadObserver>,
    ) -> Self {
        Self {
            server,
            topic: options.topic.clone(),
            table: options.table.clone(),
            creation: options.creation.clone(),
            delivery: options.delivery,
            retry_for: options.retry_for,
            payload_limits: options.payload_limits.clone(),
            shutdown,
            observer,
            statements: Mutex::default(),
        }
    }

    /// Inserts a block as one statement, again and again while the failure may pass.
    pub(crate) async fn insert(
        &self,
        block: &Block,
        schema: &SchemaRef,
    ) -> Result<Inserted, InsertProblem> {
        let Some(fingerprint) = block.schema.filter(|_| block.n_rows > 0) else {
            return Ok(Inserted::Stored {
                n_retries: 0,
                is_reencoded: false,
                took: Duration::ZERO,
            });
        };
        let body = {
            let (schema, payloads) = (schema.clone(), block.payloads());
            let limits = self.payload_limits.clone();
            let making = tokio::task::spawn_blocking(move || body(&schema, &payloads, &limits));
            match making.await {
                Ok(body) => body?,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        };
        let intent = block.declared.unwrap_or_else(|| Intent::of(block));
        let token = intent.token(&self.topic, block.partition);
        let n_rows = block.n_rows.to_string();
        let settings = [
            ("async_insert", "0"),
            ("insert_deduplicate", "1"),
            ("insert_deduplication_token", token.as_str()),
            // One part for each partition of the table, however many bytes, so that all is stored
            // or nothing.
            ("min_insert_block_size_rows", n_rows.as_str()),
            ("min_insert_block_size_bytes", "0"),
        ];

        let began = Instant::now();
        let mut n_retries = 0;
        loop {
            let attempt = async {
                let statement = self.statement(fingerprint, schema).await?;
                let began = Instant::now();
                self.server.insert(&statement, &settings, body.chunks.clone()).await?;
                Ok(began.elapsed())
            };
            let error = match attempt.await {
                Ok(took) => {
                    let is_reencoded = body.is_reencoded;
                    return Ok(Inserted::Stored { n_retries, is_reencoded, took });
                }
                Err(InsertProblem::ClickHouse(error)) if error.kind() == ErrorKind::Transient => {
                    error
                }
                Err(problem) => return Err(problem),
            };
            if self.retry_for.is_some_and(|limit| began.elapsed() >= limit) {
                return Err(error.into());
            }
            if !self.back_off(block, &error, n_retries).await {
                return Ok(Inserted::Abandoned);
            }
            n_retries += 1;
        }
    }

    /// False if the run is to end.
    async fn back_off(&self, block: &Block, error: &ClickHouseError, n_retries: u64) -> bool {
        self.observer.retrying(block);
        let doubled = MIN_BACKOFF.saturating_mul(1 << n_retries.min(10));
        // Jitter keeps many loaders from coming back at the same moment.
        let wait = doubled.min(MAX_BACKOFF).mul_f64(rand::rng().random_range(0.5..1.0));
        tracing::warn!(
            partition = block.partition,
            first = block.first,
            last = block.last,
            "{error}; {} rows wait, next try in {}",
            Count(block.n_rows as u64),
            Seconds(wait)
        );
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = self.shutdown.requested() => false,
        }
    }

    /// The insert statement for a schema; the first time, looks whether the table fits it and
    /// creates the table if it is missing.
    async fn statement(
        &self,
        fingerprint: Fingerprint,
        schema: &Schema,
    ) -> Result<Arc<str>, InsertProblem> {
        let mut statements = self.statements.lock().await;
        if let Some(statement) = statements.get(&fingerprint) {
            return Ok(statement.clone());
        }
        let table = match self.table().await? {
            Some(table) => table,
            None => {
                self.create(schema).await?;
                self.table().await?.ok_or(InsertProblem::NoTable)?
            }
        };
        check_columns(&self.table, &table, schema)?;
        let statement: Arc<str> = insert_into(&self.table.quoted(), schema).into();
        statements.insert(fingerprint, statement.clone());
        Ok(statement)
    }

    /// Looks at the table before anything is read, and says what it is.
    pub(crate) async fn check_table(&self) -> Result<(), InsertProblem> {
        match self.table().await? {
            Some(table) => self.describe(&table),
            None if matches!(self.creation, Creation::Refuse) => {
                return Err(InsertProblem::NoTable);
            }
            None => {}
        }
        Ok(())
    }

    /// The table, which keeps the promised delivery.
    async fn table(&self) -> Result<Option<TableInfo>, InsertProblem> {
        let table = TableInfo::fetch(&self.server, &self.table).await?;
        if self.delivery == Delivery::EffectivelyOnce
            && let Some(why) = table.as_ref().and_then(|table| table.forgets_inserts(&self.table))
        {
            return Err(why.into());
        }
        Ok(table)
    }

    fn describe(&self, table: &TableInfo) {
        let columns: Vec<_> = table
            .columns
            .iter()
            .map(|column| format!("{} {}", column.name, column.type_name))
            .collect();
        let (name, engine) = (&self.table, &table.engine);
        tracing::info!(table = %name, engine, columns = columns.join(", "), "using the table as it is");
        if !table.is_replacing() && self.delivery == Delivery::AtLeastOnce {
            tracing::warn!(
                table = %name,
                engine,
                "table is not of the ReplacingMergeTree family: rows that are loaded twice after a \
                 crash stay twice"
            );
        }
    }

    async fn create(&self, schema: &Schema) -> Result<(), InsertProblem> {
        let Creation::Create(create) = &self.creation else {
            return Err(InsertProblem::NoTable);
        };
        let statement = create.statement(&self.table, schema).map_err(InsertProblem::Create)?;
        let database = quote_identifier(&self.table.database);
        self.server.execute(&format!("CREATE DATABASE IF NOT EXISTS {database}")).await?;
        self.server.execute(&statement).await?;
        tracing::info!(table = %self.table, "created table: {}", statement.replace('\n', " "));
        Ok(())
    }
}

/// Every column of the messages must be in the table and hold the same kind of value: ClickHouse
/// drops what it does not find and casts what it can.
fn check_columns(
    name: &TableName,
    table: &TableInfo,
    schema: &Schema,
) -> Result<(), InsertProblem> {
    let mut missing = Vec::new();
    for field in schema.fields() {
        match table.columns.iter().find(|found| found.name == *field.name()) {
            None => missing.push(field),
            Some(found) if !accepts(&found.type_name, field.data_type()) => {
                return Err(InsertProblem::ColumnType {
                    column: field.name().clone(),
                    table_type: found.type_name.clone(),
                    arrow_type: type_name(field.data_type()),
                });
            }
            Some(_) => {}
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let definitions: Vec<_> = missing
        .iter()
        .map(|field| {
            let definition = column_type(field).unwrap_or_else(|_| "String".to_owned());
            format!("ADD COLUMN {} {definition}", quote_identifier(field.name()))
        })
        .collect();
    Err(InsertProblem::NoColumns {
        columns: missing.iter().map(|field| field.name().clone()).collect(),
        statement: format!("ALTER TABLE {} {}", name.quoted(), definitions.join(", ")),
    })
}
