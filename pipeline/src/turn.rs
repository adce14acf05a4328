//! One at a time asks, and the others need not ask what the first was told.

use std::time::Instant;

use tokio::sync::{Mutex, MutexGuard};

/// Lets one at a time ask a server. Who waits behind one that fails, for a reason that may pass, has
/// failed too: however many wait for a server that hangs, they wait for it once, and not one after the
/// other.
#[derive(Debug)]
pub(crate) struct Turn<E>(Mutex<Option<(Instant, E)>>);

/// It is one's turn for as long as one has it.
#[derive(Debug)]
pub(crate) struct Taken<'a, E>(MutexGuard<'a, Option<(Instant, E)>>);

/// Why one has failed.
pub(crate) trait Failure: Clone {
    /// Whether the same may go well later.
    fn may_pass(&self) -> bool;
}

impl<E> Default for Turn<E> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<E: Failure> Turn<E> {
    /// Waits until it is this one's turn. Cancel-safe.
    ///
    /// # Errors
    ///
    /// That of whoever had it meanwhile.
    pub(crate) async fn take(&self) -> Result<Taken<'_, E>, E> {
        let since = Instant::now();
        let last = self.0.lock().await;
        match &*last {
            Some((at, error)) if *at >= since => Err(error.clone()),
            _ => Ok(Taken(last)),
        }
    }
}

impl<E: Failure> Taken<'_, E> {
    /// Tells those who wait, unless they may fare better.
    pub(crate) fn failed(&mut self, error: &E) {
        if error.may_pass() {
            *self.0 = Some((Instant::now(), error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join;

    use super::*;
    use crate::clickhouse::ClickHouseError;

    /// What one hears who waits behind another that fails.
    async fn check(turn: &Turn<ClickHouseError>, error: ClickHouseError, is_shared: bool) {
        let mut first = turn.take().await.unwrap();
        let failing = async {
            // The other one has begun to wait by then.
            tokio::task::yield_now().await;
            first.failed(&error);
            drop(first);
        };
        let ((), second) = join(failing, turn.take()).await;
        let heard = second.err().map(|error| error.to_string());
        assert_eq!(heard, is_shared.then(|| error.to_string()));
        assert!(turn.take().await.is_ok(), "who comes later asks anew");
    }

    #[tokio::test]
    async fn a_failure_that_may_pass_is_that_of_all_who_waited() {
        let (turn, url) = (Turn::default(), String::from("u"));
        check(&turn, ClickHouseError::TimedOut { url, timeout: Duration::ZERO }, true).await;
        check(&turn, ClickHouseError::NoAddress, false).await;
    }
}
