//! ClickHouse as a reader and writer of its own: through HTTP, through its Kafka engine, and through
//! clickhouse-connect.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use arrow::{array::RecordBatch, datatypes::Schema};
use volley_core::{
    clickhouse::{column_type, quote_identifier, quote_string},
    encode::encode,
};
use volley_e2e::{PATIENCE, Scenario, difference};

use super::{
    columns::{Column, columns},
    outcome::{Fault, Form, Outcomes, Side, check},
    parties::version,
    party,
    readers::our_payloads,
    writers::{Payloads, check_written},
};

pub(crate) fn http(scenario: &Scenario<'_>) {
    check_version(scenario);
    let columns = columns();
    let mut outcomes = Outcomes::new();
    for (key @ (i, form), payload) in our_payloads() {
        let column = &columns[i];
        create(scenario, &form.file_name(i), std::slice::from_ref(column));
        let (table, name) = (table(scenario, &form.file_name(i)), quote_identifier(column.name));
        let sql = format!("INSERT INTO {table} (n, {name}) FORMAT {}", form.format());
        let outcome = match scenario.insert(&sql, payload) {
            Ok(()) => stored(scenario, &form.file_name(i), column),
            Err(error) => Err(Fault::Refused(error.to_string())),
        };
        outcomes.insert(key, outcome);
    }
    let written = write(scenario, &columns, &outcomes);
    check("ClickHouse", Side::Reads, &outcomes);
    check("ClickHouse", Side::Writes, &check_written(scenario, &written));
}

/// What ClickHouse writes of what it read.
fn write(scenario: &Scenario<'_>, columns: &[Column], read: &Outcomes) -> Payloads {
    let mut written = Payloads::new();
    for (i, column) in columns.iter().enumerate() {
        if read[&(i, Form::ALL[0])].is_err() {
            continue;
        }
        let table = table(scenario, &Form::ALL[0].file_name(i));
        // Its one type of text and bytes is written as text unless told.
        let as_text = if column.name.contains("binary") { "0" } else { "1" };
        for form in Form::ALL {
            let codec = if form.codec() == "lz4" { "lz4_frame" } else { form.codec() };
            let sql = format!("SELECT * FROM {table} ORDER BY n");
            let settings = [
                ("output_format_arrow_compression_method", codec),
                ("output_format_arrow_string_as_string", as_text),
            ];
            let payload = scenario.fetch(&sql, form.format(), &settings).unwrap();
            written.insert((i, form), payload);
        }
    }
    written
}

/// Every type in one message: types that its reader refuses are seen through HTTP already.
pub(crate) fn kafka_engine(scenario: &Scenario<'_>) {
    check_version(scenario);
    let columns = columns();
    let batch = wide(&columns);
    let topics: Vec<_> = Form::ALL
        .map(|form| {
            let scenario = Scenario::new(scenario.stack());
            scenario.create_topic(1, &[]);
            scenario.put([encode(&batch, form.options()).unwrap()]);
            create(&scenario, "rows", &columns);
            let queue = table(&scenario, "queue");
            scenario.execute(&format!(
                "CREATE TABLE {queue} ({}) ENGINE = Kafka SETTINGS kafka_broker_list = {}, \
                 kafka_topic_list = {topic}, kafka_group_name = {topic}, kafka_format = '{}', \
                 kafka_flush_interval_ms = 500, kafka_poll_timeout_ms = 100",
                definitions(&columns),
                quote_string(&scenario.stack().clickhouse_brokers),
                form.format(),
                topic = quote_string(scenario.topic()),
            ));
            let (view, rows) = (table(&scenario, "view"), table(&scenario, "rows"));
            scenario.execute(&format!(
                "CREATE MATERIALIZED VIEW {view} TO {rows} AS SELECT * FROM {queue}"
            ));
            (form, scenario)
        })
        .into();
    let mut outcomes = Outcomes::new();
    let started = Instant::now();
    for (form, scenario) in topics {
        let rows = table(&scenario, "rows");
        let n_rows = batch.num_rows().to_string();
        let arrived = || scenario.query_text(&format!("SELECT count() FROM {rows}")) == n_rows;
        // What it cannot read it tries again and again.
        while !arrived() && started.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        // Its consumer goes before its topic does.
        scenario.execute(&format!("DROP TABLE {} SYNC", table(&scenario, "queue")));
        let found = arrived().then(|| scenario.query(&format!("SELECT * FROM {rows} ORDER BY n")));
        for (i, column) in columns.iter().enumerate() {
            let outcome = match &found {
                None => Err(Fault::Refused(format!("not all {n_rows} rows in {PATIENCE:?}"))),
                Some(found) => {
                    let [expected, found] =
                        [&batch, found].map(|rows| rows.column_by_name(column.name).unwrap());
                    difference(expected, found).map_or(Ok(()), |text| Err(Fault::Changed(text)))
                }
            };
            outcomes.insert((i, form), outcome);
        }
    }
    check("ClickHouse Kafka engine", Side::Reads, &outcomes);
}

