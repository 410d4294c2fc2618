//! `spec.lock`: which content each external tag stands for, for every machine
//! and every day, until `update` moves it; and when shared images were last
//! refreshed.
//!
//! Text, what it means, and the file beside the spec. Knows no engine and no
//! registry.

mod stamp;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

pub(crate) use stamp::Stamp;

use super::fields::Key;
use super::grammar;
use super::reader::{Document, Item, Problems, short as shown};
use super::yaml::plain_type;
use crate::host::files;
use crate::model::digest::is_sha256;
use crate::model::names::NodeName;
use crate::model::problem::{Place, Problem, SourceFile};
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
        is_sha256(digest).then(|| Self { digest: digest.to_owned(), platforms: BTreeMap::new() })
    }

    /// Adds the manifest that the index names for a platform.
    pub(crate) fn with_platform(mut self, platform: &str, manifest: &str) -> Self {
        if is_platform(platform) && is_sha256(manifest) && manifest != self.digest {
            self.platforms.insert(platform.to_owned(), manifest.to_owned());
        }
        self
    }

    /// What images that are based on it count.
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

/// The pins of one spec, and the stamps of its shared images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lock {
    /// By the short form of the tag's reference, as it is written.
    images: BTreeMap<String, Pin>,
    /// Of images that were refreshed. A project's is in its own file.
    pub(crate) refreshed: BTreeMap<NodeName, Stamp>,
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

    /// True where nothing is pinned and nothing refreshed.
    fn is_empty(&self) -> bool {
        self.images.is_empty() && self.refreshed.is_empty()
    }
}

impl fmt::Display for Lock {
    /// The file: the same for the same content, a block for each pin.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "# Which content each base stands for. Keep this file in git. `ds01-build update` moves pins.\n",
        )?;
        f.write_str("version: 1\n")?;
        f.write_str(if self.images.is_empty() { "images: {}\n" } else { "images:\n" })?;
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
        if !self.refreshed.is_empty() {
            f.write_str("refreshed:\n")?;
        }
        for (name, stamp) in &self.refreshed {
            let quote = if plain_type(name.as_str()).is_some() { "\"" } else { "" };
            writeln!(f, "  {quote}{name}{quote}: {stamp}")?;
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

/// `os/architecture` or `os/architecture/variant`.
fn is_platform(text: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    matches!(text.split('/').count(), 2 | 3) && text.split('/').all(part)
}

/// What helps against every mistake. Pins are found again; stamps only git
/// has, so it comes first.
const AGAIN: &str = "take the file from git again, or delete it and run `ds01-build update`";

/// Reads a lock's text, as strictly as the spec: nothing in it is passed over.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub(crate) fn read(file: &Arc<SourceFile>) -> Result<Lock, Vec<Problem>> {
    if let Some(problem) = conflict(file) {
        return Err(vec![problem]);
    }
    let problems = Problems::default();
    let lock = Document::parse(file.clone(), &problems).map(|document| lock(document.item()));
    match lock {
        Some(lock) if problems.is_empty() => Ok(lock),
        _ => Err(problems.take().into_iter().map(helped).collect()),
    }
}

/// The file is ours to write: where nothing better is said, it is made anew.
fn helped(problem: Problem) -> Problem {
    if problem.help.is_some() { problem } else { problem.help(AGAIN) }
}

/// What git leaves where two branches moved one pin.
fn conflict(file: &Arc<SourceFile>) -> Option<Problem> {
    let mut at = 0;
    for line in file.text.split_inclusive('\n') {
        if ["<<<<<<<", "=======", ">>>>>>>"].iter().any(|mark| line.starts_with(mark)) {
            let place = Place { file: file.clone(), span: at..at + line.trim_end().len() };
            let problem = Problem::new("a merge conflict is not solved").at(&place);
            return Some(problem.help(
                "keep one side of it; or delete the file and run `ds01-build update`, which pins \
                 what the tags stand for now",
            ));
        }
        at += line.len();
    }
    None
}

