//! The end-to-end suite in containers, on a machine that reaches no container registry.
//!
//! ```text
//!  debootstrap + jars + libchdb ──▶ base image ──▶ two images ──▶ the suite, by testcontainers
//! ```

mod engine;
mod images;

use std::ffi::OsString;

use anyhow::{Context, Result, ensure};

use crate::cache::{CacheLock, cache_dir};
use crate::run::{Run, workspace_root};
use crate::standin::engine::Engine;
use crate::standin::images::Parts;
use crate::steps::Steps;
use crate::{libchdb, python, tasks, tools};

/// Makes images that stand in for Redpanda, Apache Kafka and ClickHouse, and runs the suite on them;
/// `args` go to `cargo test`.
///
/// # Errors
/// When this is not root on Linux, an image cannot be made, a test fails, or the suite leaves a
/// container.
pub(crate) fn standin(args: &[OsString]) -> Result<()> {
    let root_on_linux = cfg!(target_os = "linux") && tools::is_root();
    ensure!(
        root_on_linux,
        "stand-in images need root on Linux; where images can be pulled, \
         `VOLLEY_E2E=docker cargo xtask test -p volley -p volley-e2e` needs neither"
    );
    let mut steps = Steps::start();
    let also = [&tools::DEBOOTSTRAP, &tools::DOCKER, &tools::DOCKERD, &tools::TAR];
    let features = steps.step("tools", || tasks::features(tasks::all_tools()?.chain(also)))?;
    let library = steps.step("libchdb", libchdb::ensure)?;
    let python = steps.step("python", python::ensure)?;
    let cargo = |command: &str, target: [&str; 2]| {
        let run = Run::cargo().args([command, "--package", "volley-e2e"]).args(target);
        run.args(features).dir(&workspace_root())
    };
    steps.step("build", || {
        // The suite runs `volley` itself, and the images hold `standin`.
        cargo("build", ["--package", "volley"]).args(["--bins"]).go_on_stderr()?;
        cargo("test", ["--test", "it"]).args(["--no-run"]).go_on_stderr()
    })?;
    let files =
        steps.step("jars", || cargo("run", ["--bin", "standin"]).args(["files"]).output())?;
    let (program, jars) = files.trim_end().split_once('\n').context("standin named no files")?;

    let folder = cache_dir()?.join("standin");
    let _lock = CacheLock::take(&folder)?;
    let engine = steps.step("engine", || Engine::start(&folder))?;
    let parts = Parts { program: program.as_ref(), jars: jars.as_ref(), library: &library };
    steps.step("images", || images::make(&engine, &parts, &folder))?;

    let suite = |broker_variable: &str| {
        engine
            .on(cargo("test", ["--test", "it"]))
            .env("VOLLEY_E2E", "docker")
            .env(broker_variable, images::BROKER)
            .env("VOLLEY_E2E_CLICKHOUSE_IMAGE", images::CLICKHOUSE)
            .env("VOLLEY_NO_SKIP", "1")
            .env("VOLLEY_LIBCHDB", &library)
            .env("VOLLEY_PYTHON", &python)
    };
    steps.step("suite", || suite("VOLLEY_E2E_REDPANDA_IMAGE").args(args).go())?;
    if args.is_empty() {
        let some = ["--", "docker::roundtrip"];
        steps.step("as apache/kafka", || suite("VOLLEY_E2E_KAFKA_IMAGE").args(some).go())?;
    }
    steps.step("engine stops", || engine.stop())?;
    steps.summary();
    Ok(())
}
