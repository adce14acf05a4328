use std::time::{Duration, Instant};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::{Client, ClientContext},
    error::KafkaError as LibError,
    producer::{BaseProducer, Producer as _},
    types::RDKafkaErrorCode,
};
use tokio::runtime::Handle;

use super::{ClientLog, KafkaError, KafkaOptions, create};

/// librdkafka's own default for `message.max.bytes`.
const DEFAULT_MESSAGE_MAX_BYTES: usize = 1_000_000;

/// How often a wait for the first answer looks why there is none.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Number of partitions of `topic`, once a broker has answered.
///
/// Blocks up to the options' timeout. A broker that creates topics by itself may do so now.
pub(crate) fn require_topic<C: ClientContext>(
    client: &Client<C>,
    log: &ClientLog,
    options: &KafkaOptions,
    topic: &str,
    hint: &'static str,
) -> Result<usize, KafkaError> {
    let missing = || KafkaError::TopicMissing {
        topic: topic.to_owned(),
        brokers: options.brokers.clone(),
        hint,
    };
    let metadata = match client.fetch_metadata(Some(topic), options.timeout) {
        Ok(metadata) => metadata,
        Err(error) if is_unanswered(&error) => return Err(log.unreachable(options)),
        Err(error) => return Err(options.client_error("asking for the topic")(error)),
    };
    let found = metadata.topics().iter().find(|found| found.name() == topic).ok_or_else(missing)?;
    match found.error().map(RDKafkaErrorCode::from) {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            Err(missing())
        }
        Some(code) => {
            Err(options.client_error("asking for the topic")(LibError::MetadataFetch(code)))
        }
        None if found.partitions().is_empty() => Err(missing()),
        None => Ok(found.partitions().len()),
    }
}

/// Creates `topic`; one that is there already stays as it is. Blocks up to the options' timeout.
pub(crate) fn create_topic(
    options: &KafkaOptions,
    topic: &str,
    n_partitions: i32,
    runtime: &Handle,
) -> Result<(), KafkaError> {
    if is_in_process_broker(options)? {
        tracing::info!(topic, "broker makes topics by itself, with its own number of partitions");
        return Ok(());
    }
    let failed = |reason: String| KafkaError::CreateTopic {
        topic: topic.to_owned(),
        brokers: options.brokers.clone(),
        reason,
    };
    let admin = admin(options)?;
    let new = NewTopic::new(topic, n_partitions, TopicReplication::Fixed(-1));
    let admin_options = AdminOptions::new()
        .request_timeout(Some(options.timeout))
        .operation_timeout(Some(options.timeout));
    let results = runtime.block_on(admin.create_topics([&new], &admin_options));
    let results = results.map_err(|error| {
        let reason = error.to_string();
        if !is_unanswered(&error) {
            return failed(reason);
        }
        let KafkaOptions { brokers, timeout, .. } = options.clone();
        KafkaError::Unreachable { brokers, timeout, reason }
    });
    match results?.into_iter().next() {
        Some(Ok(_)) => tracing::info!(topic, partitions = n_partitions, "created topic"),
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => {
            tracing::info!(topic, "topic exists; left as it is");
        }
        Some(Err((_, code))) => return Err(failed(code.to_string())),
        None => return Err(failed("the broker gave no result".to_owned())),
    }
    Ok(())
}

/// What a broker says of how a topic is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicConfig {
    /// `max.message.bytes`: most bytes of a batch, compressed.
    pub(crate) max_message_bytes: Option<usize>,
    /// `compression.type`: `producer` leaves batches as they come, anything else compresses them.
    pub(crate) compression: Option<String>,
}

/// Deletes `topic`; one that is not there is no error. An in-process broker keeps it: it deletes
/// none. Blocks up to the options' timeout.
pub(crate) fn delete_topic(
    options: &KafkaOptions,
    topic: &str,
    runtime: &Handle,
) -> Result<(), KafkaError> {
    if is_in_process_broker(options)? {
        return Ok(());
    }
    let admin = admin(options)?;
    let admin_options = AdminOptions::new()
        .request_timeout(Some(options.timeout))
        .operation_timeout(Some(options.timeout));
    let deleted = runtime.block_on(admin.delete_topics(&[topic], &admin_options));
    let failed = options.client_error("deleting a topic");
    match deleted.map_err(failed)?.into_iter().next() {
        Some(Err((_, code))) if code != RDKafkaErrorCode::UnknownTopicOrPartition => {
            Err(options.client_error("deleting a topic")(LibError::AdminOp(code)))
        }
        _ => Ok(()),
    }
}

