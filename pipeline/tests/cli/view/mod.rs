//! `volley view`: who may ask, and what is answered.

mod http;

use std::{fs, net::TcpListener};

use serde_json::{Value, json};

use self::http::{Answer, Socket, UPGRADE, get, get_with, send};
use crate::support::{
    Running, Topic, assert_snapshot, broker, closed_port, eventually, mask, volley,
};

/// A running `volley view`.
struct View {
    run: Running,
    printed: Value,
    address: String,
}

fn start(arguments: &[&str]) -> View {
    let mut run = volley(["view", "--format", "json"]).args(arguments).start();
    let printed: Value = serde_json::from_str(&run.wait_for_stdout("\n")).unwrap();
    let url = printed["url"].as_str().unwrap();
    let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    View { run, printed, address }
}

fn start_on(topic: &Topic<'_>) -> View {
    start(&["--brokers", topic.broker.address(), "--topic", &topic.name])
}

impl View {
    #[track_caller]
    fn get(&self, path: &str) -> Answer {
        get(&self.address, path)
    }

    #[track_caller]
    fn refuses(&self, path: &str, status: u16, why: &str) {
        let answer = self.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert!(answer.text().contains(why), "{path}: {}", answer.text());
    }

    fn stop(self) {
        self.run.signal("INT");
        self.run.wait().succeeds();
    }
}

#[test]
fn text_says_where_the_page_is() {
    let mut run = volley(["view"]).start();
    run.wait_for_stdout("Ctrl-C");
    run.signal("INT");
    assert_snapshot("view", &mask(&run.wait().succeeds().stdout));
}

#[test]
fn the_page_of_a_folder_is_served_and_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page");
    fs::create_dir(&page).unwrap();
    fs::write(folder.path().join("secret"), "secret").unwrap();
    fs::write(page.join("index.html"), "<head></head>the page").unwrap();
    let view = start(&["--page", page.to_str().unwrap()]);
    let index = view.get("/");
    assert!(index.text().contains("the page") && index.text().contains("volley-view"));
    for header in [
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
        "content-security-policy: frame-ancestors 'none'",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(index.head.contains(header), "{}", index.head);
    }
    assert!(!index.head.contains("access-control"), "{}", index.head);
    for path in ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "//secret", "/page/../../secret"] {
        view.refuses(path, 404, "");
    }
    view.refuses("/api/other", 404, "no such thing");
    view.refuses("/api/topics", 404, "--brokers");
    view.stop();
    volley(["view", "--page", folder.path().to_str().unwrap()]).run().fails().says(&["index.html"]);
}

#[test]
fn files_of_the_command_line_are_served_by_their_index() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, n: usize| {
        let path = folder.path().join(name);
        fs::write(&path, vec![7; n]).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (small, large, gone) =
        (file("small", 1_000_000), file("large", 1_000_001), file("gone", 1));
    let view = start(&["--max-bytes", "1MB", &small, &large, &gone]);
    fs::remove_file(&gone).unwrap();
    let about = view.get("/api/view").json();
    assert_eq!(about["files"][0], json!({ "name": small, "bytes": 1_000_000 }));
    assert_eq!(about["files"][2], json!({ "name": gone, "bytes": null }));
    assert_eq!(view.get("/api/files/0").body.len(), 1_000_000);
    view.refuses("/api/files/1", 413, "--max-bytes");
    view.refuses("/api/files/2", 500, "cannot read");
    view.refuses("/api/files/3", 404, "3 were given");
    for path in ["/api/files/-1", "/api/files/99999999999999999999", "/api/files/..%2fsmall"] {
        view.refuses(path, 400, "");
    }
    view.stop();
    let missing = volley(["view", "/nonexistent/batch"]).run().fails();
    missing.says(&["/nonexistent/batch", "No such file"]);
    volley(["view", folder.path().to_str().unwrap()]).run().fails().says(&["not a file"]);
}

/// A page of the web can make any browser on this machine ask us.
#[test]
fn requests_of_foreign_pages_are_refused() {
    let view = start(&["--allow-host", "Viewer.example"]);
    let status = |host: &str, more: &str| {
        let request =
            format!("GET /api/view HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n");
        send(&view.address, &request).status
    };
    assert_eq!(status("ADDRESS", ""), 200);
    assert_eq!(status("localhost:1", ""), 200);
    assert_eq!(status("viewer.example", ""), 200);
    assert_eq!(status("ADDRESS", "Origin: http://ADDRESS\r\n"), 200);
    for host in ["evil.example", "127.0.0.1.evil.example:80", "10.0.0.1", "localhost.evil.example"]
    {
        assert_eq!(status(host, ""), 403, "{host}");
    }
    for origin in
        ["http://evil.example", "null", "http://localhost:1", "https://ADDRESS.evil.example"]
    {
        assert_eq!(status("ADDRESS", &format!("Origin: {origin}\r\n")), 403, "{origin}");
        let socket = format!("Origin: {origin}\r\n{UPGRADE}");
        let request = format!(
            "GET /api/tail?topic=t HTTP/1.1\r\nHost: ADDRESS\r\n{socket}Connection: close\r\n\r\n"
        );
        assert_eq!(send(&view.address, &request).status, 403, "{origin}");
    }
    // The page as well, whose scripts would run under the foreign name.
    let page = "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert_eq!(send(&view.address, page).status, 403);
    let absolute =
        "GET http://evil.example/ HTTP/1.1\r\nHost: ADDRESS\r\nConnection: close\r\n\r\n";
    assert_eq!(send(&view.address, absolute).status, 403);
    assert_eq!(send(&view.address, "GET / HTTP/1.0\r\n\r\n").status, 403);
    view.stop();
}

