//! Running other programs: shown as a person would type them, named in their errors.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// A program and its arguments, about to run.
#[derive(Debug)]
pub(crate) struct Run {
    command: Command,
}

impl Run {
    /// `program`, found on `PATH` unless it is a path.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command }
    }

    /// The cargo that runs us.
    pub(crate) fn cargo() -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// Appends arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable for the program.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Hides a variable from the program.
    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Runs in `folder` in place of where we were started.
    pub(crate) fn dir(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Runs to the end, on our stdout and stderr.
    ///
    /// # Errors
    /// When it cannot be started or does not exit with 0; names the command and the code.
    pub(crate) fn go(mut self) -> Result<()> {
        let shown = self.to_string();
        let status =
            self.command.status().with_context(|| format!("`{shown}` could not be started"))?;
        if !status.success() {
            bail!("`{shown}` failed: {}", reason(status));
        }
        Ok(())
    }

    /// Like [`go`](Self::go), with what the program prints to stdout sent to stderr.
    pub(crate) fn go_on_stderr(mut self) -> Result<()> {
        self.command.stdout(io::stderr());
        self.go()
    }

    /// Becomes the program, with our stdin, stdout and stderr: its exit code is ours, and signals
    /// reach it alone. Returns only when it cannot be started.
    pub(crate) fn replace_us(mut self) -> anyhow::Error {
        let shown = self.to_string();
        let error = self.command.stdin(Stdio::inherit()).exec();
        anyhow::Error::new(error).context(format!("`{shown}` could not be started"))
    }

    /// Runs to the end in silence and returns what it wrote to stdout.
    ///
    /// # Errors
    /// As [`go`](Self::go), with what it wrote to stderr.
    pub(crate) fn output(mut self) -> Result<String> {
        let shown = self.to_string();
        let output =
            self.command.output().with_context(|| format!("`{shown}` could not be started"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("`{shown}` failed: {}\n{}", reason(output.status), said.trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether it can be started and exits with 0; prints nothing.
    pub(crate) fn succeeds(mut self) -> bool {
        let silenced = self.command.stdout(Stdio::null()).stderr(Stdio::null());
        silenced.status().is_ok_and(|status| status.success())
    }

    /// Starts it without waiting, its output going to `log`.
    pub(crate) fn start(mut self, log: &Path) -> Result<Child> {
        let shown = self.to_string();
        let file = std::fs::File::create(log)
            .with_context(|| format!("{} could not be created", log.display()))?;
        let copy = file.try_clone().context("the log could not be opened twice")?;
        self.command.stdout(file).stderr(copy);
        self.command.spawn().with_context(|| format!("`{shown}` could not be started"))
    }

    /// Like [`start`](Self::start), with a standard input that ends when we do, however that is, and
    /// out of reach of the Ctrl-C that ends us.
    pub(crate) fn start_tethered(mut self, log: &Path) -> Result<Child> {
        self.command.stdin(Stdio::piped()).process_group(0);
        self.start(log)
    }

    /// Runs to the end with what `source` writes to stdout as its standard input.
    ///
    /// # Errors
    /// As [`output`](Self::output), for both.
    pub(crate) fn fed_by(mut self, mut source: Self) -> Result<String> {
        let shown = source.to_string();
        let could_not = || format!("`{shown}` could not be started");
        let mut feeder = source.command.stdout(Stdio::piped()).spawn().with_context(could_not)?;
        if let Some(stdout) = feeder.stdout.take() {
            self.command.stdin(stdout);
        }
        let output = self.output();
        let status = feeder.wait().with_context(|| format!("waiting for `{shown}`"))?;
        // A feeder whose reader went away fails for that alone.
        let output = output?;
        ensure!(status.success(), "`{shown}` failed: {}", reason(status));
        Ok(output)
    }
}

/// As one would type it, without quoting; programs given by a path are shown by their name.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = Path::new(self.command.get_program());
        write!(f, "{}", program.file_name().unwrap_or(program.as_os_str()).display())?;
        self.command.get_args().try_for_each(|arg| write!(f, " {}", arg.display()))
    }
}

/// Why a program that ran did not succeed.
pub(crate) fn reason(status: ExitStatus) -> String {
    status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"))
}

/// An environment variable; one set to nothing counts as not set.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The folder of the workspace's `Cargo.toml`.
pub(crate) fn workspace_root() -> PathBuf {
    // Where this run's xtask lies, not where it was built: a shared target folder serves several
    // checkouts.
    let ours = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    ours.parent().map_or_else(|| ours.clone(), Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_typed() {
        let run = Run::new("/usr/bin/tar").args(["-x", "-f"]).args([Path::new("a.tgz")]);
        assert_eq!(run.to_string(), "tar -x -f a.tgz");
    }

    #[test]
    fn failure_names_the_command_and_the_code() {
        let error = Run::cargo().args(["no-such-command"]).output().unwrap_err().to_string();
        let first = error.lines().next().unwrap();
        assert!(first.ends_with("cargo no-such-command` failed: exit code 101"), "{first}");
        assert!(error.contains("no such command"), "{error}");
    }

    #[test]
    fn missing_program_is_named() {
        let error = Run::new("no-such-program").args(["x"]).go().unwrap_err().to_string();
        assert_eq!(error, "`no-such-program x` could not be started");
    }

    #[test]
    fn one_program_feeds_another() {
        let pipe = |source: &[&str]| Run::new("cat").fed_by(Run::new(source[0]).args(&source[1..]));
        assert_eq!(pipe(&["echo", "a"]).unwrap(), "a\n");
        assert_eq!(pipe(&["false"]).unwrap_err().to_string(), "`false` failed: exit code 1");
    }

    #[test]
    fn tethered_program_ends_with_its_input() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = Run::new("cat").start_tethered(&folder.path().join("log")).unwrap();
        assert!(program.try_wait().unwrap().is_none());
        drop(program.stdin.take());
        assert!(program.wait().unwrap().success());
    }

    #[test]
    fn root_holds_the_manifest_of_the_workspace() {
        assert!(workspace_root().join("xtask/Cargo.toml").is_file());
    }
}
