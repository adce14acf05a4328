//! The engine through the `clickhouse` crate, as the loader uses it.

use std::sync::Arc;

use arrow_array::{Int32Array, RecordBatch, StringArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema};
use clickhouse::error::Error;
use clickhouse::{Client, Row};
use serde::Deserialize;

use crate::support::{wait_for, with_engine};

#[derive(Debug, Deserialize, Eq, PartialEq, Row)]
struct Pair {
    a: i32,
    b: String,
}

/// Rows `(first, "row first")` onwards, as a zstd-compressed Arrow stream.
fn arrow_stream(first: i32, rows: i32) -> Vec<u8> {
    let schema = Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int32, false),
        Field::new("b", DataType::Utf8, false),
    ]));
    let numbers = Int32Array::from_iter_values(first..first + rows);
    let texts = StringArray::from_iter_values((first..first + rows).map(|a| format!("row {a}")));
    let columns = vec![Arc::new(numbers) as _, Arc::new(texts) as _];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let options =
        IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap()
}

async fn create(client: &Client, settings: &str) {
    let sql =
        format!("CREATE TABLE t (a Int32, b String) ENGINE = MergeTree ORDER BY a {settings}");
    client.query(&sql).execute().await.unwrap();
}

async fn insert(client: &Client, stream: &[u8], token: &str) -> Result<(), Error> {
    let mut insert = client
        .clone()
        .with_setting("async_insert", "0")
        .with_setting("insert_deduplication_token", token)
        .insert_formatted_with("INSERT INTO t (a, b) FORMAT ArrowStream");
    // Cut where it hurts, so that nothing depends on how the body is chunked.
    for chunk in stream.chunks(997) {
        insert.send(chunk.to_vec().into()).await?;
    }
    insert.end().await
}

