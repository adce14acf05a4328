use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{
        BaseConsumer, CommitMode, Consumer as _, ConsumerContext, RebalanceProtocol, StreamConsumer,
    },
    error::{KafkaError as LibError, KafkaResult},
    types::{RDKafkaErrorCode, RDKafkaRespErr},
};
use tokio::sync::Notify;

use super::{
    LoadError, LoadOptions,
    lanes::Commit,
    positions::{self, Bound},
};
use crate::kafka::{
    ClientLog, KafkaError, KafkaOptions, create, is_in_process_broker, require_topic,
};

/// How long the broker has for an answer that is asked again if it does not come.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The same for where partitions end: leaving waits for it, and the next question comes soon.
const ENDS_TIMEOUT: Duration = Duration::from_secs(2);

/// What happened to the assignment, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Assignment {
    Gained(HashSet<i32>),
    Lost(HashSet<i32>),
    /// The group takes them, and waits until they are given: [`Consumer::give`].
    Leaving(HashSet<i32>),
}

/// A member of the consumer group, subscribed.
pub(crate) struct Consumer {
    inner: Arc<StreamConsumer<Context>>,
    topic: String,
    kafka: KafkaOptions,
    /// Where the run ends in each partition.
    bounds: Option<BTreeMap<i32, Bound>>,
}

impl Consumer {
    /// Joins the group, once the topic is known to exist. Blocks up to the options' timeout.
    pub(crate) fn connect(options: &LoadOptions) -> Result<Self, LoadError> {
        // One whose group has just been left lets the next member wait for a session.
        let (session_timeout, heartbeat) =
            if is_in_process_broker(&options.kafka)? { ("2000", "500") } else { ("45000", "3000") };
        // Half of the memory allowance may wait inside librdkafka, the rest is ours.
        let queue_kbytes = (options.max_inflight_bytes / 2048).max(1024).to_string();
        let config = options.kafka.client_config(
            &[
                ("auto.offset.reset", "earliest"),
                ("partition.assignment.strategy", "cooperative-sticky"),
                ("queued.max.messages.kbytes", &queue_kbytes),
                ("fetch.wait.max.ms", "100"),
                // How soon partitions that are added are seen; five minutes by default.
                ("topic.metadata.refresh.interval.ms", "30000"),
                ("session.timeout.ms", session_timeout),
                ("heartbeat.interval.ms", heartbeat),
            ],
            &[
                ("group.id", &options.group),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
                ("enable.partition.eof", "true"),
                ("allow.auto.create.topics", "false"),
            ],
        )?;
        let log = ClientLog::default();
        let context = Context {
            log: log.clone(),
            changes: Mutex::default(),
            changed: Notify::new(),
            is_closing: AtomicBool::new(false),
            taken: Mutex::default(),
        };
        let inner: StreamConsumer<Context> = create(&options.kafka, &config, context)?;
        let hint = "check --topic";
        let n_partitions =
            require_topic(inner.client(), &log, &options.kafka, &options.topic, hint)?;
        positions::begin(&inner, options, n_partitions)?;
        let until = options.until.as_ref();
        let bounds = until
            .map(|until| positions::bounds(&inner, options, until, n_partitions))
            .transpose()?;
        inner.subscribe(&[&options.topic]).map_err(options.kafka.client_error("subscribing"))?;
        Ok(Self {
            inner: Arc::new(inner),
            topic: options.topic.clone(),
            kafka: options.kafka.clone(),
            bounds,
        })
    }

