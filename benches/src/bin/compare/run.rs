//! One sending and one loading, measured and checked.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::{
    Compare,
    party::{Blocks, Load, N_PARTITIONS, Party, Sender},
    process::{Cost, Program},
    stack::Engine,
};

/// How often the table is looked at. Each look costs the engine about a millisecond.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Longer than any load takes.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Rows into a topic.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sent {
    pub(crate) sender: Sender,
    pub(crate) n_rows: u64,
    pub(crate) n_partitions: i32,
    #[serde(flatten)]
    pub(crate) cost: Cost,
    pub(crate) broker_cpu_s: f64,
    /// What the broker keeps.
    pub(crate) topic_bytes: u64,
}

/// A topic into a table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Loaded {
    pub(crate) party: Party,
    pub(crate) n_rows: u64,
    pub(crate) n_loaders: usize,
    /// From the start of the loaders until all rows are in the table.
    pub(crate) wall_s: f64,
    /// Nothing where the engine loads by itself.
    pub(crate) loaders: Vec<Cost>,
    pub(crate) engine_cpu_s: f64,
    pub(crate) engine_peak_bytes: u64,
    pub(crate) broker_cpu_s: f64,
    pub(crate) n_parts: i64,
}

impl Loaded {
    pub(crate) fn loader_cpu_s(&self) -> f64 {
        self.loaders.iter().map(|cost| cost.cpu_s).sum()
    }
}

impl Compare {
    /// Sends `n_rows` to a new topic.
    pub(crate) fn send(
        &self,
        sender: Sender,
        n_rows: u64,
        topic: &str,
        n_partitions: i32,
    ) -> Result<Sent> {
        self.broker.create_topic(&self.runtime, topic, n_partitions)?;
        let load = Load::Rows { n_rows, file: &self.rows_file };
        let command = sender.command(&self.programs, self.broker.address(), topic, load);
        let broker_before = self.broker.cpu()?;
        let cost = Program::start(&command, "sender", self.logs.path())?.finish()?;
        Ok(Sent {
            sender,
            n_rows,
            n_partitions,
            cost,
            broker_cpu_s: (self.broker.cpu()? - broker_before).as_secs_f64(),
            topic_bytes: self.broker.topic_bytes(topic)?,
        })
    }

    /// Loads all rows of a topic into an engine of its own with `n_loaders` processes.
    pub(crate) fn load(
        &self,
        party: Party,
        n_rows: u64,
        topic: &str,
        n_loaders: usize,
    ) -> Result<Loaded> {
        let engine = Engine::start(&self.runtime, &self.programs.volley, self.logs.path())?;
        let blocks = Blocks { age: Duration::from_millis(500), ends: true };
        let (engine_before, broker_before) = self.prepare(&engine, party)?;
        let started = Instant::now();
        let loaders = self.start_loaders(&engine, party, topic, blocks, n_loaders)?;
        let mut shown = 0;
        while shown < n_rows {
            thread::sleep(LOOK_INTERVAL);
            shown = engine.n_rows(&self.runtime)?;
            for loader in &loaders {
                // Without an error it may end right after its last insert.
                let is_gone = loader.has_ended() && engine.n_rows(&self.runtime)? < n_rows;
                ensure!(!is_gone || n_loaders > 1, "{} rows only: {:#}", shown, loader.failure());
            }
            ensure!(started.elapsed() < PATIENCE, "{shown} of {n_rows} rows in {PATIENCE:?}");
        }
        let wall_s = started.elapsed().as_secs_f64();
        let engine_cpu_s = (engine.cpu()? - engine_before).as_secs_f64();
        let broker_cpu_s = (self.broker.cpu()? - broker_before).as_secs_f64();
        let engine_peak_bytes = engine.peak_bytes();
        let loaders = loaders.into_iter().map(Program::finish).collect::<Result<_>>()?;

        let contents = engine.contents(&self.runtime)?;
        ensure!(contents.n_rows == n_rows, "{} rows of {n_rows}", contents.n_rows);
        if let Some(expected) = self.expected.filter(|expected| expected.n_rows == n_rows) {
            let name = party.name();
            ensure!(contents == expected, "{name} loaded {contents:?}, expected {expected:?}");
        }
        let parts = "SELECT toInt64(count()) FROM system.parts WHERE table = 'rows' AND active";
        let n_parts = engine.number(&self.runtime, parts)?;
        engine.stop()?;
        Ok(Loaded {
            party,
            n_rows,
            n_loaders,
            wall_s,
            loaders,
            engine_cpu_s,
            engine_peak_bytes,
            broker_cpu_s,
            n_parts,
        })
    }

    /// Makes the table; merges are off, so that what is compared is inserts: what they leave to merge
    /// is the number of parts.
    pub(crate) fn prepare(&self, engine: &Engine, party: Party) -> Result<(Duration, Duration)> {
        engine.execute(&self.runtime, &party.table()?)?;
        engine.execute(&self.runtime, "SYSTEM STOP MERGES rows")?;
        Ok((engine.cpu()?, self.broker.cpu()?))
    }

    /// Starts a party's programs, or tells the engine to load.
    pub(crate) fn start_loaders(
        &self,
        engine: &Engine,
        party: Party,
        topic: &str,
        blocks: Blocks,
        n_loaders: usize,
    ) -> Result<Vec<Program>> {
        let brokers = self.broker.address();
        let command = party.command(&self.programs, brokers, topic, engine.url(), blocks);
        let Some(command) = command else {
            for sql in party.statements(brokers, topic, blocks) {
                engine.execute(&self.runtime, &sql)?;
            }
            return Ok(Vec::new());
        };
        let start = |i| Program::start(&command, &format!("loader-{i}"), self.logs.path());
        (0..n_loaders).map(start).collect()
    }

    /// One round: every topic is sent once, then every party loads its own. Each round begins with
    /// another party.
    pub(crate) fn round(&self, round: u32, parties: &[Party]) -> Result<(Vec<Sent>, Vec<Loaded>)> {
        let topic = |sender: Sender| format!("round-{round}-{}", sender.id());
        let is_used = |sender: &Sender| parties.iter().any(|party| party.sender() == *sender);
        let mut sent = Vec::new();
        for sender in Sender::ALL.into_iter().filter(is_used) {
            sent.push(
                self.send(sender, self.n_rows, &topic(sender), N_PARTITIONS)
                    .with_context(|| format!("{} sends", sender.name()))?,
            );
        }
        let mut loaded = Vec::new();
        let first = round as usize % parties.len();
        let (after, before) = parties.split_at(first);
        for party in before.iter().chain(after) {
            loaded.push(
                self.load(*party, self.n_rows, &topic(party.sender()), 1)
                    .with_context(|| format!("{} loads", party.name()))?,
            );
        }
        for sent in &sent {
            self.broker.delete_topic(&self.runtime, &topic(sent.sender))?;
        }
        Ok((sent, loaded))
    }
}
