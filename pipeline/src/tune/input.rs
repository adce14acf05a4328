use std::{
    ffi::OsString,
    fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use arrow::array::RecordBatch;
use volley_core::{
    batcher::RowBuilder as _,
    decode::{DecodeError, Decoder},
    head::head,
    headers::{TimeRange, time_column},
    host::{HostBuilder, MetricSet},
    layout,
};

use super::TuneError;
use crate::{
    kafka::{FetchError, Fetcher, KafkaOptions, MessageAddress},
    shutdown::Shutdown,
    source::{HostOptions, HostSource, Pulled, Source, SyntheticOptions, SyntheticSource},
};

/// Rows of a sample where nobody says how many: enough for batches of 50,000.
const DEFAULT_ROWS: usize = 100_000;

/// The same of this machine, which has to be watched for each.
const DEFAULT_HOST_ROWS: usize = 1000;

/// Most bytes of a sample in memory.
const MAX_SAMPLE_BYTES: usize = 256 << 20;

/// Part of the budget that is for reading.
const READING_SHARE: u32 = 4;

/// What starting to watch this machine takes.
const STARTING: Duration = Duration::from_millis(250);

/// Bytes of a file that are read first; then as many again, while they hold too few rows.
const FIRST_READ: u64 = 16 << 20;

/// Rows that are made before their bytes are counted.
const CHUNK_ROWS: usize = 1 << 16;

/// Time of the first made-up row, so that equal seeds give equal sizes.
const SYNTHETIC_START_US: i64 = 1_700_000_000_000_000;

/// Where the rows come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// An Arrow IPC file.
    File(PathBuf),
    /// The newest messages of a topic, or of one partition of it.
    Topic(TopicAddress),
    /// This machine.
    Host,
    /// A made-up machine.
    Synthetic,
}

/// A topic: `kafka://HOST:PORT/TOPIC[/PARTITION]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicAddress {
    /// Bootstrap addresses, with commas between.
    pub brokers: String,
    /// The topic.
    pub topic: String,
    /// Its partition; all of them if `None`.
    pub partition: Option<i32>,
}

/// A text begins like the address of a topic and is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; expected kafka://HOST:PORT/TOPIC or kafka://HOST:PORT/TOPIC/PARTITION")]
pub struct ParseTopicError {
    reason: String,
}

impl Input {
    /// Reads what a user writes. A file called `host` is `./host`.
    ///
    /// # Errors
    ///
    /// [`ParseTopicError`].
    pub fn parse(text: OsString) -> Result<Self, ParseTopicError> {
        match text.to_str() {
            Some("host") => Ok(Self::Host),
            Some("synthetic") => Ok(Self::Synthetic),
            Some(text) if text.starts_with("kafka:") => parse_topic(text).map(Self::Topic),
            _ => Ok(Self::File(text.into())),
        }
    }
}

fn parse_topic(text: &str) -> Result<TopicAddress, ParseTopicError> {
    let has_partition = text.matches('/').count() > 3;
    let rest = if has_partition { "/earliest" } else { "/0/earliest" };
    let address = format!("{text}{rest}").parse::<MessageAddress>().map_err(|error| {
        let reason = error.to_string();
        ParseTopicError { reason: reason.split("; expected").next().unwrap_or_default().to_owned() }
    })?;
    let MessageAddress { brokers, topic, partition, .. } = address;
    Ok(TopicAddress { brokers, topic, partition: has_partition.then_some(partition) })
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(&path.to_string_lossy().escape_debug().to_string()),
            Self::Topic(TopicAddress { brokers, topic, partition }) => {
                write!(f, "kafka://{brokers}/{topic}")?;
                partition.map_or(Ok(()), |partition| write!(f, "/{partition}"))
            }
            Self::Host => f.write_str("this machine"),
            Self::Synthetic => f.write_str("a made-up machine"),
        }
    }
}

