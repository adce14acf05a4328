//! Schemas that change while a loader runs, and tables that are not quite like the messages.

use std::sync::Arc;

use arrow::{
    array::{
        Array as _, ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
        Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray,
        RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, TimestampSecondArray,
        UInt32Array, UInt64Array,
    },
    datatypes::{DataType, Field, Int8Type, Int64Type, Schema},
};
use volley::{
    clickhouse::Evolution,
    load::{InsertProblem, LoadError, LoadOptions},
};
use volley_core::{
    clickhouse::{Fit, column_type, fit},
    codec::CodecOptions,
    encode::encode,
};
use volley_e2e::{Case, Scenario};

use crate::columns::{self, fixed_size_binary};

pub(crate) const CASES: &[Case] = &[
    Case::new("evolve::new_columns_are_added_midway", new_columns_are_added_midway),
    Case::new("evolve::without_it_the_statement_is_said", without_it_the_statement_is_said),
    Case::new("evolve::columns_that_messages_lack_are_defaults", columns_that_messages_lack),
    Case::new("evolve::a_table_that_changes_midway_is_looked_at_again", a_table_that_changes),
    Case::new("evolve::wider_columns_take_values", wider_columns_take_values),
    Case::new("evolve::lossy_columns_are_refused_before_an_insert", lossy_columns_are_refused),
    Case::new("evolve::the_engine_agrees_on_what_fits", the_engine_agrees_on_what_fits),
];

fn new_columns_are_added_midway(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let loader = scenario.start_load(options(scenario, Evolution::AddColumns));
    put(scenario, &[("n", integers(0..10))]);
    loader.wait_for_rows(10);
    let words: DictionaryArray<Int8Type> = vec![Some("a"); 10].into_iter().collect();
    let nulls = Int64Array::from([Some(1), None].repeat(5));
    put(
        scenario,
        &[
            ("n", integers(10..20)),
            ("some", Arc::new(nulls)),
            ("word", Arc::new(words)),
            ("flag", Arc::new(BooleanArray::from(vec![true; 10]))),
        ],
    );
    put(scenario, &[("n", integers(20..30))]);
    put(scenario, &[("later", integers(0..10)), ("n", integers(30..40))]);
    loader.wait_for_rows(40);
    let loaded = loader.stop();
    assert_eq!((loaded.rows_loaded, loaded.inserts), (40, 4));
    let sums = "SELECT count(), sum(n), sum(some), countIf(some IS NULL), countIf(word = 'a'), \
                countIf(flag), sum(later)";
    let found = scenario.query_text(&format!("{sums} FROM {}", scenario.table()));
    assert_eq!(found, "40\t780\t5\t35\t10\t10\t45");
    assert_eq!(
        types(scenario),
        "n Int64, some Nullable(Int64), word LowCardinality(String), flag Bool, later Int64"
    );
}

fn without_it_the_statement_is_said(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    put(scenario, &[("n", integers(0..10))]);
    put(scenario, &[("n", integers(10..20)), ("more", integers(0..10)), ("b c", integers(0..10))]);
    let options = options(scenario, Evolution::Refuse);
    let InsertProblem::NoColumns { columns, statement } = refused(scenario, options.clone()) else {
        panic!("expected missing columns");
    };
    assert_eq!(columns, ["more", "b c"]);
    assert_eq!(scenario.committed("a"), [1]);
    scenario.execute(&statement);
    assert_eq!(scenario.load(options).rows_loaded, 10);
    assert_eq!(count(scenario), "20");
    assert_eq!(types(scenario), "n Int64, more Int64, b c Int64");
}

fn columns_that_messages_lack(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    create(
        scenario,
        "n Int64, text String DEFAULT concat('n is ', toString(n)), zero UInt8, none \
         Nullable(Int8), twice Int64 MATERIALIZED 2 * n",
    );
    put(scenario, &[("n", integers(3..4))]);
    assert_eq!(scenario.load(options(scenario, Evolution::Refuse)).rows_loaded, 1);
    let found = scenario.query_text(&format!("SELECT *, twice FROM {}", scenario.table()));
    assert_eq!(found, "3\tn is 3\t0\t\\N\t6");
}

/// Someone takes a column away, or the whole table, while the loader runs.
fn a_table_that_changes(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let loader = scenario.start_load(options(scenario, Evolution::AddColumns));
    let columns = |range: std::ops::Range<i64>| {
        let more = integers(range.clone());
        [("n", integers(range)), ("more", more)]
    };
    put(scenario, &columns(0..10));
    loader.wait_for_rows(10);
    scenario.execute(&format!("ALTER TABLE {} DROP COLUMN more", scenario.table()));
    put(scenario, &columns(10..20));
    loader.wait_for_rows(20);
    let sums = format!("SELECT count(), sum(more) FROM {}", scenario.table());
    assert_eq!(scenario.query_text(&sums), "20\t145");
    scenario.execute(&format!("DROP TABLE {} SYNC", scenario.table()));
    put(scenario, &columns(20..30));
    loader.wait_for_rows(30);
    loader.stop();
    assert_eq!(scenario.query_text(&sums), "10\t245");
}

