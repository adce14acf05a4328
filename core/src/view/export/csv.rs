use arrow_array::ArrayRef;
use arrow_schema::Schema;

use super::{ExportError, MAX_TEXT};
use crate::view::cells::{CellKind, Plain};

pub(super) fn header(schema: &Schema) -> Vec<u8> {
    let mut out = String::new();
    for (position, field) in schema.fields().iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        value(&mut out, field.name());
    }
    out.push('\n');
    out.into_bytes()
}

pub(super) fn rows(columns: &[ArrayRef], n_rows: usize) -> Result<Vec<u8>, ExportError> {
    let mut out = String::new();
    let mut plain = Plain::default();
    for row in 0..n_rows {
        for (position, column) in columns.iter().enumerate() {
            if position > 0 {
                out.push(',');
            }
            let left = MAX_TEXT.saturating_sub(out.len());
            let (kind, text) = plain.cell(column, row, left).ok_or(ExportError::TooLong)?;
            match kind {
                CellKind::Null => {}
                CellKind::Empty => out.push_str("\"\""),
                _ => value(&mut out, text),
            }
        }
        out.push('\n');
    }
    Ok(out.into_bytes())
}

/// In quotes where it must be, or would lose what is around it.
fn value(out: &mut String, text: &str) {
    let is_odd = |c: char| matches!(c, ',' | '"' | '\n' | '\r');
    let is_edge = |text: &str| text.starts_with(' ') || text.ends_with(' ');
    if !text.is_empty() && !text.contains(is_odd) && !is_edge(text) {
        return out.push_str(text);
    }
    out.push('"');
    for (at, part) in text.split('"').enumerate() {
        out.push_str(if at > 0 { "\"\"" } else { "" });
        out.push_str(part);
    }
    out.push('"');
}
