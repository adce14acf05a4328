//! One test's topic, groups and database.

use std::{
    iter,
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::array::RecordBatch;
use clickhouse::{Client, Compression};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Header, Headers as _, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};
use volley::{
    clickhouse::{ClickHouseOptions, CreateTable, Creation, Evolution, TableName, TlsOptions},
    kafka::{KafkaOptions, Property},
    load::{
        Beginning, BlockLimits, Delivery, LoadError, LoadOptions, LoadSummary, NoObserver, load,
    },
    produce::{
        self, MessageKey, ProduceError, ProduceOptions, ProduceSummary, SourceOptions, produce,
    },
    shutdown::Shutdown,
    source::SyntheticOptions,
};
use volley_core::{
    batcher::BatchLimits, codec::CodecOptions, decode::decode, host::MetricSet, layout,
};

use crate::{
    Access, Loader, PATIENCE, Stack, StackKind, committed_offsets, eventually, stack::Broker,
};

/// A topic, a database and a prefix for consumer groups that no other test has. They are removed
/// when the value is dropped, also while a test panics.
#[derive(Debug)]
pub struct Scenario<'a> {
    stack: &'a Stack<'a>,
    name: String,
    client: Client,
}

/// One message as it lies in the topic.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its partition.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Its key.
    pub key: Option<String>,
    /// Its value; empty where it has none.
    pub payload: Vec<u8>,
    /// Its headers, as text.
    pub headers: Vec<(String, String)>,
}

impl Message {
    /// A header that it has.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(key, _)| key == name);
        &found.unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).1
    }

    /// The batches in the value.
    pub fn batches(&self) -> Vec<RecordBatch> {
        decode(&self.payload).unwrap()
    }
}

impl<'a> Scenario<'a> {
    /// A corner of `stack` with an empty database and no topic yet.
    pub fn new(stack: &'a Stack<'a>) -> Self {
        let name = format!("e2e_{:016x}", rand::random::<u64>());
        let mut client =
            Client::default().with_url(&stack.clickhouse).with_compression(Compression::None);
        if let Some(user) = &stack.user {
            client = client.with_user(user);
        }
        if let Some(password) = &stack.password {
            client = client.with_password(password);
        }
        let scenario = Self { stack, name, client };
        scenario.execute(&format!("CREATE DATABASE {}", scenario.name));
        scenario
    }

