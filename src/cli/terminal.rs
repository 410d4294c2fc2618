//! The terminal in front of a person, given to a program of a container: every
//! key goes there, and its size is the program's. Given back whatever happens.

use std::io;

use futures::stream::{self, Stream, StreamExt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};

/// A terminal that reads keys and not lines, as long as this lives.
pub(crate) struct Raw(Termios);

impl Raw {
    /// Ctrl-C and its like are keys from here on, and no signals.
    ///
    /// # Errors
    /// Standard input is no terminal, or not ours to change.
    pub(crate) fn set() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // What was typed ahead is the shell's that comes next.
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// Columns and rows: now, and whenever they change.
///
/// # Errors
/// The signal handler cannot be installed.
pub(crate) fn sizes() -> io::Result<impl Stream<Item = (u16, u16)> + Send + 'static> {
    let changes = signal(SignalKind::window_change())?;
    let changes =
        stream::unfold(changes, |mut changes| async move { Some((changes.recv().await?, changes)) });
    let looks = stream::iter([()]).chain(changes);
    Ok(looks
        .filter_map(|()| async { tcgetwinsize(io::stdout()).ok().map(|size| (size.ws_col, size.ws_row)) }))
}
