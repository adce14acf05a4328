use std::fmt;

use serde::{Serialize, Serializer};

use super::Sample;
use crate::codec::{Codec, CodecOptions, Framing, ZstdLevel};

/// One way to write rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Point {
    /// Rows in a batch.
    pub rows: usize,
    /// Body compression.
    #[serde(serialize_with = "shown")]
    pub codec: Codec,
    /// Message framing.
    #[serde(serialize_with = "shown")]
    pub framing: Framing,
    /// Whether text that repeats is dictionary-encoded, each batch with a dictionary of its own.
    pub dictionary: bool,
}

fn shown<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

impl Default for Point {
    /// What `volley produce` does untold.
    fn default() -> Self {
        Self { rows: 1000, codec: Codec::default(), framing: Framing::default(), dictionary: false }
    }
}

impl Point {
    /// What an encoder is told.
    pub fn options(&self) -> CodecOptions {
        CodecOptions { codec: self.codec, framing: self.framing }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, {}", self.rows, self.codec)?;
        if self.framing == Framing::File {
            f.write_str(", file")?;
        }
        if self.dictionary {
            f.write_str(", dictionaries")?;
        }
        Ok(())
    }
}

/// The points to choose from: each number of rows with each codec, framing and form of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Rows in a batch, ascending, none twice.
    rows: Vec<usize>,
    codecs: Vec<Codec>,
    framings: Vec<Framing>,
    dictionaries: Vec<bool>,
}

impl Space {
    /// What suits a sample: a [`ladder`] of rows, every codec that someone uses, stream framing,
    /// text as it is.
    pub fn of(sample: &Sample) -> Self {
        let zstd = |level| ZstdLevel::new(level).map(Codec::Zstd);
        let levels = [1, 3, 6, 9, 19].into_iter().filter_map(zstd);
        Self {
            rows: ladder(10, sample.max_window()),
            codecs: [Codec::None, Codec::Lz4].into_iter().chain(levels).collect(),
            framings: vec![Framing::Stream],
            dictionaries: vec![false],
        }
    }

    /// The same with other rows; zeros are left out.
    pub fn with_rows(mut self, mut rows: Vec<usize>) -> Self {
        rows.retain(|&rows| rows > 0);
        rows.sort_unstable();
        rows.dedup();
        self.rows = rows;
        self
    }

    /// The same with other codecs, in the order of their cost where that is known.
    pub fn with_codecs(mut self, mut codecs: Vec<Codec>) -> Self {
        let effort = |codec: &Codec| match codec {
            Codec::None => 0,
            Codec::Lz4 => 1,
            Codec::Zstd(level) => 1 + level.get(),
        };
        codecs.sort_by_key(effort);
        codecs.dedup();
        self.codecs = codecs;
        self
    }

    /// The same with other framings.
    pub fn with_framings(mut self, framings: Vec<Framing>) -> Self {
        self.framings = framings;
        self.framings.dedup();
        self
    }

    /// The same with each point once as it is and once with dictionaries.
    pub fn with_dictionaries(mut self) -> Self {
        self.dictionaries = vec![false, true];
        self
    }

    /// Rows in a batch, ascending.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// How many points there are.
    pub fn len(&self) -> usize {
        self.rows.len() * self.n_arms()
    }

    /// Whether there is no point at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every point, those with the fewest rows first.
    pub fn points(&self) -> impl Iterator<Item = Point> {
        let rungs = 0..self.rows.len();
        rungs.flat_map(move |rung| (0..self.n_arms()).map(move |arm| self.point(arm, rung)))
    }

    /// Combinations of everything but rows.
    pub(super) fn n_arms(&self) -> usize {
        self.codecs.len() * self.framings.len() * self.dictionaries.len()
    }

    /// A point by its arm and the index of its rows.
    pub(super) fn point(&self, arm: usize, rung: usize) -> Point {
        let n_codecs = self.codecs.len();
        let (codec, rest) = (arm % n_codecs, arm / n_codecs);
        let (framing, dictionary) = (rest % self.framings.len(), rest / self.framings.len());
        Point {
            rows: self.rows[rung],
            codec: self.codecs[codec],
            framing: self.framings[framing],
            dictionary: self.dictionaries[dictionary],
        }
    }
}

/// 1, 2 and 5 times the powers of ten from `from` to `to`, and `to` itself where it is below `from`.
pub fn ladder(from: usize, to: usize) -> Vec<usize> {
    let powers = std::iter::successors(Some(1_usize), |power| power.checked_mul(10));
    let steps = powers.flat_map(|power| [1, 2, 5].map(|step| power.checked_mul(step)));
    let steps = steps.map_while(|rows| rows);
    let rungs: Vec<_> = steps.take_while(|&rows| rows <= to).filter(|&rows| rows >= from).collect();
    if rungs.is_empty() && to > 0 { vec![to] } else { rungs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ladders_reach_what_they_may() {
        assert_eq!(ladder(10, 1000), [10, 20, 50, 100, 200, 500, 1000]);
        assert_eq!(ladder(10, 499), [10, 20, 50, 100, 200]);
        assert_eq!(ladder(10, 7), [7]);
        assert_eq!(ladder(1, 1), [1]);
        assert_eq!(ladder(10, 0), [0; 0]);
        assert_eq!(ladder(10, usize::MAX).last(), Some(&10_000_000_000_000_000_000));
    }

    #[test]
    fn every_combination_is_a_point_once() {
        let codecs = vec!["zstd:3".parse().unwrap(), Codec::None, "zstd:3".parse().unwrap()];
        let space = Space {
            rows: Vec::new(),
            codecs: Vec::new(),
            framings: Vec::new(),
            dictionaries: vec![false],
        };
        let space = space
            .with_rows(vec![20, 0, 10, 20])
            .with_codecs(codecs)
            .with_framings(vec![Framing::Stream, Framing::File])
            .with_dictionaries();
        let mut points: Vec<_> = space.points().map(|point| point.to_string()).collect();
        assert_eq!((space.len(), points.len(), &*points[0]), (16, 16, "10 rows, none"));
        assert!(points.contains(&"20 rows, zstd:3, file, dictionaries".to_owned()));
        points.sort();
        points.dedup();
        assert_eq!(points.len(), 16);
    }
}
