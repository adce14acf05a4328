//! Properties of the walk and of splicing, over arbitrary schemas, batches, codecs and framings.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "tests"
)]

mod arbitrary;
mod common;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_ipc::{Endianness, MetadataVersion};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use volley_core::layout::{Layout, MessageKind, Options, RegionKind, walk, walk_values};
use volley_core::splice::splice;

use crate::arbitrary::{arb_batches_of, arb_schema, arb_type, batch};
use crate::common::forge::{self, Batch, END};
use crate::common::{CODECS, FRAMINGS, Writing, decode, encode};

fn arb_writing() -> impl Strategy<Value = Writing> {
    let alignment = prop::sample::select(vec![8_usize, 16, 32, 64]);
    let framing = prop::sample::select(&FRAMINGS[..]);
    let codec = prop::sample::select(&CODECS[..]);
    (framing, codec, alignment).prop_map(|(framing, compression, alignment)| Writing {
        framing,
        compression,
        alignment,
        ..Writing::default()
    })
}

/// What fails once is tried first ever after.
fn config() -> ProptestConfig {
    let regressions = FileFailurePersistence::Direct("tests/proptest-regressions/layout.txt");
    ProptestConfig {
        cases: 500,
        failure_persistence: Some(Box::new(regressions)),
        ..Default::default()
    }
}

type Case = (SchemaRef, Vec<(Vec<RecordBatch>, Writing)>);

/// One schema, and one to three payloads of it.
fn arb_case() -> impl Strategy<Value = Case> {
    arb_schema().prop_flat_map(|schema| {
        let payload = (arb_batches_of(Arc::clone(&schema)), arb_writing());
        (Just(schema), prop::collection::vec(payload, 1..4))
    })
}

fn has_run_ends(data_type: &DataType) -> bool {
    format!("{data_type:?}").contains("RunEndEncoded")
}

/// Every byte belongs to exactly one region, and the parts add up.
fn assert_whole(payload: &[u8], layout: &Layout) {
    let mut at = 0;
    for region in &layout.regions {
        assert_eq!(region.offset, at, "a gap or an overlap before {region:?}");
        assert!(region.len > 0, "an empty region: {region:?}");
        at = region.end();
        if let RegionKind::Buffer(buffer) = region.kind {
            let buffer = layout.buffers[buffer];
            assert_eq!((buffer.offset, buffer.stored), (region.offset, region.len));
        }
    }
    assert_eq!(at, payload.len());
    let stored: usize = layout.buffers.iter().map(|buffer| buffer.stored).sum();
    let of_kind = |kinds: &[RegionKind]| -> usize {
        layout.regions.iter().filter(|r| kinds.contains(&r.kind)).map(|r| r.len).sum()
    };
    let padding = of_kind(&[RegionKind::Padding]);
    assert_eq!(of_kind(&[RegionKind::Unclaimed]), 0);
    assert_eq!(layout.metadata_bytes() + stored + padding, payload.len());
    let totals: u64 = (0..layout.streams.len())
        .flat_map(|stream| layout.column_totals(stream))
        .map(|total| total.stored)
        .sum();
    assert_eq!(totals, stored as u64);
}

