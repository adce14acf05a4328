//! A message that is not what it should be, among good ones.

use arrow::array::RecordBatch;
use volley::load::{LoadError, LoadOptions};
use volley_core::{
    codec::{Codec, CodecOptions, Framing, ZstdLevel},
    encode::encode,
};
use volley_e2e::{Case, Message, Scenario, assert_same_rows, concat, sorted};

pub(crate) const CASES: &[Case] = &[
    Case::new("damaged::cut_short", cut_short),
    Case::new("damaged::not_arrow", not_arrow),
    Case::new("damaged::values_that_do_not_decompress", values_that_do_not_decompress),
];

fn cut_short(scenario: &Scenario<'_>) {
    check_structure(scenario, |good| good[..good.len() / 2].to_vec());
}

fn not_arrow(scenario: &Scenario<'_>) {
    check_structure(scenario, |_| b"{\"device\": \"host-1\", \"cpu_used\": 25.0}".to_vec());
}

/// The loader finds these by itself: it says where and which byte, with everything before in the
/// table and nothing skipped, however often it is started.
fn check_structure(scenario: &Scenario<'_>, damage: fn(&[u8]) -> Vec<u8>) {
    let (good, bad) = put(scenario, damage);
    for n_run in 0..2 {
        let error = scenario.try_load(options(scenario)).unwrap_err();
        let said = error.to_string();
        let topic = scenario.topic();
        let place = format!("topic '{topic}' partition 0 offset {bad}: ");
        assert!(matches!(error, LoadError::Message { offset, .. } if offset == bad), "{said}");
        assert!(said.starts_with(&place) && said.contains("byte "), "{said}");
        assert_eq!(scenario.committed("a"), [bad], "run {n_run}");
        assert_loaded(scenario, &good);
    }
}

/// Its structure is sound, so that ClickHouse is who finds it: nothing of the insert is stored, and
/// the error names the offsets.
fn values_that_do_not_decompress(scenario: &Scenario<'_>) {
    let (good, bad) = put(scenario, |good| {
        let mut damaged = good.to_vec();
        // Past the frame's header, whose lengths the loader looks at.
        let magic = [0x28, 0xb5, 0x2f, 0xfd];
        let frame = good.windows(4).position(|window| window == magic).unwrap();
        damaged[frame + 12..frame + 24].fill(0xff);
        damaged
    });
    // A message to an insert, so that those before it are not in the same one.
    let mut options = options(scenario);
    options.limits.n_rows = std::num::NonZeroUsize::MIN;
    for _ in 0..2 {
        let error = scenario.try_load(options.clone()).unwrap_err();
        let LoadError::Insert { first, last, source, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!((*first, *last), (bad, bad), "{source}");
        assert_eq!(scenario.committed("a"), [bad]);
        assert_loaded(scenario, &good);
    }
}

/// Ten good messages, a damaged one and ten more good ones. Answers with the first ten, and with the
/// offset of what follows them.
fn put(scenario: &Scenario<'_>, damage: fn(&[u8]) -> Vec<u8>) -> (Vec<Message>, i64) {
    scenario.create_topic(1, &[]);
    scenario.produce(scenario.produce_options(1, 1_000));
    let good = scenario.messages();
    let batch = &good[0].batches()[0];
    let codec = Codec::Zstd(ZstdLevel::default());
    let payload = encode(batch, CodecOptions { codec, framing: Framing::Stream }).unwrap();
    scenario.put([damage(&payload)]);
    scenario.put(good.iter().map(|message| message.payload.clone()));
    let bad = good.last().unwrap().offset + 1;
    (good, bad)
}

fn options(scenario: &Scenario<'_>) -> LoadOptions {
    scenario.load_options("a")
}

#[track_caller]
fn assert_loaded(scenario: &Scenario<'_>, messages: &[Message]) {
    let sent: Vec<RecordBatch> = messages.iter().flat_map(Message::batches).collect();
    let stored = scenario.query(&format!("SELECT * FROM {} ORDER BY device, ts", scenario.table()));
    assert_same_rows(&sorted(&concat(&sent), &["device", "ts"]), &stored);
}
