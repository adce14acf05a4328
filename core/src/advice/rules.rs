use super::{
    Advice, Rule,
    columns::{ColumnFacts, Facts},
};

/// Metadata and padding from this share on are too much.
const MUCH_OVERHEAD: f64 = 0.1;
/// And to this share larger batches should bring it.
const LITTLE_OVERHEAD: f64 = 0.02;
/// Columns below this share are not worth a word.
const SMALL_COLUMN: f64 = 0.05;
/// Nor are bytes that say nothing, below this share.
const SMALL_WASTE: f64 = 0.01;
/// A column from this share on dominates.
const DOMINATES: f64 = 0.5;
/// Offsets from this part of their column on are too much.
const MUCH_OFFSETS: f64 = 0.3;
/// Compression by less than this does not pay.
const NO_RATIO: f64 = 1.05;
/// Text that compresses this much repeats.
const REPEATS: f64 = 8.0;
/// And only where it is this part of the raw bytes does it cost anything.
const MUCH_RAW: f64 = 0.1;
/// A dictionary with this many values for each row is no gain.
const MANY_VALUES: f64 = 0.5;
/// Payloads below this have nothing to compress.
const TINY: u64 = 4096;

type PayloadRule = fn(&Facts) -> Option<(f64, String)>;
type ColumnRule = fn(&Facts, &ColumnFacts) -> Option<(f64, String)>;

const PAYLOAD_RULES: [(Rule, PayloadRule); 3] = [
    (Rule::Metadata, metadata),
    (Rule::Uncompressed, uncompressed),
    (Rule::NothingCompresses, nothing_compresses),
];

const COLUMN_RULES: [(Rule, ColumnRule); 7] = [
    (Rule::Dominates, dominates),
    (Rule::Offsets, offsets),
    (Rule::Incompressible, incompressible),
    (Rule::Repeats, repeats),
    (Rule::LargeDictionary, large_dictionary),
    (Rule::Validity, validity),
    (Rule::AllNull, all_null),
];

