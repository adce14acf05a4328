use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::columns::Columns;
use crate::layout::{Codec, Layout, MessageKind, MessageLayout, Region, RegionKind};

/// What every byte of a payload is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ByteMap {
    /// Every message that could be read, in the order of their bytes.
    pub messages: Vec<MessageInspection>,
    /// Every region, from byte 0 to the last one, without gap or overlap.
    pub regions: Vec<RegionInspection>,
    /// The regions of each kind, summed up: together they are all bytes of the payload.
    pub region_totals: Vec<RegionTotal>,
}

/// A message of a payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MessageInspection {
    /// `schema`, `dictionary`, `delta dictionary`, `record batch` or `other`.
    pub kind: &'static str,
    /// Which dictionary, of one.
    pub dictionary: Option<i64>,
    /// Where it begins.
    pub offset: usize,
    /// Its length, prefix and body included.
    pub bytes: usize,
    /// Version of its metadata, 4 or 5.
    pub version: u8,
    /// Rows of a record batch, values of a dictionary, 0 of others.
    pub rows: u64,
    /// Compression of its body: `none`, `lz4` or `zstd`.
    pub codec: String,
}

/// A run of bytes and its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionInspection {
    /// First byte in the payload.
    pub offset: usize,
    /// Number of bytes, at least 1.
    pub bytes: usize,
    /// `magic`, `prefix`, `flatbuffer`, `buffer`, `padding`, `end marker`, `footer`,
    /// `footer length`, or `unclaimed` for what nothing describes in a damaged payload.
    pub kind: &'static str,
    /// Index of the message it belongs to; one past the last for one that could not be read.
    pub message: Option<usize>,
    /// Path of the column, of a buffer.
    #[serde(serialize_with = "as_text")]
    pub column: Option<Arc<str>>,
    /// What a buffer holds, such as `offsets`.
    pub buffer: Option<String>,
    /// Bytes of a buffer, decompressed.
    pub raw: Option<u64>,
    /// How the buffer is stored: `lz4`, `zstd`, or `none` also where compression would not have
    /// made it smaller.
    pub codec: Option<String>,
}

/// All regions of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionTotal {
    /// As in [`RegionInspection::kind`].
    pub kind: &'static str,
    /// How many there are.
    pub regions: usize,
    /// Their bytes.
    pub bytes: usize,
}

impl ByteMap {
    /// The map of a walked payload.
    pub fn of(layout: &Layout) -> Self {
        let columns = Columns::named(layout);
        // Shared by all regions of a column: a path may be long, and a column have many buffers.
        let paths: Vec<Arc<str>> = columns.all.iter().map(|column| (*column.path).into()).collect();
        let region = |region: &Region| region_of(layout, &columns, &paths, region);
        let regions: Vec<_> = layout.regions.iter().map(region).collect();
        let messages = layout.messages.iter().map(MessageInspection::of).collect();
        Self { messages, region_totals: totals(&regions), regions }
    }
}

impl MessageInspection {
    fn of(message: &MessageLayout) -> Self {
        let (kind, dictionary) = match message.kind {
            MessageKind::Schema => ("schema", None),
            MessageKind::Dictionary { id, is_delta: false } => ("dictionary", Some(id)),
            MessageKind::Dictionary { id, is_delta: true } => ("delta dictionary", Some(id)),
            MessageKind::RecordBatch => ("record batch", None),
            MessageKind::Other => ("other", None),
        };
        Self {
            kind,
            dictionary,
            offset: message.offset,
            bytes: message.range().len(),
            version: message.version,
            rows: message.rows,
            codec: message.codec.to_string(),
        }
    }
}

