//! The browser's decoder beside arrow-js.

use std::ffi::OsString;

use anyhow::{Context, Result};

use crate::run::{Run, workspace_root};
use crate::{tasks, tools, viewer, viewer_test};

/// Builds the page and measures it; `args` are those of the benches' program `browser`.
///
/// # Errors
/// When something cannot be built or had, a browser too, or where both decoders disagree.
pub(crate) fn run(args: &[OsString]) -> Result<()> {
    let features = tasks::features([&tools::NODE, &tools::NPM])?;
    let root = workspace_root();
    let page = viewer::build(&[])?;
    let modules = viewer_test::modules(&root.join("wasm-viewer/tests"))?;
    let peers = viewer_test::modules(&root.join("benches/browser"))?;
    let browser = viewer_test::browser()?.with_context(|| {
        format!("no Chromium or Chrome was found: install one, or set {}", viewer_test::VARIABLE)
    })?;
    // Nothing that this builds is timed: the everyday profile will do.
    Run::cargo()
        .args(["run", "--quiet", "--package", "volley-benches", "--bin", "browser"])
        .args(features)
        .args(["--"])
        .args(args)
        .env("VOLLEY_VIEWER", page)
        .env("VOLLEY_NODE_MODULES", modules)
        .env("VOLLEY_BENCH_MODULES", peers)
        .env(viewer_test::VARIABLE, browser)
        .dir(&root)
        .go()
}
