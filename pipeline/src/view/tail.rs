use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::extract::ws::{Message, WebSocket};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
};
use serde::Serialize;
use tokio::{
    task::JoinHandle,
    time::{interval, sleep, timeout},
};

use super::{
    cluster::Cluster,
    envelope::Envelope,
    error::ApiError,
    ring::{Ring, Taken},
};
use crate::{
    human::Causes,
    kafka::{ClientLog, FetchedMessage, create},
    shutdown::Shutdown,
};

/// Envelopes that wait for a reader that is slow or has paused, 10 kB each at most.
const CAPACITY: usize = 1000;
/// Most envelopes of one answer.
const MAX_AT_ONCE: usize = 200;
/// Least time between two answers: a screen shows no more.
const INTERVAL: Duration = Duration::from_millis(50);
/// How often the counts are told where nothing else is.
const COUNTS_INTERVAL: Duration = Duration::from_secs(1);
/// How long a reader may take for one answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What comes into a topic from now on. Reads without a group, and ends when it is dropped.
pub(super) struct Tail {
    ring: Arc<Ring<Envelope>>,
    problem: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    taken: &'a Taken<Envelope>,
    /// Why nothing comes, as far as that is known.
    problem: Option<String>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tail {
    /// Begins with the next message of every partition.
    pub(super) async fn start(cluster: &Cluster, topic: String) -> Result<Self, ApiError> {
        let ends = cluster.ends(topic.clone()).await?;
        let options = cluster.options();
        let config = options.client_config(
            &[
                // librdkafka wants a name even where no group is joined.
                ("group.id", "volley-view"),
                ("isolation.level", "read_uncommitted"),
                // What is not read yet waits at the broker.
                ("queued.max.messages.kbytes", "4096"),
                ("fetch.wait.max.ms", "100"),
            ],
            &[
                ("allow.auto.create.topics", "false"),
                // What retention takes before it is read is gone.
                ("auto.offset.reset", "latest"),
                ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
            ],
        )?;
        let consumer: StreamConsumer<ClientLog> = create(options, &config, ClientLog::default())?;
        let mut assignment = TopicPartitionList::with_capacity(ends.len());
        for (partition, end) in ends {
            let added = assignment.add_partition_offset(&topic, partition, Offset::Offset(end));
            added.map_err(options.client_error("assigning partitions"))?;
        }
        let assigned = consumer.assign(&assignment);
        assigned.map_err(options.client_error("assigning partitions"))?;
        let (ring, problem) = (Arc::new(Ring::new(CAPACITY)), Arc::<Mutex<_>>::default());
        let task = tokio::spawn(read(consumer, Arc::clone(&ring), Arc::clone(&problem)));
        Ok(Self { ring, problem, task })
    }

    /// Tells a socket what comes until it closes, `pause` and `follow` stop and start it.
    pub(super) async fn tell(self, mut socket: WebSocket, shutdown: Shutdown) {
        let mut is_paused = false;
        let mut counts = interval(COUNTS_INTERVAL);
        loop {
            let max = tokio::select! {
                () = shutdown.requested() => break,
                said = socket.recv() => match said {
                    Some(Ok(Message::Text(text))) => {
                        is_paused = text.as_str() == "pause";
                        continue;
                    }
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                    // Nothing else is asked of us.
                    _ => break,
                },
                () = self.ring.more(), if !is_paused => MAX_AT_ONCE,
                _ = counts.tick() => 0,
            };
            let taken = self.ring.take(max);
            let problem = self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Ok(text) = serde_json::to_string(&Told { taken: &taken, problem }) else { break };
            tokio::select! {
                () = shutdown.requested() => break,
                sent = timeout(PATIENCE, socket.send(Message::Text(text.into()))) => {
                    if !matches!(sent, Ok(Ok(()))) {
                        break;
                    }
                }
            }
            sleep(INTERVAL).await;
        }
        // One that has gone hears nothing.
        let _ = timeout(Duration::from_secs(1), socket.send(Message::Close(None))).await;
    }
}

async fn read(
    consumer: StreamConsumer<ClientLog>,
    ring: Arc<Ring<Envelope>>,
    problem: Arc<Mutex<Option<String>>>,
) {
    let tell = |what| *problem.lock().unwrap_or_else(PoisonError::into_inner) = what;
    loop {
        match consumer.recv().await {
            Ok(message) => {
                ring.push(Envelope::of(&FetchedMessage::of(&message), message.partition()));
                tell(None);
            }
            Err(error) => {
                tell(Some(Causes(&error).to_string()));
                // Errors come as fast as they are asked for.
                sleep(INTERVAL).await;
            }
        }
    }
}