/// What to read, and how much of it.
#[derive(Clone, Debug)]
pub struct InputOptions {
    /// At least one; several are files.
    pub inputs: Vec<Input>,
    /// Most rows.
    pub n_rows: Option<usize>,
    /// Columns of this machine and of a made-up one.
    pub metrics: MetricSet,
    /// How to reach a broker, whose addresses are in the input.
    pub kafka: KafkaOptions,
    /// Limits of payloads.
    pub limits: layout::Options,
}

/// Rows, and what is known of them.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) batches: Vec<RecordBatch>,
    /// Rows a second of one batch, told by its time column: the median of all batches.
    pub(super) rate: Option<f64>,
    /// What a reader of the results should know.
    pub(super) notes: Vec<String>,
}

/// Reads the rows, in a quarter of `budget` at most: what there is by then is the sample.
pub(super) fn gather(
    options: &InputOptions,
    budget: Duration,
    shutdown: &Shutdown,
) -> Result<Gathered, TuneError> {
    let is_host = options.inputs.contains(&Input::Host);
    let n_rows = options.n_rows.unwrap_or(if is_host { DEFAULT_HOST_ROWS } else { DEFAULT_ROWS });
    let mut gathering = Gathering {
        gathered: Gathered::default(),
        decoder: Decoder::new(options.limits.clone()),
        deadline: Instant::now() + budget / READING_SHARE,
        is_cut: false,
        n_wanted: n_rows,
        n_bytes: 0,
        rates: Vec::new(),
        n_other: 0,
        unread: None,
    };
    for input in &options.inputs {
        match input {
            Input::File(path) => gathering.file(input, path, &options.limits)?,
            Input::Topic(address) => gathering.topic(input, address, options)?,
            Input::Host => gathering.host(options.metrics, shutdown)?,
            Input::Synthetic => {
                let synthetic = SyntheticOptions {
                    seed: 1,
                    // A message has one device.
                    n_devices: 1,
                    n_rows: Some(gathering.n_wanted as u64),
                    rate: None,
                    start_us: SYNTHETIC_START_US,
                };
                let mut source = SyntheticSource::new(synthetic, shutdown.clone());
                gathering.pull(&mut source, options.metrics);
            }
        }
    }
    gathering.finish()
}

struct Gathering {
    gathered: Gathered,
    decoder: Decoder,
    /// When reading ends.
    deadline: Instant,
    /// Whether that came before the rows were there.
    is_cut: bool,
    /// Rows that are still to come.
    n_wanted: usize,
    n_bytes: usize,
    rates: Vec<f64>,
    /// Batches of other schemas than the first.
    n_other: usize,
    /// Messages that are no payload, and why the first is not.
    unread: Option<(usize, DecodeError)>,
}

