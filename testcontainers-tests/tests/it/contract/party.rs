//! Foreign programs, started and listened to.

use std::{
    collections::HashMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::parties::version;

/// Names a Python with the packages of `requirements.txt`.
const PYTHON_VAR: &str = "VOLLEY_PYTHON";
/// Names the folder that `cargo xtask setup` made for the parties in other languages.
const CONTRACT_VAR: &str = "VOLLEY_CONTRACT";

/// Longer than any party takes on a busy machine.
const PARTY_LIMIT: Duration = Duration::from_secs(180);

/// What a party said of a folder of payloads.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The release that ran.
    pub(crate) version: String,
    /// By file name: the values, or why there are none.
    pub(crate) values: HashMap<String, Result<Vec<Value>, String>>,
    /// By file name: why it was not written.
    pub(crate) unwritten: HashMap<String, String>,
}

/// The program that a script runs in; says why where there is none.
pub(crate) fn python(script: &str) -> Option<Command> {
    let Some(python) = variable(PYTHON_VAR) else {
        skip(&format!(
            "set {PYTHON_VAR} to a Python with the packages of testcontainers-tests/requirements.txt, \
             or run `cargo xtask test`"
        ));
        return None;
    };
    let mut command = Command::new(python);
    // Scripts share modules; a checkout stays as it is.
    command.arg("-B").arg(scripts().join("python").join(script));
    Some(command)
}

/// As [`python`], where Bytewax is there too: it has no wheels for the latest Pythons.
pub(crate) fn bytewax(script: &str) -> Option<Command> {
    let command = python(script)?;
    let found = Command::new(command.get_program()).args(["-c", "import bytewax"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Some(command);
    }
    skip("bytewax is not there: use a Python before 3.13");
    None
}

/// arrow-js's party.
pub(crate) fn node() -> Option<Command> {
    let mut command = Command::new("node");
    command.arg(scripts().join("js/party.cjs")).env("NODE_PATH", set_up("js/node_modules")?);
    Some(command)
}

/// arrow-go's party.
pub(crate) fn go() -> Option<Command> {
    set_up("go/party").map(Command::new)
}

/// arrow-java's party.
pub(crate) fn java() -> Option<Command> {
    let jars = set_up("java/jars")?;
    let mut command = Command::new("java");
    command
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        // Arrow reaches below Java's own buffers.
        .args(["--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp"])
        .arg(jars.join("*"))
        .arg(scripts().join("java/Party.java"));
    Some(command)
}

/// `kcat`, from the path.
pub(crate) fn kcat() -> Option<Command> {
    let Ok(output) = Command::new("kcat").arg("-V").output() else {
        skip("kcat is not on the path: install it (Debian and Ubuntu: apt-get install kcat)");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(&format!("Version {}", version("kcat"))), "{said}");
    Some(Command::new("kcat"))
}

/// Runs a program to its end, for what it printed.
///
/// # Panics
///
/// If it fails, or takes longer than [`PARTY_LIMIT`].
#[track_caller]
pub(crate) fn output(mut command: Command) -> Vec<u8> {
    let [printed, said] = [(); 2].map(|()| tempfile::NamedTempFile::new().unwrap());
    let child = command
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(printed.reopen().unwrap())
        .stderr(said.reopen().unwrap())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{command:?} does not run: {error}"));
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > PARTY_LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} has not ended after {PARTY_LIMIT:?}");
        }
        thread::sleep(Duration::from_millis(20));
    };
    let said = fs::read_to_string(said).unwrap();
    assert!(status.success(), "{command:?} failed with {status}:\n{said}");
    fs::read(printed).unwrap()
}

/// The objects that a program printed, one a line.
#[track_caller]
pub(crate) fn lines(command: Command) -> Vec<Value> {
    let text = String::from_utf8(output(command)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a party makes of the payloads in a folder; what it writes goes to another.
#[track_caller]
pub(crate) fn ask(mut command: Command, payloads: &Path, written: &Path) -> Answer {
    command.arg(payloads).arg(written);
    let mut answer = Answer::default();
    for line in lines(command) {
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        let error = text("error");
        if let Some(version) = text("version") {
            answer.version = version;
        } else if let Some(file) = text("wrote") {
            answer.unwritten.insert(file, error.unwrap());
        } else {
            let values = error.map_or_else(|| Ok(line["values"].as_array().unwrap().clone()), Err);
            answer.values.insert(text("file").unwrap(), values);
        }
    }
    answer
}

/// Says why something does not run.
#[track_caller]
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("VOLLEY_NO_SKIP").is_none_or(|set| set != "1"), "may not skip: {why}");
    eprintln!("SKIPPED: {why}");
}

fn set_up(part: &str) -> Option<PathBuf> {
    let folder = variable(CONTRACT_VAR).map(|folder| folder.join(part));
    match folder {
        Some(path) if path.exists() => Some(path),
        Some(path) => {
            skip(&format!("{} is missing: `cargo xtask setup` says why", path.display()));
            None
        }
        None => {
            skip(&format!("run `cargo xtask test`, or set {CONTRACT_VAR} to the folder it makes"));
            None
        }
    }
}

fn scripts() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("contract")).unwrap()
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
