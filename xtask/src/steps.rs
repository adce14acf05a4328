//! What a run does, step by step, with durations and a closing summary.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The steps of one run, in order.
#[derive(Debug)]
pub(crate) struct Steps {
    started: Instant,
    done: Vec<(&'static str, Duration)>,
}

impl Steps {
    pub(crate) fn start() -> Self {
        Self { started: Instant::now(), done: Vec::new() }
    }

    /// Announces a step, runs it, and says how long it took.
    ///
    /// # Errors
    /// The step's own, with its name.
    pub(crate) fn step<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        eprintln!("==> {name}");
        let started = Instant::now();
        let result = work().with_context(|| format!("step `{name}`"));
        let took = started.elapsed();
        let verdict = if result.is_ok() { "done" } else { "failed" };
        eprintln!("==> {name}: {verdict} in {}", shown(took));
        self.done.push((name, took));
        result
    }

    /// Prints the time that each step took.
    pub(crate) fn summary(&self) {
        eprintln!("==> all passed in {}", shown(self.started.elapsed()));
        let width = self.done.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, took) in &self.done {
            eprintln!("    {name:width$}  {:>9}", shown(*took));
        }
    }
}

/// `0.4 s`, `59.9 s`, `12 min 05 s`.
fn shown(took: Duration) -> String {
    let tenths = (took.as_millis() + 50) / 100;
    if tenths < 600 {
        format!("{}.{} s", tenths / 10, tenths % 10)
    } else {
        let seconds = (took.as_millis() + 500) / 1000;
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let check = |ms, expect| assert_eq!(shown(Duration::from_millis(ms)), expect);
        check(0, "0.0 s");
        check(449, "0.4 s");
        check(450, "0.5 s");
        check(59_949, "59.9 s");
        check(59_950, "1 min 00 s");
        check(725_000, "12 min 05 s");
    }

    #[test]
    fn failed_step_is_named() {
        let mut steps = Steps::start();
        let error = steps.step("fetch", || -> Result<()> { anyhow::bail!("no network") });
        assert_eq!(format!("{:#}", error.unwrap_err()), "step `fetch`: no network");
    }
}
