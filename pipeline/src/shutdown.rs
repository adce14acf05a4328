//! Stopping when asked to.

use tokio::sync::watch;

/// Tells every part of a run that it should finish: flush, commit, report.
///
/// Clones share one state. A run that nobody can stop uses [`Shutdown::never`].
#[derive(Clone, Debug)]
pub struct Shutdown {
    requested: watch::Receiver<bool>,
}

/// The other end of a [`Shutdown`].
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

impl ShutdownTrigger {
    /// Asks to finish. Asking again changes nothing.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// A trigger and what it triggers.
    pub fn new() -> (ShutdownTrigger, Self) {
        let (sender, requested) = watch::channel(false);
        (ShutdownTrigger(sender), Self { requested })
    }

    /// A shutdown that is never requested.
    pub fn never() -> Self {
        Self::new().1
    }

    /// Whether it has been requested.
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Ends when it is requested. Cancel-safe.
    pub async fn requested(&self) {
        let mut requested = self.requested.clone();
        if requested.wait_for(|requested| *requested).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// A shutdown that SIGINT (Ctrl-C) or SIGTERM requests. A second one ends the process at once,
    /// with exit code 2, because the run did not finish what it began.
    ///
    /// # Errors
    ///
    /// Where the handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let (trigger, shutdown) = Self::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            for n_signals in 1.. {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if n_signals > 1 {
                    tracing::error!("stopped at once; what was in flight is not accounted for");
                    stop_now();
                }
                tracing::info!("finishing; once more to stop at once");
                trigger.request();
            }
        });
        Ok(shutdown)
    }
}

#[expect(clippy::exit, reason = "the user asked twice; destructors may be what hangs")]
fn stop_now() -> ! {
    std::process::exit(crate::exit::ExitStatus::Error as i32)
}
