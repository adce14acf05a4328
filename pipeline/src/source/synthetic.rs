use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng, rngs::SmallRng};
use volley_core::host::{FullMetrics, HostSample};

use super::{PULL_ROWS, Pulled, Source, SourceStats};
use crate::shutdown::Shutdown;

/// Longest uninterrupted sleep, so that a stop is noticed soon.
const NAP: Duration = Duration::from_millis(50);

/// Rows for which a day of load passes, at the default step.
const DAY_ROWS: f64 = 86_400.0;

/// What to make up.
#[derive(Clone, Debug)]
pub struct SyntheticOptions {
    /// Equal seeds give equal rows in one version of Volley, but for the time they start at.
    pub seed: u64,
    /// Machines, which take turns.
    pub n_devices: u32,
    /// Rows to make; without end if `None`.
    pub n_rows: Option<u64>,
    /// Rows in a second over all devices; as fast as it goes if `None`.
    pub rate: Option<u64>,
    /// Time of the first row, µs since the epoch.
    pub start_us: i64,
}

/// Made-up machines that behave like machines: load with a daily wave, bursts and noise, memory
/// that creeps up and is freed, steps of 1/1,000 as a kernel reports them. Not constants and not
/// white noise, because both compress unlike anything real.
#[derive(Debug)]
pub struct SyntheticSource {
    options: SyntheticOptions,
    random: SmallRng,
    devices: Vec<Device>,
    n_rows: u64,
    started: Option<Instant>,
    busy: Duration,
    shutdown: Shutdown,
}

#[derive(Debug)]
struct Device {
    name: Arc<str>,
    phase: f32,
    base_load: f32,
    burst: f32,
    memory: f32,
}

impl SyntheticSource {
    /// A source that ends with `shutdown` or with the number of rows.
    pub fn new(options: SyntheticOptions, shutdown: Shutdown) -> Self {
        let mut random = SmallRng::seed_from_u64(options.seed);
        let devices = (0..options.n_devices.max(1))
            .map(|i| Device {
                name: format!("host-{i:04}").into(),
                phase: random.random_range(0.0..std::f32::consts::TAU),
                base_load: random.random_range(5.0..45.0),
                burst: 0.0,
                memory: random.random_range(20.0..70.0),
            })
            .collect();
        Self { options, random, devices, n_rows: 0, started: None, busy: Duration::ZERO, shutdown }
    }

    /// Rows that may be made now: what is left, and what the rate allows.
    fn n_due(&mut self) -> u64 {
        let started = *self.started.get_or_insert_with(Instant::now);
        let left = self.options.n_rows.map_or(u64::MAX, |limit| limit - self.n_rows);
        let allowed = self.options.rate.map_or(u64::MAX, |rate| {
            let due = (started.elapsed().as_secs_f64() * rate as f64) as u64 + 1;
            due.saturating_sub(self.n_rows)
        });
        left.min(allowed).min(PULL_ROWS as u64)
    }

    fn make_row(&mut self) -> HostSample {
        let n_devices = self.devices.len() as u64;
        let step_us = match self.options.rate {
            Some(rate) => (1_000_000 * n_devices / rate.max(1)).max(1),
            None => 1_000_000,
        };
        let turn = self.n_rows / n_devices;
        let device = &mut self.devices[(self.n_rows % n_devices) as usize];
        self.n_rows += 1;
        let wave =
            (turn as f64 / DAY_ROWS * f64::from(std::f32::consts::TAU)) as f32 + device.phase;
        if self.random.random_bool(0.002) {
            device.burst = self.random.random_range(20.0..60.0);
        }
        device.burst *= 0.97;
        let noise: f32 = self.random.random_range(-2.0..2.0);
        let cpu = device.base_load * (1.0 + 0.5 * wave.sin()) + device.burst + noise;
        let cpu_used = thousandths(cpu.clamp(0.0, 100.0));

        device.memory += self.random.random_range(-0.02..0.03);
        if device.memory > 92.0 {
            device.memory = self.random.random_range(20.0..50.0);
        }
        let memory_used = thousandths(device.memory.clamp(1.0, 99.0));
        let elapsed_us = turn.saturating_mul(step_us);
        HostSample {
            device: device.name.clone(),
            ts_us: self
                .options
                .start_us
                .saturating_add(i64::try_from(elapsed_us).unwrap_or(i64::MAX)),
            cpu_used,
            cpu_free: 100.0 - cpu_used,
            memory_used,
            memory_free: 100.0 - memory_used,
            run_elapsed_ms: i32::try_from(elapsed_us / 1000).unwrap_or(i32::MAX),
            full: full(cpu_used, memory_used, turn),
        }
    }
}

