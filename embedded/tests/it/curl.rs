//! The HTTP interface through `curl`, as people try it by hand.

use std::process::Command;

use crate::support::{skip, with_engine};

/// Runs curl and answers with its output, the status in a last line.
async fn curl(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let run = move || {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--globoff", "--max-time", "30", "-w", "\n[%{http_code}]"]);
        curl.args(arguments).output().expect("curl runs")
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether there is a curl to test with.
fn has_curl() -> bool {
    let found = Command::new("curl").arg("--version").output().is_ok();
    if !found {
        skip("curl is missing: install it, for example with `apt-get install curl`");
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_come_in_the_url_and_in_the_body() {
    if !has_curl() {
        return;
    }
    with_engine(async |url| {
        assert_eq!(curl(&[&format!("{url}/ping")]).await, "Ok.\n\n[200]");
        assert_eq!(curl(&[url]).await, "Ok.\n\n[200]");
        assert_eq!(curl(&[&format!("{url}/?query=SELECT%201%2B1")]).await, "2\n\n[200]");
        assert_eq!(curl(&[url, "-d", "SELECT 'a' FORMAT CSV"]).await, "\"a\"\n\n[200]");
        let halves = curl(&[&format!("{url}/?query=SELECT+1%2B"), "-d", "2"]).await;
        assert_eq!(halves, "3\n\n[200]");
        let param = format!("{url}/?param_x=a%27b&query=SELECT+{{x:String}}");
        assert_eq!(curl(&[&param]).await, "a\\'b\n\n[200]");
        let format = format!("{url}/?default_format=JSONEachRow&query=SELECT+1+AS+x");
        assert_eq!(curl(&[&format]).await, "{\"x\":1}\n\n[200]");
        let header = ["-H", "X-ClickHouse-Format: JSONEachRow", url, "-d", "SELECT 1 AS x"];
        assert_eq!(curl(&header).await, "{\"x\":1}\n\n[200]");
        let show = curl(&[url, "-d", "SHOW DATABASES LIKE 'default'"]).await;
        assert_eq!(show, "default\n\n[200]");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_comes_behind_the_statement_or_beside_it() {
    if !has_curl() {
        return;
    }
    with_engine(async |url| {
        let done = "\n[200]";
        let create = "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a";
        assert_eq!(curl(&[url, "-d", create]).await, done);
        let to_csv = format!("{url}/?query=INSERT+INTO+t+FORMAT+CSV");
        assert_eq!(curl(&[&to_csv, "--data-binary", "1\n2\n"]).await, done);
        let chunked = ["-H", "Transfer-Encoding: chunked", &to_csv, "--data-binary", "3\n"];
        assert_eq!(curl(&chunked).await, done);
        let to_values = format!("{url}/?query=INSERT+INTO+t+VALUES");
        assert_eq!(curl(&[&to_values, "-d", "(4), (2 + 3)"]).await, done);
        assert_eq!(curl(&[url, "-d", "INSERT INTO t VALUES (6)"]).await, done);
        let behind = "INSERT INTO t FORMAT JSONEachRow\n{\"a\": 7}";
        assert_eq!(curl(&[url, "--data-binary", behind]).await, done);
        assert_eq!(curl(&[url, "-d", "INSERT INTO t SELECT 8"]).await, done);
        let all =
            curl(&[url, "-d", "SELECT groupArray(a) FROM (SELECT a FROM t ORDER BY a)"]).await;
        assert_eq!(all, "[1,2,3,4,5,6,7,8]\n\n[200]");
        let told = curl(&["-i", &to_csv, "--data-binary", "9\n"]).await;
        assert!(told.contains("\"written_rows\":\"1\""), "{told}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_clickhouse_statuses() {
    if !has_curl() {
        return;
    }
    with_engine(async |url| {
        let check = async |arguments: &[&str], status: u16, code: u16| {
            let answer = curl(&[&["-i"], arguments].concat()).await;
            assert!(answer.ends_with(&format!("[{status}]")), "{arguments:?}: {answer}");
            let header = format!("x-clickhouse-exception-code: {code}\r\n");
            assert!(answer.contains(&header), "{arguments:?}: {answer}");
            let body = format!("\r\n\r\nCode: {code}. DB::Exception: ");
            assert!(answer.contains(&body), "{arguments:?}: {answer}");
            assert!(answer.contains("(version 26."), "{arguments:?}: {answer}");
        };
        check(&[url, "-d", "SELECT ("], 400, 62).await;
        check(&[url, "-d", "SELECT 1; SELECT 2"], 400, 62).await;
        check(&[url, "-d", ""], 400, 62).await;
        check(&[url, "-d", "SELECT * FROM nosuch"], 404, 60).await;
        check(&[url, "-d", "INSERT INTO nosuch FORMAT CSV 1"], 404, 60).await;
        check(&[url, "-d", "SELECT nosuch(1)"], 404, 46).await;
        check(&[url, "-d", "SELECT 1 FORMAT Nosuch"], 404, 73).await;
        check(&[url, "-d", "SELECT throwIf(1)"], 500, 395).await;
        check(&[url, "-d", "SELECT 1 INTO OUTFILE 'x'"], 501, 48).await;
        check(&[&format!("{url}/?nosuch=1"), "-d", "SELECT 1"], 404, 115).await;
        check(&[&format!("{url}/?no'such=1"), "-d", "SELECT 1"], 404, 115).await;
        check(&[&format!("{url}/?max_threads=x"), "-d", "SELECT 1"], 400, 27).await;
        check(&[&format!("{url}/?database=no`such"), "-d", "SELECT 1"], 404, 81).await;
        check(&[&format!("{url}/?query=CREATE+DATABASE+d")], 500, 164).await;
        check(&[&format!("{url}/?compress=1"), "-d", "SELECT 1"], 501, 48).await;
        check(&["-H", "Content-Encoding: br", url, "-d", "SELECT 1"], 501, 48).await;
        check(&["-H", "Content-Encoding: zstd", url, "-d", "SELECT 1"], 500, 271).await;
        check(&["-H", "Origin: http://example.org", url, "-d", "SELECT 1"], 403, 516).await;
        check(&["-u", "default:wrong", url, "-d", "SELECT 1"], 403, 516).await;
        let both = format!("{url}/?user=default");
        check(&["-u", "default:", &both, "-d", "SELECT 1"], 403, 516).await;
    })
    .await;
}
