//! Starting, stopping, and starting again.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tokio::io::AsyncWriteExt as _;
use volley_embedded::{ClickHouseError, ClickHouseOptions, EmbeddedClickHouse};

use crate::support::{connect, engine_turn, post, skip, wait_for};

fn on(data: &std::path::Path) -> ClickHouseOptions {
    ClickHouseOptions { data: Some(data.to_owned()), ..ClickHouseOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_folder_opens_again_in_the_same_process() {
    let Some(_turn) = engine_turn().await else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let create = "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a";
    for round in 0..3 {
        let clickhouse = EmbeddedClickHouse::start(on(data.path())).await.unwrap();
        let url = clickhouse.url();
        if round == 0 {
            assert_eq!(post(url, "/", create).await.0, 200);
        }
        let (_, count) = post(url, "/", "SELECT count() FROM t").await;
        assert_eq!(count, format!("{round}\n"));
        assert_eq!(post(url, "/", "INSERT INTO t VALUES (1)").await.0, 200);
        clickhouse.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_one_engine() {
    let Some(_turn) = engine_turn().await else {
        return;
    };
    let first = EmbeddedClickHouse::start(ClickHouseOptions::default()).await.unwrap();
    let second = EmbeddedClickHouse::start(ClickHouseOptions::default()).await;
    assert!(matches!(second, Err(ClickHouseError::AlreadyRunning)), "{second:?}");
    assert_eq!(post(first.url(), "/", "SELECT 1").await, (200, "1\n".into()));
    first.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_does_not_wait_for_idle_clients_and_endless_queries() {
    let Some(_turn) = engine_turn().await else {
        return;
    };
    let clickhouse = EmbeddedClickHouse::start(ClickHouseOptions::default()).await.unwrap();
    let url = clickhouse.url().to_owned();
    let _idle = connect(&url).await;
    let mut endless = Vec::new();
    for query in ["SELECT+number+FROM+system.numbers", "SELECT+max(number)+FROM+system.numbers"] {
        let mut socket = connect(&url).await;
        let request = format!("GET /?query={query} HTTP/1.1\r\nHost: x\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        endless.push(socket);
    }
    let running =
        "SELECT count() FROM system.processes WHERE position(query, 'system.' || 'numbers') > 0";
    wait_for(&url, running, "2").await;
    clickhouse.shutdown().await;
    // The engine has let go of the process: another one starts.
    let next = EmbeddedClickHouse::start(ClickHouseOptions::default()).await.unwrap();
    next.shutdown().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let Some(_turn) = engine_turn().await else {
        return;
    };
    let check = async |options: ClickHouseOptions, expect: &str| {
        let error = EmbeddedClickHouse::start(options).await.expect_err(expect).to_string();
        assert!(error.contains(expect), "{error}");
    };
    let missing = ClickHouseOptions { libchdb: Some("/no/such.so".into()), ..Default::default() };
    check(missing, "no libchdb at /no/such.so: run `cargo xtask setup`, or set VOLLEY_LIBCHDB")
        .await;
    let everywhere = ([0, 0, 0, 0], 0).into();
    let open = ClickHouseOptions { listen: everywhere, ..ClickHouseOptions::default() };
    check(open, "loopback only").await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let busy = ClickHouseOptions { listen, ..ClickHouseOptions::default() };
    check(busy, &format!("cannot listen on {listen}")).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    check(on(file.path()), "cannot use the ClickHouse data folder").await;
}

/// Runs the example that users run, until it says where it listens.
fn serve(data: &std::path::Path) -> Option<(Child, String)> {
    let target = env::current_exe().unwrap();
    let example: PathBuf = target.parent()?.parent()?.join("examples/serve");
    if !example.is_file() {
        skip("the example is not built: cargo build -p volley-embedded --example serve");
        return None;
    }
    let mut serve = Command::new(example);
    let child = serve.arg(data).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    let stdout = child.stdout.as_mut().unwrap();
    let url = BufReader::new(stdout)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("clickhouse ")?.split(' ').next().map(str::to_owned));
    Some((child, url.unwrap_or_default()))
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_process_cleanly_and_its_folder_opens_again() {
    let Some(_turn) = engine_turn().await else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let Some((child, url)) = serve(data.path()) else {
        return;
    };
    let create = "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a";
    assert_eq!(post(&url, "/", create).await.0, 200);
    assert_eq!(post(&url, "/", "INSERT INTO t VALUES (1), (2)").await.0, 200);

    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{:?}: {said}", output.status);
    assert_eq!(said.trim(), volley_embedded::NOTICE, "the engine says nothing of its own");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");

    let clickhouse = EmbeddedClickHouse::start(on(data.path())).await.unwrap();
    assert_eq!(post(clickhouse.url(), "/", "SELECT sum(a) FROM t").await.1, "3\n");
    clickhouse.shutdown().await;
}
