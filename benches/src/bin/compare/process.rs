//! Programs that are measured: their CPU time and memory, as the operating system counts them.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use wait4::{ResUse, Wait4 as _};

/// How often a program is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Becomes its arguments. Where our end of its standard input closes before a line came through it,
/// because we have ended, however that was, the program is killed.
const TETHER: &str = r#"exec 3<&0
{ read -r line <&3 || kill -s KILL "$$"; } 2>/dev/null &
exec "$@" 3<&- </dev/null"#;

/// What a program has cost. `cpu_s` is user and system time of the process and of the children that it
/// waited for (`wait4`). `peak_bytes` is the largest resident set that the system has seen of it, as of
/// 10 ms before its end (`VmHWM`; what `wait4` says of memory counts ours too, before the program's
/// start).
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
    pub(crate) peak_bytes: u64,
    /// Resident set, every 100 ms.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rss_bytes: Vec<u64>,
}

/// A running program, which ends with us.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    pid: Pid,
    tether: ChildStdin,
    has_ended: Arc<AtomicBool>,
    watcher: JoinHandle<Result<(ResUse, Cost)>>,
    output: PathBuf,
    log: PathBuf,
}

impl Program {
    /// Starts `command`; what it writes goes to two files in `folder` called after `name`.
    pub(crate) fn start(command: &Command, name: &str, folder: &Path) -> Result<Self> {
        let output = folder.join(format!("{name}.out"));
        let log = folder.join(format!("{name}.log"));
        let mut shell = Command::new("sh");
        shell.args(["-c", TETHER, "sh"]).arg(command.get_program()).args(command.get_args());
        let variables = command.get_envs().filter_map(|(key, value)| Some((key, value?)));
        shell.envs(variables).stdin(Stdio::piped());
        shell.stdout(fs::File::create(&output)?).stderr(fs::File::create(&log)?);
        let started = Instant::now();
        let mut child = shell.spawn().with_context(|| format!("{name} could not be started"))?;
        let tether = child.stdin.take().context("stdin is piped")?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a pid")?;
        let has_ended = Arc::new(AtomicBool::new(false));
        let ended = has_ended.clone();
        let watcher = thread::spawn(move || {
            let (mut rss_bytes, mut peak_bytes) = (Vec::new(), 0);
            loop {
                if let Some(used) = child.try_wait4()? {
                    ended.store(true, Ordering::SeqCst);
                    let cpu = used.rusage.utime + used.rusage.stime;
                    let cost = Cost {
                        wall_s: started.elapsed().as_secs_f64(),
                        cpu_s: cpu.as_secs_f64(),
                        peak_bytes,
                        rss_bytes,
                    };
                    return Ok((used, cost));
                }
                let n_looks = started.elapsed().as_millis() / 100;
                if n_looks as usize >= rss_bytes.len() {
                    rss_bytes.push(status_bytes(pid, "VmRSS"));
                }
                // Of the program, not of the shell that becomes it: the last word counts.
                peak_bytes = peak_of(pid).unwrap_or(peak_bytes);
                thread::sleep(LOOK_INTERVAL);
            }
        });
        Ok(Self { name: name.to_owned(), pid, tether, has_ended, watcher, output, log })
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    /// What it has written to its standard output so far.
    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// CPU time so far; what the system tells of a running process is rounded to 10 ms.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu(self.pid)
    }

    /// The largest resident set so far.
    pub(crate) fn peak_bytes(&self) -> u64 {
        peak_of(self.pid).unwrap_or_default()
    }

    /// Waits for its end, which must be a success.
    pub(crate) fn finish(self) -> Result<Cost> {
        let (name, log) = (self.name.clone(), self.log.clone());
        let (used, cost) = self.wait()?;
        ensure!(used.status.success(), "{name} failed ({}):\n{}", used.status, tail(&log));
        Ok(cost)
    }

    /// Asks it to end, as Ctrl-C does, and waits; how it ends does not matter.
    pub(crate) fn stop(self) -> Result<Cost> {
        self.signal(Signal::INT);
        let asked = Instant::now();
        while !self.has_ended() && asked.elapsed() < Duration::from_secs(20) {
            thread::sleep(LOOK_INTERVAL);
        }
        self.signal(Signal::KILL);
        Ok(self.wait()?.1)
    }

    /// The error of a program that ended when it should not have.
    pub(crate) fn failure(&self) -> anyhow::Error {
        anyhow!("{} has ended:\n{}", self.name, tail(&self.log))
    }

    fn signal(&self, signal: Signal) {
        if !self.has_ended() {
            // It may end in between, which is what was asked for.
            let _ = kill_process(self.pid, signal);
        }
    }

    fn wait(mut self) -> Result<(ResUse, Cost)> {
        let ended = self.watcher.join().map_err(|_| anyhow!("{} was lost", self.name))?;
        // The shell that would kill it goes.
        let _ = writeln!(self.tether, "over");
        ended
    }
}

/// The process among our children that runs the class `main` in Java.
pub(crate) fn java_child(main: &str) -> Result<Pid> {
    for entry in fs::read_dir("/proc").context("no /proc: this needs Linux")? {
        let path = entry?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
            continue;
        };
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        let ours = stat(pid).is_some_and(|stat| stat.parent == std::process::id());
        if ours && line.split(|byte| *byte == 0).any(|word| word == main.as_bytes()) {
            return Pid::from_raw(pid).context("a pid");
        }
    }
    bail!("no child runs {main}")
}

/// CPU time of a process so far, children that it waited for included.
pub(crate) fn cpu(pid: Pid) -> Result<Duration> {
    let stat = stat(pid.as_raw_nonzero().get()).context("the process has ended")?;
    // The kernel's unit for this file is fixed at 1/100 s on every architecture that runs us.
    Ok(Duration::from_millis(stat.ticks * 10))
}

struct Stat {
    parent: u32,
    ticks: u64,
}

/// Fields 4 and 14 to 17 of `/proc/PID/stat`; the second, a name in parentheses, may hold anything.
fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = [14, 15, 16, 17].iter().map(|field| number(*field)).sum::<Option<u64>>()?;
    Some(Stat { parent: u32::try_from(number(4)?).ok()?, ticks })
}

/// The largest resident set so far; `None` of a process that has ended.
fn peak_of(pid: Pid) -> Option<u64> {
    Some(status_bytes(pid, "VmHWM")).filter(|peak| *peak > 0)
}

fn status_bytes(pid: Pid, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map_or(0, |kib| kib * 1024)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_those_of_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done"]);
        let program = Program::start(&busy, "busy", folder.path()).unwrap();
        while !program.has_ended() {
            thread::sleep(LOOK_INTERVAL);
        }
        assert_eq!(program.output(), "done\n");
        let cost = program.finish().unwrap();
        assert!(cost.cpu_s > 0.01 && cost.cpu_s <= cost.wall_s * 2.0, "{cost:?}");
        // A shell, not this process.
        assert!((100_000..20_000_000).contains(&cost.peak_bytes), "{cost:?}");
    }

    #[test]
    fn failures_show_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut fails = Command::new("sh");
        fails.args(["-c", "echo no such table >&2; exit 3"]);
        let error = Program::start(&fails, "fails", folder.path()).unwrap().finish().unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("fails failed") && text.ends_with("no such table"), "{text}");
    }
}
