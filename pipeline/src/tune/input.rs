use std::{
    ffi::OsString,
    fmt, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use arrow::array::RecordBatch;
use volley_core::{
    batcher::RowBuilder as _,
    decode::{DecodeError, Decoder},
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

/// Part of the budget that this machine is watched for.
const WATCHING: u32 = 4;

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

/// Reads the rows. Takes up to a quarter of `budget` for this machine, whose rows come in time.
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
        n_wanted: n_rows,
        n_bytes: 0,
        rates: Vec::new(),
        n_other: 0,
        unread: None,
    };
    for input in &options.inputs {
        match input {
            Input::File(path) => {
                let unread = |source| TuneError::File { path: path.clone(), source };
                let bytes = fs::read(path).map_err(unread)?;
                let batches = gathering.decoder.decode(&bytes);
                let damaged = |source| TuneError::Payload { input: input.to_string(), source };
                gathering.extend(batches.map_err(damaged)?);
            }
            Input::Topic(address) => gathering.topic(input, address, options, budget)?,
            Input::Host => {
                let interval = budget / WATCHING / u32::try_from(n_rows).unwrap_or(u32::MAX);
                let host = HostOptions {
                    device: None,
                    metrics: options.metrics,
                    interval,
                    n_rows: Some(n_rows as u64),
                };
                gathering.pull(&mut HostSource::start(host, shutdown.clone())?, options.metrics);
                gathering.gathered.notes.push(format!(
                    "this machine was sampled every {:.1} ms: its values change more from sample to \
                     sample at longer intervals, which takes more bytes",
                    interval.as_secs_f64() * 1e3
                ));
            }
            Input::Synthetic => {
                let synthetic = SyntheticOptions {
                    seed: 1,
                    // A message has one device.
                    n_devices: 1,
                    n_rows: Some(n_rows as u64),
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

    /// The newest messages: as many as should hold the rows, judged by the last one.
    fn topic(
        &mut self,
        input: &Input,
        address: &TopicAddress,
        options: &InputOptions,
        budget: Duration,
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
        let deadline = Instant::now() + budget / WATCHING;
        let n_wanted = self.n_wanted;
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
        if self.n_wanted == n_wanted
            && let Some((_, source)) = self.unread.take()
        {
            return Err(TuneError::Payload { input: input.to_string(), source });
        }
        Ok(())
    }

    fn pull(&mut self, source: &mut dyn Source, metrics: MetricSet) {
        let mut builder = HostBuilder::new(metrics, self.n_wanted.min(1 << 16));
        let mut rows = Vec::new();
        loop {
            let pulled = source.pull(&mut rows, None);
            rows.drain(..).for_each(|row| builder.append(&row));
            if pulled == Pulled::End {
                break;
            }
        }
        self.extend(vec![builder.finish()]);
        // Their times are not those of rows that are sent.
        self.rates.clear();
    }

    fn finish(mut self) -> Result<Gathered, TuneError> {
        if let Some((n_unread, error)) = self.unread {
            self.gathered
                .notes
                .push(format!("{n_unread} messages are no payload and were left out: {error}"));
        }
        if self.n_other > 0 {
            let n_other = self.n_other;
            self.gathered.notes.push(format!("{n_other} batches of other schemas were left out"));
        }
        if self.n_bytes >= MAX_SAMPLE_BYTES {
            let mib = MAX_SAMPLE_BYTES >> 20;
            self.gathered.notes.push(format!("the sample ends at {mib} MiB of memory"));
        }
        if self.gathered.batches.is_empty() {
            return Err(TuneError::NoRows);
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
