//! The grid: how a message can be made.

use volley_core::codec::{CodecOptions, Framing};

use crate::{id, stream};

/// One way to make a message of so many rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// Rows of the message.
    pub n_rows: usize,
    /// Its codec and framing.
    pub options: CodecOptions,
}

impl Case {
    /// Rows of a message.
    pub const ROWS: [usize; 4] = [100, 1000, 10_000, 100_000];

    const CODECS: [&str; 7] = ["none", "lz4", "zstd:1", "zstd:3", "zstd:6", "zstd:9", "zstd:19"];

    /// All cases for messages of `n_rows`. A quick run does without file framing, which costs a few
    /// bytes, but for one codec, and without levels that take minutes.
    pub fn of(n_rows: usize, is_quick: bool) -> impl Iterator<Item = Self> {
        let cases = Self::CODECS.into_iter().flat_map(move |codec| {
            let stream = Self { n_rows, options: stream(codec) };
            let framing = Framing::File;
            let file = Self { options: CodecOptions { framing, ..stream.options }, ..stream };
            let is_slow = codec == "zstd:19" || codec == "zstd:9" && n_rows > 10_000;
            let has_stream = !is_quick || !(is_slow || codec == "zstd:6");
            let has_file = !is_quick || codec == "zstd:1";
            [has_stream.then_some(stream), has_file.then_some(file)]
        });
        cases.flatten()
    }

    /// As the last part of a benchmark's id: `zstd_3`, `zstd_3_file`.
    pub fn id(&self) -> String {
        let framing = if self.options.framing == Framing::File { "_file" } else { "" };
        format!("{}{framing}", id(self.options.codec))
    }

    /// Whether it takes part where many messages are joined: one codec is enough.
    pub fn is_joined(&self) -> bool {
        ["none", "zstd:1"].contains(&self.options.codec.to_string().as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_whole_and_a_quick_one_is_part_of_it() {
        for n_rows in Case::ROWS {
            let all: Vec<_> = Case::of(n_rows, false).collect();
            assert_eq!(all.len(), 14);
            let quick: Vec<_> = Case::of(n_rows, true).collect();
            assert!(quick.len() >= 5 && quick.iter().all(|case| all.contains(case)));
        }
        let ids: Vec<_> = Case::of(100, true).map(|case| case.id()).collect();
        assert_eq!(ids, ["none", "lz4", "zstd_1", "zstd_1_file", "zstd_3", "zstd_9"]);
    }
}
