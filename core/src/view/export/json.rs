use std::fmt::Write as _;

use arrow_array::{
    Array, ArrayRef, GenericListViewArray, OffsetSizeTrait, RunArray,
    cast::AsArray,
    downcast_dictionary_array,
    types::{Int16Type, Int32Type, Int64Type, RunEndIndexType},
};
use arrow_schema::{DataType, Schema};

use super::{ExportError, MAX_TEXT};
use crate::view::cells::{CellKind, Plain};

pub(super) fn rows(
    schema: &Schema,
    columns: &[ArrayRef],
    n_rows: usize,
) -> Result<Vec<u8>, ExportError> {
    let mut writer = Writer { out: String::new(), plain: Plain::default() };
    for row in 0..n_rows {
        let names = schema.fields().iter().map(|field| field.name().as_str());
        writer.object(names.zip(columns), row).ok_or(ExportError::TooLong)?;
        writer.out.push('\n');
    }
    Ok(writer.out.into_bytes())
}

struct Writer {
    out: String,
    plain: Plain,
}

impl Writer {
    /// `None` where there is no room for it.
    fn value(&mut self, array: &dyn Array, row: usize) -> Option<()> {
        if self.out.len() > MAX_TEXT {
            return None;
        }
        if array.is_null(row) {
            self.out.push_str("null");
            return Some(());
        }
        match array.data_type() {
            DataType::List(_) => self.list(&*array.as_list::<i32>().value(row)),
            DataType::LargeList(_) => self.list(&*array.as_list::<i64>().value(row)),
            DataType::FixedSizeList(..) => self.list(&*array.as_fixed_size_list().value(row)),
            DataType::ListView(_) => self.list_view::<i32>(array, row),
            DataType::LargeListView(_) => self.list_view::<i64>(array, row),
            DataType::Struct(fields) => {
                let names = fields.iter().map(|field| field.name().as_str());
                self.object(names.zip(array.as_struct().columns()), row)
            }
            DataType::Map(..) => self.map(array, row),
            DataType::Union(..) => {
                let union = array.as_union();
                self.value(union.child(union.type_id(row)), union.value_offset(row))
            }
            DataType::Dictionary(..) => downcast_dictionary_array!(
                array => match array.key(row) {
                    Some(key) if key < array.values().len() => self.value(array.values(), key),
                    _ => self.text("null"),
                },
                _ => self.text("null")
            ),
            DataType::RunEndEncoded(ends, _) => match ends.data_type() {
                DataType::Int16 => self.run::<Int16Type>(array, row),
                DataType::Int32 => self.run::<Int32Type>(array, row),
                _ => self.run::<Int64Type>(array, row),
            },
            _ => self.scalar(array, row),
        }
    }

    fn scalar(&mut self, array: &dyn Array, row: usize) -> Option<()> {
        let is_bare = array.data_type().is_integer()
            || array.data_type().is_floating()
            || *array.data_type() == DataType::Boolean;
        let left = MAX_TEXT.saturating_sub(self.out.len());
        let (kind, text) = self.plain.cell(array, row, left)?;
        match kind {
            CellKind::Null | CellKind::NotFinite => self.out.push_str("null"),
            _ if is_bare => self.out.push_str(text),
            _ => quoted(&mut self.out, text),
        }
        Some(())
    }

    fn text(&mut self, text: &str) -> Option<()> {
        self.out.push_str(text);
        Some(())
    }

    fn list(&mut self, values: &dyn Array) -> Option<()> {
        self.out.push('[');
        for row in 0..values.len() {
            if row > 0 {
                self.out.push(',');
            }
            self.value(values, row)?;
        }
        self.text("]")
    }

    fn list_view<O: OffsetSizeTrait>(&mut self, array: &dyn Array, row: usize) -> Option<()> {
        let lists = array.as_any().downcast_ref::<GenericListViewArray<O>>()?;
        self.list(&*lists.value(row))
    }

    fn run<R: RunEndIndexType>(&mut self, array: &dyn Array, row: usize) -> Option<()> {
        let runs = array.as_any().downcast_ref::<RunArray<R>>()?;
        self.value(runs.values(), runs.get_physical_index(row))
    }

    fn object<'a>(
        &mut self,
        columns: impl Iterator<Item = (&'a str, &'a ArrayRef)>,
        row: usize,
    ) -> Option<()> {
        self.out.push('{');
        for (position, (name, column)) in columns.enumerate() {
            if position > 0 {
                self.out.push(',');
            }
            quoted(&mut self.out, name);
            self.out.push(':');
            self.value(column, row)?;
        }
        self.text("}")
    }

    /// Keys of whatever type are texts.
    fn map(&mut self, array: &dyn Array, row: usize) -> Option<()> {
        let entries = array.as_map().value(row);
        let [keys, values] = entries.columns() else { return self.text("null") };
        self.out.push('{');
        for entry in 0..entries.len() {
            if entry > 0 {
                self.out.push(',');
            }
            let left = MAX_TEXT.saturating_sub(self.out.len());
            let (_, key) = self.plain.cell(keys, entry, left)?;
            quoted(&mut self.out, key);
            self.out.push(':');
            self.value(values, entry)?;
        }
        self.text("}")
    }
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control @ '\0'..='\x1f' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
