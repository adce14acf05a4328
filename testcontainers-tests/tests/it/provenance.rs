//! Columns that say which message a row comes from.

use std::{num::NonZeroUsize, sync::Arc};

use arrow::array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch};
use arrow::datatypes::Int8Type;
use volley::{
    clickhouse::Evolution,
    load::{InsertProblem, LoadError, LoadOptions},
    produce::{MessageKey, ProduceOptions},
};
use volley_core::{
    codec::{Codec, CodecOptions, Framing, ZstdLevel},
    encode::encode,
};
use volley_e2e::{Case, Scenario};

use crate::columns;

pub(crate) const CASES: &[Case] = &[
    Case::new("provenance::rows_say_where_they_come_from", rows_say_where_they_come_from),
    Case::new("provenance::partitions_are_told_apart", partitions_are_told_apart),
    Case::new("provenance::around_dead_letters_in_an_older_table", around_dead_letters),
    Case::new("provenance::a_column_of_that_name_is_refused", a_column_of_that_name_is_refused),
];

const ROWS_PER_MESSAGE: i64 = 10;

/// Whatever the framing and the codec of a message, and without decoding it.
fn rows_say_where_they_come_from(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let (stream, file) = (Framing::Stream, Framing::File);
    let zstd = Codec::Zstd(ZstdLevel::default());
    let kinds =
        [(zstd, stream), (Codec::None, file), (Codec::Lz4, stream), (zstd, file), (zstd, stream)];
    let messages = (0..).zip(kinds).map(|(message, (codec, framing))| {
        encode(&batch(message), CodecOptions { codec, framing }).unwrap()
    });
    scenario.put(messages);
    let loaded = scenario.load(options(scenario));
    assert_eq!((loaded.rows_loaded, loaded.inserts, loaded.inserts_reencoded), (50, 1, 0));
    check(scenario, "5\t50\t50\t1225");
    let types = format!(
        "SELECT arrayStringConcat(groupArray(name || ' ' || type), ', ') FROM (SELECT name, type \
         FROM system.columns WHERE database = '{}' ORDER BY position)",
        scenario.table_name("rows").database
    );
    assert_eq!(
        scenario.query_text(&types),
        "n Int64, word LowCardinality(String), _topic LowCardinality(String), _partition UInt32, \
         _offset UInt64"
    );
}

fn partitions_are_told_apart(scenario: &Scenario<'_>) {
    scenario.create_topic(3, &[]);
    let produce = scenario.produce_options(6, 6_000);
    scenario.produce(ProduceOptions { key: MessageKey::None, ..produce });
    let options = LoadOptions { provenance: true, ..scenario.load_options("a") };
    assert_eq!(scenario.load(options).rows_loaded, 6_000);
    // As many rows of each message as it has, and its own.
    let table = scenario.table();
    for message in scenario.messages() {
        let batch = volley_e2e::concat(&message.batches());
        let of_message =
            format!("_partition = {} AND _offset = {}", message.partition, message.offset);
        let stored = scenario.query(&format!(
            "SELECT * EXCEPT (_topic, _partition, _offset) FROM {table} WHERE {of_message} ORDER BY \
             device, ts"
        ));
        volley_e2e::assert_same_rows(&volley_e2e::sorted(&batch, &["device", "ts"]), &stored);
    }
    let topics = scenario.query_text(&format!("SELECT DISTINCT _topic FROM {table}"));
    assert_eq!(topics, scenario.topic());
}

/// A message that cannot be loaded takes its offset with it, and a table without the columns gets them.
fn around_dead_letters(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    scenario.execute(&format!(
        "CREATE TABLE {} (n Int64, word String, CONSTRAINT small CHECK n < 1000) ENGINE = MergeTree \
         ORDER BY n SETTINGS non_replicated_deduplication_window = 100",
        scenario.table()
    ));
    let message = |message| encode(&batch(message), CodecOptions::default()).unwrap();
    scenario.put([message(0), message(1), b"damaged".to_vec(), message(100), message(4)]);
    let mut options = options(scenario);
    let refused = scenario.try_load(options.clone()).unwrap_err();
    let LoadError::Insert { source, .. } = refused else { panic!("{refused}") };
    let InsertProblem::NoColumns { columns, .. } = *source else { panic!("{source}") };
    assert_eq!(columns, ["_topic", "_partition", "_offset"]);

    options.evolution = Evolution::AddColumns;
    options.limits.n_rows = NonZeroUsize::new(1000).unwrap();
    let loaded = scenario.load(options);
    assert_eq!((loaded.rows_loaded, loaded.dead_letters, loaded.inserts_reencoded), (30, 2, 0));
    check(scenario, "3\t30\t30\t635");
}

fn a_column_of_that_name_is_refused(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let n: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("n", n.clone()), ("_offset", n)]).unwrap();
    scenario.put([encode(&batch, CodecOptions::default()).unwrap()]);
    let refused = scenario.try_load(options(scenario)).unwrap_err();
    let LoadError::Insert { source, .. } = refused else { panic!("{refused}") };
    assert_eq!(
        source.to_string(),
        "the messages have a column '_offset' of their own; rename it, or leave out --provenance"
    );
    assert_eq!(scenario.committed("a"), [0]);
}

fn options(scenario: &Scenario<'_>) -> LoadOptions {
    LoadOptions {
        provenance: true,
        dead_letters: Some(scenario.dead_letter_topic()),
        ..columns::options(scenario)
    }
}

/// Ten rows whose numbers say which message they are in.
fn batch(message: i64) -> RecordBatch {
    let rows = message * ROWS_PER_MESSAGE..(message + 1) * ROWS_PER_MESSAGE;
    let words: DictionaryArray<Int8Type> =
        rows.clone().map(|n| ["a", "b"][n as usize % 2]).collect();
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(rows));
    let word: ArrayRef = Arc::new(words);
    RecordBatch::try_from_iter([("n", n), ("word", word)]).unwrap()
}

/// Messages, rows, rows that say the right thing, and the sum of their numbers.
fn check(scenario: &Scenario<'_>, expected: &str) {
    let is_right = format!(
        "_topic = '{}' AND _partition = 0 AND _offset = intDiv(n, {ROWS_PER_MESSAGE}) AND word = \
         ['a', 'b'][n % 2 + 1]",
        scenario.topic()
    );
    let found = scenario.query_text(&format!(
        "SELECT uniqExact(_offset), count(), countIf({is_right}), sum(n) FROM {}",
        scenario.table()
    ));
    assert_eq!(found, expected);
}
