use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::clock::Now;
use crate::load::Received;

/// How far a partition is: what was read and not loaded yet, and where it ends.
#[derive(Debug)]
pub(crate) struct Partition {
    /// Read, and neither in the table nor among the dead letters; in order of offset.
    waiting: VecDeque<Received>,
    n_waiting_rows: u64,
    /// Offset of the next message to read; `None` before that is known.
    next: Option<i64>,
    /// Offset behind the last message, as the broker said last.
    end: Option<i64>,
    /// When the consumer came to the end, until it is known where that is, or it has read on.
    at_end: Option<Instant>,
    /// Kafka's timestamp of the last message that was loaded.
    loaded_ms: Option<i64>,
    n_messages: u64,
    n_rows: u64,
    /// When something was loaded last, or when there came to be something to load.
    moved_at: Instant,
}

impl Partition {
    /// One that was just assigned.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            waiting: VecDeque::new(),
            n_waiting_rows: 0,
            next: None,
            end: None,
            at_end: None,
            loaded_ms: None,
            n_messages: 0,
            n_rows: 0,
            moved_at: now,
        }
    }

    /// Loading goes on at an offset that the group has committed.
    pub(crate) fn resumed(&mut self, offset: i64) {
        self.next = Some(offset);
    }

    pub(crate) fn received(&mut self, message: Received, now: Instant) {
        self.note_if_idle(now);
        self.at_end = None;
        self.next = Some(message.offset.saturating_add(1));
        self.n_messages += 1;
        self.n_rows += message.n_rows;
        self.n_waiting_rows += message.n_rows;
        self.waiting.push_back(message);
    }

    pub(crate) fn reached_end(&mut self, now: Instant) {
        self.at_end = Some(now);
    }

    /// The broker was asked at `asked_at` and said that the partition ends before this offset.
    pub(crate) fn ends_at(&mut self, end: i64, asked_at: Instant, now: Instant) {
        self.note_if_idle(now);
        self.end = Some(end);
        // A partition may end with what is no message: markers of transactions, gaps of compaction.
        // The consumer tells of each end that it comes to, and not where that is.
        if self.at_end.take_if(|at_end| *at_end <= asked_at).is_some() {
            self.next = self.next.max(Some(end));
        }
    }

    /// Takes out what waited up to an offset, which is loaded now.
    pub(crate) fn loaded(&mut self, last: i64, now: Instant) -> Vec<Received> {
        let n_loaded = self.waiting.partition_point(|message| message.offset <= last);
        let loaded: Vec<_> = self.waiting.drain(..n_loaded).collect();
        self.n_waiting_rows -= loaded.iter().map(|message| message.n_rows).sum::<u64>();
        self.loaded_ms = loaded.iter().rev().find_map(|m| m.timestamp_ms).or(self.loaded_ms);
        self.moved_at = now;
        loaded
    }

    /// A message that waits is among the dead letters: its rows will not be loaded.
    pub(crate) fn put_aside(&mut self, offset: i64) {
        let found = self.waiting.binary_search_by_key(&offset, |message| message.offset);
        if let Some(message) = found.ok().and_then(|i| self.waiting.get_mut(i)) {
            self.n_waiting_rows -= message.n_rows;
            message.n_rows = 0;
            message.oldest_us = None;
        }
    }

    /// Messages from the first that is not loaded to the end; `None` while either is unknown. Offsets
    /// that compaction has emptied count as messages.
    pub(crate) fn lag_messages(&self) -> Option<u64> {
        let next = self.next?;
        let first = self.waiting.front().map_or(next, |message| message.offset);
        u64::try_from(self.end?.max(next).saturating_sub(first).max(0)).ok()
    }

    /// Rows in those messages: those that were read are counted, the others are taken to have as many
    /// as the mean of those read so far, or `rows_per_message` where none was.
    pub(crate) fn lag_rows(&self, rows_per_message: f64) -> Option<f64> {
        let n_unread = self.lag_messages()?.saturating_sub(self.waiting.len() as u64);
        let own = self.n_rows as f64 / self.n_messages as f64;
        let mean = if self.n_messages > 0 { own } else { rows_per_message };
        Some(self.n_waiting_rows as f64 + n_unread as f64 * mean)
    }

    /// Age of the first message that is not loaded, by Kafka's timestamp; of the last one that was
    /// loaded, which is at least as old, where the first was not read yet. Zero without lag.
    pub(crate) fn lag_seconds(&self, now: Now) -> Option<f64> {
        if self.is_idle() {
            return Some(0.0);
        }
        let first = self.waiting.front().and_then(|message| message.timestamp_ms);
        let millis = first.or(self.loaded_ms)?;
        Some(now.seconds_since(millis.saturating_mul(1000)))
    }

    /// For how long nothing was loaded although there is something to load.
    pub(crate) fn stuck_for(&self, now: Instant) -> Option<Duration> {
        (!self.is_idle()).then(|| now.saturating_duration_since(self.moved_at))
    }

    /// Messages and rows read so far.
    pub(crate) fn n_read(&self) -> (u64, u64) {
        (self.n_messages, self.n_rows)
    }

    /// Whether nothing is left to load, as far as is known. Before anything is known there may be.
    fn is_idle(&self) -> bool {
        let is_through = self.lag_messages().map_or(self.at_end.is_some(), |lag| lag == 0);
        is_through && self.waiting.is_empty()
    }

    /// Time that passed while there was nothing to do is no standstill.
    fn note_if_idle(&mut self, now: Instant) {
        if self.is_idle() {
            self.moved_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A partition, and seconds since it was assigned.
    struct Script {
        partition: Partition,
        start: Instant,
        seconds: u64,
    }

    impl Script {
        fn new() -> Self {
            let start = Instant::now();
            Self { partition: Partition::new(start), start, seconds: 0 }
        }

        fn now(&self) -> Instant {
            self.start + Duration::from_secs(self.seconds)
        }

        fn at(&mut self, seconds: u64) -> &mut Self {
            self.seconds = seconds;
            self
        }

        fn received(&mut self, offset: i64, n_rows: u64) -> &mut Self {
            let timestamp_ms = Some(offset * 1000);
            let message = Received { offset, n_rows, timestamp_ms, oldest_us: Some(offset) };
            self.partition.received(message, self.now());
            self
        }

        fn reached_end(&mut self) -> &mut Self {
            self.partition.reached_end(self.now());
            self
        }

        /// Asked now, answered now.
        fn ends_at(&mut self, end: i64) -> &mut Self {
            self.partition.ends_at(end, self.now(), self.now());
            self
        }

        fn loaded(&mut self, last: i64) -> &mut Self {
            self.partition.loaded(last, self.now());
            self
        }

        /// Messages, rows and seconds of lag; seconds since something moved.
        #[track_caller]
        fn check(&self, lag: (Option<u64>, Option<f64>, Option<f64>), stuck_for: Option<u64>) {
            let now = Now { instant: self.now(), unix_us: 1_000_000_000 };
            let partition = &self.partition;
            let found =
                (partition.lag_messages(), partition.lag_rows(7.0), partition.lag_seconds(now));
            assert_eq!(found, lag);
            assert_eq!(partition.stuck_for(now.instant), stuck_for.map(Duration::from_secs));
        }
    }

    #[test]
    fn lag_is_not_known_before_it_is_known_where_it_begins_and_ends() {
        let mut script = Script::new();
        script.check((None, None, None), Some(0));
        script.at(70).ends_at(5).check((None, None, None), Some(70));
        script.partition.resumed(3);
        script.check((Some(2), Some(14.0), None), Some(70));
    }

    #[test]
    fn lag_ends_with_what_is_loaded_not_with_what_is_read() {
        let mut script = Script::new();
        script.received(10, 100).received(11, 300).ends_at(14);
        script.check((Some(4), Some(800.0), Some(990.0)), Some(0));
        script.at(5).loaded(10).check((Some(3), Some(700.0), Some(989.0)), Some(0));
        script.received(12, 200).received(13, 200).at(9).loaded(13);
        script.check((Some(0), Some(0.0), Some(0.0)), None);
    }

    #[test]
    fn an_unread_message_is_at_most_as_old_as_the_last_that_was_loaded() {
        let mut script = Script::new();
        script.received(10, 1).loaded(10).ends_at(12);
        script.check((Some(1), Some(1.0), Some(990.0)), Some(0));
    }

    #[test]
    fn time_without_anything_to_do_is_no_standstill() {
        let mut script = Script::new();
        script.reached_end().ends_at(0).at(100).check((Some(0), Some(0.0), Some(0.0)), None);
        script.ends_at(1).at(130).check((Some(1), Some(7.0), None), Some(30));
        script.received(0, 2).check((Some(1), Some(2.0), Some(1000.0)), Some(30));
        script.loaded(0).at(500).received(1, 2).at(501);
        script.check((Some(1), Some(2.0), Some(999.0)), Some(1));
    }

    #[test]
    fn a_partition_may_end_with_what_is_no_message() {
        let mut script = Script::new();
        script
            .received(0, 1)
            .loaded(0)
            .ends_at(2)
            .check((Some(1), Some(1.0), Some(1000.0)), Some(0));
        // Asked before it was at its end, so that a message may lie between.
        let asked_at = script.now();
        script.at(1).reached_end();
        script.partition.ends_at(2, asked_at, script.now());
        script.check((Some(1), Some(1.0), Some(1000.0)), Some(1));
        script.ends_at(2).check((Some(0), Some(0.0), Some(0.0)), None);
        script.at(9).ends_at(3).check((Some(1), Some(1.0), Some(1000.0)), Some(0));
    }

    #[test]
    fn rows_of_a_dead_letter_are_not_waited_for() {
        let mut script = Script::new();
        script.received(4, 10).received(6, 20).ends_at(7);
        script.partition.put_aside(6);
        script.partition.put_aside(5);
        script.check((Some(3), Some(25.0), Some(996.0)), Some(0));
        let loaded = script.partition.loaded(6, script.now());
        assert_eq!(
            loaded.iter().map(|message| message.oldest_us).collect::<Vec<_>>(),
            [Some(4), None]
        );
        script.check((Some(0), Some(0.0), Some(0.0)), None);
    }
}
