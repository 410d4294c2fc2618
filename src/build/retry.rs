//! Tries again when the network or the engine, not the image, failed.
//!
//! Names sometimes fail to resolve for a moment inside a step, BuildKit of
//! 20.10 sometimes loses track of work that many solves share, and registries
//! are restarted. What was done before is cached or sent already, so another
//! try costs little.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::SolveError;
use crate::model::event::{Event, Events, Failure};
use crate::model::names::NodeName;

/// Waits before the second and the third try.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// What tools print when a name does not resolve or a server does not answer,
/// and what BuildKit says when solves that share a step got in each other's way.
pub(super) const OF_STEPS: &[&str] = &[
    "flightcontrol: exceeded retry timeout",
    "Temporary failure in name resolution",
    "Temporary failure resolving",
    "Could not resolve host",
    "NameResolutionError",
    "i/o timeout",
    "TLS handshake timeout",
];

/// What an engine says of a registry that is not there, or too busy.
pub(super) const OF_TRANSFERS: &[&str] = &[
    "connection refused",
    "connection reset",
    "broken pipe",
    "EOF",
    "i/o timeout",
    "TLS handshake timeout",
    "context deadline exceeded",
    "server misbehaving",
    "toomanyrequests",
    "received unexpected HTTP status: 5",
    "does not answer",
];

/// Does it, at most three times. A failure whose words are not of `signs` is
/// final.
pub(super) async fn patiently<T, F>(
    image: &NodeName,
    signs: &[&str],
    events: &Events,
    cancel: &CancellationToken,
    mut attempt: impl FnMut() -> F,
) -> Result<T, SolveError>
where
    F: Future<Output = Result<T, SolveError>>,
{
    for pause in PAUSES {
        match attempt().await {
            Err(SolveError::Failed(failure)) if is_passing(&failure, signs) => {
                let text = format!("{}: this is likely to pass; trying again", failure.message);
                let _ = events.send(Event::Warning { image: Some(image.clone()), text });
            }
            other => return other,
        }
        tokio::select! {
            () = cancel.cancelled() => return Err(SolveError::Cancelled),
            () = tokio::time::sleep(pause) => {}
        }
    }
    attempt().await
}

fn is_passing(failure: &Failure, signs: &[&str]) -> bool {
    let texts = failure.output.iter().chain([&failure.message]);
    texts.into_iter().any(|line| signs.iter().any(|sign| line.contains(sign)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_network_trouble_is_tried_again() {
        let with = |line: &str| Failure { output: vec![line.into()], ..Failure::default() };
        assert!(is_passing(&with("E: Temporary failure resolving 'deb.example.org'"), OF_STEPS));
        assert!(!is_passing(&with("ERROR: No matching distribution found for pandas==99"), OF_STEPS));
        let refused = with("dial tcp 127.0.0.1:5000: connect: connection refused");
        assert!(is_passing(&refused, OF_TRANSFERS));
        assert!(!is_passing(&refused, OF_STEPS), "a step's own server is not there: that does not pass");
        assert!(!is_passing(&with("unauthorized: authentication required"), OF_TRANSFERS));
    }
}
