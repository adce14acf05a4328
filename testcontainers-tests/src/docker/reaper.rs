//! A process that outlives this one to remove its containers.
//!
//! testcontainers removes a container when its value is dropped, and its watchdog on some signals.
//! Neither helps a process that is killed or aborts, so there is one way for all ends: a second
//! process waits for the end of its standard input, which comes with the end of the first.

use std::{
    env,
    io::{self, Read as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::docker::{DockerError, engine};

/// Names the run whose containers a process is to remove, and nothing else.
const REAP_VAR: &str = "VOLLEY_E2E_REAP";

/// On every container: the run that it belongs to, which starts with its process id and `-`.
pub(super) const LABEL: &str = "volley-e2e.run";

/// A container that was being made when its maker died appears within this time.
const LATECOMERS: Duration = Duration::from_secs(1);
/// When to give up on containers that do not go away.
const LIMIT: Duration = Duration::from_secs(60);

/// Does what this process was started for, if that is to remove the containers of another one, and
/// says so. A program that uses the Docker stack calls this before anything else, and ends if so.
pub fn reap_if_asked() -> bool {
    let Ok(run) = env::var(REAP_VAR) else { return false };
    // Nothing is ever written to it.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    if let Err(error) = engine::block_on(reap(&run)) {
        eprintln!("containers may be left, with label {LABEL}={run}: {error}");
    }
    true
}

/// The process that waits; dropping it waits until no container of this run is left.
#[derive(Debug)]
pub(super) struct Reaper {
    run: String,
    process: Child,
}

impl Reaper {
    pub(super) fn start() -> io::Result<Self> {
        assert!(env::var_os(REAP_VAR).is_none(), "this program has to call `reap_if_asked` first");
        let run = format!("{}-{:016x}", std::process::id(), rand::random::<u64>());
        let process = Command::new(env::current_exe()?)
            .env(REAP_VAR, &run)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // Ctrl-C in a terminal goes to its whole group.
            .process_group(0)
            .spawn()?;
        Ok(Self { run, process })
    }

    /// The label's value.
    pub(super) fn run(&self) -> &str {
        &self.run
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

async fn reap(run: &str) -> Result<(), DockerError> {
    let docker = engine::connect().await?;
    let started = Instant::now();
    loop {
        let mut found = engine::containers(&docker).await?;
        found.retain(|(of, _)| of == run);
        if found.is_empty() && started.elapsed() > LATECOMERS {
            return Ok(());
        }
        for (_, id) in &found {
            engine::remove(&docker, id).await?;
        }
        if started.elapsed() > LIMIT {
            let left = io::Error::other(format!("{} are still there", found.len()));
            return Err(left.into());
        }
        sleep(Duration::from_millis(100)).await;
    }
}
