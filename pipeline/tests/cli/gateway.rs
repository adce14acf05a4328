//! Something before ClickHouse that gives answers of its own.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use crate::support::{Proxy, assert_same_rows, broker, database};

#[test]
fn what_is_too_large_for_a_gateway_is_sent_in_halves() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(2);
    topic.fill(2000);
    let largest = topic.messages().iter().map(|m| m.payload.as_ref().unwrap().len()).max();
    let mut proxy = Proxy::to(database.url());
    proxy.limit(5 * largest.unwrap());
    let load = topic.load(&proxy.url(), &database.table());
    let run = load.args(["--until-idle", "500ms", "--no-dlq"]).run().succeeds();
    let run = run.says(&["413 Request Entity Too Large", "trying its halves"]);
    assert_eq!((run.count("rows_loaded"), run.count("dead_letters")), (2000, 0), "{run}");
    assert_eq!(topic.committed(), topic.ends(), "{run}");
    assert_same_rows(&topic, &database);
}

#[test]
fn a_message_that_is_too_large_for_a_gateway_stops_the_load_and_stays() {
    let Some(database) = database() else {
        return;
    };
    let topic = broker().topic(1);
    topic.fill(500);
    let mut proxy = Proxy::to(database.url());
    proxy.limit(10);
    let load = topic.load(&proxy.url(), &database.table()).args(["--until-idle", "500ms"]);
    let run = load.run().fails();
    let run = run.says(&[&proxy.url(), "413", "raise its limit for the body of a request"]);
    assert_eq!(topic.committed(), [0], "{run}");

    proxy.restore();
    topic.load(&proxy.url(), &database.table()).args(["--until-idle", "500ms"]).run().succeeds();
    assert_eq!(topic.committed(), topic.ends());
    assert_same_rows(&topic, &database);
}

#[test]
fn who_is_not_let_in_or_finds_nothing_there_is_told_so() {
    let topic = broker().topic(1);
    for (answer, way_out) in [
        ("401 Unauthorized", "--user and --password"),
        ("403 Forbidden", "--user and --password"),
        ("404 Not Found", "check --clickhouse"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            let head = format!("HTTP/1.1 {answer}\r\nConnection: close\r\nContent-Length: 0");
            stream.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
        });
        let run = topic.load(&url, "rows").run().fails();
        run.says(&[&url, "is not clickhouse", answer, way_out]);
        answering.join().unwrap();
    }
}
