//! The cache, and one set-up at a time in it, however many are started.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use volley_embedded::cache;

/// The cache folder, absolute: what we start runs in other folders than ours.
pub(crate) fn cache_dir() -> Result<PathBuf> {
    std::path::absolute(cache::cache_dir()).context("the cache folder has no absolute path")
}

/// Twelve hexadecimal digits that differ where `bytes` do.
pub(crate) fn short_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Held until dropped; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct CacheLock {
    _file: File,
}

impl CacheLock {
    /// Creates `cache` where needed and waits until no other process holds its lock.
    pub(crate) fn take(cache: &Path) -> Result<Self> {
        std::fs::create_dir_all(cache).with_context(|| {
            format!("the cache folder {} could not be created", cache.display())
        })?;
        let path = cache.join("setup.lock");
        let file = File::create(&path)
            .with_context(|| format!("{} could not be created", path.display()))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!("another set-up is at work in {}: waiting for it", cache.display());
                file.lock().context("waiting for the other set-up")?;
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
            }
        }
        Ok(Self { _file: file })
    }
}