#[test]
fn nothing_can_be_written_and_nonsense_is_survived() {
    let view = start(&[]);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        for path in ["/", "/api/view", "/api/files/0", "/api/topics/t/0/0"] {
            let request = format!(
                "{method} {path} HTTP/1.1\r\nHost: ADDRESS\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            assert_eq!(send(&view.address, &request).status, 405, "{method} {path}");
        }
    }
    for request in
        ["\0\u{1}\u{2}\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\nHost: ADDRESS\r\n\r\n"]
    {
        assert_eq!(send(&view.address, request).status, 400, "{request:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\nHost: ADDRESS\r\n\r\n", "x".repeat(1 << 20));
    assert!((400..500).contains(&send_until_refused(&view.address, &long)));
    assert_eq!(view.get("/api/view").status, 200);
    view.stop();
}

/// The server may close before it has read everything.
fn send_until_refused(address: &str, request: &str) -> u16 {
    std::panic::catch_unwind(|| send(address, request).status).unwrap_or(400)
}

#[test]
fn others_than_this_machine_need_the_token() {
    let view = start(&["--listen", "0.0.0.0:0"]);
    let token = view.printed["token"].as_str().unwrap().to_owned();
    assert!(token.len() == 32 && view.printed["url"].as_str().unwrap().ends_with(&token));
    let port = view.address.rsplit_once(':').unwrap().1;
    let address = format!("127.0.0.1:{port}");
    let status = |path: &str, headers: &str| get_with(&address, path, headers).status;
    assert_eq!(status("/", ""), 200);
    for path in
        ["/api/view", "/api/files/0", "/api/topics", "/api/tail?topic=t", "/api/view?token="]
    {
        assert_eq!(status(path, ""), 401, "{path}");
    }
    assert_eq!(
        status("/api/view", "Authorization: Bearer 00000000000000000000000000000000\r\n"),
        401
    );
    assert_eq!(status("/api/view", &format!("Authorization: Bearer {token}\r\n")), 200);
    assert_eq!(status(&format!("/api/view?token={token}"), ""), 200);
    view.stop();
    let other = start(&["--listen", "0.0.0.0:0"]);
    assert_ne!(other.printed["token"].as_str().unwrap(), token);
    other.stop();
    assert_eq!(start(&[]).printed["token"], Value::Null);
}

#[test]
fn messages_come_with_their_envelopes_and_values() {
    let topic = broker().topic(2);
    topic.fill(1000);
    topic.put(1, None, &[]);
    let expect = topic.messages();
    let view = start_on(&topic);
    let path = format!("/api/topics/{}", topic.name);

    let topics = view.get("/api/topics").json();
    assert_eq!(topics, json!([{ "name": topic.name, "partitions": 2 }]));
    let ends: Vec<i64> = view.get(&path).json()["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|partition| partition["high"].as_i64().unwrap())
        .collect();
    assert_eq!(ends, topic.ends());

    let mut n = 0;
    for (partition, end) in ends.iter().enumerate() {
        let answer = view.get(&format!("{path}/{partition}?first=0")).json();
        assert_eq!(answer["next"], json!(end));
        for shown in answer["messages"].as_array().unwrap() {
            let at = (partition as i32, shown["offset"].as_i64().unwrap());
            let message = expect.iter().find(|m| (m.partition, m.offset) == at).unwrap();
            assert_eq!(shown["key"], json!(message.key));
            assert_eq!(shown["value_bytes"], json!(message.payload.as_ref().map(Vec::len)));
            assert_eq!(shown["headers"].as_array().unwrap().len(), message.headers.len());
            let value = view.get(&format!("{path}/{partition}/{}", at.1));
            match &message.payload {
                Some(payload) => {
                    assert_eq!(&value.body, payload);
                    assert_eq!(shown["rows"], json!(100));
                }
                None => assert_eq!(value.status, 404, "{}", value.text()),
            }
            n += 1;
        }
    }
    assert_eq!(n, expect.len());
    let part = view.get(&format!("{path}/0?first=1&count=2")).json();
    assert_eq!((&part["messages"][0]["offset"], &part["next"]), (&json!(1), &json!(3)));
    let behind = view.get(&format!("{path}/0?first=9223372036854775807")).json();
    assert_eq!(behind["messages"], json!([]));
    let before = view.get(&format!("{path}/0?first=-5&count=-5")).json();
    assert_eq!(before["messages"], json!([]));

    view.refuses(&format!("{path}/2?first=0"), 404, "has no partition 2");
    view.refuses(&format!("{path}/-1?first=0"), 404, "has no partition -1");
    view.refuses(&format!("{path}/0/99999"), 404, "has no offset 99999");
    view.refuses(&format!("{path}/0"), 400, "first");
    let hidden = broker().topic(1);
    for path in ["", "/0?first=0", "/0/0"] {
        view.refuses(&format!("/api/topics/{}{path}", hidden.name), 404, "--topic");
        view.refuses(
            &format!("/api/topics/..%2f..%2fetc{path}"),
            404,
            "no topic can have that name",
        );
    }
    view.stop();
}

#[test]
fn a_tail_follows_pauses_and_counts_what_it_drops() {
    const WHILE_PAUSED: u64 = 1500;
    let topic = broker().topic(2);
    topic.fill(300);
    let view = start_on(&topic);
    let mut socket = Socket::open(&view.address, &format!("/api/tail?topic={}", topic.name));
    topic.fill(1000);
    let (mut seen, mut told) = (0, 0);
    eventually("the messages since it was opened", || {
        let update = socket.hear().unwrap();
        told += update["messages"].as_array().unwrap().len() as u64;
        seen = update["seen"].as_u64().unwrap();
        assert_eq!(update["dropped"], json!(0));
        (told == 10).then_some(())
    });
    assert_eq!(seen, 10);

    socket.say("pause");
    // Once it answers with counts alone it has heard us.
    topic.put(0, Some(b"one more"), &[]);
    eventually("a count without messages", || {
        let update = socket.hear().unwrap();
        told += update["messages"].as_array().unwrap().len() as u64;
        let is_paused = update["seen"] == json!(11) && update["messages"] == json!([]);
        is_paused.then_some(())
    });
    topic.produce(&["--rows", &WHILE_PAUSED.to_string(), "--rows-per-batch", "1"]).run().succeeds();
    let dropped = eventually("the counts of what came meanwhile", || {
        let update = socket.hear().unwrap();
        assert_eq!(update["messages"], json!([]));
        (update["seen"] == json!(11 + WHILE_PAUSED)).then(|| update["dropped"].as_u64().unwrap())
    });
    socket.say("follow");
    let mut last = Value::Null;
    eventually("what was kept", || {
        let update = socket.hear().unwrap();
        told += update["messages"].as_array().unwrap().len() as u64;
        last = update;
        (told + dropped == 11 + WHILE_PAUSED).then_some(())
    });
    // The ring holds 1000.
    assert!((WHILE_PAUSED - 1000..=WHILE_PAUSED - 999).contains(&dropped), "{dropped}");
    assert_eq!(last["dropped"].as_u64(), Some(dropped));

    // Ctrl-C closes it.
    view.run.signal("INT");
    while socket.hear().is_some() {}
    view.run.wait().succeeds();
}

#[test]
fn tails_are_few() {
    let topic = broker().topic(1);
    let view = start_on(&topic);
    let path = format!("/api/tail?topic={}", topic.name);
    let sockets: Vec<_> = (0..8).map(|_| Socket::open(&view.address, &path)).collect();
    let refused = || {
        let request = format!("GET {path} HTTP/1.1\r\nHost: ADDRESS\r\n{UPGRADE}\r\n");
        send(&view.address, &request.replace("Connection: Upgrade", "Connection: Upgrade, close"))
    };
    let answer = refused();
    assert!(answer.status == 503 && answer.text().contains("8 tails"), "{}", answer.text());
    drop(sockets);
    eventually("room for another", || Socket::try_open(&view.address, &path)?.hear());
    view.stop();
}

#[test]
fn what_cannot_be_served_is_named() {
    let nowhere = closed_port();
    volley(["view", "--brokers", &nowhere, "--timeout", "1s"])
        .run()
        .fails()
        .says(&[&nowhere, "--timeout"]);
    let missing = ["view", "--brokers", broker().address(), "--topic", "a/b"];
    volley(missing).run().fails().says(&["a topic has 1 to 249"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    volley(["view", "--listen", &address]).run().fails().says(&[&address, "--listen"]);
    volley(["view", "--allow-host", "a:80"]).run().fails().says(&["without a port"]);
    volley(["view", "--topic", "t"]).run().fails().says(&["--brokers"]);
}
