//! What will be done, and why, as data.
//!
//! Deciding is a pure function of the graph, each image's recipe, what the
//! engine has and what registries have; [`observe`] and [`run`] do the reading.
//! Printing a plan is its `Display`; carrying it out is `build`'s business,
//! which decides nothing again.

pub(crate) mod candidate;
pub(crate) mod decide;
pub(crate) mod history;
pub(crate) mod impact;
pub(crate) mod observe;
pub(crate) mod pins;
pub(crate) mod registries;
mod run;
pub(crate) mod schedule;
mod show;
pub(crate) mod since;
pub(crate) mod update;
pub(crate) mod why;

pub(crate) use candidate::{Selection, image_labels, recipes};
pub(crate) use run::{Context, Error, PlannedRun, plan, plan_snapshot};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::image::recipe::{IngredientChange, Recipe};
use crate::model::labels;
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::{Reference, Repository};

/// Everything a run will do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The selected images, parents before children.
    pub(crate) images: Vec<Planned>,
    /// Tags that move when every selected image is done: those that are not
    /// where they should be yet.
    pub(crate) tags: Vec<TagMove>,
    /// Tags in registries that move then, too.
    pub(crate) registry_tags: Vec<TagMove>,
}

/// One image of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) name: NodeName,
    pub(crate) recipe: Recipe,
    /// Its content tag, `<repository>:r-<16 hex>`.
    pub(crate) content: Reference,
    /// The image that carries the content tag now.
    pub(crate) present: Option<ImageId>,
    /// Positions in the plan of the images it is based on or copies from.
    pub(crate) parents: Vec<usize>,
    pub(crate) action: Action,
    /// The digest of its content tag in its registry, if that was asked for
    /// and is there.
    pub(crate) remote: Option<String>,
    /// Its content tag is sent to its registry: once it is built, or as it is
    /// on the engine. Never what was pulled.
    pub(crate) push: bool,
    /// Images in its registry that may save steps of its build, best first.
    pub(crate) cache_from: Vec<Reference>,
    /// How the last try of this very recipe failed at a step.
    pub(crate) last_failure: Option<String>,
}

/// What is done with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Up to date.
    Keep(Location),
    /// Up to date in its registry, and pulled, since these are built on it.
    Fetch { digest: String, needed_by: Vec<NodeName> },
    /// Built, for these reasons; there is at least one.
    Build(Vec<Reason>),
}

/// Where an image that is up to date was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// On the engine; a registry may have it, too.
    Engine(ImageId),
    /// In its registry alone, by this digest. It stays there.
    Registry(String),
}

/// Why an image is built. Short digests are 12 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub(crate) enum Reason {
    /// An ingredient of the recipe is not what the last build had.
    Changed(IngredientChange),
    /// The last build counted by other rules, so that ingredients cannot be
    /// compared.
    RulesChanged { old: u32, new: u32 },
    /// What it is based on is built in this run.
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
pub(crate) struct TagMove {
    /// Position in [`Plan::images`].
    pub(crate) image: usize,
    pub(crate) tag: Reference,
}

impl Plan {
    /// Positions of the images to build.
    pub(crate) fn builds(&self) -> impl Iterator<Item = usize> {
        self.images.iter().enumerate().filter(|(_, i)| i.reasons().is_some()).map(|(at, _)| at)
    }

    /// Positions of all images that a run does something about before tags
    /// move: builds, fetches and pushes.
    pub(crate) fn work(&self) -> impl Iterator<Item = usize> {
        let at_rest = |i: &Planned| matches!(i.action, Action::Keep(_)) && !i.push;
        self.images.iter().enumerate().filter(move |(_, i)| !at_rest(i)).map(|(at, _)| at)
    }

    /// Positions of the images that are pulled.
    pub(crate) fn fetches(&self) -> impl Iterator<Item = usize> {
        let fetched = |i: &Planned| matches!(i.action, Action::Fetch { .. });
        self.images.iter().enumerate().filter(move |(_, i)| fetched(i)).map(|(at, _)| at)
    }

    /// Positions of the images whose content tag is sent to a registry.
    pub(crate) fn pushes(&self) -> impl Iterator<Item = usize> {
        self.images.iter().enumerate().filter(|(_, i)| i.is_sent()).map(|(at, _)| at)
    }

    /// True when a run would change nothing.
    pub(crate) fn is_noop(&self) -> bool {
        self.work().next().is_none() && self.tags.is_empty() && self.registry_tags.is_empty()
    }
}

impl Planned {
    /// Why it is built; `None`: it is kept or fetched.
    pub(crate) fn reasons(&self) -> Option<&[Reason]> {
        match &self.action {
            Action::Keep(_) | Action::Fetch { .. } => None,
            Action::Build(reasons) => Some(reasons),
        }
    }

    /// Whether the plan means to send it to its registry.
    pub(crate) fn is_sent(&self) -> bool {
        self.push && !matches!(self.action, Action::Fetch { .. })
    }

    /// Whether an image with these labels is of this very recipe.
    pub(crate) fn is_recipe_of(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(labels::RECIPE.name).is_some_and(|recipe| *recipe == self.recipe.digest().to_string())
    }

    /// Where its tags are.
    pub(crate) fn repository(&self) -> Repository {
        self.content.repository()
    }
}
