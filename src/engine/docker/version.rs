//! Which version of the interface to speak.
//!
//! Engines say theirs in a header of `/_ping`, which costs a fraction of a
//! millisecond. bollard asks for `/version`, for which dockerd runs
//! `runc --version`: some ten times as long as all else a plan asks.

use bollard::ClientVersion;

use crate::engine::Error;
use crate::engine::address::Address;
use crate::engine::stream;

const HEADER: &str = "api-version";

/// The version that both sides know. `None`: who answers does not say theirs
/// this way.
///
/// # Errors
/// Nobody answers, or the sides do not trust each other.
pub(crate) async fn common(address: &Address) -> Result<Option<ClientVersion>, Error> {
    let said = stream::header(address, "/_ping", HEADER).await?;
    Ok(said.and_then(|text| parse(&text)).map(|theirs| older(theirs, *bollard::API_DEFAULT_VERSION)))
}

fn parse(text: &str) -> Option<ClientVersion> {
    let (major, minor) = text.trim().split_once('.')?;
    Some(ClientVersion { major_version: major.parse().ok()?, minor_version: minor.parse().ok()? })
}

fn older(a: ClientVersion, b: ClientVersion) -> ClientVersion {
    let part = |v: &ClientVersion| (v.major_version, v.minor_version);
    if part(&a) <= part(&b) { a } else { b }
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
}
