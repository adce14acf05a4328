//! What a measurement was made on. No host name: it would say nothing to others.

use std::{fs, path::PathBuf, thread};

use anyhow::{Context as _, Result};
use serde::Serialize;

/// The machine, as far as it matters for numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Model of the processor, as the system names it.
    pub cpu: String,
    /// Threads that run at once.
    pub n_cpus: usize,
    /// Memory, bytes; 0 where the system does not say.
    pub memory_bytes: u64,
    /// Operating system and its kernel's version.
    pub kernel: String,
    /// Load average over 1, 5 and 15 minutes when this was asked.
    pub load: String,
}

impl Machine {
    /// This one, now.
    pub fn this() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let (cpuinfo, meminfo) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let cpu = value(&cpuinfo, "model name").unwrap_or(std::env::consts::ARCH).to_owned();
        let kib = value(&meminfo, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
        // What follows the version says who built it.
        let release = read("/proc/sys/kernel/osrelease");
        let release = release.trim().split('-').next().unwrap_or_default();
        let load = read("/proc/loadavg");
        let load: Vec<_> = load.split(' ').take(3).collect();
        Self {
            cpu,
            n_cpus: thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kib.map_or(0, |kib: u64| kib * 1024),
            kernel: format!("{} {release}", std::env::consts::OS).trim().to_owned(),
            load: load.join(" "),
        }
    }

    /// A folder's name for results of a day on this machine: `2026-11-22-2-intel-xeon`.
    pub fn folder(&self) -> String {
        let words = self.cpu.split(|c: char| !c.is_ascii_alphanumeric());
        let words = words.filter(|word| !matches!(*word, "" | "R" | "TM" | "CPU" | "Processor"));
        let cpu = words.take(2).collect::<Vec<_>>().join("-").to_lowercase();
        let today = jiff::Timestamp::now().strftime("%Y-%m-%d");
        format!("{today}-{}-{cpu}", self.n_cpus)
    }

    /// The folder for a run's results: `out`, or the day's in `benches/results`. It is there then.
    ///
    /// # Errors
    ///
    /// Where it cannot be made.
    pub fn results(&self, out: Option<PathBuf>) -> Result<PathBuf> {
        let results = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results");
        let out = out.unwrap_or_else(|| results().join(self.folder()));
        fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
        Ok(out)
    }

    /// A sentence.
    pub fn describe(&self) -> String {
        format!(
            "{} with {} CPUs and {:.0} GB of memory, {}. Load average at the start: {} (over 1, 5 \
             and 15 minutes).",
            self.cpu,
            self.n_cpus,
            self.memory_bytes as f64 / 1e9,
            self.kernel,
            self.load
        )
    }
}

/// The first `key : value` of a file of such lines.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let of_key = |line: &'a str| line.strip_prefix(key)?.trim_start().strip_prefix(':');
    text.lines().find_map(of_key).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_whole_key() {
        let text = "model\t\t: 85\nmodel name\t: Some(R) CPU @ 2 GHz\nMemTotal:   24 kB\n";
        assert_eq!(value(text, "model name"), Some("Some(R) CPU @ 2 GHz"));
        assert_eq!(value(text, "model"), Some("85"));
        assert_eq!(value(text, "MemTotal"), Some("24 kB"));
        assert_eq!(value(text, "MemFree"), None);
    }

    #[test]
    fn folders_name_the_day_and_the_processor() {
        let cpu = "Intel(R) Xeon(R) Platinum".to_owned();
        let machine = Machine { cpu, n_cpus: 2, ..Machine::this() };
        assert!(machine.folder().ends_with("-2-intel-xeon"), "{}", machine.folder());
    }
}
