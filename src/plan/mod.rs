//! What will be done, and why, as data.
//!
//! A pure function of the graph, each image's recipe, what the engine has and
//! what registries have.
//! Printing a plan is its `Display`; carrying it out is `build`'s business,
//! which decides nothing again.

mod decide;
pub mod impact;
mod memory;
pub mod observe;
mod questions;
mod reasons;
pub mod recipes;
pub mod records;
pub mod remote;
pub mod schedule;
mod shelf;
mod show;
pub mod since;
pub mod why;

pub use decide::{Candidate, plan};
pub use memory::{Absent, Built, Memory, Recall, absent};
pub use questions::{Selection, questions};
pub use remote::Remote;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::image::recipe::{Changed, Recipe};
use crate::model::labels;
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::{Reference, Repository};

/// Everything a run will do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The selected images, parents before children.
    pub images: Vec<Planned>,
    /// Tags that move when every selected image is done: those that do not
    /// stand where they should yet.
    pub tags: Vec<TagMove>,
    /// Tags in registries that move then, too.
    pub registry_tags: Vec<TagMove>,
}

/// One image of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    pub name: NodeName,
    pub recipe: Recipe,
    /// Its content tag, `<repository>:r-<16 hex>`.
    pub content: Reference,
    /// The image that carries the content tag now.
    pub present: Option<ImageId>,
    /// Positions in the plan of the images it stands on or copies from.
    pub parents: Vec<usize>,
    pub action: Action,
    /// The digest of its content tag in its registry, if that was asked for
    /// and is there.
    pub remote: Option<String>,
    /// Its content tag is sent to its registry: once it is built, or as it is
    /// on the engine. Never what was pulled.
    pub push: bool,
    /// Images in its registry that may save steps of its build, best first.
    pub cache_from: Vec<Reference>,
    /// How the last try of this very recipe failed at a step.
    pub last_failure: Option<String>,
}

/// What is done with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Up to date.
    Keep(Where),
    /// Up to date in its registry, and pulled, since these are built on it.
    Fetch { digest: String, needed_by: Vec<NodeName> },
    /// Built, for these reasons; there is at least one.
    Build(Vec<Reason>),
}

/// Where an image that is up to date was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// On the engine; a registry may have it, too.
    Engine(ImageId),
    /// In its registry alone, by this digest. It stays there.
    Registry(String),
}

/// Why an image is built. Short digests are 12 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// An ingredient of the recipe is not what the last build had.
    Changed(Changed),
    /// The last build counted by other rules, so that ingredients cannot be
    /// compared.
    RulesChanged { old: u32, new: u32 },
    /// What it stands on is built in this run.
    ParentRebuilt { parent: NodeName },
    /// Nothing is known of an image of this name.
    NeverBuilt,
    /// It was built from this very recipe, and its content tag is gone.
    Evicted,
    /// It was built from this very recipe, and a check of the image failed.
    TestsFailed { test: String },
    /// Asked for.
    Forced,
}

/// A tag to put on an image of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagMove {
    /// Position in [`Plan::images`].
    pub image: usize,
    pub tag: Reference,
}

impl Plan {
    /// Positions of the images to build.
    pub fn builds(&self) -> impl Iterator<Item = usize> {
        self.images.iter().enumerate().filter(|(_, i)| i.reasons().is_some()).map(|(at, _)| at)
    }

    /// Positions of all images that a run does something about before tags
    /// move: builds, fetches and pushes.
    pub fn work(&self) -> impl Iterator<Item = usize> {
        let at_rest = |i: &Planned| matches!(i.action, Action::Keep(_)) && !i.push;
        self.images.iter().enumerate().filter(move |(_, i)| !at_rest(i)).map(|(at, _)| at)
    }

    /// Positions of the images that are pulled.
    pub fn fetches(&self) -> impl Iterator<Item = usize> {
        let fetched = |i: &Planned| matches!(i.action, Action::Fetch { .. });
        self.images.iter().enumerate().filter(move |(_, i)| fetched(i)).map(|(at, _)| at)
    }

    /// Positions of the images whose content tag is sent to a registry.
    pub fn pushes(&self) -> impl Iterator<Item = usize> {
        self.images.iter().enumerate().filter(|(_, i)| i.is_sent()).map(|(at, _)| at)
    }

    /// True when a run would change nothing.
    pub fn is_noop(&self) -> bool {
        self.work().next().is_none() && self.tags.is_empty() && self.registry_tags.is_empty()
    }
}

impl Planned {
    /// Why it is built; `None`: it is kept or fetched.
    pub fn reasons(&self) -> Option<&[Reason]> {
        match &self.action {
            Action::Keep(_) | Action::Fetch { .. } => None,
            Action::Build(reasons) => Some(reasons),
        }
    }

    /// Whether the plan means to send it to its registry.
    pub fn is_sent(&self) -> bool {
        self.push && !matches!(self.action, Action::Fetch { .. })
    }

    /// Whether an image with these labels is of this very recipe.
    pub fn is_recipe_of(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(labels::RECIPE.name).is_some_and(|recipe| *recipe == self.recipe.digest().to_string())
    }

    /// Where its tags stand.
    pub fn repository(&self) -> Repository {
        self.content.repository()
    }
}

#[cfg(test)]
mod tests;
