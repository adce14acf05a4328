use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use volley_core::host::{HostSample, MetricSet};

use super::{PULL_ROWS, Pulled, Source, SourceError, SourceStats, sampler::Sampler};
use crate::shutdown::Shutdown;

/// Samples that may wait for the batch thread.
const QUEUE_ROWS: usize = 8192;

/// Longest uninterrupted sleep, so that a stop is noticed soon.
const NAP: Duration = Duration::from_millis(50);

/// How to sample this machine.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// What to call it; its host name if `None`.
    pub device: Option<String>,
    /// Which columns to fill.
    pub metrics: MetricSet,
    /// Time from sample to sample; zero is as fast as it goes.
    pub interval: Duration,
    /// Samples to take; without end if `None`.
    pub n_rows: Option<u64>,
}

/// Samples of this machine, taken by a thread of their own: slow sending never delays a sample.
///
/// When rows leave more slowly than they come, the queue fills and samples are skipped and counted,
/// as they are where the interval is shorter than a sample takes; none that was taken is dropped.
/// With a zero interval nothing is due, and sampling just waits.
#[derive(Debug)]
pub struct HostSource {
    rows: Receiver<HostSample>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    busy_ns: AtomicU64,
    n_skipped: AtomicU64,
}

impl HostSource {
    /// Starts sampling, which takes 200 ms. It ends with `shutdown`, with the number of rows, or
    /// with the first sample after this is dropped.
    ///
    /// # Errors
    ///
    /// [`SourceError`] where this machine does not let itself be measured.
    pub fn start(options: HostOptions, shutdown: Shutdown) -> Result<Self, SourceError> {
        let sampler = Sampler::new(options.device.as_deref(), options.metrics)?;
        let (sender, rows) = sync_channel(QUEUE_ROWS);
        let counters = Arc::new(Counters::default());
        let sampling = Sampling { sampler, sender, shutdown, counters: counters.clone() };
        thread::spawn(move || sampling.run(&options));
        Ok(Self { rows, counters })
    }
}

impl Source for HostSource {
    fn pull(&mut self, rows: &mut Vec<HostSample>, deadline: Option<Instant>) -> Pulled {
        let first = match deadline {
            None => self.rows.recv().map_err(|_| Pulled::End),
            Some(deadline) => {
                let wait = deadline.saturating_duration_since(Instant::now());
                self.rows.recv_timeout(wait).map_err(|error| match error {
                    RecvTimeoutError::Timeout => Pulled::Deadline,
                    RecvTimeoutError::Disconnected => Pulled::End,
                })
            }
        };
        match first {
            Ok(row) => {
                rows.push(row);
                rows.extend(self.rows.try_iter().take(PULL_ROWS - 1));
                Pulled::Rows
            }
            Err(otherwise) => otherwise,
        }
    }

    fn stats(&self) -> SourceStats {
        SourceStats {
            busy: Duration::from_nanos(self.counters.busy_ns.load(Ordering::Relaxed)),
            n_skipped: self.counters.n_skipped.load(Ordering::Relaxed),
        }
    }
}

struct Sampling {
    sampler: Sampler,
    sender: SyncSender<HostSample>,
    shutdown: Shutdown,
    counters: Arc<Counters>,
}

impl Sampling {
    fn run(mut self, options: &HostOptions) {
        let start = Instant::now();
        let mut due = start;
        let mut n_rows = 0;
        while options.n_rows.is_none_or(|limit| n_rows < limit) && self.wait_until(due) {
            let began = Instant::now();
            let sample = self.sampler.sample(start);
            let busy = began.elapsed().as_nanos() as u64;
            self.counters.busy_ns.fetch_add(busy, Ordering::Relaxed);
            if !self.send(sample) {
                return;
            }
            n_rows += 1;
            due = self.next_due(due, options.interval);
        }
    }

    /// The next moment of the interval's grid that has not passed.
    fn next_due(&self, due: Instant, interval: Duration) -> Instant {
        let now = Instant::now();
        let next = due + interval;
        if interval.is_zero() {
            return now;
        }
        if next >= now {
            return next;
        }
        let n_missed = ((now - next).as_nanos() / interval.as_nanos()) as u64;
        self.counters.n_skipped.fetch_add(n_missed, Ordering::Relaxed);
        next + interval.saturating_mul(u32::try_from(n_missed).unwrap_or(u32::MAX))
    }

    fn send(&self, mut sample: HostSample) -> bool {
        loop {
            match self.sender.try_send(sample) {
                Ok(()) => return true,
                Err(TrySendError::Disconnected(_)) => return false,
                Err(TrySendError::Full(back)) => {
                    sample = back;
                    if !self.wait_until(Instant::now() + Duration::from_millis(1)) {
                        return self.sender.send(sample).is_ok();
                    }
                }
            }
        }
    }

    /// False if the run is to end.
    fn wait_until(&self, moment: Instant) -> bool {
        loop {
            if self.shutdown.is_requested() {
                return false;
            }
            match moment.checked_duration_since(Instant::now()) {
                None | Some(Duration::ZERO) => return true,
                Some(rest) => thread::sleep(rest.min(NAP)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(options: HostOptions) -> Vec<HostSample> {
        let mut source = HostSource::start(options, Shutdown::never()).unwrap();
        let mut rows = Vec::new();
        while source.pull(&mut rows, None) != Pulled::End {}
        rows
    }

    fn options(metrics: MetricSet, n_rows: u64) -> HostOptions {
        HostOptions { device: None, metrics, interval: Duration::ZERO, n_rows: Some(n_rows) }
    }

    #[test]
    fn samples_are_this_machine_in_order_of_time() {
        let rows = take(options(MetricSet::Full, 3000));
        assert_eq!(rows.len(), 3000);
        assert!(rows.is_sorted_by(|a, b| a.ts_us < b.ts_us), "each row has a time of its own");
        for row in &rows {
            assert!((row.cpu_used + row.cpu_free - 100.0).abs() < 1e-3);
            assert!((row.memory_used + row.memory_free - 100.0).abs() < 1e-3);
            assert!(row.memory_used > 0.0 && row.memory_used < 100.0);
            assert!(row.full.process_count > 0);
        }
    }

    #[test]
    fn slow_reader_makes_the_source_skip_and_count() {
        let mut source = HostSource::start(
            HostOptions {
                interval: Duration::from_micros(1),
                ..options(MetricSet::Basic, QUEUE_ROWS as u64 * 2)
            },
            Shutdown::never(),
        )
        .unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while source.stats().n_skipped == 0 {
            assert!(Instant::now() < deadline, "a sample takes longer than 1 µs");
            thread::yield_now();
        }
        let mut rows = Vec::new();
        while source.pull(&mut rows, None) != Pulled::End {}
        assert_eq!(rows.len(), QUEUE_ROWS * 2, "what was sampled comes out");
    }

    #[test]
    fn deadline_and_shutdown_end_a_wait() {
        let (trigger, shutdown) = Shutdown::new();
        let slow =
            HostOptions { interval: Duration::from_secs(3600), ..options(MetricSet::Basic, 9) };
        let mut source = HostSource::start(slow, shutdown).unwrap();
        let mut rows = Vec::new();
        assert_eq!(source.pull(&mut rows, None), Pulled::Rows);
        assert_eq!(source.pull(&mut rows, Some(Instant::now())), Pulled::Deadline);
        trigger.request();
        assert_eq!(source.pull(&mut rows, None), Pulled::End);
    }
}
