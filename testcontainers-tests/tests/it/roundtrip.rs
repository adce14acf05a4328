//! What was sampled is what ClickHouse answers.

use arrow::array::RecordBatch;
use volley::produce::ProduceOptions;
use volley_core::codec::{Codec, CodecOptions, Framing, ZstdLevel};
use volley_e2e::{Case, Scenario, assert_same_rows, concat, sorted};

pub(crate) const CASES: &[Case] = &[
    Case::new("roundtrip::stream_none", stream_none),
    Case::new("roundtrip::stream_lz4", stream_lz4),
    Case::new("roundtrip::stream_zstd", stream_zstd),
    Case::new("roundtrip::file_none", file_none),
    Case::new("roundtrip::file_lz4", file_lz4),
    Case::new("roundtrip::file_zstd", file_zstd),
];

fn stream_none(scenario: &Scenario<'_>) {
    check(scenario, Framing::Stream, Codec::None);
}

fn stream_lz4(scenario: &Scenario<'_>) {
    check(scenario, Framing::Stream, Codec::Lz4);
}

fn stream_zstd(scenario: &Scenario<'_>) {
    check(scenario, Framing::Stream, Codec::Zstd(ZstdLevel::new(3).unwrap()));
}

fn file_none(scenario: &Scenario<'_>) {
    check(scenario, Framing::File, Codec::None);
}

fn file_lz4(scenario: &Scenario<'_>) {
    check(scenario, Framing::File, Codec::Lz4);
}

fn file_zstd(scenario: &Scenario<'_>) {
    check(scenario, Framing::File, Codec::Zstd(ZstdLevel::default()));
}

/// Several devices over several partitions, every column of every row.
fn check(scenario: &Scenario<'_>, framing: Framing, codec: Codec) {
    scenario.create_topic(3, &[]);
    let codec = CodecOptions { codec, framing };
    let options = ProduceOptions { codec, ..scenario.produce_options(7, 5_030) };
    let produced = scenario.produce(options);
    assert_eq!(produced.rows_sampled, 5_030);

    let messages = scenario.messages();
    assert_eq!(messages.len() as u64, produced.messages);
    assert!(messages.iter().all(|message| Framing::of(&message.payload) == framing));
    let sent: Vec<RecordBatch> = messages.iter().flat_map(|message| message.batches()).collect();

    let loaded = scenario.load(scenario.load_options("a"));
    assert_eq!(loaded.rows_loaded, 5_030);
    assert_eq!(loaded.inserts_reencoded, 0);
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY device, ts", scenario.table()));
    assert_same_rows(&sorted(&concat(&sent), &["device", "ts"]), &stored);
}
