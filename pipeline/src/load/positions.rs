use std::{
    collections::BTreeMap,
    str::FromStr,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, ConsumerContext, StreamConsumer},
    error::{KafkaError as LibError, KafkaResult},
    types::RDKafkaErrorCode,
};

use super::{LoadError, LoadOptions};

/// Where a group begins in partitions for which it has committed nothing. Once it has, that is where it
/// goes on, whatever is said here: another beginning would load rows twice, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Beginning {
    /// At the first message that is there.
    #[default]
    Earliest,
    /// After the last message that is there when the first member starts.
    Latest,
    /// At the first message of this time or later, ms since the epoch; after the last where none is.
    Time(i64),
    /// At these offsets, by partition; at the first message of all others.
    Offsets(BTreeMap<i32, i64>),
}

/// Where a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// After the last message that is there when it starts.
    End,
    /// Before these offsets, by partition; in all others as [`Self::End`]. Where they are not there yet,
    /// with the first message that is at them or behind.
    Offsets(BTreeMap<i32, i64>),
}

/// A text is not a [`Beginning`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected earliest, latest, a time such as 2026-01-31T12:00:00Z, or offsets such as 0:100,1:250"
)]
pub struct ParseBeginningError;

/// A text is not an [`Ending`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected end, or offsets such as 0:100,1:250")]
pub struct ParseEndingError;

impl FromStr for Beginning {
    type Err = ParseBeginningError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return Ok(Self::Time(time.as_millisecond()));
        }
        parse_offsets(text).map(Self::Offsets).ok_or(ParseBeginningError)
    }
}

impl FromStr for Ending {
    type Err = ParseEndingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "end" {
            return Ok(Self::End);
        }
        parse_offsets(text).map(Self::Offsets).ok_or(ParseEndingError)
    }
}

/// `partition:offset,…`, each partition once.
fn parse_offsets(text: &str) -> Option<BTreeMap<i32, i64>> {
    let mut offsets = BTreeMap::new();
    for pair in text.split(',') {
        let (partition, offset) = pair.trim().split_once(':')?;
        let partition = partition.parse().ok().filter(|partition| *partition >= 0)?;
        let offset = offset.parse().ok().filter(|offset| *offset >= 0)?;
        if offsets.insert(partition, offset).is_some() {
            return None;
        }
    }
    Some(offsets)
}

/// Why a group cannot begin, or a run cannot end, where it is told to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PositionError {
    /// The topic does not have this partition.
    #[error("topic '{topic}' has no partition {partition}; check {flag}")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where it is named.
        flag: &'static str,
    },
    /// The partition does not have this offset.
    #[error(
        "topic '{topic}' partition {partition} goes from offset {low} to {high}, {offset} is not \
         among them; check --from"
    )]
    OutOfRange {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset.
        offset: i64,
        /// The first that is there.
        low: i64,
        /// The one after the last.
        high: i64,
    },
}

/// Where a run ends in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The first offset that is not loaded.
    pub(crate) offset: i64,
    /// Whether everything before it was there already when the run started, so that the end of the
    /// partition is behind it.
    pub(crate) is_there: bool,
}

/// Commits the group's beginning where it has committed nothing, so that it stays that one whatever
/// happens before the first block is stored. Asks the broker, each time for up to the options' timeout.
pub(super) fn begin<C: ConsumerContext + 'static>(
    consumer: &StreamConsumer<C>,
    options: &LoadOptions,
    n_partitions: usize,
) -> Result<(), LoadError> {
    let (topic, timeout) = (options.topic.as_str(), options.kafka.timeout);
    let failed = |action| options.kafka.client_error(action);
    if let Beginning::Offsets(offsets) = &options.from {
        require_partitions(topic, offsets, n_partitions, "--from")?;
    }
    if options.from == Beginning::Earliest {
        return Ok(());
    }
    let mut asked = TopicPartitionList::new();
    for partition in partitions(n_partitions) {
        asked.add_partition(topic, partition);
    }
    let deadline = Instant::now() + timeout;
    let committed = coordinated(deadline, || consumer.committed_offsets(asked.clone(), timeout))
        .map_err(failed("reading offsets"))?;
    let is_new = |partition: &i32| {
        let found = committed.find_partition(topic, *partition);
        found.is_none_or(|found| !matches!(found.offset(), Offset::Offset(_)))
    };
    let new: Vec<i32> = partitions(n_partitions).filter(is_new).collect();
    if new.is_empty() {
        tracing::info!("the group goes on from what it has committed; --from changes nothing");
        return Ok(());
    }
    let mut begin = TopicPartitionList::new();
    let mut add = |partition, offset| {
        let added = begin.add_partition_offset(topic, partition, Offset::Offset(offset));
        added.map_err(failed("choosing offsets"))
    };
    let ends = |partition| {
        consumer.fetch_watermarks(topic, partition, timeout).map_err(failed("asking for the end"))
    };
    match &options.from {
        Beginning::Earliest => {}
        Beginning::Latest => {
            for partition in new {
                add(partition, ends(partition)?.1)?;
            }
        }
        Beginning::Time(ms) => {
            let mut asked = TopicPartitionList::new();
            for partition in new {
                let added = asked.add_partition_offset(topic, partition, Offset::Offset(*ms));
                added.map_err(failed("choosing offsets"))?;
            }
            let found = consumer.offsets_for_times(asked, timeout);
            for element in found.map_err(failed("asking for offsets of a time"))?.elements() {
                let partition = element.partition();
                let offset = match element.offset() {
                    Offset::Offset(offset) => offset,
                    _ => ends(partition)?.1,
                };
                add(partition, offset)?;
            }
        }
        Beginning::Offsets(offsets) => {
            for partition in new {
                let Some(&offset) = offsets.get(&partition) else { continue };
                let (low, high) = ends(partition)?;
                if !(low..=high).contains(&offset) {
                    let topic = topic.to_owned();
                    let error = PositionError::OutOfRange { topic, partition, offset, low, high };
                    return Err(error.into());
                }
                add(partition, offset)?;
            }
        }
    }
    if begin.count() == 0 {
        return Ok(());
    }
    match coordinated(deadline, || consumer.commit(&begin, CommitMode::Sync)) {
        Ok(()) => {
            tracing::info!(partitions = begin.count(), "committed where the group begins");
            Ok(())
        }
        Err(error) if has_members(&error) => {
            tracing::warn!(
                "the group has members already, which have chosen where it begins; --from changes \
                 nothing"
            );
            Ok(())
        }
        Err(error) => Err(failed("committing where the group begins")(error).into()),
    }
}

