use std::{collections::HashMap, fmt::Write as _};

use arrow::{
    array::{AsArray as _, RecordBatch},
    datatypes::{
        DataType, Float32Type, Int32Type, Schema, TimestampMicrosecondType, UInt32Type, UInt64Type,
    },
};

use super::{Database, Topic};

/// Every row of the topic is in the table, each with exactly the values it has there, and nothing
/// else is. A row may be there twice: after a failure it may come again, for the table to fold.
#[track_caller]
pub(crate) fn assert_same_rows(topic: &Topic<'_>, database: &Database) {
    let batches = topic.batches();
    let schema = batches.first().map_or_else(|| Schema::empty().into(), RecordBatch::schema);
    let expected: Vec<_> = batches.iter().flat_map(lines).collect();
    let found = stored(database, &schema);
    let mut missing: HashMap<&str, i64> = HashMap::new();
    for line in &expected {
        *missing.entry(line).or_default() += 1;
    }
    for line in &found {
        *missing.entry(line).or_default() -= 1;
    }
    missing.retain(|_, n| *n != 0);
    let differences: Vec<_> = missing.iter().take(3).collect();
    assert!(
        differences.is_empty(),
        "{} rows in the topic, {} in the table, {} differences, such as {differences:?}",
        expected.len(),
        found.len(),
        missing.len()
    );
}

/// Each row as text, floats as their bits.
fn lines(batch: &RecordBatch) -> Vec<String> {
    (0..batch.num_rows())
        .map(|i| {
            let mut line = String::new();
            for column in batch.columns() {
                let written = match column.data_type() {
                    DataType::Utf8 => write!(line, "{}\t", column.as_string::<i32>().value(i)),
                    DataType::Timestamp(..) => {
                        let times = column.as_primitive::<TimestampMicrosecondType>();
                        write!(line, "{}\t", times.value(i))
                    }
                    DataType::Float32 => {
                        let floats = column.as_primitive::<Float32Type>();
                        write!(line, "{}\t", floats.value(i).to_bits())
                    }
                    DataType::Int32 => {
                        write!(line, "{}\t", column.as_primitive::<Int32Type>().value(i))
                    }
                    DataType::UInt32 => {
                        write!(line, "{}\t", column.as_primitive::<UInt32Type>().value(i))
                    }
                    DataType::UInt64 => {
                        write!(line, "{}\t", column.as_primitive::<UInt64Type>().value(i))
                    }
                    other => panic!("no text for {other}"),
                };
                written.unwrap();
            }
            line
        })
        .collect()
}

/// The same of the rows in the table.
fn stored(database: &Database, schema: &Schema) -> Vec<String> {
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Timestamp(..) => format!("toUnixTimestamp64Micro({})", field.name()),
            DataType::Float32 => format!("reinterpretAsUInt32({})", field.name()),
            _ => field.name().clone(),
        })
        .collect();
    let answer = database.query(&format!(
        "SELECT DISTINCT {} FROM {}",
        columns.join(", "),
        database.table()
    ));
    answer.lines().map(|line| format!("{line}\t")).collect()
}
