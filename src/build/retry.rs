//! Tries a solve again when the network or the engine, not the image, failed.
//!
//! Names sometimes fail to resolve for a moment inside a step, and BuildKit of
//! 20.10 sometimes loses track of work that many solves share. Everything
//! before the failing step is cached, so another try costs little.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, SolveError};
use crate::event::{Event, Events, Failure};
use crate::names::ImageId;
use crate::solve::Solve;

/// Waits before the second and the third try.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// What tools print when a name does not resolve or a server does not answer,
/// and what BuildKit says when solves that share a step got in each other's way.
const SIGNS: [&str; 7] = [
    "flightcontrol: exceeded retry timeout",
    "Temporary failure in name resolution",
    "Temporary failure resolving",
    "Could not resolve host",
    "NameResolutionError",
    "i/o timeout",
    "TLS handshake timeout",
];

/// Solves, at most three times.
pub(super) async fn solve(
    engine: &dyn Engine,
    solve: &Solve,
    events: &Events,
    cancel: &CancellationToken,
) -> Result<ImageId, SolveError> {
    for pause in PAUSES {
        match engine.solve(solve, events, cancel).await {
            Err(SolveError::Failed(failure)) if is_passing(&failure) => {
                let text = format!("{}: this is likely to pass; trying again", failure.message);
                let _ = events.send(Event::Warning { image: Some(solve.node.clone()), text });
            }
            other => return other,
        }
        tokio::select! {
            () = cancel.cancelled() => return Err(SolveError::Cancelled),
            () = tokio::time::sleep(pause) => {}
        }
    }
    engine.solve(solve, events, cancel).await
}

fn is_passing(failure: &Failure) -> bool {
    let texts = failure.output.iter().chain([&failure.message]);
    texts.into_iter().any(|line| SIGNS.iter().any(|sign| line.contains(sign)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_network_trouble_is_tried_again() {
        let with = |line: &str| Failure { output: vec![line.into()], ..Failure::default() };
        assert!(is_passing(&with("E: Temporary failure resolving 'deb.example.org'")));
        assert!(!is_passing(&with("ERROR: No matching distribution found for pandas==99")));
    }
}
