//! What a page calls: a payload goes in once and stays, and what is shown of it comes out. The
//! work is done in [`volley_core::view`].
//!
//! Summaries and rows come as JSON, the byte map and bytes as typed arrays, whose memory a worker
//! can hand over. `types.d.ts` describes the JSON.

mod what_if;

use volley_core::{
    codec::ParseCodecError,
    view::{
        Direction, Envelope, Filter, Query, REGION_KINDS, RegionMap, SelectError, Sort, View,
        WhatIf,
    },
};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &'static str = include_str!("types.d.ts");

/// An open payload. `free()` it, or end the worker that holds it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Payload {
    view: View,
    /// What is being measured.
    what_if: Option<WhatIf>,
}

#[wasm_bindgen]
impl Payload {
    /// Opens any bytes. Record batches alone are read with the schema that `schema` begins with.
    ///
    /// # Errors
    /// What is wrong with `schema`.
    #[wasm_bindgen(constructor)]
    #[expect(clippy::needless_pass_by_value, reason = "optional bytes come in no other way")]
    pub fn new(payload: Vec<u8>, schema: Option<Vec<u8>>) -> Result<Self, JsError> {
        let view = View::open(payload, schema.as_deref()).map_err(JsError::from)?;
        Ok(Self { view, what_if: None })
    }

    /// Sizes, columns, tables and findings. Nothing is decoded for it.
    #[wasm_bindgen(unchecked_return_type = "Json<Summary>")]
    pub fn summary(&self) -> String {
        json(&self.view.summary())
    }

    /// Holds the Kafka message that the payload came in against it.
    ///
    /// # Errors
    /// Where `envelope` is not the JSON of an `Envelope`.
    #[wasm_bindgen(unchecked_return_type = "Json<EnvelopeCheck>")]
    pub fn envelope(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Json<Envelope>")] envelope: &str,
    ) -> Result<String, JsError> {
        let envelope: Envelope = serde_json::from_str(envelope).map_err(JsError::from)?;
        Ok(json(&self.view.check_envelope(&envelope)))
    }

    /// The byte map.
    pub fn map(&self) -> Regions {
        Regions { map: self.view.map() }
    }

    /// One region of the map in words.
    #[wasm_bindgen(unchecked_return_type = "Json<RegionDetail | null>")]
    pub fn region(&self, index: u32) -> String {
        json(&self.view.region(index as usize))
    }

    /// Bytes of the payload; fewer where it ends.
    pub fn bytes(&self, offset: u32, count: u32) -> Vec<u8> {
        self.view.bytes(offset as usize, count as usize).to_vec()
    }

    /// Rows of a table: `positions` are those of columns among `TableSummary.tops`.
    #[wasm_bindgen(unchecked_return_type = "Json<Window>")]
    pub fn rows(&mut self, table: u32, first: f64, count: u32, positions: &[u32]) -> String {
        let positions: Vec<usize> = positions.iter().map(|&position| position as usize).collect();
        json(&self.view.rows(table as usize, first as u64, count as usize, &positions))
    }

    /// Begins to select rows of a table: those that pass a test of the column at `filtered`, in
    /// either order of the column at `sorted`. `rows` shows them when `select_more` is done; with
    /// neither, all.
    ///
    /// # Errors
    /// Where there is no such column or test, or there are too many rows to sort.
    pub fn select(
        &mut self,
        table: u32,
        filtered: Option<u32>,
        test: &str,
        value: &str,
        sorted: Option<u32>,
        is_descending: bool,
    ) -> Result<(), JsError> {
        let filter = filtered.map(|position| -> Result<Filter, SelectError> {
            let (position, value) = (position as usize, value.to_owned());
            Ok(Filter { position, test: test.parse()?, value })
        });
        let filter = filter.transpose().map_err(JsError::from)?;
        let direction = if is_descending { Direction::Descending } else { Direction::Ascending };
        let sort = sorted.map(|position| Sort { position: position as usize, direction });
        self.view.select(Query { table: table as usize, filter, sort }).map_err(JsError::from)
    }

    /// Goes a few rows further with each call: done when all are gone through.
    ///
    /// # Errors
    /// Where too many rows pass.
    #[wasm_bindgen(unchecked_return_type = "Json<Selected>")]
    pub fn select_more(&mut self) -> Result<String, JsError> {
        Ok(json(&self.view.select_more().map_err(JsError::from)?))
    }

    /// Numbers of the rows that are selected; none while all are shown.
    pub fn selection(&self, first: f64, count: u32) -> Vec<u32> {
        self.view.selection(first as usize, count as usize).to_vec()
    }

    /// Holds another payload, always the same one, against this one. Goes a few rows further with
    /// each call.
    #[wasm_bindgen(unchecked_return_type = "Json<Comparison>")]
    pub fn compare(&mut self, other: &mut Self) -> String {
        json(self.view.compare(&mut other.view))
    }

