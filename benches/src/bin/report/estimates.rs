use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::Value;

/// How long each case took, by its id.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct Estimates(BTreeMap<String, Estimate>);

/// One case.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Estimate {
    pub(crate) median_ns: f64,
    /// The interval that the median lies in, with 95 % confidence.
    pub(crate) low_ns: f64,
    pub(crate) high_ns: f64,
    /// Rows of one iteration; 0 where it has none.
    pub(crate) n_rows: u64,
}

impl Estimate {
    pub(crate) fn ns_per_row(&self) -> f64 {
        self.median_ns / self.n_rows as f64
    }
}

impl Estimates {
    /// Everything below criterion's folder.
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let mut found = BTreeMap::new();
        read_into(folder, &mut found)
            .with_context(|| format!("reading criterion's results in {}", folder.display()))?;
        Ok(Self(found))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, id: &str) -> Option<Estimate> {
        self.0.get(id).copied()
    }

    /// In the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Estimate)> {
        self.0.iter().map(|(id, estimate)| (id.as_str(), estimate))
    }
}

fn read_into(folder: &Path, found: &mut BTreeMap<String, Estimate>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.ends_with("new") {
            let read = |name| -> Result<Value> {
                Ok(serde_json::from_slice(&fs::read(path.join(name))?)?)
            };
            let (benchmark, estimates) = (read("benchmark.json")?, read("estimates.json")?);
            let id = benchmark["full_id"].as_str().context("a result without an id")?;
            let median = &estimates["median"];
            let interval = &median["confidence_interval"];
            let number = |value: &Value| value.as_f64().context("a result without a number");
            let estimate = Estimate {
                median_ns: number(&median["point_estimate"])?,
                low_ns: number(&interval["lower_bound"])?,
                high_ns: number(&interval["upper_bound"])?,
                n_rows: benchmark["throughput"]["Elements"].as_u64().unwrap_or(0),
            };
            found.insert(id.to_owned(), estimate);
        } else if path.is_dir() {
            read_into(&path, found)?;
        }
    }
    Ok(())
}
