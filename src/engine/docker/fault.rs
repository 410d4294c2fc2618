//! bollard's errors in our words.

use bollard::errors::Error as Theirs;

use crate::engine::Error;
use crate::engine::stream::chain;

/// Turns errors of one engine's client into ours.
pub(crate) struct Fault {
    address: String,
}

impl Fault {
    /// For the engine at this address, as people write it.
    pub(crate) fn new(address: String) -> Self {
        Self { address }
    }

    /// While connecting: whatever is not an engine's answer means that there
    /// is none.
    pub(crate) fn connecting(&self, error: &Theirs) -> Error {
        ours(error)
            .unwrap_or_else(|| Error::Unreachable { address: self.address.clone(), cause: chain(error) })
    }

    /// While asking the engine to do `action`: `list images`.
    pub(crate) fn calling(&self, action: &str, error: Theirs) -> Error {
        let action = action.to_owned();
        match error {
            Theirs::DockerResponseServerError { message, .. }
            | Theirs::DockerStreamError { error: message } => Error::Refused { action, message },
            Theirs::RequestTimeoutError => {
                Error::Broken { action, cause: format!("no answer within {} s", super::PATIENCE) }
            }
            other => ours(&other).unwrap_or_else(|| Error::Broken { action, cause: chain(&other) }),
        }
    }
}

/// An error of ours on its way through bollard.
pub(crate) fn carried(error: Error) -> Theirs {
    Theirs::IOError { err: std::io::Error::other(error) }
}

fn ours(error: &Theirs) -> Option<Error> {
    match error {
        Theirs::IOError { err } => err.get_ref()?.downcast_ref().cloned(),
        _ => None,
    }
}

/// Whether the engine has no such thing, or could never have it by that name.
pub(crate) fn is_not_found(error: &Theirs) -> bool {
    match error {
        Theirs::DockerResponseServerError { status_code: 404, .. } => true,
        Theirs::DockerResponseServerError { message, .. } => message.contains("invalid reference format"),
        _ => false,
    }
}

/// Whether the engine failed by its own account (5xx): what was asked for may
/// be right.
pub(crate) fn is_of_the_engine(error: &Theirs) -> bool {
    matches!(error, Theirs::DockerResponseServerError { status_code: 500.., .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_s_own_words_are_kept_with_the_action() {
        let fault = Fault::new("unix:///x.sock".into());
        let theirs = Theirs::DockerResponseServerError { status_code: 409, message: "name is in use".into() };
        assert_eq!(
            fault.calling("create container `x`", theirs).to_string(),
            "the engine refused to create container `x`: name is in use"
        );
        assert!(matches!(fault.calling("x", Theirs::RequestTimeoutError), Error::Broken { .. }));
    }

    #[test]
    fn what_the_stream_says_comes_through_bollard() {
        let fault = Fault::new("unix:///x.sock".into());
        let error = Error::Unreachable { address: "unix:///x.sock".into(), cause: "gone".into() };
        assert_eq!(fault.calling("list images", carried(error.clone())), error);
        assert_eq!(fault.connecting(&carried(error.clone())), error);
    }
}
