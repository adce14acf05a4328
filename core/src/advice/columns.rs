use std::sync::Arc;

use arrow_schema::DataType;

use crate::{
    inspect::{is_same, shortened},
    layout::{BufferKind, Codec, Layout, MessageKind, RegionKind, SchemaLayout},
};

/// What the rules look at.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Length of the payload.
    pub(super) bytes: u64,
    /// Rows of all record batches.
    pub(super) rows: u64,
    /// Record batches.
    pub(super) batches: u64,
    /// Bytes that are neither buffers nor values: metadata and padding.
    pub(super) overhead: u64,
    /// Whether any body is compressed.
    pub(super) is_compressed: bool,
    /// Bytes of all buffers, and the same decompressed.
    pub(super) stored: u64,
    pub(super) raw: u64,
    /// The first schema, and its columns.
    schema: Option<Arc<SchemaLayout>>,
    pub(super) columns: Vec<ColumnFacts>,
}

/// A column at any depth, summed over all messages.
#[derive(Clone, Debug)]
pub(super) struct ColumnFacts {
    pub(super) data_type: DataType,
    pub(super) values: u64,
    pub(super) nulls: u64,
    pub(super) stored: u64,
    pub(super) raw: u64,
    /// Bytes of its offsets in the payload.
    pub(super) offsets: u64,
    /// Bytes of its validity in the payload.
    pub(super) validity: u64,
    /// Values of its dictionary in all messages, where it has one, and their bytes in the payload.
    pub(super) dictionary_values: u64,
    pub(super) dictionary_stored: u64,
    /// Whether these are the values of a dictionary.
    pub(super) is_dictionary: bool,
}

impl Facts {
    pub(super) fn of(layout: &Layout) -> Self {
        let padding = layout.regions.iter().filter(|region| region.kind == RegionKind::Padding);
        let padding: usize = padding.map(|region| region.len).sum();
        let mut facts = Self {
            bytes: layout.bytes as u64,
            rows: layout.rows(),
            batches: layout.record_batches().count() as u64,
            overhead: (layout.metadata_bytes() + padding) as u64,
            is_compressed: layout.messages.iter().any(|message| message.codec != Codec::None),
            stored: layout.buffers.iter().map(|buffer| buffer.stored as u64).sum(),
            raw: layout.buffers.iter().map(|buffer| buffer.raw).fold(0, u64::saturating_add),
            schema: None,
            columns: Vec::new(),
        };
        let Some(schema) = layout.streams.first().and_then(|stream| stream.schema.as_ref()) else {
            return facts;
        };
        let column = |i: usize| ColumnFacts {
            data_type: schema.columns[i].field.data_type().clone(),
            values: 0,
            nulls: 0,
            stored: 0,
            raw: 0,
            offsets: 0,
            validity: 0,
            dictionary_values: 0,
            dictionary_stored: 0,
            is_dictionary: schema.columns[i].dictionary_of.is_some(),
        };
        facts.schema = Some(schema.clone());
        facts.columns = (0..schema.columns.len()).map(column).collect();
        for message in &layout.messages {
            if !layout.schema_of(message).is_some_and(|other| is_same(schema, other)) {
                continue;
            }
            for node in layout.nodes_of(message) {
                let column = &mut facts.columns[node.column];
                column.values = column.values.saturating_add(node.len);
                column.nulls = column.nulls.saturating_add(node.null_count);
            }
            for buffer in layout.buffers_of(message) {
                let column = &mut facts.columns[buffer.column];
                let stored = buffer.stored as u64;
                column.stored += stored;
                column.raw = column.raw.saturating_add(buffer.raw);
                match buffer.kind {
                    BufferKind::Offsets => column.offsets += stored,
                    BufferKind::Validity => column.validity += stored,
                    _ => {}
                }
            }
            if matches!(message.kind, MessageKind::Dictionary { .. })
                && let Some(node) = layout.nodes_of(message).first()
                && let Some(user) = schema.columns[node.column].dictionary_of
            {
                let values = &mut facts.columns[user].dictionary_values;
                *values = values.saturating_add(message.rows);
            }
        }
        for (i, column) in schema.columns.iter().enumerate() {
            if let Some(user) = column.dictionary_of {
                facts.columns[user].dictionary_stored = facts.columns[i].stored;
            }
        }
        facts
    }

    /// What a column is called. Made when it is asked for: a hostile schema has many columns.
    pub(super) fn path(&self, column: usize) -> String {
        self.schema.as_ref().map_or_else(String::new, |schema| shortened(&schema.path(column)))
    }

    /// `part` of the payload, from 0 to 1.
    pub(super) fn share(&self, part: u64) -> f64 {
        if self.bytes == 0 { 0.0 } else { part as f64 / self.bytes as f64 }
    }
}

impl ColumnFacts {
    /// How many times larger it is decompressed.
    pub(super) fn ratio(&self) -> f64 {
        self.raw as f64 / self.stored.max(1) as f64
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(
            self.data_type,
            DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
        )
    }
}
