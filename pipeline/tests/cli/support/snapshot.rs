//! Text as committed. The end-to-end suite uses this file too.

use std::{env, fs, path::Path};

use super::SNAPSHOTS;

/// Compares with the committed text; `UPDATE_SNAPSHOTS=1` rewrites it instead.
#[track_caller]
pub(crate) fn assert_snapshot(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOTS).join(format!("{name}.txt"));
    if env::var_os("UPDATE_SNAPSHOTS").is_some_and(|set| set == "1") {
        fs::write(&path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{name} is not as committed; to accept it: UPDATE_SNAPSHOTS=1 cargo test -p {}\n\
         --- found\n{found}\n--- expected\n{expected}",
        env!("CARGO_PKG_NAME")
    );
}

/// Text with everything that differs from run to run made equal: numbers with their units and bars, the
/// machine's name, and the spaces that numbers push about.
pub(crate) fn mask(text: &str) -> String {
    let host = sysinfo::System::host_name().unwrap_or_default();
    let mut masked = String::new();
    for line in text.replace(&host, "HOST").lines() {
        let mut words = Vec::new();
        for word in line.split_whitespace() {
            let (bare, comma) = word.strip_suffix(',').map_or((word, ""), |bare| (bare, ","));
            let unit = bare.strip_suffix("/s").unwrap_or(bare);
            let is_unit = matches!(unit, "ns" | "µs" | "ms" | "s" | "k" | "M" | "B" | "kB" | "MB");
            let after_number = words.last().is_some_and(|last: &String| last.contains('#'));
            if is_unit && after_number {
                words.push(format!("~{comma}"));
            } else if word.chars().all(|c| ('█'..='▏').contains(&c)) {
                words.push("█".to_owned());
            } else {
                words.push(without_digits(word).replace("#/s", "# ~"));
            }
        }
        let indent = line.len() - line.trim_start().len();
        masked.push_str(&" ".repeat(indent));
        masked.push_str(&words.join(" "));
        masked.push('\n');
    }
    masked
}

/// Every number, with its separators, as one `#`.
fn without_digits(word: &str) -> String {
    let mut masked = String::new();
    let mut characters = word.chars().peekable();
    while let Some(character) = characters.next() {
        if !character.is_ascii_digit() {
            masked.push(character);
            continue;
        }
        masked.push('#');
        while characters.next_if(|c| c.is_ascii_digit() || matches!(c, '.' | ',')).is_some() {}
    }
    masked
}
