use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sysinfo::{
    Disks, MINIMUM_CPU_UPDATE_INTERVAL, MemoryRefreshKind, Networks, ProcessRefreshKind,
    ProcessesToUpdate, System,
};
use volley_core::host::{FullMetrics, HostSample, MetricSet};

use super::SourceError;

/// How often disks, networks, load and processes are looked at; their values are per second.
const SLOW_INTERVAL: Duration = Duration::from_secs(1);

/// Reads this machine's counters.
pub(super) struct Sampler {
    device: Arc<str>,
    system: System,
    slow: Option<SlowCounters>,
    last_ts_us: i64,
}

/// What only [`MetricSet::Full`] asks for, and takes milliseconds to read.
struct SlowCounters {
    disks: Disks,
    networks: Networks,
    read_at: Instant,
    metrics: FullMetrics,
}

impl Sampler {
    /// Takes 200 ms, the CPU update interval: usage is a difference between two readings.
    pub(super) fn new(device: Option<&str>, metrics: MetricSet) -> Result<Self, SourceError> {
        let failed = |reading| move |source| SourceError { reading, source };
        let mut system = System::new().map_err(failed("the system"))?;
        system.refresh_cpu_usage();
        let slow = match metrics {
            MetricSet::Basic => None,
            MetricSet::Full => Some(SlowCounters {
                disks: Disks::new_with_refreshed_list().map_err(failed("disks"))?,
                networks: Networks::new_with_refreshed_list().map_err(failed("networks"))?,
                read_at: Instant::now(),
                metrics: FullMetrics::default(),
            }),
        };
        thread::sleep(MINIMUM_CPU_UPDATE_INTERVAL);
        let device = device.map(str::to_owned).or_else(|| System::host_name().ok());
        let device = device.unwrap_or_else(|| "localhost".to_owned()).into();
        let mut sampler = Self { device, system, slow, last_ts_us: 0 };
        if let Some(slow) = &mut sampler.slow {
            slow.refresh(&mut sampler.system);
        }
        Ok(sampler)
    }

    /// One sample of a run that began at `start`.
    pub(super) fn sample(&mut self, start: Instant) -> HostSample {
        // Does nothing until its minimum interval has passed.
        self.system.refresh_cpu_usage();
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        if let Some(slow) = &mut self.slow
            && slow.read_at.elapsed() >= SLOW_INTERVAL
        {
            slow.refresh(&mut self.system);
        }
        let cpu_used = self.system.global_cpu_usage().clamp(0.0, 100.0);
        let memory_free = percent(self.system.available_memory(), self.system.total_memory());
        HostSample {
            device: self.device.clone(),
            ts_us: self.timestamp(),
            cpu_used,
            cpu_free: 100.0 - cpu_used,
            memory_used: 100.0 - memory_free,
            memory_free,
            run_elapsed_ms: i32::try_from(start.elapsed().as_millis()).unwrap_or(i32::MAX),
            full: self.slow.as_ref().map_or_else(FullMetrics::default, |slow| slow.metrics),
        }
    }

    /// The wall clock, made strictly increasing: device and time together tell rows apart.
    fn timestamp(&mut self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        self.last_ts_us = i64::try_from(now).unwrap_or(i64::MAX).max(self.last_ts_us + 1);
        self.last_ts_us
    }
}

impl SlowCounters {
    fn refresh(&mut self, system: &mut System) {
        let seconds = self.read_at.elapsed().as_secs_f64().max(1e-3);
        self.read_at = Instant::now();
        self.disks.refresh(true);
        self.networks.refresh(true);
        let kind = ProcessRefreshKind::nothing().without_tasks();
        system.refresh_processes_specifics(ProcessesToUpdate::All, true, kind);
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_swap());
        let per_second = |bytes: u64| (bytes as f64 / seconds) as u64;
        let disks = || self.disks.iter().map(sysinfo::Disk::usage);
        let networks = || self.networks.values();
        // Some systems have no load average.
        let (load_1m, load_5m, load_15m) = System::load_average()
            .map_or((0.0, 0.0, 0.0), |load| (load.one, load.five, load.fifteen));
        self.metrics = FullMetrics {
            load_1m: load_1m as f32,
            load_5m: load_5m as f32,
            load_15m: load_15m as f32,
            swap_used: percent(system.used_swap(), system.total_swap()),
            disk_read_bytes_per_sec: per_second(disks().map(|usage| usage.read_bytes).sum()),
            disk_written_bytes_per_sec: per_second(disks().map(|usage| usage.written_bytes).sum()),
            network_received_bytes_per_sec: per_second(
                networks().map(sysinfo::NetworkData::received).sum(),
            ),
            network_sent_bytes_per_sec: per_second(
                networks().map(sysinfo::NetworkData::transmitted).sum(),
            ),
            process_count: u32::try_from(system.processes().len()).unwrap_or(u32::MAX),
        };
    }
}

/// `part` of `whole` in percent; 0 of nothing.
fn percent(part: u64, whole: u64) -> f32 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 100.0) as f32 }
}
