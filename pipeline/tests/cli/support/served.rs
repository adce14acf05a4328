//! What a run serves over HTTP. The end-to-end suite uses this file too.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use super::{PATIENCE, eventually, process::Running};

/// Where a run serves its metrics.
pub(crate) struct Served {
    pub(crate) address: String,
}

impl Served {
    /// Waits until a run that was started with `--metrics` says where it serves them.
    #[track_caller]
    pub(crate) fn by(run: &mut Running) -> Self {
        let said = run.wait_for_stderr("/metrics");
        let (_, rest) = said.split_once("serving metrics at http://").unwrap();
        let address = rest.split_once("/metrics").unwrap().0.to_owned();
        assert!(address.starts_with("127.0.0.1:"), "{said}");
        Self { address }
    }

    /// Status and body.
    pub(crate) fn ask(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!("Host: {}\r\nConnection: close\r\n\r\n", self.address);
        stream.write_all(format!("{method} {path} HTTP/1.1\r\n{head}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split_whitespace().nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path)
    }

    /// The sum of a metric over its series; `None` where it has none.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let (status, metrics) = self.get("/metrics");
        assert_eq!(status, 200, "{metrics}");
        assert!(metrics.ends_with("# EOF\n"), "{metrics}");
        let of_name = |line: &&str| line.split('{').next() == Some(name);
        let values = metrics.lines().filter(of_name).map(|line| {
            let (_, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap()
        });
        values.reduce(|sum, value| sum + value)
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, name: &str, wanted: f64) {
        eventually(&format!("{name} to be {wanted}"), || {
            (self.metric(name) == Some(wanted)).then_some(())
        });
    }

    /// Waits until `/healthz` answers with this status; answers with what it says.
    #[track_caller]
    pub(crate) fn wait_for_health(&self, wanted: u16) -> String {
        eventually(&format!("/healthz to be {wanted}"), || {
            let (status, body) = self.get("/healthz");
            (status == wanted).then_some(body)
        })
    }
}
