//! Messages that differ: in their columns, or in having no rows.

use arrow::array::RecordBatch;
use volley::produce::{ProduceOptions, SourceOptions};
use volley_core::{
    clickhouse::{TableOptions, create_table},
    codec::{Codec, CodecOptions, Framing},
    encode::Encoder,
    host::MetricSet,
};
use volley_e2e::{Case, Scenario, assert_same_rows, concat, sorted};

pub(crate) const CASES: &[Case] = &[
    Case::new("schemas::two_schemas_share_a_topic", two_schemas_share_a_topic),
    Case::new("schemas::messages_without_rows_pass", messages_without_rows_pass),
];

fn two_schemas_share_a_topic(scenario: &Scenario<'_>) {
    scenario.create_topic(2, &[]);
    let full = MetricSet::Full.schema();
    let options = TableOptions { order_by: "device, ts".to_owned(), ..TableOptions::default() };
    let table = scenario.table_name("rows").quoted();
    scenario.execute(&create_table(&table, &full, &options).unwrap());
    for (hour, metrics) in (0..).zip([MetricSet::Full, MetricSet::Basic, MetricSet::Full]) {
        scenario.produce(produce_options(scenario, metrics, hour));
    }

    let loaded = scenario.load(scenario.load_options("a"));
    assert_eq!(loaded.rows_loaded, 3_000);
    // In a partition, the other schema cuts a block before and after it.
    assert!(loaded.inserts >= 3, "{} inserts", loaded.inserts);
    let batches: Vec<_> = scenario.messages().iter().flat_map(|m| m.batches()).collect();
    let stored = |filter: &str| {
        scenario.query(&format!("SELECT * FROM {table} WHERE {filter} ORDER BY device, ts"))
    };
    let sent = |schema: &arrow::datatypes::SchemaRef| {
        let of_schema = batches.iter().filter(|batch| batch.schema().fields() == schema.fields());
        sorted(&concat(&of_schema.cloned().collect::<Vec<RecordBatch>>()), &["device", "ts"])
    };
    let second_hour = "ts >= fromUnixTimestamp64Micro(1700003600000000) \
                       AND ts < fromUnixTimestamp64Micro(1700007200000000)";
    assert_same_rows(&sent(&full), &stored(&format!("NOT ({second_hour})")));
    let basic = stored(second_hour);
    assert_same_rows(&sent(&MetricSet::Basic.schema()), &basic);
    // What a message does not have is the column's default.
    assert_eq!(
        scenario.query_text(&format!("SELECT max(process_count) FROM {table} WHERE {second_hour}")),
        "0"
    );
}

fn messages_without_rows_pass(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let schema = MetricSet::Basic.schema();
    let empty = RecordBatch::new_empty(schema.clone());
    let encoder = |framing| {
        let options = CodecOptions { codec: Codec::Lz4, framing };
        Encoder::new(schema.clone(), options).unwrap()
    };
    let [mut stream, mut file] = [encoder(Framing::Stream), encoder(Framing::File)];
    let batch = std::slice::from_ref(&empty);
    let payloads = [stream.encode(batch), file.encode(batch), stream.encode(&[]), file.encode(&[])]
        .map(Result::unwrap);
    // Alone, they make no table.
    scenario.put(payloads.clone());
    let loaded = scenario.load(scenario.load_options("a"));
    assert_eq!((loaded.messages, loaded.rows_loaded, loaded.inserts), (4, 0, 0));
    assert_eq!(scenario.query_text(&format!("EXISTS {}", scenario.table())), "0");

    // Among others, they are passed over.
    scenario.produce(produce_options(scenario, MetricSet::Basic, 0));
    scenario.put(payloads);
    scenario.produce(produce_options(scenario, MetricSet::Basic, 1));
    let loaded = scenario.load(scenario.load_options("a"));
    assert_eq!(loaded.rows_loaded, 2_000);
    let sent: Vec<_> = scenario.messages().iter().flat_map(|m| m.batches()).collect();
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY device, ts", scenario.table()));
    assert_same_rows(&sorted(&concat(&sent), &["device", "ts"]), &stored);
    assert_eq!(scenario.load(scenario.load_options("a")).messages, 0);
}

/// 1,000 rows that begin at an hour of their own.
fn produce_options(scenario: &Scenario<'_>, metrics: MetricSet, hour: i64) -> ProduceOptions {
    let options = scenario.produce_options(4, 1_000);
    let SourceOptions::Synthetic(mut source) = options.source else {
        unreachable!("the suite's rows are made up");
    };
    source.start_us += hour * 3_600_000_000;
    ProduceOptions { metrics, source: SourceOptions::Synthetic(source), ..options }
}
