//! What the end-to-end suite's foreign readers in JavaScript, Go and Java need: a folder in the cache
//! with `js/node_modules`, `go/party` and `java/jars`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::cache::{CacheLock, cache_dir};
use crate::run::{self, Run, workspace_root};
use crate::tools::{self, Tool};

/// Names a folder that has them already.
const VARIABLE: &str = "VOLLEY_CONTRACT";

/// Whatever decides what the folder holds.
const SOURCES: [&str; 6] = [
    "js/package.json",
    "js/package-lock.json",
    "go/go.mod",
    "go/go.sum",
    "go/main.go",
    "java/pom.xml",
];

const COPY_DEPENDENCIES: &str =
    "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";

/// What [`ensure()`] will run, and what runs what it fetches, beside what Apache Kafka needs anyway.
pub(crate) fn tools() -> Vec<&'static Tool> {
    if run::variable(VARIABLE).is_some() {
        return vec![];
    }
    vec![&tools::NODE, &tools::NPM]
}

/// The folder: `VOLLEY_CONTRACT` where set, else the cached one, filled where it is not.
///
/// Without Go, its reader is left out, and the suite says so.
///
/// # Errors
/// When a package cannot be had.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(folder) = run::variable(VARIABLE) {
        return Ok(folder.into());
    }
    let folder = folder()?;
    if is_whole(&folder) {
        return Ok(folder);
    }
    let _lock = CacheLock::take(&cache_dir()?)?;
    part(&folder, "js/node_modules", node_modules)?;
    part(&folder, "java/jars", jars)?;
    if let Err(error) = part(&folder, "go/party", go_program) {
        eprintln!("contract: arrow-go is left out, it needs Go 1.25 or later: {error:#}");
    }
    Ok(folder)
}

fn is_whole(folder: &Path) -> bool {
    ["js/node_modules", "java/jars", "go/party"].iter().all(|part| folder.join(part).exists())
}

/// A folder for each state of the sources: a run that still uses another is not disturbed.
fn folder() -> Result<PathBuf> {
    let mut digest = Sha256::new();
    for source in SOURCES {
        let path = sources().join(source);
        let text =
            fs::read(&path).with_context(|| format!("{} could not be read", path.display()))?;
        digest.update(text);
    }
    let start: String =
        digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(cache_dir()?.join(format!("contract-{start}")))
}

fn sources() -> PathBuf {
    workspace_root().join("testcontainers-tests/contract")
}

/// Makes a part of the folder where it is missing. It gets its name when it is whole.
fn part(folder: &Path, name: &str, make: impl FnOnce(&Path) -> Result<PathBuf>) -> Result<()> {
    let path = folder.join(name);
    if path.exists() {
        return Ok(());
    }
    eprintln!("contract: making {}", path.display());
    let parent = path.parent().unwrap_or(folder);
    let fresh = parent.join("fresh");
    // What an interrupted run left.
    if fresh.exists() {
        fs::remove_dir_all(&fresh)
            .with_context(|| format!("{} could not be removed", fresh.display()))?;
    }
    fs::create_dir_all(&fresh)
        .with_context(|| format!("{} could not be created", fresh.display()))?;
    let made = make(&fresh)?;
    fs::rename(&made, &path).with_context(|| format!("{} could not be made", path.display()))?;
    fs::remove_dir_all(&fresh).with_context(|| format!("{} could not be removed", fresh.display()))
}

/// npm checks each package against the hash in the lock file.
fn node_modules(fresh: &Path) -> Result<PathBuf> {
    for name in ["package.json", "package-lock.json"] {
        let from = sources().join("js").join(name);
        fs::copy(&from, fresh.join(name))
            .with_context(|| format!("{} could not be copied", from.display()))?;
    }
    Run::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
        .dir(fresh)
        .go_on_stderr()?;
    Ok(fresh.join("node_modules"))
}

fn jars(fresh: &Path) -> Result<PathBuf> {
    let jars = fresh.join("jars");
    Run::new("mvn")
        .args(["--batch-mode", "--quiet", "--file"])
        .args([sources().join("java/pom.xml")])
        .args([COPY_DEPENDENCIES, "-DincludeScope=runtime"])
        .args([format!("-DoutputDirectory={}", jars.display())])
        .go_on_stderr()?;
    Ok(jars)
}

/// Go checks each module against `go.sum`.
fn go_program(fresh: &Path) -> Result<PathBuf> {
    let program = fresh.join("party");
    Run::new("go").args(["build", "-o"]).args([&program]).dir(&sources().join("go")).output()?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupted_part_is_made_anew_and_whole_one_kept() {
        let folder = tempfile::tempdir().unwrap();
        let fails = part(folder.path(), "go/party", |fresh| {
            fs::write(fresh.join("half"), "").unwrap();
            anyhow::bail!("interrupted")
        });
        assert!(fails.is_err() && !folder.path().join("go/party").exists());
        let make = |fresh: &Path| {
            assert!(!fresh.join("half").exists());
            fs::write(fresh.join("party"), "program").unwrap();
            Ok(fresh.join("party"))
        };
        part(folder.path(), "go/party", make).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("go/party")).unwrap(), "program");
        part(folder.path(), "go/party", |_| panic!("made twice")).unwrap();
    }

    #[test]
    fn sources_are_there() {
        assert!(folder().is_ok());
    }
}
