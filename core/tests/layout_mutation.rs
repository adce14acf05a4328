//! Damages payloads byte by byte: nothing that passes the walk may make arrow-ipc panic or abort.
//!
//! Every seventh byte and length by default; `VOLLEY_MUTATE=all` takes all of them. The table of
//! results shows with `--nocapture`.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

mod arbitrary;
mod common;

use std::collections::BTreeMap;
use std::fmt;
use std::panic::catch_unwind;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit, UnionFields, UnionMode};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use volley_core::decode::DecodeError;
use volley_core::layout::{
    BufferLayout, Codec, Layout, MessageKind, MessageLayout, Options, RegionKind, walk,
};
use volley_core::splice::splice;

use crate::arbitrary::{Values, arb_schema, batch};
use crate::common::{CODECS, FRAMINGS, Writing, decode, encode};

const MASKS: [u8; 3] = [0x01, 0x80, 0xff];

fn is_full() -> bool {
    std::env::var("VOLLEY_MUTATE").is_ok_and(|value| value == "all")
}

/// What became of mutants.
#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    mutants: usize,
    /// Refused by the walk, with the column named.
    with_column: usize,
    /// Refused by the walk, with the message named but no column: a prefix, or a flatbuffer that
    /// no longer verifies.
    with_message: usize,
    /// Refused by the walk as a whole: magic, footer, end of the payload.
    without_message: usize,
    /// Passed the walk; arrow-ipc returned an error.
    arrow_error: usize,
    /// Decoded to the same rows: padding, metadata that no reader needs, null slots.
    equal: usize,
    /// Decoded to other rows, which only a checksum could tell.
    different: usize,
    /// Panicked, in the walk or in arrow-ipc.
    panics: usize,
    /// Regions that do not cover each byte once.
    not_whole: usize,
}

impl std::ops::AddAssign for Outcomes {
    fn add_assign(&mut self, other: Self) {
        self.mutants += other.mutants;
        self.with_column += other.with_column;
        self.with_message += other.with_message;
        self.without_message += other.without_message;
        self.arrow_error += other.arrow_error;
        self.equal += other.equal;
        self.different += other.different;
        self.panics += other.panics;
        self.not_whole += other.not_whole;
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:6} mutants: refused naming column {:6}, message {:6}, neither {:6}; arrow error \
             {:6}, equal {:6}, different {:6}, panics {}",
            self.mutants,
            self.with_column,
            self.with_message,
            self.without_message,
            self.arrow_error,
            self.equal,
            self.different,
            self.panics
        )
    }
}

/// The part of a payload that a mutant damages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Prefix and flatbuffer of a schema.
    Schema,
    /// Prefix of another message.
    Prefix,
    /// The nodes and buffers that its flatbuffer lists.
    Tables,
    /// The rest of its flatbuffer.
    Metadata,
    /// The length before a compressed buffer, and its frame header.
    FrameHeader,
    Body,
    /// Magic, end marker, footer.
    Frame,
    /// Bytes cut off at the end.
    Truncated,
}

/// Which part each byte belongs to.
fn parts(payload: &[u8]) -> Vec<Part> {
    let (layout, _) = walk(payload, &Options::default());
    let mut parts = vec![Part::Frame; payload.len()];
    for region in &layout.regions {
        let message = region.message.map(|index| &layout.messages[index]);
        let is_schema = message.is_some_and(|message| message.kind == MessageKind::Schema);
        let part = match region.kind {
            _ if is_schema => Part::Schema,
            RegionKind::Prefix => Part::Prefix,
            RegionKind::Metadata => Part::Metadata,
            RegionKind::Buffer(_) | RegionKind::Padding => Part::Body,
            _ => Part::Frame,
        };
        parts[region.offset..region.end()].fill(part);
        let is_compressed = message.is_some_and(|message| message.codec != Codec::None);
        if matches!(region.kind, RegionKind::Buffer(_)) && is_compressed {
            let len = region.len.min(8 + 4);
            parts[region.offset..region.offset + len].fill(Part::FrameHeader);
        }
        if let (RegionKind::Metadata, Some(message)) = (region.kind, message) {
            let metadata = &payload[region.offset..region.end()];
            for (needle, len) in tables(&layout, message) {
                let at = metadata.windows(needle.len()).position(|window| window == needle);
                let at = region.offset + at.unwrap();
                parts[at..at + len].fill(Part::Tables);
            }
        }
    }
    parts
}

