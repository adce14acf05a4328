//! Starting, skipping, waiting, and a hand-made HTTP client.

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, MutexGuard};
use volley_embedded::{ClickHouseError, ClickHouseOptions, EmbeddedClickHouse, cache};

/// Longer than anything here takes, shorter than anyone waits.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Says why a test does not run.
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("VOLLEY_NO_SKIP").is_none_or(|set| set != "1"), "may not skip: {why}");
    eprintln!("SKIPPED: {why}");
}

/// One engine lives in a process, and tests run in parallel.
pub(crate) async fn engine_turn() -> Option<MutexGuard<'static, ()>> {
    static ENGINE: Mutex<()> = Mutex::const_new(());
    let named = env::var_os(cache::LIBCHDB_VAR).map(PathBuf::from);
    let path = named.unwrap_or_else(cache::libchdb_path);
    if !path.is_file() {
        let missing = ClickHouseError::NoLibrary { path };
        skip(&missing.to_string());
        return None;
    }
    Some(ENGINE.lock().await)
}

/// Runs a test against a fresh engine, and shuts it down.
pub(crate) async fn with_engine(test: impl AsyncFnOnce(&str)) {
    let Some(_turn) = engine_turn().await else {
        return;
    };
    let clickhouse = EmbeddedClickHouse::start(ClickHouseOptions::default()).await.unwrap();
    test(clickhouse.url()).await;
    clickhouse.shutdown().await;
}

/// Asks until the answer is the one expected.
pub(crate) async fn wait_for(url: &str, sql: &str, expect: &str) {
    let started = Instant::now();
    loop {
        let (_, body) = post(url, "/", sql).await;
        if body.trim() == expect {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "{sql} answers {body:?}, not {expect:?}");
        tokio::task::yield_now().await;
    }
}

/// Sends a POST and answers with status and body.
pub(crate) async fn post(url: &str, path: &str, body: &str) -> (u16, String) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let answer = raw(url, format!("{head}{body}").as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), body.to_owned())
}

/// Sends bytes as they are and answers with whatever comes back until the connection ends.
pub(crate) async fn raw(url: &str, bytes: &[u8]) -> String {
    let mut socket = connect(url).await;
    // The server may answer and close before it has read everything.
    let _ = socket.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) async fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap()
}
