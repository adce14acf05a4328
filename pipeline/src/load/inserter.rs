use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::datatypes::SchemaRef;
use rand::RngExt as _;
use volley_core::layout;

use super::{
    Block, LoadObserver, LoadOptions, body::body, intent::Intent, options::InsertProblem,
    table::Table,
};
use crate::{
    clickhouse::{ClickHouse, ClickHouseError, ErrorKind},
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
    table: Table,
    retry_for: Option<Duration>,
    payload_limits: layout::Options,
    shutdown: Shutdown,
    observer: Arc<dyn LoadObserver>,
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
            table: Table::new(options),
            retry_for: options.retry_for,
            payload_limits: options.payload_limits.clone(),
            shutdown,
            observer,
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
                loop {
                    let statement = self.table.statement(&self.server, fingerprint, schema).await?;
                    let began = Instant::now();
                    let inserting = self.server.insert(&statement, &settings, body.chunks.clone());
                    match inserting.await {
                        // Someone has changed the table since it was looked at.
                        Err(error)
                            if error.kind() == ErrorKind::Table
                                && self.table.forget(fingerprint).await => {}
                        inserted => return Ok(inserted.map(|()| began.elapsed())?),
                    }
                }
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

    /// Looks at the table before anything is read, and says what it is.
    pub(crate) async fn check_table(&self) -> Result<(), InsertProblem> {
        self.table.check(&self.server).await
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
}
