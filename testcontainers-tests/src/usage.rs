//! What a process uses.

use std::{fs, time::Duration};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// CPU and memory of one process, as the system counts them.
#[derive(Debug)]
pub struct Usage {
    pid: u32,
    system: System,
}

impl Usage {
    /// Of a process by its number.
    pub fn of(pid: u32) -> Self {
        Self { pid, system: System::new().unwrap() }
    }

    /// CPU time of all its threads so far, in steps of 10 ms on Linux, and its resident memory now in
    /// bytes; `None` where it has ended.
    pub fn now(&mut self) -> Option<(Duration, u64)> {
        let pid = Pid::from_u32(self.pid);
        let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
        self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
        let process = self.system.process(pid)?;
        Some((Duration::from_millis(process.accumulated_cpu_time()), process.memory()))
    }

    /// The most memory that it has had resident so far, in bytes; `None` where the system does not
    /// say.
    pub fn peak_rss(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    }
}
