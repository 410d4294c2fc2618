//! Registry credentials, from Docker's `config.json` and the helpers it names.
//!
//! Read anew each time, so that a `docker login` during a run is seen. Nothing
//! secret goes into an error, a log or an argument.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use tokio::process::Command;

use crate::host::process;

/// The name that Docker's tools keep Docker Hub's credentials under.
const HUB_KEY: &str = "https://index.docker.io/v1/";
const HUB_HOSTS: [&str; 4] = ["docker.io", "index.docker.io", "registry-1.docker.io", "auth.docker.io"];
/// A helper that waits for a person would hold up the build for ever.
const LIMIT: Duration = Duration::from_secs(30);

/// How to log in to a registry.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Login {
    Password {
        username: String,
        password: String,
    },
    /// An OAuth refresh token.
    IdentityToken(String),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => write!(f, "Password({username}, …)"),
            Self::IdentityToken(_) => write!(f, "IdentityToken(…)"),
        }
    }
}

/// Where a login was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Docker's `config.json` itself.
    Config(PathBuf),
    /// The helper `docker-credential-<name>`.
    Helper(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(path) => path.display().fmt(f),
            Self::Helper(name) => write!(f, "docker-credential-{name}"),
        }
    }
}

/// Credentials that could not be read. They may still not be needed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("cannot read {}: {cause}", path.display())]
    Config { path: PathBuf, cause: String },
    #[error("credential helper `{helper}` failed for {host}: {cause}")]
    Helper { helper: String, host: String, cause: String },
}

/// Where credentials are looked up: a folder with Docker's `config.json`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Credentials {
    folder: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    auths: HashMap<String, Auth>,
    #[serde(rename = "credHelpers")]
    helpers: HashMap<String, String>,
    #[serde(rename = "credsStore")]
    store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperOutput {
    username: String,
    secret: String,
}

impl Credentials {
    /// Those of a folder; without one there are none.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// Those for a registry's host, e.g. `reg.local:5000` or `docker.io`.
    ///
    /// # Errors
    /// When the configuration or a helper is broken; a missing file is not.
    pub(crate) async fn of(&self, host: &str) -> Result<Option<Login>, CredentialsError> {
        Ok(self.find_login(host).await?.map(|(login, _)| login))
    }

    /// Where those for a host come from; they themselves stay here.
    ///
    /// # Errors
    /// As [`Credentials::of`].
    pub(crate) async fn source(&self, host: &str) -> Result<Option<Source>, CredentialsError> {
        Ok(self.find_login(host).await?.map(|(_, source)| source))
    }

    async fn find_login(&self, host: &str) -> Result<Option<(Login, Source)>, CredentialsError> {
        let Some(folder) = &self.folder else { return Ok(None) };
        let path = folder.join("config.json");
        let config = read(&path)?;
        let key = if HUB_HOSTS.contains(&host) { HUB_KEY } else { host };
        let helper = find(&config.helpers, key).or(Some(&config.store)).filter(|h| !h.is_empty());
        if let Some(helper) = helper
            && let Some(login) = run_helper(helper, key).await?
        {
            return Ok(Some((login, Source::Helper(helper.clone()))));
        }
        Ok(find(&config.auths, key).and_then(login).map(|login| (login, Source::Config(path))))
    }
}

fn read(path: &Path) -> Result<Config, CredentialsError> {
    let wrong = |cause| CredentialsError::Config { path: path.to_owned(), cause };
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(Config::default()),
        Err(e) => Err(wrong(e.to_string())),
    }
}

/// Keys are hosts, but older tools wrote whole URLs.
fn find<'a, T>(map: &'a HashMap<String, T>, key: &str) -> Option<&'a T> {
    map.get(key).or_else(|| map.iter().find(|(k, _)| host_of(k) == host_of(key)).map(|(_, v)| v))
}

fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn login(auth: &Auth) -> Option<Login> {
    if !auth.identitytoken.is_empty() {
        return Some(Login::IdentityToken(auth.identitytoken.clone()));
    }
    let pair = |username: &str, password: &str| Login::Password {
        username: username.to_owned(),
        password: password.trim_end_matches('\0').to_owned(),
    };
    if auth.auth.is_empty() {
        return (!auth.username.is_empty()).then(|| pair(&auth.username, &auth.password));
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(&auth.auth).ok()?).ok()?;
    text.split_once(':').map(|(username, password)| pair(username, password))
}

/// Runs `docker-credential-<name> get`; `None`: it knows no such host.
async fn run_helper(helper: &str, key: &str) -> Result<Option<Login>, CredentialsError> {
    let failed = |cause: String| CredentialsError::Helper {
        helper: helper.to_owned(),
        host: host_of(key).to_owned(),
        cause,
    };
    let program = format!("docker-credential-{helper}");
    let mut command = Command::new(&program);
    command.arg("get").stdout(Stdio::piped()).stderr(Stdio::null());
    match process::run(command, key.as_bytes(), tokio::time::sleep(LIMIT)).await {
        Ok(Some(output)) => parse_helper_output(&output).map_err(failed),
        Ok(None) => Err(failed("it does not answer".into())),
        Err(e) if e.kind() == ErrorKind::NotFound => Err(failed(format!("there is no {program} on PATH"))),
        Err(e) => Err(failed(e.to_string())),
    }
}

