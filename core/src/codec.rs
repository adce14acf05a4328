//! How a record batch becomes bytes: the body compression and the framing.

use std::{fmt, str::FromStr};

/// Body compression of an IPC payload, as users write it: `none`, `lz4`, `zstd` or `zstd:LEVEL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Buffers as they are in memory.
    None,
    /// Each buffer as one LZ4 frame.
    Lz4,
    /// Each buffer as one Zstandard frame.
    Zstd(ZstdLevel),
}

impl Default for Codec {
    fn default() -> Self {
        Self::Zstd(ZstdLevel::default())
    }
}

/// A Zstandard level, 1 (fastest, the default) to 22 (smallest).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZstdLevel(u8);

impl ZstdLevel {
    /// The levels that Zstandard has.
    pub const RANGE: std::ops::RangeInclusive<u8> = 1..=22;

    /// The level, if it is in [`Self::RANGE`].
    pub fn new(level: u8) -> Option<Self> {
        Self::RANGE.contains(&level).then_some(Self(level))
    }

    /// The level as a number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for ZstdLevel {
    fn default() -> Self {
        Self(1)
    }
}

/// Why a text is not a [`Codec`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCodecError {
    /// The part before the colon names no codec.
    #[error("unknown codec '{found}'; use none, lz4, zstd or zstd:LEVEL")]
    UnknownCodec {
        /// What was written.
        found: String,
    },
    /// A level outside 1 to 22, or no number at all.
    #[error("zstd level '{found}' is out of range; levels are 1 (fastest) to 22 (smallest)")]
    LevelOutOfRange {
        /// What was written after the colon.
        found: String,
    },
    /// A level on a codec that has none.
    #[error("{codec} takes no level; write just '{codec}'")]
    LevelNotSupported {
        /// The codec's name.
        codec: &'static str,
    },
}

impl FromStr for Codec {
    type Err = ParseCodecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        match (name, level) {
            ("none", None) => Ok(Self::None),
            ("lz4", None) => Ok(Self::Lz4),
            ("zstd", None) => Ok(Self::Zstd(ZstdLevel::default())),
            ("zstd", Some(level)) => level
                .parse()
                .ok()
                .and_then(ZstdLevel::new)
                .map(Self::Zstd)
                .ok_or_else(|| ParseCodecError::LevelOutOfRange { found: level.to_owned() }),
            ("none", Some(_)) => Err(ParseCodecError::LevelNotSupported { codec: "none" }),
            ("lz4", Some(_)) => Err(ParseCodecError::LevelNotSupported { codec: "lz4" }),
            _ => Err(ParseCodecError::UnknownCodec { found: text.to_owned() }),
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Lz4 => f.write_str("lz4"),
            Self::Zstd(level) => write!(f, "zstd:{}", level.0),
        }
    }
}

/// How IPC messages are framed in a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Framing {
    /// Schema, batches, end marker: what `pyarrow.ipc.new_stream` writes.
    #[default]
    Stream,
    /// The same between two magics and with a footer: what `pyarrow.ipc.new_file` writes.
    File,
}

impl Framing {
    /// The registered media type of a payload with this framing.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Stream => "application/vnd.apache.arrow.stream",
            Self::File => "application/vnd.apache.arrow.file",
        }
    }

    /// The framing of a payload, told by its first bytes: a file starts with `ARROW1`.
    pub fn of(payload: &[u8]) -> Self {
        if payload.starts_with(FILE_MAGIC) { Self::File } else { Self::Stream }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "stream",
            Self::File => "file",
        })
    }
}

/// Why a text is not a [`Framing`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown framing '{found}'; use stream or file")]
pub struct ParseFramingError {
    /// What was written.
    pub found: String,
}

impl FromStr for Framing {
    type Err = ParseFramingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "stream" => Ok(Self::Stream),
            "file" => Ok(Self::File),
            _ => Err(ParseFramingError { found: text.to_owned() }),
        }
    }
}

/// Everything that decides the bytes of a payload, beside its batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CodecOptions {
    /// Body compression.
    pub codec: Codec,
    /// Message framing.
    pub framing: Framing,
}

/// Buffers start at multiples of this many bytes: what the format asks for at least, and what
/// pyarrow writes. arrow-rs's own default of 64 costs a 1,000-row host-metrics message about 5 %.
pub(crate) const ALIGNMENT: usize = 8;

/// First and last bytes of the file framing.
pub(crate) const FILE_MAGIC: &[u8] = b"ARROW1";

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, &str>) {
        let parsed = text.parse::<Codec>();
        let shown = parsed.as_ref().map(ToString::to_string).map_err(ToString::to_string);
        assert_eq!(shown, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
    }

    #[test]
    fn codecs_are_parsed_and_shown_as_users_write_them() {
        check("none", Ok("none"));
        check("lz4", Ok("lz4"));
        check("zstd", Ok("zstd:1"));
        check("zstd:1", Ok("zstd:1"));
        check("zstd:22", Ok("zstd:22"));
    }

    #[test]
    fn wrong_codecs_say_what_is_right() {
        let range = "is out of range; levels are 1 (fastest) to 22 (smallest)";
        for level in ["0", "23", "-1", "256", "", "x", "3 "] {
            check(&format!("zstd:{level}"), Err(&format!("zstd level '{level}' {range}")));
        }
        check("lz4:3", Err("lz4 takes no level; write just 'lz4'"));
        check("none:", Err("none takes no level; write just 'none'"));
        check("gzip", Err("unknown codec 'gzip'; use none, lz4, zstd or zstd:LEVEL"));
        check("", Err("unknown codec ''; use none, lz4, zstd or zstd:LEVEL"));
        check("ZSTD", Err("unknown codec 'ZSTD'; use none, lz4, zstd or zstd:LEVEL"));
    }

    #[test]
    fn framings_are_parsed_and_shown() {
        for framing in [Framing::Stream, Framing::File] {
            assert_eq!(framing.to_string().parse(), Ok(framing));
        }
        let error = "feather".parse::<Framing>().unwrap_err();
        assert_eq!(error.to_string(), "unknown framing 'feather'; use stream or file");
    }
}
