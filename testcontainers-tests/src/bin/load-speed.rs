//! What `volley load` costs: `cargo xtask load-speed`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]
// What does not work says so in a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    io::{BufRead as _, BufReader},
    num::NonZeroUsize,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use clap::Parser;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    message::{Header, OwnedHeaders},
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
};
use volley::produce::{MessageKey, ProduceOptions};
use volley_core::batcher::BatchLimits;
use volley_e2e::{
    Fault, FaultProxy, Member, Message, PATIENCE, Scenario, StackKind, Stacks, Usage, volley_binary,
};

/// Measure what `volley load` costs: CPU seconds and memory of its process
///
/// Messages of the host schema, zstd:1, from Apache Kafka into an endpoint that takes the bytes of
/// inserts and answers at once, and into ClickHouse's engine in a process of its own. CPU seconds are
/// what is compared.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask load-speed", help_expected = true)]
struct Cli {
    /// Cases whose names contain one of these [default: all]
    #[arg(value_name = "CASE")]
    cases: Vec<String>,

    /// Millions of rows that a case of 10,000 rows a message has; others have a fifth
    #[arg(long, value_name = "N", default_value = "100")]
    millions: u64,

    /// Seconds at a steady 100,000 rows a second
    #[arg(long, value_name = "N", default_value = "30")]
    seconds: u64,
}

const N_PARTITIONS: i32 = 4;
const GROUP: &str = "speed";

/// Rows in a second of the steady cases.
const STEADY_RATE: u64 = 100_000;

fn main() {
    let cli = Cli::parse();
    let stacks = Stacks::new();
    for n_rows in [10_000, 1_000] {
        cli.run(&format!("backlog_{n_rows}"), || cli.backlog(&stacks, n_rows));
    }
    for n_rows in [10_000, 1_000] {
        cli.run(&format!("steady_{n_rows}"), || cli.steady(&stacks, n_rows));
    }
    cli.run("engine_10000", || cli.engine(&stacks, 10_000));
    if let Some(stacks) = Arc::into_inner(stacks) {
        stacks.shutdown();
    }
}

impl Cli {
    fn run(&self, case: &str, measure: impl FnOnce() -> String) {
        if self.cases.is_empty() || self.cases.iter().any(|part| case.contains(part)) {
            println!("{case:<24} {}", measure());
        }
    }

    fn n_messages(&self, rows_per_message: u64) -> u64 {
        let n_rows = self.millions * if rows_per_message < 10_000 { 200_000 } else { 1_000_000 };
        n_rows / rows_per_message
    }

    /// As fast as it goes, into an endpoint that answers at once.
    fn backlog(&self, stacks: &Stacks, rows_per_message: u64) -> String {
        let stack = stacks.get(StackKind::Native);
        let templates = templates(&Scenario::new(&stack), rows_per_message);
        let scenario = Scenario::new(&stack);
        scenario.create_topic(N_PARTITIONS, &[]);
        let sink = FaultProxy::start(stack.runtime(), &stack.clickhouse);
        sink.set(Fault::Swallow);
        let n_messages = self.n_messages(rows_per_message);
        let mut source = Source::new(&scenario, &templates);
        (0..n_messages).for_each(|_| source.send());
        source.flush();
        let member = Member::start(&scenario, GROUP, sink.url(), &[]);
        let mut watch = Watch::new(member.usage());
        let (cpu, wall) = watch.until_committed(&scenario, n_messages);
        member.stop();
        let n_rows = n_messages * rows_per_message;
        format!(
            "{} · {:.0} bytes a message, {} rows in {:.1} s · {}",
            rate(n_rows, cpu),
            source.n_bytes as f64 / n_messages as f64,
            n_rows,
            wall.as_secs_f64(),
            watch.memory()
        )
    }

