//! Which images the containers are made of.

use std::{env, fmt};

/// Redpanda's image.
const REDPANDA_VAR: &str = "VOLLEY_E2E_REDPANDA_IMAGE";
/// Apache Kafka's image, to run it in place of Redpanda.
const KAFKA_VAR: &str = "VOLLEY_E2E_KAFKA_IMAGE";
/// ClickHouse's image.
const CLICKHOUSE_VAR: &str = "VOLLEY_E2E_CLICKHOUSE_IMAGE";

/// What `cargo xtask standin` calls the images that it makes.
const STAND_IN: &str = "volley-standin/";

/// The images of a broker and of ClickHouse; written as a run reports them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    pub(super) broker: BrokerImage,
    pub(super) clickhouse: String,
}

/// A broker's image, by how it is told where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BrokerImage {
    /// By Redpanda's command line.
    Redpanda(String),
    /// By Apache Kafka's environment variables.
    Kafka(String),
}

impl BrokerImage {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Redpanda(name) | Self::Kafka(name) => name,
        }
    }
}

impl Images {
    /// The latest of Redpanda and ClickHouse, unless `VOLLEY_E2E_REDPANDA_IMAGE`,
    /// `VOLLEY_E2E_KAFKA_IMAGE` or `VOLLEY_E2E_CLICKHOUSE_IMAGE` say otherwise.
    pub fn from_env() -> Self {
        Self::choose(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn choose(var: impl Fn(&str) -> Option<String>) -> Self {
        let or = |name, latest: &str| var(name).unwrap_or_else(|| latest.to_owned());
        let broker = match var(KAFKA_VAR) {
            Some(image) => BrokerImage::Kafka(image),
            None => BrokerImage::Redpanda(or(REDPANDA_VAR, "redpandadata/redpanda:latest")),
        };
        Self { broker, clickhouse: or(CLICKHOUSE_VAR, "clickhouse/clickhouse-server:latest") }
    }

    pub(super) fn names(&self) -> [&str; 2] {
        [self.broker.name(), &self.clickhouse]
    }
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [broker, clickhouse] = self.names();
        let kind = match self.names().map(|name| name.starts_with(STAND_IN)) {
            [false, false] => "images",
            _ => "stand-in images",
        };
        write!(f, "{kind} {broker} and {clickhouse}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(set: &[(&str, &str)], expect: &str) {
        let images = Images::choose(|name| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        });
        assert_eq!(images.to_string(), expect, "{set:?}");
    }

    #[test]
    fn variables_outrank_the_latest() {
        let clickhouse = "clickhouse/clickhouse-server:latest";
        check(&[], &format!("images redpandadata/redpanda:latest and {clickhouse}"));
        check(&[(REDPANDA_VAR, "a:1"), (CLICKHOUSE_VAR, "b:2")], "images a:1 and b:2");
        check(
            &[(REDPANDA_VAR, "a:1"), (KAFKA_VAR, "c:3")],
            &format!("images c:3 and {clickhouse}"),
        );
    }

    #[test]
    fn stand_ins_are_called_so() {
        let set = [(REDPANDA_VAR, "volley-standin/kafka"), (CLICKHOUSE_VAR, "b:2")];
        check(&set, "stand-in images volley-standin/kafka and b:2");
    }
}
