//! Which partitions are ours, and what their owners before have begun.

use std::{collections::HashSet, time::Instant};

use super::{
    super::{
        Delivery, LoadError,
        consumer::{Assignment, Consumer},
        intent::Intent,
        timeouts::{COMMIT_PAUSE, handover_timeout},
    },
    Loading,
};
use crate::{human::Causes, shutdown::Shutdown};

/// Partitions that the group takes from this member.
pub(super) struct Leaving {
    pub(super) partitions: HashSet<i32>,
    /// When they are given up, whatever is under way.
    pub(super) until: Instant,
}

impl Loading {
    pub(super) async fn reassign(
        &mut self,
        consumer: &Consumer,
        shutdown: &Shutdown,
    ) -> Result<(), LoadError> {
        for change in consumer.take_changes() {
            match change {
                Assignment::Gained(partitions) => {
                    tracing::info!(partitions = partitions.len(), "partitions assigned");
                    if !self.resume_blocks(consumer, &partitions, shutdown).await? {
                        // Without knowing what was begun, nothing of them may be inserted.
                        continue;
                    }
                    self.lanes.gain(&partitions);
                    self.is_assigned = true;
                    // New partitions are fetched, whatever was held of them before.
                    self.held.retain(|partition| !partitions.contains(partition));
                    self.observer.assigned(&partitions);
                }
                Assignment::Lost(partitions) => self.lose(&partitions),
                Assignment::Leaving(partitions) => self.leave(partitions),
            }
            self.last_activity = Instant::now();
        }
        Ok(())
    }

    fn lose(&mut self, partitions: &HashSet<i32>) {
        tracing::info!(partitions = partitions.len(), "partitions given up");
        self.held.retain(|partition| !partitions.contains(partition));
        self.n_inflight_bytes -= self.planner.forget(partitions);
        self.n_inflight_bytes -= self.lanes.lose(partitions);
        self.observer.lost(partitions);
    }

    /// Takes nothing more of partitions, and gives up what is not under way yet: the next owner begins
    /// where this one ends. The group asks for no others before it has got these.
    fn leave(&mut self, partitions: HashSet<i32>) {
        self.n_inflight_bytes -= self.planner.forget(&partitions);
        self.n_inflight_bytes -= self.lanes.leave(&partitions);
        let until = Instant::now() + handover_timeout(&self.options.kafka);
        self.leaving = Some(Leaving { partitions, until });
    }

    /// Gives partitions to the group, once what was under way there is stored and committed, or has taken
    /// too long: then the next owner repeats it, under the same token.
    pub(super) fn hand_over(&mut self, consumer: &Consumer) {
        let is_due = |leaving: &mut Leaving| {
            self.lanes.are_settled(&leaving.partitions) || leaving.until <= Instant::now()
        };
        if let Some(Leaving { partitions, .. }) = self.leaving.take_if(is_due) {
            self.lose(&partitions);
            if let Err(error) = consumer.give(&partitions) {
                tracing::warn!(%error, "cannot give up partitions; the group takes them");
            }
        }
    }

    /// Whether nothing more of a partition is taken.
    pub(super) fn is_leaving(&self, partition: i32) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.partitions.contains(&partition))
    }

    /// Gives up what was lost with the last thing that was read, and takes nothing new. What the group
    /// takes it gets, without waiting.
    pub(super) fn end_assignment(&mut self, consumer: &Consumer) {
        for change in consumer.take_changes() {
            match change {
                Assignment::Gained(_) => {}
                Assignment::Lost(partitions) => self.lose(&partitions),
                Assignment::Leaving(partitions) => self.leave(partitions),
            }
        }
        if let Some(leaving) = &mut self.leaving {
            leaving.until = Instant::now();
        }
        self.hand_over(consumer);
    }

    /// Makes the first block of each partition the one that its owner before was about to insert.
    /// `false` where the run is to end before that is known.
    async fn resume_blocks(
        &mut self,
        consumer: &Consumer,
        partitions: &HashSet<i32>,
        shutdown: &Shutdown,
    ) -> Result<bool, LoadError> {
        if self.options.delivery == Delivery::AtLeastOnce {
            return Ok(true);
        }
        let committed = loop {
            let error = match consumer.committed(partitions).await {
                Ok(committed) => break committed,
                Err(error) => error,
            };
            tracing::warn!(
                "cannot read what the group has committed; trying again: {}",
                Causes(&error)
            );
            tokio::select! {
                () = shutdown.requested() => return Ok(false),
                () = tokio::time::sleep(COMMIT_PAUSE) => {}
            }
        };
        for (partition, offset, metadata) in committed {
            let topic = || self.options.topic.clone();
            let intent = Intent::parse(offset, &metadata).map_err(|source| LoadError::Intent {
                topic: topic(),
                partition,
                offset,
                source,
            })?;
            self.observer.resumed(partition, offset);
            if let Some(intent) = intent {
                let Intent { first, last, .. } = intent;
                tracing::info!(partition, first, last, "repeating the insert that was begun");
                self.planner.resume(partition, intent);
            }
        }
        Ok(true)
    }
}
