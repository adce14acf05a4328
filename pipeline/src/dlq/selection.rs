use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

use jiff::Timestamp;
use serde::Serialize;

use super::{DlqError, Letter, LetterId, Origin, Progress, Reader, letter::Entry, reader::Range};
use crate::kafka::FetchedMessage;

/// Which dead letters are meant; every condition that is set has to hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// These; all if empty.
    pub(crate) ids: BTreeSet<LetterId>,
    /// One of these causes or codes; any if empty.
    pub(crate) causes: Vec<String>,
    /// Put aside at this time or later.
    pub(crate) since: Option<Timestamp>,
    /// From this partition of the topic that was loaded.
    pub(crate) partition: Option<i32>,
    /// The first so many, in order of partition and offset.
    pub(crate) limit: Option<usize>,
    /// Also those that were replayed.
    pub(crate) with_replayed: bool,
}

/// What a read of the whole topic has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Letters that the filter takes, before its limit, by cause.
    pub(crate) causes: BTreeMap<String, u64>,
    /// Letters that the filter would take, had they not been replayed.
    pub(crate) n_replayed: u64,
    /// Letters that are the same message as one before, and count as that one.
    pub(crate) n_repeated: u64,
}

/// The letters that a filter takes, and where to read them.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) found: Found,
    /// Whether each was replayed.
    ids: BTreeMap<LetterId, LetterState>,
    ranges: Vec<Range>,
}

/// Whether a letter was sent back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LetterState {
    Waiting,
    Replayed,
}

impl LetterState {
    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Replayed => "replayed",
        }
    }
}

impl Found {
    /// Letters of all causes.
    pub(crate) fn n_letters(&self) -> u64 {
        self.causes.values().sum()
    }
}

impl Filter {
    fn takes(&self, letter: &Letter) -> bool {
        let Letter { id, origin, cause, code, time, .. } = letter;
        let is_cause = |wanted: &String| wanted == cause || code.as_ref() == Some(wanted);
        (self.ids.is_empty() || self.ids.contains(id))
            && (self.causes.is_empty() || self.causes.iter().any(is_cause))
            && self.since.is_none_or(|since| time.is_some_and(|time| time >= since))
            && self.partition.is_none_or(|wanted| {
                origin.as_ref().is_some_and(|origin| origin.partition == wanted)
            })
    }
}

impl Selection {
    /// Reads the whole topic, to know what was replayed. Keeps some 100 bytes of each letter.
    ///
    /// # Errors
    ///
    /// [`DlqError`]; [`DlqError::NoLetter`] where the filter names one that is not there.
    pub(crate) fn make(
        reader: &Reader,
        filter: &Filter,
        progress: &mut dyn Progress,
    ) -> Result<Self, DlqError> {
        let ranges = reader.ranges()?;
        let mut index = Index::default();
        reader.read(&ranges, progress, |partition, message| {
            index.add(filter, partition, &message);
            Ok::<(), DlqError>(())
        })?;
        let missing = filter.ids.iter().find(|id| !index.identities.contains_key(*id));
        if let Some(id) = missing
            && !reader.is_stopped()
        {
            return Err(DlqError::NoLetter { topic: reader.topic().to_owned(), id: *id });
        }
        Ok(index.select(filter, &ranges))
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Reads the letters again, and gives each with its message to `each`, in order.
    ///
    /// # Errors
    ///
    /// Those of reading, and of `each`.
    pub(crate) fn read<E: From<DlqError>>(
        &self,
        reader: &Reader,
        progress: &mut dyn Progress,
        mut each: impl FnMut(Letter, LetterState, FetchedMessage) -> Result<(), E>,
    ) -> Result<(), E> {
        reader.read(&self.ranges, progress, |partition, message| {
            let id = LetterId { partition, offset: message.offset };
            let Some(state) = self.ids.get(&id) else { return Ok(()) };
            match Entry::of(partition, &message) {
                Entry::Letter(letter) => each(*letter, *state, message),
                Entry::Receipt { .. } => Ok(()),
            }
        })
    }
}

/// Tells one message from another: a loader that crashes before it commits writes the same message
/// twice, and it is to be replayed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity(u64);

/// All letters of a topic, and among them those that a filter takes, before its limit.
#[derive(Debug, Default)]
struct Index {
    /// Of every letter.
    identities: HashMap<LetterId, Identity>,
    replayed: HashSet<Identity>,
    /// Those that the filter takes, with their cause.
    letters: BTreeMap<LetterId, Arc<str>>,
    /// Each cause once.
    causes: HashSet<Arc<str>>,
    hasher: RandomState,
}

impl Index {
    fn add(&mut self, filter: &Filter, partition: i32, message: &FetchedMessage) {
        match Entry::of(partition, message) {
            Entry::Receipt { offset } => {
                let id = LetterId { partition, offset };
                self.replayed.extend(self.identities.get(&id));
            }
            Entry::Letter(letter) => {
                self.identities.insert(letter.id, self.identity(&letter, message));
                if filter.takes(&letter) {
                    let known = self.causes.get(&*letter.cause).cloned();
                    let cause = known.unwrap_or_else(|| {
                        let cause: Arc<str> = letter.cause.as_str().into();
                        self.causes.insert(cause.clone());
                        cause
                    });
                    self.letters.insert(letter.id, cause);
                }
            }
        }
    }

