use std::time::{Duration, Instant};

use serde::Serialize;

use super::{
    DlqError, Filter, Letter, Progress, Reader, Selection, letter::Original, outbox::Outbox,
};
use crate::kafka::KafkaOptions;

/// A batch ends with so many letters, so many bytes, or after so long, whichever comes first.
const BATCH_LETTERS: usize = 500;
const BATCH_BYTES: usize = 16 << 20;
const BATCH_AGE: Duration = Duration::from_secs(10);

/// Which letters to send where.
#[derive(Clone, Debug)]
pub(crate) struct ReplayOptions {
    pub(crate) kafka: KafkaOptions,
    /// The topic that was loaded: without `to`, only letters from there are sent.
    pub(crate) topic: String,
    /// Another topic for them.
    pub(crate) to: Option<String>,
    pub(crate) filter: Filter,
    /// Only says what would be sent.
    pub(crate) is_dry: bool,
}

/// What became of the letters that the filter takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ReplaySummary {
    /// Sent, and known to have been; of a dry run, those that would be.
    pub(crate) replayed: u64,
    /// Bytes of their values.
    pub(crate) bytes: u64,
    /// Not sent, because they were before.
    pub(crate) replayed_before: u64,
    /// Not sent, because they do not come from the topic.
    pub(crate) elsewhere: u64,
    /// Not sent, because the run was stopped.
    pub(crate) left: u64,
    /// Where they went.
    pub(crate) to: String,
    pub(crate) dry_run: bool,
}

/// Sends letters, as they were before they became letters and with one header more, and tells
/// `sent` of each. Blocks until all are sent or the reader is stopped; then those that were read are
/// still sent.
///
/// # Errors
///
/// [`DlqError`]. What a batch before it has sent is sent, and known to have been.
pub(crate) fn replay(
    options: &ReplayOptions,
    reader: &Reader,
    progress: &mut dyn Progress,
    mut sent: impl FnMut(&Letter),
) -> Result<ReplaySummary, DlqError> {
    let to = options.to.clone().unwrap_or_else(|| options.topic.clone());
    let mut summary = ReplaySummary { to, dry_run: options.is_dry, ..ReplaySummary::default() };
    // Before what was replayed is read: it ends any other replay, and undoes what that has begun.
    let mut outbox = if options.is_dry {
        None
    } else {
        Some(Outbox::open(&options.kafka, reader.topic(), &summary.to)?)
    };
    let selection = Selection::make(reader, &options.filter, progress)?;
    if !options.filter.with_replayed {
        summary.replayed_before = selection.found.n_replayed;
    }
    let mut batch = Batch::default();
    selection.read(reader, progress, |letter, _, message| {
        let origin = letter.origin.as_ref();
        let is_ours = origin.is_some_and(|origin| origin.topic == options.topic);
        if options.to.is_none() && !is_ours {
            summary.elsewhere += 1;
            return Ok::<(), DlqError>(());
        }
        let mut original = Original::of(message);
        original.mark(reader.topic(), letter.id);
        if let Some(outbox) = &mut outbox {
            // Partitions of another topic mean something else.
            let partition = if options.to.is_none() { origin.map(|o| o.partition) } else { None };
            outbox.put(letter.id, partition, &original)?;
        }
        sent(&letter);
        batch.add(letter.bytes.unwrap_or(0));
        if batch.is_full() {
            batch.end(outbox.as_mut(), &mut summary)?;
        }
        Ok(())
    })?;
    batch.end(outbox.as_mut(), &mut summary)?;
    summary.left = (selection.len() as u64).saturating_sub(summary.replayed + summary.elsewhere);
    Ok(summary)
}

/// What goes together.
#[derive(Default)]
struct Batch {
    n_letters: usize,
    n_bytes: usize,
    since: Option<Instant>,
}

impl Batch {
    fn add(&mut self, n_bytes: usize) {
        self.n_letters += 1;
        self.n_bytes += n_bytes;
        self.since.get_or_insert_with(Instant::now);
    }

    fn is_full(&self) -> bool {
        self.n_letters >= BATCH_LETTERS
            || self.n_bytes >= BATCH_BYTES
            || self.since.is_some_and(|since| since.elapsed() >= BATCH_AGE)
    }

    fn end(
        &mut self,
        outbox: Option<&mut Outbox>,
        summary: &mut ReplaySummary,
    ) -> Result<(), DlqError> {
        if let Some(outbox) = outbox {
            outbox.commit()?;
        }
        summary.replayed += self.n_letters as u64;
        summary.bytes += self.n_bytes as u64;
        *self = Self::default();
        Ok(())
    }
}
