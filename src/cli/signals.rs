//! Ctrl-C: while images are built, or something is at work that has to be
//! cleaned up, the first asks it to stop and the second ends it at once.
//! Otherwise nothing was started, so the first ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::error::CliError;
use super::exit::Exit;

/// Listens for SIGINT, SIGTERM and SIGHUP.
#[derive(Clone, Debug)]
pub(crate) struct Signals {
    token: CancellationToken,
    building: Arc<AtomicBool>,
}

/// Something that has to be cleaned up is at work until this is dropped: a
/// signal cancels the token, and does not end the program.
pub(crate) struct Working(Signals);

impl Working {
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.0.token
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.building.store(false, Ordering::SeqCst);
    }
}

impl Signals {
    /// Until the answer is dropped there is something to stop.
    pub(crate) fn working(&self) -> Working {
        self.building.store(true, Ordering::SeqCst);
        Working(self.clone())
    }

    /// From here on there is something to stop: the token that the first
    /// signal cancels.
    pub(crate) fn building(&self) -> CancellationToken {
        self.building.store(true, Ordering::SeqCst);
        self.token.clone()
    }
}

/// Begins to listen.
///
/// # Errors
/// The signal handlers cannot be installed.
pub(crate) fn listen() -> Result<Signals, CliError> {
    let listen_to = |kind| signal(kind).map_err(|e| CliError::bug(format!("no signal handlers: {e}")));
    let signals = Signals { token: CancellationToken::new(), building: Arc::default() };
    let mut interrupt = listen_to(SignalKind::interrupt())?;
    let mut terminate = listen_to(SignalKind::terminate())?;
    let mut hangup = listen_to(SignalKind::hangup())?;
    let heard = signals.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if heard.token.is_cancelled() || !heard.building.load(Ordering::SeqCst) {
                leave();
            }
            heard.token.cancel();
        }
    });
    Ok(signals)
}

#[expect(clippy::disallowed_methods, reason = "it must not wait for anything, not even main")]
fn leave() -> ! {
    std::process::exit(i32::from(Exit::Interrupted.code()))
}