/// The vectors of nodes and of buffers, as the flatbuffer holds them.
fn tables(layout: &Layout, message: &MessageLayout) -> Vec<(Vec<u8>, usize)> {
    let mut nodes = Vec::new();
    for node in layout.nodes_of(message) {
        nodes.extend(node.len.to_le_bytes());
        nodes.extend(node.null_count.to_le_bytes());
    }
    let mut buffers = Vec::new();
    let empty_at = |buffer: &BufferLayout| buffer.offset - message.body_offset();
    for buffer in layout.buffers_of(message) {
        buffers.extend((empty_at(buffer) as u64).to_le_bytes());
        buffers.extend((buffer.stored as u64).to_le_bytes());
    }
    let tables = [nodes, buffers];
    tables.into_iter().filter(|t| !t.is_empty()).map(|table| (table.clone(), table.len())).collect()
}

fn is_whole(payload: &[u8]) -> bool {
    let (layout, _) = walk(payload, &Options::default());
    let mut at = 0;
    let follow = layout.regions.iter().all(|region| {
        let follows = region.offset == at && region.len > 0;
        at = region.end();
        follows
            && matches!(region.kind, RegionKind::Buffer(b) if b < layout.buffers.len())
                | !matches!(region.kind, RegionKind::Buffer(_))
    });
    follow && at == payload.len()
}

fn try_mutant(mutant: &[u8], original: &[RecordBatch], outcomes: &mut Outcomes) {
    outcomes.mutants += 1;
    let result = catch_unwind(|| {
        let decoded = decode(mutant, &Options::default());
        // What passes must splice too, or say why not.
        let _: Result<Vec<u8>, _> = splice(&[mutant], &Options::default()).map(|s| s.to_vec());
        (decoded, is_whole(mutant))
    });
    let Ok((decoded, is_whole)) = result else {
        outcomes.panics += 1;
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("panic-{}", mutant.len()));
        std::fs::write(&path, mutant).unwrap();
        eprintln!("the payload that panicked: {}", path.display());
        return;
    };
    outcomes.not_whole += usize::from(!is_whole);
    match decoded {
        Err(DecodeError::Damaged(diagnostic)) if diagnostic.column.is_some() => {
            outcomes.with_column += 1;
        }
        Err(DecodeError::Damaged(diagnostic)) if diagnostic.message.is_some() => {
            outcomes.with_message += 1;
        }
        Err(DecodeError::Damaged(_)) => outcomes.without_message += 1,
        Err(_) => outcomes.arrow_error += 1,
        Ok(batches) if batches == original => outcomes.equal += 1,
        Ok(_) => outcomes.different += 1,
    }
}

/// Flips bytes and cuts the payload short, `step` bytes apart.
fn mutate(payload: &[u8], step: usize, outcomes: &mut BTreeMap<Part, Outcomes>) {
    let original = decode(payload, &Options::default()).unwrap();
    let parts = parts(payload);
    for at in (0..payload.len()).step_by(step) {
        for mask in MASKS {
            let mut mutant = payload.to_vec();
            mutant[at] ^= mask;
            try_mutant(&mutant, &original, outcomes.entry(parts[at]).or_default());
        }
    }
    for len in (0..payload.len()).step_by(step) {
        let outcomes = outcomes.entry(Part::Truncated).or_default();
        try_mutant(&payload[..len], &original, outcomes);
    }
}

fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