    /// The next message or event. Cancel-safe.
    pub(crate) async fn recv(&self) -> KafkaResult<rdkafka::message::BorrowedMessage<'_>> {
        self.inner.recv().await
    }

    /// Ends when the assignment has changed since [`Self::take_changes`]. Cancel-safe.
    pub(crate) async fn changed(&self) {
        self.inner.context().changed.notified().await;
    }

    pub(crate) fn take_changes(&self) -> Vec<Assignment> {
        let mut changes =
            self.inner.context().changes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *changes)
    }

    /// As if the group had said so.
    #[cfg(test)]
    pub(crate) fn change(&self, change: Assignment) {
        self.inner.context().changes.lock().unwrap().push(change);
    }

    /// Stops fetching some of its partitions, while staying in the group, and goes on with others.
    /// Those that it does not have are passed over.
    pub(crate) fn hold(&self, stop: &HashSet<i32>, go_on: &HashSet<i32>) -> KafkaResult<()> {
        let assignment = self.inner.assignment()?;
        let of = |partitions: &HashSet<i32>| {
            let mut list = TopicPartitionList::new();
            for element in assignment.elements() {
                if partitions.contains(&element.partition()) {
                    list.add_partition(&self.topic, element.partition());
                }
            }
            list
        };
        self.inner.pause(&of(stop))?;
        self.inner.resume(&of(go_on))
    }

    /// Gives up partitions that the group takes.
    pub(crate) fn give(&self, partitions: &HashSet<i32>) -> KafkaResult<()> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        let context = self.inner.context();
        let mut taken = context.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|partition| !partitions.contains(partition));
        drop(taken);
        self.inner.incremental_unassign(&list)
    }

    /// Says that everything below these offsets is in the table, and what will be inserted next.
    pub(crate) async fn commit(&self, commits: &[Commit]) -> Result<(), KafkaError> {
        let mut offsets = TopicPartitionList::with_capacity(commits.len());
        for Commit { partition, offset, intent } in commits {
            let mut element = offsets.add_partition(&self.topic, *partition);
            let set = element.set_offset(Offset::Offset(*offset));
            set.map_err(|source| self.error("committing offsets", source))?;
            element.set_metadata(intent.map(|intent| intent.metadata()).unwrap_or_default());
        }
        let consumer = self.inner.clone();
        let committed =
            tokio::task::spawn_blocking(move || consumer.commit(&offsets, CommitMode::Sync));
        match committed.await {
            Ok(result) => result.map_err(|source| self.error("committing offsets", source)),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Partition, offset and metadata of what the group has committed for these partitions.
    pub(crate) async fn committed(
        &self,
        partitions: &HashSet<i32>,
    ) -> Result<Vec<(i32, i64, String)>, KafkaError> {
        // librdkafka takes an empty list for a mistake.
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            asked.add_partition(&self.topic, *partition);
        }
        let consumer = self.inner.clone();
        let asking =
            tokio::task::spawn_blocking(move || consumer.committed_offsets(asked, ANSWER_TIMEOUT));
        let answer = match asking.await {
            Ok(answer) => answer.map_err(|source| self.error("reading offsets", source))?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        known(&answer).map_err(|source| self.error("reading offsets", source))
    }

    /// Whether no message waits behind the given next offsets, according to the broker. A partition
    /// whose next offset is not known counts as read to its end, once the broker has answered. A
    /// member without partitions looks at what the group has committed for all of them: it may have
    /// lost its own with the broker.
    pub(crate) async fn is_at_end(
        &self,
        next_offsets: Vec<(i32, Option<i64>)>,
    ) -> Result<bool, KafkaError> {
        let (consumer, topic, kafka) = (self.inner.clone(), self.topic.clone(), self.kafka.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let timeout = ANSWER_TIMEOUT;
            let failed = || kafka.client_error("asking for the end");
            let next_offsets = if next_offsets.is_empty() {
                committed(&consumer, &topic, timeout).map_err(failed())?
            } else {
                next_offsets
            };
            for (partition, next) in next_offsets {
                let watermarks = consumer.fetch_watermarks(&topic, partition, timeout);
                let (low, high) = watermarks.map_err(failed())?;
                if let Some(next) = next.map(|next| next.max(low)).filter(|next| *next < high)
                    && has_message(&kafka, &topic, partition, next)?
                {
                    return Ok(false);
                }
            }
            Ok::<bool, KafkaError>(true)
        });
        match asked.await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Whom to ask where the assigned partitions end.
    pub(crate) fn ends(&self) -> Ends {
        Ends {
            inner: self.inner.clone(),
            topic: self.topic.clone(),
            bounds: self.bounds.clone().unwrap_or_default(),
        }
    }

    /// Where the run ends in each partition, if it does.
    pub(crate) fn bounds(&self) -> Option<&BTreeMap<i32, Bound>> {
        self.bounds.as_ref()
    }

    /// Whether the group has committed every partition up to the end of the run.
    pub(crate) async fn is_committed_to_bounds(&self) -> Result<bool, KafkaError> {
        let (consumer, topic) = (self.inner.clone(), self.topic.clone());
        let bounds = self.bounds.clone().unwrap_or_default();
        let asking = tokio::task::spawn_blocking(move || {
            for (partition, next) in committed(&consumer, &topic, ANSWER_TIMEOUT)? {
                let Some(bound) = bounds.get(&partition) else { continue };
                // Where nothing is left to read, nothing need be committed.
                let (low, _) = consumer.fetch_watermarks(&topic, partition, ANSWER_TIMEOUT)?;
                if next.unwrap_or(0).max(low) < bound.offset {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        match asking.await {
            Ok(result) => result.map_err(|source| self.error("asking for the end", source)),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Leaves the group, so that others get the partitions at once.
    pub(crate) async fn close(self) {
        // Dropping the last reference waits for the broker's answer.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }

    pub(crate) fn error(&self, action: &'static str, source: LibError) -> KafkaError {
        KafkaError::Client { brokers: self.kafka.brokers.clone(), action, source }
    }
}

/// Asks where the assigned partitions end. It holds on to the consumer: see to it that it is gone
/// before [`Consumer::close`].
pub(crate) struct Ends {
    inner: Arc<StreamConsumer<Context>>,
    topic: String,
    bounds: BTreeMap<i32, Bound>,
}

impl Ends {
    /// Each assigned partition with the offset behind its last message, or where the run ends before
    /// that, by one request to each broker. What librdkafka knows by itself is what came with the last fetch, and of a partition
    /// that is paused nothing is fetched.
    pub(crate) async fn ask(&self) -> KafkaResult<Vec<(i32, i64)>> {
        let (consumer, topic) = (self.inner.clone(), self.topic.clone());
        let bounds = self.bounds.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let mut list = TopicPartitionList::new();
            for element in consumer.assignment()?.elements() {
                // In place of a time, the end.
                list.add_partition_offset(&topic, element.partition(), Offset::End)?;
            }
            if list.count() == 0 {
                return Ok(Vec::new());
            }
            let answer = consumer.offsets_for_times(list, ENDS_TIMEOUT)?;
            let known = answer.elements().into_iter().filter_map(|element| {
                let Offset::Offset(end) = element.offset() else { return None };
                let partition = element.partition();
                let end = bounds.get(&partition).map_or(end, |bound| bound.offset.min(end));
                element.error().ok().map(|()| (partition, end))
            });
            Ok(known.collect())
        });
        match asked.await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl Drop for Consumer {
    /// The client goes only when its partitions are given up, and nobody is left to finish anything.
    fn drop(&mut self) {
        let context = self.inner.context();
        context.is_closing.store(true, Ordering::Release);
        let taken = context.taken.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !taken.is_empty()
            && let Err(error) = self.give(&taken)
        {
            tracing::debug!(%error, "cannot give up partitions; the group takes them");
        }
    }
}

/// Whether a message lies at an offset or behind it. Offsets alone do not tell: a transaction ends
/// with one that no message has.
fn has_message(
    kafka: &KafkaOptions,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<bool, KafkaError> {
    let failed = || kafka.client_error("asking for the end");
    let mut kafka = kafka.clone();
    kafka.properties.retain(|property| property.key != "auto.offset.reset");
    let config = kafka.client_config(
        &[("group.id", "volley-load-end")],
        &[
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "false"),
            ("enable.partition.eof", "true"),
        ],
    )?;
    let consumer: BaseConsumer<ClientLog> = create(&kafka, &config, ClientLog::default())?;
    let mut from = TopicPartitionList::with_capacity(1);
    from.add_partition_offset(topic, partition, Offset::Offset(offset))
        .and_then(|()| consumer.assign(&from))
        .map_err(failed())?;
    let asked_at = Instant::now();
    while let Some(left) = ANSWER_TIMEOUT.checked_sub(asked_at.elapsed()) {
        match consumer.poll(left) {
            Some(Ok(_)) => return Ok(true),
            Some(Err(LibError::PartitionEOF(_))) => return Ok(false),
            // Looks for the coordinator of a group that it will never join, among other things.
            Some(Err(error)) => tracing::debug!(%error, "asking for the end"),
            None => {}
        }
    }
    Ok(true)
}

/// Partition, offset and metadata of what was committed. One partition may fail alone, and then it is not
/// known what was begun there.
fn known(answer: &TopicPartitionList) -> KafkaResult<Vec<(i32, i64, String)>> {
    let mut known = Vec::new();
    for element in answer.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            known.push((element.partition(), offset, element.metadata().to_owned()));
        }
    }
    Ok(known)
}

/// What the group has committed for each partition of the topic; 0 where nothing.
fn committed(
    consumer: &StreamConsumer<Context>,
    topic: &str,
    timeout: Duration,
) -> KafkaResult<Vec<(i32, Option<i64>)>> {
    let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
    let mut asked = TopicPartitionList::new();
    for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
        asked.add_partition(topic, partition.id());
    }
    if asked.count() == 0 {
        return Ok(Vec::new());
    }
    let answer = consumer.committed_offsets(asked, timeout)?;
    let next = |offset: Offset| offset.to_raw().map(|raw| raw.max(0));
    Ok(answer.elements().iter().map(|e| (e.partition(), next(e.offset()))).collect())
}

struct Context {
    log: ClientLog,
    changes: Mutex<Vec<Assignment>>,
    changed: Notify,
    /// Whether nobody listens any more.
    is_closing: AtomicBool,
    /// Partitions that the group takes and waits for.
    taken: Mutex<HashSet<i32>>,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.log.log(level, facility, message);
    }

    fn error(&self, error: LibError, reason: &str) {
        self.log.error(error, reason);
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let is_cooperative =
            matches!(consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let partitions: HashSet<i32> =
            list.elements().iter().map(|element| element.partition()).collect();
        let (change, done) = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                let done = if is_cooperative {
                    consumer.incremental_assign(list)
                } else {
                    consumer.assign(list)
                };
                // One that was paused when it was given up still is.
                let done = done.and_then(|()| consumer.resume(list));
                (Some(Assignment::Gained(partitions)), done)
            }
            // Partitions that are another's already are given up at once, and so are all where nobody
            // could finish anything.
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS
                if is_cooperative
                    && !consumer.assignment_lost()
                    && !self.is_closing.load(Ordering::Acquire) =>
            {
                let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
                taken.extend(&partitions);
                (Some(Assignment::Leaving(partitions)), Ok(()))
            }
            _ => {
                let is_revoked = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS;
                if !is_revoked {
                    let error = RDKafkaErrorCode::from(what);
                    tracing::warn!(%error, "rebalance failed; trying again");
                }
                let done = if is_cooperative {
                    consumer.incremental_unassign(list)
                } else {
                    consumer.unassign()
                };
                (is_revoked.then_some(Assignment::Lost(partitions)), done)
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "cannot take the partitions that the group assigns");
        }
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).extend(change);
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::ClientConfig;

    use super::*;

    #[test]
    fn what_cannot_be_read_of_one_partition_is_not_taken_for_nothing() {
        let mut answer = TopicPartitionList::new();
        answer.add_partition_offset("t", 0, Offset::Offset(5)).unwrap();
        answer.add_partition("t", 1);
        assert_eq!(known(&answer), Ok(vec![(0, 5, String::new())]));
        // Notes for each partition that it is not known, and does not fail.
        let mut config = ClientConfig::new();
        let consumer: BaseConsumer = config.set("group.id", "g").create().unwrap();
        consumer.pause(&answer).unwrap();
        assert!(known(&answer).is_err());
    }
}
