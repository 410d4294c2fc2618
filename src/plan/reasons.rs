//! Why an image is built: its own causes, and those of what it stands on.
//!
//! An image's own causes are found without a look at its parents; only then
//! what a parent's causes tell better is taken out, and the parent named.

use super::decide::Candidate;
use super::memory::{Built, Recall};
use super::shelf::Shelf;
use super::{Planned, Reason};
use crate::engine::Image;
use crate::image::recipe::{self, Ingredient, IngredientChange};
use crate::plan::records::Ended;

/// All reasons to build it; none: it is kept.
pub(super) fn reasons(
    question: &Candidate,
    present: Option<&Image>,
    above: &[Planned],
    shelf: &Shelf<'_>,
    recall: &Recall,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if question.forced {
        reasons.push(Reason::Forced);
    }
    if present.is_none() {
        reasons.extend(missing(question, shelf, recall));
    }
    if reasons.contains(&Reason::NeverBuilt) {
        return reasons;
    }
    let parents = question.parents.iter().map(|&p| &above[p]);
    let rebuilt: Vec<_> = parents.filter(|parent| parent.reasons().is_some()).collect();
    if !rebuilt.is_empty() {
        reasons = reasons.into_iter().filter_map(|reason| without(reason, &rebuilt)).collect();
    }
    reasons.extend(rebuilt.into_iter().map(|p| Reason::ParentRebuilt { parent: p.name.clone() }));
    reasons
}

/// Why there is no image of this recipe.
fn missing(question: &Candidate, shelf: &Shelf<'_>, recall: &Recall) -> Vec<Reason> {
    let recipe = question.recipe.digest();
    let mut reasons = Vec::new();
    match recall.last_try(recipe.as_str()).map(|record| &record.ended) {
        Some(Ended::TestFailed { test }) => reasons.push(Reason::TestsFailed { test: test.clone() }),
        _ if recall.was_built(recipe.as_str()) || shelf.has(&question.repository, recipe.as_str()) => {
            reasons.push(Reason::Evicted);
        }
        _ => {}
    }
    let of_shelf = || shelf.last_of(question).and_then(|image| Built::of_image(&image.labels));
    let last = recall.last.clone().or_else(of_shelf);
    match last {
        Some(last) => reasons.extend(differences(question, &last, recall)),
        None if reasons.is_empty() => reasons.push(Reason::NeverBuilt),
        None => {}
    }
    // A last build that differs in nothing, and whose digest is another: its
    // own labels cannot be trusted.
    if reasons.is_empty() { vec![Reason::Evicted] } else { reasons }
}

/// What is not as it was in the last build.
fn differences(question: &Candidate, last: &Built, recall: &Recall) -> Vec<Reason> {
    if let Some(old) = last.scheme.filter(|old| *old != recipe::SCHEME) {
        return vec![Reason::RulesChanged { old, new: recipe::SCHEME }];
    }
    let changed = recipe::compare(last.before(), recall.now(&question.recipe));
    changed.into_iter().map(Reason::Changed).collect()
}

/// A parent's own reasons tell more than its new digest or a missing image do.
fn without(reason: Reason, rebuilt: &[&Planned]) -> Option<Reason> {
    let of_parent = |new: &Option<String>| {
        let told =
            |parent: &&&Planned| Some(format!("recipe:{}", parent.recipe.digest().first(recipe::SHORT)));
        rebuilt.iter().any(|parent| told(&parent) == *new)
    };
    match reason {
        Reason::Changed(IngredientChange { ingredient: Ingredient::Base, old, new, mut details }) => {
            details.retain(|detail| !of_parent(&detail.new));
            let changed = IngredientChange { ingredient: Ingredient::Base, old, new, details };
            (!changed.details.is_empty()).then_some(Reason::Changed(changed))
        }
        reason => Some(reason),
    }
}
