use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use volley_core::tune::Clock;

/// The machine's clocks: the wall's since this was made, and what this thread has worked.
///
/// Others who use the machine make work late, and hardly dearer: it is timed by what the thread
/// itself was given.
#[derive(Clone, Copy, Debug)]
pub(super) struct MachineClock {
    started: Instant,
}

impl MachineClock {
    pub(super) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Time until `end`, which is counted from the start.
    pub(super) fn left(&self, end: Duration) -> Duration {
        end.saturating_sub(self.elapsed())
    }
}

impl Clock for MachineClock {
    fn wall(&mut self) -> Duration {
        self.elapsed()
    }

    fn busy(&mut self) -> Duration {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        // The kernel keeps both at or above zero.
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
    }
}