    /// Rows that come at their pace, into an endpoint that answers at once.
    fn steady(&self, stacks: &Stacks, rows_per_message: u64) -> String {
        let stack = stacks.get(StackKind::Native);
        let templates = templates(&Scenario::new(&stack), rows_per_message);
        let scenario = Scenario::new(&stack);
        scenario.create_topic(N_PARTITIONS, &[]);
        let sink = FaultProxy::start(stack.runtime(), &stack.clickhouse);
        sink.set(Fault::Swallow);
        let member = Member::start(&scenario, GROUP, sink.url(), &[]);
        let mut source = Source::new(&scenario, &templates);
        let mut watch = Watch::new(member.usage());
        let pace = Duration::from_secs(1) / (STEADY_RATE / rows_per_message) as u32;
        // What it does once, when it starts, is not what it costs.
        let warm_up = Duration::from_secs(5);
        let began = Instant::now();
        let mut before = None;
        let limit = warm_up + Duration::from_secs(self.seconds);
        while began.elapsed() < limit {
            source.send();
            watch.look();
            if before.is_none() && began.elapsed() >= warm_up {
                assert!(sink.n_inserts() > 0, "nothing was inserted: {}", member.said());
                before = Some((watch.cpu, Instant::now(), sink.n_inserts()));
            }
            thread::sleep((pace * source.n_sent as u32).saturating_sub(began.elapsed()));
        }
        let (cpu_before, since, inserts_before) = before.unwrap();
        watch.look();
        let (cpu, wall) = (watch.cpu - cpu_before, since.elapsed());
        let per_second = (sink.n_inserts() - inserts_before) as f64 / wall.as_secs_f64();
        member.stop();
        format!(
            "{:.2} % of a core at {STEADY_RATE} rows/s, {per_second:.1} inserts/s · {}",
            100.0 * cpu.as_secs_f64() / wall.as_secs_f64(),
            watch.memory()
        )
    }

    /// As fast as it goes, into ClickHouse's engine, which has a process of its own.
    fn engine(&self, stacks: &Stacks, rows_per_message: u64) -> String {
        let stack = stacks.get(StackKind::Native);
        let templates = templates(&Scenario::new(&stack), rows_per_message);
        let scenario = Scenario::new(&stack);
        scenario.create_topic(N_PARTITIONS, &[]);
        let mut source = Source::new(&scenario, &templates);
        let n_messages = self.n_messages(rows_per_message);
        (0..n_messages).for_each(|_| source.send());
        source.flush();
        let engine = Engine::start();
        let mut engines = Usage::of(engine.process.id());
        let (idle, _) = engines.now().unwrap();
        let member = Member::start(&scenario, GROUP, &engine.url, &["--engine=MergeTree".into()]);
        let mut watch = Watch::new(member.usage());
        let (cpu, wall) = watch.until_committed(&scenario, n_messages);
        let engine_cpu = engines.now().unwrap().0 - idle;
        member.stop();
        let n_rows = n_messages * rows_per_message;
        format!(
            "{:.2} s of CPU beside {:.2} s of the engine's, {:.1} % · {n_rows} rows in {:.1} s · {}",
            cpu.as_secs_f64(),
            engine_cpu.as_secs_f64(),
            100.0 * cpu.as_secs_f64() / engine_cpu.as_secs_f64(),
            wall.as_secs_f64(),
            watch.memory()
        )
    }
}

fn rate(n_rows: u64, cpu: Duration) -> String {
    let millions = n_rows as f64 / 1e6;
    let seconds = cpu.as_secs_f64();
    let (rows, cost) = (millions / seconds, 1e3 * seconds / millions);
    format!("{rows:.1} M rows/s of a core, {cost:.1} ms of CPU a million rows")
}

/// Messages as `volley produce` writes them, each of other rows.
fn templates(scenario: &Scenario<'_>, rows_per_message: u64) -> Vec<Message> {
    scenario.create_topic(1, &[]);
    let n_rows = NonZeroUsize::new(rows_per_message as usize).unwrap();
    let options = scenario.produce_options(10, 20 * rows_per_message);
    let limits = BatchLimits { n_rows, ..options.limits };
    scenario.produce(ProduceOptions { limits, key: MessageKey::None, ..options });
    let messages = scenario.messages();
    assert_eq!(messages.len(), 20);
    messages
}

