//! Where the binary `volley` is.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// What names the binary.
const BINARY_VAR: &str = "VOLLEY_BIN";

/// The binary that the environment names, or the one that cargo has built beside this program.
///
/// # Errors
///
/// A text for the user: there is none, or its sources have changed since it was built.
pub fn volley_binary() -> Result<PathBuf, String> {
    if let Some(named) = env::var_os(BINARY_VAR).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        let missing = || format!("{BINARY_VAR}: there is no file {}", named.display());
        return if named.is_file() { Ok(named) } else { Err(missing()) };
    }
    let ours = env::current_exe().map_err(|error| error.to_string())?;
    let folder = ours.parent().unwrap_or(&ours);
    // Tests lie in a folder beside it.
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let built = folder.join(format!("volley{}", env::consts::EXE_SUFFIX));
    let problem = if !built.is_file() {
        format!("there is no {}", built.display())
    } else if let Some(source) = newer_source(&built) {
        format!("{} is older than {}", built.display(), source.display())
    } else {
        return Ok(built);
    };
    Err(format!("{problem}; build it with `cargo build -p volley`, or set {BINARY_VAR}"))
}

/// A source file that was changed after the binary was built, according to what cargo notes of it.
fn newer_source(binary: &Path) -> Option<PathBuf> {
    let notes = fs::read_to_string(binary.with_extension("d")).ok()?;
    let (_, sources) = notes.split_once(": ")?;
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    let built = changed(binary)?;
    let sources = sources.split_whitespace().map(PathBuf::from);
    sources.into_iter().find(|source| changed(source).is_some_and(|at| at > built))
}
