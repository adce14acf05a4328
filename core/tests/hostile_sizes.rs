//! Payloads that claim much, or make much of little: refused or decoded in bounded memory and time.
//!
//! Memory is what the allocator held at most. Time is that of the processor, which other processes do
//! not change, and its limit is far above what a linear walk takes and far below anything worse.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

mod common;

use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow_ipc::{CompressionType, Endianness};
use arrow_schema::{DataType, Field, Schema};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use peak_alloc::PeakAlloc;
use volley_core::decode::{DecodeError, decode_within};
use volley_core::layout::{Code, Diagnostic, Options, walk, walk_values};
use volley_core::splice::splice;

use crate::common::forge::{self, Batch, END, ints, stream};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One test at a time, since the allocator counts for all.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

const MIB: usize = 1 << 20;

/// What this thread has had of a processor.
fn processor_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// Walks, checks, decodes and splices a payload, in at most so much memory and ten seconds for each
/// and a moment for the most; returns why it does not decode.
#[track_caller]
fn within(max_bytes: usize, payload: &[u8], options: &Options) -> Option<DecodeError> {
    let mut error = None;
    let mut measure = |name: &str, what: &mut dyn FnMut(&mut Option<DecodeError>)| {
        MEMORY.reset_peak_usage();
        let (before, start) = (MEMORY.current_usage(), processor_time());
        what(&mut error);
        let (took, held) = (processor_time() - start, MEMORY.peak_usage() - before);
        println!("{name} of {} bytes: {held} bytes, {took:?}", payload.len());
        assert!(held <= max_bytes, "{name} held {held} bytes, more than {max_bytes}");
        assert!(took < Duration::from_secs(10), "{name} took {took:?}");
    };
    measure("walk", &mut |_| drop(walk(payload, options)));
    measure("values", &mut |_| drop(walk_values(payload, options)));
    measure("decode", &mut |error| *error = decode_within(payload, options).err());
    measure("splice", &mut |_| drop(splice(&[payload, payload], options)));
    error
}

/// The same for a payload that the walk refuses.
#[track_caller]
fn refused_within(max_bytes: usize, payload: &[u8], options: &Options) -> Diagnostic {
    match within(max_bytes, payload, options) {
        Some(DecodeError::Damaged(diagnostic)) => *diagnostic,
        other => panic!("not refused by the walk: {other:?}"),
    }
}

fn nulls(n_columns: usize) -> Schema {
    let field = |at: usize| Field::new(format!("{at}"), DataType::Null, true);
    Schema::new((0..n_columns).map(field).collect::<Vec<_>>())
}

/// Rows that take no bytes in the payload.
fn batch_of_nulls(rows: i64, n_columns: usize) -> Batch {
    let nodes = vec![(rows, rows); n_columns];
    Batch { rows, nodes, buffers: vec![], body: vec![], ..Batch::default() }
}

#[test]
fn claims_of_2_to_the_63_bytes() {
    let _turn = turn();
    for codec in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let mut body = i64::MAX.to_le_bytes().to_vec();
        body.resize(32, 0);
        let payload = stream(&ints(), &[Batch { codec: Some(codec), body, ..Batch::default() }]);
        let error = refused_within(MIB, &payload, &Options::default());
        assert_eq!(error.code, Code::OverCap);
        let found = "message 1, column `n`, values buffer, byte 360: the payload claims more than \
                     the limit allows: found 9223372036854775807 bytes decompressed, expected at \
                     most 268435456 [over-cap]";
        assert_eq!(error.to_string().replace(&error.offset.to_string(), "360"), found);
    }
    let buffers = vec![(0, 0), (0, i64::MAX)];
    let payload = stream(&ints(), &[Batch { buffers, ..Batch::default() }]);
    assert_eq!(refused_within(MIB, &payload, &Options::default()).code, Code::BufferBounds);
}

