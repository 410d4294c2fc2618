//! SHA-256 over parts that cannot run into each other.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256, as 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub(crate) struct Digest(String);

impl Digest {
    /// Of plain bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self::from_bytes(&Sha256::digest(bytes))
    }

    /// Of several parts, each with its length before it.
    pub(crate) fn of_parts(parts: &[&[u8]]) -> Self {
        let mut framed = FramedHash::new("parts");
        for part in parts {
            framed.bytes(part);
        }
        framed.finish()
    }

    /// Of a finished hash.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(hex(bytes))
    }

    /// Reads 64 lower-case hex digits; `None`: it is something else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        is_hex(text, 64).then(|| Self(text.to_owned()))
    }

    /// All 64 digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As people compare it.
    pub(crate) fn short(&self) -> &str {
        self.first(SHORT)
    }

    /// The first digits, at most 64.
    pub(crate) fn first(&self, digits: usize) -> &str {
        &self.0[..digits.min(64)]
    }
}

/// Digits by which people tell digests and IDs apart.
const SHORT: usize = 12;

/// A digest or an ID as people compare it: 12 digits, behind `sha256:` where
/// it has that.
pub(crate) fn short(text: &str) -> &str {
    let kind = text.find(':').map_or(0, |colon| colon + 1);
    text.get(..kind + SHORT).unwrap_or(text)
}

/// The 12 digits alone.
pub(crate) fn short_hex(text: &str) -> &str {
    let short = short(text);
    short.strip_prefix("sha256:").unwrap_or(short)
}

/// Whether a text is so many lower-case hex digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether a text is `sha256:` and 64 lower-case hex digits.
pub(crate) fn is_sha256(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|digits| is_hex(digits, 64))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let both = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    both.map(|half| char::from(DIGITS[usize::from(half)])).collect()
}

/// The digest of bytes as OCI writes it: `sha256:<64 hex>`.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", Digest::of(bytes))
}

/// A hash under way. Every part is hashed behind its length, and the kind of
/// what is hashed stands first: "ab", "c" differs from "a", "bc".
pub(crate) struct FramedHash(Sha256);

impl FramedHash {
    pub(crate) fn new(kind: &str) -> Self {
        let mut framed = Self(Sha256::new());
        framed.text("ds01-build").text(kind);
        framed
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn finish(self) -> Digest {
        Digest::from_bytes(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_plain_sha256() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").as_str(), abc);
        assert_eq!(Digest::parse(abc).unwrap().short(), "ba7816bf8f01");
        assert_eq!(short(&format!("sha256:{abc}")), "sha256:ba7816bf8f01");
        assert_eq!((short(abc), short_hex("sha256:12"), short("é:")), ("ba7816bf8f01", "12", "é:"));
        assert!(Digest::parse(&abc.to_uppercase()).is_none());
        assert!(Digest::parse("abc").is_none());
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let parts =
            |parts: &[&str]| Digest::of_parts(&parts.iter().map(|p| p.as_bytes()).collect::<Vec<_>>());
        let all =
            [parts(&["ab", "c"]), parts(&["a", "bc"]), parts(&["abc"]), parts(&["abc", ""]), parts(&[])];
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != one));
        }
    }
}
