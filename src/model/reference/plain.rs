//! Plain references, read without a regular expression.
//!
//! oci-spec's expression takes some 25 ms to compile, in every run of the
//! program, and a plan reads hundreds of references. What is not plain, errors
//! included, is left to oci-spec.

use oci_spec::distribution::Reference;

const HUB: &str = "docker.io";
/// Far below the grammar's limit on names.
const LONGEST: usize = 200;

/// `None`: oci-spec has to look.
pub(crate) fn parse(text: &str) -> Option<Reference> {
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
    Some(match (tag, digest) {
        (Some(tag), Some(digest)) => Reference::with_tag_and_digest(registry, path, tag, digest),
        (None, Some(digest)) => Reference::with_digest(registry, path, digest),
        (tag, None) => Reference::with_tag(registry, path, tag.unwrap_or_else(|| "latest".into())),
    })
}

/// Registry and path of a name without tag.
fn place(name: &str) -> Option<(String, String)> {
    if name.len() > LONGEST {
        return None;
    }
    let named = |first: &str| first == "localhost" || first.contains(['.', ':']);
    let (registry, path) = match name.split_once('/') {
        Some((HUB, path)) if path.contains('/') => (HUB, path.to_owned()),
        Some((HUB, path)) => (HUB, format!("library/{path}")),
        // Its other names are made this one by the library.
        Some((first, _)) if first.ends_with(HUB) => return None,
        Some((first, path)) if named(first) => (is_host(first).then_some(first)?, path.to_owned()),
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

fn is_sha256(digest: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    digest.strip_prefix("sha256:").is_some_and(|hash| hash.len() == 64 && hash.bytes().all(hex))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_people_write_needs_no_expression() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in
            ["debian", "debian:12", "ds01/vision:r-0123456789abcdef", "reg.local:5000/x/y:2026.4-main"]
        {
            assert!(parse(text).is_some(), "{text}");
            assert!(parse(&format!("{text}@{digest}")).is_some(), "{text} with a digest");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn a_plain_reference_is_what_the_library_says(
            text in "([a-zL.:-]{1,9}/)?([a-z0-9._-]{1,6}/){0,2}[a-z0-9A._-]{1,8}(:[a-zA-Z0-9._-]{1,6})?(@sha256:([0-9a-f]{64}|[0-9a-f]{3}))?"
        ) {
            if let Some(plain) = parse(&text) {
                let library = Reference::from_str(&text);
                prop_assert_eq!(Some(plain), library.ok(), "{}", text);
            }
        }

        #[test]
        fn a_host_with_a_port_is_read_as_the_library_does(
            text in "(localhost|docker.io|index.docker.io|reg.local|a-b.c)(:[0-9]{1,6})?/(library/)?[a-z]{1,3}([._-]{1,2}[a-z0-9]{1,2})?(:[a-z0-9]{1,3})?"
        ) {
            if let Some(plain) = parse(&text) {
                prop_assert_eq!(Some(plain), Reference::from_str(&text).ok(), "{}", text);
            }
        }
    }
}