/// Sends templates over and over.
struct Source<'a> {
    producer: ThreadedProducer<DefaultProducerContext>,
    topic: &'a str,
    templates: &'a [Message],
    n_sent: u64,
    n_bytes: u64,
}

impl<'a> Source<'a> {
    fn new(scenario: &'a Scenario<'_>, templates: &'a [Message]) -> Self {
        let mut config = scenario.stack().client_config();
        config.set("linger.ms", "5");
        let producer = config.create().unwrap();
        Self { producer, topic: scenario.topic(), templates, n_sent: 0, n_bytes: 0 }
    }

    fn send(&mut self) {
        let message = &self.templates[self.n_sent as usize % self.templates.len()];
        let partition = (self.n_sent % N_PARTITIONS as u64) as i32;
        let headers = message.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let record = BaseRecord::<(), [u8]>::to(self.topic).partition(partition).headers(headers);
        let mut record = record.payload(&message.payload);
        while let Err((error, again)) = self.producer.send(record) {
            let KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) = error else {
                panic!("{error}");
            };
            record = again;
            thread::sleep(Duration::from_millis(5));
        }
        self.n_sent += 1;
        self.n_bytes += message.payload.len() as u64;
    }

    fn flush(&self) {
        self.producer.flush(PATIENCE).unwrap();
    }
}

/// CPU and memory of a loader, looked at again and again.
struct Watch {
    usage: Usage,
    began: Instant,
    cpu: Duration,
    rss: Vec<u64>,
    looked: Instant,
}

impl Watch {
    fn new(usage: Usage) -> Self {
        let now = Instant::now();
        Self { usage, began: now, cpu: Duration::ZERO, rss: Vec::new(), looked: now }
    }

    /// At most twenty times a second.
    fn look(&mut self) {
        if self.looked.elapsed() < Duration::from_millis(50) {
            return;
        }
        self.looked = Instant::now();
        let (cpu, rss) = self.usage.now().expect("a loader that runs");
        self.cpu = cpu;
        self.rss.push(rss);
    }

    /// CPU and time until all messages are committed.
    fn until_committed(
        &mut self,
        scenario: &Scenario<'_>,
        n_messages: u64,
    ) -> (Duration, Duration) {
        let mut last = (0, Instant::now());
        loop {
            let n_committed: i64 = scenario.committed(GROUP).iter().sum();
            self.look();
            if n_committed as u64 == n_messages {
                return (self.cpu, self.began.elapsed());
            }
            if n_committed > last.0 {
                last = (n_committed, Instant::now());
            }
            assert!(last.1.elapsed() < PATIENCE, "no commit in {PATIENCE:?}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Resident memory at a quarter, at half, and at the end, and the most.
    fn memory(&self) -> String {
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
        let at = |quarter: usize| {
            mib(self
                .rss
                .get(self.rss.len() * quarter / 4)
                .or(self.rss.last())
                .copied()
                .unwrap_or(0))
        };
        let peak = self.usage.peak_rss().or(self.rss.iter().max().copied()).unwrap_or(0);
        format!("RSS {} {} {} MiB, at most {}", at(1), at(2), at(4), mib(peak))
    }
}

/// A `volley dev`, of which only the ClickHouse is used.
struct Engine {
    process: Child,
    url: String,
}

impl Engine {
    fn start() -> Self {
        let binary = volley_binary().unwrap_or_else(|error| panic!("{error}"));
        let mut dev = Command::new(binary);
        dev.args(["dev", "--format", "json"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = dev.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, url) = line.split_once(r#""clickhouse":""#).expect("an address");
        let url = url.split('"').next().unwrap_or_default().to_owned();
        Self { process, url }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
