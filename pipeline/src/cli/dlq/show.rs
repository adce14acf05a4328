use std::{
    fmt,
    io::{self, BufWriter, Write},
    str::FromStr,
};

use anyhow::bail;
use clap::Args;
use serde::Serialize;

use super::LettersArgs;
use crate::{
    cli::{
        args::Format,
        inspect::{ShowArgs, table::printable},
        output::{BAD, BOLD, line},
    },
    dlq::{Letter, LetterId, Origin, as_letter},
    exit::ExitStatus,
    kafka::{Fetcher, MessageAddress, MessageOffset},
};

/// Longest text of an error.
const MAX_ERROR: usize = 2_000;

/// Longest of the other texts.
const MAX_TEXT: usize = 250;

/// Show one of them: why it could not be loaded, its headers, its columns, its bytes
#[derive(Debug, Args)]
pub(super) struct ShowLetterArgs {
    /// Which one, as `volley dlq list` names it, or as
    /// kafka://HOST:PORT/TOPIC.dlq/PARTITION/OFFSET
    #[arg(value_name = "PARTITION/OFFSET")]
    letter: Place,

    #[command(flatten)]
    letters: LettersArgs,

    #[command(flatten)]
    show: ShowArgs,

    /// How to print it
    ///
    /// JSON is one object: letter, origin, timestamp, time, cause, code, error, table, bytes, and
    /// payload, which is what volley inspect says of the bytes.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
}

/// Where a letter is.
#[derive(Clone, Debug)]
enum Place {
    Letter(LetterId),
    Address(MessageAddress),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("kafka:") {
            return text.parse().map(Self::Address).map_err(|error| format!("{error}"));
        }
        text.parse().map(Self::Letter).map_err(|error| format!("{error}"))
    }
}

#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    letter: &'a Letter,
    payload: &'a serde_json::value::RawValue,
}

pub(super) fn run(args: &ShowLetterArgs) -> anyhow::Result<ExitStatus> {
    let mut options = args.letters.options();
    let address = match &args.letter {
        Place::Address(address) => address.clone(),
        Place::Letter(LetterId { partition, offset }) => MessageAddress {
            brokers: options.brokers.clone(),
            topic: args.letters.dlq_topic(),
            partition: *partition,
            offset: MessageOffset::At(*offset),
        },
    };
    options.brokers.clone_from(&address.brokers);
    let message = Fetcher::new(options)?.fetch(&address)?;
    let Some((letter, original)) = as_letter(address.partition, message) else {
        bail!("{address} is no dead letter: it notes that one was replayed");
    };
    let mut out = BufWriter::new(anstream::stdout().lock());
    match args.format {
        Format::Text => {
            print(&mut out, &letter)?;
            writeln!(out)?;
            args.show.print(&mut out, args.format, &address, original)?;
        }
        Format::Json => {
            let mut payload = Vec::new();
            args.show.print(&mut payload, args.format, &address, original)?;
            let json = Json { letter: &letter, payload: serde_json::from_slice(&payload)? };
            writeln!(out, "{}", serde_json::to_string(&json)?)?;
        }
    }
    out.flush()?;
    Ok(ExitStatus::Success)
}

fn print(out: &mut dyn Write, letter: &Letter) -> io::Result<()> {
    let Letter { id, origin, timestamp, time, cause, code, error, table, .. } = letter;
    writeln!(out, "{BOLD}dead letter {id}{BOLD:#}")?;
    let text = |text: &str| printable(text, MAX_TEXT);
    let code = code.as_deref().map_or(String::new(), |code| format!(" {}", text(code)));
    line(out, "cause", format!("{BAD}{}{code}{BAD:#}", text(cause)))?;
    let mut print = |label: &str, fact: Option<&dyn fmt::Display>| match fact {
        Some(fact) => line(out, label, fact),
        None => Ok(()),
    };
    let error = error.as_deref().map(|error| printable(error, MAX_ERROR));
    print("error", error.as_ref().map(|error| error as _))?;
    let origin = origin.as_ref().map(|Origin { topic, partition, offset }| {
        format!("topic {}, partition {partition}, offset {offset}", text(topic))
    });
    print("origin", origin.as_ref().map(|origin| origin as _))?;
    print("written", timestamp.as_ref().map(|time| time as _))?;
    print("put aside", time.as_ref().map(|time| time as _))?;
    let table = table.as_deref().map(text);
    print("for table", table.as_ref().map(|table| table as _))
}
