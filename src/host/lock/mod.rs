//! One run of the program at a time for each thing: an image that is built, the
//! machine while something of it is given away, a container while it is made.
//!
//! A lock is a file lock, so a killed run holds nothing. Who holds one is read
//! from the kernel, never from the file: it may be another user's.

mod holder;
mod lease;
mod permits;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub(crate) use holder::Holder;
pub(crate) use lease::ContainerLease;

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct ImageLock {
    _file: File,
}

/// Held as long as it lives: nobody else gives away what this machine has.
#[derive(Debug)]
pub(crate) struct MachineLock {
    _file: File,
}

/// What became of waiting for the machine.
#[derive(Debug)]
pub(crate) enum LockOutcome {
    Mine(MachineLock),
    /// Told to stop while waiting.
    Cancelled,
    /// Not in time; who has it, where that can be seen.
    Late(Option<Holder>),
}

/// The folder of the locks of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Locks {
    dir: PathBuf,
    engine: String,
}

/// How often a waiting run looks again.
const PAUSE: Duration = Duration::from_millis(50);

/// The machine's lock: one for all engines, which share its GPUs.
const MACHINE: &str = "deploy";

impl Locks {
    /// `dir` is shared by all users of the machine and made if missing;
    /// `engine` tells engines apart.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub(crate) fn open(dir: &Path, engine: &str) -> io::Result<Self> {
        if !dir.exists() {
            std::fs::create_dir_all(dir)?;
            // Sticky and open to all, as /tmp is: other users build here too.
            std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o1777))?;
        }
        let engine: String = engine.chars().filter(char::is_ascii_alphanumeric).collect();
        Ok(Self { dir: dir.to_owned(), engine })
    }

    /// What is locked for one engine only.
    fn of_engine(&self, key: &str) -> PathBuf {
        self.dir.join(format!("{}-{key}", self.engine))
    }

    /// Waits for the lock of one recipe (hex). `waiting` is called once if
    /// somebody else holds it. `None`: cancelled while waiting.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub(crate) async fn take(
        &self,
        recipe: &str,
        cancel: &CancellationToken,
        waiting: impl FnOnce(),
    ) -> io::Result<Option<ImageLock>> {
        let mut waiting = Some(waiting);
        let file = open_shared(&self.of_engine(recipe))?;
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

    /// Waits for the machine, at most so long: who holds it looks at what is
    /// free, takes of it, and is the only one to do so. It is handed over at
    /// once, and in the order in which runs began to wait.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub(crate) async fn machine(
        &self,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> io::Result<LockOutcome> {
        let path = self.dir.join(MACHINE);
        let file = open_shared(&path)?;
        match file.try_lock() {
            Ok(()) => return Ok(LockOutcome::Mine(MachineLock { _file: file })),
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
            Err(std::fs::TryLockError::WouldBlock) => {}
        }
        tokio::select! {
            biased;
            locked = blocking(file) => Ok(LockOutcome::Mine(MachineLock { _file: locked? })),
            () = cancel.cancelled() => Ok(LockOutcome::Cancelled),
            () = tokio::time::sleep(limit) => Ok(LockOutcome::Late(holder::of(&path))),
        }
    }
}

/// Locks in a thread of its own. One that nobody waits for any more keeps
/// neither the program, since no runtime knows of it, nor the lock.
async fn blocking(file: File) -> io::Result<File> {
    let (done, locked) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name("lock".into()).spawn(move || {
        let got = loop {
            match file.lock() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                got => break got.map(|()| file),
            }
        };
        // Dropped with the file where nobody waits: that lets go.
        let _ = done.send(got);
    })?;
    locked.await.unwrap_or_else(|_| Err(io::Error::other("the thread that waits for the lock ended")))
}

/// Read-only is enough to lock, so a file another user made serves as well.
fn open_shared(path: &Path) -> io::Result<File> {
    let mut tries = 0;
    loop {
        match open_or_make(path) {
            // Its maker has not yet opened it to all.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && tries < TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            // Somebody's that was just removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound && tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

/// How often a lock file that is being made or removed is opened again.
const TRIES: u32 = 5;

fn open_or_make(path: &Path) -> io::Result<File> {
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

    fn locks(dir: &tempfile::TempDir, engine: &str) -> Locks {
        Locks::open(dir.path(), engine).unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn the_machine_is_handed_over_at_once_and_to_every_engine_s_runs() {
        let dir = tempfile::tempdir().unwrap();
        let cancel = CancellationToken::new();
        let LockOutcome::Mine(first) = locks(&dir, "a").machine(LONG, &cancel).await.unwrap() else {
            panic!()
        };
        let second = tokio::spawn({
            let (locks, cancel) = (locks(&dir, "b"), cancel.clone());
            async move { locks.machine(LONG, &cancel).await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!second.is_finished());
        drop(first);
        let handed = tokio::time::timeout(Duration::from_secs(5), second).await;
        assert!(matches!(handed.expect("within 5 s").unwrap(), LockOutcome::Mine(_)));
    }

    #[tokio::test]
    async fn who_comes_too_late_learns_who_has_the_machine() {
        let dir = tempfile::tempdir().unwrap();
        let (locks, cancel) = (locks(&dir, "a"), CancellationToken::new());
        let LockOutcome::Mine(_held) = locks.machine(LONG, &cancel).await.unwrap() else { panic!() };
        let late = locks.machine(Duration::from_millis(10), &cancel).await.unwrap();
        let LockOutcome::Late(Some(holder)) = late else { panic!("{late:?}") };
        assert_eq!(holder.pid, std::process::id());
        assert_eq!(holder.uid, Some(rustix::process::getuid().as_raw()));
        assert!(!holder.command.unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_gave_up_waiting_does_not_hold_the_machine_later() {
        let dir = tempfile::tempdir().unwrap();
        let (locks, cancel) = (locks(&dir, "a"), CancellationToken::new());
        let LockOutcome::Mine(held) = locks.machine(LONG, &cancel).await.unwrap() else { panic!() };
        let late = locks.machine(Duration::from_millis(10), &cancel).await.unwrap();
        assert!(matches!(late, LockOutcome::Late(_)));
        cancel.cancel();
        assert!(matches!(locks.machine(LONG, &cancel).await.unwrap(), LockOutcome::Cancelled));
        drop(held);
        let again = locks.machine(LONG, &CancellationToken::new()).await.unwrap();
        assert!(matches!(again, LockOutcome::Mine(_)), "{again:?}");
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
