//! Image references by the distribution grammar: `host:port/name:tag@digest`.
//!
//! Parsing is oci-spec's. This module adds the short form people write
//! (`debian:12`, not `docker.io/library/debian:12`), which is also how the
//! engine lists its tags, hosts that the library does not know, and a way past
//! it for plain references.

use std::fmt;
use std::str::FromStr;

use oci_spec::distribution::Reference as OciReference;

use crate::model::digest::{is_hex, is_sha256};
use crate::model::tags::is_content_tag;

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
        is_registry(first).then_some(first)
    }

    /// The registry, Docker Hub included, and the path there.
    pub(crate) fn place(&self) -> (&str, &str) {
        (&self.registry, &self.path)
    }

    /// This repository with a tag, which must be of the tag grammar. Not parsed
    /// again: a plan makes thousands of them.
    pub(crate) fn with_tag(&self, tag: &str) -> Reference {
        let (registry, path) = (self.registry.clone(), self.path.clone());
        Reference(OciReference::with_tag(registry, path, tag.to_owned()))
    }

    /// This repository with a digest, `sha256:<64 hex>`.
    pub(crate) fn with_digest(&self, digest: &str) -> Reference {
        let (registry, path) = (self.registry.clone(), self.path.clone());
        Reference(OciReference::with_digest(registry, path, digest.to_owned()))
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.short)
    }
}

/// A whole reference; without a tag and a digest the tag is `latest`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Reference(OciReference);

impl Reference {
    /// Parses any form.
    ///
    /// # Errors
    /// Says which part of the grammar is broken.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if is_sha256(text) || is_hex(text, 64) {
            let id = text.get(..19).unwrap_or(text);
            return Err(format!(
                "it is the ID of an image; name that with `docker tag {id} NAME:TAG` and write the name"
            ));
        }
        if let Some((host, rest)) = other_host(text) {
            let found = Self::parse(&format!("{LOCALHOST}/{rest}"))?.0;
            let (path, tag) = (found.repository().to_owned(), found.tag().map(str::to_owned));
            return Ok(Self(assembled(host.to_owned(), path, tag, found.digest().map(str::to_owned))));
        }
        if let Some(plain) = parse_plain(text) {
            return Ok(Self(plain));
        }
        OciReference::from_str(text).map(Self).map_err(|e| e.to_string())
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

    /// Whether it may name another image tomorrow: all but content tags do.
    pub(crate) fn moves(&self) -> bool {
        !self.tag().is_some_and(is_content_tag)
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

const LOCALHOST: &str = "localhost";

/// Whether the first of several parts of a name is a host: the rule of
/// distribution's `splitDockerDomain`.
fn is_registry(first: &str) -> bool {
    first == LOCALHOST || first.contains(['.', ':']) || first.bytes().any(|b| b.is_ascii_uppercase())
}

/// A host by distribution's grammar that oci-spec does not take for one, and
/// what follows it: an address of IPv6 in brackets, or a word with a capital,
/// which no path can have.
fn other_host(text: &str) -> Option<(&str, &str)> {
    let (first, rest) = text.split_once('/')?;
    let host = match first.strip_prefix('[') {
        Some(inner) => {
            let (address, port) = inner.split_once(']')?;
            let port = port
                .strip_prefix(':')
                .map_or(port.is_empty(), |port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
            port && !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
        }
        None => {
            let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
            is_registry(first)
                && first.bytes().all(word)
                && !first.starts_with('-')
                && !first.ends_with('-')
                && first != LOCALHOST
        }
    };
    host.then_some((first, rest))
}

fn assembled(registry: String, path: String, tag: Option<String>, digest: Option<String>) -> OciReference {
    match (tag, digest) {
        (Some(tag), Some(digest)) => OciReference::with_tag_and_digest(registry, path, tag, digest),
        (None, Some(digest)) => OciReference::with_digest(registry, path, digest),
        (tag, None) => OciReference::with_tag(registry, path, tag.unwrap_or_else(|| "latest".into())),
    }
}

// Plain references, read without a regular expression.
// oci-spec's expression takes some 25 ms to compile, in every run of the
// program, and a plan reads hundreds of references. What is not plain, errors
// included, is left to oci-spec.

/// Far below the grammar's limit on names.
const LONGEST: usize = 200;

/// `None`: oci-spec has to look.
fn parse_plain(text: &str) -> Option<OciReference> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) if is_sha256(digest) => (rest, Some(digest.to_owned())),
        Some(_) => return None,
        None => (text, None),
    };
    let last = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[last..].split_once(':') {
        Some((name, tag)) if is_tag(tag) => (&rest[..last + name.len()], Some(tag.to_owned())),
        Some(_) => return None,
        None => (rest, None),
    };
    let (registry, path) = place(name)?;
    Some(assembled(registry, path, tag, digest))
}

