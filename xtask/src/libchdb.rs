//! ClickHouse's engine as a library, fetched from npm into the cache.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha512};
use volley_embedded::cache::{LIBCHDB_VAR, LIBCHDB_VERSION, libchdb_path};

use crate::cache::{CacheLock, cache_dir};
use crate::run::{self, Run, reason};
use crate::tools::{self, Tool};

/// An npm package with libchdb for one platform.
#[derive(Debug, PartialEq)]
struct Package {
    name: &'static str,
    /// What its archive must hash to; without it, the check that npm makes against its registry
    /// is all there is.
    sha512: Option<&'static str>,
}

/// Size of the archive for Linux on x64; the others differ a little.
const ARCHIVE_BYTES: u64 = 177_817_999;
/// The only file in the archive that is used.
const MEMBER: &str = "package/libchdb.so";

/// What [`ensure()`] will run.
pub(crate) fn tools() -> Result<Vec<&'static Tool>> {
    Ok(if in_place()?.is_some() { vec![] } else { vec![&tools::NPM, &tools::TAR] })
}

/// The library: `VOLLEY_LIBCHDB` where set, else the cached one, fetched when it is not there yet.
///
/// # Errors
/// When `VOLLEY_LIBCHDB` names no file, no package exists for this platform, the download fails, or
/// what came is not what was pinned.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(path) = in_place()? {
        return Ok(path);
    }
    let cache = cache_dir()?;
    let _lock = CacheLock::take(&cache)?;
    let path = cached()?;
    if !path.is_file() {
        let package = package(std::env::consts::OS, std::env::consts::ARCH)?;
        fetch(&package, &cache, &path)?;
    }
    Ok(path)
}

fn in_place() -> Result<Option<PathBuf>> {
    if let Some(path) = run::variable(LIBCHDB_VAR) {
        let path = std::path::absolute(path)
            .with_context(|| format!("{LIBCHDB_VAR} has no absolute path"))?;
        ensure!(path.is_file(), "{LIBCHDB_VAR} is {}, which is no file", path.display());
        return Ok(Some(path));
    }
    Ok(Some(cached()?).filter(|path| path.is_file()))
}

fn cached() -> Result<PathBuf> {
    std::path::absolute(libchdb_path()).context("the cache folder has no absolute path")
}

fn package(os: &str, arch: &str) -> Result<Package> {
    let package = |name| Package { name, sha512: None };
    Ok(match (os, arch) {
        ("linux", "x86_64") => Package {
            name: "@chdb/lib-linux-x64-gnu",
            sha512: Some(
                "5cff7b98caa7739b59a4a432c11f0dedc2d3b073624e61ebdf4a42e66ce8de35\
                 a6ba48ca9f62016bad1cd81fe059435cb858ce3235a8a2b408082a81563e70a7",
            ),
        },
        ("linux", "aarch64") => package("@chdb/lib-linux-arm64-gnu"),
        ("macos", "x86_64") => package("@chdb/lib-darwin-x64"),
        ("macos", "aarch64") => package("@chdb/lib-darwin-arm64"),
        _ => bail!(
            "no libchdb is published for {os} on {arch}: build one and set VOLLEY_LIBCHDB to it"
        ),
    })
}

/// Downloads, checks, unpacks and puts in place; `path` either appears whole or not at all.
fn fetch(package: &Package, cache: &Path, path: &Path) -> Result<()> {
    // One name, emptied first: what an interrupted run left does not pile up.
    let work = cache.join("setup.tmp");
    remove_folder(&work)?;
    fs::create_dir_all(&work)
        .with_context(|| format!("{} could not be created", work.display()))?;

    let archive = download(package, &work)?;
    if let Some(expected) = package.sha512 {
        check_sha512(&archive, expected)?;
        eprintln!("libchdb: SHA-512 is the pinned one");
    } else {
        eprintln!("libchdb: no SHA-512 is pinned for {}: npm's own check passed", package.name);
    }

    eprintln!("libchdb: unpacking");
    let arguments = ["-x", "-z", "-f"].map(Path::new);
    let rest = [archive.as_path(), Path::new("-C"), &work, Path::new(MEMBER)];
    Run::new("tar").args(arguments).args(rest).output()?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("{} could not be created", parent.display()))?;
    }
    fs::rename(work.join(MEMBER), path)
        .with_context(|| format!("{} could not be put in place", path.display()))?;
    eprintln!("libchdb: {}", path.display());
    remove_folder(&work)
}

/// Lets npm download the package's archive into `work`, and returns its path.
fn download(package: &Package, work: &Path) -> Result<PathBuf> {
    let spec = format!("{}@{LIBCHDB_VERSION}", package.name);
    let (npm_cache, log) = (work.join("npm"), work.join("npm.log"));
    eprintln!("libchdb: npm pack {spec}, about {} MB", megabytes(ARCHIVE_BYTES));
    let run = Run::new("npm")
        .args(["pack", &spec, "--no-update-notifier", "--loglevel", "error", "--cache"])
        .args([&npm_cache])
        // A folder of its own, so that no project's .npmrc or package.json plays a part.
        .dir(work);
    let status = wait_with_progress(run, &log, &npm_cache)?;
    if !status.success() {
        let said = fs::read_to_string(&log).unwrap_or_default();
        bail!(
            "npm could not fetch {spec}: {}\n{}\nwithout npm's registry, get libchdb {LIBCHDB_VERSION} \
             from chDB's releases and set VOLLEY_LIBCHDB to it",
            reason(status),
            said.trim_end()
        );
    }
    let is_archive = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "tgz");
    let entries = fs::read_dir(work).context("what npm fetched could not be listed")?;
    let archive = entries.flatten().map(|entry| entry.path()).find(is_archive);
    archive.with_context(|| format!("npm fetched {spec} but left no archive"))
}

