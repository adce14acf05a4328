//! Blocks on their way into the table, and the commits before and after.

use std::{fmt, sync::Arc, time::Instant};

use super::{
    super::{
        Block, InsertProblem, LoadError, Stored,
        consumer::Consumer,
        dead_letters::{Cause, DeadLetters},
        inserter::Inserted,
        lanes::{LaneId, Refused},
        timeouts::COMMIT_PAUSE,
    },
    Loading,
};
use crate::human::{Causes, Count, Seconds};

/// A block on its way, and how it ended.
pub(super) struct Done {
    lane: LaneId,
    block: Block,
    result: Result<Inserted, InsertProblem>,
    queryable_at: Instant,
}

impl Loading {
    /// Commits what can be committed and starts the inserts that may start. While it commits nothing
    /// is read, so that no partition changes its owner meanwhile.
    pub(super) async fn advance(&mut self, consumer: &Consumer) {
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
            self.observer.commit_failed();
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
        for (lane, block) in self.lanes.start(self.start.elapsed()) {
            let inserter = self.inserter.clone();
            let schema = self.schemas.of(&block);
            self.inserts.spawn(async move {
                let mut block = block;
                let result = inserter.insert(&mut block, &schema).await;
                Done { lane, block, result, queryable_at: Instant::now() }
            });
        }
    }

    pub(super) fn finish_insert(
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
        if let Err(problem) = &result
            && problem.is_too_large()
            && block.can_be_halved()
        {
            self.halve(lane, block, problem);
            return Ok(());
        }
        let result = match result {
            Err(problem) if problem.is_transient() => return self.retry(lane, block, problem),
            result => result,
        };
        self.n_inflight_bytes -= block.n_bytes;
        let Block { partition, first, last, n_rows, n_bytes, .. } = block;
        let stored = match result {
            Ok(Inserted::Stored { is_reencoded, took }) => {
                self.summary.inserts_reencoded += u64::from(is_reencoded);
                Stored { queryable_at, took, is_reencoded }
            }
            Ok(Inserted::PutAside) => {
                if self.lanes.inserted(lane, &block) {
                    self.summary.dead_letters += 1;
                    self.observer.skipped(&block);
                }
                return Ok(());
            }
            // The lane stays closed: were a later block of this partition committed, this one would be
            // lost.
            Err(problem) => return Err(self.insert_error((partition, first, last), problem)),
        };
        if !self.lanes.inserted(lane, &block) {
            tracing::debug!(partition, first, last, "inserted; the next owner repeats it");
            return Ok(());
        }
        self.summary.rows_loaded += n_rows as u64;
        self.summary.messages += block.n_loaded();
        self.summary.payload_bytes += n_bytes as u64;
        self.summary.inserts += u64::from(n_rows > 0);
        self.summary.inserting += stored.took;
        self.observer.loaded(&block, &stored);
        let ms = stored.took.as_millis() as u64;
        tracing::debug!(partition, first, last, rows = n_rows, bytes = n_bytes, ms, "inserted");
        Ok(())
    }

    /// Tries the block again after a while, for as long as the options say. The rest of its partition
    /// waits; others go on.
    fn retry(
        &mut self,
        lane: LaneId,
        block: Block,
        problem: InsertProblem,
    ) -> Result<(), LoadError> {
        let Block { partition, first, last, n_rows, n_bytes, .. } = block;
        if self.is_draining {
            tracing::warn!(partition, first, last, "{}; left in the topic", Causes(&problem));
            self.n_inflight_bytes -= n_bytes;
            self.summary.messages_left += block.messages.len() as u64;
            return Ok(());
        }
        let now = self.start.elapsed();
        match self.lanes.failed(lane, block, now, rand::random()) {
            None => self.n_inflight_bytes -= n_bytes,
            Some(circuit)
                if self.options.retry_for.is_some_and(|most| circuit.lasts(now) >= most) =>
            {
                return Err(self.insert_error((partition, first, last), problem));
            }
            Some(circuit) => {
                self.summary.retries += 1;
                self.observer.retrying(partition);
                let (rows, wait) = (Count(n_rows as u64), circuit.until().saturating_sub(now));
                let wait = Seconds(wait);
                tracing::warn!(
                    partition,
                    first,
                    last,
                    "{}; {rows} rows wait, next try in {wait}",
                    Causes(&problem)
                );
            }
        }
        Ok(())
    }

    /// Looks for the message at fault, and puts it aside when it is found.
    fn refuse(&mut self, lane: LaneId, block: Block, cause: Cause, dead_letters: Arc<DeadLetters>) {
        if let Some(block) = self.halve(lane, block, &cause) {
            self.inserts.spawn(async move {
                let result = put_all_aside(&dead_letters, &block, &cause).await;
                Done { lane, block, result, queryable_at: Instant::now() }
            });
        }
    }

    /// Tries the halves of a block that was refused; `Some` where it is a single message, and still this
    /// member's.
    fn halve(&mut self, lane: LaneId, block: Block, why: &dyn fmt::Display) -> Option<Block> {
        let Block { partition, first, last, .. } = block;
        match self.lanes.refused(lane, block) {
            Refused::Again => {
                tracing::warn!(partition, first, last, "insert refused, trying its halves: {why}");
            }
            Refused::Lost(block) => self.n_inflight_bytes -= block.n_bytes,
            Refused::Message(block) => return Some(block),
        }
        None
    }

    fn insert_error(
        &self,
        (partition, first, last): (i32, i64, i64),
        problem: InsertProblem,
    ) -> LoadError {
        LoadError::Insert {
            topic: self.options.topic.clone(),
            partition,
            first,
            last,
            table: self.options.table.clone(),
            source: Box::new(problem),
        }
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
