use std::time::Duration;

use crate::kafka::{KafkaError, KafkaOptions};

/// librdkafka's own choice, where the user makes none.
const POLL_INTERVAL: Duration = Duration::from_secs(300);

/// The shortest that leaves time for an insert.
const MIN_POLL_INTERVAL: Duration = Duration::from_secs(10);

/// Longest insert, however long the poll interval.
const INSERT_TIMEOUT: Duration = Duration::from_secs(180);

const HANDOVER_TIMEOUT: Duration = Duration::from_secs(30);

/// Wait before an offset that could not be committed is tried again: as a rule the group is being
/// rebalanced, and the answer tells who owns the partition.
pub(crate) const COMMIT_PAUSE: Duration = Duration::from_millis(100);

/// How long commits are tried again while finishing. What stays uncommitted is not lost: whoever reads
/// it again inserts it with the same token. An attempt waits for a coordinator that is away for a
/// session of the group, 45 seconds by default, and is not cut short.
pub(crate) const LAST_COMMITS: Duration = Duration::from_secs(5);

/// Wait before the broker is asked again whether the end of the run is reached.
pub(crate) const ASK_PAUSE: Duration = Duration::from_millis(500);

const KEY: &str = "max.poll.interval.ms";

/// How long an insert may take on each of so many servers, which are tried one after the other: together
/// three fifths of the time after which the group takes partitions from a member that is not heard of,
/// and three minutes at most. So an insert has ended, one way or the other, before somebody else
/// begins to repeat it.
///
/// # Errors
///
/// [`KafkaError::Property`] where the user's `max.poll.interval.ms` leaves no time for an insert.
pub(crate) fn insert_timeout(
    kafka: &KafkaOptions,
    n_servers: usize,
) -> Result<Duration, KafkaError> {
    let interval = poll_interval(kafka);
    if interval < MIN_POLL_INTERVAL {
        let reason = format!(
            "an insert must end before it, volley needs {} at least",
            MIN_POLL_INTERVAL.as_millis()
        );
        return Err(KafkaError::Property { key: KEY.to_owned(), reason });
    }
    let n_servers = u32::try_from(n_servers).unwrap_or(u32::MAX).max(1);
    Ok((interval * 3 / 5 / n_servers).min(INSERT_TIMEOUT))
}

/// How long the group waits for inserts of partitions that it takes from this member: a tenth of the
/// same interval, and half a minute at most.
pub(crate) fn handover_timeout(kafka: &KafkaOptions) -> Duration {
    (poll_interval(kafka) / 10).min(HANDOVER_TIMEOUT)
}

fn poll_interval(kafka: &KafkaOptions) -> Duration {
    // What is no number librdkafka refuses, and says why.
    let interval = kafka.property(KEY).and_then(|text| text.parse().ok());
    interval.map_or(POLL_INTERVAL, Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(property: Option<&str>, expected: Result<u64, &str>) {
        let property = property.map(|value| format!("{KEY}={value}").parse().unwrap());
        let kafka = KafkaOptions {
            brokers: String::new(),
            properties: property.into_iter().collect(),
            timeout: Duration::from_secs(1),
        };
        let found = insert_timeout(&kafka, 1).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(Duration::from_secs).map_err(str::to_owned));
    }

    #[test]
    fn an_insert_ends_before_the_poll_interval() {
        check(None, Ok(180));
        check(Some("3600000"), Ok(180));
        check(Some("60000"), Ok(36));
        check(Some("10000"), Ok(6));
        check(Some("soon"), Ok(180));
        let refusal = "kafka property 'max.poll.interval.ms' is refused: an insert must end before \
                       it, volley needs 10000 at least; check --kafka";
        check(Some("9999"), Err(refusal));
    }

    #[test]
    fn servers_share_the_time_because_a_block_is_tried_at_each() {
        let kafka = KafkaOptions {
            brokers: String::new(),
            properties: Vec::new(),
            timeout: Duration::from_secs(1),
        };
        let each = |n_servers| insert_timeout(&kafka, n_servers).unwrap();
        assert_eq!([1, 2, 3].map(each), [180, 90, 60].map(Duration::from_secs));
    }
}
