use std::io;

use anstyle::{AnsiColor, Style};
use volley_core::inspect::{DiagnosticInspection, EXCERPT_LINE, Excerpt};

use super::table::printable;
use crate::{
    cli::output::{BAD, BOLD, DIM},
    human::Count,
};

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// As many are printed; JSON has them all.
const MAX_SHOWN: usize = 10;

/// Longest of the things that a diagnostic says.
const MAX_CHARS: usize = 300;

/// Prints each finding with the bytes around it.
pub(super) fn print(
    out: &mut dyn io::Write,
    diagnostics: &[DiagnosticInspection],
    limit: u64,
) -> io::Result<()> {
    let mut is_over = false;
    for diagnostic in diagnostics.iter().take(MAX_SHOWN) {
        print_one(out, diagnostic)?;
        if diagnostic.code == "over-cap" && !is_over {
            is_over = true;
            let limit = Count(limit);
            writeln!(
                out,
                "     {DIM}={DIM:#} --max-batch-bytes is {limit}; raise it if you trust the payload"
            )?;
        }
        writeln!(out)?;
    }
    match diagnostics.len().saturating_sub(MAX_SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "and {more} more; --format json has all of them\n"),
    }
}

fn print_one(out: &mut dyn io::Write, diagnostic: &DiagnosticInspection) -> io::Result<()> {
    let DiagnosticInspection { severity, code, headline, offset, .. } = diagnostic;
    let style = style(diagnostic);
    writeln!(out, "{style}{severity}[{code}]{style:#}{BOLD}: {headline}{BOLD:#}")?;
    let excerpt = diagnostic.excerpt.as_ref();
    // As wide as the largest offset of the margin.
    let width = format!("{:x}", excerpt.map_or(0, |excerpt| excerpt.range().end)).len().max(4);
    let mut place = format!("byte {offset} (0x{offset:x})");
    if let Some(message) = diagnostic.message_index {
        place.push_str(&format!(", message {message}"));
    }
    if let Some(column) = &diagnostic.column {
        place.push_str(&format!(", column `{}`", printable(column, MAX_CHARS)));
    }
    if let Some(buffer) = &diagnostic.buffer {
        place.push_str(&format!(", {buffer} buffer"));
    }
    writeln!(out, "{:width$}{DIM}-->{DIM:#} {place}", "")?;
    let found = printable(&diagnostic.found, MAX_CHARS);
    let expected = printable(&diagnostic.expected, MAX_CHARS);
    match excerpt {
        Some(excerpt) => print_excerpt(out, excerpt, diagnostic, &found, width)?,
        None => writeln!(out, "{:width$} {DIM}={DIM:#} found {found}", "")?,
    }
    writeln!(out, "{:width$} {DIM}={DIM:#} expected {expected}", "")
}

fn print_excerpt(
    out: &mut dyn io::Write,
    excerpt: &Excerpt,
    diagnostic: &DiagnosticInspection,
    found: &str,
    width: usize,
) -> io::Result<()> {
    let style = style(diagnostic);
    // Behind the last byte the mark stands where the next one would be.
    let at = diagnostic.offset.min(excerpt.range().end);
    let marked_line = at / EXCERPT_LINE * EXCERPT_LINE;
    let column = at % EXCERPT_LINE;
    writeln!(out, "{:width$} {DIM}|{DIM:#}", "")?;
    let mark = |out: &mut dyn io::Write| {
        let indent = column * 3 + usize::from(column >= EXCERPT_LINE / 2);
        writeln!(out, "{:width$} {DIM}|{DIM:#} {:indent$}{style}^^ found {found}{style:#}", "", "")
    };
    let mut is_marked = false;
    for (offset, line) in excerpt.lines() {
        write!(out, "{DIM}{offset:0width$x} |{DIM:#}")?;
        for i in 0..EXCERPT_LINE {
            let gap = if i == EXCERPT_LINE / 2 { "  " } else { " " };
            match line.get(i) {
                Some(byte) if offset + i == at => write!(out, "{gap}{style}{byte:02x}{style:#}")?,
                Some(byte) => write!(out, "{gap}{byte:02x}")?,
                None => write!(out, "{gap}  ")?,
            }
        }
        let text: String = line.iter().map(|&byte| visible(byte)).collect();
        writeln!(out, "  {DIM}{text}{DIM:#}")?;
        if offset == marked_line {
            mark(out)?;
            is_marked = true;
        }
    }
    if !is_marked {
        writeln!(out, "{DIM}{at:0width$x} |{DIM:#} (end of the payload)")?;
        mark(out)?;
    }
    Ok(())
}

fn visible(byte: u8) -> char {
    if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' }
}

fn style(diagnostic: &DiagnosticInspection) -> Style {
    if diagnostic.is_error() { BAD } else { WARNING }
}
