use std::{
    ffi::{CStr, CString},
    net::TcpListener,
    sync::LazyLock,
    time::{Duration, Instant},
};

use arrow::array::RecordBatch;
use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, Headers as _, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use volley_embedded::EmbeddedBroker;

use super::{PASSWORD, PATIENCE, USER, Volley, random_name, volley};

/// A broker in this process.
pub(crate) struct Broker(EmbeddedBroker);

/// The broker that tests share which do not take it down.
pub(crate) fn broker() -> &'static Broker {
    static SHARED: LazyLock<Broker> = LazyLock::new(Broker::start);
    &SHARED
}

/// An address on loopback where nobody listens.
pub(crate) fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

impl Message {
    fn n_rows(&self) -> u64 {
        let batches = volley_core::decode::decode(self.payload.as_ref().unwrap()).unwrap();
        batches.iter().map(|batch| batch.num_rows() as u64).sum()
    }
}

impl Broker {
    pub(crate) fn start() -> Self {
        Self(EmbeddedBroker::start().unwrap())
    }

    pub(crate) fn address(&self) -> &str {
        self.0.bootstrap_servers()
    }

    pub(crate) fn stop(&self) {
        self.0.stop().unwrap();
    }

    pub(crate) fn resume(&self) {
        self.0.resume().unwrap();
    }

    /// A new topic, and a consumer group of its own.
    pub(crate) fn topic(&self, n_partitions: i32) -> Topic<'_> {
        let name = random_name("topic");
        self.0.create_topic(&name, n_partitions).unwrap();
        Topic { broker: self, name, group: random_name("group"), n_partitions }
    }
}

/// A topic of one test's own.
pub(crate) struct Topic<'a> {
    pub(crate) broker: &'a Broker,
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) n_partitions: i32,
}

/// A message as any consumer sees it.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) key: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Option<Vec<u8>>,
}

