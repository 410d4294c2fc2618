//! What a plan wants to know of registries, and what it was told.
//!
//! Pure: says which references are asked for, and asks nobody. With everything
//! on the engine and nothing to send there is nothing to ask.

use std::collections::BTreeMap;

use super::decide::{self, Candidate};
use super::memory::Memory;
use super::shelf::Shelf;
use crate::engine::Image;
use crate::model::reference::Reference;

/// What registries said, and whether they are to have what is built.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remote {
    /// Short form of a reference → the manifest digest it stands for.
    pub(crate) found: BTreeMap<String, String>,
    /// `--push`.
    pub(crate) push: bool,
}

impl Remote {
    /// The digest of what a reference stands for, as far as it was asked for.
    pub(crate) fn digest(&self, reference: &Reference) -> Option<&str> {
        self.found.get(&reference.to_string()).map(String::as_str)
    }
}

/// Content tags that decide what is done: of images that live in a registry
/// and are not on the engine; to send them, of all, with their branch tags.
pub(crate) fn contents(questions: &[Candidate], store: &[Image], push: bool) -> Vec<Reference> {
    let shelf = Shelf::new(store);
    let mut wanted = Vec::new();
    for question in questions.iter().filter(|q| q.repository.host().is_some()) {
        let content = question.content();
        if push {
            wanted.push(content);
            wanted.extend(question.moving.clone());
        } else if !question.forced && shelf.usable(&content, &question.recipe).is_none() {
            wanted.push(content);
        }
    }
    wanted
}

/// Tags whose image may save steps of what is built: of images that this
/// engine never saw, since importing what it has itself costs and saves
/// nothing.
pub(crate) fn candidates(questions: &[Candidate], store: &[Image], remote: &Remote) -> Vec<Reference> {
    if questions.iter().all(|question| question.caches.is_empty()) {
        return Vec::new();
    }
    let shelf = Shelf::new(store);
    let plan = decide::plan(questions.to_vec(), store, remote, &Memory::new());
    let asked: Vec<_> = plan.builds().map(|at| &questions[at]).collect();
    let new = asked.into_iter().filter(|q| !shelf.has_any_of(&q.repository));
    new.flat_map(|question| question.caches.clone()).collect()
}

/// The candidates that are there, best first, each content once.
pub(super) fn caches(question: &Candidate, shelf: &Shelf<'_>, remote: &Remote) -> Vec<Reference> {
    if shelf.has_any_of(&question.repository) {
        return Vec::new();
    }
    let mut seen = Vec::new();
    let fresh = |reference: &&Reference| match remote.digest(reference) {
        Some(digest) if !seen.contains(&digest) => {
            seen.push(digest);
            true
        }
        _ => false,
    };
    question.caches.iter().filter(fresh).cloned().collect()
}
