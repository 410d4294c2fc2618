//! Ctrl-C: the first asks the run to stop, the second ends it at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;

/// A token that the first SIGINT, SIGTERM or SIGHUP cancels.
///
/// # Errors
/// The signal handlers cannot be installed.
pub fn stop_token() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let first = token.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            if first.is_cancelled() {
                leave();
            }
            first.cancel();
        }
    });
    Ok(token)
}

#[expect(clippy::disallowed_methods, reason = "a second Ctrl-C must not wait for anything, not even main")]
fn leave() -> ! {
    std::process::exit(i32::from(Exit::Interrupted.code()))
}
