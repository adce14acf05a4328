//! The line at the bottom of a terminal that says how it goes, and the log that goes above it.

use std::{
    io::{self, Write},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError, SyncSender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// Often enough to look alive.
const INTERVAL: Duration = Duration::from_millis(200);

/// What is on the terminal now.
static SHOWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Nothing but errors may be said on standard error.
static IS_QUIET: AtomicBool = AtomicBool::new(false);

/// Shows no bar and no line for the rest of the process.
pub(crate) fn be_quiet() {
    IS_QUIET.store(true, Ordering::Relaxed);
}

/// A bar on standard error, until it is dropped; it is hidden where that is no terminal.
pub(crate) struct Shown(ProgressBar);

impl Shown {
    pub(crate) fn new(bar: ProgressBar) -> Self {
        let bar = if IS_QUIET.load(Ordering::Relaxed) { ProgressBar::hidden() } else { bar };
        *shown() = Some(bar.clone());
        Self(bar)
    }

    pub(crate) fn bar(&self) -> &ProgressBar {
        &self.0
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        *shown() = None;
        self.0.finish_and_clear();
    }
}

fn shown() -> MutexGuard<'static, Option<ProgressBar>> {
    SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line of text on a terminal, written anew until it is dropped.
pub(crate) struct StatusLine {
    /// Its end is the end of the thread.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StatusLine {
    /// Starts a thread that asks for the text again and again; `None` where nobody would see it.
    pub(crate) fn start(mut text: impl FnMut() -> String + Send + 'static) -> Option<Self> {
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let shown = Shown::new(ProgressBar::new_spinner().with_style(style));
        if shown.bar().is_hidden() {
            return None;
        }
        let (stop, stopped) = mpsc::sync_channel(0);
        let show = move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                shown.bar().set_message(text());
                shown.bar().tick();
            }
        };
        let thread = thread::Builder::new().name("volley-status".to_owned()).spawn(show).ok()?;
        Some(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there, and stops nothing here.
            let _ = thread.join();
        }
    }
}

/// Standard error, above what is shown at its bottom.
#[derive(Debug)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    /// The log hands over whole lines.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let write = || io::stderr().write_all(lines).map(|()| lines.len());
        match shown().as_ref() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