#[test]
fn a_billion_rows() {
    let _turn = turn();
    let options = Options::default();
    let payload = stream(&nulls(1), &[batch_of_nulls(1_000_000_000, 1)]);
    assert_eq!(refused_within(MIB, &payload, &options).code, Code::OverCap);
    // As many as are allowed, from nothing: they decode, and count against the limit.
    let payload = stream(&nulls(1), &[batch_of_nulls(1 << 28, 1)]);
    assert!(within(40 * MIB, &payload, &options).is_none());
    let payload = stream(&nulls(9), &[batch_of_nulls(1 << 28, 9)]);
    assert_eq!(refused_within(MIB, &payload, &options).code, Code::OverCap);
    // Over many batches.
    let batches = vec![batch_of_nulls(1 << 20, 1); 1000];
    let error = refused_within(2 * MIB, &stream(&nulls(1), &batches), &options);
    assert_eq!((error.code, error.message), (Code::OverCap, Some(257)));
}

#[test]
fn types_nested_10_000_deep() {
    let _turn = turn();
    let error = refused_within(2 * MIB, &forge::deep(10_000), &Options::default());
    assert_eq!(error.code, Code::MetadataMalformed);
}

/// A Zstandard frame without content size, of `n` blocks of 128 KiB of zeros in 4 bytes each.
///
/// ```text
/// magic (u32) · descriptor 0 · window of 2^17 · (last (1 bit) · type 1 (2) · size (21) · byte)*
/// ```
fn zstd_zeros(n_blocks: usize) -> Vec<u8> {
    let mut frame = [&0xFD2F_B528_u32.to_le_bytes()[..], &[0, 7 << 3]].concat();
    for block in 1..=n_blocks {
        let header = u32::from(block == n_blocks) | 1 << 1 | (1 << 17) << 3;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// An LZ4 frame without content size, of `n` independent blocks of 4 MiB of zeros.
fn lz4_zeros(n_blocks: usize) -> Vec<u8> {
    let info = FrameInfo::new().block_size(BlockSize::Max4MB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&vec![0; 4 * MIB]).unwrap();
    let frame = encoder.finish().unwrap();
    let (head, block, end) = (&frame[..7], &frame[7..frame.len() - 4], &frame[frame.len() - 4..]);
    [head, &block.repeat(n_blocks), end].concat()
}

/// One column of `rows` integers, in a frame.
fn framed(codec: CompressionType, rows: usize, declared: usize, frame: &[u8]) -> Vec<u8> {
    let mut body = [&(declared as i64).to_le_bytes(), frame].concat();
    let buffers = vec![(0, 0), (0, body.len() as i64)];
    body.resize(body.len().next_multiple_of(8), 0);
    let rows = rows as i64;
    let nodes = vec![(rows, 0)];
    stream(&ints(), &[Batch { rows, nodes, buffers, codec: Some(codec), body, ..Batch::default() }])
}

/// Frames of zeros, `block` of them in each block, declared as what they are, as what the rows need,
/// and as what is just allowed; the last two hold `lie` bytes.
fn bombs(codec: CompressionType, block: usize, lie: usize, zeros: impl Fn(usize) -> Vec<u8>) {
    const TEN_GB: usize = 10 << 30;
    let options = Options::default();
    let cap = options.max_raw_bytes as usize;
    // They are frames: a small one decodes.
    let payload = framed(codec, 4 * MIB / 8, 4 * MIB, &zeros(4 * MIB / block));
    let error = within(16 * MIB, &payload, &options);
    assert!(error.is_none(), "{error:?}");

    let bomb = zeros(TEN_GB / block);
    println!("10 GiB in {} bytes", bomb.len());
    let payload = framed(codec, TEN_GB / 8, TEN_GB, &bomb);
    let error = refused_within(MIB, &payload, &options);
    assert_eq!((error.code, error.message), (Code::OverCap, Some(1)));

    // Decoding copies the body; a splice of two refers to them.
    let bomb = zeros(lie / block);
    let room = 2 * bomb.len() + 4 * MIB;
    assert!(within(room, &framed(codec, 4, 32, &bomb), &options).is_some());
    let allowed = cap / 2;
    let payload = framed(codec, allowed / 8, allowed, &bomb);
    assert!(within(room + allowed, &payload, &options).is_some());
}

#[test]
fn ten_gigabytes_of_zeros_in_zstd() {
    let _turn = turn();
    bombs(CompressionType::ZSTD, 1 << 17, 10 << 30, zstd_zeros);
}

#[test]
fn ten_gigabytes_of_zeros_in_lz4() {
    let _turn = turn();
    bombs(CompressionType::LZ4_FRAME, 1 << 22, 1 << 30, lz4_zeros);
}

#[test]
fn many_messages() {
    let _turn = turn();
    // 2,000,000 bytes and more of the smallest batches there are.
    let payload = stream(&nulls(0), &vec![batch_of_nulls(1, 0); 20_000]);
    let error = within(16 * payload.len(), &payload, &Options::default());
    assert!(error.is_none(), "{error:?}");

    // As many streams.
    let payload = stream(&nulls(1), &[]).repeat(20_000);
    let error = within(16 * payload.len(), &payload, &Options::default());
    assert!(error.is_none(), "{error:?}");
}

#[test]
fn many_columns() {
    let _turn = turn();
    let n_columns = 60_000;
    let batches = vec![batch_of_nulls(1, n_columns); 3];
    let payload = stream(&nulls(n_columns), &batches);
    let error = within(20 * payload.len(), &payload, &Options::default());
    assert!(error.is_none(), "{error:?}");
    let payload = stream(&nulls(70_000), &[]);
    let error = refused_within(20 * payload.len(), &payload, &Options::default());
    assert_eq!(error.code, Code::OverCap);
}

/// To find out whether the rows or the columns are wrong is not done for each column.
#[test]
fn many_columns_of_other_lengths() {
    let _turn = turn();
    let n_columns = 60_000;
    for (last, expected) in [(2, Code::RowCount), (3, Code::NodeLength)] {
        let mut batch = batch_of_nulls(2, n_columns);
        batch.rows = 1;
        batch.nodes[n_columns - 1] = (last, last);
        let payload = stream(&nulls(n_columns), &[batch]);
        let error = refused_within(20 * payload.len(), &payload, &Options::default());
        assert_eq!(error.code, expected);
    }
}

/// A reader goes over all columns for each dictionary, to find the one that uses it.
#[test]
fn many_dictionaries_over_many_columns() {
    let _turn = turn();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Int64));
    let field = |at: usize| match at {
        0 => Field::new("d", dictionary.clone(), true),
        at => Field::new(format!("{at}"), DataType::Null, true),
    };
    let schema = Schema::new((0..20_000).map(field).collect::<Vec<_>>());
    let values = Batch { dictionary: Some((0, false)), ..Batch::default() };
    let payload = stream(&schema, &vec![values.clone(); 100]);
    let error = within(20 * payload.len(), &payload, &Options::default());
    assert!(error.is_none(), "{error:?}");
    let payload = stream(&schema, &vec![values; 10_000]);
    let error = refused_within(20 * payload.len(), &payload, &Options::default());
    assert_eq!((error.code, error.message), (Code::OverCap, Some(839)));
}