    /// One part of a table as `csv`, `ndjson` or `arrow:CODEC`: what goes before its batches, each
    /// batch, what goes after them.
    ///
    /// # Errors
    /// What is damaged, or not a format.
    pub fn export_part(&mut self, table: u32, part: u32, format: &str) -> Result<Vec<u8>, JsError> {
        let format = format.parse().map_err(|error: ParseCodecError| JsError::from(error))?;
        self.view.export(table as usize, part as usize, format).map_err(JsError::from)
    }

    /// The table as one of ClickHouse that is called `name`.
    #[wasm_bindgen(unchecked_return_type = "Json<ClickHouseTable | null>")]
    pub fn clickhouse(&self, table: u32, name: &str) -> String {
        json(&self.view.clickhouse(table as usize, name))
    }

    /// What makes the payload larger or slower than it needs to be.
    #[wasm_bindgen(unchecked_return_type = "Json<Advice[]>")]
    pub fn advice(&self) -> String {
        json(&self.view.advice())
    }

    /// The most frequent values of a column, by its position among `TableSummary.tops`, and how
    /// numbers lie. Goes a few batches further with each call.
    #[wasm_bindgen(unchecked_return_type = "Json<Values>")]
    pub fn values(&mut self, table: u32, position: u32) -> String {
        json(&self.view.values(table as usize, position as usize))
    }

    /// The least and greatest value of a column, which counts from the table's first. Goes a few
    /// batches further with each call.
    #[wasm_bindgen(unchecked_return_type = "Json<Extremes>")]
    pub fn extremes(&mut self, table: u32, column: u32) -> String {
        json(&self.view.extremes(table as usize, column as usize))
    }
}

/// The byte map, an entry a region in each list. A list can be taken once.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Regions {
    map: RegionMap,
}

#[wasm_bindgen]
impl Regions {
    /// The first byte of each.
    pub fn offsets(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.map.offsets)
    }

    /// How many bytes.
    pub fn lens(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.map.lens)
    }

    /// Index into `region_kinds()`.
    pub fn kinds(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.map.kinds)
    }

    /// Index into `Summary.columns`, or 0xffffffff.
    pub fn columns(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.map.columns)
    }

    /// Index of the message, or 0xffffffff.
    pub fn messages(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.map.messages)
    }
}

/// Names of the kinds of regions.
#[wasm_bindgen]
pub fn region_kinds() -> Vec<String> {
    REGION_KINDS.map(str::to_owned).to_vec()
}

