use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use crate::human::{Bytes, Count, PerSecond, Seconds};

/// Over how long a rate is the mean.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// How a load is going.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadStatus {
    pub(crate) is_assigned: bool,
    pub(crate) n_partitions: usize,
    /// Rows loaded so far.
    pub(crate) n_rows: u64,
    /// Of all partitions; `None` where one is not known.
    pub(crate) lag_messages: Option<u64>,
    /// Of the partition that is furthest behind.
    pub(crate) lag_seconds: Option<f64>,
    /// Of the block that was loaded last.
    pub(crate) freshness_seconds: Option<f64>,
    pub(crate) n_inflight_bytes: u64,
    /// For how long ClickHouse has been away, and how often it was tried again.
    pub(crate) away: Option<(Duration, u64)>,
    pub(crate) n_dead_letters: u64,
}

/// How many rows there were lately, which tells how fast it goes.
#[derive(Debug, Default)]
pub(crate) struct Recent(VecDeque<(Instant, u64)>);

impl Recent {
    /// Rows in a second over the last few seconds, where there are `n_rows` in all now.
    pub(crate) fn rate(&mut self, now: Instant, n_rows: u64) -> PerSecond {
        self.0.push_back((now, n_rows));
        let is_old = |at: Instant| now.saturating_duration_since(at) >= RATE_WINDOW;
        while self.0.len() > 2 && self.0.get(1).is_some_and(|(at, _)| is_old(*at)) {
            self.0.pop_front();
        }
        let (at, n_rows_then) = self.0.front().copied().unwrap_or((now, n_rows));
        PerSecond(n_rows.saturating_sub(n_rows_then), now.saturating_duration_since(at))
    }
}

/// One line, without its end.
pub(crate) struct Line<'a>(pub(crate) &'a LoadStatus, pub(crate) PerSecond);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status, rate) = self;
        let seconds =
            |seconds: f64| Seconds(Duration::try_from_secs_f64(seconds).unwrap_or_default());
        if !status.is_assigned {
            return f.write_str("waiting for partitions");
        }
        if status.n_partitions == 0 {
            return f.write_str("no partitions: other members of the group have them all");
        }
        write!(f, "{rate} rows, {} in all", Count(status.n_rows))?;
        match status.lag_messages {
            None => f.write_str(" · lag not known yet")?,
            Some(0) => f.write_str(" · no lag")?,
            Some(n_messages) => {
                write!(f, " · lag {} messages", Count(n_messages))?;
                if let Some(age) = status.lag_seconds {
                    write!(f, ", {}", seconds(age))?;
                }
            }
        }
        if let Some(freshness) = status.freshness_seconds {
            write!(f, " · fresh {}", seconds(freshness))?;
        }
        write!(f, " · {} in flight", Bytes(status.n_inflight_bytes))?;
        if status.n_dead_letters > 0 {
            write!(f, " · {} put aside", Count(status.n_dead_letters))?;
        }
        if let Some((away, n_retries)) = status.away {
            let tries = if n_retries == 1 { "retry" } else { "retries" };
            write!(f, " · clickhouse away for {}, {n_retries} {tries}", Seconds(away))?;
        }
        Ok(())
    }
}

/// How a produce is going, on one line.
pub(crate) struct ProduceLine {
    pub(crate) rate: PerSecond,
    /// Rows acknowledged so far.
    pub(crate) n_rows: u64,
    pub(crate) n_inflight_bytes: u64,
}

impl fmt::Display for ProduceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rate, n_rows, n_inflight_bytes } = self;
        let (n_rows, in_flight) = (Count(*n_rows), Bytes(*n_inflight_bytes));
        write!(f, "{rate} rows, {n_rows} in all · {in_flight} in flight")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(n_rows: u64) -> LoadStatus {
        LoadStatus {
            is_assigned: true,
            n_partitions: 2,
            n_rows,
            lag_messages: Some(0),
            lag_seconds: None,
            freshness_seconds: None,
            n_inflight_bytes: 0,
            away: None,
            n_dead_letters: 0,
        }
    }

    #[track_caller]
    fn check(status: &LoadStatus, expected: &str) {
        let rate = PerSecond(1_200_000, Duration::from_secs(1));
        assert_eq!(Line(status, rate).to_string(), expected);
    }

    #[test]
    fn the_line_says_what_there_is_to_say() {
        let quiet = status(12_345);
        check(&LoadStatus { is_assigned: false, ..quiet }, "waiting for partitions");
        check(
            &LoadStatus { n_partitions: 0, ..quiet },
            "no partitions: other members of the group have them all",
        );
        check(&quiet, "1.20 M/s rows, 12,345 in all · no lag · 0 B in flight");
        let busy = LoadStatus {
            lag_messages: Some(4_567),
            lag_seconds: Some(3.4),
            freshness_seconds: Some(0.42),
            n_inflight_bytes: 12_300_000,
            away: Some((Duration::from_secs(12), 7)),
            n_dead_letters: 3,
            ..quiet
        };
        check(
            &busy,
            "1.20 M/s rows, 12,345 in all · lag 4,567 messages, 3.40 s · fresh 420 ms · 12.3 MB in \
             flight · 3 put aside · clickhouse away for 12.0 s, 7 retries",
        );
        check(
            &LoadStatus { lag_messages: None, away: Some((Duration::from_secs(1), 1)), ..quiet },
            "1.20 M/s rows, 12,345 in all · lag not known yet · 0 B in flight · clickhouse away for \
             1.00 s, 1 retry",
        );
    }

    #[test]
    fn the_rate_is_of_the_last_seconds() {
        let start = Instant::now();
        let mut recent = Recent::default();
        let mut rate = |seconds: u64, n_rows: u64| {
            recent.rate(start + Duration::from_secs(seconds), n_rows).to_string()
        };
        assert_eq!(rate(0, 0), "–");
        assert_eq!(rate(1, 1_000), "1.00 k/s");
        assert_eq!(rate(5, 1_000), "200/s");
        assert_eq!(rate(6, 1_000), "0.00/s");
    }
}
