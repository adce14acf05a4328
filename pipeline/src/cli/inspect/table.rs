//! Text in columns, for a terminal that it must not drive.

use std::io;

use anstyle::Style;
use unicode_width::UnicodeWidthStr as _;

use crate::cli::output::DIM;

pub(in crate::cli) const PLAIN: Style = Style::new();

/// Between columns.
const GAP: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Align {
    Left,
    Right,
}

/// Lines of cells under dim titles. A line may have fewer cells than there are columns.
pub(in crate::cli) struct Table {
    aligns: Vec<Align>,
    widths: Vec<usize>,
    lines: Vec<(Style, Vec<String>)>,
    /// The style of the last column in plain lines.
    last: Style,
}

impl Table {
    pub(in crate::cli) fn new(columns: impl IntoIterator<Item = (String, Align)>) -> Self {
        let (titles, aligns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let mut table =
            Self { widths: vec![0; aligns.len()], aligns, lines: Vec::new(), last: PLAIN };
        table.push(DIM, titles);
        table
    }

    pub(in crate::cli) fn push(&mut self, style: Style, cells: Vec<String>) {
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.width());
        }
        self.lines.push((style, cells));
    }

    /// Sets the last column off in plain lines.
    pub(in crate::cli) fn style_last(&mut self, style: Style) {
        self.last = style;
    }

    /// Columns a line takes.
    pub(in crate::cli) fn width(&self) -> usize {
        self.widths.iter().sum::<usize>() + GAP * self.widths.len().saturating_sub(1)
    }

    pub(in crate::cli) fn print(&self, out: &mut dyn io::Write) -> io::Result<()> {
        for (style, cells) in &self.lines {
            let mut line = String::new();
            // Spaces that are owed: at the end of a line they are not paid.
            let mut owed = 0;
            let n_columns = self.widths.len();
            let columns = cells.iter().zip(&self.widths).zip(&self.aligns).enumerate();
            for (i, ((cell, &width), align)) in columns {
                let free = width - cell.width();
                let (before, after) = match align {
                    Align::Left => (0, free),
                    Align::Right => (free, 0),
                };
                owed += before;
                if !cell.is_empty() {
                    line.extend(std::iter::repeat_n(' ', owed));
                    if i + 1 == n_columns && *style == PLAIN {
                        let style = self.last;
                        line.push_str(&format!("{style}{cell}{style:#}"));
                    } else {
                        line.push_str(cell);
                    }
                    owed = 0;
                }
                owed += if cell.is_empty() { width - before } else { after } + GAP;
            }
            writeln!(out, "{style}{line}{style:#}")?;
        }
        Ok(())
    }
}

/// Text of a payload for a terminal: nothing that drives it, and no more than so many characters.
pub(in crate::cli) fn printable(text: &str, max_chars: usize) -> String {
    let mut shown: String = text.chars().take(max_chars).flat_map(escaped).collect();
    if text.chars().nth(max_chars).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters, and those that turn the direction of what follows or end a line, as `\n` or
/// `\u{202e}`.
fn escaped(character: char) -> impl Iterator<Item = char> {
    let is_harmful = character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        );
    let escape = is_harmful.then(|| character.escape_default());
    let plain = (!is_harmful).then_some(character);
    escape.into_iter().flatten().chain(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_drive_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n", 99), "a\\u{1b}[31mb\\n");
        assert_eq!(printable("\u{202e}x\u{2066}\u{9b}", 99), "\\u{202e}x\\u{2066}\\u{9b}");
        assert_eq!(printable(&"é".repeat(300), 200).chars().count(), 201);
    }

    #[test]
    fn columns_are_as_wide_as_they_look() {
        let titles = [("a", Align::Left), ("n", Align::Right), ("last", Align::Left)];
        let mut table = Table::new(titles.map(|(title, align)| (title.to_owned(), align)));
        table.push(PLAIN, vec!["日本".to_owned(), "7".to_owned()]);
        table.push(PLAIN, vec!["x".to_owned(), String::new(), "y".to_owned()]);
        table.push(PLAIN, vec!["é".to_owned(), "100".to_owned(), "z".to_owned()]);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let text = anstream::adapter::strip_bytes(&out).into_vec();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "a       n  last\n日本    7\nx          y\né     100  z\n"
        );
        assert_eq!(table.width(), 4 + 2 + 3 + 2 + 4);
    }
}
