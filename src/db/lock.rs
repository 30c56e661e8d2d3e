//! Who uses a SQLite file: servers hold a lock beside it together, and whoever must be alone with the file holds it alone.
//!
//! The system gives the lock back when its process ends, however it ends. It is on a file of its own, because closing
//! a file that SQLite uses would end SQLite's own locks.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::Error;

/// How long somebody may hold the lock who only looks whether it is free.
const PATIENCE: Duration = Duration::from_millis(500);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    Together,
    Alone,
}

/// Takes the lock of the database file at `path`, until what it returns is dropped. `None`: the file system has no locks.
pub(super) async fn take(path: &Path, hold: Hold) -> Result<Option<File>, Error> {
    let lock_path = lock_path(path);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock_path)
        .map_err(|error| Error::text(format!("cannot open the lock file {}: {error}", lock_path.display())))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let outcome = match hold {
            Hold::Together => file.try_lock_shared(),
            Hold::Alone => file.try_lock(),
        };
        match outcome {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => tokio::time::sleep(POLL_INTERVAL).await,
            Err(TryLockError::WouldBlock) => return Err(in_use(path, hold)),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "The file system of {} has no locks, so nothing keeps a server and migrate-keys apart: run only one of them", path.display());
                return Ok(None);
            }
        }
    }
}

/// Whether a process holds the lock; it changes nothing.
pub(crate) fn is_in_use(path: &Path) -> bool {
    let Ok(file) = File::open(lock_path(path)) else { return false };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

fn in_use(path: &Path, hold: Hold) -> Error {
    Error::text(match hold {
        Hold::Together => format!("migrate-keys is working on {}; start the server when it is done", path.display()),
        Hold::Alone => {
            format!("{} is in use by a running server, or by another migrate-keys; stop it first", path.display())
        }
    })
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn servers_share_the_file_and_whoever_must_be_alone_waits_for_all_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gpt-load.db");
        assert!(!is_in_use(&path), "before there was any lock");
        let first = take(&path, Hold::Together).await.unwrap();
        let second = take(&path, Hold::Together).await.unwrap();
        drop(first);
        assert!(is_in_use(&path));
        let refused = take(&path, Hold::Alone).await.unwrap_err().to_string();
        assert!(refused.contains("in use by a running server"), "{refused}");
        drop(second);
        assert!(!is_in_use(&path));
        let alone = take(&path, Hold::Alone).await.unwrap();
        let refused = take(&path, Hold::Together).await.unwrap_err().to_string();
        assert!(refused.contains("migrate-keys is working"), "{refused}");
        assert!(take(&path, Hold::Alone).await.is_err(), "a second one of the same kind");
        drop(alone);
        assert!(take(&path, Hold::Together).await.is_ok());
    }
}