/// Runs npm to its end. It shows no progress of its own, so the growth of its cache stands in.
fn wait_with_progress(npm: Run, log: &Path, npm_cache: &Path) -> Result<ExitStatus> {
    let on_terminal = io::stderr().is_terminal();
    let (tick, line_every) = (Duration::from_millis(250), Duration::from_secs(5));
    let started = Instant::now();
    let mut last_line = started;
    let mut npm = npm.start(log)?;
    loop {
        if let Some(status) = npm.try_wait().context("waiting for npm")? {
            if on_terminal {
                eprint!("\r\x1b[K");
            }
            return Ok(status);
        }
        let progress = || progress(folder_size(npm_cache), started.elapsed());
        if on_terminal {
            eprint!("\r\x1b[K{}", progress());
            io::stderr().flush().context("stderr is gone")?;
        } else if last_line.elapsed() >= line_every {
            eprintln!("{}", progress());
            last_line = Instant::now();
        }
        thread::sleep(tick);
    }
}

/// `libchdb: 88 of 178 MB (50 %), 12 MB/s`.
fn progress(bytes: u64, elapsed: Duration) -> String {
    if bytes >= ARCHIVE_BYTES {
        return format!("libchdb: {} MB are here, npm checks them", megabytes(bytes));
    }
    let percent = bytes * 100 / ARCHIVE_BYTES;
    let per_second = u128::from(bytes) * 1000 / elapsed.as_millis().max(1);
    format!(
        "libchdb: {} of {} MB ({percent} %), {} MB/s",
        megabytes(bytes),
        megabytes(ARCHIVE_BYTES),
        per_second / 1_000_000
    )
}

fn megabytes(bytes: u64) -> u64 {
    (bytes + 500_000) / 1_000_000
}

/// Bytes in the files under `folder`; what vanishes while we look counts nothing.
fn folder_size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, metadata)| if metadata.is_dir() { folder_size(&path) } else { metadata.len() })
        .sum()
}

/// # Errors
/// When the file's SHA-512 is not `expected` (128 lower-case hexadecimal digits).
fn check_sha512(path: &Path, expected: &str) -> Result<()> {
    let shown = path.display();
    let mut file = File::open(path).with_context(|| format!("{shown} could not be opened"))?;
    let mut hasher = Sha512::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).with_context(|| format!("{shown} could not be read"))?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
    }
    let actual: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(
        actual == expected,
        "{shown} is not what was published: its SHA-512 is {actual}, not {expected}"
    );
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} could not be removed", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_supported_platform_has_its_package() {
        let check = |os, arch, expect| assert_eq!(package(os, arch).unwrap().name, expect);
        check("linux", "x86_64", "@chdb/lib-linux-x64-gnu");
        check("linux", "aarch64", "@chdb/lib-linux-arm64-gnu");
        check("macos", "x86_64", "@chdb/lib-darwin-x64");
        check("macos", "aarch64", "@chdb/lib-darwin-arm64");
        let error = package("windows", "x86_64").unwrap_err().to_string();
        assert!(error.contains("windows on x86_64") && error.contains("VOLLEY_LIBCHDB"), "{error}");
    }

    #[test]
    fn pinned_hash_is_128_hexadecimal_digits() {
        let pinned = package("linux", "x86_64").unwrap().sha512.unwrap();
        assert_eq!(pinned.len(), 128);
        assert!(pinned.bytes().all(|digit| digit.is_ascii_digit() || digit.is_ascii_lowercase()));
    }

    #[test]
    fn altered_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        // FIPS 180-2's example.
        let expected = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                        2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        check_sha512(&path, expected).unwrap();
        fs::write(&path, "abd").unwrap();
        let error = check_sha512(&path, expected).unwrap_err().to_string();
        assert!(error.contains("is not what was published"), "{error}");
    }

    #[test]
    fn progress_stays_within_its_bounds() {
        let check = |bytes, ms, expect: &str| {
            assert_eq!(progress(bytes, Duration::from_millis(ms)), expect);
        };
        check(0, 0, "libchdb: 0 of 178 MB (0 %), 0 MB/s");
        check(88_909_000, 2_000, "libchdb: 89 of 178 MB (50 %), 44 MB/s");
        check(ARCHIVE_BYTES, 1_000, "libchdb: 178 MB are here, npm checks them");
    }

    #[test]
    fn size_of_a_folder_counts_all_below_it() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("deeper")).unwrap();
        fs::write(folder.path().join("a"), [0; 10]).unwrap();
        fs::write(folder.path().join("deeper/b"), [0; 32]).unwrap();
        assert_eq!(folder_size(folder.path()), 42);
        assert_eq!(folder_size(&folder.path().join("absent")), 0);
    }
}
