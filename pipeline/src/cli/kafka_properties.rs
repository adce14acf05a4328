use std::{env, fs, str::FromStr, time::Duration};

use clap::Args;

use super::env_vars;
use crate::kafka::{KafkaOptions, Property};

/// Where nobody says where the cluster is.
const DEFAULT_BROKERS: &str = "127.0.0.1:9092";

/// Settings of the Kafka client, whatever else a command needs to know of Kafka.
#[derive(Debug, Args)]
#[command(next_help_heading = "Kafka")]
pub(crate) struct PropertyArgs {
    /// Any librdkafka property, such as security.protocol=SASL_SSL; may be given several times
    ///
    /// Other users of this machine can see it here, so rather put a secret into --kafka-file, or into
    /// VOLLEY_KAFKA_SASL_PASSWORD, which is sasl.password, or VOLLEY_KAFKA_SSL_KEY_PASSWORD, which is
    /// ssl.key.password. What is given here goes before both, and they go before the file.
    #[arg(long = "kafka", value_name = "KEY=VALUE")]
    properties: Vec<Property>,

    /// File with librdkafka properties, one key=value a line, # before a comment, as kcat -F takes it
    #[arg(
        long = "kafka-file",
        value_name = "FILE",
        env = env_vars::KAFKA_FILE,
        value_parser = PropertyFile::read
    )]
    file: Option<PropertyFile>,
}

/// What a file of properties holds.
#[derive(Clone, Debug)]
struct PropertyFile(Vec<Property>);

/// Properties whose value is nobody's business.
const SECRETS: [&str; 6] = [
    "sasl.password",
    "sasl.oauthbearer.client.secret",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
    "ssl_key",
];

impl PropertyArgs {
    /// To reach the cluster at `brokers`.
    pub(crate) fn options(&self, brokers: &str, timeout: Duration) -> KafkaOptions {
        KafkaOptions { brokers: brokers.to_owned(), properties: self.properties(), timeout }
    }

    /// All of them, each after those that it goes before.
    fn properties(&self) -> Vec<Property> {
        for Property { key, .. } in &self.properties {
            if SECRETS.contains(&key.as_str()) {
                tracing::warn!(
                    "other users of this machine can see the value of --kafka {key}; rather put it \
                     into --kafka-file"
                );
            }
        }
        let file = self.file.iter().flat_map(|PropertyFile(properties)| properties.clone());
        let set = |(name, key): (&str, &str)| {
            let value = env::var(name).ok().filter(|value| !value.is_empty())?;
            Some(Property { key: key.to_owned(), value })
        };
        let environment = env_vars::KAFKA_SECRETS.into_iter().filter_map(set);
        file.chain(environment).chain(self.properties.clone()).collect()
    }

    /// The cluster: the one that is named, or that of `bootstrap.servers`.
    pub(super) fn brokers(&self, named: Option<&str>) -> String {
        if let Some(named) = named {
            return named.to_owned();
        }
        let file = self.file.iter().flat_map(|PropertyFile(properties)| properties);
        let mut all = file.chain(&self.properties).rev();
        let found = all.find(|Property { key, .. }| {
            matches!(key.as_str(), "bootstrap.servers" | "metadata.broker.list")
        });
        found.map_or(DEFAULT_BROKERS, |property| &property.value).to_owned()
    }
}

impl PropertyFile {
    fn read(path: &str) -> Result<Self, String> {
        fs::read_to_string(path).map_err(|error| error.to_string())?.parse()
    }
}

impl FromStr for PropertyFile {
    type Err = String;

    /// An error names the line and not what is in it, which may be a secret.
    fn from_str(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).enumerate();
        let filled = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let properties = filled.map(|(line_idx, line)| {
            line.parse().map_err(|error| format!("line {}: {error}", line_idx + 1))
        });
        properties.collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(file: &str, properties: &[&str]) -> PropertyArgs {
        PropertyArgs {
            properties: properties.iter().map(|text| text.parse().unwrap()).collect(),
            file: Some(file.parse().unwrap()),
        }
    }

    #[test]
    fn files_are_read_as_librdkafkas_clients_do() {
        let file = "# a comment\n\nsasl.password = a=b#c \r\n  security.protocol=SSL";
        let read = args(file, &["security.protocol=PLAINTEXT"]).properties();
        let pairs: Vec<_> = read.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
        let expected = [
            ("sasl.password", "a=b#c"),
            ("security.protocol", "SSL"),
            ("security.protocol", "PLAINTEXT"),
        ];
        assert_eq!(pairs, expected);
    }

    #[test]
    fn a_wrong_line_is_numbered_and_not_shown() {
        let error = "a=b\n\nsasl.password:hunter2".parse::<PropertyFile>().unwrap_err();
        assert_eq!(error, "line 3: expected key=value, such as linger.ms=5");
    }

    #[test]
    fn brokers_are_those_that_are_named_first() {
        let file = "bootstrap.servers=file:1";
        assert_eq!(args(file, &[]).brokers(Some("flag:1")), "flag:1");
        assert_eq!(args(file, &["bootstrap.servers=property:1"]).brokers(None), "property:1");
        assert_eq!(args(file, &[]).brokers(None), "file:1");
        assert_eq!(args("", &[]).brokers(None), DEFAULT_BROKERS);
    }
}
