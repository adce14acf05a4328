//! What does not work, party by party. The suite fails when a gap closes, and when one opens.

use super::outcome::{Fault, Form, Side};

/// Something that a party cannot do, and why.
#[derive(Debug)]
pub(crate) struct Gap {
    pub(crate) party: &'static str,
    pub(crate) side: Side,
    /// Names of types; none are all.
    pub(crate) types: &'static [&'static str],
    /// Words such as `file zstd`; none are all forms.
    pub(crate) forms: &'static str,
    /// Whether it is other values that are read, without a word.
    pub(crate) is_silent: bool,
    /// For readers of the docs.
    pub(crate) why: &'static str,
}

/// Every gap.
pub(crate) static GAPS: &[Gap] = &[
    reads("Polars", &["timestamp[us, +05:30]"], "knows zones by name only, not as offsets"),
    reads("Polars", &["decimal256(76, 20)"], "has decimals of up to 128 bits"),
    reads("DuckDB", &["float16"], "has no such type"),
    reads("DuckDB", &["decimal256(76, 20)"], "has decimals of up to 128 bits"),
    Gap {
        is_silent: true,
        ..reads("DuckDB", &["duration[ns]"], "has intervals in microseconds: the rest is cut off")
    },
    reads(
        "arrow-java",
        &["decimal32(9, 2)", "decimal64(18, 4)"],
        "has decimals of 128 and 256 bits only",
    ),
    Gap { is_silent: true, ..reads("ClickHouse", NULL_NESTED, NEVER_NULL) },
    Gap { is_silent: true, ..reads("ClickHouse Kafka engine", NULL_NESTED, NEVER_NULL) },
    Gap { is_silent: true, ..reads("clickhouse-connect", NULL_NESTED, NEVER_NULL) },
    Gap { forms: "lz4", ..arrow_js_length() },
    Gap { forms: "zstd", ..arrow_js_length() },
];

const NULL_NESTED: &[&str] =
    &["list<int32>, some null", "struct, some null", "map<utf8, int64>, some null"];
const NEVER_NULL: &str = "has no null arrays, tuples and maps: what lies beneath is read, \
                          which most writers leave empty";

const fn arrow_js_length() -> Gap {
    writes(
        "arrow-js",
        &[],
        "writes the compressed length where the format has the uncompressed one; pyarrow refuses \
         that too",
    )
}

const fn reads(party: &'static str, types: &'static [&'static str], why: &'static str) -> Gap {
    Gap { party, side: Side::Reads, types, forms: "", is_silent: false, why }
}

const fn writes(party: &'static str, types: &'static [&'static str], why: &'static str) -> Gap {
    Gap { side: Side::Writes, ..reads(party, types, why) }
}

impl Gap {
    /// What is known to be wrong with this cell.
    pub(crate) fn find(party: &str, side: Side, name: &str, form: Form) -> Option<&'static Self> {
        GAPS.iter().find(|gap| gap.is_about(party, side, name, form))
    }

    /// Whether it says something of this cell.
    pub(crate) fn is_about(&self, party: &str, side: Side, name: &str, form: Form) -> bool {
        self.party == party
            && self.side == side
            && (self.types.is_empty() || self.types.contains(&name))
            && form.is_among(self.forms)
    }

    /// The fault that is to be seen.
    pub(crate) fn fault(&self) -> Fault {
        if self.is_silent {
            Fault::Changed(self.why.to_owned())
        } else {
            Fault::Refused(self.why.to_owned())
        }
    }
}