/// The bound of every partition.
pub(super) fn bounds<C: ConsumerContext + 'static>(
    consumer: &StreamConsumer<C>,
    options: &LoadOptions,
    until: &Ending,
    n_partitions: usize,
) -> Result<BTreeMap<i32, Bound>, LoadError> {
    let mut bounds = BTreeMap::new();
    let none = BTreeMap::new();
    let offsets = match until {
        Ending::End => &none,
        Ending::Offsets(offsets) => offsets,
    };
    require_partitions(&options.topic, offsets, n_partitions, "--until")?;
    for partition in partitions(n_partitions) {
        let ends = consumer.fetch_watermarks(&options.topic, partition, options.kafka.timeout);
        let (_, high) = ends.map_err(options.kafka.client_error("asking for the end"))?;
        let offset = offsets.get(&partition).copied().unwrap_or(high);
        bounds.insert(partition, Bound { offset, is_there: offset <= high });
    }
    Ok(bounds)
}

fn partitions(n_partitions: usize) -> std::ops::Range<i32> {
    0..i32::try_from(n_partitions).unwrap_or(i32::MAX)
}

fn require_partitions(
    topic: &str,
    offsets: &BTreeMap<i32, i64>,
    n_partitions: usize,
    flag: &'static str,
) -> Result<(), PositionError> {
    let there = partitions(n_partitions);
    match offsets.keys().find(|partition| !there.contains(partition)) {
        None => Ok(()),
        Some(&partition) => {
            Err(PositionError::NoPartition { topic: topic.to_owned(), partition, flag })
        }
    }
}

/// Asks until the group has a coordinator: a new cluster makes the topic of offsets when it is first
/// asked, and answers that there is none meanwhile.
fn coordinated<T>(deadline: Instant, mut ask: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    loop {
        match ask() {
            Err(error) if is_coordinator_missing(&error) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(100));
            }
            answer => return answer,
        }
    }
}

fn is_coordinator_missing(error: &LibError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::NotCoordinator
                | RDKafkaErrorCode::CoordinatorNotAvailable
                | RDKafkaErrorCode::CoordinatorLoadInProgress
        )
    )
}

/// A broker takes commits of those who are not members only where there are no members.
fn has_members(error: &LibError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::RebalanceInProgress
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_words_times_or_offsets() {
        assert_eq!("earliest".parse(), Ok(Beginning::Earliest));
        assert_eq!("latest".parse(), Ok(Beginning::Latest));
        assert_eq!("2023-11-14T22:13:20.5Z".parse(), Ok(Beginning::Time(1_700_000_000_500)));
        assert_eq!("2023-11-15T00:13:20+02:00".parse(), Ok(Beginning::Time(1_700_000_000_000)));
        assert_eq!("3:100".parse(), Ok(Beginning::Offsets([(3, 100)].into())));
        assert_eq!("1:0, 0:7".parse(), Ok(Beginning::Offsets([(0, 7), (1, 0)].into())));
        for wrong in ["", "first", "5", "1:", ":1", "-1:5", "1:-5", "0:1,0:2", "2023-11-14", "0:1,"]
        {
            assert_eq!(wrong.parse::<Beginning>(), Err(ParseBeginningError), "{wrong}");
        }
    }

    #[test]
    fn ends_are_a_word_or_offsets() {
        assert_eq!("end".parse(), Ok(Ending::End));
        assert_eq!("0:5".parse(), Ok(Ending::Offsets([(0, 5)].into())));
        assert_eq!("latest".parse::<Ending>(), Err(ParseEndingError));
    }

    #[test]
    fn partitions_that_are_not_there_are_named() {
        let error = require_partitions("t", &[(0, 1), (3, 1)].into(), 3, "--from").unwrap_err();
        assert_eq!(error.to_string(), "topic 't' has no partition 3; check --from");
    }
}