impl Topic<'_> {
    /// The topic for its dead letters, with one partition.
    pub(crate) fn dead_letters(&self) -> Self {
        let name = format!("{}.dlq", self.name);
        self.broker.0.create_topic(&name, 1).unwrap();
        Self { broker: self.broker, name, group: random_name("group"), n_partitions: 1 }
    }

    /// `volley produce` of made-up rows into this topic.
    pub(crate) fn produce(&self, arguments: &[&str]) -> Volley {
        self.produce_from("synthetic", arguments)
    }

    /// `volley produce` into this topic.
    pub(crate) fn produce_from(&self, source: &str, arguments: &[&str]) -> Volley {
        volley(["produce", "--brokers", self.broker.address(), "--topic", &self.name])
            .args(["--source", source, "--format", "json"])
            .args(arguments)
    }

    /// The same topic, for a group that has committed nothing.
    pub(crate) fn in_another_group(&self) -> Self {
        Self { name: self.name.clone(), group: random_name("group"), ..*self }
    }

    /// So many rows of ten devices in messages of up to 100.
    pub(crate) fn fill(&self, n_rows: u64) {
        let n_rows = n_rows.to_string();
        let run = self.produce(&["--rows", &n_rows, "--rows-per-batch", "100"]).run().succeeds();
        assert_eq!(run.count("rows_delivered").to_string(), n_rows, "{run}");
    }

    /// `volley load` of this topic into the tests' engine, which may be behind a proxy.
    pub(crate) fn load(&self, url: &str, table: &str) -> Volley {
        self.load_as_nobody(url, table)
            .env("VOLLEY_CLICKHOUSE_USER", USER)
            .env("VOLLEY_CLICKHOUSE_PASSWORD", PASSWORD)
    }

    /// `volley load` of this topic without user and password.
    pub(crate) fn load_as_nobody(&self, url: &str, table: &str) -> Volley {
        volley(["load", "--brokers", self.broker.address(), "--topic", &self.name])
            .args(["--group", &self.group, "--clickhouse", url, "--table", table])
            .args(["--format", "json"])
            // librdkafka's broker makes whoever joins a group that was left wait for nearly as long
            // as a session.
            .args(["--kafka", "session.timeout.ms=2000", "--kafka", "heartbeat.interval.ms=300"])
    }

    /// Puts one message into a partition, past Volley.
    pub(crate) fn put(&self, partition: i32, value: Option<&[u8]>, headers: &[(&str, &str)]) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", self.broker.address())
            .set("linger.ms", "0")
            .create()
            .unwrap();
        let mut owned = OwnedHeaders::new();
        for (key, value) in headers {
            owned = owned.insert(Header { key, value: Some(*value) });
        }
        let mut record: BaseRecord<'_, str, [u8]> =
            BaseRecord::to(&self.name).partition(partition).headers(owned);
        record.payload = value;
        producer.send(record).unwrap_or_else(|(error, _)| panic!("{error}"));
        producer.flush(PATIENCE).unwrap();
    }

    /// Puts a message into partition 0 whose header has a name that need not be UTF-8, which
    /// `rdkafka` would not send.
    #[allow(unsafe_code)]
    pub(crate) fn put_with_header_name(&self, value: &[u8], name: &CStr) {
        use rdkafka::bindings::{rd_kafka_produceva, rd_kafka_vtype_t::*, rd_kafka_vu_t};

        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", self.broker.address()).create().unwrap();
        let topic = CString::new(self.name.clone()).unwrap();
        // SAFETY: each argument is of the type that goes with its tag, and all of them outlive the
        // call, which copies the value.
        let error = unsafe {
            let argument = |vtype, set: &dyn Fn(&mut rd_kafka_vu_t)| {
                let mut argument = rd_kafka_vu_t { vtype, ..std::mem::zeroed() };
                set(&mut argument);
                argument
            };
            let arguments = [
                argument(RD_KAFKA_VTYPE_TOPIC, &|a| a.u.cstr = topic.as_ptr()),
                argument(RD_KAFKA_VTYPE_PARTITION, &|a| a.u.i32_ = 0),
                argument(RD_KAFKA_VTYPE_MSGFLAGS, &|a| a.u.i = 2),
                argument(RD_KAFKA_VTYPE_VALUE, &|a| {
                    a.u.mem.ptr = value.as_ptr().cast_mut().cast();
                    a.u.mem.size = value.len();
                }),
                argument(RD_KAFKA_VTYPE_HEADER, &|a| {
                    a.u.header.name = name.as_ptr();
                    a.u.header.val = c"x".as_ptr().cast();
                    a.u.header.size = 1;
                }),
            ];
            let client = producer.client().native_ptr();
            rd_kafka_produceva(client, arguments.as_ptr(), arguments.len())
        };
        assert!(error.is_null());
        producer.flush(PATIENCE).unwrap();
    }

    /// Every message, partition by partition, in order of offset.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let consumer = self.consumer();
        let ends = self.ends();
        let mut from_start = TopicPartitionList::new();
        for partition in 0..self.n_partitions {
            let mut partition = from_start.add_partition(&self.name, partition);
            partition.set_offset(Offset::Beginning).unwrap();
        }
        consumer.assign(&from_start).unwrap();
        let n_messages = ends.iter().sum::<i64>() as usize;
        let mut messages = Vec::with_capacity(n_messages);
        let started = Instant::now();
        while messages.len() < n_messages {
            assert!(started.elapsed() < PATIENCE, "{} of {n_messages}", messages.len());
            let Some(received) = consumer.poll(Duration::from_millis(100)) else {
                continue;
            };
            let received = received.unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = received.headers().map_or_else(Vec::new, |headers| {
                let pair = |h: Header<'_, &[u8]>| (h.key.to_owned(), text(h.value.unwrap()));
                headers.iter().map(pair).collect()
            });
            messages.push(Message {
                partition: received.partition(),
                offset: received.offset(),
                key: received.key().map(text),
                headers,
                payload: received.payload().map(<[u8]>::to_vec),
            });
        }
        messages.sort_by_key(|message| (message.partition, message.offset));
        messages
    }

    /// What the messages hold, partition by partition.
    pub(crate) fn batches(&self) -> Vec<RecordBatch> {
        let payloads = self.messages().into_iter().filter_map(|message| message.payload);
        payloads.flat_map(|payload| volley_core::decode::decode(&payload).unwrap()).collect()
    }

    /// Rows in all messages.
    pub(crate) fn n_rows(&self) -> u64 {
        self.batches().iter().map(|batch| batch.num_rows() as u64).sum()
    }

    /// Rows in the messages before these offsets, one for each partition.
    pub(crate) fn n_rows_before(&self, offsets: &[i64]) -> u64 {
        let before = self
            .messages()
            .into_iter()
            .filter(|message| message.offset < offsets[message.partition as usize]);
        before.map(|message| message.n_rows()).sum()
    }

    /// The offset of the next message of each partition.
    pub(crate) fn ends(&self) -> Vec<i64> {
        let consumer = self.consumer();
        let end = |partition| consumer.fetch_watermarks(&self.name, partition, PATIENCE).unwrap().1;
        (0..self.n_partitions).map(end).collect()
    }

    /// The offset that the group has committed for each partition; 0 where none.
    pub(crate) fn committed(&self) -> Vec<i64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(&self.name, 0, self.n_partitions - 1);
        let committed = self.consumer().committed_offsets(asked, PATIENCE).unwrap();
        let offset = |partition| {
            let found = committed.find_partition(&self.name, partition).unwrap();
            found.error().unwrap();
            found.offset().to_raw().filter(|offset| *offset >= 0).unwrap_or(0)
        };
        (0..self.n_partitions).map(offset).collect()
    }

    fn consumer(&self) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", self.broker.address())
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("allow.auto.create.topics", "false")
            .set("fetch.wait.max.ms", "10")
            .create()
            .unwrap()
    }
}
