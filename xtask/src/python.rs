//! The Python that tests and benchmarks compare with: a venv in the cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::cache::{CacheLock, cache_dir, short_digest};
use crate::run::{self, Run, workspace_root};
use crate::tools::{self, Tool};

/// Names a Python that has the packages already.
const VARIABLE: &str = "VOLLEY_PYTHON";

/// What [`ensure()`] will run.
pub(crate) fn tools() -> Result<Vec<&'static Tool>> {
    let is_there = run::variable(VARIABLE).is_some() || is_ready(&venv()?);
    Ok(if is_there { vec![] } else { vec![&tools::PYTHON] })
}

/// The interpreter: `VOLLEY_PYTHON` where set, else that of the venv, made when the one for these
/// requirements is not there yet.
///
/// pip checks each package against the hashes of its index.
///
/// # Errors
/// When `VOLLEY_PYTHON` does not run, or a package cannot be had.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(python) = run::variable(VARIABLE) {
        let works = Run::new(&python).args(["-c", ""]).succeeds();
        ensure!(works, "{VARIABLE} is {}, which does not run", python.display());
        return Ok(python.into());
    }
    let venv = venv()?;
    if !is_ready(&venv) {
        let _lock = CacheLock::take(&cache_dir()?)?;
        if !is_ready(&venv) {
            create(&venv)?;
        }
    }
    Ok(interpreter(&venv))
}

fn requirements() -> PathBuf {
    workspace_root().join("testcontainers-tests/requirements.txt")
}

/// A folder for each set of requirements: when they change, a run that still uses the old ones is
/// not disturbed.
fn venv() -> Result<PathBuf> {
    let path = requirements();
    let wanted =
        fs::read(&path).with_context(|| format!("{} could not be read", path.display()))?;
    Ok(cache_dir()?.join(folder_name(&wanted)))
}

fn folder_name(requirements: &[u8]) -> String {
    format!("python-{}", short_digest(requirements))
}

fn interpreter(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

/// Written last: a venv without it was interrupted.
fn stamp(venv: &Path) -> PathBuf {
    venv.join("ready")
}

fn is_ready(venv: &Path) -> bool {
    // An interpreter that the venv points to may have been removed since.
    stamp(venv).is_file() && Run::new(interpreter(venv)).args(["-c", ""]).succeeds()
}

fn create(venv: &Path) -> Result<()> {
    eprintln!("python: making {}", venv.display());
    // `--clear` empties what an interrupted run left.
    Run::new("python3").args(["-m", "venv", "--clear"]).args([venv]).output()?;
    Run::new(interpreter(venv))
        .args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "-r"])
        .args([requirements()])
        .go_on_stderr()?;
    let stamp = stamp(venv);
    fs::write(&stamp, "").with_context(|| format!("{} could not be written", stamp.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_requirements_get_their_own_venv() {
        assert_eq!(folder_name(b"a==1\n"), folder_name(b"a==1\n"));
        assert_ne!(folder_name(b"a==1\n"), folder_name(b"a==2\n"));
    }

    #[test]
    fn interrupted_venv_is_not_ready() {
        let venv = tempfile::tempdir().unwrap();
        fs::create_dir(venv.path().join("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/true", interpreter(venv.path())).unwrap();
        assert!(!is_ready(venv.path()));
        fs::write(stamp(venv.path()), "").unwrap();
        assert!(is_ready(venv.path()));
        fs::remove_file(interpreter(venv.path())).unwrap();
        assert!(!is_ready(venv.path()));
    }
}
