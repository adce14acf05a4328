//! Runs the bodies of the fuzz targets over their seeds and over every input that once failed, so
//! that no nightly compiler is needed to see whether they still hold.

#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

#[allow(unreachable_pub, reason = "a library to the fuzz targets")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::{Path, PathBuf};

/// Every file of a folder, in the order of their names. None where there is no such folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// The golden payloads are the seeds of what reads payloads; `cargo xtask fuzz` starts from the same.
fn replay(target: &str, seeds: &str, run: impl Fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let seeds = files(&root.join(seeds));
    assert!(seeds.len() >= 3, "no seeds for {target}");
    let regressions = files(&root.join("../fuzz/regressions").join(target));
    for path in seeds.iter().chain(&regressions) {
        println!("{target} {}", path.display());
        run(&fs::read(path).unwrap());
    }
}

#[test]
fn layout_holds_for_the_corpus() {
    replay("layout", "tests/golden", targets::layout);
}

#[test]
fn decode_holds_for_the_corpus() {
    replay("decode", "tests/golden", targets::decode);
}

#[test]
fn splice_holds_for_the_corpus() {
    replay("splice", "tests/golden", targets::splice_payloads);
    // Payloads of one schema in two framings, as one input.
    for kind in ["scalars", "nested", "dictionaries"] {
        let golden = |name: String| {
            fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
        };
        let (file, stream) =
            (golden(format!("{kind}-lz4.arrow")), golden(format!("{kind}-zstd.arrows")));
        targets::splice_payloads(&[&file, targets::SEPARATOR, &stream].concat());
    }
}

#[test]
fn headers_hold_for_the_corpus() {
    replay("headers", "../fuzz/seeds/headers", targets::headers);
}
