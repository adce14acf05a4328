use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{KafkaError, NativeKafka, broker::Broker};

/// The time that a broker is away. It comes back when this is dropped.
#[derive(Debug)]
#[must_use = "the broker comes back when this is dropped"]
pub struct Outage<'a> {
    kafka: &'a NativeKafka,
    broker_idx: usize,
    is_over: bool,
    _only: MutexGuard<'a, ()>,
}

impl<'a> Outage<'a> {
    pub(super) fn new(kafka: &'a NativeKafka, broker_idx: usize, end: fn(&mut Broker)) -> Self {
        let only = lock(&kafka.outage);
        end(&mut lock(&kafka.brokers[broker_idx]));
        Self { kafka, broker_idx, is_over: false, _only: only }
    }

    /// Starts the broker on the data that it had, and waits until it is part of the cluster again.
    ///
    /// # Errors
    ///
    /// [`KafkaError`], with the end of its log.
    pub fn end(mut self) -> Result<(), KafkaError> {
        self.restart()
    }

    fn restart(&mut self) -> Result<(), KafkaError> {
        self.is_over = true;
        lock(&self.kafka.brokers[self.broker_idx]).restart(&self.kafka.cluster)
    }
}

impl Drop for Outage<'_> {
    fn drop(&mut self) {
        if !self.is_over
            && let Err(error) = self.restart()
        {
            eprintln!("broker {} stays away: {error}", self.broker_idx);
        }
    }
}

/// A test that panicked has not left anything half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
