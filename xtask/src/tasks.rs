//! What each command does.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::run::{self, Run, workspace_root};
use crate::steps::Steps;
use crate::tools::Tool;
use crate::viewer_test::Purpose;
use crate::{contract, libchdb, python, tools, viewer, viewer_bench, viewer_test};

const CARGO_DENY: &str = "0.20.2";

/// Ends in `volley demo`, whose exit code becomes ours; returns only when it does not get there.
pub(crate) fn demo(args: &[OsString]) -> Result<()> {
    let args = without_separator(args);
    let features = features(libchdb::tools()?)?;
    let library = libchdb::ensure()?;
    // In the folder we were started in, where relative paths among the arguments mean something.
    let demo = Run::cargo()
        .args(["run", "--release", "--package", "volley", "--bin", "volley"])
        .args(features)
        .args(["--", "demo"])
        .args(args)
        .env("VOLLEY_LIBCHDB", library);
    Err(demo.replace_us())
}

/// Builds the page, then the binary around it.
pub(crate) fn build() -> Result<()> {
    let features = features([])?;
    let page = viewer::build(&[])?.join(viewer::SITE);
    Run::cargo()
        .args(["build", "--release", "--package", "volley"])
        .args(features)
        .env("VOLLEY_PAGE", page)
        .dir(&workspace_root())
        .go_on_stderr()
}

/// Ends in the end-to-end suite's Kafka, as [`demo`] does in the demo.
pub(crate) fn kafka(args: &[OsString]) -> Result<()> {
    let features = features([&tools::JAVA, &tools::MAVEN])?;
    let kafka = Run::cargo()
        .args(["run", "--quiet", "--package", "volley-e2e", "--bin", "kafka"])
        .args(features)
        .args(["--"])
        .args(without_separator(args));
    Err(kafka.replace_us())
}

/// Ends in the kill test, as [`demo`] does in the demo.
pub(crate) fn kill_test(args: &[OsString]) -> Result<()> {
    beside_volley("kill-test", &[], "debug", args)
}

/// Ends in the measurement of the loader, as [`demo`] does in the demo.
pub(crate) fn load_speed(args: &[OsString]) -> Result<()> {
    beside_volley("load-speed", &["--release"], "release", args)
}

/// Builds the binary that ships and becomes a program of the end-to-end suite that runs it.
fn beside_volley(program: &str, profile: &[&str], folder: &str, args: &[OsString]) -> Result<()> {
    let needed = libchdb::tools()?.into_iter().chain([&tools::JAVA, &tools::MAVEN]);
    let features = features(needed)?;
    let library = libchdb::ensure()?;
    let build = Run::cargo().args(["build", "--package", "volley", "--bin", "volley"]);
    build.args(profile).args(features).go_on_stderr()?;
    let target = run::variable("CARGO_TARGET_DIR")
        .map_or_else(|| workspace_root().join("target"), PathBuf::from);
    let program = Run::cargo()
        .args(["run", "--quiet", "--package", "volley-e2e", "--bin", program])
        .args(features)
        .args(["--"])
        .args(without_separator(args))
        .env("VOLLEY_BIN", target.join(folder).join("volley"))
        .env("VOLLEY_LIBCHDB", library);
    Err(program.replace_us())
}

/// In `cargo xtask demo -- --help`, the separator was for us.
fn without_separator(args: &[OsString]) -> &[OsString] {
    args.strip_prefix(&["--".into()]).unwrap_or(args)
}

pub(crate) fn setup() -> Result<()> {
    let mut steps = Steps::start();
    steps.step("tools", || features(all_tools()?))?;
    steps.step("libchdb", libchdb::ensure)?;
    steps.step("python", python::ensure)?;
    steps.step("contract", contract::ensure)?;
    steps.summary();
    Ok(())
}

pub(crate) fn test(args: &[OsString]) -> Result<()> {
    let mut steps = Steps::start();
    test_steps(&mut steps, args)?;
    steps.summary();
    Ok(())
}

