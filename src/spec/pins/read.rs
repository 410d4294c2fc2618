//! The lock's text, read as strictly as the spec: nothing in it is passed over.

use std::sync::Arc;

use super::{Lock, Pin, is_digest, is_platform};
use crate::model::problem::{Place, Problem, SourceFile};
use crate::model::reference::Reference;
use crate::spec::reader::{Item, Key, Problems, short};
use crate::spec::yaml;

/// What helps against every mistake: nothing in the file is lost for good.
const AGAIN: &str = "take the file from git again, or delete it and run `ds01-build update`";

/// Reads a lock.
///
/// # Errors
/// Everything that is wrong with it, each with its place.
pub(crate) fn read(file: &Arc<SourceFile>) -> Result<Lock, Vec<Problem>> {
    if let Some(problem) = conflict(file) {
        return Err(vec![problem]);
    }
    let mut problems = Problems::default();
    let node = yaml::parse(file, &mut problems.list);
    let lock = node.map(|node| lock(Item { node: &node, file }, &mut problems));
    match lock {
        Some(lock) if problems.list.is_empty() => Ok(lock),
        _ => Err(problems.list.into_iter().map(helped).collect()),
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

fn lock(top: Item<'_>, problems: &mut Problems) -> Lock {
    let fields = top.fields(&["version", "images"], problems);
    let version = fields.require("version", &top.place(), "version: 1", problems);
    if let Some(version) = version
        && let Some(number) = version.whole(problems)
        && number != 1
    {
        let problem = Problem::new(format!("version {number} of the lock is not known")).at(&version.place());
        problems.push(
            problem.help("use the newer ds01-build that wrote it, or delete it and run `ds01-build update`"),
        );
        return Lock::default();
    }
    let mut lock = Lock::default();
    let images = fields.require("images", &top.place(), "images: {}", problems);
    for (key, item) in images.map(|item| item.entries(problems)).unwrap_or_default() {
        if let (Some(reference), Some(pin)) = (reference(&key, problems), pin(item, &key.place(), problems)) {
            lock.set(&reference, pin);
        }
    }
    lock
}

/// Only the short form: two forms of one name could say two things.
fn reference(key: &Key<'_>, problems: &mut Problems) -> Option<Reference> {
    let at = |message: String, help: String| Problem::new(message).at(&key.place()).help(help);
    match Reference::parse(key.text) {
        Err(why) => {
            problems.push(at(format!("`{}` is no image reference: {why}", short(key.text)), AGAIN.into()));
        }
        Ok(reference) if reference.digest().is_some() => problems.push(at(
            format!("`{}` has a digest, and needs no pin", short(key.text)),
            "remove the entry, or its digest".into(),
        )),
        Ok(reference) if reference.to_string() != key.text => problems.push(at(
            format!("`{}` is not how this image is written here", short(key.text)),
            format!("write `{reference}`"),
        )),
        Ok(reference) => return Some(reference),
    }
    None
}

fn pin(item: Item<'_>, place: &Place, problems: &mut Problems) -> Option<Pin> {
    let fields = item.fields(&["digest", "platforms"], problems);
    let pinned = fields.require("digest", place, "digest: sha256:…", problems)?;
    let mut pin = Pin::new(digest(pinned, problems)?)?;
    for (key, item) in fields.get("platforms").map(|item| item.entries(problems)).unwrap_or_default() {
        if !is_platform(key.text) {
            let problem = Problem::new(format!("`{}` is no platform", short(key.text))).at(&key.place());
            problems.push(problem.help("write it like `linux/amd64`"));
        } else if let Some(manifest) = digest(item, problems) {
            pin = pin.with_platform(key.text, manifest);
        }
    }
    Some(pin)
}

fn digest<'a>(item: Item<'a>, problems: &mut Problems) -> Option<&'a str> {
    let text = item.string(problems)?;
    if !is_digest(text) {
        let problem = Problem::new(format!("`{}` is no digest", short(text))).at(&item.place());
        problems.push(problem.help(format!("a digest is `sha256:` and 64 digits of 0-9 and a-f; {AGAIN}")));
        return None;
    }
    Some(text)
}
