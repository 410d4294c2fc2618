//! A container while somebody makes or starts it.
//!
//! It says of a container that exists and never ran whether somebody is still
//! at it, or was killed. The file is gone when nobody is.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Locks, PAUSE, open_shared};

/// Somebody is at a container, as long as this lives.
#[derive(Debug)]
pub(crate) struct ContainerLease {
    path: PathBuf,
    _file: File,
}

impl Drop for ContainerLease {
    fn drop(&mut self) {
        // Another user's file stays, and does no harm.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Locks {
    /// Says that this run is at the container of that name; `None`: another
    /// one is. To be held from before it is created until it was started.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub(crate) fn living(&self, container: &str) -> io::Result<Option<ContainerLease>> {
        let path = self.of_engine(&format!("container-{container}"));
        loop {
            let file = open_shared(&path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Some(ContainerLease { path, _file: file })),
                // Its last holder took the file away; the next one made another.
                Ok(()) => {}
                Err(std::fs::TryLockError::WouldBlock) => return Ok(None),
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// The same for one who may wait: a run that only looks whether somebody
    /// is at the container lets go at once.
    ///
    /// # Errors
    /// As [`Locks::living`].
    pub(crate) async fn living_within(
        &self,
        container: &str,
        limit: Duration,
    ) -> io::Result<Option<ContainerLease>> {
        let mut left = limit;
        loop {
            if let Some(living) = self.living(container)? {
                return Ok(Some(living));
            }
            if left.is_zero() {
                return Ok(None);
            }
            let pause = PAUSE.min(left);
            tokio::time::sleep(pause).await;
            left -= pause;
        }
    }
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(file), Ok(path)) => (file.dev(), file.ino()) == (path.dev(), path.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_has_one_run_at_it_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        let locks = Locks::open(dir.path(), "e").unwrap();
        let first = locks.living("thesis._.1001").unwrap().unwrap();
        assert!(locks.living("thesis._.1001").unwrap().is_none());
        assert!(Locks::open(dir.path(), "f").unwrap().living("thesis._.1001").unwrap().is_some());
        assert_eq!(files(), 1);
        drop(first);
        assert_eq!(files(), 0);
        assert!(locks.living("thesis._.1001").unwrap().is_some());
    }

    #[test]
    fn a_file_that_was_taken_away_locks_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::open(dir.path(), "e").unwrap();
        let inside = &std::sync::atomic::AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let locks = locks.clone();
                scope.spawn(move || {
                    for _ in 0..500 {
                        let Some(_living) = locks.living("x").unwrap() else { continue };
                        assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                        inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
