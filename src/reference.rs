//! Image references by the distribution grammar: `host:port/name:tag@digest`.
//!
//! Parsing is oci-spec's. This module adds the short form people write
//! (`debian:12`, not `docker.io/library/debian:12`), which is also how the
//! engine lists its tags.

use std::fmt;
use std::str::FromStr;

const HUB: &str = "docker.io";

/// A repository without tag or digest, in the short form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository(String);

impl Repository {
    /// Parses `host:port/name`; a tag or digest is refused.
    ///
    /// # Errors
    /// Says which part of the grammar is broken.
    pub fn parse(text: &str) -> Result<Self, String> {
        let reference = Reference::parse(text)?;
        let repository = reference.repository();
        let plain = [
            repository.0.clone(),
            format!("{HUB}/{}", repository.0),
            format!("{HUB}/library/{}", repository.0),
        ];
        if plain.iter().any(|p| p == text) {
            Ok(repository)
        } else {
            Err("a repository has no tag and no digest".into())
        }
    }

    /// The short form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This repository with a tag. The tag must be of the tag grammar.
    pub fn with_tag(&self, tag: &str) -> Reference {
        Reference::parse(&format!("{}:{tag}", self.0)).expect("a checked repository and tag")
    }

    /// This repository with a digest, `sha256:<64 hex>`.
    pub fn with_digest(&self, digest: &str) -> Reference {
        Reference::parse(&format!("{}@{digest}", self.0)).expect("a checked repository and digest")
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A whole reference; without a tag and a digest the tag is `latest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reference(oci_spec::distribution::Reference);

impl Reference {
    /// Parses any form.
    ///
    /// # Errors
    /// Says which part of the grammar is broken.
    pub fn parse(text: &str) -> Result<Self, String> {
        oci_spec::distribution::Reference::from_str(text).map(Self).map_err(|e| e.to_string())
    }

    /// Without tag and digest.
    pub fn repository(&self) -> Repository {
        let (host, path) = (self.0.registry(), self.0.repository());
        Repository(match (host, path.strip_prefix("library/")) {
            (HUB, Some(short)) if !short.contains('/') => short.to_owned(),
            (HUB, _) => path.to_owned(),
            _ => format!("{host}/{path}"),
        })
    }

    /// The tag, if there is one.
    pub fn tag(&self) -> Option<&str> {
        self.0.tag()
    }

    /// The digest, if there is one.
    pub fn digest(&self) -> Option<&str> {
        self.0.digest()
    }

    /// This very content of it: the same name and tag with a digest,
    /// `sha256:<64 hex>`.
    pub fn pinned(&self, digest: &str) -> Self {
        let tag = self.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
        Self::parse(&format!("{}{tag}@{digest}", self.repository())).expect("a checked reference and digest")
    }

    /// The long form that BuildKit wants: `docker.io/library/debian:12`.
    pub fn canonical(&self) -> String {
        self.0.whole()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.repository().0;
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
    fn a_repository_refuses_a_tag() {
        assert!(Repository::parse("reg.local:5000/x/y").is_ok());
        assert!(Repository::parse("x/y:v1").is_err());
        assert!(Repository::parse("x/Y").is_err());
    }
}
