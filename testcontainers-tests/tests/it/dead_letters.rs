//! Messages that cannot be loaded are put aside, and all others are loaded.

use std::{num::NonZeroUsize, sync::Arc};

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, DictionaryArray, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{Int8Type, Int64Type};
use volley::load::LoadOptions;
use volley_core::{codec::CodecOptions, encode::encode};
use volley_e2e::{Case, Scenario};

use crate::columns;

pub(crate) const CASES: &[Case] = &[
    Case::new("dead_letters::every_kind_of_poison", every_kind_of_poison),
    Case::new("dead_letters::alone_in_the_topic", alone_in_the_topic),
];

const ROWS_PER_MESSAGE: i64 = 10;
const N_GOOD: i64 = 60;

/// What the table is to be spared, and what is said of it.
const POISON: [(&str, &str, &str); 8] = [
    ("cut short", "damaged", "body-length"),
    ("json", "damaged", "metadata-length"),
    ("no bytes", "damaged", "empty-payload"),
    ("tombstone", "no-value", ""),
    ("changed on the way", "checksum", ""),
    ("a flatbuffer that is none", "damaged", ""),
    ("values that do not decompress", "refused", ""),
    ("a dictionary with a value twice", "refused", "117"),
];

/// Between good messages, in one block with them, and as the last of the topic.
fn every_kind_of_poison(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    let mut good = 0..N_GOOD;
    let mut expected = Vec::new();
    for poison in POISON {
        put_good(scenario, good.by_ref().take(6));
        expected.push((put_poison(scenario, poison.0), poison));
    }
    put_good(scenario, good);
    expected.push((put_poison(scenario, POISON[1].0), POISON[1]));

    let loaded = scenario.load(options(scenario));
    check_rows(scenario);
    assert_eq!(loaded.rows_loaded, (N_GOOD * ROWS_PER_MESSAGE) as u64);
    assert_eq!((loaded.messages, loaded.dead_letters), (N_GOOD as u64, expected.len() as u64));

    let sent = scenario.messages();
    assert_eq!(scenario.committed("a"), [sent.len() as i64]);
    let mut letters = scenario.dead_letters();
    // Those that ClickHouse refuses come later than those that the loader finds itself.
    let offset = |letter: &volley_e2e::Message| -> i64 {
        letter.header("volley-dlq-offset").parse().unwrap()
    };
    letters.sort_by_key(offset);
    assert_eq!(letters.len(), expected.len());
    for (letter, (at, (name, cause, code))) in letters.iter().zip(&expected) {
        let original = &sent[offset(letter) as usize];
        assert_eq!(offset(letter), *at, "{name}");
        assert_eq!(letter.payload, original.payload, "{name}");
        assert_eq!(letter.key, original.key, "{name}");
        assert_eq!(letter.headers[..original.headers.len()], original.headers[..], "{name}");
        assert_eq!(letter.header("volley-dlq-cause"), *cause, "{name}");
        if !code.is_empty() {
            assert_eq!(letter.header("volley-dlq-code"), *code, "{name}");
        }
        assert_eq!(letter.header("volley-dlq-topic"), scenario.topic());
        assert_eq!(letter.header("volley-dlq-partition"), "0");
        assert_eq!(letter.header("volley-dlq-table"), scenario.table());
        assert!(!letter.header("volley-dlq-error").is_empty());
    }

    // Nothing of it comes again.
    let again = scenario.load(options(scenario));
    assert_eq!((again.messages, again.dead_letters), (0, 0));
    check_rows(scenario);
}

/// With nothing to insert there is no table, and the offset is committed all the same.
fn alone_in_the_topic(scenario: &Scenario<'_>) {
    scenario.create_topic(1, &[]);
    put_poison(scenario, "json");
    let loaded = scenario.load(options(scenario));
    assert_eq!((loaded.messages, loaded.inserts, loaded.dead_letters), (0, 0, 1));
    assert_eq!(scenario.committed("a"), [1]);
    assert_eq!(scenario.query_text(&format!("EXISTS {}", scenario.table())), "0");
}

fn options(scenario: &Scenario<'_>) -> LoadOptions {
    let mut options = columns::options(scenario);
    options.dead_letters = Some(scenario.dead_letter_topic());
    options.limits.n_rows = NonZeroUsize::new(200).unwrap();
    options
}

fn batch(first: i64, text: ArrayRef) -> RecordBatch {
    let n = Int64Array::from_iter_values(first..first + text.len() as i64);
    RecordBatch::try_from_iter([("n", Arc::new(n) as ArrayRef), ("text", text)]).unwrap()
}

fn good(message: i64) -> Vec<u8> {
    let words: DictionaryArray<Int8Type> =
        (0..ROWS_PER_MESSAGE).map(|i| ["a", "b", "c"][i as usize % 3]).collect();
    let batch = batch(message * ROWS_PER_MESSAGE, Arc::new(words));
    encode(&batch, CodecOptions::default()).unwrap()
}

fn put_good(scenario: &Scenario<'_>, messages: impl Iterator<Item = i64>) {
    scenario.put(messages.map(good));
}

/// Its offset.
fn put_poison(scenario: &Scenario<'_>, name: &str) -> i64 {
    let mut payload = good(-1);
    let mut headers = vec![("origin", "the test")];
    let mut value = Some(());
    match name {
        "cut short" => payload.truncate(payload.len() - 40),
        "json" => payload = br#"{"n": 1, "text": "a"}"#.to_vec(),
        "no bytes" => payload.clear(),
        "tombstone" => value = None,
        "changed on the way" => headers.push(("volley-crc32c", "00000000")),
        "a flatbuffer that is none" => {
            let at = payload.len() / 2;
            payload[at - 60..at].fill(0xff);
        }
        "values that do not decompress" => {
            let magic = [0x28, 0xb5, 0x2f, 0xfd];
            let frame = payload.windows(4).rposition(|window| window == magic).unwrap();
            payload[frame + 6..frame + 10].fill(0xff);
        }
        _ => {
            let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "a", "b"]));
            let keys = (0..3).map(|i| i as i8).collect::<Vec<_>>().into();
            let text = DictionaryArray::<Int8Type>::new(keys, words);
            payload = encode(&batch(-3, Arc::new(text)), CodecOptions::default()).unwrap();
        }
    }
    scenario.put_message(value.map(|()| &payload[..]), "some key", &headers);
    scenario.messages().len() as i64 - 1
}

/// Every good row once, and no other.
fn check_rows(scenario: &Scenario<'_>) {
    let rows = scenario.query(&format!("SELECT n FROM {} ORDER BY n", scenario.table()));
    let found: Vec<i64> = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(found, (0..N_GOOD * ROWS_PER_MESSAGE).collect::<Vec<_>>());
}
