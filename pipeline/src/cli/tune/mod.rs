//! `volley tune`: which batch size and codec suit the user's rows.

mod chart;
mod text;

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::{
    Args,
    builder::{OsStringValueParser, TypedValueParser as _},
};
use volley_core::{
    codec::{Codec, Framing},
    tune::{Goal, Objective},
};

use super::{
    args::{ClickHouseArgs, Format, Metrics, PayloadArgs},
    config,
    kafka_properties::PropertyArgs,
    output::print_result,
};
use crate::{
    exit::ExitStatus,
    human::{parse_bytes, parse_duration},
    shutdown::Shutdown,
    tune::{Input, InputOptions, TuneOptions, TuneReport, tune},
};

const EXAMPLES: &str = "\
Examples:
  volley tune --input rows.arrows               what suits the rows of a file
  volley tune --input kafka://localhost:9092/metrics --objective bytes
                                                what suits a topic, where space is dear
  volley tune --input synthetic --rate 200 --max-latency 500ms
                                                rows may wait half a second
  volley tune --input rows.arrows --write volley.toml && volley produce --config volley.toml

Objectives:
  bytes      bytes a row
  cpu        work a row: encode + decode, and insert and delivery where they are measured
  latency    time until the first row of a batch can be read: rows / rate + rows x work a row
  balanced   work a row + 8 ns x bytes a row, which is what a link of 1 Gbit/s takes for them

Of points within 2 % of the lowest, the one with the fewest rows is recommended.

Exit codes: 0 there is a recommendation, 1 no point meets the limits, 2 something failed.";

/// Find the batch size and codec that suit your rows
///
/// Encodes and decodes batches of the rows given, of many sizes and with many codecs, and recommends
/// one of each, with the reason and the flags to paste. Sizes are exact and the same in each run;
/// times are what this machine's processor works, with the interval that their median lies in. With
/// --clickhouse and --brokers the best points are tried there too, in a table and a topic that are gone
/// at the end.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TuneArgs {
    /// The rows: Arrow IPC files; the newest messages of a topic, as kafka://HOST:PORT/TOPIC or
    /// kafka://HOST:PORT/TOPIC/PARTITION; host for this machine; synthetic for a made-up one
    ///
    /// May be given several times. A file called host is ./host. This machine is watched for a
    /// quarter of the budget.
    #[arg(
        long,
        value_name = "FILE|kafka://...|host|synthetic",
        required = true,
        num_args = 1..,
        value_parser = OsStringValueParser::new().try_map(Input::parse),
        help_heading = "Rows"
    )]
    input: Vec<Input>,

    /// Rows to measure, at most [default: 100000, or 1000 of this machine]
    #[arg(long, value_name = "N", help_heading = "Rows")]
    rows: Option<NonZeroUsize>,

    /// Which columns this machine and a made-up one have
    #[arg(long, value_name = "SET", default_value = "basic", help_heading = "Rows")]
    metrics: Metrics,

    /// Rows a second that go into one batch; volley produce makes a batch for each device [default:
    /// what the time column of a file or topic says]
    #[arg(long, value_name = "N", value_parser = parse_rate, help_heading = "Rows")]
    rate: Option<f64>,

    #[command(flatten)]
    choice: ChoiceArgs,

    #[command(flatten)]
    clickhouse: ClickHouseArgs,

    /// Whether `--clickhouse` stands on the command line: variables say where a server is, not that it
    /// should be tried.
    #[arg(skip)]
    pub(super) is_clickhouse_given: bool,

    /// Addresses of the cluster to try the best points on, with commas between
    #[arg(long, value_name = "HOST:PORT", help_heading = "Kafka")]
    brokers: Option<String>,

    #[command(flatten)]
    properties: PropertyArgs,

    #[command(flatten)]
    payload: PayloadArgs,

    /// Longest time that all of it takes
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "30s",
        value_parser = parse_duration,
        help_heading = "Limits"
    )]
    budget: Duration,

    /// Longest wait for an answer of a broker or of ClickHouse, within --budget
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = parse_duration,
        help_heading = "Limits"
    )]
    timeout: Duration,

    /// Write a chart of all points to a file, as SVG
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    chart: Option<PathBuf>,

    /// Write the recommendation to a configuration file, for volley produce --config; what else is in
    /// the file stays
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    write: Option<PathBuf>,

    /// How to print the results; JSON has every point and every finding
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
}

