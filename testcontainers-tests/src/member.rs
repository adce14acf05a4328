//! The binary `volley load` as a member of a group.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
};

use crate::{Scenario, Usage, eventually, jars, tether::Tethered, volley_binary};

/// A `volley load` that is under way. It is killed when the value is dropped, and does not outlive
/// this process.
#[derive(Debug)]
pub struct Member {
    process: Option<Tethered>,
    folder: tempfile::TempDir,
}

impl Member {
    /// Starts one in group `group` of a scenario, by way of a ClickHouse address, with further
    /// arguments.
    ///
    /// # Panics
    ///
    /// If there is no binary.
    pub fn start(
        scenario: &Scenario<'_>,
        group: &str,
        clickhouse: &str,
        arguments: &[String],
    ) -> Self {
        let binary = volley_binary().unwrap_or_else(|error| panic!("{error}"));
        let folder = tempfile::Builder::new().prefix("volley-member-").tempdir().unwrap();
        let mut load = Command::new(binary);
        load.args(scenario.load_arguments(group, clickhouse)).args(arguments);
        // The caller's own would lead elsewhere.
        for name in ["VOLLEY_CLICKHOUSE_PASSWORD_FILE", "VOLLEY_LOG"] {
            load.env_remove(name);
        }
        load.envs(scenario.credentials()).env("NO_COLOR", "1");
        let process = Tethered::start(&load, &log(&folder), folder.path()).unwrap();
        Self { process: Some(process), folder }
    }

    /// Kills it, wherever it is, and waits until it is gone.
    pub fn kill(mut self) {
        self.process.take().expect("a process").kill();
    }

    /// Asks it to finish, as Ctrl-C does, and waits until it has.
    ///
    /// # Panics
    ///
    /// If it does not succeed.
    #[track_caller]
    pub fn stop(mut self) {
        let ended = self.process.take().expect("a process").end("INT").unwrap();
        assert!(ended.success(), "a loader that was stopped ended with {ended}:\n{}", self.said());
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait(mut self) -> String {
        eventually("the loader's end", || self.has_ended().then_some(()));
        self.said()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_none_or(Tethered::has_ended)
    }

    /// The end of what it has said, on both outputs.
    pub fn said(&self) -> String {
        let said = fs::read(log(&self.folder)).unwrap_or_default();
        jars::tail(&String::from_utf8_lossy(&said), 40)
    }

    /// The status that it answers a path such as `/healthz` with, and the body. It must have been
    /// started with `--metrics`.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[track_caller]
    pub fn get(&self, path: &str) -> (u16, String) {
        let address = eventually("the address of its metrics", || {
            let said = fs::read_to_string(log(&self.folder)).unwrap_or_default();
            let (_, rest) = said.split_once("serving metrics at http://")?;
            Some(rest.split_once('/')?.0.to_owned())
        });
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).expect("a status");
        (status.parse().unwrap(), body.to_owned())
    }

    /// What it uses.
    pub fn usage(&self) -> Usage {
        Usage::of(self.pid())
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("a process").pid()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a loader has said:\n{}", self.said());
        }
        if let Some(process) = self.process.take() {
            process.kill();
        }
    }
}

fn log(folder: &tempfile::TempDir) -> std::path::PathBuf {
    Path::join(folder.path(), "log")
}
