//! One message that cannot be loaded among a thousand, and what becomes of it when it is replayed.

use std::{num::NonZeroUsize, sync::Arc};

use arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::Int64Type;
use volley::load::LoadOptions;
use volley_core::{
    codec::{Codec, CodecOptions, Framing},
    encode::encode,
    layout,
};
use volley_e2e::{Case, Scenario};

use crate::{columns, letters};

pub(crate) const CASES: &[Case] = &[
    Case::new("poison::truncated", |s| check(s, &TRUNCATED)),
    Case::new("poison::bit_flip_in_metadata", |s| check(s, &BIT_FLIP)),
    Case::new("poison::bad_buffer_table", |s| check(s, &BUFFER_TABLE)),
    Case::new("poison::wrong_checksum", |s| check(s, &CHECKSUM)),
    Case::new("poison::no_value", |s| check(s, &NO_VALUE)),
    Case::new("poison::not_arrow", |s| check(s, &NOT_ARROW)),
    Case::new("poison::no_schema", |s| check(s, &NO_SCHEMA)),
    Case::new("poison::several_schemas", |s| check(s, &SEVERAL_SCHEMAS)),
    Case::new("poison::over_the_cap", |s| check(s, &OVER_CAP)),
    Case::new("poison::refused_by_clickhouse", |s| check(s, &REFUSED)),
];

/// A message that cannot be loaded.
struct Poison {
    /// From a sound payload of rows that no other message has; `None` for a message without value.
    make: fn(Vec<u8>) -> Option<Vec<u8>>,
    headers: &'static [(&'static str, &'static str)],
    cause: &'static str,
    code: Option<&'static str>,
    /// Part of what is said of it.
    error: &'static str,
    mend: Mend,
}

/// What makes it loadable.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mend {
    /// Nothing: its bytes are what is wrong.
    Never,
    /// A higher limit.
    RaiseCap,
    /// Another table.
    Alter,
}

const POISON: Poison =
    Poison { make: Some, headers: &[], cause: "damaged", code: None, error: "", mend: Mend::Never };

const TRUNCATED: Poison = Poison {
    make: |good| Some(good[..good.len() - 40].to_vec()),
    code: Some("body-length"),
    error: "the body length does not fit the payload",
    ..POISON
};

const BIT_FLIP: Poison = Poison {
    make: |mut good| {
        // The root of the second flatbuffer is where its first word says.
        let at = nth_message(&good, 1) + 8;
        good[at + 1] ^= 0x40;
        Some(good)
    },
    code: Some("metadata-malformed"),
    error: "not a valid flatbuffer",
    ..POISON
};

const BUFFER_TABLE: Poison = Poison {
    make: |mut good| {
        // The length of a buffer with ten numbers.
        let start = nth_message(&good, 1);
        let length = (N_POISON * 8).to_le_bytes();
        let found = good[start..].windows(8).position(|window| window == length).unwrap();
        good[start + found + 6] = 1;
        Some(good)
    },
    code: Some("buffer-bounds"),
    error: "column `n`, values buffer",
    ..POISON
};

const CHECKSUM: Poison = Poison {
    headers: &[("volley-crc32c", "00000000")],
    cause: "checksum",
    error: "is not the 00000000 of its volley-crc32c header",
    ..POISON
};

const NO_VALUE: Poison =
    Poison { make: |_| None, cause: "no-value", error: "the message has no value", ..POISON };

