//! A schema as the walk needs it: every column in the order of its field node.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, SchemaRef, UnionMode};

use super::BufferKind;

/// The schema of a stream, flattened: one [`Column`] for each field node that a message holds.
///
/// The columns of the record batches come first, depth first, as Arrow orders the nodes and
/// buffers of a message; then, for each dictionary, the columns of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaLayout {
    /// The schema.
    pub schema: SchemaRef,
    /// Every column.
    pub columns: Vec<Column>,
    /// Whether the values are in the other byte order than this machine's.
    pub is_foreign_endian: bool,
    /// How many of `columns` belong to record batches.
    pub(super) record_columns: usize,
    /// In the order of the columns that use them first.
    pub(super) dictionaries: Vec<Dictionary>,
    /// Position of each id in `dictionaries`.
    positions: HashMap<i64, usize>,
}

/// A column at any depth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The field, whose type says what the column holds. The values of a dictionary have the
    /// field of the column that uses it.
    pub field: FieldRef,
    /// Index of the column that this one is a child of. The values of a dictionary are no child.
    pub parent: Option<usize>,
    /// For the values of a dictionary: index of the first column that uses it.
    pub dictionary_of: Option<usize>,
    pub(super) shape: Shape,
    /// One past the last column below this one.
    pub(super) end: usize,
}

/// A dictionary of the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dictionary {
    pub(super) id: i64,
    /// The column of its values.
    pub(super) values: usize,
}

/// The nodes, buffers and children that a type has in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Null,
    Boolean,
    Fixed { width: u64 },
    Variable { offset_width: u64 },
    View,
    List { offset_width: u64 },
    ListView { offset_width: u64 },
    FixedSizeList { size: u64 },
    Struct,
    Union { is_dense: bool },
    RunEndEncoded,
    Dictionary { key_width: u64, id: i64 },
}

impl SchemaLayout {
    /// Flattens a schema whose types are known to be well formed.
    ///
    /// Of two columns with one dictionary id and different types the second is returned as the
    /// error: no message could satisfy both.
    pub(super) fn new(schema: &SchemaRef, is_foreign_endian: bool) -> Result<Self, String> {
        let mut layout = Self {
            columns: Vec::with_capacity(schema.fields().len()),
            is_foreign_endian,
            record_columns: 0,
            dictionaries: Vec::new(),
            positions: HashMap::new(),
            schema: SchemaRef::clone(schema),
        };
        for field in schema.fields() {
            layout.add(field, field.data_type(), None, None);
        }
        layout.record_columns = layout.columns.len();
        // The list grows while it is gone through: values of a dictionary may hold dictionaries.
        let mut next = 0;
        while let Some(column) = layout.columns.get(next) {
            let user = next;
            next += 1;
            let Shape::Dictionary { id, .. } = column.shape else {
                continue;
            };
            let DataType::Dictionary(_, values) = column.field.data_type() else {
                continue;
            };
            if let Some(&position) = layout.positions.get(&id) {
                let other = &layout.columns[layout.dictionaries[position].values].field;
                if !values.equals_datatype(inner(other.data_type())) {
                    return Err(layout.path(user));
                }
                continue;
            }
            let field = Arc::clone(&column.field);
            let dictionary = Dictionary { id, values: layout.columns.len() };
            layout.positions.insert(id, layout.dictionaries.len());
            layout.dictionaries.push(dictionary);
            layout.add(&field, inner(field.data_type()), None, Some(user));
        }
        Ok(layout)
    }

    /// Names from the top, joined by dots, for people: long ones are cut and control characters are
    /// escaped. The values of a dictionary are `name[dictionary]`.
    pub fn path(&self, column: usize) -> String {
        let Some(at) = self.columns.get(column) else {
            return String::new();
        };
        match (at.parent, at.dictionary_of) {
            (Some(parent), _) => format!("{}.{}", self.path(parent), short(at.field.name())),
            (None, Some(user)) => format!("{}[dictionary]", self.path(user)),
            (None, None) => short(at.field.name()).into_owned(),
        }
    }