/// Each buffer lies over the same frame, so that going through all of them would be quadratic.
#[test]
fn many_buffers_over_one_frame() {
    let _turn = turn();
    let mut frame = lz4_zeros(1);
    frame.truncate(7);
    for _ in 0..200_000 {
        // A stored block of one byte.
        frame.extend((1_u32 | 1 << 31).to_le_bytes());
        frame.push(7);
    }
    frame.extend([0; 4]);
    let n_columns = 20_000;
    let field = |at: usize| Field::new(format!("{at}"), DataType::Int8, true);
    let schema = Schema::new((0..n_columns).map(field).collect::<Vec<_>>());
    let mut body = [&1000_i64.to_le_bytes()[..], &frame].concat();
    let buffer = (0, body.len() as i64);
    body.resize(body.len().next_multiple_of(8), 0);
    let batch = Batch {
        rows: 1000,
        nodes: vec![(1000, 0); n_columns],
        buffers: [(0, 0), buffer].repeat(n_columns),
        codec: Some(CompressionType::LZ4_FRAME),
        body,
        ..Batch::default()
    };
    let payload = stream(&schema, &[batch]);
    let error = refused_within(20 * payload.len(), &payload, &Options::default());
    assert_eq!(error.code, Code::BufferOverlap, "{error}");
}

