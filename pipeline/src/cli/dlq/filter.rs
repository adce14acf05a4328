use std::num::NonZeroUsize;

use clap::Args;
use jiff::{Timestamp, civil, tz::TimeZone};

use crate::{
    dlq::{Filter, LetterId},
    human::parse_duration,
};

/// Which dead letters a command is about.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which")]
pub(super) struct FilterArgs {
    /// Only those of this cause (no-value, checksum, damaged, schema, values, refused) or code, such
    /// as body-length or 117; may be given several times
    #[arg(long, value_name = "CAUSE")]
    cause: Vec<String>,

    /// Only those put aside since: 2h for the last two hours, or a time such as
    /// 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_since)]
    since: Option<Timestamp>,

    /// Only those from this partition of the topic that was loaded
    #[arg(long, value_name = "N")]
    partition: Option<u16>,

    /// Only the first N, in the order in which they lie
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroUsize>,
}

impl FilterArgs {
    pub(super) fn filter(&self, ids: &[LetterId]) -> Filter {
        Filter {
            ids: ids.iter().copied().collect(),
            causes: self.cause.clone(),
            since: self.since,
            partition: self.partition.map(i32::from),
            limit: self.limit.map(NonZeroUsize::get),
            with_replayed: false,
        }
    }
}

/// A time, in UTC where it names no zone, or how long ago it was.
fn parse_since(text: &str) -> Result<Timestamp, String> {
    if let Ok(ago) = parse_duration(text) {
        return Timestamp::now().checked_sub(ago).map_err(|error| error.to_string());
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let in_utc = |time: civil::DateTime| TimeZone::UTC.to_timestamp(time);
    text.parse().and_then(in_utc).map_err(|_| {
        "expected a duration such as 2h, or a time such as 2026-01-31T12:00:00Z".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_given_or_so_long_ago() {
        let noon = "2026-01-31T12:00:00Z".parse::<Timestamp>().unwrap();
        for text in ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00", "2026-01-31T13:00:00+01:00"] {
            assert_eq!(parse_since(text), Ok(noon), "{text}");
        }
        assert_eq!(parse_since("2026-01-31").unwrap().to_string(), "2026-01-31T00:00:00Z");
        let ago = parse_since("2h").unwrap().duration_until(Timestamp::now()).as_secs();
        assert!((7_200..7_260).contains(&ago), "{ago}");
        for wrong in ["", "yesterday", "12:00", "-2h", "2026-13-01"] {
            assert!(parse_since(wrong).is_err(), "{wrong}");
        }
    }
}
