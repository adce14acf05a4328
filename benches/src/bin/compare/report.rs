//! All measurements of a comparison, as they are written down.

use serde::Serialize;
use volley_benches::{machine::Machine, statistics::median};

use crate::{
    freshness::Freshness,
    party::{Party, Sender},
    run::{Loaded, Sent},
    scaling::Scaling,
    steps::Steps,
};

/// What `compare.json` holds.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    /// Version of the engine.
    pub(crate) clickhouse: String,
    pub(crate) kafka: &'static str,
    /// Rows of each run.
    pub(crate) n_rows: u64,
    pub(crate) is_quick: bool,
    pub(crate) steps: Option<Steps>,
    pub(crate) sent: Vec<Sent>,
    pub(crate) loaded: Vec<Loaded>,
    pub(crate) fresh: Vec<Freshness>,
    pub(crate) scaling: Option<Scaling>,
}

impl Report {
    pub(crate) fn new(machine: Machine, clickhouse: String, n_rows: u64, is_quick: bool) -> Self {
        Self {
            machine,
            clickhouse,
            kafka: volley_e2e::KAFKA_VERSION,
            n_rows,
            is_quick,
            steps: None,
            sent: Vec::new(),
            loaded: Vec::new(),
            fresh: Vec::new(),
            scaling: None,
        }
    }

    /// Those that loaded, in order.
    pub(crate) fn parties(&self) -> Vec<Party> {
        let is_there = |party: &Party| self.loaded.iter().any(|loaded| loaded.party == *party);
        Party::ALL.into_iter().filter(is_there).collect()
    }

    /// Those that sent, in order.
    pub(crate) fn senders(&self) -> Vec<Sender> {
        let is_there = |sender: &Sender| self.sent.iter().any(|sent| sent.sender == *sender);
        Sender::ALL.into_iter().filter(is_there).collect()
    }

    /// The median of something over a sender's rounds.
    pub(crate) fn sent(&self, sender: Sender, value: impl Fn(&Sent) -> f64) -> f64 {
        let of_sender = self.sent.iter().filter(|sent| sent.sender == sender);
        median(&of_sender.map(value).collect::<Vec<_>>())
    }

    /// The median of something over a party's rounds.
    pub(crate) fn loaded(&self, party: Party, value: impl Fn(&Loaded) -> f64) -> f64 {
        let of_party = self.loaded.iter().filter(|loaded| loaded.party == party);
        median(&of_party.map(value).collect::<Vec<_>>())
    }

    /// The median of something over a party's rounds of sampling.
    pub(crate) fn fresh(&self, party: Party, value: impl Fn(&Freshness) -> f64) -> f64 {
        let of_party = self.fresh.iter().filter(|fresh| fresh.party == party);
        median(&of_party.map(value).collect::<Vec<_>>())
    }
}