/// Tiny frames for which a decoder sets up 8 MiB each, as writers in Java make them.
#[test]
fn many_frames_of_large_blocks() {
    let _turn = turn();
    let mut frame = lz4_zeros(1);
    frame.truncate(7);
    frame.extend((1_u32 | 1 << 31).to_le_bytes());
    frame.extend([7, 0, 0, 0, 0]);
    let payload = |n_columns: usize| {
        let field = |at: usize| Field::new(format!("{at}"), DataType::Int8, true);
        let schema = Schema::new((0..n_columns).map(field).collect::<Vec<_>>());
        let mut buffer = [&1_i64.to_le_bytes()[..], &frame].concat();
        let len = buffer.len() as i64;
        buffer.resize(buffer.len().next_multiple_of(8), 0);
        let stride = buffer.len() as i64;
        let buffers = (0..n_columns as i64).flat_map(|at| [(0, 0), (at * stride, len)]).collect();
        let batch = Batch {
            rows: 1,
            nodes: vec![(1, 0); n_columns],
            buffers,
            codec: Some(CompressionType::LZ4_FRAME),
            body: buffer.repeat(n_columns),
            ..Batch::default()
        };
        stream(&schema, &[batch])
    };
    let error = within(20 * MIB, &payload(2_048), &Options::default());
    assert!(error.is_none(), "{error:?}");
    let error = refused_within(20 * MIB, &payload(2_049), &Options::default());
    assert_eq!(error.code, Code::OverCap);
}

/// A name of megabytes is not repeated in every one of its faults.
#[test]
fn long_names() {
    let _turn = turn();
    let name = "x".repeat(4 * MIB);
    let schema = Schema::new(vec![Field::new(name, DataType::Int64, true)]);
    let fault = Batch { buffers: vec![(0, 0), (8, 32)], ..Batch::default() };
    let payload =
        [forge::schema(&schema, Endianness::Little), fault.message().repeat(300), END.to_vec()]
            .concat();
    let error = refused_within(6 * payload.len(), &payload, &Options::default());
    assert_eq!(error.code, Code::BufferBounds);
    assert!(error.to_string().len() < 1000);
}

/// Each delta of the outer dictionary makes a reader copy the inner ones that it refers to.
#[test]
fn deltas_count_the_dictionaries_inside() {
    let _turn = turn();
    let dictionary = |values| DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
    let inner = Field::new("item", dictionary(DataType::Int64), true);
    let outer = Field::new("d", dictionary(DataType::Struct(vec![inner].into())), true);
    let schema = Schema::new(vec![outer]);
    let n = 1 << 17;
    let large = Batch {
        rows: n,
        nodes: vec![(n, 0)],
        buffers: vec![(0, 0), (0, n * 8)],
        body: vec![0; n as usize * 8],
        dictionary: Some((0, false)),
        ..Batch::default()
    };
    let small = Batch { dictionary: Some((0, false)), ..Batch::default() };
    let keys = |is_delta| Batch {
        nodes: vec![(4, 0), (4, 0)],
        buffers: vec![(0, 0), (0, 0), (0, 16)],
        body: vec![0; 16],
        dictionary: Some((1, is_delta)),
        ..Batch::default()
    };
    let mut batches = vec![large, keys(false)];
    for _ in 0..600 {
        batches.extend([small.clone(), keys(true)]);
    }
    let payload = stream(&schema, &batches);
    assert_eq!(refused_within(4 * MIB, &payload, &Options::default()).code, Code::OverCap);
}
