//! `cargo run -p volley-viewer --example fixtures -- FOLDER`: what the tests of the page open, and
//! what native code says of it, of the golden payloads, of the recorded ones, and of those of the
//! mutation tests that are in the folder: the browser's must say the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arrow_array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, NullArray,
    RecordBatch, RunArray, StringArray, StructArray, TimestampMicrosecondArray,
    types::{Int8Type, Int32Type},
};
use arrow_schema::{DataType, Field, Schema};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use volley_core::{
    codec::{Codec, CodecOptions, Framing},
    encode::Encoder,
    tune::{Clock, Objective},
    view::{Envelope, ExportFormat, TableSummary, View, WhatIf},
};

/// A message that the payloads may have come in.
const ENVELOPE: &str = r#"{
    "headers": [
        { "name": "volley-rows", "value": "40" },
        { "name": "volley-crc32c", "value": { "hex": "00000000" } },
        { "name": "trace", "value": null }
    ],
    "max_message_bytes": 4000,
    "compression": "gzip"
}"#;
/// Tables of more rows are not exported here.
const MAX_EXPORTED: u64 = 50_000;

fn main() -> Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).context("a folder is missing")?);
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).with_context(|| format!("{name} could not be written"))
    };
    fs::create_dir_all(&folder)?;
    write("fleet.arrows", &fleet(20_000, 2, Framing::Stream)?)?;
    write("fleet.arrow", &fleet(20_000, 2, Framing::File)?)?;
    write("batch.arrows", &fleet(44_200, 1, Framing::Stream)?)?;
    let few = few()?;
    write("what-if.json", serde_json::to_string(&what_if(&few)?)?.as_bytes())?;
    write("few.arrows", &few)?;
    write("rows.arrows", &fifty_million_rows()?)?;
    write("wide.arrows", &wide()?)?;
    let native = json!({ "envelope": ENVELOPE, "payloads": native(&folder)? });
    write("native.json", serde_json::to_string(&native)?.as_bytes())
}

/// What is shown of each payload.
fn native(made: &Path) -> Result<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut shown = serde_json::Map::new();
    for folder in [made, &root.join("core/tests/golden"), &root.join("benches/data")] {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e.to_string_lossy().starts_with("arrow")) {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                shown.insert(name, show(fs::read(&path)?)?);
            }
        }
    }
    Ok(shown.into())
}

fn show(payload: Vec<u8>) -> Result<Value> {
    let mut view = View::open(payload, None)?;
    let summary = view.summary();
    let map = view.map();
    let mut tables = Vec::new();
    for (at, table) in summary.tables.iter().enumerate() {
        let positions: Vec<usize> = (0..table.tops.len()).collect();
        tables.push(json!({
            "window": view.rows(at, 0, 200, &positions),
            "extremes": (0..table.n_columns).map(|c| view.extremes(at, c)).collect::<Vec<_>>(),
            "values": positions.iter().map(|&p| view.values(at, p)).collect::<Vec<_>>(),
            "clickhouse": view.clickhouse(at, "metrics"),
            "exports": exports(&mut view, at, table)?,
        }));
    }
    let regions: Vec<_> = (0..map.offsets.len()).map(|index| view.region(index)).collect();
    let envelope: Envelope = serde_json::from_str(ENVELOPE)?;
    Ok(json!({
        "summary": summary,
        "tables": tables,
        "advice": view.advice(),
        "envelope": view.check_envelope(&envelope),
        "regions": regions,
        "map": [map.offsets, map.lens, map.columns, map.messages],
    }))
}

/// What the points of a payload take, by their names: bytes of all messages, of the largest, and of
/// the first.
fn what_if(payload: &[u8]) -> Result<BTreeMap<String, [u64; 3]>> {
    let mut view = View::open(payload.to_vec(), None)?;
    let mut what_if = WhatIf::new(0, Duration::from_secs(3600));
    let mut clock = Elapsed(Instant::now());
    loop {
        what_if.step(&mut view, &mut clock, Duration::ZERO)?;
        let report = what_if.report(Objective::Bytes);
        if report.candidates > 0 && report.points.len() == report.candidates {
            let sizes = report.points.iter().enumerate().map(|(index, found)| {
                let first = what_if.message(index)?.context("a point without a message")?;
                let size = found.size;
                let bytes = [size.bytes, size.largest as u64, first.len() as u64];
                Ok((found.point.to_string(), bytes))
            });
            return sizes.collect();
        }
    }
}

struct Elapsed(Instant);

impl Clock for Elapsed {
    fn wall(&mut self) -> Duration {
        self.0.elapsed()
    }
}

/// The SHA-256 of every row in every format, or why there is none.
fn exports(view: &mut View, at: usize, table: &TableSummary) -> Result<Value> {
    let mut exports = serde_json::Map::new();
    if table.rows > MAX_EXPORTED {
        return Ok(exports.into());
    }
    for name in ["csv", "ndjson", "arrow:none", "arrow:lz4", "arrow:zstd:1"] {
        let format: ExportFormat = name.parse()?;
        let parts = (0..table.batches + 2).map(|part| view.export(at, part, format));
        let told = match parts.collect::<Result<Vec<_>, _>>() {
            Ok(parts) => {
                let digest = Sha256::digest(parts.concat());
                digest.iter().map(|byte| format!("{byte:02x}")).collect()
            }
            Err(error) => error.to_string(),
        };
        exports.insert(name.to_owned(), told.into());
    }
    Ok(exports.into())
}

