use std::{collections::BTreeMap, fmt};

use super::Oracle;
use crate::{Moment, Scenario};

/// When a loader was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum When {
    /// Whatever it was doing: starting, joining the group, waiting, committing.
    AnyTime,
    /// One of its inserts had got there.
    Insert(Moment),
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyTime => f.pad("at any time"),
            Self::Insert(moment) => moment.fmt(f),
        }
    }
}

/// What became of the rows.
#[derive(Clone, Debug)]
pub struct KillReport {
    /// What the moments were chosen with.
    pub seed: u64,
    /// How many loaders were killed when.
    pub tally: BTreeMap<When, u32>,
    /// Kills while two loaders ran.
    pub n_pairs: u32,
    /// Times that both were killed at once.
    pub n_both: u32,
    /// What was in the table at the end.
    pub found: Option<Found>,
}

/// Rows in the table beside those that were produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// What should be there.
    pub oracle: Oracle,
    /// Rows.
    pub n_rows: u64,
    /// Different keys.
    pub n_keys: u64,
    /// Sum of the values.
    pub sum: u64,
}

impl Found {
    /// What is in the scenario's table, without `FINAL`.
    ///
    /// # Panics
    ///
    /// If there is what nobody has produced.
    pub fn read(scenario: &Scenario<'_>, oracle: Oracle) -> Self {
        let table = scenario.table();
        let sql = "SELECT count(), uniqExact(key), sum(value), countIf(key < 0 OR key >= ";
        let answer = scenario.query_text(&format!("{sql}{}) FROM {table}", oracle.n_rows));
        let numbers: Vec<u64> = answer.split('\t').map(|text| text.parse().unwrap()).collect();
        let [n_rows, n_keys, sum, n_foreign] = numbers[..] else { panic!("{answer}") };
        let found = Self { oracle, n_rows, n_keys, sum };
        assert_eq!(n_foreign, 0, "keys that nobody has produced: {found:?}");
        let is_same = (n_rows, n_keys) == (oracle.n_rows, oracle.n_rows);
        assert!(!is_same || sum == oracle.sum, "other values than were produced: {found:?}");
        found
    }

    /// Rows that are not there.
    pub fn n_lost(&self) -> u64 {
        self.oracle.n_rows - self.n_keys
    }

    /// Rows too many.
    pub fn n_duplicate(&self) -> u64 {
        self.n_rows - self.n_keys
    }
}

impl KillReport {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, tally: BTreeMap::new(), n_pairs: 0, n_both: 0, found: None }
    }

    pub(super) fn count(&mut self, when: When) {
        *self.tally.entry(when).or_default() += 1;
    }

    /// Loaders killed so far.
    pub fn n_kills(&self) -> u32 {
        self.tally.values().sum()
    }

    /// Rows lost, and rows too many.
    ///
    /// # Panics
    ///
    /// Before the end.
    pub fn verdict(&self) -> (u64, u64) {
        let found = self.found.expect("the table has been read");
        (found.n_lost(), found.n_duplicate())
    }
}

/// Several lines, of which the last is the verdict.
impl fmt::Display for KillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, tally, n_pairs, n_both, found } = self;
        writeln!(f, "seed                 {seed}")?;
        for (when, n) in tally {
            writeln!(f, "{when:<20} {n}")?;
        }
        writeln!(f, "beside another       {n_pairs}")?;
        writeln!(f, "both at once         {n_both}")?;
        if let Some(Found { oracle, n_rows, n_keys, sum }) = found {
            writeln!(f, "rows                 {} produced, {n_rows} in the table", oracle.n_rows)?;
            writeln!(f, "keys                 {n_keys}")?;
            writeln!(f, "sum                  {} produced, {sum} in the table", oracle.sum)?;
            let (n_lost, n_duplicate) = self.verdict();
            write!(f, "{} kills: lost {n_lost}, duplicate {n_duplicate}", self.n_kills())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_ends_with_the_verdict() {
        let mut report = KillReport::new(7);
        report.count(When::AnyTime);
        report.count(When::Insert(Moment::Stored));
        let oracle = Oracle { n_rows: 100, sum: 500 };
        report.found = Some(Found { oracle, n_rows: 103, n_keys: 98, sum: 1 });
        assert_eq!(report.verdict(), (2, 5));
        let text = report.to_string();
        assert!(text.ends_with("\n2 kills: lost 2, duplicate 5"), "{text}");
    }
}
