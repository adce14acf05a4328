//! The rival in Python: `peers/pyarrow_encode.py` as a child process that times itself.

use std::{
    env,
    ffi::{OsStr, OsString},
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::LazyLock,
    time::Duration,
};

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use volley_core::codec::Codec;

/// The Python that `VOLLEY_PYTHON` names. `None` without that variable, and one line on stderr.
///
/// # Panics
///
/// For want of a Python where `VOLLEY_NO_SKIP=1`.
pub fn python() -> Option<&'static OsStr> {
    static PYTHON: LazyLock<Option<OsString>> = LazyLock::new(|| {
        let python = env::var_os("VOLLEY_PYTHON").filter(|python| !python.is_empty());
        if python.is_none() {
            let reason = "no pyarrow to compare with: set VOLLEY_PYTHON to a Python that has it, \
                          or run `cargo xtask bench`";
            assert!(env::var_os("VOLLEY_NO_SKIP").is_none_or(|no| no != "1"), "{reason}");
            #[expect(clippy::print_stderr, reason = "for whoever runs the bench")]
            {
                eprintln!("SKIPPED: {reason}");
            }
        }
        python
    });
    PYTHON.as_deref()
}

/// How many threads pyarrow may compress the buffers of one message with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// One, as every other case here.
    One,
    /// As many as pyarrow takes by itself.
    Default,
}

/// pyarrow, loaded with batches and ready to encode them.
#[derive(Debug)]
pub struct Pyarrow {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// What it makes of the first batch.
    pub payload: Vec<u8>,
}

impl Pyarrow {
    /// Hands the batches to the Python that `python` is.
    ///
    /// # Panics
    ///
    /// Where the script fails.
    pub fn start(python: &OsStr, batches: &[RecordBatch], codec: Codec, threads: Threads) -> Self {
        let input = tempfile::NamedTempFile::new().expect("a temporary file");
        write_stream(input.as_file(), batches);
        let (codec, level) = match codec {
            Codec::None => ("none", 0),
            Codec::Lz4 => ("lz4", 0),
            Codec::Zstd(level) => ("zstd", level.get()),
        };
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers/pyarrow_encode.py"))
            .arg(input.path())
            .args([codec, &level.to_string()])
            .arg(match threads {
                Threads::One => "one",
                Threads::Default => "default",
            })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("VOLLEY_PYTHON is a program");
        let requests = child.stdin.take().expect("stdin is piped");
        let mut answers = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut payload = vec![0; number(&mut answers)];
        answers.read_exact(&mut payload).expect("a payload from pyarrow");
        Self { child, requests, answers, payload }
    }

    /// Encodes `n` payloads, the batches in turn; returns how long that took in Python.
    pub fn encode(&mut self, n: u64) -> Duration {
        writeln!(self.requests, "{n}").expect("pyarrow is running");
        Duration::from_nanos(number(&mut self.answers) as u64)
    }
}

impl Drop for Pyarrow {
    fn drop(&mut self) {
        // It has answered all that it was asked: nothing is lost.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn number(answers: &mut impl BufRead) -> usize {
    let mut line = String::new();
    answers.read_line(&mut line).expect("pyarrow is running");
    line.trim_end().parse().unwrap_or_else(|_| panic!("pyarrow answered {line:?}, not a number"))
}

fn write_stream(file: impl Write, batches: &[RecordBatch]) {
    let schema = batches.first().expect("at least one batch").schema();
    let mut writer = StreamWriter::try_new_buffered(file, &schema).expect("a schema message");
    batches.iter().for_each(|batch| writer.write(batch).expect("a batch"));
    writer.finish().expect("an end marker");
}