/// Of a value from 0 to 100. `round` is a call on processors without SSE4.1, six times a row.
fn thousandths(value: f32) -> f32 {
    (value * 1000.0 + 0.5) as i32 as f32 / 1000.0
}

fn full(cpu_used: f32, memory_used: f32, turn: u64) -> FullMetrics {
    let load = cpu_used / 25.0;
    let bytes = (f64::from(cpu_used) * 40_960.0) as u64 & !511;
    FullMetrics {
        load_1m: thousandths(load),
        load_5m: thousandths(load * 0.9),
        load_15m: thousandths(load * 0.8),
        swap_used: thousandths((memory_used - 80.0).max(0.0)),
        disk_read_bytes_per_sec: bytes / 4,
        disk_written_bytes_per_sec: bytes,
        network_received_bytes_per_sec: bytes * 3 / 2,
        network_sent_bytes_per_sec: bytes / 2,
        process_count: 180 + (turn % 40) as u32,
    }
}

impl Source for SyntheticSource {
    fn pull(&mut self, rows: &mut Vec<HostSample>, deadline: Option<Instant>) -> Pulled {
        loop {
            if self.shutdown.is_requested() || self.options.n_rows == Some(self.n_rows) {
                return Pulled::End;
            }
            let n_due = self.n_due();
            let now = Instant::now();
            if n_due > 0 {
                rows.extend((0..n_due).map(|_| self.make_row()));
                self.busy += now.elapsed();
                return Pulled::Rows;
            }
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Pulled::Deadline;
            }
            // Until the next row is due, at most.
            let rest = deadline.map_or(NAP, |deadline| deadline - now);
            let row_time =
                Duration::from_secs_f64(1.0 / self.options.rate.unwrap_or(1).max(1) as f64);
            thread::sleep(rest.min(row_time).min(NAP));
        }
    }

    fn stats(&self) -> SourceStats {
        SourceStats { busy: self.busy, n_skipped: 0 }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn take(options: SyntheticOptions) -> Vec<HostSample> {
        let mut source = SyntheticSource::new(options, Shutdown::never());
        let mut rows = Vec::new();
        while source.pull(&mut rows, None) != Pulled::End {}
        rows
    }

    fn options(seed: u64) -> SyntheticOptions {
        SyntheticOptions { seed, n_devices: 7, n_rows: Some(5000), rate: None, start_us: 1_000_000 }
    }

    #[test]
    fn equal_seeds_give_equal_rows_and_others_do_not() {
        assert_eq!(take(options(1)), take(options(1)));
        assert_ne!(take(options(1)), take(options(2)));
    }

    #[test]
    fn rows_are_plausible_and_each_device_and_time_comes_once() {
        let rows = take(options(3));
        assert_eq!(rows.len(), 5000);
        let keys: HashSet<_> = rows.iter().map(|row| (row.device.clone(), row.ts_us)).collect();
        assert_eq!(keys.len(), rows.len());
        assert_eq!(rows.iter().map(|row| row.device.clone()).collect::<HashSet<_>>().len(), 7);
        let loads: HashSet<_> = rows.iter().map(|row| row.cpu_used.to_bits()).collect();
        assert!(loads.len() > 1000, "series, not constants: {}", loads.len());
        assert!(rows.iter().all(|row| (0.0..=100.0).contains(&row.cpu_used)));
    }

    #[test]
    fn thousandths_are_the_nearest() {
        for i in 0..=1_000_000 {
            let value = i as f32 / 10_000.0;
            assert!((thousandths(value) - value).abs() < 0.000_51, "{value}");
        }
        assert_eq!(thousandths(100.0), 100.0);
    }

    #[test]
    fn rate_bounds_how_many_rows_are_due() {
        let limited = SyntheticOptions { rate: Some(10), n_rows: None, ..options(1) };
        let mut source = SyntheticSource::new(limited, Shutdown::never());
        let mut rows = Vec::new();
        assert_eq!(source.pull(&mut rows, None), Pulled::Rows);
        assert!(rows.len() <= 2, "the first row is due at once, the next after 100 ms");
        let soon = Instant::now() + Duration::from_millis(1);
        assert_eq!(source.pull(&mut rows, Some(soon)), Pulled::Deadline);
    }
}
