use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::args::Format;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

/// Prints a result: as JSON on one line, or as the text that `text` writes.
pub(crate) fn print_result(
    format: Format,
    result: &impl Serialize,
    text: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match format {
        Format::Json => writeln!(out, "{}", serde_json::to_string(result)?)?,
        Format::Text => text(&mut out)?,
    }
    out.flush()?;
    Ok(())
}

/// One line of a summary: a dim label, then the facts.
pub(crate) fn line(
    out: &mut dyn io::Write,
    label: &str,
    facts: impl std::fmt::Display,
) -> io::Result<()> {
    writeln!(out, "{DIM}{label:<11}{DIM:#} {facts}")
}

/// Prints an error and its causes.
pub(crate) fn print_error(error: &anyhow::Error) {
    let mut err = anstream::stderr().lock();
    // Nobody is left to tell if this fails.
    let _ = writeln!(err, "{BAD}error:{BAD:#} {error}");
    let mut said = error.to_string();
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        // A transparent error says what its source says.
        if !said.contains(&text) {
            let _ = writeln!(err, "  caused by: {text}");
            said = text;
        }
    }
}

/// Whether an error is just that the reader of our output has gone.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(is_pipe)
}
