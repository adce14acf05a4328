use std::time::Instant;

use tokio::sync::{Mutex, MutexGuard};

use super::{ClickHouseError, ErrorKind};

/// Lets one at a time ask a server, so that the others need not ask what the first was told. Who waits
/// behind one that fails, for a reason that may pass, has failed too: however many wait for a server that
/// hangs, they wait for it once, and not one after the other.
#[derive(Debug, Default)]
pub(crate) struct Turn(Mutex<Option<Failure>>);

/// When somebody has failed last, and how.
type Failure = (Instant, ClickHouseError);

/// It is one's turn for as long as one has it.
#[derive(Debug)]
pub(crate) struct Taken<'a>(MutexGuard<'a, Option<Failure>>);

impl Turn {
    /// Waits until it is this one's turn. Cancel-safe.
    ///
    /// # Errors
    ///
    /// That of whoever had it meanwhile.
    pub(crate) async fn take(&self) -> Result<Taken<'_>, ClickHouseError> {
        let since = Instant::now();
        let last = self.0.lock().await;
        match &*last {
            Some((at, error)) if *at >= since => Err(error.clone()),
            _ => Ok(Taken(last)),
        }
    }
}

impl Taken<'_> {
    /// Tells those who wait, unless they may fare better.
    pub(crate) fn failed(&mut self, error: &ClickHouseError) {
        if error.kind() == ErrorKind::Transient {
            *self.0 = Some((Instant::now(), error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join;

    use super::*;

    /// What one hears who waits behind another that fails.
    async fn check(turn: &Turn, error: ClickHouseError, is_shared: bool) {
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
