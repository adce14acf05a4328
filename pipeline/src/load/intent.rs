use serde::{Deserialize, Serialize};

use super::Block;

/// What a member is about to insert, as it stands in the metadata of the offset that the group has
/// committed for a partition.
///
/// After a crash the next owner reads it, forms the same block again, and inserts it with the same
/// token: ClickHouse drops what it already has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// Format, [`Self::FORMAT`].
    volley: u32,
    /// Offset of the first message.
    pub(crate) first: i64,
    /// Offset of the last message.
    pub(crate) last: i64,
    /// Checksum over the checksums of all messages.
    sum: u32,
    /// Checksum of the last message, which retention takes after all others: it tells whether the
    /// topic is still the one that was meant.
    end: u32,
}

/// Metadata of a committed offset that says how a block is to be formed, in words that this version
/// does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the committed offset has an intent that this version cannot read: {metadata}; finish with the \
     version that wrote it, or take another --group"
)]
pub struct UnknownIntent {
    /// Its beginning.
    pub metadata: String,
}

impl Intent {
    const FORMAT: u32 = 1;

    /// To insert this block.
    pub(crate) fn of(block: &Block) -> Self {
        let Block { first, last, sum, end, .. } = *block;
        Self { volley: Self::FORMAT, first, last, sum, end }
    }

    /// The intent in the metadata of a committed offset; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`UnknownIntent`] of one that another version of Volley has written.
    pub(crate) fn parse(committed: i64, metadata: &str) -> Result<Option<Self>, UnknownIntent> {
        if !metadata.starts_with(r#"{"volley":"#) {
            return Ok(None);
        }
        let unknown = || UnknownIntent { metadata: metadata.chars().take(200).collect() };
        let intent: Self = serde_json::from_str(metadata).map_err(|_| unknown())?;
        if intent.volley != Self::FORMAT || intent.first != committed || intent.last < intent.first
        {
            return Err(unknown());
        }
        Ok(Some(intent))
    }

    /// Under 200 bytes of ASCII; brokers take 4 KB.
    pub(crate) fn metadata(&self) -> String {
        let Self { volley, first, last, sum, end } = self;
        format!(r#"{{"volley":{volley},"first":{first},"last":{last},"sum":{sum},"end":{end}}}"#)
    }

    /// Whether `block` ends with the message that was meant.
    pub(crate) fn is_of(&self, block: &Block) -> bool {
        (self.last, self.end) == (block.last, block.end)
    }

    /// What ClickHouse tells a block that is sent again from another one by: where it lies, and what
    /// it holds, because offsets start anew in a topic that was made anew.
    pub(crate) fn token(&self, topic: &str, partition: i32) -> String {
        format!("{topic}/{partition}/{}-{}/{:08x}", self.first, self.last, self.sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTENT: Intent = Intent { volley: 1, first: 500, last: 599, sum: u32::MAX, end: 7 };

    #[test]
    fn metadata_is_read_back() {
        let metadata = INTENT.metadata();
        assert_eq!(Intent::parse(500, &metadata), Ok(Some(INTENT)));
        assert_eq!(metadata, serde_json::to_string(&INTENT).unwrap());
        let largest = Intent { first: i64::MAX, last: i64::MAX, end: u32::MAX, ..INTENT };
        assert!(largest.metadata().len() < 200);
    }

    #[test]
    fn what_others_wrote_is_no_intent_and_what_a_later_version_wrote_is_not_ignored() {
        for metadata in ["", "{}", "consumer-1", r#"{"other":1}"#] {
            assert_eq!(Intent::parse(500, metadata), Ok(None), "{metadata}");
        }
        let metadata = INTENT.metadata();
        for wrong in [
            metadata.replace("\"volley\":1", "\"volley\":2"),
            metadata.replace("599", "499"),
            metadata.replace("500", "501"),
            metadata.replace("last", "until"),
            r#"{"volley":"#.to_owned(),
        ] {
            assert!(Intent::parse(500, &wrong).is_err(), "{wrong}");
        }
    }
}
