//! How old the newest row of the table is, while this machine is being sampled.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use volley_benches::statistics::quantile;

use crate::{
    Compare,
    party::{Blocks, Load, N_PARTITIONS, Party},
    process::{Cost, Program},
    stack::Engine,
};

/// Between two samples of this machine.
pub(crate) const INTERVAL: Duration = Duration::from_millis(1);

/// How long a row waits for its message, and a message for its insert.
pub(crate) const WAIT: Duration = Duration::from_millis(100);

/// Rows of a message, at most.
pub(crate) const MESSAGE_ROWS: u64 = 100;

/// How often the table is asked.
const ASK_INTERVAL: Duration = Duration::from_millis(20);

/// What it takes until rows flow; not counted.
const START: Duration = Duration::from_secs(3);

#[derive(Clone, Debug, Serialize)]
pub(crate) struct Freshness {
    pub(crate) party: Party,
    /// Rows in the table at the end.
    pub(crate) n_rows: i64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) sender: Cost,
    pub(crate) loader_cpu_s: f64,
    pub(crate) engine_cpu_s: f64,
}

impl Compare {
    /// Samples this machine for `duration` and asks the table again and again for its newest row.
    pub(crate) fn freshness(
        &self,
        party: Party,
        round: u32,
        duration: Duration,
    ) -> Result<Freshness> {
        let engine = Engine::start(&self.runtime, &self.programs.volley, self.logs.path())?;
        let topic = format!("fresh-{round}-{}", party.id());
        self.broker.create_topic(&self.runtime, &topic, N_PARTITIONS)?;
        let (engine_before, _) = self.prepare(&engine, party)?;
        let blocks = Blocks { age: WAIT, ends: false };
        let loaders = self.start_loaders(&engine, party, &topic, blocks, 1)?;
        let (interval, linger) = (INTERVAL, WAIT);
        let load = Load::Host { interval, duration, message_rows: MESSAGE_ROWS, linger };
        let command = party.sender().command(&self.programs, self.broker.address(), &topic, load);
        let sender = Program::start(&command, "sender", self.logs.path())?;

        let mut ages_ms = Vec::new();
        let started = Instant::now();
        while !sender.has_ended() {
            thread::sleep(ASK_INTERVAL);
            let newest = "SELECT toUnixTimestamp64Micro(max(ts)) FROM rows";
            let newest = engine.number(&self.runtime, newest)?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros();
            if started.elapsed() > START && newest > 0 {
                ages_ms.push((i64::try_from(now)? - newest) as f64 / 1000.0);
            }
        }
        let sender = sender.finish()?;
        ensure!(!ages_ms.is_empty(), "no rows came in {duration:?}");
        // Sending ended a little before its program did.
        let n_ending = ages_ms.iter().rev().zip(ages_ms.iter().rev().skip(1));
        let n_ending = n_ending.take_while(|(later, earlier)| later > earlier).count();
        ages_ms.truncate(ages_ms.len() - n_ending.min(ages_ms.len() - 1));

        let n_rows = engine.number(&self.runtime, "SELECT toInt64(count()) FROM rows")?;
        let engine_cpu_s = (engine.cpu()? - engine_before).as_secs_f64();
        let loader_cpu_s = loaders
            .into_iter()
            .map(|loader| loader.stop().map(|cost| cost.cpu_s))
            .sum::<Result<f64>>()
            .context("stopping the loader")?;
        engine.stop()?;
        Ok(Freshness {
            party,
            n_rows,
            p50_ms: quantile(&ages_ms, 0.5),
            p99_ms: quantile(&ages_ms, 0.99),
            sender,
            loader_cpu_s,
            engine_cpu_s,
        })
    }
}