const NOT_ARROW: Poison = Poison {
    make: |_| Some(br#"{"n": -1, "text": "a"}"#.to_vec()),
    code: Some("metadata-length"),
    error: "byte 0",
    ..POISON
};

const NO_SCHEMA: Poison = Poison {
    make: |good| Some(good[nth_message(&good, 1)..].to_vec()),
    code: Some("missing-schema"),
    error: "a message comes before any schema",
    ..POISON
};

const SEVERAL_SCHEMAS: Poison = Poison {
    make: |mut good| {
        let other: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
        let other = RecordBatch::try_from_iter([("other", other)]).unwrap();
        good.extend(encode(&other, OPTIONS).unwrap());
        Some(good)
    },
    cause: "schema",
    error: "streams of different schemas",
    ..POISON
};

const OVER_CAP: Poison = Poison {
    make: |_| Some(encode(&batch(-20_000, 20_000), CodecOptions::default()).unwrap()),
    code: Some("over-cap"),
    error: "raise --max-batch-bytes if you trust the writer",
    mend: Mend::RaiseCap,
    ..POISON
};

const REFUSED: Poison =
    Poison { cause: "refused", code: Some("469"), error: "natural", mend: Mend::Alter, ..POISON };

const OPTIONS: CodecOptions = CodecOptions { codec: Codec::None, framing: Framing::Stream };
const N_MESSAGES: i64 = 1_000;
const N_POISON: i64 = 10;

/// All others are loaded and it is a dead letter with the right diagnostic. Replayed, it is loaded
/// once if that is possible by then, or becomes a dead letter as before. Replayed again, nothing
/// happens.
fn check(scenario: &Scenario<'_>, poison: &Poison) {
    scenario.create_topic(1, &[]);
    let is_natural = poison.mend == Mend::Alter;
    scenario.execute(&format!(
        "CREATE TABLE {} (n Int64, text String {}) \
         ENGINE = MergeTree ORDER BY n SETTINGS non_replicated_deduplication_window = 100",
        scenario.table(),
        if is_natural { ", CONSTRAINT natural CHECK n >= 0" } else { "" }
    ));
    let good = |n: i64| encode(&batch(n, 1), OPTIONS).unwrap();
    scenario.put((0..N_MESSAGES / 2).map(good));
    let value = (poison.make)(encode(&batch(-N_POISON, N_POISON), OPTIONS).unwrap());
    scenario.put_message(value.as_deref(), "some key", poison.headers);
    scenario.put((N_MESSAGES / 2..N_MESSAGES - 1).map(good));

    let mut options = options(scenario);
    let loaded = scenario.load(options.clone());
    assert_eq!((loaded.messages, loaded.dead_letters), (N_MESSAGES as u64 - 1, 1));
    check_rows(scenario, 0);

    let listed = letters::list(scenario);
    assert_eq!(listed.len(), 1, "{listed:?}");
    let letter = &listed[0];
    assert_eq!(letter["cause"], poison.cause, "{letter}");
    assert_eq!(letter["code"].as_str(), poison.code, "{letter}");
    assert!(letter["error"].as_str().unwrap().contains(poison.error), "{letter}");
    assert_eq!(letter["origin"]["offset"], N_MESSAGES / 2);
    assert_eq!(letter["bytes"].as_u64(), value.as_ref().map(|value| value.len() as u64));

    match poison.mend {
        Mend::Never => {}
        Mend::RaiseCap => options.payload_limits = layout::Options::default(),
        Mend::Alter => {
            scenario.execute(&format!("ALTER TABLE {} DROP CONSTRAINT natural", scenario.table()));
        }
    }
    let is_mended = poison.mend != Mend::Never;
    let run = letters::replay(scenario, &[]).run().succeeds();
    assert_eq!((run.count("replayed"), run.count("replayed_before")), (1, 0), "{run}");
    // As it was, where it was, with one header more.
    let sent = scenario.messages().pop().unwrap();
    assert_eq!((sent.partition, sent.key.as_deref()), (0, Some("some key")));
    assert_eq!(sent.payload, value.unwrap_or_default());
    let n_before = poison.headers.len();
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    assert_eq!(sent.headers[..n_before], poison.headers.iter().map(owned).collect::<Vec<_>>());
    assert_eq!(sent.headers.len(), n_before + 1);
    let letter = letter["letter"].as_str().unwrap();
    let from = format!("{}/{letter}", scenario.dead_letter_topic());
    assert_eq!(sent.header("volley-dlq-replayed-from"), from);

    let loaded = scenario.load(options.clone());
    let (messages, dead_letters) = if is_mended { (1, 0) } else { (0, 1) };
    assert_eq!((loaded.messages, loaded.dead_letters), (messages, dead_letters));
    check_rows(scenario, loaded.rows_loaded as i64);
    assert_eq!(letters::list(scenario).len(), usize::from(!is_mended));

    // The first is not replayed again, whatever became of it.
    let run = letters::replay(scenario, &[]).run().succeeds();
    let counts = (run.count("replayed"), run.count("replayed_before"));
    assert_eq!(counts, (u64::from(!is_mended), 1), "{run}");
    let again = scenario.load(options);
    assert_eq!((again.messages, again.dead_letters), (0, u64::from(!is_mended)));
    check_rows(scenario, loaded.rows_loaded as i64);
}

/// A low limit, and a block for what comes together.
fn options(scenario: &Scenario<'_>) -> LoadOptions {
    let mut options = columns::options(scenario);
    options.dead_letters = Some(scenario.dead_letter_topic());
    options.payload_limits = layout::Options { max_raw_bytes: 100_000, ..Default::default() };
    options.limits.n_rows = NonZeroUsize::new(400).unwrap();
    options
}

fn batch(first: i64, n_rows: i64) -> RecordBatch {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + n_rows));
    let text: ArrayRef = Arc::new((0..n_rows).map(|_| Some("a")).collect::<StringArray>());
    RecordBatch::try_from_iter([("n", n), ("text", text)]).unwrap()
}

/// Where a message of a stream begins; the schema is the first.
fn nth_message(stream: &[u8], n: usize) -> usize {
    let starts = stream.windows(4).enumerate().step_by(8).filter(|(_, word)| *word == [0xff; 4]);
    starts.map(|(at, _)| at).nth(n).unwrap()
}

/// Every good row once, and so many of the poison's, which are below zero.
#[track_caller]
fn check_rows(scenario: &Scenario<'_>, n_mended: i64) {
    let rows = scenario.query(&format!("SELECT n FROM {} ORDER BY n", scenario.table()));
    let found: Vec<i64> = rows.column(0).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(found, (-n_mended..N_MESSAGES - 1).collect::<Vec<_>>());
}
