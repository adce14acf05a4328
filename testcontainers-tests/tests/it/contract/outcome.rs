//! What came of a payload, and whether that is what the table in the docs says.

use std::{collections::BTreeMap, fmt};

use volley_core::codec::{Codec, CodecOptions, Framing, ZstdLevel};

use super::{columns::columns, gaps::Gap};

/// A framing and a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Form {
    is_file: bool,
    codec: &'static str,
}

impl Form {
    /// Every one, in the order of the table in the docs.
    pub(crate) const ALL: [Self; 6] = [
        Self { is_file: false, codec: "none" },
        Self { is_file: false, codec: "lz4" },
        Self { is_file: false, codec: "zstd" },
        Self { is_file: true, codec: "none" },
        Self { is_file: true, codec: "lz4" },
        Self { is_file: true, codec: "zstd" },
    ];

    /// `stream` or `file`.
    pub(crate) fn framing(self) -> &'static str {
        if self.is_file { "file" } else { "stream" }
    }

    /// `none`, `lz4` or `zstd`.
    pub(crate) fn codec(self) -> &'static str {
        self.codec
    }

    /// What our encoder calls it.
    pub(crate) fn options(self) -> CodecOptions {
        let codec = match self.codec {
            "lz4" => Codec::Lz4,
            "zstd" => Codec::Zstd(ZstdLevel::default()),
            _ => Codec::None,
        };
        CodecOptions { codec, framing: if self.is_file { Framing::File } else { Framing::Stream } }
    }

    /// What ClickHouse calls the framing.
    pub(crate) fn format(self) -> &'static str {
        if self.is_file { "Arrow" } else { "ArrowStream" }
    }

    /// The file name of a column's payload, by the column's number.
    pub(crate) fn file_name(self, column: usize) -> String {
        let extension = if self.is_file { "arrow" } else { "arrows" };
        format!("{column}-{}.{extension}", self.codec)
    }

    /// Whether each of the words, such as `file zstd`, is true of it.
    pub(crate) fn is_among(self, words: &str) -> bool {
        words.split(' ').all(|word| ["", self.framing(), self.codec].contains(&word))
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.framing(), self.codec)
    }
}

/// Who writes the payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// They read what we write.
    Reads,
    /// We read what they write.
    Writes,
}

/// What is wrong with a payload of theirs or ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The reader says so.
    Refused(String),
    /// The reader takes it for other values, without a word.
    Changed(String),
}

impl Fault {
    /// Whether both are of one kind, whatever their text.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, text) = match self {
            Self::Refused(text) => ("refused", text),
            Self::Changed(text) => ("changed", text),
        };
        let text: String = text.chars().take(300).collect();
        write!(f, "{kind}: {}", text.replace('\n', " "))
    }
}

/// What came of each column, by number, in each form.
pub(crate) type Outcomes = BTreeMap<(usize, Form), Result<(), Fault>>;

/// Panics unless the outcomes are those that the gaps say, no better and no worse.
#[track_caller]
pub(crate) fn check(party: &str, side: Side, outcomes: &Outcomes) {
    let columns = columns();
    // Cells of one type that are wrong in one way make one line.
    let mut wrong: BTreeMap<(usize, String), (Vec<String>, String)> = BTreeMap::new();
    for ((column, form), outcome) in outcomes {
        let gap = Gap::find(party, side, columns[*column].name, *form);
        let text = match (gap, outcome) {
            (None, Err(fault)) => fault.to_string(),
            (Some(gap), Ok(())) => format!("works, though: {}", gap.why),
            (Some(gap), Err(fault)) if !gap.fault().is_like(fault) => {
                format!("{fault}, where it was: {}", gap.why)
            }
            _ => continue,
        };
        let kind: String = text.chars().take(20).collect();
        let (forms, _) = wrong.entry((*column, kind)).or_insert_with(|| (Vec::new(), text));
        forms.push(form.to_string());
    }
    let line = |((column, _), (forms, text)): (&(usize, String), &(Vec<String>, String))| {
        format!("{} ({}): {text}", columns[*column].name, forms.join(", "))
    };
    let lines: Vec<String> = wrong.iter().map(line).collect();
    assert!(
        lines.is_empty(),
        "{party} ({side:?}) is not as tests/it/contract/gaps.rs says; if that is how it is now, \
         change the table there:\n{}",
        lines.join("\n")
    );
}
