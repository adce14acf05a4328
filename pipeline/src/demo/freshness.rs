use std::{collections::HashMap, time::Duration};

/// How long each row took from being sampled to being queryable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freshness {
    /// µs, in order.
    sorted_us: Vec<u64>,
}

/// A message as the producer knew it.
#[derive(Clone, Debug)]
pub(crate) struct SentMessage {
    /// When each row was sampled, µs since the epoch.
    pub(crate) sampled_us: Vec<i64>,
}

/// Offsets of a partition that became queryable at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryableRange {
    pub(crate) partition: i32,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// µs since the epoch.
    pub(crate) at_us: i64,
}

impl Freshness {
    /// Joins what was sent with where it went and when that became queryable.
    pub(crate) fn of(
        sent: &HashMap<u64, SentMessage>,
        placed: &HashMap<(i32, i64), u64>,
        queryable: &[QueryableRange],
    ) -> Self {
        let mut sorted_us = Vec::new();
        for range in queryable {
            for offset in range.first..=range.last {
                let message = placed.get(&(range.partition, offset)).and_then(|n| sent.get(n));
                let rows = message.map_or(&[][..], |message| &message.sampled_us);
                sorted_us.extend(rows.iter().map(|row| (range.at_us - row).max(0).unsigned_abs()));
            }
        }
        sorted_us.sort_unstable();
        Self { sorted_us }
    }

    /// The time that `percent` of the rows did not exceed (nearest rank); zero without rows.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.sorted_us.len() * percent).div_ceil(100);
        let value = self.sorted_us.get(rank.saturating_sub(1));
        Duration::from_micros(value.copied().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_counts_from_its_own_sample() {
        let sent = HashMap::from([
            (0, SentMessage { sampled_us: vec![0, 10] }),
            (1, SentMessage { sampled_us: vec![20] }),
        ]);
        let placed = HashMap::from([((3, 7), 0), ((3, 8), 1)]);
        let range = |first, last, at_us| QueryableRange { partition: 3, first, last, at_us };
        let freshness = Freshness::of(&sent, &placed, &[range(7, 7, 110), range(8, 8, 120)]);
        assert_eq!(freshness.sorted_us, [100, 100, 110]);
        assert_eq!(freshness.percentile(50), Duration::from_micros(100));
        assert_eq!(freshness.percentile(99), Duration::from_micros(110));
        assert_eq!(Freshness::default().percentile(50), Duration::ZERO);
    }
}
