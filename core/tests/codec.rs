//! Whatever the schema, the batches, the codec and the framing: what is encoded is decoded.

#![allow(clippy::unwrap_used, reason = "tests")]

mod arbitrary;

use arbitrary::{arb_schema, batch};
use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use proptest::prelude::*;
use volley_core::{
    codec::{Codec, CodecOptions, Framing, ZstdLevel},
    decode::decode,
    encode::{EncodeError, Encoder},
    fingerprint::Fingerprint,
    headers::{MessageHeaders, checksum},
    layout,
};

fn arb_options() -> impl Strategy<Value = CodecOptions> {
    let codec = prop_oneof![
        Just(Codec::None),
        Just(Codec::Lz4),
        // High levels take long on tiny batches and differ in nothing that matters here.
        (1_u8..=22).prop_map(|level| Codec::Zstd(ZstdLevel::new(level).unwrap())),
    ];
    let framing = prop_oneof![Just(Framing::Stream), Just(Framing::File)];
    (codec, framing).prop_map(|(codec, framing)| CodecOptions { codec, framing })
}

/// One to three payloads of up to three batches; some batches are slices of larger ones.
fn arb_payloads() -> impl Strategy<Value = Vec<Vec<RecordBatch>>> {
    let rows = (0_usize..40, any::<u64>(), any::<bool>());
    let payloads = prop::collection::vec(prop::collection::vec(rows, 0..4), 1..4);
    (arb_schema(), payloads).prop_map(|(schema, payloads)| {
        let make = |(n_rows, seed, is_sliced): (usize, u64, bool)| {
            if is_sliced {
                batch(&schema, n_rows + 11, seed, false).slice(5, n_rows)
            } else {
                batch(&schema, n_rows, seed, false)
            }
        };
        let payloads = payloads.into_iter();
        payloads.map(|batches| batches.into_iter().map(make).collect()).collect()
    })
}

/// Compares values; NaN and -0 as the bits that they are.
fn check_same(found: &[RecordBatch], expected: &[RecordBatch]) -> Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        prop_assert_eq!(found.schema(), expected.schema());
        prop_assert_eq!(found.num_rows(), expected.num_rows());
        for (found, expected) in found.columns().iter().zip(expected.columns()) {
            prop_assert_eq!(found, expected);
        }
    }
    Ok(())
}

fn has_dictionary(schema: &Schema) -> bool {
    let fields = schema.flattened_fields();
    fields.iter().any(|field| matches!(field.data_type(), DataType::Dictionary(..)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn payloads_round_trip(payloads in arb_payloads(), options in arb_options()) {
        let Some(schema) = payloads.iter().flatten().next().map(RecordBatch::schema) else {
            return Ok(());
        };
        let mut encoder = Encoder::new(schema.clone(), options).unwrap();
        // A file cannot replace a dictionary, so batches go one by one where they may differ in it.
        let n_batches = if options.framing == Framing::File { 1 } else { 3 };
        for batches in payloads.iter().flat_map(|batches| batches.chunks(n_batches)) {
            let payload = encoder.encode(batches).unwrap();
            prop_assert_eq!(Framing::of(&payload), options.framing);
            check_same(&decode(&payload).unwrap(), batches)?;

            let (layout, diagnostics) = layout::walk(&payload, &layout::Options::default());
            prop_assert!(diagnostics.is_empty(), "{diagnostics:?}");
            let n_rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
            prop_assert_eq!(layout.rows(), n_rows as u64);
            // The schema as read from the bytes has the fingerprint of the one that was written.
            let read = &layout.streams[0].schema.as_ref().unwrap().schema;
            prop_assert_eq!(Fingerprint::of(read), Fingerprint::of(&schema));
        }
    }

    #[test]
    fn files_hold_several_batches_where_no_dictionary_changes(
        payloads in arb_payloads(),
        codec in arb_options(),
    ) {
        let options = CodecOptions { framing: Framing::File, ..codec };
        for batches in payloads.iter().filter(|batches| !batches.is_empty()) {
            match Encoder::new(batches[0].schema(), options).unwrap().encode(batches) {
                Ok(payload) => check_same(&decode(&payload).unwrap(), batches)?,
                Err(error) => {
                    prop_assert!(has_dictionary(batches[0].schema_ref()) && batches.len() > 1);
                    prop_assert!(matches!(error, EncodeError::Arrow(_)), "{error}");
                }
            }
        }
    }

    #[test]
    fn a_changed_byte_changes_the_checksum(
        payload in prop::collection::vec(any::<u8>(), 1..2000),
        at in any::<prop::sample::Index>(),
        mask in 1_u8..,
    ) {
        let mut changed = payload.clone();
        *at.get_mut(&mut changed) ^= mask;
        prop_assert_ne!(checksum(&payload), checksum(&changed));
    }

    #[test]
    fn any_headers_are_read_without_a_fault(
        headers in prop::collection::vec(
            (
                prop_oneof![
                    Just("content-type"), Just("volley-schema"), Just("volley-rows"),
                    Just("volley-min-ts"), Just("volley-max-ts"), Just("volley-crc32c"),
                ],
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..24),
                    "[-+0-9a-f]{0,24}".prop_map(String::into_bytes),
                ],
            ),
            0..12,
        ),
    ) {
        let parsed = MessageHeaders::parse(headers.iter().map(|(name, value)| (*name, &value[..])));
        let pairs = parsed.to_pairs();
        let again = MessageHeaders::parse(pairs.iter().map(|(name, value)| (*name, value.as_bytes())));
        prop_assert_eq!(again, parsed);
    }
}