    /// Index in `columns` of the columns at the top, in the order of the schema's fields.
    pub fn top_columns(&self) -> impl Iterator<Item = usize> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let top = next;
            next = self.columns.get(top).filter(|_| top < self.record_columns)?.end;
            Some(top)
        })
    }

    /// A column and all those below it.
    pub(crate) fn subtree(&self, column: usize) -> Range<usize> {
        column..self.columns.get(column).map_or(column, |column| column.end)
    }

    /// Buffers of a column itself in messages of this version, without those that views point into.
    pub(crate) fn n_buffers(&self, column: usize, version: u8) -> usize {
        let Some(column) = self.columns.get(column) else { return 0 };
        let own = match column.shape {
            Shape::Null | Shape::Struct | Shape::FixedSizeList { .. } | Shape::RunEndEncoded => 0,
            Shape::Boolean
            | Shape::Fixed { .. }
            | Shape::View
            | Shape::List { .. }
            | Shape::Union { is_dense: false }
            | Shape::Dictionary { .. } => 1,
            Shape::Variable { .. } | Shape::ListView { .. } | Shape::Union { is_dense: true } => 2,
        };
        own + usize::from(column.shape.has_validity(version))
    }

    /// The dictionaries that a column and those below it use, with the column of their values;
    /// those that nest in others after them.
    pub(crate) fn dictionaries_below(&self, column: usize) -> Vec<(i64, usize)> {
        let mut found: Vec<(i64, usize)> = Vec::new();
        let mut left = vec![self.subtree(column)];
        while let Some(columns) = left.pop() {
            for column in self.columns.get(columns).unwrap_or_default() {
                let Shape::Dictionary { id, .. } = column.shape else { continue };
                let Some(position) = self.dictionary(id) else { continue };
                let values = self.dictionaries[position].values;
                if !found.iter().any(|(other, _)| *other == id) {
                    found.push((id, values));
                    left.push(self.subtree(values));
                }
            }
        }
        found
    }

    /// Position in `dictionaries` of a dictionary.
    pub(super) fn dictionary(&self, id: i64) -> Option<usize> {
        self.positions.get(&id).copied()
    }

    /// Path of the first column that uses a dictionary.
    pub(crate) fn dictionary_path(&self, id: i64) -> Option<String> {
        let uses =
            |column: &Column| matches!(column.shape, Shape::Dictionary { id: i, .. } if i == id);
        self.columns.iter().position(uses).map(|column| self.path(column))
    }

    /// What the values of a dictionary are read as.
    pub(crate) fn dictionary_field(&self, id: i64) -> Option<FieldRef> {
        let position = self.dictionary(id)?;
        let user = self.columns.get(self.dictionaries.get(position)?.values)?;
        let values = match user.field.data_type() {
            DataType::Dictionary(_, values) => &**values,
            other => other,
        };
        Some(Arc::new(Field::new("", values.clone(), true)))
    }

    /// Ids of all dictionaries.
    pub(crate) fn dictionary_ids(&self) -> impl Iterator<Item = i64> + '_ {
        self.dictionaries.iter().map(|dictionary| dictionary.id)
    }

    /// Whether a column at any depth is a union.
    pub(crate) fn has_union(&self) -> bool {
        self.columns.iter().any(|column| matches!(column.shape, Shape::Union { .. }))
    }

    fn add(
        &mut self,
        field: &FieldRef,
        data_type: &DataType,
        parent: Option<usize>,
        dictionary_of: Option<usize>,
    ) {
        let at = self.columns.len();
        let shape = Shape::of(field, data_type);
        let field_of_column = Arc::clone(field);
        self.columns.push(Column { field: field_of_column, parent, dictionary_of, shape, end: 0 });
        for child in children(data_type) {
            self.add(child, child.data_type(), Some(at), None);
        }
        self.columns[at].end = self.columns.len();
    }
}

