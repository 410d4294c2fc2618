//! Registries as they are: over HTTP, with Docker's credentials.
//!
//! What is asked and what an answer means stands here. How it is asked for is
//! below: `host` waits and repeats, `auth` logs in, `transport` sends.

mod auth;
mod host;
mod manifest;
#[cfg(test)]
mod tests;
mod transport;

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use self::host::{ApiRequest, Host};
use self::manifest::{Config, Manifest};
pub(crate) use self::transport::RetryPolicy;
use self::transport::{Method, Response};
use super::credentials::Credentials;
use super::{Error, Registry, RemoteImage};
use crate::model::digest::sha256;
use crate::model::reference::{Reference, Repository};

/// What is to be known before the first question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) credentials: Credentials,
    /// Docker's own folder, which may have a `certs.d`.
    pub(crate) docker_config: Option<PathBuf>,
    /// Hosts that are asked over plain HTTP, as loopback always is.
    pub(crate) insecure: BTreeSet<String>,
    pub(crate) retry: RetryPolicy,
}

/// Every registry that references name.
pub(crate) struct Registries {
    options: Options,
    hosts: Mutex<HashMap<String, Arc<Host>>>,
}

impl Registries {
    /// Nothing is read and nobody is asked before the first question.
    pub(crate) fn new(options: Options) -> Self {
        Self { options, hosts: Mutex::default() }
    }

    fn host(&self, name: &str) -> Result<Arc<Host>, Error> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.get(name) {
            return Ok(host.clone());
        }
        let host = Arc::new(Host::new(name, &self.options)?);
        hosts.insert(name.to_owned(), host.clone());
        Ok(host)
    }

    /// The manifest's bytes, as they are.
    async fn manifest(
        &self,
        operation: &Operation<'_>,
        reference: &Reference,
    ) -> Result<Option<Response>, Error> {
        let Some(answer) = found(operation.host.send(&operation.get_manifest(reference)).await?, operation)?
        else {
            return Ok(None);
        };
        match reference.digest() {
            Some(wanted) if sha256(&answer.body) != wanted => Err(operation.not(wanted)),
            _ => Ok(Some(answer)),
        }
    }

    async fn config(
        &self,
        operation: &Operation<'_>,
        reference: &Reference,
        digest: &str,
    ) -> Result<Config, Error> {
        let answer = operation.host.send(&operation.get_blob(reference, digest)).await?;
        let Some(answer) = found(answer, operation)? else {
            return Err(operation.failed(format!("its config {digest} is not there")));
        };
        if sha256(&answer.body) != digest {
            return Err(operation.not(digest));
        }
        Config::parse(&answer.body).map_err(|cause| operation.failed(cause))
    }
}

#[async_trait]
impl Registry for Registries {
    async fn digest(&self, reference: &Reference) -> Result<Option<String>, Error> {
        let host = self.host(reference.registry())?;
        let operation = Operation { host: &host, action: "show", what: reference.to_string(), push: false };
        let head = ApiRequest { method: Method::HEAD, ..operation.get_manifest(reference) };
        let Some(answer) = found(host.send(&head).await?, &operation)? else { return Ok(None) };
        let digest = match answer.digest() {
            Some(digest) => digest,
            // The header may be left out; then the content is read.
            None => match self.manifest(&operation, reference).await? {
                Some(answer) => sha256(&answer.body),
                None => return Ok(None),
            },
        };
        match reference.digest() {
            Some(wanted) if wanted != digest => Err(operation.not(wanted)),
            _ => Ok(Some(digest)),
        }
    }

    async fn image(&self, reference: &Reference, platform: &str) -> Result<Option<RemoteImage>, Error> {
        let host = self.host(reference.registry())?;
        let operation = Operation { host: &host, action: "show", what: reference.to_string(), push: false };
        let Some(answer) = self.manifest(&operation, reference).await? else { return Ok(None) };
        let digest = sha256(&answer.body);
        let (mut own, mut manifest) = (digest.clone(), operation.parsed(&answer)?);
        if let Some(entry) = manifest.of_platform(platform).map_err(|cause| operation.failed(cause))? {
            own = entry;
            let of_platform = reference.repository().with_digest(&own);
            let Some(answer) = self.manifest(&operation, &of_platform).await? else {
                return Err(operation.failed(format!("its manifest {own} is not there")));
            };
            manifest = operation.parsed(&answer)?;
        }
        let (config, size) = manifest.image().map_err(|cause| operation.failed(cause))?;
        let config = self.config(&operation, reference, &config).await?;
        let (labels, onbuild, diff_ids) = (config.labels(), config.onbuild(), config.rootfs.diff_ids);
        Ok(Some(RemoteImage { digest, manifest: own, labels, onbuild, diff_ids, size }))
    }

