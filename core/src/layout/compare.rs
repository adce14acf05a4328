//! Whether messages of one schema can be read with another.

use arrow_schema::DataType;

use super::schema::{Column, SchemaLayout, Shape, inner, short};

/// Where and how two schemas differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SchemaDifference {
    pub(crate) column: String,
    pub(crate) expected: String,
    pub(crate) found: String,
}

impl SchemaDifference {
    fn new(column: &str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { column: column.to_owned(), expected: expected.into(), found: found.into() }
    }
}

impl SchemaLayout {
    /// Why messages of `other` cannot be read with this schema, if they cannot.
    ///
    /// Metadata and the names of list, map and run-end children do not matter: writers differ in
    /// them. Types, order, nullability, dictionary ids, extension names and the names of columns
    /// and struct fields do.
    pub(crate) fn difference(&self, other: &Self) -> Option<SchemaDifference> {
        if self.is_foreign_endian != other.is_foreign_endian {
            return Some(SchemaDifference::new("", "byte order", "other byte order"));
        }
        let fields = (self.schema.fields().len(), other.schema.fields().len());
        if fields.0 != fields.1 {
            let count = |n: usize| format!("{n} columns");
            return Some(SchemaDifference::new("", count(fields.0), count(fields.1)));
        }
        let mut pairs = self.columns.iter().zip(&other.columns).enumerate();
        let different = pairs.find_map(|(at, (a, b))| self.column_difference(at, a, b));
        different.or_else(|| {
            (self.columns.len() != other.columns.len())
                .then(|| SchemaDifference::new("", "its children", "other children"))
        })
    }

    fn column_difference(&self, at: usize, a: &Column, b: &Column) -> Option<SchemaDifference> {
        let differ = |expected: String, found: String| {
            Some(SchemaDifference::new(&self.path(at), expected, found))
        };
        let is_named = match a.parent.map(|parent| self.columns[parent].field.data_type()) {
            None => a.dictionary_of.is_none(),
            Some(parent) => matches!(inner(parent), DataType::Struct(_) | DataType::Union(_, _)),
        };
        if is_named && a.field.name() != b.field.name() {
            let name = |column: &Column| format!("`{}`", short(column.field.name()));
            return differ(name(a), name(b));
        }
        if a.shape != b.shape
            || (a.end != b.end)
            || !same_type(a.field.data_type(), b.field.data_type())
        {
            let describe = |column: &Column| match column.shape {
                Shape::Dictionary { id, .. } => {
                    let data_type = column.field.data_type().to_string();
                    format!("type {} with dictionary id {id}", short(&data_type))
                }
                _ => format!("type {}", short(&column.field.data_type().to_string())),
            };
            return differ(describe(a), describe(b));
        }
        if a.field.is_nullable() != b.field.is_nullable() {
            let text = |c: &Column| {
                if c.field.is_nullable() { "nullable" } else { "not nullable" }
            };
            return differ(text(a).to_owned(), text(b).to_owned());
        }
        let extension = |column: &Column| match column.field.extension_type_name() {
            Some(name) => format!("extension {}", short(name)),
            None => "no extension".to_owned(),
        };
        if a.field.extension_type_name() != b.field.extension_type_name() {
            return differ(extension(a), extension(b));
        }
        None
    }
}

/// Compares what is not in the shapes: children are columns of their own.
fn same_type(a: &DataType, b: &DataType) -> bool {
    match (a, b) {
        (DataType::Union(a, mode_a), DataType::Union(b, mode_b)) => {
            mode_a == mode_b && a.iter().map(|(id, _)| id).eq(b.iter().map(|(id, _)| id))
        }
        (DataType::Map(_, a), DataType::Map(_, b)) => a == b,
        (DataType::Dictionary(key_a, a), DataType::Dictionary(key_b, b)) => {
            key_a == key_b && same_type(a, b)
        }
        (a, b) if a.is_nested() => std::mem::discriminant(a) == std::mem::discriminant(b),
        (a, b) => a == b,
    }
}
