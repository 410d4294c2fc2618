//! Registries over HTTP: which content a tag stands for, and tags that move
//! without any layer moving.
//!
//! An edge. Decides nothing; layers are sent and fetched by the engine.

pub(crate) mod credentials;
pub(crate) mod docker_config;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod http;
pub(crate) mod tls;

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::model::problem::Problem;
use crate::model::reference::{Reference, Repository};

/// Any number of registries, each found by the host of a reference.
#[async_trait]
pub(crate) trait Registry: Send + Sync {
    /// The manifest digest a reference stands for, by one HEAD; for an image
    /// of several platforms the index's. `None`: there is no such image.
    async fn digest(&self, reference: &Reference) -> Result<Option<String>, Error>;

    /// The image for an OCI platform (`linux/amd64`), by its manifest and
    /// config; no layer is fetched. `None`: there is no such image.
    async fn image(&self, reference: &Reference, platform: &str) -> Result<Option<RemoteImage>, Error>;

    /// Whether there is a registry at this host, and it lets us in.
    async fn ping(&self, host: &str) -> Result<(), Error>;

    /// Puts a tag on what `digest` names in the same repository.
    async fn tag(&self, repository: &Repository, digest: &str, tag: &str) -> Result<(), Error>;
}

/// An image as a registry describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteImage {
    /// What the reference stands for: an index's digest for several platforms.
    pub(crate) digest: String,
    /// The platform's own manifest; equal to `digest` without an index.
    pub(crate) manifest: String,
    pub(crate) labels: BTreeMap<String, String>,
    /// Instructions that it leaves for whatever is built FROM it.
    pub(crate) onbuild: Vec<String>,
    /// One for each layer.
    pub(crate) diff_ids: Vec<String>,
    /// Bytes of all layers as they are sent.
    pub(crate) size: u64,
}

/// A registry that could not be asked, or said no. That there is no such
/// image is not an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody answers, or not in time, or the connection broke.
    #[error("the registry {host} does not answer: {cause}")]
    Unreachable { host: String, cause: String },
    /// Credentials are missing, wrong, or do not allow this.
    #[error("the registry {host} refuses to {action} {what}: {cause}")]
    Denied { host: String, action: String, what: String, cause: String },
    /// It failed, or asks for patience for longer than we have.
    #[error("the registry {host} failed to {action} {what}: {cause}")]
    Failed { host: String, action: String, what: String, cause: String },
    /// A file or variable with credentials or a credential helper is broken.
    #[error("{0}")]
    Credentials(String),
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self { help: error.help(), ..Self::new(error.to_string()) }
    }
}

impl Error {
    /// What a person can do about it.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Self::Unreachable { host, .. } => {
                Some(format!("is {host} right, and can this machine reach it?"))
            }
            Self::Denied { host, .. } => Some(format!("log in with `docker login {host}`")),
            Self::Failed { .. } | Self::Credentials(_) => None,
        }
    }
}
