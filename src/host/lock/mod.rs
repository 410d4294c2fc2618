//! One run of the program at a time for each thing: an image that is built, the
//! machine while something of it is given away, a container while it is made.
//!
//! A lock is a file lock, so a killed run holds nothing. Who holds one is read
//! from the kernel, never from the file: it may be another user's.

mod holder;

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub(crate) use holder::LockHolder;

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
    Late(Option<LockHolder>),
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
    pub(crate) async fn lock_image(
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
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => {}
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

    /// Waits for the machine, at most so long: who holds it reads what is
    /// free, takes of it, and is the only one to do so. It is handed over at
    /// once, and in the order in which runs began to wait.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub(crate) async fn lock_machine(
        &self,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> io::Result<LockOutcome> {
        let path = self.dir.join(MACHINE);
        let file = open_shared(&path)?;
        match file.try_lock() {
            Ok(()) => return Ok(LockOutcome::Mine(MachineLock { _file: file })),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {}
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

// A container while somebody makes or starts it.
// It says of a container that exists and never ran whether somebody is still
// at it, or was killed. The file is gone when nobody is.

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
    pub(crate) fn lease(&self, container: &str) -> io::Result<Option<ContainerLease>> {
        let path = self.of_engine(&format!("container-{container}"));
        loop {
            let file = open_shared(&path)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Some(ContainerLease { path, _file: file })),
                // Its last holder took the file away; the next one made another.
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// The same for one who may wait: a run that only looks whether somebody
    /// is at the container lets go at once.
    ///
    /// # Errors
    /// As [`Locks::lease`].
    pub(crate) async fn lease_within(
        &self,
        container: &str,
        limit: Duration,
    ) -> io::Result<Option<ContainerLease>> {
        let mut left = limit;
        loop {
            if let Some(lease) = self.lease(container)? {
                return Ok(Some(lease));
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

// How many containers an engine starts at once while something of the machine
// is being given away: as many as it has processors. A start keeps one busy
// for longer than all that is done to give somebody a GPU, and who waits for
// that is not to wait for others' starts.
// A courtesy, on which nothing depends: who does not get a slot in time goes
// on without.

/// Longest wait; an engine may hang.
const LONGEST: Duration = Duration::from_secs(5);

/// Looks at which nobody had the machine, before it counts as needed no more:
/// between one who had it and the next it is nobody's for a moment.
const QUIET: u32 = 4;

/// One start, as long as it lives.
#[derive(Debug)]
pub(crate) struct StartPermit {
    _file: File,
}

impl Locks {
    /// Waits for one of so many. `None`: nobody needs the machine any more, or
    /// it was not in time, or cancelled.
    ///
    /// # Errors
    /// The lock file cannot be opened or locked.
    pub(crate) async fn start_permit(
        &self,
        slots: u32,
        cancel: &CancellationToken,
    ) -> io::Result<Option<StartPermit>> {
        let open = |slot: u32| open_shared(&self.of_engine(&format!("start-{slot}")));
        let mut files = (0..slots.max(1)).map(open).collect::<io::Result<Vec<_>>>()?;
        let machine = open_shared(&self.dir.join(MACHINE))?;
        let (mut left, mut quiet) = (LONGEST, 0);
        loop {
            if let Some(at) = free(&files)? {
                return Ok(Some(StartPermit { _file: files.swap_remove(at) }));
            }
            // Let go at once: nothing is given away by who looks.
            let unneeded = machine.try_lock().is_ok() && machine.unlock().is_ok();
            quiet = if unneeded { quiet + 1 } else { 0 };
            if quiet >= QUIET || left.is_zero() {
                return Ok(None);
            }
            tokio::select! {
                () = cancel.cancelled() => return Ok(None),
                () = tokio::time::sleep(PAUSE) => left = left.saturating_sub(PAUSE),
            }
        }
    }
}

/// The first that nobody has, which is taken.
fn free(files: &[File]) -> io::Result<Option<usize>> {
    for (at, file) in files.iter().enumerate() {
        match file.try_lock() {
            Ok(()) => return Ok(Some(at)),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
