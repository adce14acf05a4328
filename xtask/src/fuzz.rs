//! Fuzzing with cargo-fuzz, which needs a nightly compiler for its sanitizers.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run::{Run, variable, workspace_root};
use crate::steps::Steps;
use crate::tools;

/// Where the targets lie, in the order they run.
pub(crate) const TARGETS: [&str; 4] = ["layout", "decode", "splice", "headers"];

const CARGO_FUZZ: &str = "0.13.2";

/// More than this much memory, in one piece or in all, or this much time is a finding.
const LIMITS: [&str; 4] =
    ["-rss_limit_mb=2048", "-malloc_limit_mb=256", "-timeout=10", "-max_len=65536"];

/// Fuzzes one target or all, for so many minutes each.
pub(crate) fn run(target: Option<&str>, minutes: u32) -> Result<()> {
    let mut steps = Steps::start();
    let program = steps.step("cargo-fuzz", || {
        tools::need(&tools::C_BUILD)?;
        let rustc = Run::new("rustc").args(["--version"]).env("RUSTUP_TOOLCHAIN", "nightly");
        if !rustc.succeeds() {
            bail!("no nightly Rust; install it with `rustup toolchain install nightly`");
        }
        tools::cargo_tool("cargo-fuzz", CARGO_FUZZ)
    })?;
    for name in TARGETS.into_iter().filter(|name| target.is_none_or(|target| target == *name)) {
        steps.step(name, || fuzz(&program, name, minutes))?;
    }
    steps.summary();
    Ok(())
}

fn fuzz(program: &Path, target: &str, minutes: u32) -> Result<()> {
    let root = workspace_root();
    let folder = root.join("fuzz");
    let builds = variable("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    // New inputs go into the first. The golden payloads are the seeds of what reads payloads.
    let corpus = folder.join("corpus").join(target);
    let seeds = match target {
        "headers" => folder.join("seeds/headers"),
        _ => root.join("core/tests/golden"),
    };
    let regressions = folder.join("regressions").join(target);
    std::fs::create_dir_all(&corpus)
        .with_context(|| format!("{} could not be created", corpus.display()))?;
    let folders = [corpus, seeds, regressions].into_iter().filter(|folder| folder.is_dir());
    Run::new(program)
        .args(["fuzz", "run", "--fuzz-dir"])
        .args([&folder])
        .args(["--target-dir"])
        .args([builds.join("fuzz")])
        .args([target])
        .args(folders)
        .args(["--", "-print_final_stats=1", &format!("-max_total_time={}", minutes * 60)])
        .args(LIMITS)
        .env("RUSTUP_TOOLCHAIN", "nightly")
        .without_env("CARGO")
        .dir(&folder)
        .go_on_stderr()
        .with_context(|| {
            format!(
                "keep the input as fuzz/regressions/{target}/NAME, where \
                 `cargo test -p volley-core --test fuzz_replay` replays it"
            )
        })
}
