//! Registries in memory that interpret what they are asked.
//!
//! For tests of everything that asks a registry. They keep images by
//! repository, digest and tag; a tag that is moved stays moved, and what a tag
//! no longer names is still found by its digest. A platform is not looked at:
//! every image is for all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Error, Registry, RemoteImage};
use crate::model::digest::sha256;
use crate::model::reference::{Reference, Repository};

/// All registries of a test. Shared by reference; each call sees the ones before it.
#[derive(Debug, Default)]
pub(crate) struct FakeRegistry {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    repositories: BTreeMap<Repository, Stored>,
    lost: BTreeSet<String>,
    denied: BTreeSet<String>,
    heads: usize,
}

#[derive(Debug, Default)]
struct Stored {
    /// By digest.
    images: BTreeMap<String, RemoteImage>,
    /// Tag to digest.
    tags: BTreeMap<String, String>,
}

impl FakeRegistry {
    /// Registries without an image.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Puts an image there as a push does, under the reference's tag; equal
    /// labels and layers give an equal digest, which is returned.
    pub(crate) fn push(
        &self,
        reference: &Reference,
        labels: &BTreeMap<String, String>,
        diff_ids: &[&str],
    ) -> String {
        let digest = sha256(format!("{labels:?} {diff_ids:?}").as_bytes());
        let image = RemoteImage {
            digest: digest.clone(),
            manifest: digest.clone(),
            labels: labels.clone(),
            onbuild: Vec::new(),
            diff_ids: diff_ids.iter().map(|id| (*id).to_owned()).collect(),
            size: diff_ids.len() as u64,
        };
        self.put(reference, image);
        digest
    }

    /// Puts an image there as it is, under the reference's tag if it has one.
    pub(crate) fn put(&self, reference: &Reference, image: RemoteImage) {
        let mut state = self.state();
        let stored = state.repositories.entry(reference.repository()).or_default();
        if let Some(tag) = reference.tag() {
            stored.tags.insert(tag.to_owned(), image.digest.clone());
        }
        stored.images.insert(image.digest.clone(), image);
    }

    /// Takes a tag away; by digest the image and all its tags.
    pub(crate) fn remove(&self, reference: &Reference) {
        let mut state = self.state();
        let Some(stored) = state.repositories.get_mut(&reference.repository()) else { return };
        match (reference.digest(), reference.tag()) {
            (Some(digest), _) => {
                stored.images.remove(digest);
                stored.tags.retain(|_, of| of != digest);
            }
            (None, Some(tag)) => drop(stored.tags.remove(tag)),
            (None, None) => {}
        }
    }

    /// From now on nobody answers at this host.
    pub(crate) fn lose(&self, host: &str) {
        self.state().lost.insert(host.to_owned());
    }

    /// From now on this host refuses everything.
    pub(crate) fn deny(&self, host: &str) {
        self.state().denied.insert(host.to_owned());
    }

    /// From now on this host answers and allows again.
    pub(crate) fn allow(&self, host: &str) {
        let mut state = self.state();
        state.lost.remove(host);
        state.denied.remove(host);
    }

    /// How often a digest was asked for, answered or not.
    pub(crate) fn heads(&self) -> usize {
        self.state().heads
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn answers(&self, host: &str, action: &str, what: &str) -> Result<(), Error> {
        if self.lost.contains(host) {
            return Err(Error::Unreachable { host: host.to_owned(), cause: "connection refused".into() });
        }
        if self.denied.contains(host) {
            return Err(Error::Denied {
                host: host.to_owned(),
                action: action.to_owned(),
                what: what.to_owned(),
                cause: "it wants credentials, and there are none".into(),
            });
        }
        Ok(())
    }

    fn find(&self, reference: &Reference) -> Option<&RemoteImage> {
        let stored = self.repositories.get(&reference.repository())?;
        let digest = match reference.digest() {
            Some(digest) => digest,
            None => stored.tags.get(reference.tag().unwrap_or("latest"))?,
        };
        stored.images.get(digest)
    }
}

#[async_trait]
impl Registry for FakeRegistry {
    async fn digest(&self, reference: &Reference) -> Result<Option<String>, Error> {
        let mut state = self.state();
        state.heads += 1;
        state.answers(reference.registry(), "show", &reference.to_string())?;
        Ok(state.find(reference).map(|image| image.digest.clone()))
    }

    async fn image(&self, reference: &Reference, _platform: &str) -> Result<Option<RemoteImage>, Error> {
        let state = self.state();
        state.answers(reference.registry(), "show", &reference.to_string())?;
        Ok(state.find(reference).cloned())
    }

    async fn ping(&self, host: &str) -> Result<(), Error> {
        self.state().answers(host, "answer", "at /v2/")
    }

    async fn tag(&self, repository: &Repository, digest: &str, tag: &str) -> Result<(), Error> {
        let mut state = self.state();
        let (named, tagged) = (repository.with_digest(digest), repository.with_tag(tag));
        state.answers(named.registry(), "tag", &tagged.to_string())?;
        let stored = state.repositories.get_mut(repository).filter(|s| s.images.contains_key(digest));
        let Some(stored) = stored else {
            return Err(Error::Failed {
                host: named.registry().to_owned(),
                action: "tag".into(),
                what: tagged.to_string(),
                cause: format!("there is no {named}"),
            });
        };
        stored.tags.insert(tag.to_owned(), digest.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> Reference {
        Reference::parse(text).unwrap()
    }

    #[tokio::test]
    async fn a_tag_is_moved_and_what_it_named_is_still_found_by_digest() {
        let registry = FakeRegistry::new();
        let (old, new) = (reference("reg.local/x:v1"), reference("reg.local/x:v2"));
        let one = registry.push(&old, &BTreeMap::new(), &["sha256:1"]);
        let two = registry.push(&new, &BTreeMap::new(), &["sha256:2"]);
        assert_eq!(registry.digest(&old).await.unwrap(), Some(one.clone()));
        registry.tag(&old.repository(), &two, "v1").await.unwrap();
        assert_eq!(registry.digest(&old).await.unwrap(), Some(two));
        let by_digest = old.repository().with_digest(&one);
        assert_eq!(registry.image(&by_digest, "linux/amd64").await.unwrap().unwrap().diff_ids, ["sha256:1"]);
        registry.remove(&by_digest);
        assert_eq!(registry.digest(&by_digest).await.unwrap(), None);
        assert_eq!(registry.heads(), 3);
        let missing = registry.tag(&old.repository(), &one, "v3").await;
        assert!(matches!(missing, Err(Error::Failed { .. })), "{missing:?}");
    }

    #[tokio::test]
    async fn a_host_is_lost_or_refuses_by_itself() {
        let registry = FakeRegistry::new();
        registry.lose("reg.local:5000");
        registry.deny("docker.io");
        let lost = registry.digest(&reference("reg.local:5000/x")).await;
        assert!(matches!(lost, Err(Error::Unreachable { .. })), "{lost:?}");
        let denied = registry.image(&reference("debian:12"), "linux/amd64").await;
        assert!(matches!(denied, Err(Error::Denied { .. })), "{denied:?}");
        assert_eq!(registry.digest(&reference("other.local/x")).await, Ok(None));
        registry.allow("reg.local:5000");
        assert_eq!(registry.digest(&reference("reg.local:5000/x")).await, Ok(None));
    }
}
