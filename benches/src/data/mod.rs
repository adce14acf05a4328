//! The four data sets: two recorded, two made up from a seed.

mod logs;
mod random;
mod recorded;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use volley_core::host::HostSample;

/// Rows that the benches run on, in order of time. The same on every machine and in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// One machine, recorded every 100 ms while it was compiling, and while it was not: 7 columns.
    Host,
    /// The same with every metric, recorded every 50 ms: 16 columns, most of which change once a
    /// second.
    HostFull,
    /// Eight columns of random floats: the worst case, because nothing compresses.
    RandomFloats,
    /// Lines of a log: three dictionaries, a text, an identifier and two numbers.
    Logs,
}

impl Data {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Host, Self::HostFull, Self::RandomFloats, Self::Logs];

    /// Its name in ids and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::HostFull => "host_full",
            Self::RandomFloats => "random_floats",
            Self::Logs => "logs",
        }
    }

    /// Its first `n_rows` rows. A recording that is shorter goes on with the same rows, later.
    pub fn table(self, n_rows: usize) -> RecordBatch {
        match self {
            Self::Host => recorded::table(recorded::HOST, n_rows),
            Self::HostFull => recorded::table(recorded::HOST_FULL, n_rows),
            Self::RandomFloats => random::table(n_rows),
            Self::Logs => logs::table(n_rows),
        }
    }

    /// Batches of `n_rows` that follow each other: 10,000 rows in all, and never less than two
    /// batches, because an encoder that is given one over and over could remember it.
    ///
    /// # Panics
    ///
    /// Where `n_rows` does not divide 10,000 or is no multiple of it.
    pub fn batches(self, n_rows: usize) -> Vec<RecordBatch> {
        let n_all = 10_000.max(2 * n_rows);
        assert!(n_all.is_multiple_of(n_rows), "{n_all} rows in batches of {n_rows}");
        let table = self.table(n_all);
        let starts = (0..n_all).step_by(n_rows);
        // A slice would keep the buffers of the whole table.
        let copy = |start| concat_batches(table.schema_ref(), [&table.slice(start, n_rows)]);
        starts.map(|start| copy(start).expect("a batch of one schema")).collect()
    }

    /// The 10,000 recorded rows of [`Data::Host`], one by one.
    pub fn host_rows() -> Vec<HostSample> {
        recorded::host_rows()
    }
}

/// The numbers of SplitMix64, which fit in a few lines and so never change with a library.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 to `end`, without it.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// From 0 to 1, without it; 53 random bits.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_follow_each_other_and_are_the_table() {
        for data in Data::ALL {
            let batches = data.batches(2500);
            assert_eq!(batches.len(), 4);
            let whole = concat_batches(batches[0].schema_ref(), &batches).unwrap();
            assert_eq!(whole, data.table(10_000), "{data:?}");
            assert_eq!(data.batches(20_000).len(), 2);
        }
    }

    #[test]
    fn a_recording_goes_on_in_time() {
        let table = Data::Host.table(20_001);
        let ts = arrow_array::cast::as_primitive_array::<
            arrow_array::types::TimestampMicrosecondType,
        >(table.column(1));
        assert!(ts.values().is_sorted_by(|a, b| a < b));
    }

    /// The same everywhere and always: a change here is a change of the data.
    #[test]
    fn rows_never_change() {
        let checksums = Data::ALL.map(|data| {
            let rows = crate::formats::row_binary(&data.table(10_000));
            (data.name(), rows.len(), crc32c::crc32c(&rows))
        });
        let expected = [
            ("host", 350_000, 2_276_489_128),
            ("host_full", 870_000, 3_983_632_199),
            ("random_floats", 720_000, 1_083_726_460),
            ("logs", 1_003_409, 2_200_476_732),
        ];
        assert_eq!(checksums, expected);
    }
}
