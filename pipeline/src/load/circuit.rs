use std::time::Duration;

/// First wait after a failure that may pass; each further one doubles it, up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// The inserts of a partition fail, for a reason that may pass: nothing of it is sent before a time,
/// and nothing more of it is read. Times are since any fixed moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Circuit {
    since: Duration,
    n_failures: u32,
    until: Duration,
}

impl Circuit {
    /// After a failure at `now`. `jitter`, from 0 to 1, keeps many loaders from coming back at the same
    /// moment: it takes away up to half of the wait.
    pub(crate) fn after(before: Option<Self>, now: Duration, jitter: f64) -> Self {
        let n_before = before.map_or(0, |before| before.n_failures);
        let doubled = MIN_BACKOFF.saturating_mul(1 << n_before.min(10));
        let wait = doubled.min(MAX_BACKOFF).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0);
        Self {
            since: before.map_or(now, |before| before.since),
            n_failures: n_before.saturating_add(1),
            until: now.saturating_add(wait),
        }
    }

    /// When to try again.
    pub(crate) fn until(&self) -> Duration {
        self.until
    }

    /// How long it has failed.
    pub(crate) fn lasts(&self, now: Duration) -> Duration {
        now.saturating_sub(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit() {
        let ms = Duration::from_millis;
        let mut now = ms(1000);
        let mut circuit = Circuit::after(None, now, 0.0);
        for expected in [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
            assert_eq!(circuit.until(), now + ms(expected));
            now = circuit.until();
            circuit = Circuit::after(Some(circuit), now, 0.0);
        }
        assert_eq!(circuit.lasts(now), now - ms(1000));
        for _ in 0..100 {
            circuit = Circuit::after(Some(circuit), now, 1.0);
        }
        assert_eq!(circuit.until(), now + ms(5_000));
    }
}