    /// What it stands on.
    pub fn stack(&self) -> &Stack<'a> {
        self.stack
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.name
    }

    /// The table that [`Self::load_options`] load into, for SQL.
    pub fn table(&self) -> String {
        self.table_name("rows").to_string()
    }

    /// A table in the database.
    pub fn table_name(&self, table: &str) -> TableName {
        TableName { database: self.name.clone(), table: table.to_owned() }
    }

    /// Makes the topic, with settings such as `max.message.bytes`, and waits until it can be used.
    /// The embedded broker takes no settings.
    pub fn create_topic(&self, n_partitions: i32, settings: &[(&str, &str)]) {
        if let Broker::Embedded(broker) = self.stack.broker {
            assert!(settings.is_empty(), "the embedded broker has no settings");
            broker.create_topic(&self.name, n_partitions).unwrap();
            return;
        }
        let topic = NewTopic::new(&self.name, n_partitions, TopicReplication::Fixed(-1));
        let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let admin = self.admin();
        let made = admin.create_topics([&topic], &AdminOptions::new());
        let made = self.stack.runtime.block_on(made).unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        eventually("the topic", || (self.n_partitions() == n_partitions as usize).then_some(()));
    }

    /// Adds partitions to the topic until it has so many, and waits until they can be used.
    pub fn add_partitions(&self, n_partitions: usize) {
        let more = NewPartitions::new(&self.name, n_partitions);
        // Has to live until the answer comes.
        let admin = self.admin();
        let made = admin.create_partitions([&more], &AdminOptions::new());
        let made = self.stack.runtime.block_on(made).unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        eventually("the partitions", || (self.n_partitions() == n_partitions).then_some(()));
    }

    /// How many partitions the topic has; none while there is no topic.
    pub fn n_partitions(&self) -> usize {
        self.n_partitions_of(&self.name)
    }

    fn n_partitions_of(&self, topic: &str) -> usize {
        let client: BaseConsumer = self.stack.client_config().create().unwrap();
        let metadata = client.fetch_metadata(Some(topic), PATIENCE).unwrap();
        metadata.topics()[0].partitions().len()
    }

    /// Options to produce `n_rows` made-up rows of `n_devices`, the same ones each time, in batches
    /// of 100.
    pub fn produce_options(&self, n_devices: u32, n_rows: u64) -> ProduceOptions {
        ProduceOptions {
            kafka: self.kafka(),
            topic: self.name.clone(),
            create_topic: None,
            source: SourceOptions::Synthetic(SyntheticOptions {
                seed: 7,
                n_devices,
                n_rows: Some(n_rows),
                rate: None,
                start_us: 1_700_000_000_000_000,
            }),
            metrics: MetricSet::Basic,
            limits: BatchLimits {
                n_rows: NonZeroUsize::new(100).unwrap(),
                n_bytes: NonZeroUsize::new(1 << 20).unwrap(),
                age: PATIENCE,
            },
            codec: CodecOptions::default(),
            key: MessageKey::Device,
            n_batches: None,
            duration: None,
            max_inflight_bytes: 16 << 20,
        }
    }

    /// Produces, and makes sure that every row was acknowledged.
    pub fn produce(&self, options: ProduceOptions) -> ProduceSummary {
        let summary = self.try_produce(options).unwrap();
        assert_eq!(summary.rows_delivered, summary.rows_sampled);
        summary
    }

    /// As [`Self::produce`], where an error is expected.
    pub fn try_produce(&self, options: ProduceOptions) -> Result<ProduceSummary, ProduceError> {
        let producing = produce(options, Shutdown::never(), Arc::new(produce::NoObserver));
        self.stack.runtime.block_on(producing)
    }

    /// Sends values as any other program might: no key, no headers, in order, to partition 0.
    pub fn put(&self, payloads: impl IntoIterator<Item = Vec<u8>>) {
        let producer: ThreadedProducer<DefaultProducerContext> =
            self.stack.client_config().create().unwrap();
        for payload in payloads {
            let record = BaseRecord::<(), [u8]>::to(&self.name).partition(0).payload(&payload);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Writes one message of any kind to partition 0.
    pub fn put_message(&self, value: Option<&[u8]>, key: &str, headers: &[(&str, &str)]) {
        let producer: ThreadedProducer<DefaultProducerContext> =
            self.stack.client_config().create().unwrap();
        let record = BaseRecord::<str, [u8]> {
            payload: value,
            headers: Some(headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(*value) })
            })),
            ..BaseRecord::to(&self.name).partition(0).key(key)
        };
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    /// Options to load everything there is as group `group`, into a table without replacing, where
    /// a row that came twice stays twice.
    pub fn load_options(&self, group: &str) -> LoadOptions {
        let mut kafka = self.kafka();
        if let Broker::Embedded(_) = self.stack.broker {
            // It hands out partitions anew only a second before this has passed, whoever is there.
            kafka.properties = self.short_session().map(property).to_vec();
        }
        LoadOptions {
            kafka,
            topic: self.name.clone(),
            group: self.group(group),
            clickhouse: ClickHouseOptions {
                urls: vec![self.stack.clickhouse.clone()],
                user: self.stack.user.clone(),
                password: self.stack.password.clone(),
                timeout: PATIENCE,
                tls: TlsOptions::default(),
            },
            table: self.table_name("rows"),
            creation: Creation::Create(CreateTable {
                engine: Some("MergeTree".to_owned()),
                ..CreateTable::default()
            }),
            limits: BlockLimits {
                n_rows: NonZeroUsize::new(500_000).unwrap(),
                n_bytes: NonZeroUsize::new(16 << 20).unwrap(),
                age: Duration::from_millis(50),
            },
            evolution: Evolution::default(),
            provenance: false,
            delivery: Delivery::default(),
            dead_letters: None,
            from: Beginning::Earliest,
            until: None,
            until_idle: Some(Duration::from_millis(200)),
            retry_for: Some(PATIENCE),
            max_inflight_bytes: 64 << 20,
            payload_limits: layout::Options::default(),
        }
    }

    /// `load` and its arguments, for the binary: the topic into the table as group `group`, with a
    /// short session, by way of a ClickHouse address.
    pub fn load_arguments(&self, group: &str, clickhouse: &str) -> Vec<String> {
        let (group, table) = (self.group(group), self.table());
        let pairs = [
            ("--brokers", self.stack.brokers.as_str()),
            ("--topic", &self.name),
            ("--group", &group),
            ("--clickhouse", clickhouse),
            ("--table", &table),
        ];
        let pairs = pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()]);
        let session = self.short_session().map(|(key, value)| format!("{key}={value}"));
        let session = session.into_iter().flat_map(|setting| ["--kafka".to_owned(), setting]);
        iter::once("load".to_owned()).chain(pairs).chain(session).collect()
    }

    /// Variables that let the binary into ClickHouse.
    pub fn credentials(&self) -> Vec<(&'static str, String)> {
        let Stack { user, password, .. } = self.stack;
        let set = [("VOLLEY_CLICKHOUSE_USER", user), ("VOLLEY_CLICKHOUSE_PASSWORD", password)];
        set.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }

    /// Loads until the topic is read to its end.
    pub fn load(&self, options: LoadOptions) -> LoadSummary {
        self.try_load(options).unwrap()
    }

    /// As [`Self::load`], where an error is expected.
    pub fn try_load(&self, options: LoadOptions) -> Result<LoadSummary, LoadError> {
        let loading = load(options, Shutdown::never(), Arc::new(NoObserver));
        self.stack.runtime.block_on(loading)
    }

    /// Starts loading, until told to stop.
    pub fn start_load(&self, options: LoadOptions) -> Loader<'a> {
        Loader::start(self.stack, options)
    }

    /// What a group has committed for each partition; 0 where nothing.
    pub fn committed(&self, group: &str) -> Vec<i64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.name, 0, self.n_partitions() as i32 - 1);
        let config = self.stack.client_config();
        let answer = committed_offsets(config, &self.group(group), &asked).unwrap();
        let offset = |offset: Offset| offset.to_raw().map_or(0, |raw| raw.max(0));
        answer.elements().iter().map(|element| offset(element.offset())).collect()
    }

    /// Every message of the topic, by partition and offset.
    pub fn messages(&self) -> Vec<Message> {
        self.messages_of(&self.name)
    }

    /// The name of this test's topic for dead letters, which goes with it.
    pub fn dead_letter_topic(&self) -> String {
        format!("{}.dlq", self.name)
    }

    /// What lies there.
    pub fn dead_letters(&self) -> Vec<Message> {
        self.messages_of(&self.dead_letter_topic())
    }

    fn messages_of(&self, topic: &str) -> Vec<Message> {
        let mut config = self.stack.client_config();
        config.set("group.id", self.group("reader")).set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut assignment = TopicPartitionList::new();
        for partition in 0..self.n_partitions_of(topic) {
            let added = assignment.add_partition_offset(topic, partition as i32, Offset::Beginning);
            added.unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let mut messages = Vec::new();
        let mut n_at_end = 0;
        let mut heard = Instant::now();
        while n_at_end < assignment.count() {
            match consumer.poll(PATIENCE).expect("a message or the end of a partition") {
                Ok(message) => messages.push(Message {
                    partition: message.partition(),
                    offset: message.offset(),
                    key: message.key().map(|key| String::from_utf8(key.to_vec()).unwrap()),
                    payload: message.payload().unwrap_or_default().to_vec(),
                    headers: headers(&message),
                }),
                Err(KafkaError::PartitionEOF(_)) => n_at_end += 1,
                // A broker that was away is on its way back.
                Err(error) if is_about_connections(&error) && heard.elapsed() < PATIENCE => {
                    continue;
                }
                Err(error) => panic!("reading {topic}: {error}"),
            }
            heard = Instant::now();
        }
        messages.sort_by_key(|message| (message.partition, message.offset));
        messages
    }

    /// Runs a statement.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        let ran = self.stack.runtime.block_on(self.client.query_raw(sql).execute());
        ran.unwrap_or_else(|error| panic!("{error}: {sql}"));
    }

    /// The rows that a query gives, as ClickHouse writes them in Arrow. Text comes as binary, because
    /// a `String` may hold any bytes.
    #[track_caller]
    pub fn query(&self, sql: &str) -> RecordBatch {
        let settings = [("output_format_arrow_string_as_string", "0")];
        let bytes = self.fetch(sql, "ArrowStream", &settings);
        let bytes = bytes.unwrap_or_else(|error| panic!("{error}: {sql}"));
        crate::concat(&decode(&bytes).unwrap())
    }

    /// The answer to a query in one line, columns separated by tabs.
    #[track_caller]
    pub fn query_text(&self, sql: &str) -> String {
        let bytes = self.fetch(sql, "TabSeparated", &[]);
        let bytes = bytes.unwrap_or_else(|error| panic!("{error}: {sql}"));
        String::from_utf8(bytes).unwrap().trim_end_matches('\n').to_owned()
    }

    /// The answer to a query, as ClickHouse writes it in a format.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub fn fetch(
        &self,
        sql: &str,
        format: &str,
        settings: &[(&str, &str)],
    ) -> Result<Vec<u8>, clickhouse::error::Error> {
        let query = self.client.query_raw(sql);
        let query =
            settings.iter().fold(query, |query, (name, value)| query.with_setting(*name, *value));
        let query = query.fetch_bytes(format);
        self.stack.runtime.block_on(async { Ok(query?.collect().await?.to_vec()) })
    }

    /// Sends a body to an `INSERT … FORMAT …`.
    ///
    /// # Errors
    ///
    /// What ClickHouse says.
    pub fn insert(&self, sql: &str, body: Vec<u8>) -> Result<(), clickhouse::error::Error> {
        let mut insert = self.client.insert_formatted_with(sql);
        self.stack.runtime.block_on(async {
            insert.send(body.into()).await?;
            insert.end().await
        })
    }

    /// Properties for a session as short as the stack allows, for which a group waits where a member
    /// was killed.
    pub fn short_session(&self) -> [(&'static str, &'static str); 2] {
        let timeout_ms = match self.stack.kind {
            StackKind::Native | StackKind::Embedded => "2000",
            // Kafka's lower limit, where nobody has changed it.
            _ => "6000",
        };
        [("session.timeout.ms", timeout_ms), ("heartbeat.interval.ms", "200")]
    }

    /// The full name of a consumer group of this test's own.
    pub fn group(&self, group: &str) -> String {
        format!("{}-{group}", self.name)
    }

    /// How the stack's Kafka is reached another way.
    pub fn kafka_by(&self, access: &Access) -> KafkaOptions {
        let properties = access.properties.iter();
        KafkaOptions {
            brokers: access.brokers.clone(),
            properties: properties.map(|(key, value)| property((*key, value.as_str()))).collect(),
            ..self.kafka()
        }
    }

    fn kafka(&self) -> KafkaOptions {
        KafkaOptions {
            brokers: self.stack.brokers.clone(),
            properties: Vec::new(),
            timeout: Duration::from_secs(20),
        }
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.stack.client_config().create().unwrap()
    }
}

