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
    /// Takes note of every change since the last time, also where one of them ends the run.
    pub(super) async fn reassign(
        &mut self,
        consumer: &Consumer,
        shutdown: &Shutdown,
    ) -> Result<(), LoadError> {
        let mut result = Ok(());
        for change in consumer.take_changes() {
            match change {
                // The run ends, and takes nothing new.
                Assignment::Gained(_) if result.is_err() => {}
                Assignment::Gained(partitions) => {
                    result = self.gain(consumer, &partitions, shutdown).await;
                }
                // What is another's must not be committed while it ends, either.
                Assignment::Lost(partitions) => self.lose(&partitions),
                Assignment::Leaving(partitions) => self.leave(partitions),
            }
            self.last_activity = Instant::now();
        }
        result
    }

    async fn gain(
        &mut self,
        consumer: &Consumer,
        partitions: &HashSet<i32>,
        shutdown: &Shutdown,
    ) -> Result<(), LoadError> {
        tracing::info!(partitions = partitions.len(), "partitions assigned");
        if self.resume_blocks(consumer, partitions, shutdown).await? {
            self.lanes.gain(partitions);
            self.is_assigned = true;
            // New partitions are fetched, whatever was held of them before.
            self.held.retain(|partition| !partitions.contains(partition));
            self.observer.assigned(partitions);
        }
        // Else nothing of them may be inserted: it is not known what was begun.
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rdkafka::{
        ClientConfig, Offset, TopicPartitionList,
        consumer::{BaseConsumer, CommitMode, Consumer as _},
    };
    use volley_embedded::EmbeddedBroker;

    use super::{
        super::super::{LoadOptions, NoObserver, inserter::Inserter},
        *,
    };

    /// Another version has begun an insert of partition 0, in the same moment as partition 1 is
    /// another's.
    #[tokio::test]
    async fn what_is_lost_is_lost_also_where_the_run_ends_by_what_was_gained() {
        let broker = EmbeddedBroker::start().unwrap();
        broker.create_topic("t", 2).unwrap();
        let mut begun = TopicPartitionList::new();
        begun.add_partition_offset("t", 0, Offset::Offset(5)).unwrap();
        begun.find_partition("t", 0).unwrap().set_metadata(r#"{"volley":99}"#);
        let other: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", broker.bootstrap_servers())
            .set("group.id", "t")
            .create()
            .unwrap();
        other.commit(&begun, CommitMode::Sync).unwrap();

        let options = LoadOptions::of_test(broker.bootstrap_servers(), "t");
        let connecting = options.clone();
        let consumer = tokio::task::spawn_blocking(move || Consumer::connect(&connecting));
        let consumer = consumer.await.unwrap().unwrap();
        let inserter = Arc::new(Inserter::new(&options).unwrap());
        let mut loading = Loading::new(options, inserter, Arc::new(NoObserver));
        loading.lanes.gain(&HashSet::from([1]));
        let [gained, lost] = [0, 1].map(|partition| HashSet::from([partition]));
        consumer.change(Assignment::Gained(gained));
        consumer.change(Assignment::Lost(lost));
        let ended = loading.reassign(&consumer, &Shutdown::never()).await;
        assert!(matches!(ended, Err(LoadError::Intent { partition: 0, .. })), "{ended:?}");
        assert_eq!(loading.lanes.partitions().count(), 0);
        consumer.close().await;
    }
}
