use std::{
    fs, io,
    io::Write as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a process may take to end when asked; then it is killed.
const END_LIMIT: Duration = Duration::from_secs(30);

/// Becomes its arguments, a program that gets the signals which are read here, one a line. Where
/// there is no more to read, because the parent has ended, the program is killed, and the folder
/// that stands for the shell's name is removed, also where the signal that ends the parent is sent to
/// all of its processes. After the line `KEEP` the program is on its own.
const SCRIPT: &str = r#"exec 3<&0
{
    trap '' HUP INT TERM
    while read -r signal <&3; do
        [ "$signal" = KEEP ] && exit
        kill -s "$signal" "$$"
    done
    kill -s KILL "$$"
    rm -rf "$0" || { sleep 1; rm -rf "$0"; }
} 2>/dev/null &
exec "$@" 3<&- </dev/null"#;

/// A process that does not outlive this one, however this one ends.
#[derive(Debug)]
pub(crate) struct Tethered(Child);

impl Tethered {
    /// Starts `program` with its arguments, all that it says going to `log`. If this process ends
    /// before [`Self::end`], `folder` is removed.
    pub(crate) fn start(program: &Command, log: &Path, folder: &Path) -> io::Result<Self> {
        let log = fs::File::options().create(true).append(true).open(log)?;
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT]).arg(folder).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let shell = shell.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        shell.spawn().map(Self)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Ends it with a signal, such as `TERM`, and waits.
    pub(crate) fn end(mut self, signal: &str) -> io::Result<ExitStatus> {
        self.say(signal);
        let asked = Instant::now();
        while !self.has_ended() && asked.elapsed() < END_LIMIT {
            thread::sleep(Duration::from_millis(10));
        }
        if !self.has_ended() {
            self.say("KILL");
        }
        // First, because waiting closes what it is said by.
        self.say("KEEP");
        self.0.wait()
    }

    /// Ends it at once, wherever it is, and waits.
    pub(crate) fn kill(mut self) {
        // Not by way of the shell, which would take its time. It has the same number as the program.
        let _ = self.0.kill();
        self.say("KEEP");
        let _ = self.0.wait();
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Nobody listens where the process has ended by itself.
    fn say(&mut self, line: &str) {
        if let Some(stdin) = &mut self.0.stdin {
            let _ = writeln!(stdin, "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(program: &[&str], folder: &Path) -> Tethered {
        let mut command = Command::new(program[0]);
        command.args(&program[1..]);
        let log = tempfile::NamedTempFile::new().unwrap();
        Tethered::start(&command, log.path(), folder).unwrap()
    }

    #[test]
    fn it_ends_when_asked_and_leaves_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        for signal in ["TERM", "KILL"] {
            let ended = start(&["sleep", "1000"], folder.path()).end(signal).unwrap();
            assert_eq!(ended.code(), None);
            assert!(folder.path().exists());
        }
        let ended = start(&["true"], folder.path()).end("TERM").unwrap();
        assert!(ended.success() || ended.code().is_none());
    }

    #[test]
    fn it_ends_with_its_owner_and_takes_the_folder_along() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "text").unwrap();
        let mut process = start(&["sleep", "1000"], folder.path());
        // As the system does where this process ends.
        drop(process.0.stdin.take());
        assert!(!process.0.wait().unwrap().success());
        crate::eventually("the folder's end", || (!folder.path().exists()).then_some(()));
    }
}
