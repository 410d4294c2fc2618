//! Keeps, fetches or builds: the decision for each image, parents first, and
//! the reasons for it.
//!
//! An image's own reasons are found without its parents; only then what a
//! parent's reasons say better is taken out, and the parent named. Pure: what
//! the engine and registries have is given to it.

use super::candidate::Candidate;
use super::history::{BuildHistory, BuildResult, EarlierBuild, Histories};
use super::registries::RegistryTags;
use super::{Action, Location, Plan, Planned, Reason, TagMove};
use crate::engine::{Image, ImageIndex};
use crate::image::recipe::{self, Ingredient};
use crate::model::labels;
use crate::model::names::NodeName;
use crate::model::reference::Reference;

/// Decides for every image. `images` are the engine's, `tags` what registries
/// have; causes propagate to children, since parents come first. `histories`
/// only explain.
pub(crate) fn decide(
    candidates: Vec<Candidate>,
    images: &ImageIndex<'_>,
    tags: &RegistryTags,
    histories: &Histories,
) -> Plan {
    let unknown = BuildHistory::default();
    let mut plan = Plan { images: Vec::with_capacity(candidates.len()), ..Plan::default() };
    let moving: Vec<_> = candidates.iter().map(|candidate| candidate.moving.clone()).collect();
    for (position, candidate) in candidates.into_iter().enumerate() {
        let history = histories.get(&position).unwrap_or(&unknown);
        plan.images.push(planned(candidate, &plan.images, images, tags, history));
    }
    fetch_bases_of_builds(&mut plan.images);
    for (at, tag) in moving.into_iter().enumerate() {
        let Some(tag) = tag else { continue };
        if moves_on_engine(&plan.images[at], &tag, images) {
            plan.tags.push(TagMove { image: at, tag: tag.clone() });
        }
        if moves_in_registry(&plan.images[at], &tag, tags) {
            plan.registry_tags.push(TagMove { image: at, tag });
        }
    }
    plan
}

/// What is done with one image, and where it is now.
fn planned(
    candidate: Candidate,
    above: &[Planned],
    images: &ImageIndex<'_>,
    tags: &RegistryTags,
    history: &BuildHistory,
) -> Planned {
    let content = candidate.content();
    let present = candidate.present(images);
    let remote = tags.digest(&content).map(str::to_owned);
    // The first in the registry counts for everybody, also where this engine
    // has built another image of the recipe.
    let is_theirs = |image: &&Image| {
        let Some(digest) = &remote else { return true };
        let known = images.by_name(&candidate.repository.with_digest(digest));
        known.is_some_and(|known| known.id == image.id)
    };
    let here = present.filter(is_theirs);
    let reasons = match (here, &remote) {
        // Nothing about the image itself: its registry has it.
        (None, Some(_)) => forced(&candidate).into_iter().chain(rebuilt_parents(&candidate, above)).collect(),
        (Some(image), None) if tags.push && candidate.repository.host().is_some() => {
            let mut reasons = reasons(&candidate, here, above, images, history);
            reasons.extend(replaced_base(image, &candidate, above).filter(|_| reasons.is_empty()));
            reasons
        }
        _ => reasons(&candidate, here, above, images, history),
    };
    let action = match (here, &remote) {
        (Some(image), _) if reasons.is_empty() => Action::Keep(Location::Engine(image.id.clone())),
        (None, Some(digest)) if reasons.is_empty() => match present {
            Some(_) => Action::Fetch { digest: digest.clone(), needed_by: Vec::new() },
            None => Action::Keep(Location::Registry(digest.clone())),
        },
        _ => Action::Build(reasons),
    };
    let builds = matches!(action, Action::Build(_));
    // Importing what the engine has itself costs and saves nothing.
    let imports = builds && images.in_repository(&candidate.repository).is_empty();
    Planned {
        push: tags.push && candidate.repository.host().is_some() && (builds || remote.is_none()),
        cache_from: if imports { candidate.caches } else { Vec::new() },
        last_failure: history.last_failure(&candidate.recipe),
        is_project: candidate.is_project,
        name: candidate.name,
        recipe: candidate.recipe,
        parents: candidate.parents,
        present: present.map(|image| image.id.clone()),
        content,
        action,
        remote,
    }
}

fn forced(candidate: &Candidate) -> Option<Reason> {
    candidate.forced.then_some(Reason::Forced)
}

fn rebuilt_parents(candidate: &Candidate, above: &[Planned]) -> impl Iterator<Item = Reason> {
    let rebuilt = candidate.parents.iter().map(|&p| &above[p]).filter(|p| p.reasons().is_some());
    rebuilt.map(|parent| Reason::ParentRebuilt { parent: parent.name.clone() })
}

