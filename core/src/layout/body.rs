//! Reads the nodes and buffers of a message, column by column.

use std::ops::Range;

use arrow_ipc::{self as ipc, FieldNode};
use flatbuffers::Vector;

use super::diagnostic::{Code, Diagnostic};
use super::regions::{BufferKind, Codec, NodeLayout};
use super::schema::Shape;
use super::{SchemaLayout, Walk};

/// A message that cannot be read further; the reason is reported.
pub(super) struct Stop;

/// What the length of a column must be, given its parent.
#[derive(Clone, Copy, Debug)]
enum Length {
    /// That of the message, for a column at the top of a record batch.
    Rows(u64),
    Exactly(u64),
    AtLeast(u64),
    Any,
}

impl<'p> Walk<'p, '_> {
    /// Reads the body of a batch whose nodes and buffers are those of `columns`, in the order of
    /// the schema, and names its bytes.
    pub(super) fn columns(
        &mut self,
        index: usize,
        batch: ipc::RecordBatch<'p>,
        schema: &SchemaLayout,
        columns: Range<usize>,
        rows: u64,
        codec: Codec,
    ) -> Result<(), Stop> {
        let at = self.metadata_at(index);
        let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else {
            self.report_in(index, Code::MissingPart, at, "no nodes or buffers", "both lists");
            return Err(Stop);
        };
        let Some(layout) = self.layout.messages.get_mut(index) else {
            return Err(Stop);
        };
        (layout.codec, layout.rows) = (codec, rows);
        let (body, version) = (layout.body_offset()..layout.range().end, layout.version);
        let first = (self.layout.nodes.len(), self.layout.buffers.len());
        // No more than the flatbuffer holds, which was verified.
        self.layout.nodes.reserve(nodes.len());
        self.layout.buffers.reserve(buffers.len());
        self.layout.regions.reserve(buffers.len() + 2);
        let mut reader = BodyReader {
            first_region: self.layout.regions.len(),
            columns: columns.clone(),
            are_rows_at_fault: None,
            walk: self,
            schema,
            index,
            at,
            nodes,
            next_node: 0,
            buffers,
            next_buffer: 0,
            variadic: batch.variadicBufferCounts(),
            next_variadic: 0,
            cursor: body.start,
            is_in_order: true,
            unread: body.len(),
            body,
            codec,
            version,
        };
        let mut next = columns.start;
        let mut result = Ok(());
        while next < columns.end && result.is_ok() {
            result = reader.column(next, Length::Rows(rows));
            next = schema.columns[next].end;
        }
        if result.is_ok() {
            reader.leftovers();
        }
        reader.close(first.1);
        let last = (self.layout.nodes.len(), self.layout.buffers.len());
        if let Some(layout) = self.layout.messages.get_mut(index) {
            (layout.nodes, layout.buffers) = (first.0..last.0, first.1..last.1);
        }
        result
    }
}

/// Goes through the nodes and buffers of one record batch in the order of the schema.
pub(super) struct BodyReader<'r, 'p, 'w> {
    pub(super) walk: &'r mut Walk<'p, 'w>,
    pub(super) schema: &'r SchemaLayout,
    pub(super) index: usize,
    /// Where the flatbuffer begins.
    pub(super) at: usize,
    nodes: Vector<'p, FieldNode>,
    next_node: usize,
    pub(super) buffers: Vector<'p, ipc::Buffer>,
    pub(super) next_buffer: usize,
    variadic: Option<Vector<'p, i64>>,
    next_variadic: usize,
    pub(super) body: Range<usize>,
    pub(super) codec: Codec,
    version: u8,
    /// One past the last byte of the body that a buffer so far covers.
    pub(super) cursor: usize,
    /// Whether the buffers so far lie one after another.
    pub(super) is_in_order: bool,
    /// Bytes of frames that may still be read: buffers with more in all share bytes.
    pub(super) unread: usize,
    /// The first region of this body.
    pub(super) first_region: usize,
    columns: Range<usize>,
    /// Whether all columns agree on another number of rows than the message's, which is reported;
    /// known once a column differs.
    are_rows_at_fault: Option<bool>,
}

