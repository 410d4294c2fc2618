//! Registry credentials, from Docker's and Podman's files and the helpers that
//! these name.
//!
//! Read anew each time, so that a `docker login` during a run is seen. Nothing
//! secret goes into an error, a log or an argument.

mod helper;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::docker_config::{Auth, DockerConfig};

/// The name that Docker's tools keep Docker Hub's credentials under.
const HUB_KEY: &str = "https://index.docker.io/v1/";
const HUB_HOSTS: [&str; 4] = ["docker.io", "index.docker.io", "registry-1.docker.io", "auth.docker.io"];

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
    /// A file or variable of settings itself.
    Config(Place),
    /// The helper `docker-credential-<name>`.
    Helper(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(place) => place.fmt(f),
            Self::Helper(name) => write!(f, "docker-credential-{name}"),
        }
    }
}

/// Where settings stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file like Docker's `config.json`.
    File(PathBuf),
    /// `DOCKER_AUTH_CONFIG`, which is such a text itself.
    Variable,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable => f.write_str("DOCKER_AUTH_CONFIG"),
        }
    }
}

/// Credentials that could not be read. They may still not be needed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error("cannot read {place}: {cause}")]
    Config { place: Place, cause: String },
    #[error("the `auth` of `{key}` in {place} is not base64 of `user:password`")]
    Auth { place: Place, key: String },
    #[error("credential helper `{helper}` failed for {host}: {cause}")]
    Helper { helper: String, host: String, cause: String },
}

/// Where credentials are looked up.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    variable: Option<String>,
    files: Vec<PathBuf>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Credentials {
    /// What `DOCKER_AUTH_CONFIG` says counts before the files, each of them
    /// before the next. Files need not be there.
    pub(crate) fn new(variable: Option<String>, files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { variable, files: files.into_iter().collect() }
    }

    /// Those for a registry's host, e.g. `reg.local:5000` or `docker.io`, and
    /// where they were found.
    ///
    /// # Errors
    /// There are none, and of what was asked for them something is broken.
    pub(crate) async fn of(&self, host: &str) -> Result<Option<(Login, Source)>, CredentialsError> {
        let variable =
            self.variable.iter().map(|text| (Place::Variable, DockerConfig::parse(text.as_bytes())));
        let files = self.files.iter().map(|path| (Place::File(path.clone()), DockerConfig::read(path)));
        let mut broken = None;
        for (place, config) in variable.chain(files) {
            let config = match config {
                Ok(config) => config,
                Err(cause) => {
                    broken.get_or_insert(CredentialsError::Config { place, cause });
                    continue;
                }
            };
            match ask_helper(&config, host).await {
                Ok(None) => {}
                Ok(found) => return Ok(found),
                Err(error) => drop(broken.get_or_insert(error)),
            }
            match login(&config.auths, host) {
                Ok(None) => {}
                Ok(Some(login)) => return Ok(Some((login, Source::Config(place)))),
                Err(key) => drop(broken.get_or_insert(CredentialsError::Auth { place, key })),
            }
        }
        broken.map_or(Ok(None), Err)
    }
}

async fn ask_helper(config: &DockerConfig, host: &str) -> Result<Option<(Login, Source)>, CredentialsError> {
    let own = entries(&config.helpers, host).into_iter().next().map(|(_, helper)| helper);
    let Some(helper) = own.or(Some(&config.store)).filter(|helper| !helper.is_empty()) else {
        return Ok(None);
    };
    match helper::ask(helper, key(host)).await {
        Ok(login) => Ok(login.map(|login| (login, Source::Helper(helper.clone())))),
        Err(cause) => Err(CredentialsError::Helper { helper: helper.clone(), host: host.to_owned(), cause }),
    }
}

/// The first login for a host; the key of one that cannot be decoded.
fn login(auths: &BTreeMap<String, Auth>, host: &str) -> Result<Option<Login>, String> {
    for (key, auth) in entries(auths, host) {
        if !auth.identity_token.is_empty() {
            return Ok(Some(Login::IdentityToken(auth.identity_token.clone())));
        }
        let (username, password) = auth.pair().ok_or_else(|| key.clone())?;
        if !username.is_empty() {
            return Ok(Some(Login::Password { username, password }));
        }
    }
    Ok(None)
}

fn key(host: &str) -> &str {
    if HUB_HOSTS.contains(&host) { HUB_KEY } else { host }
}

/// The entries for a host, its own key first. Old versions of Docker wrote
/// whole addresses, Podman also writes keys with a path: of these the one with
/// the shortest, which says least of what it is for.
fn entries<'a, T>(map: &'a BTreeMap<String, T>, host: &str) -> Vec<(&'a String, &'a T)> {
    let own = host_of(key(host));
    let hub = HUB_HOSTS.contains(&own);
    let same = |key: &str| own.eq_ignore_ascii_case(key) || (hub && HUB_HOSTS.contains(&key));
    let mut found: Vec<_> = map.iter().filter(|(key, _)| same(host_of(key))).collect();
    found.sort_by_key(|(name, _)| (name.as_str() != key(host), name.len()));
    found
}

fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}
