use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use super::{
    Block, BlockPlanner, InsertProblem, LoadError, LoadObserver, LoadOptions, LoadSummary,
    consumer::Consumer, dead_letters::DeadLetters, ends::EndsWatch, inserter::Inserter,
    lanes::Lanes, schemas::Schemas,
};
use crate::shutdown::Shutdown;

mod assignment;
mod ending;
mod inserts;
mod messages;

use assignment::Leaving;
use inserts::Done;

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
    let inserter = Arc::new(Inserter::new(&options)?);
    inserter.check_table().await.map_err(|problem| match problem {
        InsertProblem::ClickHouse(error) => LoadError::ClickHouse(error),
        problem => LoadError::Table { table: options.table.clone(), source: Box::new(problem) },
    })?;
    observer.connected();
    let connecting = {
        let options = options.clone();
        tokio::task::spawn_blocking(move || Consumer::connect(&options))
    };
    let consumer = match connecting.await {
        Ok(consumer) => consumer?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let ends = EndsWatch::start(consumer.ends(), observer.clone());
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
    if let Some(ends) = ends {
        ends.stop().await;
    }
    consumer.close().await;
    result.map(|()| loading.summary())
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
    /// Whether as much is held as may be.
    is_full: bool,
    /// Partitions that are not fetched for now.
    held: HashSet<i32>,
    /// Partitions that the group takes, while what is under way there is finished.
    leaving: Option<Leaving>,
    /// Whether nothing is tried again, because the run ends.
    is_draining: bool,
    is_assigned: bool,
    last_activity: Instant,
    first_message: Option<Instant>,
    last_commit: Option<Instant>,
    /// When to try again to commit what could not be.
    commit_again: Option<Instant>,
    /// When to ask the broker again whether the end of the run is reached.
    ask_again: Option<Instant>,
    summary: LoadSummary,
}

impl Loading {
    fn new(options: LoadOptions, inserter: Arc<Inserter>, observer: Arc<dyn LoadObserver>) -> Self {
        Self {
            planner: BlockPlanner::new(options.limits),
            lanes: Lanes::new(options.delivery),
            schemas: Schemas::new(&options.payload_limits),
            dead_letters: DeadLetters::new(&options, observer.clone()).map(Arc::new),
            options,
            inserter,
            observer,
            start: Instant::now(),
            inserts: JoinSet::new(),
            n_inflight_bytes: 0,
            is_full: false,
            held: HashSet::new(),
            leaving: None,
            is_draining: false,
            is_assigned: false,
            last_activity: Instant::now(),
            first_message: None,
            last_commit: None,
            commit_again: None,
            ask_again: None,
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
                    let reassigned = self.reassign(consumer, shutdown).await;
                    reassigned.and(self.finish_insert(done))?;
                }
                () = consumer.changed() => self.reassign(consumer, shutdown).await?,
                received = consumer.recv() => {
                    // And older than this message.
                    self.reassign(consumer, shutdown).await?;
                    self.receive(consumer, received).await?;
                }
                () = tokio::time::sleep_until(wake.into()) => {
                    // Before anything is committed.
                    self.reassign(consumer, shutdown).await?;
                    if self.is_idle(consumer).await? {
                        tracing::info!("no new messages; finishing");
                        return Ok(());
                    }
                }
            }
            let mut cut = Vec::new();
            self.planner.poll(self.start.elapsed(), |p| self.lanes.is_busy(p), &mut cut);
            self.queue(cut);
            self.advance(consumer).await;
            self.hand_over(consumer);
            if self.throttle(consumer)? {
                // Nothing else would wake us for what was cut.
                self.advance(consumer).await;
            }
            if self.is_at_bounds(consumer).await? {
                tracing::info!("read up to the end of the run; finishing");
                return Ok(());
            }
        }
    }

    /// When there is something to do even if nothing comes.
    fn next_wake(&self) -> Instant {
        let since_start = |at: Option<Duration>| self.start.checked_add(at?);
        let block_due = since_start(self.planner.deadline(|p| self.lanes.is_busy(p)));
        let retry_due = since_start(self.lanes.retry_at())
            // Until then nothing is sent.
            .map(|due| self.commit_again.map_or(due, |again| again.max(due)));
        let idle_due =
            self.options.until_idle.and_then(|idle| self.last_activity.checked_add(idle));
        let leave_due = self.leaving.as_ref().map(|leaving| leaving.until);
        let far = Instant::now() + Duration::from_secs(3600);
        [block_due, retry_due, idle_due, leave_due, self.commit_again, self.ask_again]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(far)
    }

    fn queue(&mut self, blocks: Vec<Block>) {
        for block in blocks {
            self.lanes.queue(block);
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