fn region_of(
    layout: &Layout,
    columns: &Columns,
    paths: &[Arc<str>],
    region: &Region,
) -> RegionInspection {
    let mut inspection = RegionInspection {
        offset: region.offset,
        bytes: region.len,
        kind: kind(region.kind),
        message: region.message,
        column: None,
        buffer: None,
        raw: None,
        codec: None,
    };
    let message = region.message.and_then(|message| layout.messages.get(message));
    if let (RegionKind::Buffer(index), Some(message)) = (region.kind, message)
        && let Some(buffer) = layout.buffers.get(index)
    {
        let column = columns.index(message.stream, buffer.column);
        inspection.column = column.and_then(|column| paths.get(column)).cloned();
        inspection.buffer = Some(buffer.kind.to_string());
        inspection.raw = Some(buffer.raw);
        let codec = if buffer.is_stored_raw { Codec::None } else { message.codec };
        inspection.codec = Some(codec.to_string());
    }
    inspection
}

fn kind(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Magic => "magic",
        RegionKind::Prefix => "prefix",
        RegionKind::Metadata => "flatbuffer",
        RegionKind::Buffer(_) => "buffer",
        RegionKind::Padding => "padding",
        RegionKind::EndOfStream => "end marker",
        RegionKind::Footer => "footer",
        RegionKind::FooterLength => "footer length",
        RegionKind::Unclaimed => "unclaimed",
    }
}

/// In the order in which each kind comes first.
fn totals(regions: &[RegionInspection]) -> Vec<RegionTotal> {
    let mut totals: Vec<RegionTotal> = Vec::new();
    for region in regions {
        match totals.iter_mut().find(|total| total.kind == region.kind) {
            Some(total) => {
                total.regions += 1;
                total.bytes += region.bytes;
            }
            None => {
                totals.push(RegionTotal { kind: region.kind, regions: 1, bytes: region.bytes });
            }
        }
    }
    totals
}

fn as_text<S: Serializer>(path: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    path.as_deref().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        codec::{self, CodecOptions},
        encode::encode,
        inspect::tests::batch,
        layout::{Options, walk},
    };

    #[track_caller]
    fn map_of(payload: &[u8]) -> ByteMap {
        let map = ByteMap::of(&walk(payload, &Options::default()).0);
        let mut at = 0;
        for region in &map.regions {
            assert_eq!(region.offset, at);
            at += region.bytes;
        }
        assert_eq!(at, payload.len());
        assert_eq!(map.region_totals.iter().map(|total| total.bytes).sum::<usize>(), payload.len());
        let n_regions: usize = map.region_totals.iter().map(|total| total.regions).sum();
        assert_eq!(n_regions, map.regions.len());
        map
    }

    #[test]
    fn every_buffer_is_named() {
        let options = CodecOptions { codec: codec::Codec::Lz4, framing: codec::Framing::File };
        let map = map_of(&encode(&batch("n"), options).unwrap());
        let kinds: Vec<_> =
            map.messages.iter().map(|message| (message.kind, message.rows)).collect();
        assert_eq!(kinds, [("schema", 0), ("dictionary", 2), ("record batch", 3)]);
        let buffers: Vec<_> = map
            .regions
            .iter()
            .filter(|region| region.kind == "buffer")
            .map(|region| {
                let (column, buffer) = (region.column.as_deref(), region.buffer.as_deref());
                (region.message, column.unwrap(), buffer.unwrap(), region.raw.unwrap())
            })
            .collect();
        assert_eq!(
            buffers,
            [
                (Some(1), "key[dictionary]", "offsets", 12),
                (Some(1), "key[dictionary]", "values", 2),
                (Some(2), "text", "offsets", 16),
                (Some(2), "text", "values", 6),
                (Some(2), "pair.n", "validity", 1),
                (Some(2), "pair.n", "values", 12),
                (Some(2), "key", "keys", 3),
            ]
        );
        let ends = [&map.regions[0], map.regions.last().unwrap()];
        assert!(ends.iter().all(|region| region.kind == "magic"));
    }

    #[test]
    fn damaged_payloads_have_a_whole_map() {
        let payload = encode(&batch("n"), CodecOptions::default()).unwrap();
        for end in 0..payload.len() {
            map_of(&payload[..end]);
        }
        assert_eq!(map_of(b"no arrow at all").region_totals[0].kind, "unclaimed");
    }
}
