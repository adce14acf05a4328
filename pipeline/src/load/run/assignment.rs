//! Which partitions are ours, and what their owners before have begun.

use std::{collections::HashSet, time::Instant};

use super::{
    super::{
        Delivery, LoadError,
        consumer::{Assignment, Consumer},
        intent::Intent,
    },
    Loading,
    inserts::COMMIT_PAUSE,
};
use crate::{human::Causes, shutdown::Shutdown};

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

    /// Gives up what was lost with the last thing that was read, and takes nothing new.
    pub(super) fn end_assignment(&mut self, consumer: &Consumer) {
        for change in consumer.take_changes() {
            if let Assignment::Lost(partitions) = change {
                self.lose(&partitions);
            }
        }
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