impl Gathering {
    fn is_full(&self) -> bool {
        self.n_wanted == 0 || self.n_bytes >= MAX_SAMPLE_BYTES
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn note(&mut self, note: String) {
        self.gathered.notes.push(note);
    }

    fn extend(&mut self, batches: Vec<RecordBatch>) {
        for batch in batches {
            let first = self.gathered.batches.first().map(RecordBatch::schema_ref);
            if first.is_some_and(|first| first.fields() != batch.schema_ref().fields()) {
                self.n_other += 1;
                continue;
            }
            if batch.num_rows() == 0 || self.is_full() {
                continue;
            }
            self.rates.extend(rate_of(&batch));
            let batch = batch.slice(0, batch.num_rows().min(self.n_wanted));
            self.n_wanted -= batch.num_rows();
            self.n_bytes += batch.get_array_memory_size();
            self.gathered.batches.push(batch);
        }
    }

    /// The first rows of a file, of which no more is read than they take.
    fn file(
        &mut self,
        input: &Input,
        path: &Path,
        limits: &layout::Options,
    ) -> Result<(), TuneError> {
        let unread = |source| TuneError::File { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(unread)?;
        let mut bytes = Vec::new();
        let mut n_next = FIRST_READ;
        let is_whole = loop {
            let n_read = file.by_ref().take(n_next).read_to_end(&mut bytes).map_err(unread)?;
            if (n_read as u64) < n_next {
                break true;
            }
            n_next = bytes.len() as u64;
            let (layout, _) = layout::walk(&bytes, limits);
            let has_enough = layout.rows() >= self.n_wanted as u64;
            if has_enough || n_next >= limits.max_raw_bytes || self.is_late() {
                break false;
            }
        };
        let head = head(&bytes, limits, self.n_wanted);
        let n_found = head.n_rows();
        self.extend(head.batches);
        match head.stopped {
            // Read as far as there was time, or room.
            Some(_) if !is_whole && self.is_late() => {
                self.is_cut = true;
                Ok(())
            }
            Some(_) if !is_whole && n_found > 0 => {
                self.note(format!("of {input} the first {} MiB were read", bytes.len() >> 20));
                Ok(())
            }
            Some(source) => Err(TuneError::Payload { input: input.to_string(), source }),
            None => Ok(()),
        }
    }

    /// Watches this machine, so often that its rows are there in time.
    fn host(&mut self, metrics: MetricSet, shutdown: &Shutdown) -> Result<(), TuneError> {
        let n_rows = self.n_wanted;
        let left = self.deadline.saturating_duration_since(Instant::now());
        // Some samples are late.
        let watching = left.saturating_sub(STARTING).mul_f64(0.9);
        let interval = watching / u32::try_from(n_rows).unwrap_or(u32::MAX).max(1);
        let host = HostOptions { device: None, metrics, interval, n_rows: Some(n_rows as u64) };
        let mut source = HostSource::start(host, shutdown.clone())?;
        let began = Instant::now();
        self.pull(&mut source, metrics);
        let n_read = (n_rows - self.n_wanted).max(1);
        self.note(format!(
            "this machine was sampled every {:.1} ms: its values change more from sample to sample at \
             longer intervals, which takes more bytes",
            began.elapsed().as_secs_f64() * 1e3 / n_read as f64
        ));
        Ok(())
    }

    /// The newest messages: as many as should hold the rows, judged by the last one.
    fn topic(
        &mut self,
        input: &Input,
        address: &TopicAddress,
        options: &InputOptions,
    ) -> Result<(), TuneError> {
        let unread = |source: FetchError| TuneError::Topic {
            input: input.to_string(),
            source: Box::new(source),
        };
        let kafka = KafkaOptions { brokers: address.brokers.clone(), ..options.kafka.clone() };
        let fetcher = Fetcher::connect(kafka).map_err(unread)?;
        let partitions = match address.partition {
            Some(partition) => vec![partition],
            None => (0..fetcher.n_partitions(&address.topic).map_err(unread)? as i32).collect(),
        };
        let (n_wanted, deadline) = (self.n_wanted, self.deadline);
        for (i, &partition) in partitions.iter().enumerate() {
            // Each partition gives its share, and the last ones what others could not.
            let left = partitions.len() - i;
            let mut share = self.n_wanted.div_ceil(left);
            let mut n_messages = 1;
            let mut rows_per_message = 0;
            fetcher
                .newest(&address.topic, partition, 1, deadline, &mut |message| {
                    let batches = self.decoder.decode(message.value.as_deref().unwrap_or_default());
                    rows_per_message = batches
                        .map_or(0, |batches| batches.iter().map(RecordBatch::num_rows).sum());
                    false
                })
                .map_err(unread)?;
            n_messages = share.div_ceil(rows_per_message.max(1)).max(n_messages);
            fetcher
                .newest(&address.topic, partition, n_messages, deadline, &mut |message| {
                    let Some(value) = message.value else { return true };
                    let before = self.n_wanted;
                    match self.decoder.decode(&value) {
                        Ok(batches) => self.extend(batches),
                        Err(error) => self.unread.get_or_insert((0, error)).0 += 1,
                    }
                    share = share.saturating_sub(before - self.n_wanted);
                    share > 0 && !self.is_full()
                })
                .map_err(unread)?;
        }
        self.is_cut |= self.n_wanted > 0 && self.is_late();
        if self.n_wanted == n_wanted
            && let Some((_, source)) = self.unread.take()
        {
            return Err(TuneError::Payload { input: input.to_string(), source });
        }
        Ok(())
    }

    fn pull(&mut self, source: &mut dyn Source, metrics: MetricSet) {
        let mut rows = Vec::new();
        let mut pulled = Pulled::Rows;
        while pulled == Pulled::Rows && !self.is_full() {
            let capacity = self.n_wanted.min(CHUNK_ROWS);
            let mut builder = HostBuilder::new(metrics, capacity);
            let mut n_built = 0;
            while pulled == Pulled::Rows && n_built < capacity && !self.is_late() {
                pulled = source.pull(&mut rows, Some(self.deadline));
                n_built += rows.len();
                rows.drain(..).for_each(|row| builder.append(&row));
            }
            self.extend(vec![builder.finish()]);
            if self.n_wanted > 0 && self.is_late() {
                pulled = Pulled::Deadline;
                self.is_cut = true;
            }
        }
        // Their times are not those of rows that are sent.
        self.rates.clear();
    }

    fn finish(mut self) -> Result<Gathered, TuneError> {
        if let Some((n_unread, error)) = self.unread.take() {
            self.note(format!("{n_unread} messages are no payload and were left out: {error}"));
        }
        if self.n_other > 0 {
            self.note(format!("{} batches of other schemas were left out", self.n_other));
        }
        if self.n_bytes >= MAX_SAMPLE_BYTES {
            self.note(format!("the sample ends at {} MiB of memory", MAX_SAMPLE_BYTES >> 20));
        }
        if self.gathered.batches.is_empty() {
            return Err(if self.is_cut { TuneError::NoTime } else { TuneError::NoRows });
        }
        if self.is_cut {
            let n_rows: usize = self.gathered.batches.iter().map(RecordBatch::num_rows).sum();
            self.note(format!(
                "reading ended after a quarter of --budget, with {n_rows} of {} rows",
                n_rows + self.n_wanted
            ));
        }
        self.rates.sort_by(f64::total_cmp);
        self.gathered.rate = self.rates.get(self.rates.len() / 2).copied();
        Ok(self.gathered)
    }
}

/// Rows a second, by the time column.
fn rate_of(batch: &RecordBatch) -> Option<f64> {
    let range = TimeRange::of(batch.column(time_column(batch.schema_ref())?))?;
    let span = range.max_us.checked_sub(range.min_us).filter(|span| *span > 0)?;
    Some((batch.num_rows() - 1) as f64 / (span as f64 / 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_files_unless_they_say_otherwise() {
        let parse = |text: &str| Input::parse(text.into()).map_err(|error| error.to_string());
        assert_eq!((parse("host"), parse("synthetic")), (Ok(Input::Host), Ok(Input::Synthetic)));
        for file in ["./host", "a.arrow", "http://x"] {
            assert_eq!(parse(file), Ok(Input::File(file.into())));
        }
        for (text, partition) in [("kafka://a:1,b/t", None), ("kafka://a:1,b/t/3", Some(3))] {
            let Ok(Input::Topic(topic)) = parse(text) else { panic!("{text}") };
            assert_eq!(
                (&*topic.brokers, &*topic.topic, topic.partition),
                ("a:1,b", "t", partition)
            );
            assert_eq!(Input::Topic(topic).to_string(), text);
        }
        for (text, reason) in [
            ("kafka:x", "not a kafka address"),
            ("kafka://b", "a part is missing"),
            ("kafka://b/t/x", "the partition is not a number"),
            ("kafka://b/t/0/9", "the offset is no number"),
            ("kafka://u:p@b/t", "leave the user out"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.starts_with(reason) && error.contains("expected kafka://HOST"),
                "{error}"
            );
        }
    }
}
