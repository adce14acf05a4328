//! Requests as they go over the wire, hostile ones too, and a socket.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
};

use serde_json::Value;

use crate::support::PATIENCE;

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// With names in lower case.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `request` as it is, but for `ADDRESS`, and reads until the server closes.
#[track_caller]
pub(super) fn send(address: &str, request: &str) -> Answer {
    let mut stream = connect(address);
    stream.write_all(request.replace("ADDRESS", address).as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Answer { status, head, body: answer.split_off(end + 4) }
}

/// A request as a browser on the page makes it, with more headers, each with its line end.
#[track_caller]
pub(super) fn get_with(address: &str, path: &str, headers: &str) -> Answer {
    send(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: ADDRESS\r\nConnection: close\r\n{headers}\r\n"),
    )
}

#[track_caller]
pub(super) fn get(address: &str, path: &str) -> Answer {
    get_with(address, path, "")
}

/// The headers that ask for a socket.
pub(super) const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// An open WebSocket.
pub(super) struct Socket(BufReader<TcpStream>);

impl Socket {
    #[track_caller]
    pub(super) fn open(address: &str, path: &str) -> Self {
        Self::try_open(address, path).unwrap()
    }

    /// `None` where it is refused.
    pub(super) fn try_open(address: &str, path: &str) -> Option<Self> {
        let mut stream = connect(address);
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{UPGRADE}\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        if !line.contains(" 101 ") {
            return None;
        }
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).unwrap();
        }
        Some(Self(stream))
    }

    /// Sends a short text, with a mask of zeros.
    pub(super) fn say(&mut self, text: &str) {
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(text.as_bytes());
        self.0.get_mut().write_all(&frame).unwrap();
    }

    /// The next text; `None` when the server closes.
    #[track_caller]
    pub(super) fn hear(&mut self) -> Option<Value> {
        let mut read = |n: usize| {
            let mut bytes = vec![0; n];
            self.0.read_exact(&mut bytes).map(|()| bytes)
        };
        let start = read(2).ok()?;
        if start[0] & 0x0f == 8 {
            return None;
        }
        assert_eq!(start[0], 0x81, "a whole text");
        let len = match start[1] {
            126 => u16::from_be_bytes(read(2).unwrap().try_into().unwrap()).into(),
            127 => u64::from_be_bytes(read(8).unwrap().try_into().unwrap()) as usize,
            len => usize::from(len),
        };
        Some(serde_json::from_slice(&read(len).unwrap()).unwrap())
    }
}
