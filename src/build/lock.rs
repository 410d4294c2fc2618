//! One builder for each image at a time, across runs of the program.
//!
//! Two runs on one graph each want the same recipe; the second waits and
//! then finds the image there. A lock is a file lock, so a killed run holds
//! nothing.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// Held as long as it lives.
#[derive(Debug)]
pub struct ImageLock {
    _file: File,
}

/// The folder of the locks of one engine.
#[derive(Clone, Debug)]
pub struct Locks {
    dir: PathBuf,
}

/// How often a waiting run looks again.
const PAUSE: Duration = Duration::from_millis(50);

impl Locks {
    /// `dir` is shared by all users of the machine and made if missing;
    /// `engine` tells engines apart.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn open(dir: &Path, engine: &str) -> io::Result<Self> {
        if !dir.exists() {
            std::fs::create_dir_all(dir)?;
            // Sticky and open to all, as /tmp is: other users build here too.
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o1777))?;
        }
        let engine: String = engine.chars().filter(char::is_ascii_alphanumeric).collect();
        Ok(Self { dir: dir.join(format!("{engine}-")) })
    }

    /// Waits for the lock of one recipe (hex). `waiting` is called once if
    /// somebody else holds it. `None`: cancelled while waiting.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub async fn take(
        &self,
        recipe: &str,
        cancel: &CancellationToken,
        waiting: impl FnOnce(),
    ) -> io::Result<Option<ImageLock>> {
        let mut waiting = Some(waiting);
        let mut path = self.dir.clone().into_os_string();
        path.push(recipe);
        let file = open_shared(Path::new(&path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(ImageLock { _file: file })),
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
                Err(std::fs::TryLockError::WouldBlock) => {}
            }
            if let Some(tell) = waiting.take() {
                tell();
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(None),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
    }
}

/// Read-only is enough to lock, so a file another user made serves as well.
fn open_shared(path: &Path) -> io::Result<File> {
    match OpenOptions::new().read(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => File::open(path),
                Ok(file) => {
                    // Whatever the umask: the next builder may be somebody else.
                    file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
                    Ok(file)
                }
                Err(error) => Err(error),
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_run_waits_until_the_first_lets_go() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::open(&dir.path().join("locks"), "engine:1").unwrap();
        let cancel = CancellationToken::new();
        let first = locks.take("abc", &cancel, || {}).await.unwrap();
        let (tell, told) = tokio::sync::oneshot::channel();
        let second = tokio::spawn({
            let (locks, cancel) = (locks.clone(), cancel.clone());
            async move { locks.take("abc", &cancel, || tell.send(()).unwrap()).await.unwrap() }
        });
        told.await.expect("the second says that it waits");
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn waiting_ends_when_the_run_is_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::open(dir.path(), "e").unwrap();
        let cancel = CancellationToken::new();
        let _held = locks.take("abc", &cancel, || {}).await.unwrap();
        cancel.cancel();
        assert!(locks.take("abc", &cancel, || {}).await.unwrap().is_none());
        assert!(locks.take("other", &cancel, || {}).await.unwrap().is_some(), "another recipe is free");
    }
}
