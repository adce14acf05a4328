use std::io::{self, Write};

use clap::Args;

use super::{Bar, LettersArgs, filter::FilterArgs, list::print_letters};
use crate::{
    cli::{
        args::{Format, parse_topic},
        output::{line, print_result},
    },
    dlq::{LetterId, LetterState, ReplayOptions, ReplaySummary, replay},
    exit::ExitStatus,
    human::{Bytes, Count},
    shutdown::Shutdown,
};

const DETAILS: &str = "\
Once the cause is mended, this sends them back as they were: the same bytes, key and headers, to
the partition where they were, with one header more, volley-dlq-replayed-from. A topic that is
named by --to gets them by key.

Each is sent once. A message and the note that it was replayed are one transaction, so whoever
reads committed messages only, as volley load does, sees both or neither: replaying again, also
after a crash or beside another replay, sends nothing twice. --again sends once more what was
replayed before. The notes are messages without a value in the dead-letter topic, each behind its
letter. librdkafka's in-process broker, as of volley dev, cannot undo a transaction; there a crash
may send a batch twice.

What still cannot be loaded becomes a new dead letter.

Exit codes: 0 done, 1 some were left out or left over, 2 something failed.";

/// Send them back to the topic that they come from, each once
#[derive(Debug, Args)]
#[command(after_help = DETAILS)]
pub(super) struct ReplayArgs {
    /// Only these, as `volley dlq list` names them
    #[arg(value_name = "PARTITION/OFFSET")]
    which: Vec<LetterId>,

    #[command(flatten)]
    letters: LettersArgs,

    #[command(flatten)]
    filter: FilterArgs,

    /// Those too that were replayed before: their rows may then be stored twice
    #[arg(long, help_heading = "Which")]
    again: bool,

    /// Send all of them, wherever they come from, to this topic [default: those from TOPIC to TOPIC]
    #[arg(long, value_name = "NAME", value_parser = parse_topic, help_heading = "Kafka")]
    to: Option<String>,

    /// Only say what would be sent
    #[arg(long, help_heading = "Output")]
    dry_run: bool,

    /// How to print the summary
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
}

pub(super) fn run(args: ReplayArgs) -> anyhow::Result<ExitStatus> {
    let shutdown = Shutdown::on_signals()?;
    let mut filter = args.filter.filter(&args.which);
    filter.with_replayed = args.again;
    let reader = args.letters.reader(shutdown)?;
    let options = ReplayOptions {
        kafka: args.letters.options(),
        topic: args.letters.kafka.topic,
        to: args.to,
        filter,
        is_dry: args.dry_run,
    };
    let mut letters = Vec::new();
    let summary = match reader {
        Some(reader) => replay(&options, &reader, &mut Bar::new(), |letter| {
            if args.dry_run {
                letters.push((letter.clone(), LetterState::Waiting));
            }
        })?,
        None => ReplaySummary::default(),
    };
    print_result(args.format, &summary, |out| {
        if !letters.is_empty() {
            print_letters(out, &options.topic, &letters, false)?;
            writeln!(out)?;
        }
        print(out, &summary)
    })?;
    let is_all = summary.elsewhere == 0 && summary.left == 0;
    Ok(if is_all { ExitStatus::Success } else { ExitStatus::Negative })
}

fn print(out: &mut dyn Write, summary: &ReplaySummary) -> io::Result<()> {
    let ReplaySummary { replayed, bytes, replayed_before, elsewhere, left, to, dry_run } = summary;
    let label = if *dry_run { "to replay" } else { "replayed" };
    let to = if to.is_empty() { String::new() } else { format!(" to topic {to}") };
    line(out, label, format!("{}{to}, {}", Count(*replayed), Bytes(*bytes)))?;
    if *replayed_before > 0 {
        line(out, "before", format!("{} were replayed before", Count(*replayed_before)))?;
    }
    if *elsewhere > 0 {
        let what = "come from elsewhere; send them by --to, or name their topic by --topic";
        line(out, "left out", format!("{} {what}", Count(*elsewhere)))?;
    }
    if *left > 0 {
        line(out, "left", format!("{}, because the run was stopped", Count(*left)))?;
    }
    Ok(())
}
