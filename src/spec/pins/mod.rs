//! `spec.lock`: which content each external tag stands for, for every machine
//! and every day, until `update` moves it.
//!
//! Text and what it means. Knows no engine and no registry; files are read and
//! written in `file` alone.

pub(crate) mod file;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub(crate) use read::read;

use crate::model::reference::Reference;

/// What one tag is pinned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    digest: String,
    platforms: BTreeMap<String, String>,
}

impl Pin {
    /// What a tag stands for: the index's digest where there is one, else the
    /// manifest's. `None`: the text is no `sha256:<64 hex>`.
    pub(crate) fn new(digest: &str) -> Option<Self> {
        is_digest(digest).then(|| Self { digest: digest.to_owned(), platforms: BTreeMap::new() })
    }

    /// Adds the manifest that the index names for a platform.
    pub(crate) fn with_platform(mut self, platform: &str, manifest: &str) -> Self {
        if is_platform(platform) && is_digest(manifest) && manifest != self.digest {
            self.platforms.insert(platform.to_owned(), manifest.to_owned());
        }
        self
    }

    /// What images that stand on it count.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }

    /// Manifests of an index, as far as they were asked for, by OCI platform.
    pub(crate) fn platforms(&self) -> &BTreeMap<String, String> {
        &self.platforms
    }

    /// Whether another pin gives every platform known here the same image:
    /// an index changes also when only other platforms' images do.
    pub(crate) fn gives_the_same_as(&self, other: &Self) -> bool {
        let same = |(platform, manifest)| other.platforms.get(platform) == Some(manifest);
        self.digest == other.digest || (!self.platforms.is_empty() && self.platforms.iter().all(same))
    }
}

/// The pins of one spec.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    /// By the short form of the tag's reference, as it is written.
    images: BTreeMap<String, Pin>,
}

impl Lock {
    /// The pin of a tag. What names a digest itself has none.
    pub(crate) fn get(&self, reference: &Reference) -> Option<&Pin> {
        self.images.get(&reference.to_string())
    }

    /// Pins a tag, or moves its pin.
    pub(crate) fn set(&mut self, reference: &Reference, pin: Pin) {
        debug_assert!(reference.digest().is_none(), "{reference} pins itself");
        self.images.insert(reference.to_string(), pin);
    }

    /// Takes every pin away that `keep` does not want; gives their names.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) -> Vec<String> {
        let (kept, dropped) = std::mem::take(&mut self.images).into_iter().partition(|(name, _)| keep(name));
        self.images = kept;
        let dropped: BTreeMap<String, Pin> = dropped;
        dropped.into_keys().collect()
    }

    /// Every pinned reference with its pin, sorted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Pin)> {
        self.images.iter().map(|(name, pin)| (name.as_str(), pin))
    }

    /// True where nothing is pinned.
    pub(crate) fn is_empty(&self) -> bool {
        self.images.is_empty()
    }
}

impl fmt::Display for Lock {
    /// The file: the same for the same pins, a block for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "# Which content each base stands for. Keep this file in git. `ds01-build update` moves pins.\n",
        )?;
        f.write_str("version: 1\n")?;
        if self.images.is_empty() {
            return f.write_str("images: {}\n");
        }
        f.write_str("images:\n")?;
        for (name, pin) in &self.images {
            // Such a name can look like a number to readers of YAML: `12:30`.
            let digits = name.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.' | '_'));
            let quote = if digits { "\"" } else { "" };
            writeln!(f, "  {quote}{name}{quote}:\n    digest: {}", pin.digest)?;
            if !pin.platforms.is_empty() {
                writeln!(f, "    platforms:")?;
            }
            for (platform, manifest) in &pin.platforms {
                writeln!(f, "      {platform}: {manifest}")?;
            }
        }
        Ok(())
    }
}

/// How a run uses a lock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pins {
    pub(crate) lock: Lock,
    /// References that `--base` stands in, in the long form: they are this
    /// run's business and never the lock's.
    pub(crate) stand_ins: BTreeSet<String>,
    /// A tag without a pin is an error.
    pub(crate) locked: bool,
}

impl Pins {
    /// The pin of a tag.
    pub(crate) fn of(&self, reference: &Reference) -> Option<&Pin> {
        self.lock.get(reference)
    }

    /// Whether `--base` asks for this very image.
    pub(crate) fn is_stand_in(&self, reference: &Reference) -> bool {
        self.stand_ins.contains(&reference.canonical())
    }
}

/// A digest as people compare it: `sha256:` and 12 digits.
pub(crate) fn short(digest: &str) -> &str {
    digest.get(.."sha256:".len() + 12).unwrap_or(digest)
}

fn is_digest(text: &str) -> bool {
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    text.strip_prefix("sha256:").is_some_and(|hash| hash.len() == 64 && hash.bytes().all(hex))
}

/// `os/architecture` or `os/architecture/variant`.
fn is_platform(text: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    matches!(text.split('/').count(), 2 | 3) && text.split('/').all(part)
}
