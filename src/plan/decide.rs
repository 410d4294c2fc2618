//! Keeps or builds: the decision for each image, parents first.

use std::collections::HashMap;

use super::{Action, Plan, Planned, Reason, TagMove};
use crate::engine::Image;
use crate::labels;
use crate::names::NodeName;
use crate::recipe::{self, Ingredient, Recipe, Recorded};
use crate::reference::{Reference, Repository};
use crate::tags;

/// One selected image, before it is decided what to do with it.
#[derive(Clone, Debug)]
pub struct Question {
    pub name: NodeName,
    pub repository: Repository,
    pub recipe: Recipe,
    /// Positions of the images it stands on or copies from; all smaller.
    pub parents: Vec<usize>,
    /// Build it whether it is up to date or not.
    pub forced: bool,
    /// The branch tag or `latest`, to be put on it when all is done.
    pub moving: Option<Reference>,
}

/// Decides for every image. `store` is the engine's list of images; causes
/// propagate to children, since parents come first.
pub fn plan(questions: Vec<Question>, store: &[Image]) -> Plan {
    let shelf = Shelf::new(store);
    let mut images: Vec<Planned> = Vec::with_capacity(questions.len());
    let mut tags = Vec::new();
    for question in questions {
        let content = question.repository.with_tag(&tags::content_tag(question.recipe.digest().as_str()));
        let present = shelf.usable(&content, &question.recipe);
        let reasons = reasons(&question, present, &images, &shelf);
        let action = match present {
            Some(image) if reasons.is_empty() => Action::Keep(image.id.clone()),
            _ => Action::Build(reasons),
        };
        let standing = question.moving.as_ref().and_then(|tag| shelf.by_tag(tag));
        let stands = match (&action, standing) {
            (Action::Keep(id), Some(image)) => *id == image.id,
            _ => false,
        };
        if let Some(tag) = question.moving.filter(|_| !stands) {
            tags.push(TagMove { image: images.len(), tag });
        }
        images.push(Planned {
            name: question.name,
            recipe: question.recipe,
            content,
            present: present.map(|i| i.id.clone()),
            parents: question.parents,
            action,
        });
    }
    Plan { images, tags }
}

fn reasons(
    question: &Question,
    present: Option<&Image>,
    above: &[Planned],
    shelf: &Shelf<'_>,
) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if question.forced {
        reasons.push(Reason::Forced);
    }
    let rebuilt: Vec<_> = question.parents.iter().filter(|&&p| above[p].reasons().is_some()).collect();
    if present.is_none() {
        reasons.extend(missing(question, !rebuilt.is_empty(), shelf));
    }
    if reasons.contains(&Reason::NeverBuilt) {
        return reasons;
    }
    reasons.extend(rebuilt.into_iter().map(|&p| Reason::ParentRebuilt { parent: above[p].name.clone() }));
    reasons
}

/// Why there is no image of this recipe: what differs from the last one.
fn missing(question: &Question, parent_rebuilt: bool, shelf: &Shelf<'_>) -> Vec<Reason> {
    let Some(last) = shelf.last_of(&question.repository, question.moving.as_ref()) else {
        return vec![Reason::NeverBuilt];
    };
    let label = last.labels.get(labels::INGREDIENTS.name);
    let recorded = label.and_then(|text| Recorded::parse(text)).unwrap_or_default();
    let changed: Vec<_> = recipe::compare(&recorded, &question.recipe)
        .into_iter()
        // The parent's own reasons tell more than its new digest does.
        .filter(|change| !(parent_rebuilt && change.ingredient == Ingredient::Base))
        .map(Reason::Changed)
        .collect();
    if changed.is_empty() && !parent_rebuilt { vec![Reason::Evicted] } else { changed }
}

/// The engine's images, by what is asked of them.
struct Shelf<'a> {
    by_tag: HashMap<String, &'a Image>,
    by_repository: HashMap<String, Vec<&'a Image>>,
}

impl<'a> Shelf<'a> {
    fn new(store: &'a [Image]) -> Self {
        let mut shelf = Self { by_tag: HashMap::new(), by_repository: HashMap::new() };
        for image in store {
            for tag in &image.tags {
                shelf.by_tag.insert(tag.to_string(), image);
                let repository = tag.repository().as_str().to_owned();
                let shelved = shelf.by_repository.entry(repository).or_default();
                if !shelved.iter().any(|known| known.id == image.id) {
                    shelved.push(image);
                }
            }
        }
        shelf
    }

    fn by_tag(&self, tag: &Reference) -> Option<&'a Image> {
        self.by_tag.get(&tag.to_string()).copied()
    }

    /// A content tag counts only on an image that says it is of this recipe.
    fn usable(&self, content: &Reference, recipe: &Recipe) -> Option<&'a Image> {
        let digest = recipe.digest().to_string();
        self.by_tag(content).filter(|i| i.labels.get(labels::RECIPE.name) == Some(&digest))
    }

    /// What was last built under this name: the image with the moving tag,
    /// else the newest of ours in the repository.
    fn last_of(&self, repository: &Repository, moving: Option<&Reference>) -> Option<&'a Image> {
        let ours = |image: &&Image| image.labels.contains_key(labels::RECIPE.name);
        moving.and_then(|tag| self.by_tag(tag)).filter(ours).or_else(|| {
            let all = self.by_repository.get(repository.as_str())?;
            all.iter().copied().filter(ours).max_by_key(|image| (image.created, &image.id))
        })
    }
}