/// What to choose from, and by what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Choice")]
struct ChoiceArgs {
    /// What is to be small: bytes, cpu, latency or balanced
    #[arg(long, value_name = "OBJECTIVE", default_value = "balanced")]
    objective: Objective,

    /// Longest time until the first row of a batch can be read
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_latency: Option<Duration>,

    /// Most bytes of a message, with key and headers: message.max.bytes of the topic
    #[arg(long, value_name = "SIZE", default_value = "1MB", value_parser = parse_bytes)]
    max_message_bytes: NonZeroUsize,

    /// Rows of a batch to choose from, with commas between [default: 10, 20, 50, 100 ... half of the
    /// rows]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    rows_per_batch: Vec<NonZeroUsize>,

    /// Codecs to choose from, with commas between [default: none, lz4, zstd:1, 3, 6, 9, 19]
    #[arg(long, value_name = "CODEC,...", value_delimiter = ',')]
    codecs: Vec<Codec>,

    /// Framings to choose from, with commas between
    #[arg(long, value_name = "FRAMING,...", value_delimiter = ',', default_value = "stream")]
    framings: Vec<Framing>,

    /// Also try columns of text that repeats as dictionaries
    #[arg(long)]
    dictionaries: bool,

    /// Measure every point, rather than search: takes many times as long, so raise --budget
    #[arg(long)]
    sweep: bool,
}

/// Room for what a message has beside its payload.
const MESSAGE_OVERHEAD: usize = 512;

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "expected rows a second, such as 200 or 0.5".to_owned())
}

impl TuneArgs {
    fn options(self) -> anyhow::Result<TuneOptions> {
        let choice = self.choice;
        let kafka = |brokers: &str| self.properties.options(brokers, self.timeout);
        let clickhouse = self.is_clickhouse_given.then_some(self.clickhouse);
        let clickhouse = clickhouse.map(|server| server.options(self.timeout)).transpose()?;
        Ok(TuneOptions {
            input: InputOptions {
                inputs: self.input,
                n_rows: self.rows.map(NonZeroUsize::get),
                metrics: self.metrics.into(),
                kafka: kafka(""),
                limits: self.payload.limits(),
            },
            goal: Goal {
                objective: choice.objective,
                rate: self.rate,
                max_latency: choice.max_latency,
                payload_limit: choice.max_message_bytes.get().saturating_sub(MESSAGE_OVERHEAD),
            },
            rows_per_batch: choice.rows_per_batch.into_iter().map(NonZeroUsize::get).collect(),
            codecs: choice.codecs,
            framings: choice.framings,
            dictionaries: choice.dictionaries,
            sweep: choice.sweep,
            budget: self.budget,
            clickhouse,
            kafka: self.brokers.as_deref().map(kafka),
        })
    }
}

pub(crate) async fn run(args: TuneArgs) -> anyhow::Result<ExitStatus> {
    let (format, svg, write) = (args.format, args.chart.clone(), args.write.clone());
    let options = args.options()?;
    let shutdown = Shutdown::on_signals()?;
    let report = tune(options, shutdown).await?;
    let files = write_files(&report, svg.as_deref(), write.as_deref());
    let written = write.as_deref().filter(|_| files.is_ok());
    print_result(format, &report, |out| text::print(out, &report, written))?;
    // Not before the results, which took their time.
    files?;
    let status =
        if report.recommendation.is_some() { ExitStatus::Success } else { ExitStatus::Negative };
    Ok(status)
}

fn write_files(
    report: &TuneReport,
    svg: Option<&Path>,
    write: Option<&Path>,
) -> anyhow::Result<()> {
    if let Some(path) = svg {
        let drawn = chart::svg(report).to_svg();
        std::fs::write(path, drawn)
            .with_context(|| format!("cannot write --chart {}", path.display()))?;
    }
    if let (Some(path), Some(found)) = (write, &report.recommendation) {
        config::write(path, "produce", &found.settings)?;
    }
    Ok(())
}
