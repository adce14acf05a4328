use std::{
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::KafkaError as LibError,
    producer::{DeliveryResult, ProducerContext},
    types::RDKafkaErrorCode,
};

use super::KafkaError;

/// How to reach a cluster.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// Bootstrap addresses, `host:port` with commas between.
    pub brokers: String,
    /// librdkafka properties of the user's, which go before Volley's own choices.
    pub properties: Vec<Property>,
    /// How long a first answer may take.
    pub timeout: Duration,
}

/// One librdkafka property, `key=value`. The value may be a secret, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Property {
    /// Its name, such as `security.protocol`.
    pub key: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=…", self.key)
    }
}

/// A text is not a [`Property`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected key=value, such as linger.ms=5")]
pub struct ParsePropertyError;

impl FromStr for Property {
    type Err = ParsePropertyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or(ParsePropertyError)?;
        let key = key.trim();
        if key.is_empty() || key.contains('\0') || value.contains('\0') {
            return Err(ParsePropertyError);
        }
        Ok(Self { key: key.to_owned(), value: value.trim().to_owned() })
    }
}

impl KafkaOptions {
    /// The configuration of a client: `defaults`, then the user's properties, then `fixed`, which a
    /// user may not change because delivery depends on them.
    ///
    /// # Errors
    ///
    /// [`KafkaError::Property`] where the user sets one of `fixed` to something else.
    pub(crate) fn client_config(
        &self,
        defaults: &[(&str, &str)],
        fixed: &[(&str, &str)],
    ) -> Result<ClientConfig, KafkaError> {
        let mut config = ClientConfig::new();
        config.set("client.id", "volley");
        config.set_log_level(RDKafkaLogLevel::Info);
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for property in &self.properties {
            if let Some((_, value)) = fixed.iter().find(|(key, _)| *key == property.key)
                && *value != property.value
            {
                let reason = format!("volley needs it to be {value}");
                return Err(KafkaError::Property { key: property.key.clone(), reason });
            }
            config.set(&property.key, &property.value);
        }
        for (key, value) in fixed {
            config.set(*key, *value);
        }
        config.set("bootstrap.servers", &self.brokers);
        Ok(config)
    }

    /// What the user set `key` to.
    pub(crate) fn property(&self, key: &str) -> Option<&str> {
        let set = self.properties.iter().rev().find(|property| property.key == key);
        set.map(|property| property.value.as_str())
    }

    pub(crate) fn client_error(
        &self,
        action: &'static str,
    ) -> impl FnOnce(LibError) -> KafkaError + use<> {
        let brokers = self.brokers.clone();
        move |source| match source {
            LibError::ClientConfig(_, reason, key, _) => KafkaError::Property { key, reason },
            source => KafkaError::Client { brokers, action, source },
        }
    }
}

/// Makes a client of whatever kind, with errors that name the flag.
pub(crate) fn create<C, T>(
    options: &KafkaOptions,
    config: &ClientConfig,
    context: C,
) -> Result<T, KafkaError>
where
    C: ClientContext,
    T: FromClientConfigAndContext<C>,
{
    T::from_config_and_context(config, context).map_err(|error| match error {
        LibError::ClientCreation(reason) => KafkaError::Property { key: "--kafka".into(), reason },
        error => options.client_error("creating a client")(error),
    })
}

/// Time between warnings that no broker answers; librdkafka finds it out many times a second.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);

/// Sends librdkafka's log to ours and keeps its last complaint, which is the cause of a time-out.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientLog {
    state: Arc<Mutex<LogState>>,
}

#[derive(Debug, Default)]
struct LogState {
    last_error: Option<String>,
    is_refused: bool,
    warned_at: Option<Instant>,
}

impl ClientLog {
    /// The last error that librdkafka reported, without the name of its thread.
    pub(crate) fn last_error(&self) -> Option<String> {
        self.lock().last_error.clone()
    }

    pub(crate) fn unreachable(&self, options: &KafkaOptions) -> KafkaError {
        KafkaError::Unreachable {
            brokers: options.brokers.clone(),
            timeout: options.timeout,
            reason: self.last_error().unwrap_or_else(|| "no answer".to_owned()),
        }
    }

    /// The error, if a broker has refused user and password.
    pub(crate) fn refused(&self, options: &KafkaOptions) -> Option<KafkaError> {
        let state = self.lock();
        state.is_refused.then(|| KafkaError::Refused {
            brokers: options.brokers.clone(),
            reason: state.last_error.clone().unwrap_or_default(),
        })
    }

