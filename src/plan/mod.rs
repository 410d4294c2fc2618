//! What will be done, and why, as data.
//!
//! A pure function of the graph, each image's recipe and what the engine has.
//! Printing a plan is its `Display`; carrying it out is `build`'s business,
//! which decides nothing again.

mod decide;
mod questions;
pub mod recipes;
mod show;

pub use decide::{Question, plan};
pub use questions::{Selection, questions};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::labels;
use crate::names::{ImageId, NodeName};
use crate::recipe::{Changed, Recipe};
use crate::reference::{Reference, Repository};

/// Everything a run will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The selected images, parents before children.
    pub images: Vec<Planned>,
    /// Tags that move when every selected image is done: those that do not
    /// stand where they should yet.
    pub tags: Vec<TagMove>,
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
}

/// What is done with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Up to date.
    Keep(ImageId),
    /// Built, for these reasons; there is at least one.
    Build(Vec<Reason>),
}

/// Why an image is built. Short digests are 12 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// An ingredient of the recipe is not what the last build had.
    Changed(Changed),
    /// What it stands on is built in this run.
    ParentRebuilt { parent: NodeName },
    /// The engine has no image of this name.
    NeverBuilt,
    /// It was built from this very recipe, and its content tag is gone.
    Evicted,
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

    /// True when a run would change nothing.
    pub fn is_noop(&self) -> bool {
        self.builds().next().is_none() && self.tags.is_empty()
    }
}

impl Planned {
    /// Why it is built; `None`: it is kept.
    pub fn reasons(&self) -> Option<&[Reason]> {
        match &self.action {
            Action::Keep(_) => None,
            Action::Build(reasons) => Some(reasons),
        }
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
