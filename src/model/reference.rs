//! Image references by the distribution grammar: `host:port/name:tag@digest`.
//!
//! Parsing is oci-spec's. This module adds the short form people write
//! (`debian:12`, not `docker.io/library/debian:12`), which is also how the
//! engine lists its tags, and a way past the library for plain references.

mod plain;

use std::fmt;
use std::str::FromStr;

const HUB: &str = "docker.io";

/// A repository without tag or digest, in the short form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Repository {
    /// The short form.
    short: String,
    /// The registry, Docker Hub included, and the path there.
    registry: String,
    path: String,
}

impl Repository {
    /// Parses `host:port/name`; a tag or digest is refused.
    ///
    /// # Errors
    /// Says which part of the grammar is broken.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let reference = Reference::parse(text)?;
        let repository = reference.repository();
        let plain = [
            repository.short.clone(),
            format!("{HUB}/{}", repository.short),
            format!("{HUB}/library/{}", repository.short),
        ];
        if plain.iter().any(|p| p == text) {
            Ok(repository)
        } else {
            Err("a repository has no tag and no digest".into())
        }
    }

    /// The short form.
    pub(crate) fn as_str(&self) -> &str {
        &self.short
    }

    /// The registry it names, `host[:port]`. `None`: it names none, as
    /// `debian` or `ds01/vision`, which an engine has or asks Docker Hub for.
    pub(crate) fn host(&self) -> Option<&str> {
        let (first, _) = self.short.split_once('/')?;
        (first == "localhost" || first.contains(['.', ':'])).then_some(first)
    }

    /// This repository with a tag, which must be of the tag grammar. Not parsed
    /// again: a plan makes thousands of them.
    pub(crate) fn with_tag(&self, tag: &str) -> Reference {
        let (registry, path) = (self.registry.clone(), self.path.clone());
        Reference(oci_spec::distribution::Reference::with_tag(registry, path, tag.to_owned()))
    }

    /// This repository with a digest, `sha256:<64 hex>`.
    pub(crate) fn with_digest(&self, digest: &str) -> Reference {
        let (registry, path) = (self.registry.clone(), self.path.clone());
        Reference(oci_spec::distribution::Reference::with_digest(registry, path, digest.to_owned()))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.short)
    }
}

/// A whole reference; without a tag and a digest the tag is `latest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference(oci_spec::distribution::Reference);

impl Reference {
    /// Parses any form.
    ///
    /// # Errors
    /// Says which part of the grammar is broken.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(plain) = plain::parse(text) {
            return Ok(Self(plain));
        }
        oci_spec::distribution::Reference::from_str(text).map(Self).map_err(|e| e.to_string())
    }

    /// Without tag and digest.
    pub(crate) fn repository(&self) -> Repository {
        let (registry, path) = (self.0.registry().to_owned(), self.0.repository().to_owned());
        Repository { short: self.short(), registry, path }
    }

    /// The repository's short form.
    fn short(&self) -> String {
        let (host, path) = (self.0.registry(), self.0.repository());
        match (host, path.strip_prefix("library/")) {
            (HUB, Some(short)) if !short.contains('/') => short.to_owned(),
            (HUB, _) => path.to_owned(),
            _ => format!("{host}/{path}"),
        }
    }

    /// The registry that has it, `host[:port]`; `docker.io` if it names none.
    pub(crate) fn registry(&self) -> &str {
        self.0.registry()
    }

    /// Its repository's name within the registry: `library/debian`.
    pub(crate) fn path(&self) -> &str {
        self.0.repository()
    }

    /// The tag, if there is one.
    pub(crate) fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    /// The digest, if there is one.
    pub(crate) fn digest(&self) -> Option<&str> {
        self.0.digest()
    }

    /// This very content of it: the same name and tag with a digest,
    /// `sha256:<64 hex>`.
    pub(crate) fn pinned(&self, digest: &str) -> Self {
        let tag = self.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
        Self::parse(&format!("{}{tag}@{digest}", self.repository())).expect("a checked reference and digest")
    }

    /// The long form that BuildKit wants: `docker.io/library/debian:12`.
    pub(crate) fn canonical(&self) -> String {
        self.0.whole()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.short();
        if let Some(tag) = self.tag() {
            text = format!("{text}:{tag}");
        }
        if let Some(digest) = self.digest() {
            text = format!("{text}@{digest}");
        }
        f.pad(&text)
    }
}

impl serde::Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_port_is_not_a_tag() {
        let reference = Reference::parse("reg.local:5000/x/y:v1").unwrap();
        assert_eq!(reference.repository().as_str(), "reg.local:5000/x/y");
        assert_eq!(reference.tag(), Some("v1"));
    }

    #[test]
    fn hub_names_are_shown_short_and_sent_long() {
        for text in ["debian:12", "docker.io/library/debian:12", "library/debian:12"] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(reference.to_string(), "debian:12");
            assert_eq!(reference.canonical(), "docker.io/library/debian:12");
        }
        assert_eq!(Reference::parse("aimehub/x").unwrap().to_string(), "aimehub/x:latest");
    }

    #[test]
    fn a_pinned_reference_keeps_its_tag_and_changes_its_digest() {
        let (one, two) = (format!("sha256:{}", "1".repeat(64)), format!("sha256:{}", "2".repeat(64)));
        let pinned = Reference::parse("reg.local:5000/x:v1").unwrap().pinned(&one);
        assert_eq!(pinned.to_string(), format!("reg.local:5000/x:v1@{one}"));
        assert_eq!(pinned.pinned(&two).to_string(), format!("reg.local:5000/x:v1@{two}"));
        let bare = Reference::parse(&format!("debian@{one}")).unwrap();
        assert_eq!(bare.pinned(&two).canonical(), format!("docker.io/library/debian@{two}"));
    }

    #[test]
    fn a_registry_is_named_by_a_first_part_with_a_dot_or_a_port() {
        let host = |text: &str| Repository::parse(text).unwrap().host().map(str::to_owned);
        assert_eq!(host("reg.local/x").as_deref(), Some("reg.local"));
        assert_eq!(host("gpu1:5000/x/y").as_deref(), Some("gpu1:5000"));
        assert_eq!(host("localhost/x").as_deref(), Some("localhost"));
        for local in ["debian", "ds01/vision", "ds01-1722830498/thesis", "docker.io/library/debian"] {
            assert_eq!(host(local), None, "{local}");
        }
        assert_eq!(Reference::parse("debian:12").unwrap().registry(), "docker.io");
        assert_eq!(Reference::parse("debian:12").unwrap().path(), "library/debian");
    }

    #[test]
    fn a_repository_with_a_tag_or_digest_is_what_its_text_says() {
        let digest = format!("sha256:{}", "1".repeat(64));
        for text in ["debian", "ds01/vision", "aimehub/x", "reg.local:5000/x/y", "localhost/x"] {
            let repository = Repository::parse(text).unwrap();
            assert_eq!(repository.with_tag("v1"), Reference::parse(&format!("{text}:v1")).unwrap());
            assert_eq!(
                repository.with_digest(&digest),
                Reference::parse(&format!("{text}@{digest}")).unwrap()
            );
            assert_eq!(repository.with_tag("v1").repository(), repository);
        }
    }

    #[test]
    fn a_repository_refuses_a_tag() {
        assert!(Repository::parse("reg.local:5000/x/y").is_ok());
        assert!(Repository::parse("x/y:v1").is_err());
        assert!(Repository::parse("x/Y").is_err());
    }
}
