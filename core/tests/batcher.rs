//! Whatever comes, whenever it comes: no row is lost, none comes twice, order is kept, no batch is
//! over its limits, nothing is held past its age.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::{num::NonZeroUsize, sync::Arc, time::Duration};

use arrow_array::{Array, BinaryArray, RecordBatch, builder::BinaryBuilder, cast::AsArray};
use proptest::prelude::*;
use volley_core::batcher::{BatchLimits, MicroBatcher, RowBuilder};

/// Rows are byte strings that start with their number, so that each is unique.
#[derive(Default)]
struct Bytes(BinaryBuilder);

impl RowBuilder for Bytes {
    type Row = Vec<u8>;

    fn row_bytes(&self, row: &Vec<u8>) -> usize {
        row.len()
    }

    fn append(&mut self, row: &Vec<u8>) {
        self.0.append_value(row);
    }

    fn finish(&mut self) -> RecordBatch {
        let column: BinaryArray = self.0.finish();
        RecordBatch::try_from_iter([("row", Arc::new(column) as _)]).unwrap()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// A row of this many bytes comes.
    Row(usize),
    /// Time passes, and the caller polls when it was told to.
    Wait(Duration),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (8_usize..200).prop_map(Step::Row),
        1 => (0_u64..50).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
    ];
    prop::collection::vec(step, 0..300)
}

/// Feeds rows as a caller does and checks every batch as it leaves.
struct Run {
    batcher: MicroBatcher<Bytes>,
    limits: BatchLimits,
    now: Duration,
    /// Length of each row sent, and when.
    sent: Vec<(usize, Duration)>,
    n_received: usize,
}

impl Run {
    fn new(limits: BatchLimits) -> Self {
        let batcher = MicroBatcher::new(Bytes::default(), limits);
        Self { batcher, limits, now: Duration::ZERO, sent: Vec::new(), n_received: 0 }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Row(len) => {
                let mut row = vec![0; *len];
                row[..8].copy_from_slice(&(self.sent.len() as u64).to_le_bytes());
                self.sent.push((*len, self.now));
                let batch = self.batcher.push(&row, self.now);
                self.receive(batch);
                self.poll_due();
            }
            Step::Wait(duration) => {
                let end = self.now + *duration;
                while let Some(deadline) = self.batcher.deadline().filter(|at| *at <= end) {
                    self.now = deadline;
                    self.poll_due();
                }
                self.now = end;
            }
        }
    }

    /// A caller with a deadline of now polls before it takes another row.
    fn poll_due(&mut self) {
        while self.batcher.deadline().is_some_and(|deadline| deadline <= self.now) {
            let batch = self.batcher.poll(self.now);
            assert!(batch.is_some(), "a deadline that has come gives a batch");
            self.receive(batch);
        }
        assert!(self.batcher.poll(self.now).is_none(), "no batch before its deadline");
    }

    fn receive(&mut self, batch: Option<RecordBatch>) {
        let Some(batch) = batch else { return };
        let rows = batch.column(0).as_binary::<i32>();
        assert!((1..=self.limits.n_rows.get()).contains(&rows.len()));
        let n_bytes = rows.value_data().len();
        assert!(n_bytes <= self.limits.n_bytes.get() || rows.len() == 1, "{n_bytes} bytes");
        for row in rows.iter().flatten() {
            let number = u64::from_le_bytes(row[..8].try_into().unwrap()) as usize;
            assert_eq!(number, self.n_received, "rows come once and in order");
            let (len, sent_at) = self.sent[number];
            assert_eq!(row.len(), len);
            assert!(self.now - sent_at <= self.limits.age, "held past its age");
            self.n_received += 1;
        }
    }
}

proptest! {
    #[test]
    fn rows_come_out_once_in_order_within_limits_and_in_time(
        n_rows in 1_usize..20,
        n_bytes in 1_usize..1000,
        age_ms in 0_u64..100,
        steps in steps(),
    ) {
        let mut run = Run::new(BatchLimits {
            n_rows: NonZeroUsize::new(n_rows).unwrap(),
            n_bytes: NonZeroUsize::new(n_bytes).unwrap(),
            age: Duration::from_millis(age_ms),
        });
        for step in &steps {
            run.step(step);
        }
        let last = run.batcher.finish();
        run.receive(last);
        prop_assert_eq!(run.n_received, run.sent.len());
        prop_assert!(run.batcher.finish().is_none());
    }
}