fn test_steps(steps: &mut Steps, args: &[OsString]) -> Result<()> {
    let features = steps.step("tools", || features(all_tools()?))?;
    let library = steps.step("libchdb", libchdb::ensure)?;
    let python = steps.step("python", python::ensure)?;
    let contract = steps.step("contract", contract::ensure)?;
    let mut tests = Run::cargo().args(["test"]);
    if !names_packages(args) {
        tests = tests.args(["--workspace"]).args(features);
    }
    tests = tests
        .args(args)
        .env("VOLLEY_LIBCHDB", library)
        .env("VOLLEY_PYTHON", python)
        .env("VOLLEY_CONTRACT", contract);
    if run::variable("CI").is_some_and(|ci| ci == "true") {
        tests = tests.env("VOLLEY_NO_SKIP", "1");
    }
    steps.step("cargo test", || tests.dir(&workspace_root()).go())?;
    if args.is_empty() {
        steps.step("viewer", || viewer_test::run(Purpose::Test))?;
    }
    Ok(())
}

/// Whether cargo's arguments choose packages themselves.
fn names_packages(args: &[OsString]) -> bool {
    let cargos = args.iter().map_while(|arg| arg.to_str()).take_while(|arg| *arg != "--");
    let mut flags = cargos.filter(|arg| arg.starts_with('-'));
    flags.any(|flag| {
        let is_short = flag.starts_with("-p");
        is_short || ["--package", "--manifest-path"].iter().any(|long| flag.starts_with(long))
    })
}

pub(crate) fn lint() -> Result<()> {
    let mut steps = Steps::start();
    lint_steps(&mut steps)?;
    steps.summary();
    Ok(())
}

fn lint_steps(steps: &mut Steps) -> Result<()> {
    let features = steps.step("tools", || features([]))?;
    let root = workspace_root();
    let cargo = |args: &[&str]| Run::cargo().args(args).dir(&root);
    steps.step("fmt", || cargo(&["fmt", "--all", "--check"]).go_on_stderr())?;
    steps.step("clippy", || {
        cargo(&["clippy", "--workspace", "--all-targets"])
            .args(features)
            .args(["--", "-D", "warnings"])
            .go_on_stderr()
    })?;
    steps.step("doc", || {
        cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"])
            .args(features)
            .env("RUSTDOCFLAGS", "-D warnings")
            .go_on_stderr()
    })
}

pub(crate) fn deny(advisories: bool) -> Result<()> {
    let mut steps = Steps::start();
    deny_steps(&mut steps, advisories)?;
    steps.summary();
    Ok(())
}

fn deny_steps(steps: &mut Steps, advisories: bool) -> Result<()> {
    let program = steps.step("cargo-deny", || tools::cargo_tool("cargo-deny", CARGO_DENY))?;
    steps.step("dependencies", || {
        let mut check = Run::new(&program).args(["--locked", "check"]);
        if advisories {
            check = check.args(["advisories"]);
        }
        check.args(["licenses", "bans", "sources"]).dir(&workspace_root()).go_on_stderr()
    })
}

pub(crate) fn mutate() -> Result<()> {
    tools::need(&tools::C_BUILD)?;
    Run::cargo()
        .args(["test", "--package", "volley-core", "--test", "mutation", "--", "--nocapture"])
        .env("VOLLEY_MUTATE", "all")
        .dir(&workspace_root())
        .go()
}