    fn identity(&self, letter: &Letter, message: &FetchedMessage) -> Identity {
        Identity(match &letter.origin {
            Some(Origin { topic, partition, offset }) => {
                // Offsets begin anew in a topic that is made anew.
                let place = (topic, partition, offset, letter.timestamp);
                self.hasher.hash_one((place, &message.value))
            }
            None => self.hasher.hash_one(letter.id),
        })
    }

    fn select(self, filter: &Filter, ranges: &[Range]) -> Selection {
        let mut found = Found::default();
        let mut ids = BTreeMap::new();
        let mut seen = HashSet::new();
        for (id, cause) in self.letters {
            let Some(identity) = self.identities.get(&id) else { continue };
            if !seen.insert(identity) {
                found.n_repeated += 1;
                continue;
            }
            let state = if self.replayed.contains(identity) {
                LetterState::Replayed
            } else {
                LetterState::Waiting
            };
            found.n_replayed += u64::from(state == LetterState::Replayed);
            if state == LetterState::Waiting || filter.with_replayed {
                *found.causes.entry(cause.to_string()).or_default() += 1;
                if filter.limit.is_none_or(|limit| ids.len() < limit) {
                    ids.insert(id, state);
                }
            }
        }
        // Only what lies between the first and the last of each partition is read again.
        let narrowed = ranges.iter().filter_map(|range| {
            let at = |offset| LetterId { partition: range.partition, offset };
            let mut inside = ids.range(at(0)..=at(i64::MAX)).map(|(id, _)| id.offset);
            let next = inside.next()?;
            let end = inside.next_back().unwrap_or(next) + 1;
            Some(Range { partition: range.partition, next, end })
        });
        Selection { found, ranges: narrowed.collect(), ids }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dlq::letter::receipt;

    fn message(offset: i64, headers: &[(&str, &str)]) -> FetchedMessage {
        let owned =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Some(value.as_bytes().to_vec()));
        FetchedMessage {
            offset,
            timestamp: rdkafka::Timestamp::NotAvailable,
            key: None,
            headers: headers.iter().map(owned).collect(),
            value: None,
        }
    }

    /// Eight letters, of two causes and two partitions, of which the one at 1 was replayed.
    fn select(filter: &Filter) -> Selection {
        let mut index = Index::default();
        for offset in 0..8_i64 {
            let (partition, time) = ((offset % 2).to_string(), (offset * 1000).to_string());
            let letter = message(
                offset,
                &[
                    ("volley-dlq-cause", ["damaged", "refused"][usize::from(offset >= 4)]),
                    ("volley-dlq-code", if offset == 5 { "117" } else { "0" }),
                    ("volley-dlq-topic", "t"),
                    ("volley-dlq-partition", &partition),
                    ("volley-dlq-offset", &time),
                    ("volley-dlq-time", &time),
                ],
            );
            index.add(filter, 0, &letter);
        }
        let replayed = LetterId { partition: 0, offset: 1 };
        let headers = receipt(replayed, "t", Timestamp::UNIX_EPOCH);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        index.add(filter, 0, &message(8, &headers));
        index.select(filter, &[Range { partition: 0, next: 0, end: 9 }])
    }

