//! Requests that no client sends. The endpoint answers or hangs up, and goes on.

use tokio::io::AsyncWriteExt as _;

use crate::support::{connect, post, raw, wait_for, with_engine};

#[tokio::test(flavor = "multi_thread")]
async fn any_bytes_as_a_statement_are_answered() {
    with_engine(async |url| {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        for round in 0..200 {
            let length = round * 7;
            let noise: Vec<u8> = (0..length)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state.to_le_bytes()[3]
                })
                .collect();
            let begins = [&b""[..], b"SELECT ", b"INSERT INTO ", b"INSERT INTO t FORMAT "];
            let statement = [begins[round % begins.len()], &noise].concat();
            let head = format!(
                "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                statement.len()
            );
            let answer = raw(url, &[head.as_bytes(), &statement].concat()).await;
            let status = answer.split(' ').nth(1);
            let refused = status.is_some_and(|status| status.starts_with(['4', '5']));
            assert!(refused, "{statement:?} answered with {answer:?}");
        }
        assert_eq!(post(url, "/", "SELECT 1").await, (200, "1\n".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_urls_and_headers_are_answered() {
    with_engine(async |url| {
        let get = async |target: &str, header: &str| {
            let request =
                format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n");
            let answer = raw(url, request.as_bytes()).await;
            answer.split(' ').nth(1).map(str::to_owned).unwrap_or_default()
        };
        // What is no escape stays what it is, as in ClickHouse.
        assert_eq!(get("/?query=SELECT+1%", "").await, "400");
        assert_eq!(get("/?query=SELECT+'%zz'", "").await, "200");
        assert_eq!(get("/?query=SELECT+'%ff%fe%00'", "").await, "200");
        assert_eq!(get("/?query=SELECT+1&%ff=1", "").await, "404");
        assert_eq!(get("/?query=SELECT+1&&=&==", "").await, "404");
        assert_eq!(get("/?query=SELECT+1&param_=1&param_%00=%00", "").await, "200");
        let long = "a".repeat(1 << 20);
        assert_eq!(get("/?query=SELECT+1", &"X-Many: 1\r\n".repeat(200)).await, "431");
        assert_eq!(get(&format!("/?query={}", &long[..70_000]), "").await, "414");
        // The answer may be lost when the connection is closed on what was not read.
        let answer = get("/?query=SELECT+1", &format!("X-Long: {long}\r\n")).await;
        assert!(answer == "431" || answer.is_empty(), "{answer}");
        assert_eq!(get("/?query=SELECT+1", "Authorization: Basic \x7f!!\r\n").await, "400");
        assert_eq!(get("/?query=SELECT+1", "Authorization: Basic !!\r\n").await, "403");
        let form = "Content-Type: multipart/form-data; boundary=x\r\n";
        assert_eq!(get("/?query=SELECT+1", form).await, "500");
        assert_eq!(post(url, "/", &long.repeat(2)).await.0, 400);
        assert_eq!(post(url, "/", "SELECT 1").await, (200, "1\n".into()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_midway_stores_nothing() {
    with_engine(async |url| {
        post(url, "/", "CREATE TABLE t (a Int32) ENGINE = MergeTree ORDER BY a").await;
        let promises = [
            "Content-Length: 1000000\r\n\r\n1\n2\n3\n",
            // Chunked: two whole chunks, and never the last one.
            "Transfer-Encoding: chunked\r\n\r\n2\r\n1\n\r\n2\r\n2\n\r\n",
        ];
        let running = "SELECT count() FROM system.processes WHERE query LIKE 'INSERT%'";
        for promise in promises {
            let mut socket = connect(url).await;
            let target = "/?query=INSERT+INTO+t+FORMAT+CSV";
            let request = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{promise}");
            socket.write_all(request.as_bytes()).await.unwrap();
            wait_for(url, running, "1").await;
            drop(socket);
            wait_for(url, running, "0").await;
            assert_eq!(post(url, "/", "SELECT count() FROM t").await.1, "0\n", "{promise:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stops_reading_ends_the_query() {
    with_engine(async |url| {
        let mut socket = connect(url).await;
        let request = "GET /?query=SELECT+number+FROM+system.numbers HTTP/1.1\r\nHost: x\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        let running =
            "SELECT count() FROM system.processes WHERE position(query, 'system.' || 'numbers') > 0";
        wait_for(url, running, "1").await;
        drop(socket);
        wait_for(url, running, "0").await;
    })
    .await;
}
