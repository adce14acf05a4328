use std::{fmt::Write as _, sync::Arc};

use arrow_array::{
    ArrayRef, DictionaryArray, Float32Array, Int32Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, UInt16Array, builder::StringBuilder,
};
use arrow_schema::{Field, Schema};

use super::Random;

const LEVELS: [&str; 4] = ["INFO", "DEBUG", "WARN", "ERROR"];
const SERVICES: [&str; 12] = [
    "gateway",
    "auth",
    "users",
    "orders",
    "cart",
    "payments",
    "search",
    "stock",
    "mail",
    "images",
    "reports",
    "scheduler",
];
const N_HOSTS: usize = 40;
const PATHS: [&str; 6] =
    ["/api/v1/orders", "/api/v1/users", "/api/v1/cart", "/login", "/health", "/api/v1/search"];

/// Lines of a log, about 5 ms apart: `ts`, `level`, `service`, `host` (dictionaries), `message`,
/// `trace_id` (16 random hex digits), `duration_ms`, `status`.
pub(super) fn table(n_rows: usize) -> RecordBatch {
    let mut random = Random(2);
    let mut lines = Lines::default();
    for _ in 0..n_rows {
        lines.push(&mut random);
    }
    lines.finish()
}

#[derive(Default)]
struct Lines {
    ts: Vec<i64>,
    levels: Vec<i32>,
    services: Vec<i32>,
    hosts: Vec<i32>,
    messages: StringBuilder,
    trace_ids: StringBuilder,
    durations: Vec<f32>,
    statuses: Vec<u16>,
}

impl Lines {
    fn push(&mut self, random: &mut Random) {
        let last = self.ts.last().copied().unwrap_or(1_700_000_000_000_000);
        self.ts.push(last + 1 + random.below(10_000) as i64);
        // 80 % INFO, 15 % DEBUG, 4 % WARN, 1 % ERROR.
        let level = match random.below(100) {
            0..80 => 0,
            80..95 => 1,
            95..99 => 2,
            _ => 3,
        };
        self.levels.push(level);
        self.services.push(random.below(SERVICES.len() as u64) as i32);
        self.hosts.push(random.below(N_HOSTS as u64) as i32);
        // Most requests are quick, few are slow; whole hundredths.
        let duration = (random.unit().powi(4) * 200_000.0).round() as f32 / 100.0;
        let status = if level == 3 { 500 } else { 200 };
        let path = PATHS[random.below(PATHS.len() as u64) as usize];
        let id = random.below(1_000_000);
        // What is written to a builder as text cannot fail.
        let _ = match level {
            0 => write!(self.messages, "GET {path}/{id} answered {status} in {duration} ms"),
            1 => write!(self.messages, "cache miss for key session:{id}, asking the store"),
            2 => write!(self.messages, "slow query on shard {}: {duration} ms", id % 16),
            _ => write!(self.messages, "upstream closed the connection: {path}/{id}, try 3 of 3"),
        };
        self.messages.append_value("");
        let _ = write!(self.trace_ids, "{:016x}", random.next());
        self.trace_ids.append_value("");
        self.durations.push(duration);
        self.statuses.push(status);
    }

    fn finish(mut self) -> RecordBatch {
        let hosts: Vec<_> = (0..N_HOSTS).map(|i| format!("node-{i:03}")).collect();
        let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("ts", Arc::new(TimestampMicrosecondArray::from(self.ts))),
            ("level", dictionary(self.levels, &LEVELS)),
            ("service", dictionary(self.services, &SERVICES)),
            ("host", dictionary(self.hosts, &hosts)),
            ("message", Arc::new(self.messages.finish())),
            ("trace_id", Arc::new(self.trace_ids.finish())),
            ("duration_ms", Arc::new(Float32Array::from(self.durations))),
            ("status", Arc::new(UInt16Array::from(self.statuses))),
        ];
        let field = |(name, column): &(&str, ArrayRef)| {
            Field::new(*name, column.data_type().clone(), false)
        };
        let schema = Schema::new(columns.iter().map(field).collect::<Vec<_>>());
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        RecordBatch::try_new(Arc::new(schema), columns).expect("columns of the schema")
    }
}

fn dictionary(keys: Vec<i32>, values: &[&str]) -> ArrayRef {
    let values = Arc::new(StringArray::from(values.to_vec()));
    let dictionary = DictionaryArray::try_new(Int32Array::from(keys), values);
    Arc::new(dictionary.expect("keys of the values"))
}
