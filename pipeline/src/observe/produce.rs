use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use arrow::array::RecordBatch;
use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use super::{
    Report,
    metrics::registry,
    server::Observed,
    status::{ProduceLine, Recent},
};
use crate::{kafka::Delivered, produce::ProduceObserver};

/// Keeps what `volley produce` does, for whoever asks.
pub struct ProduceWatch {
    rows: Counter,
    messages: Counter,
    bytes: Counter,
    inflight_bytes: Gauge,
    acknowledge_seconds: Histogram,
    registry: Registry,
    stall_after: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    is_connected: bool,
    n_inflight: u64,
    /// When something was acknowledged last, or when there came to be something in flight.
    moved_at: Option<Instant>,
}

impl State {
    fn health(&self, now: Instant, stall_after: Duration) -> Report {
        let moved_at = self.moved_at.filter(|_| self.n_inflight > 0);
        let stuck_for = moved_at.map(|at| now.saturating_duration_since(at));
        match stuck_for.filter(|stuck_for| *stuck_for >= stall_after) {
            Some(stuck_for) => Report::unacknowledged(self.n_inflight, stuck_for),
            None => Report::well(),
        }
    }

    fn sending(&mut self, now: Instant) {
        if self.n_inflight == 0 {
            self.moved_at = Some(now);
        }
        self.n_inflight += 1;
    }

    fn delivered(&mut self, now: Instant) {
        self.moved_at = Some(now);
        self.n_inflight = self.n_inflight.saturating_sub(1);
    }
}

impl ProduceWatch {
    /// A watch that was told nothing yet. Health is bad where something is in flight and nothing was
    /// acknowledged for `stall_after`.
    pub fn new(topic: &str, stall_after: Duration) -> Self {
        let mut registry = registry();
        let label = ("topic".into(), topic.to_owned().into());
        let of_topic = registry.sub_registry_with_label(label);
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            of_topic.register(format!("volley_produce_{name}"), help, counter.clone());
            counter
        };
        let rows = counter("rows", "Rows that the broker acknowledged");
        let messages = counter("messages", "Messages that the broker acknowledged");
        let bytes = counter("bytes", "Bytes of the values of those messages");
        let inflight_bytes = Gauge::default();
        let help = "Bytes of messages that are to be sent or acknowledged";
        of_topic.register("volley_produce_inflight_bytes", help, inflight_bytes.clone());
        let buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
        let acknowledge_seconds = Histogram::new(buckets);
        let help = "From handing a message over to its being acknowledged";
        let name = "volley_produce_acknowledge_seconds";
        of_topic.register(name, help, acknowledge_seconds.clone());
        Self {
            rows,
            messages,
            bytes,
            inflight_bytes,
            acknowledge_seconds,
            registry,
            stall_after,
            state: Mutex::default(),
        }
    }

    /// The line of status, which is made anew each time.
    pub(crate) fn status_line(self: Arc<Self>) -> impl FnMut() -> String + Send {
        let mut recent = Recent::default();
        move || {
            let n_rows = self.rows.get();
            let rate = recent.rate(Instant::now(), n_rows);
            let n_inflight_bytes = self.inflight_bytes.get().max(0).unsigned_abs();
            ProduceLine { rate, n_rows, n_inflight_bytes }.to_string()
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ProduceWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProduceWatch").finish_non_exhaustive()
    }
}

impl Observed for ProduceWatch {
    fn metrics(&self) -> Result<String, fmt::Error> {
        let mut written = String::new();
        text::encode(&mut written, &self.registry)?;
        Ok(written)
    }

    fn health(&self) -> Report {
        self.lock().health(Instant::now(), self.stall_after)
    }

    fn readiness(&self) -> Report {
        if self.lock().is_connected { Report::well() } else { Report::no_broker_yet() }
    }
}

impl ProduceObserver for ProduceWatch {
    fn connected(&self) {
        self.lock().is_connected = true;
    }

    fn sending(&self, _: u64, _: &RecordBatch, n_bytes: usize) {
        self.inflight_bytes.inc_by(n_bytes as i64);
        self.lock().sending(Instant::now());
    }

    fn delivered(&self, _: u64, message: Delivered) {
        self.rows.inc_by(message.n_rows as u64);
        self.messages.inc();
        self.bytes.inc_by(message.n_bytes as u64);
        self.inflight_bytes.dec_by(message.n_bytes as i64);
        self.acknowledge_seconds.observe(message.took.as_secs_f64());
        self.lock().delivered(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_is_bad_where_nothing_is_acknowledged() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut state = State::default();
        let mut check = |seconds, expected: Result<(), &str>, then: fn(&mut State, Instant)| {
            let report = state.health(at(seconds), Duration::from_secs(60));
            assert_eq!(report.reason.as_deref().map_or(Ok(()), Err), expected, "at {seconds}");
            then(&mut state, at(seconds));
        };
        check(500, Ok(()), State::sending);
        check(559, Ok(()), State::sending);
        let reason = "2 messages are in flight, and none was acknowledged for 60.0 s";
        check(560, Err(reason), State::delivered);
        let reason = "1 message is in flight, and none was acknowledged for 60.0 s";
        check(620, Err(reason), State::delivered);
        check(900, Ok(()), State::sending);
        check(901, Ok(()), |_, _| {});
    }

    #[test]
    fn what_is_in_flight_is_what_was_sent_and_not_acknowledged() {
        let watch = ProduceWatch::new("t", Duration::from_secs(60));
        assert!(!watch.readiness().ok);
        watch.connected();
        assert!(watch.readiness().ok);
        let batch = RecordBatch::new_empty(arrow::datatypes::Schema::empty().into());
        watch.sending(0, &batch, 700);
        watch.sending(1, &batch, 300);
        let took = Duration::from_millis(3);
        watch.delivered(0, Delivered { partition: 0, offset: 0, n_rows: 5, n_bytes: 700, took });
        let metrics = watch.metrics().unwrap();
        for line in [
            "volley_produce_rows_total{topic=\"t\"} 5",
            "volley_produce_messages_total{topic=\"t\"} 1",
            "volley_produce_bytes_total{topic=\"t\"} 700",
            "volley_produce_inflight_bytes{topic=\"t\"} 300",
            "volley_produce_acknowledge_seconds_count{topic=\"t\"} 1",
            "volley_produce_acknowledge_seconds_bucket{topic=\"t\",le=\"0.0025\"} 0",
        ] {
            assert!(metrics.contains(line), "{line} is not in {metrics}");
        }
    }
}
