//! bollard's errors in our words.

use bollard::errors::Error as Theirs;

use crate::engine::Error;

/// Turns errors of one engine's client into ours.
pub struct Fault {
    address: String,
}

impl Fault {
    /// For the engine at this address, as people write it.
    pub fn new(address: String) -> Self {
        Self { address }
    }

    /// While connecting: whatever is not an engine's answer means that there
    /// is none, except for certificates, which are the caller's.
    pub fn connecting(&self, error: Theirs) -> Error {
        let (address, cause) = (self.address.clone(), chain(&error));
        match error {
            Theirs::CertPathError { path } => {
                Error::Address { address, cause: format!("cannot read {}", path.display()) }
            }
            Theirs::CertParseError { .. }
            | Theirs::CertMultipleKeys { .. }
            | Theirs::InvalidURIError { .. } => Error::Address { address, cause },
            _ => Error::Unreachable { address, cause },
        }
    }

    /// While asking the engine to do `action`: `list images`.
    pub fn calling(&self, action: &str, error: Theirs) -> Error {
        let action = action.to_owned();
        match error {
            Theirs::DockerResponseServerError { message, .. }
            | Theirs::DockerStreamError { error: message } => Error::Refused { action, message },
            Theirs::SocketNotFoundError(_) => self.connecting(error),
            Theirs::HyperLegacyError { ref err } if err.is_connect() => self.connecting(error),
            Theirs::RequestTimeoutError => {
                Error::Broken { action, cause: format!("no answer within {} s", super::PATIENCE) }
            }
            other => Error::Broken { action, cause: chain(&other) },
        }
    }
}

/// Whether the engine has no such thing, or could never have it by that name.
pub fn is_not_found(error: &Theirs) -> bool {
    match error {
        Theirs::DockerResponseServerError { status_code: 404, .. } => true,
        Theirs::DockerResponseServerError { message, .. } => message.contains("invalid reference format"),
        _ => false,
    }
}

/// The error and its causes; a cause that its effect already tells is left out.
fn chain(error: &Theirs) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
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
    fn an_engine_that_went_away_is_unreachable() {
        let fault = Fault::new("unix:///x.sock".into());
        let error = fault.calling("list images", Theirs::SocketNotFoundError("/x.sock".into()));
        assert!(matches!(error, Error::Unreachable { address, .. } if address == "unix:///x.sock"));
    }
}
