use std::{
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaResult, RDKafkaErrorCode},
};

use crate::PATIENCE;

/// What a group has committed for these partitions. Asks again while the broker has no coordinator
/// for the group: the first who asks waits for the topic of offsets to be made and led.
pub fn committed_offsets(
    mut config: ClientConfig,
    group: &str,
    asked: &TopicPartitionList,
) -> KafkaResult<TopicPartitionList> {
    let consumer: BaseConsumer = config.set("group.id", group).create()?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match consumer.committed_offsets(asked.clone(), PATIENCE) {
            Err(error) if is_early(error.rdkafka_error_code()) => {
                if Instant::now() > deadline {
                    return Err(error);
                }
                thread::sleep(Duration::from_millis(100));
            }
            answer => return answer,
        }
    }
}

fn is_early(code: Option<RDKafkaErrorCode>) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    matches!(code, Some(NotCoordinator | CoordinatorNotAvailable | CoordinatorLoadInProgress))
}