/// Runs the benchmarks. A run of all of them, quick or not, is summed up in `benches/results`; one
/// that chooses among them is not. Those of the browser are apart.
pub(crate) fn bench(args: &[OsString]) -> Result<()> {
    if let Some(args) = args.strip_prefix(&["--browser".into()]) {
        return viewer_bench::run(args);
    }
    let features = features(python::tools()?.into_iter().chain([&tools::JAVA, &tools::MAVEN]))?;
    let python = python::ensure()?;
    let (is_quick, args) = match args.strip_prefix(&["--quick".into()]) {
        Some(rest) => (true, rest),
        None => (false, args),
    };
    let root = workspace_root();
    let mut benches = Run::cargo()
        .args(["bench", "--package", "volley-benches"])
        .args(features)
        .args(args)
        .env("VOLLEY_PYTHON", python)
        .dir(&root);
    if is_quick {
        benches = benches.env("VOLLEY_BENCH_QUICK", "1");
    }
    if !args.is_empty() {
        return benches.go();
    }
    // A folder of its own, so that nothing of an earlier run is summed up with this one.
    let criterion = root.join("target/bench-run");
    if criterion.is_dir() {
        fs::remove_dir_all(&criterion)
            .with_context(|| format!("{} could not be removed", criterion.display()))?;
    }
    benches.env("CRITERION_HOME", &criterion).go()?;
    let command = if is_quick { "cargo xtask bench --quick" } else { "cargo xtask bench" };
    Run::cargo()
        .args(["run", "--quiet", "--release", "--package", "volley-benches", "--bin", "report"])
        .args(features)
        .args(["--", "--command", command, "--criterion"])
        .args([&criterion])
        .dir(&root)
        .go()
}

/// Ends in the comparison, as [`demo`] does in the demo.
pub(crate) fn compare(args: &[OsString]) -> Result<()> {
    let set_up = libchdb::tools()?.into_iter().chain(python::tools()?);
    let features = features(set_up.chain([&tools::JAVA, &tools::MAVEN]))?;
    let library = libchdb::ensure()?;
    let python = python::ensure()?;
    let root = workspace_root();
    Run::cargo()
        .args([
            "build",
            "--release",
            "--bins",
            "--package",
            "volley",
            "--package",
            "volley-benches",
        ])
        .args(features)
        .dir(&root)
        .go_on_stderr()?;
    let compare = Run::cargo()
        .args(["run", "--quiet", "--release", "--package", "volley-benches", "--bin", "compare"])
        .args(features)
        .args(["--"])
        .args(without_separator(args))
        .env("VOLLEY_LIBCHDB", library)
        .env("VOLLEY_PYTHON", python);
    Err(compare.replace_us())
}

pub(crate) fn tune_regret(quick: bool) -> Result<()> {
    let features = features([])?;
    Run::cargo()
        .args(["run", "--release", "--package", "volley-benches", "--bin", "tune-regret"])
        .args(features)
        .args(["--"])
        .args(quick.then_some("--quick"))
        .dir(&workspace_root())
        .go()
}

pub(crate) fn ci() -> Result<()> {
    let mut steps = Steps::start();
    test_steps(&mut steps, &[])?;
    lint_steps(&mut steps)?;
    deny_steps(&mut steps, false)?;
    steps.summary();
    Ok(())
}

/// What the tests and their set-up run, so that one look tells all that is missing.
pub(crate) fn all_tools() -> Result<impl Iterator<Item = &'static Tool>> {
    tools::offer(&tools::KCAT);
    let set_up = libchdb::tools()?.into_iter().chain(python::tools()?).chain(contract::tools());
    Ok(set_up.chain([&tools::CURL, &tools::JDK, &tools::MAVEN, &tools::NODE, &tools::NPM]))
}

/// Sees to the C compilers and to `also`, and returns the features that the pipeline is built with:
/// where the system has no OpenSSL to link, librdkafka gets one built from source.
pub(crate) fn features(
    also: impl IntoIterator<Item = &'static Tool>,
) -> Result<&'static [&'static str]> {
    let has_openssl = run::variable("OPENSSL_DIR").is_some()
        || Run::new("pkg-config").args(["--exists", "openssl"]).succeeds();
    let perl = (!has_openssl).then_some(&tools::PERL);
    tools::need(tools::C_BUILD.iter().chain(also).chain(perl))?;
    if has_openssl {
        return Ok(&[]);
    }
    eprintln!("openssl: pkg-config finds none, it is built from source (two minutes more)");
    Ok(&["--features", "volley/vendored-openssl"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_before_the_separator_only() {
        let check = |line: &str, expect| {
            let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            assert_eq!(names_packages(&args), expect, "{line}");
        };
        check("", false);
        check("codec", false);
        check("--test delivery", false);
        check("-p volley-core", true);
        check("-pvolley-core codec", true);
        check("--release --package=volley", true);
        check("codec -- -p", false);
    }
}
