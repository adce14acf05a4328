use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::{Bar, LettersArgs, filter::FilterArgs};
use crate::{
    cli::{
        args::Format,
        output::{line, print_result},
    },
    dlq::{LetterId, Selection, export},
    exit::ExitStatus,
    human::{Bytes, Count},
    shutdown::Shutdown,
};

/// Write their bytes to files
///
/// Each becomes TOPIC-PARTITION-OFFSET.arrow with the original bytes, and a .json of the same name
/// with its cause, its key and its headers; one without a value has the .json alone. `volley
/// inspect` reads the former.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Folder to write them to; made if it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Only these, as `volley dlq list` names them
    #[arg(value_name = "PARTITION/OFFSET")]
    which: Vec<LetterId>,

    #[command(flatten)]
    letters: LettersArgs,

    #[command(flatten)]
    filter: FilterArgs,

    /// Those too that were replayed
    #[arg(long, help_heading = "Which")]
    all: bool,

    /// Replace files that are there already
    #[arg(long, help_heading = "Output")]
    force: bool,

    /// How to print the summary
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
}

#[derive(Default, Serialize)]
struct Summary {
    letters: u64,
    bytes: u64,
    folder: PathBuf,
}

pub(super) fn run(args: &ExportArgs) -> anyhow::Result<ExitStatus> {
    let mut filter = args.filter.filter(&args.which);
    filter.with_replayed = args.all || !args.which.is_empty();
    let mut summary = Summary { folder: args.folder.clone(), ..Summary::default() };
    if let Some(reader) = args.letters.reader(Shutdown::never())? {
        let mut bar = Bar::new();
        let selection = Selection::make(&reader, &filter, &mut bar)?;
        fs::create_dir_all(&args.folder)
            .with_context(|| format!("cannot make folder {}", args.folder.display()))?;
        selection.read(&reader, &mut bar, |letter, _, message| {
            export(&args.folder, reader.topic(), &letter, message, args.force)?;
            summary.letters += 1;
            summary.bytes += letter.bytes.unwrap_or(0) as u64;
            Ok::<(), anyhow::Error>(())
        })?;
    }
    print_result(args.format, &summary, |out| print(out, &summary))?;
    Ok(ExitStatus::Success)
}

fn print(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    let Summary { letters, bytes, folder } = summary;
    let facts = format!("{} in {}", Count(*letters), folder.display());
    line(out, "exported", facts)?;
    line(out, "size", Bytes(*bytes))
}
