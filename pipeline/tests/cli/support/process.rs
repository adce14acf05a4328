//! A child process and how it ended. The end-to-end suite uses this file too.

use std::{
    ffi::OsStr,
    fmt::Write as _,
    io::{BufReader, Read},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::eventually;

/// A command line to be.
pub(crate) struct Volley {
    command: Command,
}

impl Volley {
    /// A command that ends up running the binary, 100 columns wide and with nothing of the caller's
    /// environment that would change what it says.
    pub(crate) fn of(mut command: Command) -> Self {
        let ours = [
            "VOLLEY_BROKERS",
            "VOLLEY_CLICKHOUSE",
            "VOLLEY_CLICKHOUSE_USER",
            "VOLLEY_CLICKHOUSE_PASSWORD",
            "VOLLEY_CLICKHOUSE_PASSWORD_FILE",
            "VOLLEY_CLICKHOUSE_CA",
            "VOLLEY_CLICKHOUSE_CERT",
            "VOLLEY_CLICKHOUSE_KEY",
            "VOLLEY_KAFKA_FILE",
            "VOLLEY_KAFKA_SASL_PASSWORD",
            "VOLLEY_KAFKA_SSL_KEY_PASSWORD",
            "VOLLEY_LOG",
            "NO_COLOR",
            "CLICOLOR",
            "CLICOLOR_FORCE",
        ];
        for name in ours {
            command.env_remove(name);
        }
        command.env("COLUMNS", "100").stdin(Stdio::null());
        Self { command }
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it and lets it run.
    pub(crate) fn start(self) -> Running {
        self.start_with(Stdio::piped())
    }

    /// Starts it with a standard output that nobody reads: writing to it fails.
    pub(crate) fn start_with_closed_stdout(self) -> Running {
        let mut running = self.start_with(Stdio::piped());
        drop(running.child.stdout.take());
        running
    }

    fn start_with(mut self, stdout: Stdio) -> Running {
        self.command.stdout(stdout).stderr(Stdio::piped());
        let mut line = String::from("volley");
        for argument in self.command.get_args() {
            let _ = write!(line, " {}", argument.display());
        }
        let started = Instant::now();
        let mut child = self.command.spawn().unwrap();
        let stderr = Captured::start(child.stderr.take().unwrap());
        Running { child, line, started, stdout: Captured::default(), stderr }
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Finished {
        self.start().wait()
    }
}

/// A running `volley`, killed when dropped.
pub(crate) struct Running {
    child: Child,
    line: String,
    started: Instant,
    stdout: Captured,
    stderr: Captured,
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name without `SIG`.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success(), "kill -s {name} {pid}");
    }

    /// Waits until standard error contains `text`; answers with all of it.
    #[track_caller]
    pub(crate) fn wait_for_stderr(&mut self, text: &str) -> String {
        self.wait_for(text, |running| running.stderr.text())
    }

    /// Waits until standard output contains `text`; answers with all of it.
    #[track_caller]
    pub(crate) fn wait_for_stdout(&mut self, text: &str) -> String {
        self.read_stdout();
        self.wait_for(text, |running| running.stdout.text())
    }

    #[track_caller]
    fn wait_for(&mut self, text: &str, said: impl Fn(&Self) -> String) -> String {
        eventually(&format!("{text:?} from {}", self.line), || {
            // Asked before reading: what an ended process said is all there is.
            let ended = self.child.try_wait().unwrap();
            if ended.is_some() {
                self.stderr.finish();
                self.stdout.finish();
            }
            let said = said(self);
            let found = said.contains(text);
            assert!(
                found || ended.is_none(),
                "{} ended with {ended:?} without {text:?}; stderr:\n{}",
                self.line,
                self.stderr.text()
            );
            found.then_some(said)
        })
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Finished {
        self.read_stdout();
        let status =
            eventually(&format!("the end of {}", self.line), || self.child.try_wait().unwrap());
        let took = self.started.elapsed();
        self.stdout.finish();
        self.stderr.finish();
        Finished {
            line: self.line.clone(),
            code: status.code(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            took,
        }
    }

    fn read_stdout(&mut self) {
        if let Some(stdout) = self.child.stdout.take() {
            self.stdout = Captured::start(stdout);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a child has written so far.
#[derive(Default)]
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Captured {
    fn start(pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let sink = bytes.clone();
        let reader = thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = pipe.read(&mut buffer) {
                sink.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn finish(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) line: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Finished {
    #[track_caller]
    pub(crate) fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        self.exits_with(0)
    }

    /// Exit code 2 and nothing but an error: standard output is for results.
    #[track_caller]
    pub(crate) fn fails(self) -> Self {
        assert_eq!(self.stdout, "", "{self}");
        self.exits_with(2)
    }

    /// Standard error contains each of these.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is not in the stderr of {self}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn within(self, limit: Duration) -> Self {
        assert!(self.took <= limit, "took {:?}, more than {limit:?}: {self}", self.took);
        self
    }

    /// The last line of standard output, as an object.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// A number of the object that it printed.
    #[track_caller]
    pub(crate) fn count(&self, field: &str) -> u64 {
        let object = self.json();
        object[field].as_u64().unwrap_or_else(|| panic!("no number {field}: {self}"))
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, code, stdout, stderr, took } = self;
        write!(f, "{line}\nended with {code:?} after {took:?}\n")?;
        write!(f, "--- stdout\n{stdout}--- stderr\n{stderr}---")
    }
}
