//! How many containers an engine starts at once while something of the machine
//! is being given away: as many as it has processors. A start keeps one busy
//! for longer than all that is done to give somebody a GPU, and who waits for
//! that is not to wait for others' starts.
//!
//! A courtesy, on which nothing depends: who does not get a slot in time goes
//! on without.

use std::fs::{File, TryLockError};
use std::io;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Locks, MACHINE, PAUSE, open_shared};

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
    pub(crate) async fn slot(
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
mod tests {
    use super::super::{LockOutcome, MachineLock};
    use super::*;

    async fn machine(locks: &Locks) -> MachineLock {
        match locks.machine(LONGEST, &CancellationToken::new()).await.unwrap() {
            LockOutcome::Mine(lock) => lock,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn so_many_go_on_and_the_next_waits_for_one_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::open(dir.path(), "e").unwrap();
        let cancel = CancellationToken::new();
        let _machine = machine(&locks).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(locks.slot(2, &cancel).await.unwrap().unwrap());
        }
        let next = tokio::spawn({
            let (locks, cancel) = (locks.clone(), cancel.clone());
            async move { locks.slot(2, &cancel).await.unwrap() }
        });
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!next.is_finished());
        drop(held);
        assert!(next.await.unwrap().is_some());
    }

    #[tokio::test]
    async fn nobody_waits_where_nothing_is_being_given_away() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::open(dir.path(), "e").unwrap();
        let cancel = CancellationToken::new();
        let _held = locks.slot(1, &cancel).await.unwrap().unwrap();
        assert!(locks.slot(1, &cancel).await.unwrap().is_none());
        machine(&locks).await;
    }

    #[tokio::test]
    async fn who_is_told_to_stop_or_waits_too_long_goes_on_without() {
        let dir = tempfile::tempdir().unwrap();
        let locks = Locks::open(dir.path(), "e").unwrap();
        let cancel = CancellationToken::new();
        let _machine = machine(&locks).await;
        let _held = locks.slot(0, &cancel).await.unwrap().unwrap();
        tokio::time::pause();
        assert!(locks.slot(0, &cancel).await.unwrap().is_none());
        cancel.cancel();
        assert!(locks.slot(0, &cancel).await.unwrap().is_none());
    }
}
