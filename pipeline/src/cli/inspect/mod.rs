//! `volley inspect`: what a payload is made of, and what is wrong with it.

mod cells;
mod diagnostics;
pub(super) mod diff;
mod json_rows;
mod map;
mod report;
mod rows;
mod source;
pub(super) mod table;
mod text;

use std::{
    collections::HashMap,
    io::{self, BufWriter, Write},
    num::NonZeroUsize,
    time::Duration,
};

use anyhow::Context as _;
use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser as _},
};

use self::text::percent;
pub(super) use self::text::stdout_width;
use self::{
    report::{Parts, Report},
    source::{Payload, Source},
    text::View,
};
use super::{
    args::{Format, PayloadArgs},
    kafka_properties::PropertyArgs,
    output::print_error,
};
use crate::{
    exit::ExitStatus,
    human::parse_duration,
    kafka::{FetchedMessage, Fetcher, MessageAddress},
};

const EXAMPLES: &str = "\
Examples:
  volley inspect batch.arrows                    what it holds, and what each column costs
  volley inspect --head 5 *.arrow                the same, and the first rows of each file
  volley inspect --map damaged.arrow             the same, and what each byte is for
  python job.py | volley inspect --deep -        from a pipe, with every value checked
  volley inspect kafka://localhost:9092/metrics/0/1234
                                                 one message of a topic, by partition and offset
  volley inspect --format json *.arrow | jq '{file, rows, bytes_per_row}'

Exit codes: 0 all payloads are sound, 1 at least one is damaged, 2 at least one could not be read.";

/// Look into Arrow IPC payloads: their columns, their bytes, their faults
///
/// Takes files and Kafka messages, in stream or file framing, whoever wrote them. Shows what each
/// column costs, what each byte is for, and of a damaged payload which byte is wrong and what can
/// still be read. The structure is read without decoding a row and without trusting a length.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InspectArgs {
    /// What to look into: a file; - for standard input; or one Kafka message, as
    /// kafka://HOST:PORT/TOPIC/PARTITION/OFFSET
    ///
    /// Several brokers have commas between, and the offset may be 'earliest' or 'latest'. A message
    /// is read without joining a consumer group, and its headers and checksum are held against it. A
    /// file whose name begins with kafka: is ./kafka:...
    #[arg(
        value_name = "FILE|kafka://...",
        required = true,
        value_parser = OsStringValueParser::new().try_map(Source::parse),
    )]
    sources: Vec<Source>,

    #[command(flatten)]
    show: ShowArgs,

    /// Longest wait for each answer of a broker
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = parse_duration,
        help_heading = "Limits"
    )]
    timeout: Duration,

    #[command(flatten)]
    kafka: PropertyArgs,

    /// How to print what was found
    ///
    /// JSON is one object a line with at least: file, framing, codec, rows, record_batches, bytes,
    /// columns, diagnostics; message for one from Kafka; messages and regions with --map; head with
    /// --head, and head_error where rows are missing.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
}

/// Flags of every command that shows payloads.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Show the byte map: every region in order, with its offset, length and meaning
    #[arg(long, help_heading = "Show")]
    map: bool,

    /// Show the first N rows; of a damaged payload, those before the damage
    #[arg(long, value_name = "N", help_heading = "Show")]
    head: Option<NonZeroUsize>,

    /// Decode every column too and check its values: offsets, text, keys, compressed bytes
    #[arg(long, help_heading = "Show")]
    deep: bool,

    #[command(flatten)]
    payload: PayloadArgs,
}

impl ShowArgs {
    fn parts(&self) -> Parts {
        Parts {
            limits: self.payload.limits(),
            with_map: self.map,
            head: self.head.map(NonZeroUsize::get),
            with_values: self.deep,
        }
    }

    /// Prints what one message holds.
    pub(super) fn print(
        &self,
        out: &mut dyn Write,
        format: Format,
        address: &MessageAddress,
        message: FetchedMessage,
    ) -> io::Result<()> {
        let parts = self.parts();
        let report = Report::new(Payload::of_message(address, message), &parts);
        match format {
            Format::Json => report.write_json(out),
            Format::Text => View::of_stdout(parts.limits.max_raw_bytes).print(out, &report),
        }
    }
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<ExitStatus> {
    let parts = args.show.parts();
    let mut out = BufWriter::new(anstream::stdout().lock());
    let view = View::of_stdout(parts.limits.max_raw_bytes);
    let mut brokers = Brokers::new(&args.kafka, args.timeout);
    let (mut is_damaged, mut is_unread, mut is_first) = (false, false, true);
    for source in &args.sources {
        let payload = match brokers.read(source) {
            Ok(payload) => payload,
            Err(error) => {
                print_error(&error.context(format!("cannot read {source}")));
                is_unread = true;
                continue;
            }
        };
        let report = Report::new(payload, &parts);
        is_damaged |= !report.is_sound();
        match args.format {
            Format::Json => report.write_json(&mut out)?,
            Format::Text => {
                if !is_first {
                    writeln!(out)?;
                }
                view.print(&mut out, &report)?;
            }
        }
        is_first = false;
        // What comes next may take its time, or go to standard error.
        out.flush()?;
    }
    Ok(match (is_unread, is_damaged) {
        (true, _) => ExitStatus::Error,
        (false, true) => ExitStatus::Negative,
        (false, false) => ExitStatus::Success,
    })
}

/// Clients of the clusters that were asked so far, by their addresses.
struct Brokers<'a> {
    kafka: &'a PropertyArgs,
    timeout: Duration,
    fetchers: HashMap<&'a str, Fetcher>,
}

impl<'a> Brokers<'a> {
    fn new(kafka: &'a PropertyArgs, timeout: Duration) -> Self {
        Self { kafka, timeout, fetchers: HashMap::new() }
    }

    fn read(&mut self, source: &'a Source) -> anyhow::Result<Payload> {
        let address = match source {
            Source::Stdin => return source::stdin().context("standard input"),
            Source::File(path) => return Ok(source::file(path)?),
            Source::Message(address) => address,
        };
        let fetcher = match self.fetchers.entry(&address.brokers) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let options = self.kafka.options(&address.brokers, self.timeout);
                new.insert(Fetcher::connect(options)?)
            }
        };
        Ok(Payload::of_message(address, fetcher.fetch(address)?))
    }
}