/// A helper's answer. The cause of an error holds nothing of it.
fn parse_helper_output(output: &Output) -> Result<Option<Login>, String> {
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stdout);
        // The sentence that all helpers share.
        return if text.contains("credentials not found") {
            Ok(None)
        } else {
            Err(output.status.to_string())
        };
    }
    let output: HelperOutput =
        serde_json::from_slice(&output.stdout).map_err(|_| "its answer is not JSON".to_owned())?;
    Ok(Some(match output.username.as_str() {
        "<token>" => Login::IdentityToken(output.secret),
        _ => Login::Password { username: output.username, password: output.secret },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(config: &str, host: &str) -> Option<Login> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        Credentials::new(Some(dir.path().to_owned())).of(host).await.unwrap()
    }

    fn password(username: &str, password: &str) -> Option<Login> {
        Some(Login::Password { username: username.into(), password: password.into() })
    }

    #[tokio::test]
    async fn a_password_is_found_by_host_also_under_an_old_url() {
        let config = r#"{"auths": {"reg.local:5000": {"auth": "YWRhOnBhOnNz"},
            "https://old.local/v1/": {"auth": "Ym9iOnB3"}, "empty.local": {}}}"#;
        assert_eq!(of(config, "reg.local:5000").await, password("ada", "pa:ss"));
        assert_eq!(of(config, "old.local").await, password("bob", "pw"));
        assert_eq!(of(config, "empty.local").await, None);
        assert_eq!(of(config, "other.local").await, None);
    }

    #[tokio::test]
    async fn it_is_told_where_a_login_comes_from_and_not_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        std::fs::write(&path, r#"{"auths": {"reg.local": {"auth": "YWRhOnB3"}}}"#).unwrap();
        let credentials = Credentials::new(Some(dir.path().to_owned()));
        assert_eq!(credentials.source("reg.local").await.unwrap(), Some(Source::Config(path)));
        assert_eq!(credentials.source("other.local").await.unwrap(), None);
        assert_eq!(Source::Helper("pass".into()).to_string(), "docker-credential-pass");
    }

    #[tokio::test]
    async fn docker_hub_is_kept_under_its_own_key() {
        let config = r#"{"auths": {"https://index.docker.io/v1/": {"identitytoken": "t"}}}"#;
        let token = Some(Login::IdentityToken("t".into()));
        assert_eq!(of(config, "registry-1.docker.io").await, token);
        assert_eq!(of(config, "docker.io").await, token);
    }

    #[tokio::test]
    async fn a_missing_helper_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let config = r#"{"credHelpers": {"reg.local": "no-such-helper"}}"#;
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        let credentials = Credentials::new(Some(dir.path().to_owned()));
        let error = credentials.of("reg.local").await.unwrap_err().to_string();
        assert!(error.contains("docker-credential-no-such-helper on PATH"), "{error}");
        assert_eq!(credentials.of("other.local").await.unwrap(), None);
    }

    /// What a helper is taken to say that prints `stdout` and ends with `code`.
    fn parsed(stdout: &str, code: i32) -> Result<Option<Login>, String> {
        use std::os::unix::process::ExitStatusExt;
        let status = std::process::ExitStatus::from_raw(code << 8);
        parse_helper_output(&Output { status, stdout: stdout.into(), stderr: Vec::new() })
    }

    #[test]
    fn a_helper_gives_a_password_or_a_token_or_knows_none() {
        let answer = r#"{"ServerURL":"reg.local","Username":"ada","Secret":"pw"}"#;
        assert_eq!(parsed(answer, 0), Ok(password("ada", "pw")));
        let token = r#"{"ServerURL":"reg.local","Username":"<token>","Secret":"t"}"#;
        assert_eq!(parsed(token, 0), Ok(Some(Login::IdentityToken("t".into()))));
        assert_eq!(parsed("credentials not found in native keychain\n", 1), Ok(None));
    }

    #[test]
    fn what_a_broken_helper_prints_is_not_repeated() {
        let locked = parsed("hunter2", 1).unwrap_err();
        assert!(locked.contains("exit status: 1") && !locked.contains("hunter2"), "{locked}");
        let half = parsed(r#"{"Secret":"hunter2""#, 0).unwrap_err();
        assert!(half.contains("not JSON") && !half.contains("hunter2"), "{half}");
    }

    #[tokio::test]
    async fn without_a_configuration_there_are_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Credentials::new(Some(dir.path().to_owned())).of("x").await.unwrap(), None);
        assert_eq!(Credentials::new(None).of("x").await.unwrap(), None);
    }

    #[test]
    fn a_login_is_never_printed() {
        let login = Login::Password { username: "ada".into(), password: "hunter2".into() };
        assert!(!format!("{login:?}").contains("hunter2"));
    }
}
