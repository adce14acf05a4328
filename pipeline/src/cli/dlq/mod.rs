//! `volley dlq`: messages that could not be loaded.

mod export;
mod filter;
mod list;
mod replay;
mod show;

use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use super::args::{KafkaArgs, parse_topic};
use crate::{
    dlq::{Progress, Reader},
    exit::ExitStatus,
    human::parse_duration,
    kafka::{KafkaError, KafkaOptions, knock},
    shutdown::Shutdown,
};

const EXAMPLES: &str = "\
Examples:
  volley dlq list                            what waits, and why
  volley dlq list --cause damaged --since 2h
  volley dlq show 0/17                       one of them: cause, headers, columns, bytes
  volley dlq export letters/                 their bytes, to files
  volley dlq replay --cause refused          once the cause is mended: back to the topic, each once
  volley dlq list --exit-code --quiet        for a monitor: exits with 1 if any waits";

/// List, show, export and replay messages that could not be loaded
///
/// `volley load` puts them into a topic of their own, as they were, with headers that say why. These
/// commands read it without a consumer group. A dead letter that was replayed is noted in the same
/// topic, by a message without a value, and is not listed or replayed again.
#[derive(Debug, Args)]
#[command(
    after_help = EXAMPLES,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub(crate) struct DlqArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::ListArgs),
    Show(show::ShowLetterArgs),
    Export(export::ExportArgs),
    Replay(replay::ReplayArgs),
}

/// Where dead letters are.
#[derive(Debug, Args)]
struct LettersArgs {
    #[command(flatten)]
    kafka: KafkaArgs,

    /// Topic of the dead letters [default: TOPIC.dlq]
    #[arg(long, value_name = "NAME", value_parser = parse_topic, help_heading = "Kafka")]
    dlq_topic: Option<String>,

    /// Longest wait for each answer of the broker
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "10s",
        value_parser = parse_duration,
        help_heading = "Limits"
    )]
    timeout: Duration,
}

pub(crate) fn run(args: DlqArgs) -> anyhow::Result<ExitStatus> {
    match args.command {
        Command::List(args) => list::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Replay(args) => replay::run(args),
    }
}

impl LettersArgs {
    fn options(&self) -> KafkaOptions {
        self.kafka.options(self.timeout)
    }

    fn dlq_topic(&self) -> String {
        self.dlq_topic.clone().unwrap_or_else(|| format!("{}.dlq", self.kafka.topic))
    }

    /// `None` where nothing was ever put aside: the topic that is loaded is there, and that of its
    /// dead letters is not.
    fn reader(&self, shutdown: Shutdown) -> Result<Option<Reader>, KafkaError> {
        let topic = self.dlq_topic();
        let options = self.options();
        knock(&options)?;
        let reader = Reader::new(options, topic.clone(), shutdown)?;
        if reader.has_topic(&topic)? {
            return Ok(Some(reader));
        }
        if self.dlq_topic.is_none() && reader.has_topic(&self.kafka.topic)? {
            tracing::info!(
                "no topic '{topic}': no message of '{}' was put aside",
                self.kafka.topic
            );
            return Ok(None);
        }
        let brokers = self.options().brokers;
        Err(KafkaError::TopicMissing { topic, brokers, hint: "check --topic and --dlq-topic" })
    }
}

/// How soon people want to know what takes so long.
const PROGRESS_DELAY: Duration = Duration::from_millis(500);

/// A bar on standard error, where that is a terminal and reading takes its time.
struct Bar {
    bar: ProgressBar,
    since: Instant,
}

impl Bar {
    fn new() -> Self {
        let style = ProgressStyle::with_template(
            "{bar:40.cyan/dim} {human_pos} of {human_len} messages read",
        );
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─");
        Self { bar: ProgressBar::new(0).with_style(style), since: Instant::now() }
    }
}

impl Progress for Bar {
    fn read(&mut self, n_read: u64, n_messages: u64) {
        if self.since.elapsed() >= PROGRESS_DELAY {
            self.bar.set_length(n_messages);
            self.bar.set_position(n_read);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