async fn count(client: &Client) -> u64 {
    client.query("SELECT count() FROM t").fetch_one().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn arrow_goes_in_and_typed_rows_come_out() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        create(&client, "").await;
        insert(&client, &arrow_stream(0, 10_000), "x").await.unwrap();
        assert_eq!(count(&client).await, 10_000);
        let last: Vec<Pair> = client
            .query("SELECT ?fields FROM t WHERE a >= ? ORDER BY a")
            .bind(9_998)
            .fetch_all()
            .await
            .unwrap();
        let pair = |a: i32| Pair { a, b: format!("row {a}") };
        assert_eq!(last, [pair(9_998), pair(9_999)]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_come_in_a_form() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        let sum: u32 = client
            .query("SELECT toUInt32({x:UInt16} + length({s:String}))")
            .param("x", 40)
            .param("s", "a'")
            .fetch_one()
            .await
            .unwrap();
        assert_eq!(sum, 42);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deduplication_token_stores_rows_once() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        create(&client, "SETTINGS non_replicated_deduplication_window = 100").await;
        for (token, expect) in [("one", 100), ("one", 100), ("two", 200), ("one", 200)] {
            insert(&client, &arrow_stream(0, 100), token).await.unwrap();
            assert_eq!(count(&client).await, expect, "after token {token}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_last_for_one_query() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        let sql = "SELECT value FROM system.settings WHERE name = 'max_block_size'";
        let default: String = client.query(sql).fetch_one().await.unwrap();
        let set = client.clone().with_setting("max_block_size", "1234");
        assert_eq!(set.query(sql).fetch_one::<String>().await.unwrap(), "1234");
        assert_eq!(client.query(sql).fetch_one::<String>().await.unwrap(), default);
        client.query("CREATE DATABASE other").execute().await.unwrap();
        let other = client.clone().with_database("other");
        let sql = "SELECT currentDatabase()";
        assert_eq!(other.query(sql).fetch_one::<String>().await.unwrap(), "other");
        assert_eq!(client.query(sql).fetch_one::<String>().await.unwrap(), "default");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_carry_clickhouse_codes() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        create(&client, "").await;
        let check = |result: Result<(), Error>, code: &str, name: &str| {
            let error = result.expect_err(name).to_string();
            assert!(error.contains(code) && error.contains(name), "{error}");
        };
        check(client.query("SELEC 1").execute().await, "Code: 62.", "SYNTAX_ERROR");
        check(client.query("DROP TABLE nosuch").execute().await, "Code: 60.", "UNKNOWN_TABLE");
        let nowhere = client.clone().with_database("nowhere");
        check(nowhere.query("SELECT 1").execute().await, "Code: 81.", "UNKNOWN_DATABASE");
        let unset = client.clone().with_setting("nosuch", "1");
        check(unset.query("SELECT 1").execute().await, "Code: 115.", "UNKNOWN_SETTING");
        let stranger = client.clone().with_user("mallory").with_password("x");
        let refused = stranger.query("SELECT 1").execute().await;
        check(refused, "Code: 516.", "AUTHENTICATION_FAILED");

        let mut damaged = arrow_stream(0, 10_000);
        damaged.truncate(damaged.len() / 2);
        insert(&client, &damaged, "x").await.expect_err("half a stream");
        insert(&client, b"no Arrow at all", "x").await.expect_err("no Arrow");
        assert_eq!(count(&client).await, 0, "nothing of a failed insert is stored");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_fails_long_before_its_end_says_why() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        create(&client, "").await;
        let noise = vec![1; 1 << 20];
        for (table, code) in [("t", "Code: 117."), ("nosuch", "Code: 60.")] {
            let sql = format!("INSERT INTO {table} (a, b) FORMAT ArrowStream");
            let mut insert = client.insert_formatted_with(sql);
            let mut failed = None;
            for _ in 0..64 {
                if let Err(error) = insert.send(noise.clone().into()).await {
                    failed = Some(error);
                    break;
                }
            }
            let error = match failed {
                Some(error) => error,
                None => insert.end().await.expect_err(table),
            };
            assert!(error.to_string().contains(code), "{error}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_fails_midway_is_an_error() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        let mut cursor = client
            .query("SELECT number + throwIf(number = 5000000, 'midway') FROM numbers(10000000)")
            .with_setting("max_threads", "1")
            .fetch_bytes("TabSeparated")
            .unwrap();
        let mut bytes = 0;
        let error = loop {
            match cursor.next().await {
                Ok(Some(chunk)) => bytes += chunk.len(),
                Ok(None) => panic!("the result ends after {bytes} bytes as if it were whole"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(bytes > 0 && error.contains("Code: 395."), "after {bytes} bytes: {error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inserts_from_many_tasks_all_arrive() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        create(&client, "").await;
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let client = client.clone();
                tokio::spawn(async move {
                    for round in 0..5 {
                        let stream = arrow_stream((task * 5 + round) * 1_000, 1_000);
                        insert(&client, &stream, &format!("{task} {round}")).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        wait_for(url, "SELECT count(), uniqExact(a), max(a) FROM t", "40000\t40000\t39999").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_is_given_up_stores_nothing() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        create(&client, "").await;
        let mut given_up = client.insert_formatted_with("INSERT INTO t (a, b) FORMAT ArrowStream");
        let stream = arrow_stream(0, 100_000);
        given_up.send(stream[..stream.len() - 8].to_vec().into()).await.unwrap();
        wait_for(url, "SELECT count() FROM system.processes WHERE query LIKE 'INSERT%'", "1").await;
        drop(given_up);
        wait_for(url, "SELECT count() FROM system.processes WHERE query LIKE 'INSERT%'", "0").await;
        assert_eq!(count(&client).await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_many_blocks_are_one_document() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        let sql = "SELECT number FROM numbers(500000)";
        let typed: Vec<u64> = client.query(sql).fetch_all().await.unwrap();
        assert!(typed.into_iter().eq(0..500_000));
        let mut arrow = client.query(sql).fetch_bytes("ArrowStream").unwrap();
        let arrow = arrow.collect().await.unwrap();
        let reader = arrow_ipc::reader::StreamReader::try_new(&arrow[..], None).unwrap();
        let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows, 500_000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_has_ended_is_stored_whatever_follows() {
    with_engine(async |url| {
        let client = Client::default().with_url(url);
        create(&client, "").await;
        let stream = arrow_stream(0, 100);
        let twice = [&stream[..], &vec![7; 8 << 20]].concat();
        insert(&client, &twice, "x").await.unwrap();
        assert_eq!(count(&client).await, 100);
        // The same, and the client goes away: it is stored or not, and the engine lives.
        for rest in [0, 1, 1 << 20] {
            let mut insert = client.insert_formatted_with("INSERT INTO t FORMAT ArrowStream");
            insert.send([&stream[..], &vec![7; rest]].concat().into()).await.unwrap();
            drop(insert);
        }
        let none = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT%'";
        wait_for(url, none, "0").await;
    })
    .await;
}
