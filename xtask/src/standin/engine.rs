//! A Docker engine for one run.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::run::Run;

/// Longer than an engine takes on a slow disk.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Runs an engine until its own standard input ends, which it does with the parent, however that
/// ends; then removes what the engine leaves, the folder $1 and the bridge that it made.
const SUPERVISE: &str = r#"
folder=$1; shift
bridge=docker0; [ -e "/sys/class/net/$bridge" ] && bridge=
exec 3<&0
dockerd "$@" </dev/null 3<&- & engine=$!
{ read -r _ <&3; kill "$engine" 2>/dev/null; } &
wait "$engine"; code=$?
[ -z "$bridge" ] || ip link delete "$bridge" 2>/dev/null
rm -rf --one-file-system "$folder"
exit "$code""#;

/// Containers of the suite.
const SUITES: &str = "label=volley-e2e.run";

/// An engine that answers.
#[derive(Debug)]
pub(super) struct Engine {
    /// `None`: one that somebody else runs.
    own: Option<Own>,
}

impl Engine {
    /// The engine that answers already, or one of our own, which keeps its images in `folder`, is
    /// reached by its socket alone, publishes on loopback only and does not touch the firewall.
    ///
    /// # Errors
    /// When it does not start, with the end of its log.
    pub(super) fn start(folder: &Path) -> Result<Self> {
        let found = Self { own: None };
        if found.docker(&["version"]).succeeds() {
            eprintln!("docker: using the engine that runs here; images of 1.1 GB stay in it");
            return Ok(found);
        }
        let engine = Self { own: Some(Own::start(folder)?) };
        // What an interrupted run left.
        for container in engine.containers()? {
            engine.docker(&["rm", "--force", "--volumes", &container]).output()?;
        }
        Ok(engine)
    }

    /// `docker`, as this engine's client.
    pub(super) fn docker(&self, args: &[&str]) -> Run {
        self.on(Run::new("docker")).args(args)
    }

    /// Makes a program use this engine.
    pub(super) fn on(&self, run: Run) -> Run {
        match &self.own {
            Some(own) => run.env("DOCKER_HOST", &own.host),
            None => run,
        }
    }

    /// Stops it, if it is ours.
    ///
    /// # Errors
    /// When the suite has left a container, or the engine does not end in order.
    pub(super) fn stop(mut self) -> Result<()> {
        let left = self.containers()?;
        ensure!(left.is_empty(), "the suite has left containers: {}", left.join(", "));
        self.own.as_mut().map_or(Ok(()), Own::end)
    }

    fn containers(&self) -> Result<Vec<String>> {
        let list = ["ps", "--all", "--quiet", "--filter", SUITES];
        Ok(self.docker(&list).output()?.lines().map(str::to_owned).collect())
    }
}

/// An engine of our own, which ends with us.
#[derive(Debug)]
struct Own {
    supervisor: Child,
    host: String,
    log: PathBuf,
}

impl Own {
    fn start(folder: &Path) -> Result<Self> {
        // Not in the cache: a socket's path must be short.
        let run = std::env::temp_dir().join(format!("volley-standin-{}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&run);
        made.with_context(|| format!("{} could not be created", run.display()))?;
        let host = format!("unix://{}", run.join("docker.sock").display());
        let log = folder.join("dockerd.log");
        let supervisor = Run::new("sh")
            .args(["-c", SUPERVISE, "sh"])
            .args([&run])
            .args(["--host", &host, "--ip", "127.0.0.1", "--ip-forward=false", "--ip-masq=false"])
            .args(["--iptables=false", "--ip6tables=false"])
            .args([Path::new("--pidfile"), &run.join("pid")])
            .args([Path::new("--exec-root"), &run.join("exec")])
            .args([Path::new("--data-root"), &folder.join("docker")])
            .start_tethered(&log)?;
        let mut own = Self { supervisor, host, log };
        let started = Instant::now();
        while !Run::new("docker").args(["version"]).env("DOCKER_HOST", &own.host).succeeds() {
            let is_over = own.supervisor.try_wait().context("waiting for dockerd")?.is_some();
            if is_over || started.elapsed() > START_LIMIT {
                bail!("dockerd does not answer; its log ends:\n{}", own.log_tail());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(own)
    }

    fn end(&mut self) -> Result<()> {
        drop(self.supervisor.stdin.take());
        let status = self.supervisor.wait().context("waiting for dockerd")?;
        ensure!(status.success(), "dockerd ended badly; its log ends:\n{}", self.log_tail());
        Ok(())
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Whoever wants to know how it ended has asked.
        let _ = self.end();
    }
}