/// Registry and path of a name without tag.
fn place(name: &str) -> Option<(String, String)> {
    if name.len() > LONGEST {
        return None;
    }
    let (registry, path) = match name.split_once('/') {
        Some((HUB, path)) if path.contains('/') => (HUB, path.to_owned()),
        Some((HUB, path)) => (HUB, format!("library/{path}")),
        // Its other names are made this one by the library.
        Some((first, _)) if first.ends_with(HUB) => return None,
        Some((first, path)) if is_registry(first) => (is_host(first).then_some(first)?, path.to_owned()),
        Some(_) => (HUB, name.to_owned()),
        None => (HUB, format!("library/{name}")),
    };
    path.split('/').all(|part| is_words(part, b"._-")).then(|| (registry.to_owned(), path))
}

/// `host` or `host:port`.
fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let digits = |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    host.split('.').all(|label| is_words(label, b"-")) && port.is_none_or(digits)
}

/// Lower-case words with one separator between each two.
fn is_words(text: &str, separators: &[u8]) -> bool {
    text.split(|c: char| c.is_ascii() && separators.contains(&(c as u8)))
        .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&text.len())
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::str::FromStr;

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
        for text in [
            "debian",
            "ds01/vision",
            "aimehub/x",
            "reg.local:5000/x/y",
            "localhost/x",
            "[::1]:5000/x",
            "Foo/x",
        ] {
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

    /// The cases of distribution's own tests (reference_test.go,
    /// normalize_test.go) that oci-spec reads otherwise.
    #[test]
    fn hosts_of_ipv6_and_with_capitals_are_hosts() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, host, path, tag) in [
            ("[::1]:5000/x", "[::1]:5000", "x", Some("latest")),
            ("[fd00::5]:5000/x/y:1", "[fd00::5]:5000", "x/y", Some("1")),
            ("[2001:db8::1]/x:v1", "[2001:db8::1]", "x", Some("v1")),
            ("Foo/bar", "Foo", "bar", Some("latest")),
            ("Foo/bar/baz:Tag", "Foo", "bar/baz", Some("Tag")),
            ("GPU-1/x", "GPU-1", "x", Some("latest")),
            ("Reg.local:5000/x", "Reg.local:5000", "x", Some("latest")),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!(
                (reference.registry(), reference.path(), reference.tag()),
                (host, path, tag),
                "{text}"
            );
            assert_eq!(reference.repository().host(), Some(host), "{text}");
            assert_eq!(Reference::parse(&reference.to_string()).as_ref(), Ok(&reference));
            assert_eq!(Reference::parse(&reference.canonical()).as_ref(), Ok(&reference));
            let pinned = Reference::parse(&format!("{text}@{digest}")).unwrap();
            assert_eq!((pinned.registry(), pinned.digest()), (host, Some(digest.as_str())), "{text}");
        }
        for text in [
            "[::1]",
            "[::1]x/y",
            "[::1]:/x",
            "[::1]:a/x",
            "[]/x",
            "[fe80::1%eth0]/x",
            "[::1/x",
            "::1/x",
            "Foo_x/y",
            "-Foo/x",
            "Foo/Bar",
            "Foo//bar",
            "[::1]:5000/X",
            "Debian",
            "x/Y",
        ] {
            assert!(Reference::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_id_of_an_image_is_told_as_that() {
        let hex = "0a".repeat(32);
        for id in [hex.clone(), format!("sha256:{hex}")] {
            let error = Reference::parse(&id).unwrap_err();
            assert!(error.contains("ID of an image") && error.contains("docker tag"), "{error}");
        }
        assert!(Reference::parse(&format!("x/{hex}")).is_ok());
    }

    #[test]
    fn what_people_write_needs_no_expression() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in
            ["debian", "debian:12", "ds01/vision:r-0123456789abcdef", "reg.local:5000/x/y:2026.4-main"]
        {
            assert!(parse_plain(text).is_some(), "{text}");
            assert!(parse_plain(&format!("{text}@{digest}")).is_some(), "{text} with a digest");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_plain_reference_is_what_the_library_says(
            text in "([a-zL.:-]{1,9}/)?([a-z0-9._-]{1,6}/){0,2}[a-z0-9A._-]{1,8}(:[a-zA-Z0-9._-]{1,6})?(@sha256:([0-9a-f]{64}|[0-9a-f]{3}))?"
        ) {
            if let Some(plain) = parse_plain(&text) {
                let library = OciReference::from_str(&text);
                prop_assert_eq!(Some(plain), library.ok(), "{}", text);
            }
        }

        #[test]
        fn a_host_with_a_port_is_read_as_the_library_does(
            text in "(localhost|docker.io|index.docker.io|reg.local|a-b.c)(:[0-9]{1,6})?/(library/)?[a-z]{1,3}([._-]{1,2}[a-z0-9]{1,2})?(:[a-z0-9]{1,3})?"
        ) {
            if let Some(plain) = parse_plain(&text) {
                prop_assert_eq!(Some(plain), OciReference::from_str(&text).ok(), "{}", text);
            }
        }
    }
}