fn options(codec: Codec, framing: Framing) -> CodecOptions {
    CodecOptions { codec, framing }
}

/// Samples of a fleet of machines: something of every kind that a page shows in its own way.
fn fleet(n_rows: usize, n_batches: usize, framing: Framing) -> Result<Vec<u8>> {
    let rows = || 0..n_rows;
    let noise = |row: usize| (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let share = |row: usize| (noise(row) % 10_000) as f64 / 100.0;
    let device: DictionaryArray<Int8Type> =
        rows().map(|row| ["gw-1", "gw-2", "edge-7", "edge-9", "lab"][row % 5]).collect();
    let ts = rows().map(|row| 1_748_000_000_000_000 + row as i64 * 250_000);
    let cpu = rows().map(|row| match row % 97 {
        13 => Some(f64::NAN),
        29 => None,
        _ => Some(share(row)),
    });
    let note = rows().map(|row| match row % 4 {
        0 => None,
        1 => Some(String::new()),
        _ => Some(format!("sample {row} of run {}", noise(row) % 1000)),
    });
    let read: Vec<i64> = rows().map(|row| (noise(row + 7) % 4_000_000) as i64).collect();
    let written: Vec<i64> = rows().map(|row| (noise(row + 9) % 900_000) as i64).collect();
    let number = |name| Arc::new(Field::new(name, DataType::Int64, false));
    let disk = StructArray::from(vec![
        (number("read"), Arc::new(Int64Array::from(read)) as ArrayRef),
        (number("written"), Arc::new(Int64Array::from(written)) as ArrayRef),
    ]);
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("device", Arc::new(device), false),
        (
            "ts",
            Arc::new(TimestampMicrosecondArray::from_iter_values(ts).with_timezone("UTC")),
            false,
        ),
        ("cpu", Arc::new(cpu.collect::<Float64Array>()), true),
        ("up", Arc::new(rows().map(|row| Some(row % 31 > 0)).collect::<BooleanArray>()), false),
        ("note", Arc::new(note.collect::<StringArray>()), true),
        ("disk", Arc::new(disk), false),
        (
            "id",
            Arc::new(StringArray::from_iter_values(rows().map(|r| format!("{:08x}", noise(r))))),
            false,
        ),
    ];
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array, nullable)| {
            let field = Field::new(*name, array.data_type().clone(), *nullable);
            match *name {
                "id" => field.with_metadata(
                    [("ARROW:extension:name".to_owned(), "fleet.sample-id".to_owned())].into(),
                ),
                "cpu" => field.with_metadata([("unit".to_owned(), "percent".to_owned())].into()),
                _ => field,
            }
        })
        .collect();
    let metadata = [("owner".to_owned(), "fleet".to_owned())].into();
    let schema = Arc::new(Schema::new_with_metadata(fields, metadata));
    let columns = columns.into_iter().map(|(_, array, _)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let len = n_rows / n_batches;
    let batches: Vec<_> = (0..n_batches).map(|at| batch.slice(at * len, len)).collect();
    Ok(Encoder::new(schema, options(Codec::default(), framing))?.encode(&batches)?)
}

/// Few rows with text that repeats, so that all points are measured soon.
fn few() -> Result<Vec<u8>> {
    let rows = || 0..2000_usize;
    let device = rows().map(|row| Some(["gw-1", "gw-2", "edge-7"][row * row % 3]));
    let cpu = rows().map(|row| (row * row % 997) as f64 / 10.0);
    let batch = RecordBatch::try_from_iter([
        ("device", Arc::new(device.collect::<StringArray>()) as ArrayRef),
        ("cpu", Arc::new(Float64Array::from_iter_values(cpu)) as _),
        ("n", Arc::new(Int64Array::from_iter_values(rows().map(|row| row as i64))) as _),
    ])?;
    let halves = [batch.slice(0, 1000), batch.slice(1000, 1000)];
    let options = options(Codec::default(), Framing::Stream);
    Ok(Encoder::new(batch.schema(), options)?.encode(&halves)?)
}

/// 50 batches of a million rows in a few kilobytes: columns of nothing, and of runs.
fn fifty_million_rows() -> Result<Vec<u8>> {
    let batch = |batch: i32| -> Result<RecordBatch> {
        let ends: Vec<i32> = (1..=1000).map(|run| run * 1000).collect();
        // The thousand that a row is in.
        let values: Vec<i32> = (0..1000).map(|run| batch * 1000 + run).collect();
        let runs =
            RunArray::<Int32Type>::try_new(&Int32Array::from(ends), &Int32Array::from(values))?;
        Ok(RecordBatch::try_from_iter([
            ("thousand", Arc::new(runs) as ArrayRef),
            ("nothing", Arc::new(NullArray::new(1_000_000)) as ArrayRef),
        ])?)
    };
    let batches = (0..50).map(batch).collect::<Result<Vec<_>>>()?;
    Ok(Encoder::new(batches[0].schema(), options(Codec::default(), Framing::Stream))?
        .encode(&batches)?)
}

/// More columns than fit any screen.
fn wide() -> Result<Vec<u8>> {
    let columns = (0..300).map(|column: i32| {
        let values: Vec<i32> = (0..100).map(|row| column * 100 + row).collect();
        (format!("column_{column}"), Arc::new(Int32Array::from(values)) as ArrayRef)
    });
    let batch = RecordBatch::try_from_iter(columns)?;
    Ok(Encoder::new(batch.schema(), options(Codec::Lz4, Framing::Stream))?.encode(&[batch])?)
}
