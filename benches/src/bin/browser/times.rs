//! What `browser/run.mjs` measured.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use volley_benches::statistics::median;

/// Everything of a run.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Times {
    pub(crate) chromium: String,
    /// Of the peers' packages.
    pub(crate) versions: BTreeMap<String, String>,
    /// Bytes that each decoder is to load, with brotli.
    pub(crate) sizes: BTreeMap<Party, usize>,
    pub(crate) runs: Vec<Run>,
    pub(crate) paints: Paints,
    /// The longest task of the page's own thread while a large file opened; 0 where none took 50 ms.
    pub(crate) longest_task_ms: f64,
}

/// What decodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Party {
    /// `volley-viewer`.
    Volley,
    /// arrow-js with codecs in JavaScript.
    ArrowJsJs,
    /// arrow-js with zstd in wasm.
    ArrowJsWasm,
}

/// One party's way through one file, in a worker of its own. Milliseconds.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Run {
    pub(crate) file: String,
    pub(crate) party: Party,
    /// From the worker's start until it takes bytes.
    pub(crate) start_ms: f64,
    /// From there until it has the schema.
    pub(crate) schema_ms: f64,
    /// From there until it also has the first row.
    pub(crate) row_ms: f64,
    /// From there until it also has the least and greatest value of every column.
    pub(crate) all_ms: f64,
}

/// From a batch of 1 MB being dropped on the page until its rows are painted.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Paints {
    /// In a page that was just opened.
    pub(crate) first_ms: Vec<f64>,
    /// In the same page, the second time.
    pub(crate) again_ms: Vec<f64>,
}

impl Times {
    /// The median of a party's times with a file; `None` where it was not asked.
    pub(crate) fn median(
        &self,
        file: &str,
        party: Party,
        time: impl Fn(&Run) -> f64,
    ) -> Option<f64> {
        let those = self.runs.iter().filter(|run| run.party == party && run.file == file);
        let times: Vec<_> = those.map(time).collect();
        (!times.is_empty()).then(|| median(&times))
    }

    /// The median of a party's start, over all files.
    pub(crate) fn start_ms(&self, party: Party) -> f64 {
        let those = self.runs.iter().filter(|run| run.party == party);
        median(&those.map(|run| run.start_ms).collect::<Vec<_>>())
    }
}
