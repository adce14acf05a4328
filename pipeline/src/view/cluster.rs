use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use tokio::{runtime::Handle, sync::Semaphore};

use super::{envelope::Envelope, error::ApiError};
use crate::kafka::{
    FetchError, Fetcher, KafkaOptions, MessageAddress, MessageOffset, TopicConfig, is_topic,
    topic_config,
};

/// Most messages of one answer.
pub(super) const MAX_MESSAGES: i64 = 100;
/// Most bytes of values that are read for one answer, or one value.
const MAX_RANGE_BYTES: usize = 16 << 20;
/// Most partitions whose offsets are asked for.
const MAX_PARTITIONS: usize = 1000;
/// Most questions that wait for their turn.
const MAX_QUESTIONS: usize = 32;

/// A cluster, asked one question at a time.
#[derive(Clone)]
pub(crate) struct Cluster {
    options: KafkaOptions,
    /// The topics that may be seen; all of them where it is empty.
    only: Arc<[String]>,
    fetcher: Arc<Mutex<Fetcher>>,
    turns: Arc<Semaphore>,
}

#[derive(Debug, Serialize)]
pub(super) struct TopicName {
    name: String,
    partitions: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Topic {
    partitions: Vec<Partition>,
    /// Of partitions there may be more than are here.
    n_partitions: usize,
    /// Most bytes of a message; `null` where the broker does not say.
    max_message_bytes: Option<usize>,
    /// The broker's own compression; `null` where it leaves messages as they come or does not say.
    compression: Option<String>,
}

#[derive(Debug, Serialize)]
struct Partition {
    partition: i32,
    low: i64,
    high: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct Messages {
    low: i64,
    high: i64,
    /// The offset after the last that was looked at.
    next: i64,
    messages: Vec<Envelope>,
}

impl Cluster {
    /// Reaches the cluster, so that what is wrong with its address is known from the start. Blocks
    /// up to the options' timeout for each question.
    pub(crate) fn connect(options: KafkaOptions, only: Vec<String>) -> Result<Self, FetchError> {
        let fetcher = Fetcher::connect(options.clone())?;
        fetcher.topics()?;
        for topic in &only {
            fetcher.n_partitions(topic)?;
        }
        Ok(Self {
            options,
            only: only.into(),
            fetcher: Arc::new(Mutex::new(fetcher)),
            turns: Arc::new(Semaphore::new(MAX_QUESTIONS)),
        })
    }

    pub(super) fn options(&self) -> &KafkaOptions {
        &self.options
    }

    pub(super) async fn topics(&self) -> Result<Vec<TopicName>, ApiError> {
        let only = Arc::clone(&self.only);
        let topics = self.ask(|fetcher| Ok(fetcher.topics()?)).await?;
        let is_shown = |name: &String| only.is_empty() || only.contains(name);
        let shown = topics.into_iter().filter(|(name, _)| is_shown(name));
        Ok(shown.map(|(name, partitions)| TopicName { name, partitions }).collect())
    }

    pub(super) async fn topic(&self, topic: String) -> Result<Topic, ApiError> {
        self.check(&topic)?;
        let (options, runtime) = (self.options.clone(), Handle::current());
        self.ask(move |fetcher| {
            let n_partitions = fetcher.n_partitions(&topic)?;
            let shown = 0..n_partitions.min(MAX_PARTITIONS) as i32;
            let partition = |partition| {
                let marks = fetcher.watermarks(&topic, partition)?;
                Ok(Partition { partition, low: marks.low, high: marks.high })
            };
            let partitions = shown.map(partition).collect::<Result<_, FetchError>>()?;
            let TopicConfig { max_message_bytes, compression } =
                topic_config(&options, &topic, &runtime)?;
            let compression =
                compression.filter(|kind| !matches!(&**kind, "producer" | "uncompressed"));
            Ok(Topic { partitions, n_partitions, max_message_bytes, compression })
        })
        .await
    }

    /// The envelopes of up to `count` offsets from `first`.
    pub(super) async fn messages(
        &self,
        topic: String,
        partition: i32,
        first: i64,
        count: i64,
    ) -> Result<Messages, ApiError> {
        self.check(&topic)?;
        self.ask(move |fetcher| {
            let n_partitions = fetcher.n_partitions(&topic)?;
            if usize::try_from(partition).map_or(true, |partition| partition >= n_partitions) {
                return Err(FetchError::NoPartition { topic, partition, n_partitions }.into());
            }
            let marks = fetcher.watermarks(&topic, partition)?;
            let first = first.max(marks.low);
            let end = first.saturating_add(count.clamp(0, MAX_MESSAGES)).min(marks.high);
            let (messages, next) =
                fetcher.fetch_range(&topic, partition, first, end, MAX_RANGE_BYTES)?;
            let messages = messages.iter().map(|m| Envelope::of(m, partition)).collect();
            Ok(Messages { low: marks.low, high: marks.high, next, messages })
        })
        .await
    }

    pub(super) async fn value(
        &self,
        topic: String,
        partition: i32,
        offset: i64,
    ) -> Result<Bytes, ApiError> {
        self.check(&topic)?;
        let offset = MessageOffset::At(offset);
        let brokers = self.options.brokers.clone();
        let address = MessageAddress { brokers, topic, partition, offset };
        let message = self.ask(move |fetcher| Ok(fetcher.fetch(&address)?)).await?;
        message.value.map(Bytes::from).ok_or(ApiError::Tombstone)
    }

    /// The partitions of a topic, each with the offset of its next message.
    pub(super) async fn ends(&self, topic: String) -> Result<Vec<(i32, i64)>, ApiError> {
        self.check(&topic)?;
        self.ask(move |fetcher| {
            let partitions = 0..fetcher.n_partitions(&topic)? as i32;
            let end = |partition| Ok((partition, fetcher.watermarks(&topic, partition)?.high));
            partitions.map(end).collect()
        })
        .await
    }

    fn check(&self, topic: &str) -> Result<(), ApiError> {
        let is_shown = self.only.is_empty() || self.only.iter().any(|shown| shown == topic);
        if is_topic(topic) && is_shown {
            return Ok(());
        }
        Err(ApiError::HiddenTopic(topic.chars().take(249).collect()))
    }

    /// Asks when it is our turn, on a thread that may wait.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Fetcher) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        let turn = turn.map_err(|_| ApiError::Busy("32 questions"))?;
        let fetcher = Arc::clone(&self.fetcher);
        let asked = tokio::task::spawn_blocking(move || {
            let answer = question(&fetcher.lock().unwrap_or_else(PoisonError::into_inner));
            drop(turn);
            answer
        });
        asked.await.unwrap_or(Err(ApiError::Stopped))
    }
}