/// Largest message that both this client and the topic take, in bytes, with key and headers. Blocks
/// up to the options' timeout.
pub(crate) fn message_limit(
    options: &KafkaOptions,
    topic: &str,
    runtime: &Handle,
) -> Result<usize, KafkaError> {
    let own = options.property("message.max.bytes").and_then(|value| value.parse().ok());
    let own = own.unwrap_or(DEFAULT_MESSAGE_MAX_BYTES);
    let limit = topic_config(options, topic, runtime)?.max_message_bytes;
    Ok(limit.map_or(own, |limit| own.min(limit)))
}

/// How a topic is kept, of which a field is `None` where the broker does not say. Blocks up to the
/// options' timeout.
pub(crate) fn topic_config(
    options: &KafkaOptions,
    topic: &str,
    runtime: &Handle,
) -> Result<TopicConfig, KafkaError> {
    if is_in_process_broker(options)? {
        return Ok(TopicConfig::default());
    }
    let admin = admin(options)?;
    Ok(runtime.block_on(described(&admin, options, topic)).unwrap_or_default())
}

async fn described(
    admin: &AdminClient<ClientLog>,
    options: &KafkaOptions,
    topic: &str,
) -> Option<TopicConfig> {
    let admin_options = AdminOptions::new().request_timeout(Some(options.timeout));
    let resource = ResourceSpecifier::Topic(topic);
    let described = admin.describe_configs([&resource], &admin_options).await.ok()?;
    let resource = described.into_iter().next()?.ok()?;
    let value = |name| resource.get(name).and_then(|entry| entry.value.clone());
    Some(TopicConfig {
        max_message_bytes: value("max.message.bytes").and_then(|text| text.parse().ok()),
        compression: value("compression.type"),
    })
}

/// Asks whether a broker is there and lets us in. Blocks up to the options' timeout, but not where one
/// refuses user and password: every run asks first, so that a wrong password ends it at once.
/// A consumer that is not polled hears neither this nor why nobody answers.
pub(crate) fn knock(options: &KafkaOptions) -> Result<(), KafkaError> {
    is_in_process_broker(options).map(|_| ())
}

/// Whether the broker is librdkafka's own, in some process, which its cluster id tells. Blocks as
/// [`knock`] does.
///
/// It has no controller, for which an admin request would wait until its timeout, and it lets a group
/// whose last member has left wait for a whole session before the next one gets in.
pub(crate) fn is_in_process_broker(options: &KafkaOptions) -> Result<bool, KafkaError> {
    // Not the admin client: it has no way to hear why a broker cannot be reached.
    let log = ClientLog::default();
    let client: BaseProducer<ClientLog> =
        create(options, &options.client_config(&[], &[])?, log.clone())?;
    let started = Instant::now();
    loop {
        let left = options.timeout.saturating_sub(started.elapsed());
        if let Some(id) = client.client().fetch_cluster_id(left.min(LOOK_INTERVAL)) {
            return Ok(id.starts_with("mockCluster"));
        }
        client.poll(Duration::from_millis(10));
        if let Some(refused) = log.refused(options) {
            return Err(refused);
        }
        if left.is_zero() {
            return Err(log.unreachable(options));
        }
    }
}

fn admin(options: &KafkaOptions) -> Result<AdminClient<ClientLog>, KafkaError> {
    create(options, &options.client_config(&[], &[])?, ClientLog::default())
}

/// Whether an error is that no broker answers.
pub(crate) fn is_unanswered(error: &LibError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::BrokerTransportFailure
                | RDKafkaErrorCode::AllBrokersDown
                | RDKafkaErrorCode::OperationTimedOut
                | RDKafkaErrorCode::RequestTimedOut
                | RDKafkaErrorCode::Resolve
        )
    )
}
