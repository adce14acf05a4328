//! What a row costs when there are more of them, more partitions, or another loader.

use anyhow::Result;
use serde::Serialize;

use crate::{
    Compare,
    party::{N_PARTITIONS, Party, Sender},
    run::{Loaded, Sent},
};

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Scaling {
    /// The same rows in ever larger numbers.
    pub(crate) rows: Vec<(Sent, Loaded)>,
    /// The same number in ever more partitions.
    pub(crate) partitions: Vec<(Sent, Loaded)>,
    /// One loader, then two, on six partitions.
    pub(crate) loaders: Vec<Loaded>,
}

impl Compare {
    /// Volley alone: a tenth of a run's rows, as many, and ten times as many; then as many in more
    /// partitions and with more loaders.
    pub(crate) fn scaling(&self) -> Result<Scaling> {
        let mut scaling = Scaling::default();
        let n_rows = self.n_rows;
        for n_rows in [n_rows / 10, n_rows, n_rows * 10] {
            scaling.rows.push(self.once("rows", n_rows, N_PARTITIONS)?);
        }
        for n_partitions in [1, 2, 3, 6, 12] {
            scaling.partitions.push(self.once("partitions", n_rows, n_partitions)?);
        }
        for n_loaders in [1, 2] {
            self.say(&format!("scaling: {n_loaders} loaders"));
            let topic = format!("scaling-loaders-{n_loaders}");
            self.send(Sender::Volley, n_rows, &topic, 6)?;
            scaling.loaders.push(self.load(Party::Volley, n_rows, &topic, n_loaders)?);
            self.broker.delete_topic(&self.runtime, &topic)?;
        }
        Ok(scaling)
    }

    fn once(&self, what: &str, n_rows: u64, n_partitions: i32) -> Result<(Sent, Loaded)> {
        self.say(&format!("scaling: {n_rows} rows, {n_partitions} partitions"));
        let topic = format!("scaling-{what}-{n_rows}-{n_partitions}");
        let sent = self.send(Sender::Volley, n_rows, &topic, n_partitions)?;
        let loaded = self.load(Party::Volley, n_rows, &topic, 1)?;
        self.broker.delete_topic(&self.runtime, &topic)?;
        Ok((sent, loaded))
    }
}