impl BodyReader<'_, '_, '_> {
    pub(super) fn report(
        &mut self,
        code: Code,
        column: usize,
        buffer: Option<BufferKind>,
        offset: usize,
        found: String,
        expected: String,
    ) {
        // A path may be long, and a hostile payload at fault in every buffer.
        if self.walk.diagnostics.is_full() {
            return;
        }
        self.walk.diagnostics.push(Diagnostic {
            code,
            message: Some(self.index),
            column: Some(self.schema.path(column)),
            buffer,
            offset,
            found,
            expected,
        });
    }

    fn column(&mut self, column: usize, length: Length) -> Result<(), Stop> {
        let schema = self.schema;
        let Some(layout) = schema.columns.get(column) else {
            return Err(Stop);
        };
        let node = self.node(column, length)?;
        let bits = node.len.div_ceil(8);
        if layout.shape.has_validity(self.version) {
            let is_read = node.null_count > 0 && !matches!(layout.shape, Shape::Union { .. });
            let least = if is_read { bits } else { 0 };
            self.buffer(column, BufferKind::Validity, least..bits, 1)?;
        }
        let full = |width: u64| node.len.saturating_mul(width);
        match layout.shape {
            Shape::Null | Shape::Struct | Shape::FixedSizeList { .. } | Shape::RunEndEncoded => {}
            Shape::Boolean => self.buffer(column, BufferKind::Values, bits..bits, 1)?,
            Shape::Fixed { width } => {
                self.buffer(column, BufferKind::Values, full(width)..full(width), 1)?;
            }
            Shape::Variable { offset_width } => {
                self.offsets(column, node.len, offset_width)?;
                self.buffer(column, BufferKind::Values, 0..u64::MAX, 1)?;
            }
            Shape::View => {
                self.buffer(column, BufferKind::Views, full(16)..full(16), 16)?;
                for _ in 0..self.variadic_count(column)? {
                    self.buffer(column, BufferKind::ViewData, 0..u64::MAX, 1)?;
                }
            }
            Shape::List { offset_width } => self.offsets(column, node.len, offset_width)?,
            Shape::ListView { offset_width: width } => {
                if cfg!(target_pointer_width = "32") && width == 8 {
                    // arrow-data adds offsets and sizes there and panics where the sum overflows.
                    let (found, expected) = ("a large list view", "a list view");
                    let (found, expected) = (found.to_owned(), expected.to_owned());
                    self.report(Code::UnsupportedType, column, None, self.at, found, expected);
                }
                self.buffer(column, BufferKind::Offsets, full(width)..full(width), width)?;
                self.buffer(column, BufferKind::Sizes, full(width)..full(width), width)?;
            }
            Shape::Union { is_dense } => {
                self.buffer(column, BufferKind::TypeIds, full(1)..full(1), 1)?;
                if is_dense {
                    self.buffer(column, BufferKind::Offsets, full(4)..full(4), 4)?;
                }
            }
            Shape::Dictionary { key_width, id } => {
                self.dictionary_is_defined(column, id, node);
                self.buffer(column, BufferKind::Keys, full(key_width)..full(key_width), key_width)?;
            }
        }
        let mut child = column + 1;
        let mut run_ends = None;
        while child < layout.end {
            let length = match layout.shape {
                Shape::Struct | Shape::Union { is_dense: false } => Length::Exactly(node.len),
                Shape::FixedSizeList { size } => Length::AtLeast(full(size)),
                Shape::RunEndEncoded => run_ends.map_or(Length::Any, Length::Exactly),
                _ => Length::Any,
            };
            let child_node = self.walk.layout.nodes.len();
            self.column(child, length)?;
            run_ends = self.walk.layout.nodes.get(child_node).map(|node| node.len);
            child = schema.columns[child].end;
        }
        Ok(())
    }

    /// `len + 1` offsets, or none at all for an empty column.
    fn offsets(&mut self, column: usize, len: u64, width: u64) -> Result<(), Stop> {
        let full = (len + 1).saturating_mul(width);
        let least = if len == 0 { 0 } else { full };
        self.buffer(column, BufferKind::Offsets, least..full, width)
    }

    fn node(&mut self, column: usize, length: Length) -> Result<NodeLayout, Stop> {
        if self.next_node >= self.nodes.len() {
            let found = format!("{} nodes", self.nodes.len());
            let expected = "one for each column".to_owned();
            self.report(Code::NodeCount, column, None, self.at, found, expected);
            return Err(Stop);
        }
        let shape = &self.schema.columns[column].shape;
        let node = self.nodes.get(self.next_node);
        self.next_node += 1;
        // A bit for each value bounds what readers make of columns that store nothing, and
        // everything that is computed from the length here.
        let max = self.walk.options.max_raw_bytes.saturating_mul(8).min(usize::MAX as u64 >> 5);
        let len = match u64::try_from(node.length()) {
            Ok(len) if len <= max => len,
            _ => {
                let found = format!("{} values", node.length());
                let code = if node.length() < 0 { Code::NodeLength } else { Code::OverCap };
                let buffer = shape.sized_buffer();
                self.report(code, column, buffer, self.at, found, format!("0 to {max}"));
                return Err(Stop);
            }
        };
        let expected = match length {
            Length::Rows(rows) if len != rows && self.are_rows_at_fault(rows, len) => None,
            Length::Rows(expected) | Length::Exactly(expected) if len != expected => {
                Some(format!("{expected}"))
            }
            Length::AtLeast(least) if len < least => Some(format!("at least {least}")),
            _ => None,
        };
        if let Some(expected) = expected {
            let found = format!("{len} values");
            let buffer = shape.sized_buffer();
            self.report(Code::NodeLength, column, buffer, self.at, found, expected);
        }
        let is_null = *shape == Shape::Null;
        let null_count = match u64::try_from(node.null_count()) {
            Ok(nulls) if nulls <= len && (!is_null || nulls == len) => nulls,
            _ => {
                let found = format!("{} nulls", node.null_count());
                let expected = if is_null { format!("{len}") } else { format!("0 to {len}") };
                let has_validity = shape.has_validity(self.version);
                let buffer = has_validity.then_some(BufferKind::Validity);
                self.report(Code::NullCount, column, buffer, self.at, found, expected);
                0
            }
        };
        self.walk.charge(self.index, self.at, len.div_ceil(8));
        let node = NodeLayout { column, len, null_count };
        self.walk.layout.nodes.push(node);
        Ok(node)
    }

    /// Whether it is the number of rows that is wrong, because several columns at the top all have
    /// this length. Looks at them, and says so, once.
    fn are_rows_at_fault(&mut self, rows: u64, len: u64) -> bool {
        if let Some(known) = self.are_rows_at_fault {
            return known;
        }
        let (mut n_columns, mut column) = (0, self.columns.start);
        let mut agree = true;
        while column < self.columns.end && agree {
            let node = column - self.columns.start;
            agree =
                node < self.nodes.len() && u64::try_from(self.nodes.get(node).length()) == Ok(len);
            n_columns += 1;
            column = self.schema.columns[column].end;
        }
        let is_at_fault = agree && n_columns > 1;
        if is_at_fault {
            let found = format!("{rows} rows");
            let expected = format!("{len}, as every column has");
            self.walk.report_in(self.index, Code::RowCount, self.at, found, expected);
        }
        self.are_rows_at_fault = Some(is_at_fault);
        is_at_fault
    }

    fn variadic_count(&mut self, column: usize) -> Result<usize, Stop> {
        let counts = self.variadic.filter(|counts| self.next_variadic < counts.len());
        let count = counts.map(|counts| counts.get(self.next_variadic));
        self.next_variadic += 1;
        let left = self.buffers.len() - self.next_buffer;
        match count.map(|count| (count, usize::try_from(count))) {
            Some((_, Ok(count))) if count <= left => Ok(count),
            found => {
                let found =
                    found.map_or("none".to_owned(), |(count, _)| format!("{count} buffers"));
                let expected = format!("0 to {left}, as are left");
                let buffer = Some(BufferKind::ViewData);
                self.report(Code::VariadicCount, column, buffer, self.at, found, expected);
                Err(Stop)
            }
        }
    }

    /// A dictionary may be left out where every key is null.
    fn dictionary_is_defined(&mut self, column: usize, id: i64, node: NodeLayout) {
        let state = self.schema.dictionary(id).and_then(|at| self.walk.spent.dictionaries.get(at));
        let is_defined = state.is_some_and(|state| state.is_defined);
        if !is_defined && node.null_count < node.len {
            let found = format!("keys of dictionary {id}");
            let expected = "the dictionary before them".to_owned();
            let buffer = Some(BufferKind::Keys);
            self.report(Code::DictionaryUndefined, column, buffer, self.at, found, expected);
        }
    }

    /// What the lists hold beyond the last column.
    fn leftovers(&mut self) {
        let variadic = self.variadic.map_or(0, |counts| counts.len());
        let counts = [
            (Code::NodeCount, self.nodes.len(), self.next_node, "nodes"),
            (Code::BufferCount, self.buffers.len(), self.next_buffer, "buffers"),
            (Code::VariadicCount, variadic, self.next_variadic, "variadic counts"),
        ];
        for (code, found, expected, what) in counts {
            if found != expected {
                let found = format!("{found} {what}");
                self.walk.report_in(self.index, code, self.at, found, expected.to_string());
            }
        }
    }
}