fn wider_columns_take_values(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    create(
        scenario,
        "n Int64, i Int64, u Nullable(UInt64), f Float64, t DateTime64(9), s LowCardinality(String)",
    );
    put(
        scenario,
        &[
            ("n", integers(0..2)),
            ("i", Arc::new(Int32Array::from(vec![i32::MIN, i32::MAX]))),
            ("u", Arc::new(UInt32Array::from(vec![None, Some(u32::MAX)]))),
            ("f", Arc::new(Float32Array::from(vec![0.5, -0.25]))),
            ("t", Arc::new(TimestampMicrosecondArray::from(vec![0, 1_700_000_000_123_456]))),
            ("s", Arc::new(StringArray::from(vec!["a", "b"]))),
        ],
    );
    assert_eq!(scenario.load(options(scenario, Evolution::Refuse)).rows_loaded, 2);
    let columns = "groupArray(i), groupArray(ifNull(u, 7)), groupArray(f), \
                   groupArray(toUnixTimestamp64Nano(t)), groupArray(s)";
    let found = scenario.query_text(&format!("SELECT {columns} FROM {}", scenario.table()));
    assert_eq!(
        found,
        "[-2147483648,2147483647]\t[7,4294967295]\t[0.5,-0.25]\t[0,1700000000123456000]\t['a','b']"
    );
}

fn lossy_columns_are_refused(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    create(scenario, "n Int64, i Nullable(Int32)");
    put(scenario, &[("n", integers(0..10)), ("i", integers(0..10))]);
    // A small value would be stored as it is, and a larger one later would not.
    let problem = refused(scenario, options(scenario, Evolution::AddColumns));
    let InsertProblem::ColumnType { column, table_type, arrow_type, .. } = problem else {
        panic!("{problem}");
    };
    assert_eq!([&*column, &table_type, &arrow_type], ["i", "Nullable(Int32)", "int64"]);
    assert_eq!((count(scenario), scenario.committed("a")), ("0".to_owned(), vec![0]));
}

/// What the table of fits says is what ClickHouse does to values at the edges of a type.
fn the_engine_agrees_on_what_fits(scenario: &Scenario<'_>) {
    let structs = StructArray::from(vec![
        (Arc::new(Field::new("a", DataType::Int32, false)), i32s() as ArrayRef),
        (Arc::new(Field::new("b", DataType::Int64, false)), i64s() as ArrayRef),
    ]);
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
        Some(vec![Some(i64::MIN), Some(i64::MAX)]),
        Some(vec![]),
    ]);
    let decimals = Decimal128Array::from(vec![9_999_999_999, -1_234_567_891]);
    let decimals = decimals.with_precision_and_scale(10, 2).unwrap();
    let seconds = TimestampSecondArray::from(vec![-5, 7_000_000_000]);
    let times = TimestampMicrosecondArray::from(vec![-1, 7_000_000_000_123_456]);
    let all: Vec<(ArrayRef, &[&str])> = vec![
        (
            Arc::new(Int8Array::from(vec![i8::MIN, i8::MAX])),
            &["Int8", "Int16", "Float32", "BFloat16", "Decimal(3, 0)", "UInt8", "Bool"],
        ),
        (
            Arc::new(Int16Array::from(vec![i16::MIN, i16::MAX])),
            &["Int32", "Float32", "BFloat16", "Int8", "UInt64"],
        ),
        (i32s(), &["Int32", "Int64", "Int256", "Float64", "Float32", "Decimal(12, 2)", "UInt64"]),
        (i64s(), &["Int64", "Int128", "Float64", "Decimal(38, 19)", "Int32", "UInt64"]),
        (
            Arc::new(UInt64Array::from(vec![0, u64::MAX])),
            &["UInt64", "Int128", "UInt256", "Decimal(38, 18)", "Int64", "UInt32", "Float64"],
        ),
        (
            Arc::new(BooleanArray::from(vec![true, false])),
            &["Bool", "UInt8", "Int64", "Float32", "BFloat16"],
        ),
        (
            Arc::new(Float64Array::from(vec![0.1, 1e300])),
            &["Float64", "Float32", "Int64", "Decimal(76, 10)"],
        ),
        (Arc::new(Float32Array::from(vec![0.1, -1e30])), &["Float32", "Float64", "BFloat16"]),
        (
            Arc::new(decimals),
            &["Decimal(10, 2)", "Decimal(12, 3)", "Decimal(60, 2)", "Decimal(18, 1)", "Int64"],
        ),
        (
            Arc::new(StringArray::from(vec!["", "ä\0"])),
            &["String", "LowCardinality(String)", "Nullable(String)"],
        ),
        (
            fixed_size_binary(&[*b"ab\0", *b"\0\0\0"]),
            &["FixedString(3)", "FixedString(5)", "FixedString(2)", "String"],
        ),
        (
            // 1900-01-01 and 2299-12-31
            Arc::new(Date32Array::from(vec![-25_567, 120_529])),
            &["Date32", "DateTime64(0)", "DateTime64(6)", "DateTime64(9)", "Date", "DateTime"],
        ),
        (
            Arc::new(times),
            &["DateTime64(6)", "DateTime64(8)", "DateTime64(3)", "DateTime", "Date32", "Int64"],
        ),
        (Arc::new(seconds), &["DateTime64(0)", "DateTime64(6)", "Int64"]),
        (Arc::new(lists), &["Array(Int64)", "Array(Int128)", "Array(Int32)"]),
        (
            Arc::new(structs),
            &[
                "Tuple(a Int32, b Int64)",
                "Tuple(b Int64, a Int32)",
                "Tuple(a Int64, b Int128)",
                "Tuple(a Int8, b Int64)",
                "Tuple(a Int32)",
            ],
        ),
    ];
    for (array, table_types) in all {
        for table_type in table_types {
            let found = fit(array.data_type(), table_type);
            let is_kept = is_kept(scenario, &array, table_type);
            let expected = match found {
                Fit::Exact | Fit::Widening => true,
                Fit::Lossy(_) => false,
                other => panic!("{} in {table_type} is {other:?}", array.data_type()),
            };
            assert_eq!(is_kept, expected, "{} in {table_type}: {found:?}", array.data_type());
        }
    }
}

