use std::{fmt, str::FromStr};

/// Where one message is: `kafka://HOST[:PORT][,…]/TOPIC/PARTITION/OFFSET`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageAddress {
    /// Bootstrap addresses, with commas between.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Which message of the partition.
    pub offset: MessageOffset,
}

/// Which message of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOffset {
    /// The oldest that the broker still has.
    Earliest,
    /// The newest.
    Latest,
    /// The one at this offset.
    At(i64),
}

/// A text is not a [`MessageAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; expected kafka://HOST:PORT/TOPIC/PARTITION/OFFSET")]
pub struct ParseAddressError {
    reason: &'static str,
}

impl FromStr for MessageAddress {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |reason| ParseAddressError { reason };
        let rest = text.strip_prefix("kafka://").ok_or(wrong("not a kafka address"))?;
        let mut parts = rest.splitn(4, '/');
        let (Some(brokers), Some(topic), Some(partition), Some(offset)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("a part is missing"));
        };
        if brokers.contains('@') {
            return Err(wrong("leave the user out and use --kafka sasl.username=NAME"));
        }
        let is_host = |c: char| c.is_ascii_alphanumeric() || "._-:[]%".contains(c);
        if brokers.split(',').any(|host| host.is_empty() || !host.chars().all(is_host)) {
            return Err(wrong("no broker can have that address"));
        }
        if !is_topic(topic) {
            return Err(wrong("no topic can have that name"));
        }
        let partition = whole(partition).and_then(|number| i32::try_from(number).ok());
        let offset = match offset {
            "earliest" => Some(MessageOffset::Earliest),
            "latest" => Some(MessageOffset::Latest),
            number => whole(number).map(MessageOffset::At),
        };
        Ok(Self {
            brokers: brokers.to_owned(),
            topic: topic.to_owned(),
            partition: partition.ok_or(wrong("the partition is not a number"))?,
            offset: offset.ok_or(wrong("the offset is no number, 'earliest' or 'latest'"))?,
        })
    }
}

impl fmt::Display for MessageAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kafka://{}/{}/{}/", self.brokers, self.topic, self.partition)?;
        match self.offset {
            MessageOffset::Earliest => f.write_str("earliest"),
            MessageOffset::Latest => f.write_str("latest"),
            MessageOffset::At(offset) => write!(f, "{offset}"),
        }
    }
}

/// What Kafka itself allows: letters, digits, `.`, `_`, `-`, at most 249 of them.
pub(crate) fn is_topic(text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=249).contains(&text.len()) && text.chars().all(is_legal) && !matches!(text, "." | "..")
}

/// Without a sign, which `parse` alone would take.
fn whole(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        for (text, offset) in [
            ("kafka://localhost:9092/metrics/0/42", MessageOffset::At(42)),
            ("kafka://a,b:1,[::1]:9092/a.b_c-D9/3/earliest", MessageOffset::Earliest),
            ("kafka://broker/t/2147483647/latest", MessageOffset::Latest),
        ] {
            let address: MessageAddress = text.parse().unwrap();
            assert_eq!((address.offset, address.to_string()), (offset, text.to_owned()));
        }
    }

    #[track_caller]
    fn check(text: &str, reason: &str) {
        let error = text.parse::<MessageAddress>().unwrap_err().to_string();
        assert!(error.starts_with(reason) && error.contains("expected kafka://"), "{error}");
    }

    #[test]
    fn anything_else_says_which_part_is_wrong() {
        check("kafka:t/0/1", "not a kafka address");
        check("kafka://b/t/0", "a part is missing");
        check("kafka:///t/0/1", "no broker");
        check("kafka://a,,b/t/0/1", "no broker");
        check("kafka://a b/t/0/1", "no broker");
        check("kafka://user:secret@b/t/0/1", "leave the user out");
        check("kafka://b//0/1", "no topic");
        check("kafka://b/a\u{1b}b/0/1", "no topic");
        check("kafka://b/t/-1/1", "the partition");
        check("kafka://b/t/2147483648/1", "the partition");
        check("kafka://b/t//1", "the partition");
        check("kafka://b/t/0/-1", "the offset");
        check("kafka://b/t/0/1/2", "the offset");
        check("kafka://b/t/0/9223372036854775808", "the offset");
    }
}
