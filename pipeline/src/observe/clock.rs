use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One moment by both clocks: what passes is measured by the first, what is stamped by the second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    /// µs since the epoch.
    pub(crate) unix_us: i64,
}

impl Now {
    /// This moment.
    pub(crate) fn read() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_us = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
        Self { instant: Instant::now(), unix_us }
    }

    /// What the wall clock showed at an earlier moment.
    pub(crate) fn unix_us_at(self, earlier: Instant) -> i64 {
        let passed = self.instant.saturating_duration_since(earlier).as_micros();
        self.unix_us.saturating_sub(i64::try_from(passed).unwrap_or(i64::MAX))
    }

    /// Seconds since a stamp of the wall clock; zero where that is in the future, as it may be where
    /// clocks differ.
    pub(crate) fn seconds_since(self, unix_us: i64) -> f64 {
        self.unix_us.saturating_sub(unix_us).max(0) as f64 / 1e6
    }
}
