//! Damages payloads in every way that is listed below: nothing panics, aborts or hangs, what is
//! refused says where, and the checksum header tells every change.
//!
//! Payloads over twelve schemas, three codecs and two framings. Of each, every byte is changed by
//! three masks, it is cut to every length, and every two of its messages are swapped and repeated; by
//! default every seventh byte and length, with `VOLLEY_MUTATE=all` every one. `cargo xtask mutate`
//! prints the table of results; its columns are [`tally::Count`] and its rows [`place::Class`].
//!
//! # What a fault must name
//!
//! A mutant is *structural* where it changes the walk: other regions, messages, columns or sizes, or
//! a diagnostic. What its first error can name depends on where the damage lies:
//!
//! * *the message, the column and the buffer*, where the damaged or missing bytes describe one
//!   buffer or lie in it: the tables of buffers and nodes, lengths and frames of compressed buffers,
//!   bodies that are cut short. At least 95 % of the structural ones do, in each of these classes,
//!   those counted in that are no fault because another sound payload came out;
//! * *the message and the column* for the nodes of columns that have no buffer;
//! * *the message* where what is damaged belongs to all its columns or precedes them: prefix, schema,
//!   the rest of the flatbuffer;
//! * *the byte offset* for magic, footer and end marker, which belong to no message.
//!
//! A name counts only where it is the right one, as the undamaged payload tells.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests"
)]

#[path = "../arbitrary/mod.rs"]
mod arbitrary;
#[path = "../common/mod.rs"]
mod common;
mod corpus;
mod place;
mod tally;
mod worker;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use arrow_array::RecordBatch;

use crate::arbitrary::{Values, arb_schema, batch};
use crate::common::{CODECS, FRAMINGS, Writing, encode};
use crate::place::{Class, Names, Place};
use crate::tally::{Count, Original, Tally};

/// What nothing may do, whatever the bytes.
fn assert_no_accident(tally: &Tally) {
    let sum = tally.sum(|_| true);
    for count in [Count::Panics, Count::Aborts, Count::Hangs, Count::NotWhole, Count::SameChecksum]
    {
        assert_eq!(sum.of(count), 0, "{count:?}");
    }
}

/// Processes that inherit this have 2 GiB of address space.
#[cfg(target_os = "linux")]
fn limit_memory() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::As);
    setrlimit(Resource::As, rustix::process::Rlimit { current: Some(2 << 30), ..limit }).unwrap();
}

#[cfg(not(target_os = "linux"))]
fn limit_memory() {
    println!("the address space is limited on Linux only");
}

#[test]
fn damage_is_refused_where_it_is() {
    if worker::work() {
        return;
    }
    limit_memory();
    let tally = worker::damage_all("damage_is_refused_where_it_is");
    tally.print();
    assert_no_accident(&tally);
    for (class, counts) in &tally.0 {
        if class.names() > Names::Message {
            let named = counts.named(class.names());
            assert!(named >= 95.0, "{class}: {named:.1} % name what is damaged");
        }
    }
    assert_eq!(tally.0.len(), Class::ALL.len());
    // Where the payload ends is a matter of structure alone.
    let cut = tally.sum(|class| matches!(class, Class::CutBuffer | Class::CutMessage));
    assert_eq!(cut.of(Count::Refused), cut.of(Count::Mutants));
}

#[test]
fn random_bytes_never_panic() {
    let mut values = Values::new(42);
    limit_memory();
    let payload = corpus::cases()[0].payload();
    let original = Original::new(&payload);
    let place = Place::new(Class::Framing, None);
    let mut tally = Tally::default();
    for len in 0..2000 {
        let mut bytes: Vec<u8> = (0..len).map(|_| values.next() as u8).collect();
        original.judge(&bytes, &place, &mut tally);
        // With a plausible beginning.
        for (at, byte) in b"ARROW1\0\0\xff\xff\xff\xff".iter().enumerate().take(len) {
            bytes[at] = *byte;
        }
        original.judge(&bytes, &place, &mut tally);
    }
    assert_no_accident(&tally);
}

/// Words at any place of payloads of any schema become numbers at the edges of what they mean.
#[test]
fn random_edits_never_panic() {
    limit_memory();
    let n_schemas = if worker::step() == 1 { 4_000 } else { 150 };
    let seed = std::env::var("VOLLEY_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let mut values = Values::new(seed);
    let mut runner = TestRunner::deterministic();
    let schemas = arb_schema();
    let place = Place::new(Class::Framing, None);
    let mut tally = Tally::default();
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
        let original = Original::new(&payload);
        for _ in 0..60 {
            let mut mutant = payload.clone();
            for _ in 0..1 + values.below(3) {
                edit(&mut mutant, &mut values);
            }
            original.judge(&mutant, &place, &mut tally);
        }
    }
    println!("{} random edits", tally.sum(|_| true).of(Count::Mutants));
    assert_no_accident(&tally);
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
