//! Two steps on their own, in this process and in Python: a batch to a message, and messages to what
//! is sent as an insert.

use std::{
    hint::black_box,
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use arrow_array::RecordBatch;
use serde::Serialize;
use volley_benches::{
    pyarrow::{Pyarrow, Threads},
    statistics::median,
    stream, turns,
};
use volley_core::{encode::Encoder, layout::Options, splice::splice};

use crate::Compare;

/// Messages of both steps.
const N_MESSAGES: usize = 1000;

/// Times that each is measured, in turns.
const N_TURNS: usize = 7;

/// ns a message, medians.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Steps {
    pub(crate) message_rows: usize,
    pub(crate) encode: Step,
    /// pyarrow without threads of its own.
    pub(crate) encode_one_thread: Step,
    /// Messages to what is sent: checked and spliced; decoded, concatenated and encoded as
    /// clickhouse-connect does.
    pub(crate) insert_body: Step,
    /// As before, without clickhouse-connect's part.
    pub(crate) decode_concat: Step,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Step {
    pub(crate) volley_ns: f64,
    pub(crate) python_ns: f64,
}

impl Step {
    pub(crate) fn ratio(self) -> f64 {
        self.python_ns / self.volley_ns
    }
}

impl Compare {
    /// Measures both steps on `batches`, of which there are at least [`N_MESSAGES`].
    pub(crate) fn steps(&self, batches: &[RecordBatch]) -> Result<Steps> {
        let batches = &batches[..N_MESSAGES.min(batches.len())];
        let options = stream("zstd:1");
        let mut encoder = Encoder::new(batches[0].schema(), options)?;
        let encode = |batch: &RecordBatch| encoder.encode(std::slice::from_ref(batch));
        let payloads: Vec<_> = batches.iter().map(encode).collect::<Result<_, _>>()?;

        let python = self.programs.python.as_os_str();
        let start = |threads| Pyarrow::start(python, batches, options.codec, threads);
        let (mut threads, mut one) = (start(Threads::Default), start(Threads::One));
        let (mut ours, mut theirs, mut theirs_one) = (Vec::new(), Vec::new(), Vec::new());
        let mut encoder = Encoder::new(batches[0].schema(), options)?;
        let mut next = turns(batches);
        for _ in 0..N_TURNS {
            let started = Instant::now();
            for _ in 0..N_MESSAGES {
                black_box(encoder.encode(&[next()])?);
            }
            ours.push(started.elapsed().as_nanos() as f64 / N_MESSAGES as f64);
            for (pyarrow, times) in [(&mut threads, &mut theirs), (&mut one, &mut theirs_one)] {
                let took = pyarrow.encode(N_MESSAGES as u64);
                times.push(took.as_nanos() as f64 / N_MESSAGES as f64);
            }
        }
        let volley_ns = median(&ours);
        let encode = Step { volley_ns, python_ns: median(&theirs) };
        let encode_one_thread = Step { volley_ns, python_ns: median(&theirs_one) };
        let (insert_body, decode_concat) = self.insert_body(&payloads, batches)?;
        let message_rows = batches[0].num_rows();
        Ok(Steps { message_rows, encode, encode_one_thread, insert_body, decode_concat })
    }

    fn insert_body(&self, payloads: &[Vec<u8>], batches: &[RecordBatch]) -> Result<(Step, Step)> {
        let mut file = tempfile::NamedTempFile::new()?;
        for payload in payloads {
            file.write_all(&u32::try_from(payload.len())?.to_le_bytes())?;
            file.write_all(payload)?;
        }
        file.flush()?;
        let mut child = Command::new(&self.programs.python)
            .arg(self.programs.peers.join("decode.py"))
            .arg(file.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut requests = child.stdin.take().context("stdin is piped")?;
        let mut answers = BufReader::new(child.stdout.take().context("stdout is piped")?);

        let slices: Vec<_> = payloads.iter().map(Vec::as_slice).collect();
        let options = Options::default();
        let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let (mut ours, mut decoding, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..N_TURNS {
            let started = Instant::now();
            black_box(splice(black_box(&slices), &options)?);
            ours.push(started.elapsed().as_nanos() as f64 / payloads.len() as f64);
            writeln!(requests)?;
            let mut line = String::new();
            answers.read_line(&mut line)?;
            let numbers = line.split_whitespace().map(str::parse);
            let numbers: Vec<f64> = numbers.collect::<Result<_, _>>().context("numbers")?;
            ensure!(numbers.len() == 3 && numbers[2] as usize == n_rows, "Python said {line:?}");
            decoding.push(numbers[0] / payloads.len() as f64);
            all.push(numbers[1] / payloads.len() as f64);
        }
        drop(requests);
        child.wait()?;
        let volley_ns = median(&ours);
        let step = |times: &[f64]| Step { volley_ns, python_ns: median(times) };
        Ok((step(&all), step(&decoding)))
    }
}
