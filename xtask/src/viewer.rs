//! The page that looks into a payload: the wasm module, its JavaScript and the page itself, as a
//! folder for any static host and as one file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::run::{Run, workspace_root};
use crate::viewer_page::{self, Page};
use crate::wasm;

/// Where the page is built, in cargo's target folder.
const FOLDER: &str = "viewer";
/// In it, the page as a folder for any host.
pub(crate) const SITE: &str = "site";
/// The page as one file, which also opens from a disk.
pub(crate) const SINGLE_FILE: &str = "volley-viewer.html";

/// Builds `target/viewer/`: `index.html` and what it loads, and beside them the same in one file.
/// `origins` are those that `?url=` may read from, beside the page's own.
///
/// # Errors
/// When the module cannot be built, the page's modules cannot be joined, or something is larger
/// than it may be.
pub(crate) fn build(origins: &[String]) -> Result<PathBuf> {
    let origins = viewer_page::checked_origins(origins)?;
    let module = wasm::build()?;
    let folder = wasm::target_folder(&workspace_root())?.join(FOLDER);
    let glue = bindgen(&module, &folder.join("glue"))?;

    let source = workspace_root().join("wasm-viewer/page");
    let page = Page::read(&source, &glue, &origins)?;
    let site = folder.join(SITE);
    let files = page.site()?;
    // Nothing of an earlier build stays behind.
    if site.exists() {
        fs::remove_dir_all(&site).with_context(|| format!("{} is in the way", site.display()))?;
    }
    write(&site, &files)?;
    write(&folder, &[(SINGLE_FILE.to_owned(), page.single_file()?.into_bytes())])?;
    eprintln!("viewer: {} and {}", site.display(), folder.join(SINGLE_FILE).display());
    Ok(folder)
}

/// Runs wasm-bindgen, of the version that the module was built with.
fn bindgen(module: &Path, glue: &Path) -> Result<PathBuf> {
    Run::cargo()
        .args(["run", "--quiet", "--profile", "xtask", "--package", "volley-bindgen", "--"])
        .args([module, glue])
        .dir(&workspace_root())
        .go_on_stderr()?;
    ensure!(glue.join("volley_viewer.js").is_file(), "wasm-bindgen wrote no volley_viewer.js");
    Ok(glue.to_owned())
}

fn write(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    fs::create_dir_all(folder)
        .with_context(|| format!("{} could not be created", folder.display()))?;
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::write(&path, bytes)
            .with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(())
}
