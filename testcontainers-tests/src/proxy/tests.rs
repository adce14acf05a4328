use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use tokio::runtime::Runtime;

use super::*;

const BODY: &str = "0123456789";

/// What a server and a client get of an insert, each up to the end of its connection.
fn check(runtime: &Runtime, prepare: impl FnOnce(&FaultProxy) -> Option<Trap>) -> [String; 2] {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.local_addr().unwrap());
    let proxy = FaultProxy::start(runtime.handle(), &url);
    let trap = prepare(&proxy);
    let serving = thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let (mut got, mut piece) = (String::new(), [0; 1024]);
        while let Ok(n @ 1..) = stream.read(&mut piece) {
            got += std::str::from_utf8(&piece[..n]).unwrap();
            if got.ends_with("\r\n0\r\n\r\n") {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").unwrap();
            }
        }
        got
    });
    let mut client = TcpStream::connect(proxy.url().trim_start_matches("http://")).unwrap();
    let head = "POST /?query=INSERT+INTO+t HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
    let body = format!("Transfer-Encoding: chunked\r\n\r\na\r\n{BODY}\r\n0\r\n\r\n");
    client.write_all(format!("{head}{body}").as_bytes()).unwrap();
    if let Some(trap) = trap {
        crate::eventually("the moment", || trap.is_sprung().then_some(()));
        trap.cut();
    }
    let mut answer = String::new();
    // One that is cut may be reset.
    let _ = client.read_to_string(&mut answer);
    [serving.join().unwrap(), answer]
}

#[test]
fn an_insert_gets_as_far_as_it_is_let() {
    let runtime = Runtime::new().unwrap();
    let [got, answer] = check(&runtime, |_| None);
    assert!(got.contains(BODY) && got.ends_with("0\r\n\r\n"), "{got}");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");

    let fault = |fault| {
        move |proxy: &FaultProxy| {
            proxy.set(fault);
            None
        }
    };
    let [got, answer] = check(&runtime, fault(Fault::CutBody));
    assert!(got.contains("01234") && !got.contains("56") && !got.ends_with("0\r\n\r\n"), "{got}");
    assert_eq!(answer, "");
    let [got, answer] = check(&runtime, fault(Fault::CutAnswer));
    assert!(got.ends_with("0\r\n\r\n") && answer.is_empty(), "{got} {answer}");

    let hold = |moment| move |proxy: &FaultProxy| Some(proxy.hold_next(moment));
    let [got, answer] = check(&runtime, hold(Moment::MidBody));
    assert!(got.contains("01234") && !got.contains("56") && answer.is_empty(), "{got} {answer}");
    let [got, answer] = check(&runtime, hold(Moment::Stored));
    assert!(got.ends_with("0\r\n\r\n") && answer.is_empty(), "{got} {answer}");
}
