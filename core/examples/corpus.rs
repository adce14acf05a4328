//! `cargo run -p volley-core --example corpus -- FOLDER`: the payloads that the mutation tests damage,
//! two batches of each schema with each codec in each framing, for the tests of the page.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "the modules of tests"
)]

#[path = "../tests/arbitrary/mod.rs"]
mod arbitrary;
#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/mutation/corpus.rs"]
#[allow(dead_code, reason = "its payloads of one batch stay here")]
mod corpus;

use std::{fs, path::PathBuf};

use volley_core::layout::Framing;

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("a folder"));
    fs::create_dir_all(&folder).unwrap();
    for case in corpus::cases() {
        let end = if case.framing() == Framing::File { "arrow" } else { "arrows" };
        let name = format!("corpus-{}-{}.{end}", case.name, case.codec());
        let name = name.replace(' ', "-").to_lowercase();
        fs::write(folder.join(name), case.payload_of_two()).unwrap();
    }
}
