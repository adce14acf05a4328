//! Reads the body of a message: its nodes and buffers, column by column, against the schema.

use std::ops::Range;
use std::sync::Arc;

use arrow_ipc::{self as ipc, BodyCompressionMethod, CompressionType, FieldNode};
use flatbuffers::Vector;

use super::diagnostic::{Code, Diagnostic};
use super::regions::{BufferKind, Codec, MessageKind, NodeLayout, RegionKind};
use super::schema::Shape;
use super::{DictionaryState, Framed, SchemaLayout, Walk};

/// A message that cannot be read further; the reason is reported.
pub(super) struct Stop;

/// What the length of a column must be, given its parent.
#[derive(Clone, Copy, Debug)]
enum Length {
    Exactly(u64),
    AtLeast(u64),
    Any,
}

impl<'p> Walk<'p, '_> {
    /// Reads the message at this index of the layout.
    pub(super) fn message(&mut self, index: usize, message: Framed<'p>) {
        let Some(layout) = self.layout.messages.get(index) else {
            return;
        };
        let (kind, body_at, offset) = (layout.kind, layout.body_offset(), layout.offset);
        let body = body_at..layout.range().end;
        let stream = layout.stream;
        let schema = self.layout.schema_of(layout).map(Arc::clone);
        let n_regions = self.layout.regions.len();
        match (kind, schema) {
            (MessageKind::Schema, _) => {}
            (MessageKind::Other, _) => {
                let found = message
                    .header_type()
                    .variant_name()
                    .unwrap_or("an unknown header");
                let expected = "a schema, dictionary or record batch";
                self.report_in(index, Code::MessageKind, offset, found, expected);
            }
            // The fault is reported where the schema should be.
            (_, None) => {}
            (kind, Some(schema)) => {
                let n_dictionaries = schema.dictionaries.len();
                let spent = &mut self.spent;
                if spent.stream != stream || spent.dictionaries.len() != n_dictionaries {
                    spent.stream = stream;
                    spent.dictionaries = vec![DictionaryState::default(); n_dictionaries];
                }
                // Both report why they stop.
                let _: Result<(), Stop> = match kind {
                    MessageKind::Dictionary { id, is_delta } => {
                        self.dictionary(index, message, &schema, id, is_delta)
                    }
                    _ => self.record_batch(index, message, &schema),
                };
            }
        }
        if self.layout.regions.len() == n_regions {
            self.region(body.start, body.len(), Some(index), RegionKind::Unclaimed);
        }
    }

    fn record_batch(
        &mut self,
        index: usize,
        message: Framed<'p>,
        schema: &SchemaLayout,
    ) -> Result<(), Stop> {
        let at = self.metadata_at(index);
        let Some(batch) = message.header_as_record_batch() else {
            self.report_in(index, Code::MissingPart, at, "no record batch", "one");
            return Err(Stop);
        };
        let rows = match u64::try_from(batch.length()) {
            Ok(rows) if rows <= self.options.max_rows.saturating_sub(self.spent.rows) => rows,
            Ok(rows) => {
                let left = self.options.max_rows - self.spent.rows;
                let expected = format!("at most {left} more");
                self.report_in(index, Code::OverCap, at, format!("{rows} rows"), expected);
                return Err(Stop);
            }
            Err(_) => {
                let found = format!("{} rows", batch.length());
                self.report_in(index, Code::RowCount, at, found, "0 or more");
                return Err(Stop);
            }
        };
        self.spent.rows += rows;
        self.columns(index, batch, schema, 0..schema.record_columns, rows)
    }

    fn dictionary(
        &mut self,
        index: usize,
        message: Framed<'p>,
        schema: &SchemaLayout,
        id: i64,
        is_delta: bool,
    ) -> Result<(), Stop> {
        let at = self.metadata_at(index);
        let Some(batch) = message
            .header_as_dictionary_batch()
            .and_then(|header| header.data())
        else {
            self.report_in(
                index,
                Code::MissingPart,
                at,
                "a dictionary without values",
                "values",
            );
            return Err(Stop);
        };
        let Some(position) = schema.dictionary(id) else {
            let known: Vec<String> = schema
                .dictionary_ids()
                .take(8)
                .map(|id| id.to_string())
                .collect();
            let expected = format!("one of [{}]", known.join(", "));
            self.report_in(
                index,
                Code::DictionaryUnknown,
                at,
                format!("id {id}"),
                expected,
            );
            return Err(Stop);
        };
        let values = schema.dictionaries[position].values;
        let before = self
            .spent
            .dictionaries
            .get(position)
            .copied()
            .unwrap_or_default();
        let is_file = self.layout.framing == super::Framing::File;
        let fault = match (is_delta, before.is_defined) {
            (true, false) => Some((Code::DictionaryDelta, "a delta", "the dictionary first")),
            (false, true) if is_file => Some((Code::DictionaryReplaced, "another", "a delta")),
            _ => None,
        };
        if let Some((code, found, expected)) = fault {
            self.diagnostics.push(Diagnostic {
                code,
                message: Some(index),
                column: schema.dictionary_path(id),
                buffer: None,
                offset: at,
                found: format!("{found} for id {id}"),
                expected: expected.to_owned(),
            });
        }
        let Ok(rows) = u64::try_from(batch.length()) else {
            let found = format!("{} values", batch.length());
            self.report_in(index, Code::RowCount, at, found, "0 or more");
            return Err(Stop);
        };
        let raw_before = self.spent.raw;
        let end = schema
            .columns
            .get(values)
            .map_or(values, |column| column.end);
        self.columns(index, batch, schema, values..end, rows)?;
        let mut raw = self.spent.raw - raw_before;
        if is_delta {
            // A reader appends by copying the dictionary as it was.
            self.charge(index, at, before.raw);
            raw += before.raw;
        }
        if let Some(state) = self.spent.dictionaries.get_mut(position) {
            *state = DictionaryState {
                is_defined: true,
                raw,
            };
        }
        Ok(())
    }

    pub(super) fn metadata_at(&self, index: usize) -> usize {
        self.layout
            .messages
            .get(index)
            .map_or(0, |layout| layout.offset + layout.prefix_len)
    }

    /// Counts bytes that decoding will allocate. Says once that there are too many.
    pub(super) fn charge(&mut self, index: usize, at: usize, bytes: u64) {
        let max = self.options.max_raw_bytes;
        let was_within = self.spent.raw <= max;
        self.spent.raw = self.spent.raw.saturating_add(bytes);
        if was_within && self.spent.raw > max {
            let found = format!("{} bytes decompressed", self.spent.raw);
            self.report_in(index, Code::OverCap, at, found, format!("at most {max}"));
        }
    }

    fn columns(
        &mut self,
        index: usize,
        batch: ipc::RecordBatch<'p>,
        schema: &SchemaLayout,
        columns: Range<usize>,
        rows: u64,
    ) -> Result<(), Stop> {
        let at = self.metadata_at(index);
        let codec = self.codec(index, at, batch)?;
        let (Some(nodes), Some(buffers)) = (batch.nodes(), batch.buffers()) else {
            self.report_in(
                index,
                Code::MissingPart,
                at,
                "no nodes or buffers",
                "both lists",
            );
            return Err(Stop);
        };
        let Some(layout) = self.layout.messages.get_mut(index) else {
            return Err(Stop);
        };
        (layout.codec, layout.rows) = (codec, rows);
        let (body, version) = (layout.body_offset()..layout.range().end, layout.version);
        let first = (self.layout.nodes.len(), self.layout.buffers.len());
        let mut reader = BodyReader {
            first_region: self.layout.regions.len(),
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
            body,
            codec,
            version,
        };
        let mut next = columns.start;
        let mut result = Ok(());
        while next < columns.end && result.is_ok() {
            result = reader.column(next, Length::Exactly(rows));
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

    fn codec(
        &mut self,
        index: usize,
        at: usize,
        batch: ipc::RecordBatch<'p>,
    ) -> Result<Codec, Stop> {
        let Some(compression) = batch.compression() else {
            return Ok(Codec::None);
        };
        match (compression.codec(), compression.method()) {
            (CompressionType::LZ4_FRAME, BodyCompressionMethod::BUFFER) => Ok(Codec::Lz4),
            (CompressionType::ZSTD, BodyCompressionMethod::BUFFER) => Ok(Codec::Zstd),
            (codec, method) => {
                let found = format!("codec {}, method {}", codec.0, method.0);
                let expected = "codec 0 (lz4) or 1 (zstd), method 0";
                self.report_in(index, Code::UnknownCodec, at, found, expected);
                Err(Stop)
            }
        }
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
    /// The first region of this body.
    pub(super) first_region: usize,
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
        // Union arrays have no nulls of their own since version 5; null and run-end encoded
        // arrays never had any.
        let has_validity = match layout.shape {
            Shape::Null | Shape::RunEndEncoded => false,
            Shape::Union { .. } => self.version < 5,
            _ => true,
        };
        if has_validity {
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
            Shape::ListView {
                offset_width: width,
            } => {
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
                self.buffer(
                    column,
                    BufferKind::Keys,
                    full(key_width)..full(key_width),
                    key_width,
                )?;
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
        let node = self.nodes.get(self.next_node);
        self.next_node += 1;
        // A bit for each value bounds what readers make of columns that store nothing, and
        // everything that is computed from the length here.
        let max = self
            .walk
            .options
            .max_raw_bytes
            .saturating_mul(8)
            .min(usize::MAX as u64 >> 5);
        let len = match u64::try_from(node.length()) {
            Ok(len) if len <= max => len,
            _ => {
                let found = format!("{} values", node.length());
                let code = if node.length() < 0 {
                    Code::NodeLength
                } else {
                    Code::OverCap
                };
                self.report(code, column, None, self.at, found, format!("0 to {max}"));
                return Err(Stop);
            }
        };
        let expected = match length {
            Length::Exactly(expected) if len != expected => Some(format!("{expected}")),
            Length::AtLeast(least) if len < least => Some(format!("at least {least}")),
            _ => None,
        };
        if let Some(expected) = expected {
            let found = format!("{len} values");
            self.report(Code::NodeLength, column, None, self.at, found, expected);
        }
        let is_null = self.schema.columns[column].shape == Shape::Null;
        let null_count = match u64::try_from(node.null_count()) {
            Ok(nulls) if nulls <= len && (!is_null || nulls == len) => nulls,
            _ => {
                let found = format!("{} nulls", node.null_count());
                let expected = if is_null {
                    format!("{len}")
                } else {
                    format!("0 to {len}")
                };
                self.report(Code::NullCount, column, None, self.at, found, expected);
                0
            }
        };
        self.walk.charge(self.index, self.at, len.div_ceil(8));
        let node = NodeLayout {
            column,
            len,
            null_count,
        };
        self.walk.layout.nodes.push(node);
        Ok(node)
    }

    fn variadic_count(&mut self, column: usize) -> Result<usize, Stop> {
        let counts = self
            .variadic
            .filter(|counts| self.next_variadic < counts.len());
        let count = counts.map(|counts| counts.get(self.next_variadic));
        self.next_variadic += 1;
        let left = self.buffers.len() - self.next_buffer;
        match count.map(|count| (count, usize::try_from(count))) {
            Some((_, Ok(count))) if count <= left => Ok(count),
            found => {
                let found =
                    found.map_or("none".to_owned(), |(count, _)| format!("{count} buffers"));
                let expected = format!("0 to {left}, as are left");
                self.report(Code::VariadicCount, column, None, self.at, found, expected);
                Err(Stop)
            }
        }
    }

    /// A dictionary may be left out where every key is null.
    fn dictionary_is_defined(&mut self, column: usize, id: i64, node: NodeLayout) {
        let state = self
            .schema
            .dictionary(id)
            .and_then(|at| self.walk.spent.dictionaries.get(at));
        let is_defined = state.is_some_and(|state| state.is_defined);
        if !is_defined && node.null_count < node.len {
            let found = format!("keys of dictionary {id}");
            let expected = "the dictionary before them".to_owned();
            self.report(
                Code::DictionaryUndefined,
                column,
                None,
                self.at,
                found,
                expected,
            );
        }
    }

    /// What the lists hold beyond the last column.
    fn leftovers(&mut self) {
        let variadic = self.variadic.map_or(0, |counts| counts.len());
        let counts = [
            (Code::NodeCount, self.nodes.len(), self.next_node, "nodes"),
            (
                Code::BufferCount,
                self.buffers.len(),
                self.next_buffer,
                "buffers",
            ),
            (
                Code::VariadicCount,
                variadic,
                self.next_variadic,
                "variadic counts",
            ),
        ];
        for (code, found, expected, what) in counts {
            if found != expected {
                let found = format!("{found} {what}");
                self.walk
                    .report_in(self.index, code, self.at, found, expected.to_string());
            }
        }
    }
}