/// What each rule has to say.
pub(super) fn apply(facts: &Facts) -> Vec<Advice> {
    if facts.rows == 0 {
        return Vec::new();
    }
    let mut advice = Vec::new();
    for (rule, check) in PAYLOAD_RULES {
        if let Some((share, message)) = check(facts) {
            advice.push(Advice { rule, column: None, share, message });
        }
    }
    for (i, column) in facts.columns.iter().enumerate() {
        for (rule, check) in COLUMN_RULES {
            if let Some((share, message)) = check(facts, column) {
                advice.push(Advice { rule, column: Some(facts.path(i)), share, message });
            }
        }
    }
    advice
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn metadata(facts: &Facts) -> Option<(f64, String)> {
    let share = facts.share(facts.overhead);
    let rows = facts.rows / facts.batches.max(1);
    let data_per_row = facts.bytes.saturating_sub(facts.overhead) as f64 / facts.rows as f64;
    let per_batch = facts.overhead as f64 / facts.batches.max(1) as f64;
    let enough = per_batch * (1.0 - LITTLE_OVERHEAD) / (LITTLE_OVERHEAD * data_per_row);
    (share >= MUCH_OVERHEAD && data_per_row > 0.0).then(|| {
        let (is, at) = (percent(share), rounded_up(enough));
        let little = percent(LITTLE_OVERHEAD);
        (share, format!("metadata and padding are {is} at {rows} rows a batch: at {at} rows they would be about {little}"))
    })
}

/// To two digits.
fn rounded_up(value: f64) -> u64 {
    let value = value.ceil() as u64;
    let digits = value.checked_ilog10().unwrap_or(0);
    let step = 10_u64.pow(digits.saturating_sub(1));
    value.div_ceil(step).saturating_mul(step)
}

fn uncompressed(facts: &Facts) -> Option<(f64, String)> {
    let is_it = !facts.is_compressed && facts.stored >= TINY;
    is_it.then(|| {
        let message = "nothing is compressed: lz4 or zstd:1 make most data smaller at little cost";
        (facts.share(facts.stored), message.to_owned())
    })
}

fn nothing_compresses(facts: &Facts) -> Option<(f64, String)> {
    let ratio = facts.raw as f64 / facts.stored.max(1) as f64;
    let is_it = facts.is_compressed && facts.stored >= TINY && ratio < NO_RATIO;
    is_it.then(|| {
        let message =
            format!("the codec gains next to nothing ({ratio:.2}×): store it raw, codec none");
        (facts.share(facts.stored), message)
    })
}

fn dominates(facts: &Facts, column: &ColumnFacts) -> Option<(f64, String)> {
    let share = facts.share(column.stored);
    let has_others = || facts.columns.iter().filter(|column| column.raw > 0).count() > 2;
    (share >= DOMINATES && has_others()).then(|| {
        (share, format!("it is {} of the payload: what helps it helps most", percent(share)))
    })
}

fn offsets(facts: &Facts, column: &ColumnFacts) -> Option<(f64, String)> {
    let part = column.offsets as f64 / column.stored.max(1) as f64;
    let is_it = facts.share(column.stored) >= SMALL_COLUMN && part >= MUCH_OFFSETS;
    // Where there is nothing but offsets, the column is a list, and its items are another column.
    let way_out = match (column.is_text(), column.is_dictionary) {
        (true, false) => "dictionary-encode it if its values repeat",
        (false, false) => "if all are of one length, a fixed_size_list needs none",
        (_, true) => return None,
    };
    is_it.then(|| {
        let (share, part) = (facts.share(column.offsets), percent(part));
        (share, format!("offsets are {part} of its bytes: {way_out}"))
    })
}

fn incompressible(facts: &Facts, column: &ColumnFacts) -> Option<(f64, String)> {
    let share = facts.share(column.stored);
    let is_it = facts.is_compressed
        && share >= SMALL_COLUMN
        && column.raw >= 1024
        && column.ratio() < NO_RATIO
        && nothing_compresses(facts).is_none();
    is_it.then(|| {
        let ratio = column.ratio();
        let message = format!(
            "it does not compress ({ratio:.2}×), so a higher level only costs time: store it raw, or \
             round its values"
        );
        (share, message)
    })
}

fn repeats(facts: &Facts, column: &ColumnFacts) -> Option<(f64, String)> {
    let raw_share = column.raw as f64 / facts.raw.max(1) as f64;
    let is_it = facts.is_compressed
        && column.is_text()
        && !column.is_dictionary
        && raw_share >= MUCH_RAW
        && column.ratio() >= REPEATS;
    is_it.then(|| {
        let (ratio, raw_share) = (column.ratio(), percent(raw_share));
        let message = format!(
            "it is {raw_share} of the raw bytes and compresses {ratio:.0}×, so its values repeat: \
             dictionary-encode it to spare writers and readers the work"
        );
        (facts.share(column.stored), message)
    })
}

fn large_dictionary(facts: &Facts, column: &ColumnFacts) -> Option<(f64, String)> {
    let values = column.dictionary_values;
    let stored = column.stored + column.dictionary_stored;
    let is_it = values as f64 >= column.values as f64 * MANY_VALUES
        && facts.share(stored) >= SMALL_COLUMN
        && values > 16;
    is_it.then(|| {
        let message = format!(
            "its dictionary has {values} values for {} rows: without one it needs no keys",
            column.values
        );
        (facts.share(stored), message)
    })
}

fn validity(facts: &Facts, column: &ColumnFacts) -> Option<(f64, String)> {
    let share = facts.share(column.validity);
    (column.nulls == 0 && share >= SMALL_WASTE).then(|| {
        let bytes = column.validity;
        (share, format!("nothing is null, and {bytes} bytes say so: leave the validity out"))
    })
}

fn all_null(facts: &Facts, column: &ColumnFacts) -> Option<(f64, String)> {
    let share = facts.share(column.stored);
    let is_it = column.values > 0 && column.nulls == column.values && share >= SMALL_WASTE;
    is_it.then(|| (share, "it is null in every row: leave it out".to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Array, ArrayRef, DictionaryArray, Int64Array, ListArray, RecordBatch, StringArray,
        types::{Int16Type, Int32Type},
    };

    use super::*;
    use crate::{
        advice::advise,
        codec::{Codec, CodecOptions, Framing},
        encode::encode,
        layout::{self, Options},
    };

    /// Numbers without a pattern.
    fn noise(n: usize) -> Int64Array {
        let mut state = 1_u64;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as i64
        };
        (0..n).map(next).map(Some).collect()
    }

    fn numbers(n: usize) -> Int64Array {
        (0..n as i64).map(|i| Some(i % 7)).collect()
    }

    fn advice(columns: Vec<(&str, ArrayRef)>, codec: &str) -> Vec<(Rule, String, String)> {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let options = CodecOptions { codec: codec.parse().unwrap(), framing: Framing::Stream };
        let payload = encode(&batch, options).unwrap();
        let found = advise(&layout::check(&payload, &Options::default()).unwrap());
        let parts = |a: Advice| (a.rule, a.column.unwrap_or_default(), a.message);
        found.into_iter().map(parts).collect()
    }

    /// The rule speaks of `column`, and of no other.
    #[track_caller]
    fn check(found: &[(Rule, String, String)], rule: Rule, column: &str, message: &str) {
        let mut of_rule = found.iter().filter(|(found, ..)| *found == rule);
        let (_, of, said) = of_rule.next().unwrap_or_else(|| panic!("no {rule:?} in {found:#?}"));
        assert_eq!(of, column, "{found:#?}");
        assert!(said.contains(message), "{said:?} does not say {message:?}");
        assert!(of_rule.next().is_none(), "{found:#?}");
    }

    #[track_caller]
    fn is_silent(found: &[(Rule, String, String)], rule: Rule) {
        assert!(found.iter().all(|(found, ..)| *found != rule), "{found:#?}");
    }

    #[test]
    fn metadata_of_small_batches() {
        let found = advice(vec![("n", Arc::new(noise(64)))], "zstd:1");
        check(&found, Rule::Metadata, "", "at 64 rows a batch: at ");
        is_silent(&advice(vec![("n", Arc::new(noise(20_000)))], "zstd:1"), Rule::Metadata);
    }

    #[test]
    fn the_rows_that_it_names_are_enough() {
        let bytes = |n: usize| {
            let batch = RecordBatch::try_from_iter([("n", Arc::new(noise(n)) as _)]).unwrap();
            let codec = CodecOptions { codec: Codec::None, ..CodecOptions::default() };
            let payload = encode(&batch, codec).unwrap();
            layout::check(&payload, &Options::default()).unwrap()
        };
        let (_, message) = metadata(&Facts::of(&bytes(64))).unwrap();
        let named = message.split("at ").last().unwrap().split(' ').next().unwrap();
        let facts = Facts::of(&bytes(named.parse().unwrap()));
        let share = facts.share(facts.overhead);
        assert!((0.015..=0.021).contains(&share), "{message}: {share}");
    }

    #[test]
    fn codecs_that_are_missing_or_in_vain() {
        let found = advice(vec![("n", Arc::new(numbers(4000)))], "none");
        check(&found, Rule::Uncompressed, "", "nothing is compressed");
        is_silent(&advice(vec![("n", Arc::new(numbers(40)))], "none"), Rule::Uncompressed);
        is_silent(&advice(vec![("n", Arc::new(numbers(4000)))], "lz4"), Rule::Uncompressed);

        let found = advice(vec![("n", Arc::new(noise(4000)))], "zstd:9");
        check(&found, Rule::NothingCompresses, "", "codec none");
        is_silent(&found, Rule::Incompressible);
        is_silent(&advice(vec![("n", Arc::new(numbers(4000)))], "lz4"), Rule::NothingCompresses);
    }

    #[test]
    fn one_column_that_does_not_compress() {
        let columns =
            || vec![("a", Arc::new(numbers(4000)) as ArrayRef), ("x", Arc::new(noise(4000)) as _)];
        let found = advice(columns(), "zstd:1");
        check(&found, Rule::Incompressible, "x", "does not compress (1.00×)");
        is_silent(&advice(columns(), "none"), Rule::Incompressible);
        is_silent(&found, Rule::Dominates);
        let mut three = columns();
        three.push(("b", Arc::new(numbers(4000))));
        check(&advice(three, "zstd:1"), Rule::Dominates, "x", "of the payload");
    }

    #[test]
    fn offsets_of_short_text_and_of_lists() {
        let words: StringArray = (0..2000).map(|i| Some(["a", "bc", ""][i * i % 3])).collect();
        let found = advice(vec![("word", Arc::new(words))], "none");
        check(&found, Rule::Offsets, "word", "dictionary-encode it");
        let long: StringArray = (0..2000).map(|i| Some(format!("{i:040}"))).collect();
        is_silent(&advice(vec![("text", Arc::new(long))], "none"), Rule::Offsets);

        let lists = (0..2000).map(|i| Some([Some(i), Some(i + 1)]));
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
        check(
            &advice(vec![("pair", Arc::new(lists))], "none"),
            Rule::Offsets,
            "pair",
            "fixed_size_list",
        );
    }

    #[test]
    fn text_that_repeats() {
        let text: StringArray = (0..4000).map(|_| Some("the same old story")).collect();
        let columns = |text: ArrayRef| vec![("text", text), ("n", Arc::new(noise(4000)) as _)];
        let found = advice(columns(Arc::new(text.clone())), "zstd:1");
        check(&found, Rule::Repeats, "text", "so its values repeat");
        is_silent(&advice(columns(Arc::new(text)), "none"), Rule::Repeats);
        is_silent(&advice(columns(Arc::new(numbers(4000))), "zstd:1"), Rule::Repeats);
    }

    #[test]
    fn dictionaries_with_a_value_for_each_row() {
        let dictionary = |n_values: usize| {
            let texts: Vec<_> = (0..1000).map(|i| format!("text-{}", i % n_values)).collect();
            let array: DictionaryArray<Int16Type> = texts.iter().map(|text| &**text).collect();
            Arc::new(array)
        };
        let found = advice(vec![("id", dictionary(900))], "none");
        check(&found, Rule::LargeDictionary, "id", "900 values for 1000 rows");
        is_silent(&advice(vec![("id", dictionary(9))], "none"), Rule::LargeDictionary);
    }

    #[test]
    fn nulls_that_are_nowhere_or_everywhere() {
        let nothing: Int64Array = (0..100).map(|_| None).collect();
        let found =
            advice(vec![("gone", Arc::new(nothing)), ("n", Arc::new(numbers(100)))], "none");
        check(&found, Rule::AllNull, "gone", "leave it out");
        is_silent(&found, Rule::Validity);
        let some: Int64Array = (0..100).map(|i| (i > 50).then_some(i)).collect();
        assert_eq!(some.null_count(), 51);
        is_silent(&advice(vec![("some", Arc::new(some))], "none"), Rule::AllNull);
    }

    /// arrow-rs leaves such a validity out; others do not.
    #[test]
    fn validity_without_nulls() {
        let batch = RecordBatch::try_from_iter([("n", Arc::new(numbers(100)) as _)]).unwrap();
        let payload = encode(&batch, CodecOptions::default()).unwrap();
        let mut facts = Facts::of(&layout::check(&payload, &Options::default()).unwrap());
        is_silent(&parts(apply(&facts)), Rule::Validity);
        facts.columns[0].validity = 16;
        check(&parts(apply(&facts)), Rule::Validity, "n", "16 bytes say so");
    }

    fn parts(advice: Vec<Advice>) -> Vec<(Rule, String, String)> {
        advice.into_iter().map(|a| (a.rule, a.column.unwrap_or_default(), a.message)).collect()
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let (layout, _) = layout::walk(b"no arrow", &Options::default());
        assert_eq!(advise(&layout), []);
        assert_eq!(advice(vec![("n", Arc::new(numbers(0)))], "zstd:1"), []);
    }
}
