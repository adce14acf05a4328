//! The engine through clickhouse-connect, ClickHouse's Python client.

use std::env;
use std::process::Command;

use crate::support::{skip, with_engine};

const SCRIPT: &str = r#"
import sys, datetime, urllib.parse
import clickhouse_connect, pyarrow as pa

url = urllib.parse.urlparse(sys.argv[1])
client = clickhouse_connect.get_client(host=url.hostname, port=url.port)
client.command("CREATE TABLE t (a Int64, b String, ts DateTime64(6)) ENGINE = MergeTree ORDER BY a")

ts = datetime.datetime(2024, 1, 2, 3, 4, 5, 678)
table = pa.table({
    "a": pa.array(range(1000), pa.int64()),
    "b": [f"row {n}" for n in range(1000)],
    "ts": pa.array([ts] * 1000, pa.timestamp("us")),
})
summary = client.insert_arrow("t", table)
assert summary.written_rows == 1000, summary.summary
client.insert("t", [[1000, "x", ts], [1001, "y", ts]], column_names=["a", "b", "ts"])

assert client.query("SELECT count() FROM t").result_rows == [(1002,)]
rows = client.query("SELECT a, b, ts FROM t WHERE a >= {a:Int64} ORDER BY a", parameters={"a": 999})
assert rows.result_rows == [(999, "row 999", ts), (1000, "x", ts), (1001, "y", ts)], rows.result_rows
arrow = client.query_arrow("SELECT a, b FROM t ORDER BY a", use_strings=True)
assert arrow.num_rows == 1002 and arrow["b"][7].as_py() == "row 7", arrow
assert client.command("SELECT currentDatabase()") == "default"
big = client.query("SELECT number FROM numbers(3000000)").result_columns[0]
assert len(big) == 3000000 and big[-1] == 2999999

for sql, code in [("SELECT * FROM nosuch", 60), ("SELECT throwIf(number = 4000000) FROM numbers(9000000)", 395)]:
    try:
        client.query(sql).result_rows
        raise SystemExit(f"{sql} succeeded")
    except clickhouse_connect.driver.exceptions.DatabaseError as error:
        assert str(code) in str(error), error
client.close()
print("all done")
"#;

#[tokio::test(flavor = "multi_thread")]
async fn clickhouse_connect_inserts_and_queries() {
    let Some(python) = env::var_os("VOLLEY_PYTHON").filter(|python| !python.is_empty()) else {
        skip("set VOLLEY_PYTHON to a Python that has clickhouse-connect and pyarrow");
        return;
    };
    with_engine(async |url| {
        let mut script = Command::new(&python);
        script.args(["-c", SCRIPT, url]);
        let output = tokio::task::spawn_blocking(move || script.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "all done\n", "{said}");
    })
    .await;
}
