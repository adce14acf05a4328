//! Programs that read our topics, or write to them, through the broker.

use std::{collections::BTreeMap, process::Command, sync::Arc};

use arrow::{
    array::{AsArray as _, Float32Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    compute::max,
    datatypes::Float32Type,
};
use serde_json::{Value, json};
use volley::{
    clickhouse::{CreateTable, Creation},
    load::LoadOptions,
    produce::ProduceOptions,
};
use volley_core::{
    codec::{Codec, CodecOptions, Framing, ZstdLevel},
    fingerprint::Fingerprint,
    headers::{MessageHeaders, time_column},
    inspect::inspect,
    layout::Options,
};
use volley_e2e::{Message, Scenario, assert_same_rows, sorted};

use super::{parties::version, party};

/// Rows that a dataflow writes.
const N_ROWS: usize = 2_000;

/// Each message as it is: key, value and headers.
pub(crate) fn confluent_kafka(scenario: &Scenario<'_>) {
    let Some(command) = party::python("confluent_party.py") else { return };
    let messages = produced(scenario, Framing::Stream);
    let mut found = said_of(scenario, command, "confluent-kafka", &[]);
    let order = |message: &Value| (message["partition"].as_i64(), message["offset"].as_i64());
    found.sort_by_key(order);
    let expected: Vec<_> = messages.iter().map(shown).collect();
    assert_eq!(found, expected);
}

/// The bytes of single messages, by partition and offset.
pub(crate) fn kcat(scenario: &Scenario<'_>) {
    let fetch = |message: &Message, format: &str| {
        let mut command = party::kcat()?;
        command.args(["-C", "-q", "-e", "-c", "1", "-b", &scenario.stack().brokers]);
        command.args(["-t", scenario.topic(), "-f", format]);
        command.args(["-p", &message.partition.to_string(), "-o", &message.offset.to_string()]);
        Some(party::output(command))
    };
    for message in produced(scenario, Framing::File).iter().step_by(7) {
        let Some(value) = fetch(message, "%s") else { return };
        assert!(value == message.payload, "{} bytes, not {}", value.len(), message.payload.len());
        let headers = headers(message).map(|(name, value)| format!("{name}={value}")).join(",");
        assert_eq!(String::from_utf8(fetch(message, "%h").unwrap()).unwrap(), headers);
    }
}

/// A dataflow that reads both framings into Polars, for max(cpu_used) of each device.
pub(crate) fn bytewax_reads(scenario: &Scenario<'_>) {
    let Some(command) = party::bytewax("bytewax_reads.py") else { return };
    produced(scenario, Framing::Stream);
    scenario.produce(produce_options(scenario, Framing::File));
    let mut expected: BTreeMap<String, f32> = BTreeMap::new();
    for message in scenario.messages() {
        for batch in message.batches() {
            let cpu_used = batch.column_by_name("cpu_used").unwrap().as_primitive::<Float32Type>();
            let largest = expected.entry(message.key.clone().unwrap()).or_insert(0.0);
            *largest = largest.max(max(cpu_used).unwrap());
        }
    }
    let found: BTreeMap<String, String> = said_of(scenario, command, "Bytewax", &[])
        .iter()
        .map(|line| {
            [&line["device"], &line["cpu_used"]].map(|text| text.as_str().unwrap().to_owned())
        })
        .map(|[device, cpu_used]| (device, cpu_used))
        .collect();
    let expected: BTreeMap<String, String> = expected
        .into_iter()
        .map(|(device, cpu_used)| (device, format!("{:016x}", f64::from(cpu_used).to_bits())))
        .collect();
    assert_eq!(found, expected);
}

/// The pattern's messages: a file each, zstd, a batch of one device; in the table they are all there.
pub(crate) fn bytewax_writes(scenario: &Scenario<'_>) {
    let Some(command) = party::bytewax("bytewax_writes.py") else { return };
    scenario.create_topic(2, &[]);
    said_of(scenario, command, "Bytewax", &[&N_ROWS.to_string()]);
    let messages = scenario.messages();
    assert_eq!(messages.len(), N_ROWS / 100);
    for message in &messages {
        let inspection = inspect(&message.payload, &Options::default());
        assert_eq!((&*inspection.framing, &*inspection.codec), ("file", "zstd"));
        assert_eq!((inspection.rows, inspection.diagnostics), (100, vec![]));
    }
    let create = CreateTable {
        engine: Some("MergeTree".to_owned()),
        // As pyarrow has them unless told, its columns may be null: no sorting key for ClickHouse.
        order_by: Some("tuple()".to_owned()),
        ..CreateTable::default()
    };
    let options = LoadOptions { creation: Creation::Create(create), ..scenario.load_options("a") };
    let loaded = scenario.load(options);
    assert_eq!((loaded.rows_loaded, loaded.inserts_reencoded), (N_ROWS as u64, 0));
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY device, ts", scenario.table()));
    assert_same_rows(&sorted(&samples(), &["device", "ts"]), &stored);
}

/// The same rows as `bytewax_writes.py` makes.
fn samples() -> RecordBatch {
    let rows = || 0..N_ROWS;
    let device = StringArray::from_iter_values(rows().map(|i| format!("device-{}", i % 4)));
    let ts = rows().map(|i| 1_700_000_000_000_000 + i as i64);
    let cpu_used = rows().map(|i| ((i * 37 % 1_000) as f64 / 10.0) as f32);
    RecordBatch::try_from_iter([
        ("device", Arc::new(device) as _),
        ("ts", Arc::new(TimestampMicrosecondArray::from_iter_values(ts)) as _),
        ("cpu_used", Arc::new(Float32Array::from_iter_values(cpu_used)) as _),
    ])
    .unwrap()
}

/// The messages of a few devices in three partitions, as `volley produce` writes them.
fn produced(scenario: &Scenario<'_>, framing: Framing) -> Vec<Message> {
    scenario.create_topic(3, &[]);
    scenario.produce(produce_options(scenario, framing));
    scenario.messages()
}

fn produce_options(scenario: &Scenario<'_>, framing: Framing) -> ProduceOptions {
    let codec = CodecOptions { codec: Codec::Zstd(ZstdLevel::default()), framing };
    ProduceOptions { codec, ..scenario.produce_options(5, 2_000) }
}

/// What a party says of the topic, after its version.
#[track_caller]
fn said_of(
    scenario: &Scenario<'_>,
    mut command: Command,
    party: &str,
    arguments: &[&str],
) -> Vec<Value> {
    command.args([&scenario.stack().brokers, scenario.topic()]).args(arguments);
    let mut lines = party::lines(command);
    assert_eq!(lines.remove(0)["version"], version(party), "{party} is not as pinned");
    lines
}

/// A message as `confluent_party.py` shows it.
fn shown(message: &Message) -> Value {
    let value: String = message.payload.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "partition": message.partition,
        "offset": message.offset,
        "key": message.key,
        "value": value,
        "headers": headers(message),
    })
}

/// The headers that a message must have.
fn headers(message: &Message) -> [(&'static str, String); 6] {
    let batch = volley_e2e::concat(&message.batches());
    let schema = batch.schema();
    let fingerprint = Fingerprint::of(&schema);
    let headers =
        MessageHeaders::describe(&message.payload, &batch, fingerprint, time_column(&schema));
    headers.to_pairs().try_into().unwrap()
}