    async fn ping(&self, host: &str) -> Result<(), Error> {
        let host = self.host(host)?;
        let ping = ApiRequest {
            method: Method::GET,
            path: "/v2/".into(),
            accept: "*/*",
            body: None,
            scope: String::new(),
            action: "answer",
            what: "at /v2/".into(),
        };
        let answer = host.send(&ping).await?;
        if answer.status.is_success() {
            Ok(())
        } else {
            Err(host.failed(ping.action, &ping.what, answer.message()))
        }
    }

    async fn tag(&self, repository: &Repository, digest: &str, tag: &str) -> Result<(), Error> {
        let (named, tagged) = (repository.with_digest(digest), repository.with_tag(tag));
        let host = self.host(named.registry())?;
        let operation = Operation { host: &host, action: "tag", what: tagged.to_string(), push: true };
        let _writing = host.write(named.path()).await;
        let Some(manifest) = self.manifest(&operation, &named).await? else {
            return Err(operation.failed(format!("there is no {named}")));
        };
        let kind = manifest.media_type().unwrap_or_else(|| operation.declared_type(&manifest));
        let put = ApiRequest {
            method: Method::PUT,
            body: Some((kind, manifest.body.clone())),
            ..operation.get_manifest(&tagged)
        };
        let answer = host.send(&put).await?;
        if !answer.status.is_success() {
            return Err(operation.failed(answer.message()));
        }
        let now = match answer.digest() {
            Some(digest) => Some(digest),
            None => self.digest(&tagged).await?,
        };
        if now.as_deref() == Some(digest) { Ok(()) } else { Err(operation.not(digest)) }
    }
}

/// What is done on a host, as an error names it.
struct Operation<'a> {
    host: &'a Host,
    action: &'static str,
    what: String,
    /// Something will be written.
    push: bool,
}

impl Operation<'_> {
    fn get_manifest(&self, reference: &Reference) -> ApiRequest {
        let which = reference.digest().or(reference.tag()).unwrap_or("latest");
        self.get(reference, format!("manifests/{which}"), manifest::ACCEPT)
    }

    fn get_blob(&self, reference: &Reference, digest: &str) -> ApiRequest {
        self.get(reference, format!("blobs/{digest}"), "*/*")
    }

    fn get(&self, reference: &Reference, below: String, accept: &'static str) -> ApiRequest {
        let (name, rights) = (reference.path(), if self.push { "pull,push" } else { "pull" });
        ApiRequest {
            method: Method::GET,
            path: format!("/v2/{name}/{below}"),
            accept,
            body: None,
            scope: format!("repository:{name}:{rights}"),
            action: self.action,
            what: self.what.clone(),
        }
    }

    fn parsed(&self, answer: &Response) -> Result<Manifest, Error> {
        Manifest::parse(&answer.body).map_err(|cause| self.failed(cause))
    }

    /// For an answer that does not say of what kind the manifest is.
    fn declared_type(&self, answer: &Response) -> String {
        self.parsed(answer).ok().and_then(|m| m.media_type).unwrap_or_else(|| manifest::OCI.to_owned())
    }

    fn failed(&self, cause: String) -> Error {
        self.host.failed(self.action, &self.what, cause)
    }

    fn not(&self, wanted: &str) -> Error {
        self.failed(format!("what it has is not {wanted}"))
    }
}

/// `None`: there is no such thing, or no such repository.
fn found(answer: Response, operation: &Operation) -> Result<Option<Response>, Error> {
    match answer.status.as_u16() {
        200 => Ok(Some(answer)),
        404 => Ok(None),
        _ => Err(operation.failed(answer.message())),
    }
}