/// Writes a payload; where the batches replace a dictionary, which files cannot, only the first.
fn encode_some(schema: &SchemaRef, batches: &[RecordBatch], writing: Writing) -> (Vec<u8>, usize) {
    match encode(schema, batches, writing) {
        Ok(payload) => (payload, batches.len()),
        Err(_) => (encode(schema, &batches[..1], writing).unwrap(), 1),
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn valid_payloads_are_whole_and_without_findings((schema, payloads) in arb_case()) {
        let options = Options::default();
        for (batches, writing) in &payloads {
            let (payload, n_batches) = encode_some(&schema, batches, *writing);
            let (layout, diagnostics) = walk_values(&payload, &options);
            prop_assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
            assert_whole(&payload, &layout);
            let rows: usize = batches[..n_batches].iter().map(RecordBatch::num_rows).sum();
            prop_assert_eq!(layout.rows(), rows as u64);
            prop_assert_eq!(layout.record_batches().count(), n_batches);
            prop_assert_eq!(layout.framing, writing.framing);
        }
    }

    #[test]
    fn a_splice_decodes_to_the_batches_of_its_payloads((schema, payloads) in arb_case()) {
        let options = Options::default();
        let payloads: Vec<Vec<u8>> = payloads
            .iter()
            .map(|(batches, writing)| encode_some(&schema, batches, *writing).0)
            .collect();
        let slices: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let spliced = splice(&slices, &options).unwrap();
        let stream = spliced.to_vec();
        prop_assert_eq!(spliced.len(), stream.len());
        let (layout, diagnostics) = walk(&stream, &options);
        prop_assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
        assert_whole(&stream, &layout);

        let expected: Vec<RecordBatch> =
            slices.iter().flat_map(|payload| decode(payload, &options).unwrap()).collect();
        prop_assert_eq!(spliced.rows, expected.iter().map(|b| b.num_rows() as u64).sum::<u64>());
        prop_assert_eq!(spliced.record_batches, expected.len());
        prop_assert_eq!(decode(&stream, &options).unwrap(), expected);
    }

    #[test]
    fn old_metadata_and_old_prefixes_are_whole((schema, payloads) in arb_case(), is_old_prefix: bool) {
        // arrow-ipc writes run ends in version 4 with a buffer that it does not read.
        prop_assume!(!schema.fields().iter().any(|field| has_run_ends(field.data_type())));
        let (batches, writing) = &payloads[0];
        let writing = Writing {
            compression: None,
            version: MetadataVersion::V4,
            is_old_prefix,
            ..*writing
        };
        let (payload, _) = encode_some(&schema, batches, writing);
        let (layout, diagnostics) = walk(&payload, &Options::default());
        prop_assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
        assert_whole(&payload, &layout);
        prop_assert!(layout.messages.iter().all(|message| message.version == 4));
        let prefix_len = if is_old_prefix { 4 } else { 8 };
        prop_assert!(layout.messages.iter().all(|message| message.prefix_len == prefix_len));
    }

    #[test]
    fn concatenated_streams_are_read_one_after_another((schema, payloads) in arb_case()) {
        let mut all = Vec::new();
        let mut expected = Vec::new();
        for (batches, writing) in &payloads {
            let writing = Writing { framing: FRAMINGS[0], ..*writing };
            let (payload, _) = encode_some(&schema, batches, writing);
            expected.extend(decode(&payload, &Options::default()).unwrap());
            all.extend(payload);
        }
        let (layout, diagnostics) = walk(&all, &Options::default());
        prop_assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
        assert_whole(&all, &layout);
        prop_assert_eq!(layout.streams.len(), payloads.len());
        prop_assert_eq!(decode(&all, &Options::default()).unwrap(), expected);
    }

    /// A dictionary that grows is the old one and the new values; arrow-ipc appends them by its
    /// own means for every type, and must not panic there.
    #[test]
    fn dictionaries_of_any_type_grow(values in arb_type(), seed: u64, codec in 0_usize..3) {
        prop_assume!(!matches!(values, DataType::Dictionary(_, _)));
        let data_type = DataType::Dictionary(Box::new(DataType::Int16), Box::new(values));
        let schema = Arc::new(Schema::new(vec![Field::new("d", data_type, true)]));
        let writing = Writing { compression: CODECS[codec], ..Writing::default() };
        let payload = encode(&schema, &[batch(&schema, 10, seed, false)], writing).unwrap();
        let (layout, _) = walk(&payload, &Options::default());
        let mut grown = Vec::new();
        for message in &layout.messages {
            grown.extend(&payload[message.range()]);
            if matches!(message.kind, MessageKind::Dictionary { .. }) {
                grown.extend(forge::as_delta(&payload, &layout, message));
            }
        }
        grown.extend(END);
        let (_, diagnostics) = walk(&grown, &Options::default());
        prop_assert!(diagnostics.is_empty(), "{}", diagnostics[0]);
        if let Ok(batches) = decode(&grown, &Options::default()) {
            prop_assert_eq!(batches, decode(&payload, &Options::default()).unwrap());
        }
    }

    /// Where all keys are null a dictionary may be left out.
    #[test]
    fn dictionaries_of_any_type_may_be_missing(values in arb_type()) {
        prop_assume!(!matches!(values, DataType::Dictionary(_, _)));
        let data_type = DataType::Dictionary(Box::new(DataType::Int32), Box::new(values));
        let schema = Schema::new(vec![Field::new("d", data_type, true)]);
        let keys = Batch {
            nodes: vec![(4, 4)],
            buffers: vec![(0, 8), (8, 16)],
            body: vec![0; 24],
            ..Batch::default()
        };
        let schema = forge::schema(&schema, Endianness::Little);
        let payload = [schema, keys.message(), END.to_vec()].concat();
        let batches = decode(&payload, &Options::default()).unwrap();
        prop_assert_eq!(batches[0].column(0).null_count(), 4);
    }
}
