//! The tests of the browser inspector: in Node, and in a Chromium that is there already.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::cache::{CacheLock, cache_dir};
use crate::run::{self, Run, workspace_root};
use crate::viewer::{self, SINGLE_FILE};
use crate::{libchdb, tasks, tools, wasm};

/// Names a browser.
pub(crate) const VARIABLE: &str = "VOLLEY_CHROMIUM";
/// What Node alone can run.
const WITHOUT_BROWSER: [&str; 3] = ["module.test.mjs", "sizes.test.mjs", "types.test.mjs"];
/// Runs on the embedded broker, and on Apache Kafka.
const LIVE: &str = "live.test.mjs";
/// By name on `PATH`, and where macOS keeps programs.
const BROWSERS: [&str; 7] = [
    "chromium",
    "google-chrome",
    "google-chrome-stable",
    "chromium-browser",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// What is done with the page once it is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Every test.
    Test,
    /// The same, and the sizes of this build are written down as the right ones.
    UpdateSizes,
    /// No test: the README's pictures are made again.
    Screenshots,
}

/// Builds the page and what it is tested with, and runs the tests.
///
/// # Errors
/// When a build or a test fails, or where skipping is not allowed and no browser is there.
pub(crate) fn run(purpose: Purpose) -> Result<()> {
    let folder = viewer::build(&[])?;
    tools::need([&tools::NODE, &tools::NPM])?;
    let fixtures = fixtures(&folder)?;
    let tests = workspace_root().join("wasm-viewer/tests");
    let modules = modules(&tests)?;
    let browser = browser()?;
    let node = || {
        let node = Run::new("node")
            .env("VOLLEY_VIEWER", &folder)
            .env("VOLLEY_VIEWER_FILE", folder.join(SINGLE_FILE))
            .env("VOLLEY_FIXTURES", &fixtures)
            .env("VOLLEY_NODE_MODULES", &modules);
        match &browser {
            Some(browser) => node.env(VARIABLE, browser),
            None => node,
        }
    };
    if purpose == Purpose::Screenshots {
        return node().args([tests.join("screenshots.mjs")]).go_on_stderr();
    }
    let test = || node().args(["--test", "--test-reporter=spec", "--test-timeout=600000"]);
    let Some(Binary { volley, libchdb, kafka }) = browser.as_ref().map(|_| binary()).transpose()?
    else {
        let why = format!(
            "SKIPPED: the tests of the page: no Chromium or Chrome was found; install one, or set \
             {VARIABLE} to one"
        );
        let is_set = |name, value| run::variable(name).is_some_and(|found| found == value);
        if is_set("VOLLEY_NO_SKIP", "1") || is_set("CI", "true") {
            bail!(why);
        }
        eprintln!("{why}");
        let files = WITHOUT_BROWSER.map(|file| tests.join(file));
        return with_sizes(test(), purpose).args(files).go_on_stderr();
    };
    let live = || test().env("VOLLEY_BINARY", &volley).env("VOLLEY_LIBCHDB", &libchdb);
    with_sizes(live(), purpose).args(files(&tests)?).go_on_stderr()?;
    live().args([tests.join(LIVE)]).env("VOLLEY_KAFKA_BINARY", kafka).go_on_stderr()
}

fn with_sizes(test: Run, purpose: Purpose) -> Run {
    if purpose == Purpose::UpdateSizes { test.env("VOLLEY_UPDATE_SIZES", "1") } else { test }
}

/// Every file of tests.
fn files(tests: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(tests)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .with_context(|| format!("{} could not be read", tests.display()))?;
    let paths = entries.into_iter().map(|entry| entry.path());
    let mut files: Vec<_> =
        paths.filter(|path| path.to_string_lossy().ends_with(".test.mjs")).collect();
    files.sort();
    Ok(files)
}

/// Payloads, and what native code says of them.
fn fixtures(folder: &Path) -> Result<PathBuf> {
    let fixtures = folder.join("fixtures");
    for (package, example) in [("volley-core", "corpus"), ("volley-viewer", "fixtures")] {
        Run::cargo()
            .args(["run", "--quiet", "--package", package, "--example", example, "--"])
            .args([&fixtures])
            .dir(&workspace_root())
            .go_on_stderr()?;
    }
    Ok(fixtures)
}

/// `volley`, which serves the page, and the engine that its embedded stack needs beside the broker.
struct Binary {
    volley: PathBuf,
    libchdb: PathBuf,
    /// The end-to-end suite's Apache Kafka.
    kafka: PathBuf,
}

fn binary() -> Result<Binary> {
    let tools = libchdb::tools()?.into_iter().chain([&tools::JAVA, &tools::MAVEN]);
    let features = tasks::features(tools)?;
    let root = workspace_root();
    Run::cargo().args(["build", "--package", "volley"]).args(features).dir(&root).go_on_stderr()?;
    let built = wasm::target_folder(&root)?.join("debug");
    let (volley, kafka) = (built.join("volley"), built.join("kafka"));
    Ok(Binary { volley, kafka, libchdb: libchdb::ensure()? })
}

/// A folder with the packages that `package.json` in `wanted` names, filled once for each set of
/// versions.
pub(crate) fn modules(wanted: &Path) -> Result<PathBuf> {
    let wanted = wanted.join("package.json");
    let text =
        fs::read(&wanted).with_context(|| format!("{} could not be read", wanted.display()))?;
    let digest: String = Sha256::digest(&text).iter().take(6).map(|b| format!("{b:02x}")).collect();
    let cache = cache_dir()?;
    let folder = cache.join(format!("viewer-{digest}"));
    let stamp = folder.join("ready");
    let _lock = CacheLock::take(&cache)?;
    if !stamp.is_file() {
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join("package.json"), &text))
            .with_context(|| format!("{} could not be written", folder.display()))?;
        Run::new("npm")
            .args(["install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"])
            .args(["--no-update-notifier", "--loglevel", "error"])
            .dir(&folder)
            .go_on_stderr()?;
        fs::write(&stamp, "").with_context(|| format!("{}", stamp.display()))?;
    }
    Ok(folder.join("node_modules"))
}

/// A Chromium or Chrome.
pub(crate) fn browser() -> Result<Option<PathBuf>> {
    if let Some(chosen) = run::variable(VARIABLE) {
        let path = PathBuf::from(chosen);
        if !path.is_file() {
            bail!("{VARIABLE} is {}, which is no file", path.display());
        }
        return Ok(Some(path));
    }
    if let Some(found) = find() {
        return Ok(Some(found));
    }
    if tools::can_install() {
        // Without it the tests of the page are skipped, loudly.
        if let Err(error) = tools::install(&["chromium"]) {
            eprintln!("viewer-test: {error:#}");
        }
    }
    Ok(find())
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    // Joined to an absolute path, a folder falls away.
    let places = |name: &&str| folders.iter().map(|f| f.join(Path::new(name))).collect::<Vec<_>>();
    BROWSERS.iter().flat_map(places).find(|place| place.is_file())
}