    #[track_caller]
    fn check(filter: &Filter, expected: &[i64]) -> Selection {
        let selection = select(filter);
        let offsets: Vec<_> = selection.ids.keys().map(|id| id.offset).collect();
        assert_eq!(offsets, expected);
        selection
    }

    #[test]
    fn conditions_hold_together() {
        let all = check(&Filter::default(), &[0, 2, 3, 4, 5, 6, 7]);
        assert_eq!(all.found.n_replayed, 1);
        let counts: Vec<_> = all.found.causes.into_iter().collect();
        assert_eq!(counts, [("damaged".to_owned(), 3), ("refused".to_owned(), 4)]);
        let causes = |causes: &[&str]| causes.iter().map(|cause| (*cause).to_owned()).collect();
        check(&Filter { causes: causes(&["damaged"]), ..Filter::default() }, &[0, 2, 3]);
        check(&Filter { causes: causes(&["117", "damaged"]), ..Filter::default() }, &[0, 2, 3, 5]);
        check(&Filter { partition: Some(1), ..Filter::default() }, &[3, 5, 7]);
        let since = Some(Timestamp::from_second(4).unwrap());
        check(&Filter { since, partition: Some(0), ..Filter::default() }, &[4, 6]);
        check(
            &Filter { with_replayed: true, partition: Some(1), ..Filter::default() },
            &[1, 3, 5, 7],
        );
        let ids = ["0/3", "0/6"].map(|id| id.parse().unwrap()).into();
        check(&Filter { ids, ..Filter::default() }, &[3, 6]);
    }

    #[test]
    fn a_message_that_was_written_twice_is_one() {
        let letter = |offset: i64, origin: &str| {
            message(
                offset,
                &[
                    ("volley-dlq-cause", "damaged"),
                    ("volley-dlq-topic", "t"),
                    ("volley-dlq-partition", "0"),
                    ("volley-dlq-offset", origin),
                ],
            )
        };
        let all = Filter::default();
        let second = Filter { ids: [LetterId { partition: 0, offset: 1 }].into(), ..all.clone() };
        for (filter, expected) in [(&all, vec![0, 2]), (&second, vec![1])] {
            let mut index = Index::default();
            let letters = [letter(0, "7"), letter(1, "7"), letter(2, "8")];
            letters.iter().for_each(|letter| index.add(filter, 0, letter));
            let selection = index.select(filter, &[]);
            let offsets: Vec<_> = selection.ids.keys().map(|id| id.offset).collect();
            assert_eq!(offsets, expected);
            assert_eq!(selection.found.n_repeated, u64::from(filter.ids.is_empty()));
        }
        // Replayed as the one, it is replayed as the other.
        let mut index = Index::default();
        index.add(&second, 0, &letter(0, "7"));
        index.add(&second, 0, &letter(1, "7"));
        let headers = receipt(LetterId { partition: 0, offset: 0 }, "t", Timestamp::UNIX_EPOCH);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, &**value)).collect();
        index.add(&second, 0, &message(2, &headers));
        let selection = index.select(&second, &[]);
        assert_eq!((selection.len(), selection.found.n_replayed), (0, 1));
    }

    #[test]
    fn a_limit_takes_the_first_of_those_that_wait_and_reads_no_further() {
        let selection = check(&Filter { limit: Some(2), ..Filter::default() }, &[0, 2]);
        assert_eq!(selection.found.causes.values().sum::<u64>(), 7);
        assert_eq!(selection.ranges, [Range { partition: 0, next: 0, end: 3 }]);
        let none = check(&Filter { causes: vec!["none".to_owned()], ..Filter::default() }, &[]);
        assert_eq!(none.ranges, []);
    }
}
