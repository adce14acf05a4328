use std::io::{self, BufWriter, Write};

use clap::Args;
use serde::Serialize;

use super::{Bar, LettersArgs, filter::FilterArgs};
use crate::{
    cli::{
        args::Format,
        inspect::{
            stdout_width,
            table::{Align, PLAIN, Table, printable},
        },
        output::{BOLD, DIM},
    },
    dlq::{Found, Letter, LetterState, Selection},
    exit::ExitStatus,
    human::{Bytes, Count},
    shutdown::Shutdown,
};

/// Least that an error has of a line, however narrow the terminal.
const MIN_ERROR: usize = 60;

/// Longest of the other texts.
const MAX_TEXT: usize = 40;

/// List what could not be loaded, and why
///
/// One line each, in the order in which they lie, and how many there are of each cause.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    letters: LettersArgs,

    #[command(flatten)]
    filter: FilterArgs,

    /// Those too that were replayed
    #[arg(long, help_heading = "Which")]
    all: bool,

    /// Exit with 1 if there are any
    #[arg(long, help_heading = "Output")]
    exit_code: bool,

    /// How to print them; JSON is one object a line
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    format: Format,
}

/// A letter as programs see it.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    letter: &'a Letter,
    state: LetterState,
}

pub(super) fn run(args: &ListArgs) -> anyhow::Result<ExitStatus> {
    let mut filter = args.filter.filter(&[]);
    filter.with_replayed = args.all;
    let mut out = BufWriter::new(anstream::stdout().lock());
    let Some(reader) = args.letters.reader(Shutdown::never())? else {
        if args.format == Format::Text {
            print_found(&mut out, &Found::default(), 0)?;
        }
        out.flush()?;
        return Ok(ExitStatus::Success);
    };
    let mut bar = Bar::new();
    let selection = Selection::make(&reader, &filter, &mut bar)?;
    let mut lines = Vec::new();
    selection.read(&reader, &mut bar, |letter, state, _| {
        if args.format == Format::Json {
            serde_json::to_writer(&mut out, &Line { letter: &letter, state })
                .map_err(io::Error::from)
                .and_then(|()| writeln!(out))?;
        } else {
            lines.push((letter, state));
        }
        Ok::<(), anyhow::Error>(())
    })?;
    drop(bar);
    if args.format == Format::Text {
        if !lines.is_empty() {
            let states = args.all;
            print_letters(&mut out, &args.letters.kafka.topic, &lines, states)?;
            writeln!(out)?;
        }
        let n_replayed = if args.all { 0 } else { selection.found.n_replayed };
        print_found(&mut out, &selection.found, n_replayed)?;
        let more = selection.found.n_letters().saturating_sub(lines.len() as u64);
        if more > 0 {
            writeln!(out, "{DIM}{} more behind --limit{DIM:#}", Count(more))?;
        }
    }
    out.flush()?;
    let is_any = selection.found.n_letters() > 0;
    Ok(if args.exit_code && is_any { ExitStatus::Negative } else { ExitStatus::Success })
}

/// A line for each letter, as wide as the terminal.
pub(super) fn print_letters(
    out: &mut dyn Write,
    topic: &str,
    letters: &[(Letter, LetterState)],
    with_states: bool,
) -> io::Result<()> {
    let table = |max_error: usize| {
        let titles = [
            ("letter", Align::Left),
            ("origin", Align::Left),
            ("put aside", Align::Left),
            ("cause", Align::Left),
            ("size", Align::Right),
        ];
        let state = with_states.then_some(("state", Align::Left));
        let titles = titles.into_iter().chain(state).chain([("error", Align::Left)]);
        let mut table = Table::new(titles.map(|(title, align)| (title.to_owned(), align)));
        for (letter, state) in letters {
            let mut cells = cells(letter, topic);
            if with_states {
                cells.push(state.as_str().to_owned());
            }
            cells.push(match (max_error, &letter.error) {
                (0, _) | (_, None) => String::new(),
                // A character for the mark of what is cut.
                (max, Some(error)) => printable(error, max - 1),
            });
            table.push(PLAIN, cells);
        }
        table
    };
    let room = stdout_width().saturating_sub(table(0).width()) + "error".len();
    table(room.max(MIN_ERROR)).print(out)
}

fn cells(letter: &Letter, topic: &str) -> Vec<String> {
    let origin = letter.origin.as_ref().map_or("–".to_owned(), |origin| {
        let place = format!("{}/{}", origin.partition, origin.offset);
        if origin.topic == topic {
            return place;
        }
        format!("{}/{place}", printable(&origin.topic, MAX_TEXT))
    });
    let time = letter
        .time
        .map_or("–".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%SZ").to_string());
    let mut cause = printable(&letter.cause, MAX_TEXT);
    if let Some(code) = &letter.code {
        cause.push(' ');
        cause.push_str(&printable(code, MAX_TEXT));
    }
    let size = letter.bytes.map_or("–".to_owned(), |bytes| Bytes(bytes as u64).to_string());
    vec![letter.id.to_string(), origin, time, cause, size]
}

/// `7 dead letters: 4 refused, 3 damaged; 1 was replayed (--all); 2 lie there twice`
pub(super) fn print_found(out: &mut dyn Write, found: &Found, n_replayed: u64) -> io::Result<()> {
    let n_letters = found.n_letters();
    let count = match n_letters {
        0 => "no dead letters".to_owned(),
        1 => "1 dead letter".to_owned(),
        n => format!("{} dead letters", Count(n)),
    };
    let mut causes: Vec<_> = found.causes.iter().collect();
    causes.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let causes: Vec<_> = causes
        .iter()
        .map(|(cause, n)| format!("{} {}", Count(**n), printable(cause, MAX_TEXT)))
        .collect();
    let colon = if causes.is_empty() { "" } else { ": " };
    let replayed = match n_replayed {
        0 => String::new(),
        1 => "; 1 was replayed (--all)".to_owned(),
        n => format!("; {} were replayed (--all)", Count(n)),
    };
    let repeated = match found.n_repeated {
        0 => String::new(),
        1 => "; 1 lies there twice".to_owned(),
        n => format!("; {} lie there twice", Count(n)),
    };
    let causes = causes.join(", ");
    writeln!(out, "{BOLD}{count}{BOLD:#}{colon}{causes}{DIM}{replayed}{repeated}{DIM:#}")
}
