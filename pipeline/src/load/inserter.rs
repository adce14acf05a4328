use std::{
    borrow::Cow,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::datatypes::{Schema, SchemaRef};
use volley_core::{
    fingerprint::Fingerprint,
    layout,
    origin::{Origin, with_origin},
};

use super::{
    Block, LoadOptions,
    body::{Body, Ingredients},
    intent::Intent,
    options::InsertProblem,
    table::Table,
    timeouts::insert_timeout,
};
use crate::{clickhouse::Servers, kafka::KafkaError};

/// How an insert ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// Every row is stored.
    Stored {
        /// Whether its rows had to be decoded for it.
        is_reencoded: bool,
        /// Time of the attempt that succeeded, from its first byte to ClickHouse's answer.
        took: Duration,
    },
    /// The only message was put into the dead-letter topic.
    PutAside,
}

/// Puts blocks into the table.
pub(crate) struct Inserter {
    servers: Servers,
    topic: Arc<str>,
    provenance: bool,
    table: Table,
    payload_limits: layout::Options,
    timeout: Duration,
}

/// What is sent, whichever server it is sent to.
struct Request<'a> {
    fingerprint: Fingerprint,
    schema: &'a Schema,
    settings: &'a [(&'a str, &'a str)],
    body: &'a Body,
}

impl Inserter {
    /// # Errors
    ///
    /// Where the options leave no time for an insert.
    pub(crate) fn new(options: &LoadOptions) -> Result<Self, KafkaError> {
        Ok(Self {
            servers: Servers::new(options.clickhouse.clone()),
            topic: options.topic.as_str().into(),
            provenance: options.provenance,
            table: Table::new(options),
            payload_limits: options.payload_limits.clone(),
            timeout: insert_timeout(&options.kafka, options.clickhouse.urls.len())?,
        })
    }

    /// Looks at the table on the first server that answers, before anything is read, and says what it
    /// is.
    pub(crate) async fn check_table(&self) -> Result<(), InsertProblem> {
        let mut n_tried = 0;
        loop {
            let index = self.servers.current();
            match self.check_table_on(index).await {
                Err(problem) if self.goes_on(index, &problem, &mut n_tried) => {}
                checked => return checked,
            }
        }
    }

    async fn check_table_on(&self, index: usize) -> Result<(), InsertProblem> {
        self.table.check(self.servers.get(index).await?).await
    }

    /// Inserts a block as one statement; where a server fails for a reason that may pass, on the next
    /// one, with the same token. An error that may pass is that of the last of them; the block says
    /// whether it may be stored by then.
    pub(crate) async fn insert(
        &self,
        block: &mut Block,
        schema: &SchemaRef,
    ) -> Result<Inserted, InsertProblem> {
        let Some(fingerprint) = block.schema.filter(|_| block.n_rows > 0) else {
            return Ok(Inserted::Stored { is_reencoded: false, took: Duration::ZERO });
        };
        let origin = self.origin(block.partition);
        let all: Cow<'_, Schema> = match origin {
            Some(_) => Cow::Owned(with_origin(schema).map_err(InsertProblem::Provenance)?),
            None => Cow::Borrowed(schema),
        };
        let ingredients =
            Ingredients { schema: schema.clone(), payloads: block.payloads_with_offsets(), origin };
        let body = Body::new(ingredients, self.payload_limits.clone()).await;
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
        let request = Request { fingerprint, schema: &all, settings: &settings, body: &body };
        let mut n_tried = 0;
        loop {
            let index = self.servers.current();
            match self.insert_on(index, &request, &mut block.may_be_stored).await {
                Ok(took) => {
                    return Ok(Inserted::Stored { is_reencoded: body.is_reencoded(), took });
                }
                Err(problem) if self.goes_on(index, &problem, &mut n_tried) => {}
                Err(problem) => return Err(problem),
            }
        }
    }

    fn origin(&self, partition: i32) -> Option<Origin> {
        let partition = u32::try_from(partition).unwrap_or(0);
        self.provenance.then(|| Origin { topic: self.topic.clone(), partition })
    }

    async fn insert_on(
        &self,
        index: usize,
        request: &Request<'_>,
        may_be_stored: &mut bool,
    ) -> Result<Duration, InsertProblem> {
        let Request { fingerprint, schema, settings, body } = *request;
        let server = self.servers.get(index).await?;
        let mut looks_again = true;
        loop {
            let statement: Arc<str> =
                self.table.statement((index, server), fingerprint, schema).await?;
            let began = Instant::now();
            let body = body.chunks();
            let problem: InsertProblem =
                match server.insert(&statement, settings, body, self.timeout).await {
                    Ok(()) => return Ok(began.elapsed()),
                    Err(problem) => problem,
                };
            *may_be_stored |= problem.is_transient();
            if !(problem.is_about_table() && looks_again) {
                return Err(problem);
            }
            // Someone has changed the table since it was looked at, unless it is a table behind it.
            looks_again = false;
            self.table.forget(index, fingerprint);
        }
    }

    /// Whether to try another server after this failure of one. `n_tried` counts up.
    fn goes_on(&self, index: usize, problem: &InsertProblem, n_tried: &mut usize) -> bool {
        if !problem.is_transient() {
            return false;
        }
        self.servers.pass_over(index);
        *n_tried += 1;
        let goes_on = *n_tried < self.servers.count();
        if goes_on {
            tracing::warn!("{problem}; trying another clickhouse");
        }
        goes_on
    }
}
