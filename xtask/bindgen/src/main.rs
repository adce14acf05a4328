//! `volley-bindgen MODULE FOLDER`: what the `wasm-bindgen` command does, for a classic worker, of
//! the version that the workspace locks.

use std::path::PathBuf;

use anyhow::{Context, Result};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(module), Some(folder), None) = (args.next(), args.next(), args.next()) else {
        anyhow::bail!("usage: volley-bindgen MODULE FOLDER");
    };
    Bindgen::new()
        .input_path(&module)
        .no_modules(true)?
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(&folder)
        .with_context(|| format!("{} gives no JavaScript", module.display()))
}