fn json(value: &impl serde::Serialize) -> String {
    #[expect(clippy::expect_used, reason = "strings and numbers have no way to fail")]
    serde_json::to_string(value).expect("plain data")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Int32Array, RecordBatch, StringArray};
    use serde_json::{Value, json};
    use volley_core::{
        codec::{Codec, CodecOptions, Framing},
        encode::encode,
    };

    use super::*;

    fn payload() -> Vec<u8> {
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("device", Arc::new(StringArray::from(vec!["a", "bb"])) as _, false),
            ("n", Arc::new(Int32Array::from(vec![Some(7), None])) as _, true),
        ])
        .unwrap();
        encode(&batch, CodecOptions { codec: Codec::None, framing: Framing::Stream }).unwrap()
    }

    fn open(payload: &[u8]) -> Payload {
        Payload { view: View::open(payload.to_vec(), None).unwrap(), what_if: None }
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// What `types.d.ts` promises of the JSON.
    #[test]
    fn json_has_the_fields_that_are_described() {
        let mut payload = open(&payload());
        let summary = parsed(&payload.summary());
        let n = &summary["inspection"]["columns"][1];
        assert_eq!(
            (&n["path"], &n["type"], &n["values"]),
            (&json!("n"), &json!("int32"), &json!(2))
        );
        assert_eq!((&n["nulls"], &n["stored"], &n["raw"]), (&json!(1), &json!(9), &json!(9)));
        assert_eq!(
            summary["columns"][1],
            json!({
                "name": "n", "depth": 0, "parent": null, "is_dictionary": false,
                "is_nullable": true, "is_number": true, "has_order": true, "extension": null,
                "metadata": [],
            })
        );
        assert_eq!(
            summary["tables"],
            json!([{
                "first_column": 0, "n_columns": 2, "tops": [0, 1], "rows": 2, "batches": 1,
                "metadata": [],
            }])
        );
        assert_eq!(
            parsed(&payload.rows(0, 0.0, 9, &[1])),
            json!({
                "first": 0, "count": 2,
                "columns": [{ "kinds": "vn", "texts": ["7", ""], "faults": [] }],
            })
        );
        assert_eq!(
            parsed(&payload.extremes(0, 1)),
            json!({ "min": "7", "max": "7", "batches": 1, "done": 1, "damaged": 0, "fault": null })
        );
        assert_eq!(parsed(&payload.region(9999)), Value::Null);
        assert_eq!(parsed(&payload.region(0))["kind"], "prefix");
    }

    /// And of what follows from a payload.
    #[test]
    fn sheets_have_the_fields_that_are_described() {
        let mut payload = open(&payload());
        assert_eq!(
            parsed(&payload.values(0, 0)),
            json!({
                "rows": 2, "nulls": 0, "distinct": 2, "uncounted": 0,
                "top": [{ "text": "a", "rows": 1 }, { "text": "bb", "rows": 1 }],
                "histogram": [], "batches": 1, "done": 1, "fault": null,
            })
        );
        let table = parsed(&payload.clickhouse(0, "t"));
        assert_eq!(
            table["columns"][0],
            json!({ "name": "device", "type": "String", "fit": "exact", "note": null })
        );
        assert!(table["create"].is_string() && table["insert"].is_string());
        assert_eq!(parsed(&payload.clickhouse(1, "t")), Value::Null);
        let advice = parsed(&payload.advice());
        for one in advice.as_array().unwrap() {
            assert!(
                one["message"].is_string() && one["share"].is_number() && one["rule"].is_string()
            );
        }
        let check = payload.envelope(r#"{"headers":[{"name":"volley-rows","value":"3"}]}"#);
        let check = parsed(&check.unwrap_or_default());
        assert_eq!(
            check["headers"],
            json!([{ "name": "volley-rows", "value": "3", "status": "mismatch", "expected": "2" }])
        );
        assert_eq!((&check["checksum"], &check["notes"]), (&json!("absent"), &json!([])));
        assert_eq!(payload.export_part(0, 0, "csv").unwrap_or_default(), b"device,n\n");
    }

    /// Measuring asks a clock that only browsers have.
    #[test]
    fn what_if_knows_nothing_before_it_measures() {
        let mut payload = open(&payload());
        assert_eq!(payload.what_if_report("bytes").unwrap_or_default(), "null");
        payload.what_if_start(0, 1000.0);
        let report = parsed(&payload.what_if_report("cpu").unwrap_or_default());
        assert_eq!((&report["rows"], &report["points"]), (&json!(0), &json!([])));
        assert_eq!(payload.what_if_message(0).unwrap_or_default(), [0; 0]);
    }

    /// And of rows that are selected, and of two payloads.
    #[test]
    fn selections_and_comparisons_have_the_fields_that_are_described() {
        let mut one = open(&payload());
        assert!(one.select(0, Some(1), "not null", "", Some(0), true).is_ok());
        assert_eq!(
            parsed(&one.select_more().unwrap_or_default()),
            json!({ "rows": 1, "done": 2, "of": 2, "left_out": 0, "fault": null })
        );
        assert_eq!((one.selection(0.0, 9), one.selection(1.0, 9)), (vec![0], vec![]));
        assert_eq!(parsed(&one.rows(0, 0.0, 9, &[0]))["columns"][0]["texts"], json!(["a"]));

        let batch = RecordBatch::try_from_iter_with_nullable([
            ("n", Arc::new(Int32Array::from(vec![Some(7), Some(8), None])) as _, true),
            ("more", Arc::new(Int32Array::from(vec![1, 2, 3])) as _, false),
        ]);
        let other = encode(&batch.unwrap(), CodecOptions::default()).unwrap();
        let found = parsed(&one.compare(&mut open(&other)));
        assert_eq!(
            found,
            json!({
                "outcome": "different", "verdict": "row 1 differs in n",
                "schema": [
                    { "column": "device", "change": "removed", "values": ["utf8", ""] },
                    { "column": "more", "change": "added", "values": ["", "int32"] },
                ],
                "columns": [
                    { "one": 0, "other": null, "different": 0 },
                    { "one": 1, "other": 0, "different": 1 },
                    { "one": null, "other": 1, "different": 0 },
                ],
                "of": 2, "done": 2, "different": 1,
                "differences": [{
                    "table": 0, "row": 1, "position": 1, "column": "n", "kinds": "nv",
                    "texts": ["", "8"],
                }],
                "unread": 0, "faults": [],
            })
        );
    }

    #[test]
    fn lists_of_the_map_are_of_one_length() {
        let mut map = open(&payload()).map();
        let n = map.offsets().len();
        let lens = [map.lens().len(), map.kinds().len(), map.columns().len(), map.messages().len()];
        assert_eq!(lens, [n; 4]);
    }

    #[test]
    fn bytes_that_are_no_payload_are_guessed_at() {
        let check = |bytes: &[u8], expect: &str| {
            let summary = parsed(&open(bytes).summary());
            assert_eq!(summary["looks_like"]["name"], expect);
            assert_eq!(summary["inspection"]["diagnostics"][0]["severity"], "error");
        };
        check(b"{\"not\": \"arrow\"}", "JSON");
        check(b"", "nothing");
        check(b"ARROW1", "damaged Arrow");
    }
}