fn lock(top: Item) -> Lock {
    let mut lock = Lock::default();
    let fields = top.fields(&["version", "images", "refreshed"]);
    let version = fields.require("version", &top.place(), "version: 1");
    if let Some(version) = version
        && let Some(number) = version.whole()
        && number != 1
    {
        let help = "use the newer ds01-build that wrote it, or delete it and run `ds01-build update`";
        version.report(format!("version {number} of the lock is not known"), help);
        return lock;
    }
    let images = fields.require("images", &top.place(), "images: {}");
    for (key, item) in images.map(Item::entries).unwrap_or_default() {
        if let (Some(reference), Some(pin)) = (reference(&key), pin(item, &key.place())) {
            lock.set(&reference, pin);
        }
    }
    for (key, item) in fields.entries("refreshed") {
        if let (Some(name), Some(stamp)) = (image_name(&key), Stamp::read(item)) {
            lock.refreshed.insert(name, stamp);
        }
    }
    lock
}

/// A shared image, or a plan variant of one: `vision@py312`.
fn image_name(key: &Key) -> Option<NodeName> {
    let (image, plan) =
        key.text.split_once('@').map_or((key.text, None), |(image, plan)| (image, Some(plan)));
    let sound = key.item.check(grammar::name("image", image))
        && plan.is_none_or(|plan| key.item.check(grammar::plan_name(plan)));
    sound.then(|| NodeName::new(key.text))
}

/// Only the short form: two forms of one name could say two things.
fn reference(key: &Key) -> Option<Reference> {
    let reference = key.item.parsed(Reference::parse(key.text), key.text, "is no image reference", AGAIN)?;
    if reference.digest().is_some() {
        let message = format!("`{}` has a digest, and needs no pin", shown(key.text));
        key.item.report(message, "remove the entry, or its digest");
        return None;
    }
    if reference.to_string() != key.text {
        let message = format!("`{}` is not how this image is written here", shown(key.text));
        key.item.report(message, format!("write `{reference}`"));
        return None;
    }
    Some(reference)
}

fn pin(item: Item, place: &Place) -> Option<Pin> {
    let fields = item.fields(&["digest", "platforms"]);
    let mut pin = Pin::new(digest(fields.require("digest", place, "digest: sha256:…")?)?)?;
    for (key, item) in fields.entries("platforms") {
        if !is_platform(key.text) {
            key.item.report(format!("`{}` is no platform", shown(key.text)), "write it like `linux/amd64`");
        } else if let Some(manifest) = digest(item) {
            pin = pin.with_platform(key.text, manifest);
        }
    }
    Some(pin)
}

fn digest(item: Item<'_>) -> Option<&str> {
    let text = item.string()?;
    if !is_sha256(text) {
        let help = format!("a digest is `sha256:` and 64 digits of 0-9 and a-f; {AGAIN}");
        item.report(format!("`{}` is no digest", shown(text)), help);
        return None;
    }
    Some(text)
}

/// The lock of a spec: `spec.lock` beside `spec.yml`.
pub(crate) fn beside(spec_file: &Path) -> PathBuf {
    spec_file.with_extension("lock")
}

/// Reads a lock; a file that is not there pins nothing. `shown`: its path as
/// people know it.
///
/// # Errors
/// All that is wrong with the text, or that it cannot be read.
pub(crate) fn load(path: &Path, shown: &Path) -> Result<Lock, Vec<Problem>> {
    let text = match files::read_text(path, path.parent(), files::MOST_TEXT).and_then(utf8) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lock::default()),
        Err(error) => {
            let problem = Problem::new(format!("{} cannot be read: {error}", shown.display()));
            return Err(vec![problem.help("mend it, or delete it and run `ds01-build update`")]);
        }
    };
    read(&Arc::new(SourceFile::new(shown, text)))
}

fn utf8(text: Vec<u8>) -> io::Result<String> {
    String::from_utf8(text).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// Writes a lock, if the file does not say the same already; `true`: it was
/// written. Where there is nothing to say and no file, none is made.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn save(path: &Path, lock: &Lock) -> io::Result<bool> {
    let old = files::read_text(path, path.parent(), files::MOST_TEXT).and_then(utf8).ok();
    let text = lock.to_string();
    if old.as_deref() == Some(&text) || (old.is_none() && lock.is_empty()) {
        return Ok(false);
    }
    // A link stays one.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    files::write(&path, text.as_bytes()).map(|()| true)
}
