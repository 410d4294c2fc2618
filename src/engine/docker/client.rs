//! bollard's client of an engine's HTTP interface: which version is spoken, and
//! its errors in our words.
//!
//! Engines say their version in a header of `/_ping`, which costs a fraction of
//! a millisecond. bollard asks for `/version`, for which dockerd runs
//! `runc --version`: some ten times as long as all else a plan asks.

use bollard::ClientVersion;
use bollard::errors::Error as BollardError;

use super::transfer;
use crate::engine::Error;
use crate::engine::address::Address;
use crate::engine::http;
use crate::model::problem::chain;

/// Seconds that one call may take. Removing a large image on a busy disk takes
/// tens of seconds; no call here is a build or a transfer.
pub(crate) const LONGEST_CALL: u64 = 120;
const HEADER: &str = "api-version";

/// The version that both sides know. `None`: who answers does not say theirs
/// this way.
///
/// # Errors
/// Nobody answers, or the sides do not trust each other.
async fn common_version(http: &http::Client) -> Result<Option<ClientVersion>, Error> {
    let headers = http.headers("/_ping").await?;
    let theirs = headers.get(HEADER).and_then(|value| parse(value.to_str().ok()?));
    Ok(theirs.map(|theirs| older(theirs, *bollard::API_DEFAULT_VERSION)))
}

fn parse(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.trim().split_once('.')?;
    Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
}

fn older(a: ClientVersion, b: ClientVersion) -> ClientVersion {
    let part = |v: &ClientVersion| (v.major_version, v.minor_version);
    if part(&a) <= part(&b) { a } else { b }
}

/// bollard on connections of ours; it knows neither addresses nor certificates.
///
/// # Errors
/// Nobody answers in time, or the answer is not an engine's.
pub(crate) async fn connect(http: &http::Client) -> Result<bollard::Docker, Error> {
    let address = http.address();
    let wrong = |error| connecting(address, &error);
    let transport = {
        let http = http.clone();
        move |mut request: bollard::BollardRequest| {
            transfer::mend_credentials(&mut request);
            let http = http.clone();
            async move { http.request(request).await.map_err(carried) }
        }
    };
    let negotiated = async {
        let common = common_version(http).await?;
        let version = common.as_ref().unwrap_or(bollard::API_DEFAULT_VERSION);
        let client = bollard::Docker::connect_with_custom_transport(
            transport,
            Some("http://engine"),
            LONGEST_CALL,
            version,
        );
        let client = client.map_err(wrong)?;
        match common {
            Some(_) => Ok(client),
            None => client.negotiate_version().await.map_err(wrong),
        }
    };
    http::in_time(address, negotiated).await
}

/// While connecting: whatever is not an engine's answer means that there is
/// none.
fn connecting(address: &Address, error: &BollardError) -> Error {
    ours(error).unwrap_or_else(|| Error::Unreachable { address: address.to_string(), cause: chain(error) })
}

/// An error of the engine's while it was to do `action`: `list images`.
pub(crate) fn failed(action: &str, error: BollardError) -> Error {
    let action = action.to_owned();
    match error {
        BollardError::DockerResponseServerError { message, .. }
        | BollardError::DockerStreamError { error: message } => Error::Refused { action, message },
        BollardError::RequestTimeoutError => {
            Error::Broken { action, cause: format!("no answer within {LONGEST_CALL} s") }
        }
        other => ours(&other).unwrap_or_else(|| Error::Broken { action, cause: chain(&other) }),
    }
}

/// An error of ours on its way through bollard.
fn carried(error: Error) -> BollardError {
    BollardError::IOError { err: std::io::Error::other(error) }
}

fn ours(error: &BollardError) -> Option<Error> {
    match error {
        BollardError::IOError { err } => err.get_ref()?.downcast_ref().cloned(),
        _ => None,
    }
}

/// Whether the engine has no such thing, or could never have it by that name.
pub(crate) fn is_not_found(error: &BollardError) -> bool {
    match error {
        BollardError::DockerResponseServerError { status_code: 404, .. } => true,
        BollardError::DockerResponseServerError { message, .. } => {
            message.contains("invalid reference format")
        }
        _ => false,
    }
}

/// Whether the engine failed by its own account (5xx): what was asked for may
/// be right.
pub(crate) fn is_of_the_engine(error: &BollardError) -> bool {
    matches!(error, BollardError::DockerResponseServerError { status_code: 500.., .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_part_by_part() {
        let shown = |a: &str, b: &str| older(parse(a).unwrap(), parse(b).unwrap()).to_string();
        assert_eq!(shown("1.41", "1.52"), "1.41");
        assert_eq!(shown("1.100", "1.52"), "1.52");
        assert_eq!(shown("2.0", "1.52"), "1.52");
    }

    #[test]
    fn what_is_no_version_is_none() {
        for text in ["", "1", "1.x", "v1.41", "1.41.2"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn the_engine_s_own_words_are_kept_with_the_action() {
        let theirs =
            BollardError::DockerResponseServerError { status_code: 409, message: "name is in use".into() };
        assert_eq!(
            failed("create container `x`", theirs).to_string(),
            "the engine refused to create container `x`: name is in use"
        );
        assert!(matches!(failed("x", BollardError::RequestTimeoutError), Error::Broken { .. }));
    }

    #[test]
    fn what_the_stream_says_comes_through_bollard() {
        let error = Error::Unreachable { address: "unix:///x.sock".into(), cause: "gone".into() };
        assert_eq!(failed("list images", carried(error.clone())), error);
        assert_eq!(connecting(&Address::Unix("/x.sock".into()), &carried(error.clone())), error);
    }
}
