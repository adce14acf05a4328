//! Where fetched files lie, shared by the set-up that fetches them and the code that loads them.

use std::env;
use std::path::PathBuf;

/// The libchdb release that this crate is written against and tested with.
pub const LIBCHDB_VERSION: &str = "26.7.3-stable.1";

/// Names the folder for everything that set-up fetches.
pub const CACHE_DIR_VAR: &str = "VOLLEY_CACHE_DIR";

/// Names a libchdb to load instead of the one in the cache.
pub const LIBCHDB_VAR: &str = "VOLLEY_LIBCHDB";

/// The folder for everything that set-up fetches. It need not exist.
///
/// The first of these that is set: `VOLLEY_CACHE_DIR`; `XDG_CACHE_HOME` + `volley`; on macOS
/// `~/Library/Caches/volley`; elsewhere `~/.cache/volley`; without a home folder, a folder
/// `volley-cache` in the system's folder for temporary files.
pub fn cache_dir() -> PathBuf {
    cache_dir_from(|name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

/// Where set-up puts libchdb, and where the engine looks for it after `VOLLEY_LIBCHDB`:
/// `<cache>/libchdb/<version>/libchdb.so`.
///
/// The file is called `libchdb.so` on macOS too: that is its name in chDB's packages.
pub fn libchdb_path() -> PathBuf {
    cache_dir().join("libchdb").join(LIBCHDB_VERSION).join("libchdb.so")
}

fn cache_dir_from(var: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    if let Some(dir) = var(CACHE_DIR_VAR) {
        return dir;
    }
    if let Some(dir) = var("XDG_CACHE_HOME") {
        return dir.join("volley");
    }
    match var("HOME") {
        Some(home) if cfg!(target_os = "macos") => home.join("Library/Caches/volley"),
        Some(home) => home.join(".cache/volley"),
        None => env::temp_dir().join("volley-cache"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(set: &[(&str, &str)], expect: &str) {
        let dir = cache_dir_from(|name| {
            set.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value))
        });
        assert_eq!(dir, PathBuf::from(expect), "with {set:?}");
    }

    #[test]
    fn the_most_specific_variable_wins() {
        let all = [("VOLLEY_CACHE_DIR", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")];
        check(&all, "/a");
        check(&all[1..], "/b/volley");
        let under_home = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
        check(&all[2..], &format!("/c/{under_home}/volley"));
    }

    #[test]
    fn without_a_home_the_cache_is_temporary() {
        let dir = cache_dir_from(|_| None);
        assert!(dir.starts_with(env::temp_dir()), "{dir:?}");
    }

    #[test]
    fn the_library_lies_under_its_version() {
        assert!(libchdb_path().ends_with(format!("libchdb/{LIBCHDB_VERSION}/libchdb.so")));
    }
}
