use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Serialize;
use tokio::sync::Notify;

/// What happens between those who bring and one who takes: the newest are kept, and what had to go is
/// counted.
#[derive(Debug)]
pub(super) struct Ring<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    more: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    seen: u64,
    dropped: u64,
}

/// What has come since the last time.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Taken<T> {
    /// Oldest first.
    pub(super) messages: Vec<T>,
    /// How many have ever come.
    pub(super) seen: u64,
    /// How many of them were dropped before they could be taken.
    pub(super) dropped: u64,
}

impl<T> Ring<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State { waiting: VecDeque::with_capacity(capacity), seen: 0, dropped: 0 };
        Self { capacity, state: Mutex::new(state), more: Notify::new() }
    }

    /// Never waits: where it is full, the oldest goes.
    pub(super) fn push(&self, item: T) {
        let mut state = self.lock();
        state.seen += 1;
        if state.waiting.len() == self.capacity {
            state.waiting.pop_front();
            state.dropped += 1;
        }
        state.waiting.push_back(item);
        drop(state);
        self.more.notify_one();
    }

    /// Up to `max` of the oldest.
    pub(super) fn take(&self, max: usize) -> Taken<T> {
        let mut state = self.lock();
        let n = state.waiting.len().min(max);
        let messages = state.waiting.drain(..n).collect();
        if !state.waiting.is_empty() {
            self.more.notify_one();
        }
        Taken { messages, seen: state.seen, dropped: state.dropped }
    }

    /// Ends when something was pushed, or left, since the last time. Cancel-safe.
    pub(super) async fn more(&self) {
        self.more.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_are_kept_and_the_rest_are_counted() {
        let ring = Ring::new(3);
        for n in 0..10 {
            ring.push(n);
        }
        ring.more().await;
        assert_eq!(ring.take(2), Taken { messages: vec![7, 8], seen: 10, dropped: 7 });
        // What is left is announced again.
        ring.more().await;
        assert_eq!(ring.take(2), Taken { messages: vec![9], seen: 10, dropped: 7 });
        assert_eq!(ring.take(2), Taken { messages: vec![], seen: 10, dropped: 7 });
    }
}