/// A name or another text of the payload's, fit for a sentence. It is cut where it is long, since a
/// hostile payload may repeat megabytes of it in each of its faults; line ends and what else steers a
/// terminal are escaped.
pub(super) fn short(text: &str) -> Cow<'_, str> {
    const MAX: usize = 200;
    let is_long = text.len() > MAX;
    if !is_long && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for character in text[..text.floor_char_boundary(MAX)].chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if is_long {
        shown.push('…');
    }
    Cow::Owned(shown)
}

/// The values of a dictionary, or the type itself.
pub(super) fn inner(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn children(data_type: &DataType) -> Vec<&FieldRef> {
    match data_type {
        DataType::List(child)
        | DataType::LargeList(child)
        | DataType::ListView(child)
        | DataType::LargeListView(child)
        | DataType::FixedSizeList(child, _)
        | DataType::Map(child, _) => vec![child],
        DataType::Struct(fields) => fields.iter().collect(),
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| field).collect(),
        DataType::RunEndEncoded(run_ends, values) => vec![run_ends, values],
        _ => Vec::new(),
    }
}

impl Shape {
    /// Whether the column has a bitmap of its nulls in messages of this version. Unions have none
    /// since version 5; null and run-end encoded columns never had any.
    pub(super) fn has_validity(&self, version: u8) -> bool {
        match self {
            Self::Null | Self::RunEndEncoded => false,
            Self::Union { .. } => version < 5,
            _ => true,
        }
    }

    /// The buffer whose size follows from the length of the column. Null and run-end encoded
    /// columns have no buffers.
    pub(super) fn sized_buffer(&self) -> Option<BufferKind> {
        match self {
            Self::Null | Self::RunEndEncoded => None,
            Self::Boolean | Self::Fixed { .. } => Some(BufferKind::Values),
            Self::Variable { .. } | Self::List { .. } | Self::ListView { .. } => {
                Some(BufferKind::Offsets)
            }
            Self::View => Some(BufferKind::Views),
            Self::FixedSizeList { .. } | Self::Struct => Some(BufferKind::Validity),
            Self::Union { .. } => Some(BufferKind::TypeIds),
            Self::Dictionary { .. } => Some(BufferKind::Keys),
        }
    }

    fn of(field: &FieldRef, data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Boolean,
            DataType::Utf8 | DataType::Binary => Self::Variable { offset_width: 4 },
            DataType::LargeUtf8 | DataType::LargeBinary => Self::Variable { offset_width: 8 },
            DataType::Utf8View | DataType::BinaryView => Self::View,
            DataType::FixedSizeBinary(width) => {
                Self::Fixed { width: u64::from(width.unsigned_abs()) }
            }
            DataType::List(_) | DataType::Map(_, _) => Self::List { offset_width: 4 },
            DataType::LargeList(_) => Self::List { offset_width: 8 },
            DataType::ListView(_) => Self::ListView { offset_width: 4 },
            DataType::LargeListView(_) => Self::ListView { offset_width: 8 },
            DataType::FixedSizeList(_, size) => {
                Self::FixedSizeList { size: u64::from(size.unsigned_abs()) }
            }
            DataType::Struct(_) => Self::Struct,
            DataType::Union(_, mode) => Self::Union { is_dense: *mode == UnionMode::Dense },
            DataType::RunEndEncoded(_, _) => Self::RunEndEncoded,
            DataType::Dictionary(key, _) => {
                // Deprecated for writers, who number dictionaries themselves; a reader has no
                // other way to learn which dictionary a message means.
                #[allow(deprecated)]
                let id = field.dict_id().unwrap_or_default();
                Self::Dictionary { key_width: width_of(key), id }
            }
            fixed => Self::Fixed { width: width_of(fixed) },
        }
    }
}

fn width_of(data_type: &DataType) -> u64 {
    data_type.primitive_width().unwrap_or_default() as u64
}
