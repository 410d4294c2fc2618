//! Docker's `config.json`, and what is written like it: Podman's `auth.json`
//! and `DOCKER_AUTH_CONFIG`. Read as Go's encoding/json reads into Docker's
//! types (docker/cli, `cli/config/configfile`): names of members in any
//! capitals, `null` as if it was not there, nothing at all as no settings, and
//! nothing behind the first value. A byte order mark is no JSON there either.
//!
//! Knows no registry and runs no helper. A cause never shows what was read.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value};

use crate::host::files;

/// What of the file counts here.
#[derive(Debug, Default)]
pub(crate) struct DockerConfig {
    /// The current Docker context; empty: the default one.
    pub(crate) current_context: String,
    /// The helper for all hosts that have none of their own; may be empty.
    pub(super) store: String,
    /// Helpers by host.
    pub(super) helpers: BTreeMap<String, String>,
    /// Logins by host, or by an address of it.
    pub(super) auths: BTreeMap<String, Auth>,
}

/// An entry of `auths`, as it is written.
#[derive(Default)]
pub(super) struct Auth {
    auth: String,
    pub(super) username: String,
    pub(super) password: String,
    pub(super) identity_token: String,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(…)")
    }
}

impl DockerConfig {
    /// The settings of a file; none where there is no such file.
    ///
    /// # Errors
    /// The cause, where it cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        match files::read_text(path, None, files::MOST_TEXT) {
            Ok(bytes) => Self::parse(&bytes),
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                Ok(Self::default())
            }
            Err(e) => Err(e.to_string()),
        }
    }

    /// # Errors
    /// The cause, where that is not such a text.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mark: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
        if mark.iter().any(|mark| bytes.starts_with(mark)) {
            return Err("it begins with a byte order mark; save it as UTF-8 without one".into());
        }
        let text = String::from_utf8_lossy(bytes);
        let first = serde_json::Deserializer::from_str(&text).into_iter::<Value>().next();
        let whole = first.unwrap_or(Ok(Value::Null)).map_err(|e| format!("it is not JSON: {e}"))?;
        let Some(settings) = object(&whole, "what it holds")? else { return Ok(Self::default()) };
        let empty = Map::new();
        let members = |name| Ok::<_, String>(member(settings, name, object)?.unwrap_or(&empty));
        let helper = |(host, name): (&String, &Value)| {
            Ok((host.clone(), string(name, "a helper")?.unwrap_or_default().to_owned()))
        };
        let auth = |(key, value): (&String, &Value)| Ok((key.clone(), Auth::of(value)?));
        Ok(Self {
            current_context: text_of(settings, "currentContext")?,
            store: text_of(settings, "credsStore")?,
            helpers: members("credHelpers")?.iter().map(helper).collect::<Result<_, String>>()?,
            auths: members("auths")?.iter().map(auth).collect::<Result<_, String>>()?,
        })
    }
}

impl Auth {
    fn of(value: &Value) -> Result<Self, String> {
        let Some(fields) = object(value, "an entry of `auths`")? else { return Ok(Self::default()) };
        Ok(Self {
            auth: text_of(fields, "auth")?,
            username: text_of(fields, "username")?,
            password: text_of(fields, "password")?,
            identity_token: text_of(fields, "identitytoken")?,
        })
    }

    /// User name and password, empty where there are none; `None`: what is
    /// there does not say them. As Docker's own reader does, base64 with its
    /// padding, a name that is not empty, and zeros behind the password cut.
    pub(super) fn pair(&self) -> Option<(String, String)> {
        if self.auth.is_empty() {
            return Some((self.username.clone(), self.password.clone()));
        }
        let bytes = BASE64_STANDARD.decode(self.auth.replace(['\r', '\n'], "")).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (username, password) = text.split_once(':').filter(|(username, _)| !username.is_empty())?;
        Some((username.to_owned(), password.trim_matches('\0').to_owned()))
    }
}

/// What a member says, in any capitals.
fn member<'a, T>(
    object: &'a Map<String, Value>,
    name: &str,
    read: fn(&'a Value, &str) -> Result<Option<T>, String>,
) -> Result<Option<T>, String> {
    let same = |key: &&String| key.eq_ignore_ascii_case(name);
    let value = object.get(name).or_else(|| object.iter().find(|(key, _)| same(key)).map(|(_, value)| value));
    value.map_or(Ok(None), |value| read(value, &format!("`{name}`")))
}

/// The text of a member; empty where there is none.
pub(super) fn text_of(object: &Map<String, Value>, name: &str) -> Result<String, String> {
    Ok(member(object, name, string)?.unwrap_or_default().to_owned())
}

fn object<'a>(value: &'a Value, what: &str) -> Result<Option<&'a Map<String, Value>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Object(members) => Ok(Some(members)),
        _ => Err(format!("{what} is not an object")),
    }
}

fn string<'a>(value: &'a Value, what: &str) -> Result<Option<&'a str>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        _ => Err(format!("{what} is not a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(text: &str) -> Result<String, String> {
        DockerConfig::parse(text.as_bytes()).map(|config| config.current_context)
    }

    /// What docker 28.2 was seen to do with each of these.
    #[test]
    fn it_is_read_as_docker_reads_it() {
        for nothing in
            ["", " \n", "null", "{}", r#"{"currentContext": null, "auths": null, "credHelpers": null}"#]
        {
            assert_eq!(context(nothing), Ok(String::new()), "{nothing:?}");
        }
        let auths = r#"{"AUTHS": {"a": null, "b": {"auth": null}}, "CurrentContext": "lab"} and more"#;
        assert_eq!(context(auths), Ok("lab".into()));
        assert_eq!(context(r#"{"currentContext":"lab","auths":{"a":{"auth":"!!"}}}"#), Ok("lab".into()));
    }

    #[test]
    fn what_docker_cannot_read_has_a_cause_without_its_content() {
        for (text, cause) in [
            ("\u{feff}{}", "byte order mark"),
            ("hunter2", "not JSON"),
            ("{\"auths\": {\"a\": {\"auth\": \"hunter2\"", "not JSON"),
            ("[\"hunter2\"]", "not an object"),
            (r#"{"auths": "hunter2"}"#, "`auths` is not an object"),
            (r#"{"auths": {"a": "hunter2"}}"#, "an entry of `auths`"),
            (r#"{"auths": {"a": {"auth": ["hunter2"]}}}"#, "`auth` is not a text"),
        ] {
            let error = DockerConfig::parse(text.as_bytes()).unwrap_err();
            assert!(error.contains(cause) && !error.contains("hunter2"), "{text}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(DockerConfig::read(folder.path()).unwrap_err().contains("directory"));
        assert!(DockerConfig::read(&folder.path().join("none")).is_ok());
    }

    #[test]
    fn a_login_is_base64_of_name_and_password() {
        let pair = |auth: &str| Auth { auth: auth.into(), ..Auth::default() }.pair();
        assert_eq!(pair("YWRhOnBhOnNz"), Some(("ada".into(), "pa:ss".into())));
        assert_eq!(pair("YWRh\nOnB3"), Some(("ada".into(), "pw".into())));
        assert_eq!(pair("YWRhOnB3AAA="), Some(("ada".into(), "pw".into())));
        // Not base64, without padding, no colon, no name.
        for wrong in ["!!", "YWRhOnB3MQ", "YWRh", "OnB3"] {
            assert_eq!(pair(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let text = r#"{"auths": {"a": {"auth": "hunter2", "password": "hunter2"}}}"#;
        assert!(!format!("{:?}", DockerConfig::parse(text.as_bytes())).contains("hunter2"));
    }
}
