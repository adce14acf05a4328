use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{Message as _, error::KafkaError as LibError, message::BorrowedMessage};
use tokio::task::JoinSet;
use volley_core::headers::{MessageHeaders, checksum};

use super::{
    Block, BlockPlanner, LoadError, LoadObserver, LoadOptions, LoadSummary, Message,
    consumer::{Assignment, Consumer},
    dead_letters::{Cause, DeadLetters},
    inserter::{Inserted, Inserter},
    intent::Intent,
    lanes::{Delivery, LaneId, Lanes, Refused},
    options::{InsertProblem, MessageProblem},
    schemas::Schemas,
};
use crate::{
    clickhouse::ClickHouse,
    human::Causes,
    kafka::{FetchedMessage, headers, is_unanswered},
    shutdown::Shutdown,
};

/// Runs until `shutdown` is requested or the topic has been idle for as long as the options say;
/// then inserts and commits what it has read.
///
/// Not cancel-safe: dropping the future forgets blocks that were read and not yet inserted. They
/// are not committed, so the next run reads them again.
///
/// # Errors
///
/// [`LoadError`]. Blocks that were inserted before it are committed.
pub async fn load(
    options: LoadOptions,
    shutdown: Shutdown,
    observer: Arc<dyn LoadObserver>,
) -> Result<LoadSummary, LoadError> {
    let server = ClickHouse::connect(&options.clickhouse).await?;
    let inserter = Arc::new(Inserter::new(server, &options, shutdown.clone()));
    inserter.check_table().await.map_err(|problem| LoadError::Table {
        table: options.table.clone(),
        source: Box::new(problem),
    })?;
    let connecting = {
        let options = options.clone();
        tokio::task::spawn_blocking(move || Consumer::connect(&options))
    };
    let consumer = match connecting.await {
        Ok(consumer) => consumer?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let mut loading = Loading::new(options, inserter, observer);
    let mut result = loading.read(&consumer, &shutdown).await;
    loading.end_assignment(&consumer);
    // What is under way is finished in any case: its rows are stored, so they should be committed.
    // What was read and waits is sound, and goes too unless inserting itself has failed.
    let with_waiting = matches!(result, Ok(()) | Err(LoadError::Message { .. }));
    if with_waiting {
        let open = loading.planner.finish();
        loading.queue(open);
    }
    let drained = loading.drain(&consumer, with_waiting).await;
    result = result.and(drained);
    consumer.close().await;
    result.map(|()| loading.summary())
}

/// Wait before an offset that could not be committed is tried again: as a rule the group is being
/// rebalanced, and the answer tells who owns the partition.
const COMMIT_PAUSE: Duration = Duration::from_millis(100);

/// Attempts to commit while finishing. What stays uncommitted is not lost: whoever reads it again
/// inserts it with the same token.
const MAX_LAST_COMMITS: u32 = 20;

/// A block on its way, and how it ended.
struct Done {
    lane: LaneId,
    block: Block,
    result: Result<Inserted, InsertProblem>,
    queryable_at: Instant,
}

struct Loading {
    options: LoadOptions,
    inserter: Arc<Inserter>,
    dead_letters: Option<Arc<DeadLetters>>,
    observer: Arc<dyn LoadObserver>,
    start: Instant,
    planner: BlockPlanner,
    lanes: Lanes,
    inserts: JoinSet<Done>,
    schemas: Schemas,
    n_inflight_bytes: usize,
    is_paused: bool,
    /// Partitions that were not paused with the others.
    n_unpaused: usize,
    is_assigned: bool,
    last_activity: Instant,
    first_message: Option<Instant>,
    last_commit: Option<Instant>,
    /// When to try again to commit what could not be.
    commit_again: Option<Instant>,
    summary: LoadSummary,
}

impl Loading {
    fn new(options: LoadOptions, inserter: Arc<Inserter>, observer: Arc<dyn LoadObserver>) -> Self {
        Self {
            planner: BlockPlanner::new(options.limits),
            lanes: Lanes::new(options.delivery),
            schemas: Schemas::new(&options.payload_limits),
            dead_letters: DeadLetters::new(&options).map(Arc::new),
            options,
            inserter,
            observer,
            start: Instant::now(),
            inserts: JoinSet::new(),
            n_inflight_bytes: 0,
            is_paused: false,
            n_unpaused: 0,
            is_assigned: false,
            last_activity: Instant::now(),
            first_message: None,
            last_commit: None,
            commit_again: None,
            summary: LoadSummary::default(),
        }
    }

    /// Messages to blocks to inserts, until there is a reason to stop.
    async fn read(&mut self, consumer: &Consumer, shutdown: &Shutdown) -> Result<(), LoadError> {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                biased;
                () = shutdown.requested() => return Ok(()),
                Some(done) = self.inserts.join_next() => {
                    // A change that came while it was under way is older than its end.
                    self.reassign(consumer, shutdown).await?;
                    self.finish_insert(done)?;
                }
                () = consumer.changed() => self.reassign(consumer, shutdown).await?,
                received = consumer.recv() => {
                    // And older than this message.
                    self.reassign(consumer, shutdown).await?;
                    self.receive(consumer, received).await?;
                }
                () = tokio::time::sleep_until(wake.into()) => {
                    if self.is_idle(consumer).await? {
                        tracing::info!("no new messages; finishing");
                        return Ok(());
                    }
                }
            }
            let mut cut = Vec::new();
            self.planner.poll(self.start.elapsed(), &mut cut);
            self.queue(cut);
            self.advance(consumer).await;
            self.throttle(consumer)?;
        }
    }

    /// When there is something to do even if nothing comes.
    fn next_wake(&self) -> Instant {
        let block_due = self.planner.deadline().and_then(|at| self.start.checked_add(at));
        let idle_due =
            self.options.until_idle.and_then(|idle| self.last_activity.checked_add(idle));
        let far = Instant::now() + Duration::from_secs(3600);
        [block_due, idle_due, self.commit_again].into_iter().flatten().min().unwrap_or(far)
    }

    async fn receive(
        &mut self,
        consumer: &Consumer,
        received: Result<BorrowedMessage<'_>, LibError>,
    ) -> Result<(), LoadError> {
        match received {
            Ok(message) => self.accept(&message).await,
            Err(LibError::PartitionEOF(partition)) => {
                self.lanes.reached_end(partition);
                self.planner.reached_end(partition, self.start.elapsed());
                Ok(())
            }
            Err(error @ LibError::MessageConsumptionFatal(_)) => {
                Err(consumer.error("reading", error).into())
            }
            // The client says so itself, and not each time.
            Err(error) if is_unanswered(&error) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "reading from kafka failed; trying again");
                Ok(())
            }
        }
    }

    async fn accept(&mut self, received: &BorrowedMessage<'_>) -> Result<(), LoadError> {
        let (partition, offset) = (received.partition(), received.offset());
        if !self.lanes.has(partition) {
            return Ok(());
        }
        let message = match self.look_into(received) {
            Ok(message) => message,
            Err(problem) => {
                self.put_aside(received, problem).await?;
                let checksum = received.payload().map_or(0, checksum);
                Message::skipped(partition, offset, checksum)
            }
        };
        self.last_activity = Instant::now();
        self.first_message.get_or_insert(self.last_activity);
        self.lanes.read(partition, offset);
        self.n_inflight_bytes += message.payload.len();
        let mut cut = Vec::new();
        self.planner.push(message, self.start.elapsed(), &mut cut);
        self.queue(cut);
        Ok(())
    }

    fn look_into(&mut self, received: &BorrowedMessage<'_>) -> Result<Message, MessageProblem> {
        let payload = received.payload().ok_or(MessageProblem::NoValue)?;
        let checksum = check_sum(received, payload)?;
        let (schema, n_rows) = self.schemas.read(payload)?;
        let (partition, offset) = (received.partition(), received.offset());
        let payload = Bytes::copy_from_slice(payload);
        Ok(Message { partition, offset, schema: Some(schema), n_rows, checksum, payload })
    }

    /// Stops the run where there is no dead-letter topic.
    async fn put_aside(
        &mut self,
        received: &BorrowedMessage<'_>,
        reason: MessageProblem,
    ) -> Result<(), LoadError> {
        let (partition, offset) = (received.partition(), received.offset());
        let topic = self.options.topic.clone();
        let Some(dead_letters) = &self.dead_letters else {
            return Err(LoadError::Message { topic, partition, offset, reason });
        };
        let cause = Cause::of_message(&reason);
        let put = dead_letters.put(partition, FetchedMessage::of(received), &cause).await;
        put.map_err(|error| {
            let source = Box::new(error);
            LoadError::DeadLetter { topic, partition, offset, source }
        })?;
        self.summary.dead_letters += 1;
        Ok(())
    }

    async fn reassign(
        &mut self,
        consumer: &Consumer,
        shutdown: &Shutdown,
    ) -> Result<(), LoadError> {
        for change in consumer.take_changes() {
            match change {
                Assignment::Gained(partitions) => {
                    tracing::info!(partitions = partitions.len(), "partitions assigned");
                    if !self.resume_blocks(consumer, &partitions, shutdown).await? {
                        // Without knowing what was begun, nothing of them may be inserted.
                        continue;
                    }
                    self.lanes.gain(&partitions);
                    self.is_assigned = true;
                    // New partitions come unpaused.
                    if self.is_paused
                        && let Err(error) = consumer.pause(self.planner.resuming())
                    {
                        tracing::warn!(%error, "cannot pause new partitions");
                    }
                    self.observer.assigned(partitions.len());
                }
                Assignment::Lost(partitions) => self.lose(&partitions),
            }
            self.last_activity = Instant::now();
        }
        Ok(())
    }

    fn lose(&mut self, partitions: &HashSet<i32>) {
        tracing::info!(partitions = partitions.len(), "partitions given up");
        self.n_inflight_bytes -= self.planner.forget(partitions);
        self.n_inflight_bytes -= self.lanes.lose(partitions);
    }

    /// Gives up what was lost with the last thing that was read, and takes nothing new.
    fn end_assignment(&mut self, consumer: &Consumer) {
        for change in consumer.take_changes() {
            if let Assignment::Lost(partitions) = change {
                self.lose(&partitions);
            }
        }
    }

    /// Makes the first block of each partition the one that its owner before was about to insert.
    /// `false` where the run is to end before that is known.
    async fn resume_blocks(
        &mut self,
        consumer: &Consumer,
        partitions: &HashSet<i32>,
        shutdown: &Shutdown,
    ) -> Result<bool, LoadError> {
        if self.options.delivery == Delivery::AtLeastOnce {
            return Ok(true);
        }
        let committed = loop {
            let error = match consumer.committed(partitions).await {
                Ok(committed) => break committed,
                Err(error) => error,
            };
            tracing::warn!(
                "cannot read what the group has committed; trying again: {}",
                Causes(&error)
            );
            tokio::select! {
                () = shutdown.requested() => return Ok(false),
                () = tokio::time::sleep(COMMIT_PAUSE) => {}
            }
        };
        for (partition, offset, metadata) in committed {
            let topic = || self.options.topic.clone();
            let intent = Intent::parse(offset, &metadata).map_err(|source| LoadError::Intent {
                topic: topic(),
                partition,
                offset,
                source,
            })?;
            if let Some(intent) = intent {
                let Intent { first, last, .. } = intent;
                tracing::info!(partition, first, last, "repeating the insert that was begun");
                self.planner.resume(partition, intent);
            }
        }
        Ok(true)
    }

    fn queue(&mut self, blocks: Vec<Block>) {
        for block in blocks {
            self.lanes.queue(block);
        }
    }

    /// Commits what can be committed and starts the inserts that may start. While it commits nothing
    /// is read, so that no partition changes its owner meanwhile.
    async fn advance(&mut self, consumer: &Consumer) {
        if self.commit_again.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.commit_again = None;
        self.start_inserts();
        let commits = self.lanes.commits();
        if commits.is_empty() {
            return;
        }
        if let Err(error) = consumer.commit(&commits).await {
            tracing::warn!("cannot commit offsets; trying again: {}", Causes(&error));
            self.commit_again = Some(Instant::now() + COMMIT_PAUSE);
            return;
        }
        self.last_commit = Some(Instant::now());
        for commit in &commits {
            self.lanes.committed(commit);
        }
        self.start_inserts();
    }

    fn start_inserts(&mut self) {
        for (lane, block) in self.lanes.start() {
            let inserter = self.inserter.clone();
            let schema = self.schemas.get(block.schema);
            self.inserts.spawn(async move {
                let result = inserter.insert(&block, &schema).await;
                Done { lane, block, result, queryable_at: Instant::now() }
            });
        }
    }

    fn finish_insert(
        &mut self,
        done: Result<Done, tokio::task::JoinError>,
    ) -> Result<(), LoadError> {
        let Done { lane, block, result, queryable_at } = match done {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        self.last_activity = Instant::now();
        if let (Err(problem), Some(dead_letters)) = (&result, &self.dead_letters)
            && let Some(cause) = Cause::of_insert(problem)
        {
            let dead_letters = dead_letters.clone();
            self.refuse(lane, block, cause, dead_letters);
            return Ok(());
        }
        self.n_inflight_bytes -= block.n_bytes;
        let took = match result {
            Ok(Inserted::Stored { n_retries, is_reencoded, took }) => {
                self.summary.retries += n_retries;
                self.summary.inserts_reencoded += u64::from(is_reencoded);
                took
            }
            Ok(Inserted::PutAside) => {
                if self.lanes.inserted(lane, &block) {
                    self.summary.dead_letters += 1;
                }
                return Ok(());
            }
            // The lane stays closed in either case: were a later block of this partition committed,
            // this one would be lost.
            Ok(Inserted::Abandoned) => {
                self.summary.messages_left += block.messages.len() as u64;
                return Ok(());
            }
            Err(problem) => return Err(self.insert_error(&block, problem)),
        };
        let Block { partition, first, last, n_rows, n_bytes, .. } = block;
        if !self.lanes.inserted(lane, &block) {
            tracing::debug!(partition, first, last, "inserted; the next owner repeats it");
            return Ok(());
        }
        self.summary.rows_loaded += n_rows as u64;
        self.summary.messages += block.n_loaded();
        self.summary.payload_bytes += n_bytes as u64;
        self.summary.inserts += u64::from(n_rows > 0);
        self.summary.inserting += took;
        self.observer.loaded(&block, queryable_at);
        let ms = took.as_millis() as u64;
        tracing::debug!(partition, first, last, rows = n_rows, bytes = n_bytes, ms, "inserted");
        Ok(())
    }

    /// Looks for the message at fault, and puts it aside when it is found.
    fn refuse(&mut self, lane: LaneId, block: Block, cause: Cause, dead_letters: Arc<DeadLetters>) {
        let Block { partition, first, last, .. } = block;
        match self.lanes.refused(lane, block) {
            Refused::Again => {
                tracing::warn!(
                    partition,
                    first,
                    last,
                    "insert refused, trying its halves: {cause}"
                );
            }
            Refused::Lost(block) => self.n_inflight_bytes -= block.n_bytes,
            Refused::Message(block) => {
                self.inserts.spawn(async move {
                    let result = put_all_aside(&dead_letters, &block, &cause).await;
                    Done { lane, block, result, queryable_at: Instant::now() }
                });
            }
        }
    }

    fn insert_error(&self, block: &Block, problem: InsertProblem) -> LoadError {
        LoadError::Insert {
            topic: self.options.topic.clone(),
            partition: block.partition,
            first: block.first,
            last: block.last,
            table: self.options.table.clone(),
            source: Box::new(problem),
        }
    }

    /// Stops and starts fetching, so that no more than the allowed bytes are held.
    fn throttle(&mut self, consumer: &Consumer) -> Result<(), LoadError> {
        let limit = self.options.max_inflight_bytes;
        let paused = if self.is_paused {
            self.n_inflight_bytes > limit / 2
        } else {
            self.n_inflight_bytes > limit
        };
        let n_unpaused = self.planner.resuming().count();
        if paused == self.is_paused && (!paused || n_unpaused == self.n_unpaused) {
            return Ok(());
        }
        self.n_unpaused = n_unpaused;
        // A block that must be formed again needs its messages, however many they are.
        let changed =
            if paused { consumer.pause(self.planner.resuming()) } else { consumer.resume() };
        changed.map_err(|error| consumer.error("pausing", error))?;
        tracing::debug!(paused, bytes = self.n_inflight_bytes, "bytes in flight");
        self.is_paused = paused;
        // A block that no further message can fill is due now.
        if paused {
            let open = self.planner.finish();
            self.queue(open);
        }
        Ok(())
    }

    async fn is_idle(&mut self, consumer: &Consumer) -> Result<bool, LoadError> {
        let Some(until_idle) = self.options.until_idle else {
            return Ok(false);
        };
        if self.last_activity.elapsed() < until_idle {
            return Ok(false);
        }
        let seems_idle = self.is_assigned && self.lanes.are_idle() && self.planner.is_empty();
        // A broker that is away looks like one without messages, so it is asked.
        if seems_idle && consumer.is_at_end(self.lanes.next_offsets()).await? {
            return Ok(true);
        }
        // Look again after a moment, not at once.
        self.last_activity =
            Instant::now() - until_idle + until_idle.min(Duration::from_millis(100));
        Ok(false)
    }

    /// Waits for the inserts under way and, if `with_waiting`, for those queued behind them.
    async fn drain(&mut self, consumer: &Consumer, with_waiting: bool) -> Result<(), LoadError> {
        let mut result = Ok(());
        let mut n_commits_left = MAX_LAST_COMMITS;
        if !with_waiting {
            self.summary.messages_left += self.lanes.clear_waiting();
        }
        loop {
            self.advance(consumer).await;
            if let Some(done) = self.inserts.join_next().await {
                let finished = self.finish_insert(done);
                if finished.is_err() {
                    self.summary.messages_left += self.lanes.clear_waiting();
                }
                result = result.and(finished);
            } else if let Some(again) = self.commit_again
                && n_commits_left > 0
            {
                n_commits_left -= 1;
                tokio::time::sleep_until(again.into()).await;
            } else if self.lanes.commits().is_empty() || n_commits_left == 0 {
                self.summary.messages_left += self.lanes.clear_waiting();
                return result;
            }
        }
    }

    fn summary(self) -> LoadSummary {
        let elapsed = match (self.first_message, self.last_commit) {
            (Some(first), Some(last)) => last - first,
            _ => Duration::ZERO,
        };
        LoadSummary { elapsed, ..self.summary }
    }
}

async fn put_all_aside(
    dead_letters: &DeadLetters,
    block: &Block,
    cause: &Cause,
) -> Result<Inserted, InsertProblem> {
    for message in &block.messages {
        dead_letters.put_again(message, cause).await.map_err(InsertProblem::DeadLetter)?;
    }
    Ok(Inserted::PutAside)
}

/// Checksum of the value, compared with the one in its headers, if they have one.
fn check_sum(message: &BorrowedMessage<'_>, payload: &[u8]) -> Result<u32, MessageProblem> {
    let found = checksum(payload);
    let headers = headers(message);
    let pairs = headers.iter().map(|(name, value)| (&**name, value.unwrap_or_default()));
    match MessageHeaders::parse(pairs).crc32c {
        Some(expected) if found != expected => Err(MessageProblem::Checksum { found, expected }),
        _ => Ok(found),
    }
}
