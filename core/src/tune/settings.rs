use std::{fmt, time::Duration};

use serde::Serialize;

use super::{Goal, Point};
use crate::codec::Framing;

/// What `volley produce` does untold.
const DEFAULT_LINGER: Duration = Duration::from_secs(1);
const DEFAULT_BYTES_PER_BATCH: f64 = 4e6;

/// The value of a flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Setting {
    /// A number.
    Number(u64),
    /// Anything else, as users write it.
    Text(String),
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What `volley produce` has to be told, by the names of its flags, so that batches are cut at this
/// number of rows and not at another limit before.
pub fn settings(
    goal: &Goal,
    point: &Point,
    raw_bytes_per_row: f64,
) -> Vec<(&'static str, Setting)> {
    let mut settings = vec![
        ("rows-per-batch", Setting::Number(point.rows as u64)),
        ("codec", Setting::Text(point.codec.to_string())),
    ];
    if point.framing != Framing::default() {
        settings.push(("framing", Setting::Text(point.framing.to_string())));
    }
    let raw_bytes = raw_bytes_per_row * point.rows as f64;
    if raw_bytes > DEFAULT_BYTES_PER_BATCH * 0.9 {
        let megabytes = (raw_bytes * 1.25 / 1e6).ceil() as u64;
        settings.push(("bytes-per-batch", Setting::Text(format!("{megabytes}MB"))));
    }
    let fill = goal.rate.map(|rate| point.rows as f64 / rate * 1.25);
    if let Some(fill) = fill.filter(|fill| *fill > DEFAULT_LINGER.as_secs_f64()) {
        let linger = format!("{}s", fill.ceil() as u64);
        let linger =
            goal.max_latency.map_or(linger, |limit| format!("{}ms", limit.as_millis().max(1)));
        settings.push(("linger", Setting::Text(linger)));
    } else if let Some(limit) = goal.max_latency.filter(|limit| *limit < DEFAULT_LINGER) {
        settings.push(("linger", Setting::Text(format!("{}ms", limit.as_millis().max(1)))));
    }
    settings
}

/// The command that says so.
pub fn command(settings: &[(&'static str, Setting)]) -> String {
    let flags = settings.iter().map(|(flag, value)| format!(" --{flag} {value}"));
    format!("volley produce{}", flags.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;

    #[track_caller]
    fn check(rows: usize, goal: Goal, expected: &[(&str, &str)]) {
        let point = Point { rows, codec: Codec::None, framing: Framing::Stream, dictionary: false };
        let settings = settings(&goal, &point, 40.0);
        let beside = settings.iter().skip(2).map(|(key, value)| (*key, value.to_string()));
        let expected = expected.iter().map(|(key, value)| (*key, (*value).to_owned()));
        assert_eq!(beside.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    /// A batch of `volley produce` ends at whichever limit it reaches first.
    #[test]
    fn no_other_limit_cuts_the_batch_before_its_rows() {
        let goal = Goal::default();
        check(1000, goal, &[]);
        check(200_000, goal, &[("bytes-per-batch", "10MB")]);
        check(1000, Goal { rate: Some(2000.0), ..goal }, &[]);
        check(1000, Goal { rate: Some(100.0), ..goal }, &[("linger", "13s")]);
        let soon = Goal { max_latency: Some(Duration::from_millis(300)), ..goal };
        check(1000, Goal { rate: Some(10_000.0), ..soon }, &[("linger", "300ms")]);
        let late = Goal { max_latency: Some(Duration::from_secs(60)), ..goal };
        check(1000, Goal { rate: Some(100.0), ..late }, &[("linger", "60000ms")]);
        check(1000, Goal { rate: Some(10_000.0), ..late }, &[]);
    }

    #[test]
    fn commands_are_pasted() {
        let point =
            Point { rows: 500, codec: Codec::Lz4, framing: Framing::File, dictionary: false };
        let settings = settings(&Goal::default(), &point, 40.0);
        let expected = "volley produce --rows-per-batch 500 --codec lz4 --framing file";
        assert_eq!(command(&settings), expected);
    }
}