/// An image that was not sent yet, on another image of its parent's recipe
/// than the one that the registry has.
fn replaced_base(image: &Image, candidate: &Candidate, above: &[Planned]) -> Option<Reason> {
    let (name, digest) =
        (image.labels.get(labels::BASE_NAME.name)?, image.labels.get(labels::BASE_DIGEST.name)?);
    let parents = candidate.parents.iter().map(|&parent| &above[parent]);
    let base =
        parents.filter(|p| p.repository().host().is_some()).find(|p| p.content.to_string() == *name)?;
    let is_other = match &base.action {
        Action::Keep(Location::Engine(id)) => id.as_str() != digest,
        // It takes the place of the one that this image is based on.
        Action::Fetch { .. } => base.present.as_ref().is_some_and(|id| id.as_str() == digest),
        Action::Keep(Location::Registry(_)) | Action::Build(_) => false,
    };
    is_other.then(|| Reason::BaseReplaced { parent: base.name.clone() })
}

/// All reasons to build it; none: it is kept.
fn reasons(
    candidate: &Candidate,
    present: Option<&Image>,
    above: &[Planned],
    images: &ImageIndex<'_>,
    history: &BuildHistory,
) -> Vec<Reason> {
    let mut reasons = Vec::from_iter(forced(candidate));
    if present.is_none() {
        reasons.extend(missing(candidate, images, history));
    }
    if reasons.contains(&Reason::NeverBuilt) {
        return reasons;
    }
    let rebuilt: Vec<_> =
        candidate.parents.iter().map(|&p| &above[p]).filter(|p| p.reasons().is_some()).collect();
    if !rebuilt.is_empty() {
        reasons = reasons.into_iter().filter_map(|reason| without(reason, &rebuilt)).collect();
    }
    reasons.extend(rebuilt_parents(candidate, above));
    reasons
}

/// Why there is no image of this recipe.
fn missing(candidate: &Candidate, images: &ImageIndex<'_>, history: &BuildHistory) -> Vec<Reason> {
    let recipe = candidate.recipe.digest().as_str();
    let is_there = |image: &&Image| image.labels.get(labels::RECIPE.name).is_some_and(|r| r == recipe);
    let mut reasons = Vec::new();
    match history.last_try(recipe).map(|record| &record.result) {
        Some(BuildResult::TestFailed { test }) => reasons.push(Reason::TestsFailed { test: test.clone() }),
        _ if history.was_built(recipe)
            || images.in_repository(&candidate.repository).iter().any(is_there) =>
        {
            reasons.push(Reason::Evicted);
        }
        _ => {}
    }
    match history.last.clone().or_else(|| EarlierBuild::on_engine(candidate, images)) {
        Some(last) => reasons.extend(differences(candidate, &last, history)),
        None if reasons.is_empty() => reasons.push(Reason::NeverBuilt),
        None => {}
    }
    // A last build that differs in nothing, and whose digest is another: its
    // own labels cannot be trusted.
    if reasons.is_empty() { vec![Reason::Evicted] } else { reasons }
}

/// What is not as it was in the last build.
fn differences(candidate: &Candidate, last: &EarlierBuild, history: &BuildHistory) -> Vec<Reason> {
    if let Some(old) = last.scheme.filter(|old| *old != recipe::SCHEME) {
        return vec![Reason::RulesChanged { old, new: recipe::SCHEME }];
    }
    let changed = recipe::compare(last.before(), history.now(&candidate.recipe));
    changed.into_iter().map(Reason::Changed).collect()
}

/// A parent's own reasons say more than its new digest or a missing image do.
fn without(reason: Reason, rebuilt: &[&Planned]) -> Option<Reason> {
    let digests: Vec<_> =
        rebuilt.iter().map(|p| Some(format!("recipe:{}", p.recipe.digest().short()))).collect();
    match reason {
        Reason::Changed(mut changed) if changed.ingredient == Ingredient::Base => {
            changed.details.retain(|detail| !digests.contains(&detail.new));
            (!changed.details.is_empty()).then_some(Reason::Changed(changed))
        }
        reason => Some(reason),
    }
}

/// What only a registry has is pulled where something that is built here is
/// based on it, and else left there.
fn fetch_bases_of_builds(images: &mut [Planned]) {
    let mut needed: Vec<Vec<NodeName>> = vec![Vec::new(); images.len()];
    for image in images.iter().filter(|image| image.reasons().is_some()) {
        for &parent in &image.parents {
            needed[parent].push(image.name.clone());
        }
    }
    for (image, by) in images.iter_mut().zip(needed) {
        if let (Action::Keep(Location::Registry(digest)) | Action::Fetch { digest, .. }, false) =
            (&image.action, by.is_empty())
        {
            image.action = Action::Fetch { digest: digest.clone(), needed_by: by };
        }
    }
}

/// Whether a tag on the engine is to be put on the image: not on one that the
/// engine has not, and not where it is already.
fn moves_on_engine(image: &Planned, tag: &Reference, images: &ImageIndex<'_>) -> bool {
    match &image.action {
        Action::Keep(Location::Engine(id)) => images.by_name(tag).is_none_or(|tagged| tagged.id != *id),
        Action::Keep(Location::Registry(_)) => false,
        Action::Fetch { .. } | Action::Build(_) => true,
    }
}

/// Whether a tag in the image's registry is to be put on it.
fn moves_in_registry(image: &Planned, tag: &Reference, tags: &RegistryTags) -> bool {
    let stays = image.remote.is_some() && tags.digest(tag) == image.remote.as_deref();
    tags.push && image.repository().host().is_some() && (image.push || !stays)
}