/// Whether values are the same in a column of their own type and in one of another.
fn is_kept(scenario: &Scenario<'_>, array: &ArrayRef, table_type: &str) -> bool {
    let field = Field::new("c", array.data_type().clone(), false);
    let schema =
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), field.clone()]));
    let n = integers(0..array.len() as i64);
    let batch = RecordBatch::try_new(schema, vec![n, array.clone()]).unwrap();
    let body = encode(&batch, CodecOptions::default()).unwrap();
    let own = column_type(&field).unwrap();
    for (table, type_name) in [("own", own.as_str()), ("other", table_type)] {
        let name = scenario.table_name(table);
        scenario.execute(&format!("DROP TABLE IF EXISTS {name} SYNC"));
        scenario.execute(&format!(
            "CREATE TABLE {name} (n Int64, c {type_name}) ENGINE = MergeTree ORDER BY n"
        ));
        let inserted =
            scenario.insert(&format!("INSERT INTO {name} (n, c) FORMAT ArrowStream"), body.clone());
        if table == "own" {
            inserted.unwrap();
        } else if inserted.is_err() {
            return false;
        }
    }
    let is_same = match array.data_type() {
        // Tuples are equal by place, so their elements are compared by name.
        DataType::Struct(_) => {
            "JSONExtract(toJSONString(own.c), 'Tuple(a Int64, b Int64)') = \
             JSONExtract(toJSONString(other.c), 'Tuple(a Int64, b Int64)')"
        }
        // ClickHouse takes zeros at the end for nothing where it compares.
        DataType::FixedSizeBinary(_) => "startsWith(hex(other.c), hex(own.c))",
        // Compared with a time, a date is cut to the range of that.
        DataType::Date32 => "own.c = toDate32(other.c)",
        _ => "own.c = other.c",
    };
    let sql = format!(
        "SELECT countIf({is_same}) FROM {} AS own JOIN {} AS other ON own.n = other.n",
        scenario.table_name("own"),
        scenario.table_name("other")
    );
    scenario.query_text(&sql) == array.len().to_string()
}

fn i32s() -> Arc<Int32Array> {
    Arc::new(Int32Array::from(vec![i32::MIN, i32::MAX]))
}

fn i64s() -> Arc<Int64Array> {
    Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX]))
}

fn integers(range: std::ops::Range<i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(range))
}

/// One message; columns with nulls among their values may be null.
fn put(scenario: &Scenario<'_>, columns: &[(&str, ArrayRef)]) {
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), array.null_count() > 0))
        .collect();
    let arrays = columns.iter().map(|(_, array)| array.clone()).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap();
    scenario.put([encode(&batch, CodecOptions::default()).unwrap()]);
}

fn options(scenario: &Scenario<'_>, evolution: Evolution) -> LoadOptions {
    LoadOptions { evolution, ..columns::options(scenario) }
}

fn refused(scenario: &Scenario<'_>, options: LoadOptions) -> InsertProblem {
    match scenario.try_load(options).unwrap_err() {
        LoadError::Insert { source, .. } => *source,
        other => panic!("{other}"),
    }
}

fn create(scenario: &Scenario<'_>, columns: &str) {
    scenario.execute(&format!(
        "CREATE TABLE {} ({columns}) ENGINE = MergeTree ORDER BY n \
         SETTINGS non_replicated_deduplication_window = 100",
        scenario.table()
    ));
}

fn count(scenario: &Scenario<'_>) -> String {
    scenario.query_text(&format!("SELECT count() FROM {}", scenario.table()))
}

fn types(scenario: &Scenario<'_>) -> String {
    let table = scenario.table_name("rows");
    scenario.query_text(&format!(
        "SELECT arrayStringConcat(groupArray(name || ' ' || type), ', ') FROM (SELECT name, type \
         FROM system.columns WHERE database = '{}' AND table = '{}' ORDER BY position)",
        table.database, table.table
    ))
}
