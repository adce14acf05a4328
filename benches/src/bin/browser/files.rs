//! The files that are read.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use arrow_array::RecordBatch;
use serde::Serialize;
use volley_benches::{Data, id, stream};
use volley_core::{codec::CodecOptions, encode::Encoder};

/// Recorded numbers, and texts: what is measured elsewhere lies between them.
const DATA: [Data; 2] = [Data::Host, Data::Logs];
const CODECS: [&str; 2] = ["zstd:1", "lz4"];
/// Bytes of the files, about.
const SIZES: [(&str, usize); 4] =
    [("100kB", 100_000), ("1MB", 1_000_000), ("10MB", 10_000_000), ("100MB", 100_000_000)];
/// Rows of a record batch.
const BATCH: usize = 10_000;
/// Rows from which is told how many make a file of some size.
const PROBE: usize = 50_000;

/// What is in a folder of files.
#[derive(Debug, Serialize)]
pub(crate) struct Files {
    pub(crate) files: Vec<File>,
    /// A file of one batch of 1 MB.
    batch: String,
    /// One of the largest files.
    pub(crate) large: String,
}

/// A stream of record batches of [`BATCH`] rows.
#[derive(Debug, Serialize)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) data: &'static str,
    pub(crate) codec: &'static str,
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// Writes the files, and `files.json` about them.
pub(crate) fn make(folder: &Path, is_quick: bool) -> Result<Files> {
    let sizes = if is_quick { &SIZES[..3] } else { &SIZES };
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).with_context(|| format!("{name} could not be written"))
    };
    let mut files = Vec::new();
    for data in DATA {
        let mut table = data.table(PROBE);
        for codec in CODECS {
            let probed = payload(&table.slice(0, PROBE), stream(codec), BATCH)?.len();
            for (size, bytes) in sizes {
                let rows = (bytes * PROBE / probed).div_ceil(BATCH) * BATCH;
                if table.num_rows() < rows {
                    table = data.table(rows);
                }
                let payload = payload(&table.slice(0, rows), stream(codec), BATCH)?;
                let name = format!("{}-{size}-{}.arrows", data.name(), id(codec.parse()?));
                write(&name, &payload)?;
                files.push(File { name, data: data.name(), codec, rows, bytes: payload.len() });
            }
        }
    }
    let table = Data::Logs.table(PROBE);
    let probed = payload(&table, stream("zstd:1"), PROBE)?.len();
    let rows = 1_000_000 * PROBE / probed;
    let batch = "batch.arrows".to_owned();
    write(&batch, &payload(&Data::Logs.table(rows), stream("zstd:1"), rows)?)?;
    let largest = files.iter().max_by_key(|file| file.bytes);
    let large = largest.map(|file| file.name.clone()).unwrap_or_default();
    let made = Files { files, batch, large };
    write("files.json", serde_json::to_string(&made)?.as_bytes())?;
    Ok(made)
}

fn payload(table: &RecordBatch, options: CodecOptions, batch: usize) -> Result<Vec<u8>> {
    let starts = (0..table.num_rows()).step_by(batch);
    let len = |start| batch.min(table.num_rows() - start);
    let batches: Vec<_> = starts.map(|start| table.slice(start, len(start))).collect();
    Ok(Encoder::new(table.schema(), options)?.encode(&batches)?)
}