fn corpus() -> Vec<(&'static str, SchemaRef)> {
    use DataType::*;
    let item = |t: DataType| Arc::new(Field::new("item", t, true));
    let dictionary = |values: DataType| Dictionary(Box::new(Int16), Box::new(values));
    let pair = Fields::from(vec![Field::new("a", Int32, true), Field::new("b", Utf8, true)]);
    let entries = vec![Field::new("key", Utf8, false), Field::new("value", Int64, true)];
    let union = |mode| {
        let fields = [(0, Field::new("i", Int32, true)), (5, Field::new("s", Utf8, true))];
        Union(fields.into_iter().map(|(id, f)| (id, Arc::new(f))).collect::<UnionFields>(), mode)
    };
    let runs = Arc::new(Field::new("run_ends", Int32, false));
    vec![
        (
            "narrow",
            schema(vec![
                Field::new("time", Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
                Field::new("host", Utf8, false),
                Field::new("value", Float64, true),
                Field::new("up", Boolean, true),
            ]),
        ),
        (
            "dictionary",
            schema(vec![
                Field::new("host", dictionary(Utf8), true),
                Field::new("point", dictionary(Struct(pair.clone())), true),
            ]),
        ),
        (
            "lists",
            schema(vec![
                Field::new("list", List(item(Struct(pair.clone()))), true),
                Field::new("large", LargeList(item(Int8)), true),
                Field::new("fixed", FixedSizeList(item(Float32), 3), true),
            ]),
        ),
        (
            "views",
            schema(vec![
                Field::new("text", Utf8View, true),
                Field::new("bytes", BinaryView, true),
                Field::new("lists", ListView(item(Int32)), true),
                Field::new("large", LargeListView(item(Utf8View)), true),
            ]),
        ),
        (
            "map",
            schema(vec![Field::new(
                "map",
                Map(Arc::new(Field::new("entries", Struct(entries.into()), false)), false),
                true,
            )]),
        ),
        (
            "unions",
            schema(vec![
                Field::new("dense", union(UnionMode::Dense), true),
                Field::new("sparse", union(UnionMode::Sparse), true),
            ]),
        ),
        (
            "runs",
            schema(vec![
                Field::new("runs", RunEndEncoded(runs.clone(), item(Utf8)), true),
                Field::new("null", Null, true),
                Field::new("coded", RunEndEncoded(runs, item(dictionary(Utf8))), true),
            ]),
        ),
        (
            "fixed",
            schema(vec![
                Field::new("id", FixedSizeBinary(16), true),
                Field::new("small", Decimal32(9, 2), true),
                Field::new("money", Decimal128(38, 10), true),
                Field::new("huge", Decimal256(76, 20), true),
                Field::new("span", Interval(arrow_schema::IntervalUnit::MonthDayNano), true),
            ]),
        ),
        (
            "large",
            schema(vec![
                Field::new("text", LargeUtf8, true),
                Field::new("bytes", LargeBinary, true),
                Field::new("half", Float16, true),
            ]),
        ),
        (
            "nested dictionary",
            schema(vec![Field::new(
                "lists",
                List(item(dictionary(List(item(dictionary(Utf8)))))),
                true,
            )]),
        ),
        ("no columns", schema(vec![])),
        (
            "struct",
            schema(vec![
                Field::new("empty", Struct(Fields::empty()), true),
                Field::new("pair", Struct(pair), false),
            ]),
        ),
    ]
}

#[test]
fn damage_is_refused_or_decoded_and_never_panics() {
    let step = if is_full() { 1 } else { 7 };
    let mut by_part = BTreeMap::new();
    let mut total = Outcomes::default();
    for compression in CODECS {
        let mut of_codec = BTreeMap::new();
        for (_, schema) in corpus() {
            for framing in FRAMINGS {
                let writing = Writing { framing, compression, alignment: 8, ..Writing::default() };
                let payload = encode(&schema, &[batch(&schema, 20, 7, false)], writing).unwrap();
                mutate(&payload, step, &mut of_codec);
            }
        }
        let mut sum = Outcomes::default();
        for (part, outcomes) in of_codec {
            sum += outcomes;
            *by_part.entry(part).or_default() += outcomes;
        }
        println!("{:12} {sum}", compression.and_then(|c| c.variant_name()).unwrap_or("none"));
        total += sum;
    }
    for (part, outcomes) in &by_part {
        println!("{:12} {outcomes}", format!("{part:?}"));
    }
    assert_eq!((total.panics, total.not_whole), (0, 0), "{total}");

    // Damage to what belongs to a column names it.
    for part in [Part::Tables, Part::FrameHeader] {
        let Outcomes { with_column, with_message, without_message, .. } = by_part[&part];
        let refused = with_column + with_message + without_message;
        assert!(with_column * 100 > refused * 95, "{part:?}: {}", by_part[&part]);
    }
    assert_eq!(by_part[&Part::Truncated].arrow_error, 0);
}

#[test]
fn swapped_and_repeated_messages_never_panic() {
    let mut outcomes = Outcomes::default();
    for (_, schema) in corpus() {
        for compression in CODECS {
            let writing = Writing { compression, ..Writing::default() };
            let batches = [batch(&schema, 9, 1, false), batch(&schema, 5, 2, false)];
            let payload = encode(&schema, &batches, writing).unwrap();
            let original = decode(&payload, &Options::default()).unwrap();
            let (layout, _) = walk(&payload, &Options::default());
            let ranges: Vec<_> = layout.messages.iter().map(|message| message.range()).collect();
            for first in 0..ranges.len() {
                for second in 0..ranges.len() {
                    let mut order: Vec<usize> = (0..ranges.len()).collect();
                    if first == second {
                        order.insert(first, first);
                    } else {
                        order.swap(first, second);
                    }
                    let mut mutant: Vec<u8> = Vec::new();
                    order.iter().for_each(|&at| mutant.extend(&payload[ranges[at].clone()]));
                    mutant.extend([0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
                    try_mutant(&mutant, &original, &mut outcomes);
                }
            }
        }
    }
    assert_eq!((outcomes.panics, outcomes.not_whole), (0, 0), "{outcomes}");
    assert!(outcomes.mutants > 300, "{outcomes}");
}

#[test]
fn random_bytes_never_panic() {
    let mut values = Values::new(42);
    let mut outcomes = Outcomes::default();
    for len in 0..2000 {
        let mut bytes: Vec<u8> = (0..len).map(|_| values.next() as u8).collect();
        try_mutant(&bytes, &[], &mut outcomes);
        // With a plausible beginning.
        for (at, byte) in b"ARROW1\0\0\xff\xff\xff\xff".iter().enumerate().take(len) {
            bytes[at] = *byte;
        }
        try_mutant(&bytes, &[], &mut outcomes);
    }
    assert_eq!((outcomes.panics, outcomes.not_whole), (0, 0), "{outcomes}");
}

/// Words at any place of payloads of any schema become numbers at the edges of what they mean.
#[test]
fn random_edits_never_panic() {
    let n_schemas = if is_full() { 20_000 } else { 150 };
    let seed = std::env::var("VOLLEY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let mut values = Values::new(seed);
    let mut runner = TestRunner::deterministic();
    let schemas = arb_schema();
    let mut outcomes = Outcomes::default();
    for _ in 0..n_schemas {
        let schema = schemas.new_tree(&mut runner).unwrap().current();
        let batches: Vec<RecordBatch> =
            (0..2).map(|_| batch(&schema, values.below(30), values.next(), false)).collect();
        let writing = Writing {
            framing: FRAMINGS[values.below(2)],
            compression: CODECS[values.below(3)],
            alignment: 8,
            ..Writing::default()
        };
        let Ok(payload) = encode(&schema, &batches, writing) else {
            continue;
        };
        let original = decode(&payload, &Options::default()).unwrap();
        for _ in 0..60 {
            let mut mutant = payload.clone();
            for _ in 0..1 + values.below(3) {
                edit(&mut mutant, &mut values);
            }
            try_mutant(&mutant, &original, &mut outcomes);
        }
    }
    println!("{outcomes}");
    assert_eq!((outcomes.panics, outcomes.not_whole), (0, 0), "{outcomes}");
}

fn edit(mutant: &mut Vec<u8>, values: &mut Values) {
    let width = [1, 2, 4, 8][values.below(4)];
    let Some(words) = (mutant.len() / width).checked_sub(1) else {
        return;
    };
    let at = values.below(words) * width;
    let word = &mut mutant[at..at + width];
    let mut bytes = [0; 8];
    bytes[..width].copy_from_slice(word);
    let before = i64::from_le_bytes(bytes);
    let edges = [
        0,
        1,
        -1,
        7,
        8,
        64,
        before.wrapping_add(1),
        before.wrapping_sub(1),
        before.wrapping_mul(2),
        before.wrapping_add(8),
        before ^ 4,
        before / 2,
        i64::from(i32::MAX),
        i64::MAX,
        i64::MIN,
        1 << 20,
        1 << 31,
        1 << 40,
    ];
    let after = edges[values.below(edges.len())].to_le_bytes();
    word.copy_from_slice(&after[..width]);
    match values.below(40) {
        // Now and then a part is lost, or comes twice.
        0 => drop(mutant.drain(at..at + width)),
        1 => mutant.extend_from_within(at..at + width),
        _ => {}
    }
}
