use std::time::Duration;

use serde::Serialize;

use crate::human::Seconds;

/// An answer to a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether all is well.
    pub ok: bool,
    /// What is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The partitions that it is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<i32>,
}

/// How far a run is with its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// ClickHouse has answered.
    pub is_connected: bool,
    /// The consumer group has handed its partitions out.
    pub is_assigned: bool,
}

/// A partition that has something to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Behind {
    pub(crate) partition: i32,
    /// `None` where it is not known where it begins or ends.
    pub(crate) lag_messages: Option<u64>,
    /// For how long nothing of it was loaded.
    pub(crate) stuck_for: Duration,
}

impl Report {
    /// Nothing to complain of.
    pub fn well() -> Self {
        Self { ok: true, reason: None, partitions: Vec::new() }
    }

    /// Nothing was acknowledged for so long, of so many messages.
    pub(crate) fn unacknowledged(n_messages: u64, stuck_for: Duration) -> Self {
        let messages = match n_messages {
            1 => "1 message is".to_owned(),
            n => format!("{n} messages are"),
        };
        let stuck_for = Seconds(stuck_for);
        let reason = format!("{messages} in flight, and none was acknowledged for {stuck_for}");
        Self::ill(reason, Vec::new())
    }

    pub(crate) fn no_broker_yet() -> Self {
        Self::ill("no kafka broker has answered yet".to_owned(), Vec::new())
    }

    fn ill(reason: String, partitions: Vec<i32>) -> Self {
        Self { ok: false, reason: Some(reason), partitions }
    }

    /// Whether messages move: `behind` are the partitions that have something to load, `silent_for`
    /// is for how long the broker has not said where they end, `None` without partitions.
    pub(crate) fn health(
        behind: &[Behind],
        silent_for: Option<Duration>,
        stall_after: Duration,
    ) -> Self {
        let stalled = || behind.iter().filter(|found| found.stuck_for >= stall_after);
        if let Some(worst) = stalled().max_by_key(|found| found.stuck_for) {
            let waiting = match worst.lag_messages {
                Some(1) => "has 1 message to load".to_owned(),
                Some(n) => format!("has {n} messages to load"),
                None => "has not come to its end".to_owned(),
            };
            let reason = format!(
                "partition {} {waiting}, and nothing was loaded for {}",
                worst.partition,
                Seconds(worst.stuck_for)
            );
            return Self::ill(reason, stalled().map(|found| found.partition).collect());
        }
        match silent_for.filter(|silent_for| *silent_for >= stall_after) {
            Some(silent_for) => {
                let silent_for = Seconds(silent_for);
                let reason = format!("no kafka broker said for {silent_for} where partitions end");
                Self::ill(reason, Vec::new())
            }
            None => Self::well(),
        }
    }

    /// Whether the run is past its start.
    pub(crate) fn readiness(readiness: Readiness) -> Self {
        let reason = match readiness {
            Readiness { is_connected: false, .. } => "clickhouse has not answered yet",
            Readiness { is_assigned: false, .. } => {
                "the consumer group has not handed out partitions yet"
            }
            _ => return Self::well(),
        };
        Self::ill(reason.to_owned(), Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALL_AFTER: Duration = Duration::from_secs(60);

    fn behind(partition: i32, lag_messages: impl Into<Option<u64>>, seconds: u64) -> Behind {
        let stuck_for = Duration::from_secs(seconds);
        Behind { partition, lag_messages: lag_messages.into(), stuck_for }
    }

    #[track_caller]
    fn check(behind: &[Behind], silent_for: Option<u64>, expected: Result<(), (&str, &[i32])>) {
        let silent_for = silent_for.map(Duration::from_secs);
        let report = Report::health(behind, silent_for, STALL_AFTER);
        let expected = match expected {
            Ok(()) => Report::well(),
            Err((reason, partitions)) => Report::ill(reason.to_owned(), partitions.to_vec()),
        };
        assert_eq!(report, expected);
    }

    #[test]
    fn lag_alone_is_no_illness() {
        check(&[], None, Ok(()));
        check(&[], Some(59), Ok(()));
        check(&[behind(0, 1_000_000, 59), behind(1, None, 3)], Some(1), Ok(()));
    }

    #[test]
    fn the_partition_that_waits_longest_is_named() {
        let found = [behind(0, 5, 10), behind(3, 1, 60), behind(7, 40, 75), behind(9, None, 61)];
        let reason = "partition 7 has 40 messages to load, and nothing was loaded for 75.0 s";
        check(&found, Some(0), Err((reason, &[3, 7, 9])));
        let reason = "partition 3 has 1 message to load, and nothing was loaded for 60.0 s";
        check(&found[..2], Some(0), Err((reason, &[3])));
        let reason = "partition 9 has not come to its end, and nothing was loaded for 61.0 s";
        check(&found[3..], Some(0), Err((reason, &[9])));
    }

    #[test]
    fn a_broker_that_says_nothing_leaves_lag_unknown() {
        let reason = "no kafka broker said for 60.0 s where partitions end";
        check(&[], Some(60), Err((reason, &[])));
    }

    #[test]
    fn readiness_says_what_is_missing() {
        let report = |is_connected, is_assigned| {
            Report::readiness(Readiness { is_connected, is_assigned }).reason
        };
        assert!(report(false, false).unwrap().starts_with("clickhouse"));
        assert!(report(false, true).unwrap().starts_with("clickhouse"));
        assert!(report(true, false).unwrap().starts_with("the consumer group"));
        assert_eq!(report(true, true), None);
    }
}
