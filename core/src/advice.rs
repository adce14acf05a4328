//! What makes a payload larger or slower than it needs to be, told from its sizes alone.
//!
//! [`advise`] holds a table of rules against what the walk found: no value is looked at, so it is
//! as quick as the walk, also for payloads that cannot be decoded. What depends on values, such as
//! what a dictionary would save, is measured by [`tune`](crate::tune) and comes as advice by
//! [`Advice::of_saving`].

mod columns;
mod rules;

use serde::Serialize;

use crate::{layout::Layout, tune::DictionarySaving};

/// A dictionary that saves less than this part is not worth a word.
const LEAST_SAVING: f64 = 0.01;

/// What an [`Advice`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// Metadata and padding are much of the payload: batches are small.
    Metadata,
    /// Bodies are not compressed.
    Uncompressed,
    /// Bodies are compressed, and no smaller for it.
    NothingCompresses,
    /// One column is most of the payload.
    Dominates,
    /// Offsets are much of a column.
    Offsets,
    /// A column does not compress while others do.
    Incompressible,
    /// Text compresses so well that it must repeat.
    Repeats,
    /// A dictionary has nearly a value for each row.
    LargeDictionary,
    /// A dictionary would save bytes: measured.
    Dictionary,
    /// A column without nulls has a validity buffer.
    Validity,
    /// A column is null in every row.
    AllNull,
}

/// One finding, and what to do about it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    /// What it is about.
    pub rule: Rule,
    /// The column, with the path into nested types after dots; `None` for the payload as a whole.
    pub column: Option<String>,
    /// How much of the payload it is about, from 0 to 1.
    pub share: f64,
    /// One sentence without a full stop.
    pub message: String,
}

impl Advice {
    /// What a dictionary would save; `None` where that is next to nothing.
    pub fn of_saving(saving: &DictionarySaving) -> Option<Self> {
        let (before, after) = (saving.before.bytes_per_row(), saving.after.bytes_per_row());
        let share = (before > 0.0).then(|| 1.0 - after / before)?;
        (share >= LEAST_SAVING).then(|| Self {
            rule: Rule::Dictionary,
            column: Some(saving.column.clone()),
            share,
            message: format!(
                "dictionary-encode it: that saves {:.0} %, {before:.1} to {after:.1} bytes a row",
                share * 100.0
            ),
        })
    }
}

/// All findings about a payload, those that are about the most bytes first. None about one without
/// rows.
pub fn advise(layout: &Layout) -> Vec<Advice> {
    let mut advice = rules::apply(&columns::Facts::of(layout));
    advice.sort_by(|a, b| b.share.total_cmp(&a.share));
    advice
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::Size;

    fn saving(before: u64, after: u64) -> Option<String> {
        let size = |bytes| Size { rows: 100, bytes, largest: 0 };
        let saving = DictionarySaving {
            column: "word".to_owned(),
            before: size(before),
            after: size(after),
        };
        Advice::of_saving(&saving).map(|advice| advice.message)
    }

    #[test]
    fn savings_are_advice_where_they_are_worth_it() {
        let message = "dictionary-encode it: that saves 25 %, 40.0 to 30.0 bytes a row";
        assert_eq!(saving(4000, 3000), Some(message.to_owned()));
        assert_eq!((saving(4000, 3999), saving(0, 0), saving(4000, 5000)), (None, None, None));
    }
}