    /// Keeps what is between the broker's name and the time it took:
    /// `127.0.0.1:9092/bootstrap: Connect to … failed: Connection refused (after 0ms in …)`
    fn remember(&self, reason: &str) {
        let reason = reason.split(" (after ").next().unwrap_or(reason);
        let reason = reason.split_once(": ").map_or(reason, |(_, rest)| rest);
        self.lock().last_error = Some(with_way_out(reason));
    }

    fn warn_unreachable(&self) {
        let mut state = self.lock();
        if state.warned_at.is_some_and(|at| at.elapsed() < WARNING_INTERVAL) {
            return;
        }
        state.warned_at = Some(Instant::now());
        let cause = state.last_error.as_deref().unwrap_or("no answer");
        tracing::warn!("no kafka broker answers: {cause}; trying again");
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// librdkafka says how to trust an authority only where the handshake takes several steps; one that
/// fails at once is reported as OpenSSL puts it.
fn with_way_out(reason: &str) -> String {
    if reason.contains("certificate verify failed") && !reason.contains("ssl.ca.location") {
        return format!(
            "{reason}: the broker's certificate is of an unknown authority, name it by --kafka ssl.ca.location=FILE"
        );
    }
    reason.to_owned()
}

impl ClientContext for ClientLog {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Comes before the error, which some clients report only later.
        if facility == "FAIL" {
            // "[thrd:127.0.0.1:9092/bootstrap]: 127.0.0.1:9092/bootstrap: Connect to … failed: …"
            self.remember(message.split_once("]: ").map_or(message, |(_, rest)| rest));
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                tracing::error!(facility, "librdkafka: {message}");
            }
            // Connections that come and go are errors to librdkafka and not yet to us: what they
            // lead to is reported where it matters.
            _ => tracing::debug!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: LibError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.warn_unreachable();
            return;
        }
        tracing::debug!(%error, "librdkafka: {reason}");
        self.remember(reason);
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Authentication) {
            self.lock().is_refused = true;
        }
    }
}

impl ProducerContext for ClientLog {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(properties: &[&str]) -> KafkaOptions {
        KafkaOptions {
            brokers: "127.0.0.1:1".to_owned(),
            properties: properties.iter().map(|text| text.parse().unwrap()).collect(),
            timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn properties_need_a_key_and_an_equals_sign() {
        let property: Property = "sasl.password=a=b".parse().unwrap();
        assert_eq!((property.key.as_str(), property.value.as_str()), ("sasl.password", "a=b"));
        assert_eq!(format!("{property:?}"), "sasl.password=…");
        for wrong in ["", "linger.ms", "=5", "a\0b=1"] {
            assert_eq!(wrong.parse::<Property>(), Err(ParsePropertyError), "{wrong}");
        }
    }

    #[test]
    fn users_properties_win_over_defaults_but_not_over_what_delivery_needs() {
        let config = options(&["linger.ms=7"]).client_config(&[("linger.ms", "0")], &[]).unwrap();
        assert_eq!(config.get("linger.ms"), Some("7"));
        let fixed = [("enable.auto.commit", "false")];
        let error = options(&["enable.auto.commit=true"]).client_config(&[], &fixed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "kafka property 'enable.auto.commit' is refused: volley needs it to be false; check --kafka"
        );
    }

    #[test]
    fn an_unknown_authority_comes_with_the_way_out() {
        let [long, short] = [
            "ssl://h:1/bootstrap: SSL handshake failed: error:0A000086:SSL routines::certificate \
             verify failed: broker certificate could not be verified, verify that ssl.ca.location \
             is correctly configured (after 3ms in state SSL_HANDSHAKE)",
            "ssl://h:1/bootstrap: error:0A000086:SSL routines::certificate verify failed (after 9ms \
             in state CONNECT)",
        ]
        .map(|message| {
            let log = ClientLog::default();
            log.log(RDKafkaLogLevel::Error, "FAIL", &format!("[thrd:h:1/bootstrap]: {message}"));
            log.last_error().unwrap()
        });
        assert!(long.starts_with("SSL handshake failed: "), "{long}");
        assert_eq!(long.matches("ssl.ca.location").count(), 1, "{long}");
        assert!(short.ends_with("name it by --kafka ssl.ca.location=FILE"), "{short}");
    }

    #[test]
    fn unknown_properties_are_named() {
        let options = options(&["no.such=1"]);
        let config = options.client_config(&[], &[]).unwrap();
        let made: Result<rdkafka::producer::BaseProducer<_>, _> =
            create(&options, &config, rdkafka::producer::DefaultProducerContext);
        let error = made.err().unwrap().to_string();
        assert!(error.starts_with("kafka property 'no.such' is refused: "), "{error}");
    }
}
