//! Reads a message against the schema of its stream: rows, dictionary, codec, then the body.

use std::ops::Range;
use std::sync::Arc;

use arrow_ipc::{self as ipc, BodyCompressionMethod, CompressionType};

use super::body::Stop;
use super::diagnostic::{Code, Diagnostic};
use super::frames::header_name;
use super::regions::{Codec, Framing, MessageKind, RegionKind};
use super::schema::Shape;
use super::{DictionaryState, Framed, SchemaLayout, Walk};

/// How many fields a reader may look at for the dictionaries of a payload, a few seconds' worth: 4,096
/// columns that all have one, or 100 columns with as many dictionaries in each of 1,600 batches.
const MAX_LOOKUPS: u64 = 1 << 24;

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
                let found = header_name(message);
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
        // No buffer lacks a byte: it is the length that is wrong.
        if let Some(cut) = self.cut.filter(|cut| cut.message == index && !cut.is_reported) {
            self.body_length(index, self.metadata_at(index), cut.declared, body.len());
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
        let Some(batch) = message.and_then(|message| message.header_as_record_batch()) else {
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
        let codec = self.codec(index, at, batch)?;
        self.columns(index, batch, schema, 0..schema.record_columns, rows, codec)
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
            .and_then(|message| message.header_as_dictionary_batch())
            .and_then(|header| header.data())
        else {
            self.report_in(index, Code::MissingPart, at, "a dictionary without values", "values");
            return Err(Stop);
        };
        let Some(position) = schema.dictionary(id) else {
            let known: Vec<String> =
                schema.dictionary_ids().take(8).map(|id| id.to_string()).collect();
            let expected = format!("one of [{}]", known.join(", "));
            self.report_in(index, Code::DictionaryUnknown, at, format!("id {id}"), expected);
            return Err(Stop);
        };
        self.charge_lookup(index, at, schema)?;
        let values = schema.dictionaries[position].values;
        let before = self.spent.dictionaries.get(position).copied().unwrap_or_default();
        let is_file = self.layout.framing == Framing::File;
        let fault = match (is_delta, before.is_defined) {
            (true, false) => Some((Code::DictionaryDelta, "a delta", "the dictionary first")),
            (false, true) if is_file => Some((Code::DictionaryReplaced, "another", "a delta")),
            _ => None,
        };
        if let Some((code, found, expected)) = fault.filter(|_| !self.diagnostics.is_full()) {
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
        let end = schema.columns.get(values).map_or(values, |column| column.end);
        let codec = self.codec(index, at, batch)?;
        self.columns(index, batch, schema, values..end, rows, codec)?;
        let own_raw = self.spent.raw - raw_before;
        let mut raw = own_raw.saturating_add(self.inner_raw(schema, values..end));
        if is_delta {
            // A reader appends by copying the dictionary as it was, and what it refers to.
            self.charge(index, at, before.raw);
            raw = raw.saturating_add(before.raw);
        }
        if let Some(state) = self.spent.dictionaries.get_mut(position) {
            *state = DictionaryState { is_defined: true, raw };
        }
        Ok(())
    }

    /// What the dictionaries that these columns refer to have been charged.
    fn inner_raw(&self, schema: &SchemaLayout, columns: Range<usize>) -> u64 {
        let columns = schema.columns.get(columns).unwrap_or_default();
        let inner = columns.iter().filter_map(|column| match column.shape {
            Shape::Dictionary { id, .. } => {
                self.spent.dictionaries.get(schema.dictionary(id)?).map(|state| state.raw)
            }
            _ => None,
        });
        inner.fold(0, u64::saturating_add)
    }

    /// Counts the fields that a reader goes over for each dictionary, to find the one that uses it.
    fn charge_lookup(
        &mut self,
        index: usize,
        at: usize,
        schema: &SchemaLayout,
    ) -> Result<(), Stop> {
        let n_columns = schema.record_columns;
        self.spent.lookups = self.spent.lookups.saturating_add(n_columns as u64);
        if self.spent.lookups <= MAX_LOOKUPS {
            return Ok(());
        }
        let found = format!("another dictionary for {n_columns} columns");
        let expected = format!("at most {MAX_LOOKUPS} columns over all dictionaries");
        self.report_in(index, Code::OverCap, at, found, expected);
        Err(Stop)
    }

    /// Where the flatbuffer of a message begins.
    pub(super) fn metadata_at(&self, index: usize) -> usize {
        self.layout.messages.get(index).map_or(0, |layout| layout.offset + layout.prefix_len)
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
