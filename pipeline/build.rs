//! Puts the inspector's built page into the binary: the files of the folder that `VOLLEY_PAGE` names,
//! as `cargo xtask build` sets it. Without it the binary has no page, and `volley view` says so.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "that is how a build script says what is wrong"
)]

use std::{env, fs, path::PathBuf};

const PAGE: &str = "VOLLEY_PAGE";

fn main() {
    println!("cargo:rerun-if-env-changed={PAGE}");
    println!("cargo:rerun-if-changed=build.rs");
    let mut list = String::from("&[\n");
    for path in env::var_os(PAGE).filter(|folder| !folder.is_empty()).map(files).unwrap_or_default()
    {
        println!("cargo:rerun-if-changed={}", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        list += &format!("    ({name:?}, include_bytes!({:?})),\n", path.display().to_string());
    }
    list += "]\n";
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("page.rs"), list).expect("cargo's folder can be written to");
}

/// Every file of a folder, in order of names.
fn files(folder: std::ffi::OsString) -> Vec<PathBuf> {
    let folder = PathBuf::from(folder);
    let read = fs::read_dir(&folder);
    let entries = read.unwrap_or_else(|error| panic!("{PAGE}={}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    assert!(
        paths.iter().any(|path| path.ends_with("index.html")),
        "{PAGE}={} holds no index.html; `cargo xtask viewer` builds the page",
        folder.display()
    );
    paths
}
