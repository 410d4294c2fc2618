//! Keeps, fetches or builds: the decision for each image, parents first.

use super::memory::{Memory, Recall};
use super::reasons::reasons;
use super::remote::{self, Remote};
use super::shelf::Shelf;
use super::{Action, Plan, Planned, Reason, TagMove, Where};
use crate::engine::Image;
use crate::image::recipe::Recipe;
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::{Reference, Repository};
use crate::model::tags;

/// One selected image, before it is decided what to do with it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) name: NodeName,
    pub(crate) repository: Repository,
    pub(crate) recipe: Recipe,
    /// Positions of the images it stands on or copies from; all smaller.
    pub(crate) parents: Vec<usize>,
    /// Build it whether it is up to date or not.
    pub(crate) forced: bool,
    /// The branch tag or `latest`, to be put on it when all is done.
    pub(crate) moving: Option<Reference>,
    /// Tags in its registry that may hold steps of it, best first.
    pub(crate) caches: Vec<Reference>,
}

impl Candidate {
    /// Its content tag.
    pub(crate) fn content(&self) -> Reference {
        self.repository.with_tag(&tags::content_tag(self.recipe.digest().as_str()))
    }
}

/// Decides for every image. `store` is the engine's list of images, `remote`
/// what registries have; causes propagate to children, since parents come
/// first. `memory` only explains.
pub(crate) fn plan(questions: Vec<Candidate>, store: &[Image], remote: &Remote, memory: &Memory) -> Plan {
    let (shelf, nothing) = (Shelf::new(store), Recall::default());
    let mut images: Vec<Planned> = Vec::with_capacity(questions.len());
    let mut moving = Vec::with_capacity(questions.len());
    for (position, question) in questions.into_iter().enumerate() {
        moving.push(question.moving.clone());
        let recall = memory.get(&position).unwrap_or(&nothing);
        let decided = decided(&question, &images, &shelf, remote, recall);
        images.push(planned(question, decided, &shelf, remote, recall));
    }
    fetch_what_builds_stand_on(&mut images, remote);
    let mut plan = Plan { images, tags: Vec::new(), registry_tags: Vec::new() };
    for (image, tag) in moving.into_iter().enumerate() {
        let Some(tag) = tag else { continue };
        if moves_here(&plan.images[image], &tag, &shelf) {
            plan.tags.push(TagMove { image, tag: tag.clone() });
        }
        if moves_there(&plan.images[image], &tag, remote) {
            plan.registry_tags.push(TagMove { image, tag });
        }
    }
    plan
}

/// What is done with one image, and where it is now.
struct Decided {
    content: Reference,
    action: Action,
    present: Option<ImageId>,
}

fn decided(
    question: &Candidate,
    above: &[Planned],
    shelf: &Shelf<'_>,
    remote: &Remote,
    recall: &Recall,
) -> Decided {
    let content = question.content();
    let present = shelf.usable(&content, &question.recipe);
    let there = remote.digest(&content);
    let reasons = match (present, there) {
        (None, Some(_)) => causes(question, above),
        _ => reasons(question, present, above, shelf, recall),
    };
    let action = match (present, there) {
        (Some(image), _) if reasons.is_empty() => Action::Keep(Where::Engine(image.id.clone())),
        (None, Some(digest)) if reasons.is_empty() => Action::Keep(Where::Registry(digest.to_owned())),
        _ => Action::Build(reasons),
    };
    Decided { present: present.map(|image| image.id.clone()), content, action }
}

fn planned(
    question: Candidate,
    decided: Decided,
    shelf: &Shelf<'_>,
    remote: &Remote,
    recall: &Recall,
) -> Planned {
    let Decided { content, action, present } = decided;
    let builds = matches!(action, Action::Build(_));
    let there = remote.digest(&content);
    Planned {
        push: remote.push && question.repository.host().is_some() && (builds || there.is_none()),
        cache_from: if builds { remote::caches(&question, shelf, remote) } else { Vec::new() },
        last_failure: recall.last_failure(&question.recipe),
        remote: there.map(str::to_owned),
        name: question.name,
        recipe: question.recipe,
        parents: question.parents,
        present,
        content,
        action,
    }
}

/// Why an image is built that its registry has: nothing about itself.
fn causes(question: &Candidate, above: &[Planned]) -> Vec<Reason> {
    let rebuilt = question.parents.iter().map(|&p| &above[p]).filter(|p| p.reasons().is_some());
    let rebuilt = rebuilt.map(|parent| Reason::ParentRebuilt { parent: parent.name.clone() });
    question.forced.then_some(Reason::Forced).into_iter().chain(rebuilt).collect()
}

/// What only a registry has is pulled where something built here stands on
/// it, and else left there.
fn fetch_what_builds_stand_on(images: &mut [Planned], remote: &Remote) {
    let mut needed: Vec<Vec<NodeName>> = vec![Vec::new(); images.len()];
    for image in images.iter().filter(|image| image.reasons().is_some()) {
        for &parent in &image.parents {
            needed[parent].push(image.name.clone());
        }
    }
    for (image, by) in images.iter_mut().zip(needed) {
        if let (Action::Keep(Where::Registry(digest)), false) = (&image.action, by.is_empty()) {
            image.action = Action::Fetch { digest: digest.clone(), needed_by: by };
            // What cannot be used and is built instead takes its place there.
            image.push = remote.push;
        }
    }
}

/// Whether a tag on the engine is to be put on the image: not on one that the
/// engine has not, and not where it stands already.
fn moves_here(image: &Planned, tag: &Reference, shelf: &Shelf<'_>) -> bool {
    match &image.action {
        Action::Keep(Where::Engine(id)) => shelf.by_tag(tag).is_none_or(|standing| standing.id != *id),
        Action::Keep(Where::Registry(_)) => false,
        Action::Fetch { .. } | Action::Build(_) => true,
    }
}

/// Whether a tag in the image's registry is to be put on it.
fn moves_there(image: &Planned, tag: &Reference, remote: &Remote) -> bool {
    let stands = image.remote.is_some() && remote.digest(tag) == image.remote.as_deref();
    remote.push && image.repository().host().is_some() && (image.is_sent() || !stands)
}