pub(crate) fn insert_arrow(scenario: &Scenario<'_>) {
    let Some(mut command) = party::python("clickhouse_connect_party.py") else { return };
    let columns = columns();
    let folder = tempfile::tempdir().unwrap();
    for ((i, form), payload) in our_payloads() {
        create(scenario, &form.file_name(i), std::slice::from_ref(&columns[i]));
        fs::write(folder.path().join(form.file_name(i)), payload).unwrap();
    }
    command.args([&scenario.stack().clickhouse, &scenario.table_name("").database]);
    let answer = party::ask(command, folder.path(), folder.path());
    assert_eq!(answer.version, version("clickhouse-connect"), "not the release that is pinned");
    let mut outcomes = Outcomes::new();
    for (i, column) in columns.iter().enumerate() {
        for form in Form::ALL {
            let outcome = match &answer.values[&form.file_name(i)] {
                Ok(_) => stored(scenario, &form.file_name(i), column),
                Err(error) => Err(Fault::Refused(error.clone())),
            };
            outcomes.insert((i, form), outcome);
        }
    }
    check("clickhouse-connect", Side::Reads, &outcomes);
}

fn create(scenario: &Scenario<'_>, name: &str, columns: &[Column]) {
    let (table, definitions) = (table(scenario, name), definitions(columns));
    scenario.execute(&format!("CREATE TABLE {table} ({definitions}) ENGINE = Memory"));
}

fn definitions(columns: &[Column]) -> String {
    let define = |column: &Column| {
        let field = column.field();
        format!(", {} {}", quote_identifier(field.name()), column_type(&field).unwrap())
    };
    ["n UInt32".to_owned()].into_iter().chain(columns.iter().map(define)).collect()
}

/// Whether a table has the rows of a column.
fn stored(scenario: &Scenario<'_>, name: &str, column: &Column) -> Result<(), Fault> {
    let found = scenario.query(&format!("SELECT * FROM {} ORDER BY n", table(scenario, name)));
    let expected = column.rows();
    if found.num_rows() != expected.num_rows() {
        let text = format!("{} rows, not {}", found.num_rows(), expected.num_rows());
        return Err(Fault::Changed(text));
    }
    difference(expected.column(1), found.column(1)).map_or(Ok(()), |text| Err(Fault::Changed(text)))
}

fn table(scenario: &Scenario<'_>, name: &str) -> String {
    scenario.table_name(name).quoted()
}

/// The rows that every column has, side by side.
fn wide(columns: &[Column]) -> RecordBatch {
    let batches: Vec<_> = columns.iter().map(|column| column.batches()[0].clone()).collect();
    let schema = |batch: &RecordBatch, column: usize| batch.schema().field(column).clone();
    let fields = batches.iter().map(|batch| schema(batch, 1));
    let fields: Vec<_> = [schema(&batches[0], 0)].into_iter().chain(fields).collect();
    let arrays = batches.iter().map(|batch| batch.column(1).clone());
    let arrays = [batches[0].column(0).clone()].into_iter().chain(arrays).collect();
    RecordBatch::try_new(Schema::new(fields).into(), arrays).unwrap()
}

fn check_version(scenario: &Scenario<'_>) {
    let (found, pinned) = (scenario.query_text("SELECT version()"), version("ClickHouse"));
    assert!(found.starts_with(&pinned), "ClickHouse is {found}, and {pinned} is pinned");
}
