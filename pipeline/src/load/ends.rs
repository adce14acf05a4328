use std::{sync::Arc, time::Instant};

use tokio::{sync::oneshot, task::JoinHandle};

use super::{LoadObserver, consumer::Ends};

/// Tells an observer where the assigned partitions end, again and again.
pub(crate) struct EndsWatch {
    /// Its end is the end of the task.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl EndsWatch {
    /// Starts, if the observer wants to know.
    pub(crate) fn start(ends: Ends, observer: Arc<dyn LoadObserver>) -> Option<Self> {
        let interval = observer.ends_interval()?;
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                ask(&ends, observer.as_ref()).await;
                if tokio::time::timeout(interval, &mut stopped).await.is_ok() {
                    return;
                }
            }
        });
        Some(Self { stop, task })
    }

    /// Waits for the question that is under way, which holds on to the consumer.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

async fn ask(ends: &Ends, observer: &dyn LoadObserver) {
    let asked_at = Instant::now();
    match ends.ask().await {
        Ok(ends) if ends.is_empty() => {}
        Ok(ends) => observer.ends(&ends, asked_at),
        // Whoever watches notices that nothing comes; the client says by itself that no broker answers.
        Err(error) => tracing::debug!(%error, "cannot ask where partitions end"),
    }
}