impl Drop for Scenario<'_> {
    fn drop(&mut self) {
        let runtime = self.stack.runtime;
        let sql = format!("DROP DATABASE IF EXISTS {} SYNC", self.name);
        if let Err(error) = runtime.block_on(self.client.query_raw(&sql).execute()) {
            eprintln!("not cleaned up: {error}: {sql}");
        }
        // The embedded broker forgets its topics when it ends, and not before.
        if !matches!(self.stack.broker, Broker::Embedded(_)) {
            let (admin, options) = (self.admin(), AdminOptions::new());
            let topics = [&*self.name, &self.dead_letter_topic()];
            if let Err(error) = runtime.block_on(admin.delete_topics(&topics, &options)) {
                eprintln!("not cleaned up: topics {topics:?}: {error}");
            }
        }
    }
}

fn is_about_connections(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut};
    let code = error.rdkafka_error_code();
    matches!(code, Some(AllBrokersDown | BrokerTransportFailure | OperationTimedOut))
}

fn headers(message: &BorrowedMessage<'_>) -> Vec<(String, String)> {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into();
    headers.map(|header| (header.key.to_owned(), text(header.value))).collect()
}

fn property((key, value): (&str, &str)) -> Property {
    Property { key: key.to_owned(), value: value.to_owned() }
}
