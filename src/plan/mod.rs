//! What will be done, and why, as data.
//!
//! Deciding is a pure function of the graph, each image's recipe, what the
//! engine has and what registries have; [`observe`] and [`run`] do the reading.
//! Printing a plan is its `Display`; carrying it out is `build`'s business,
//! which decides nothing again.

mod build_args;
pub(crate) mod candidate;
pub(crate) mod decide;
pub(crate) mod history;
pub(crate) mod impact;
pub(crate) mod observe;
pub(crate) mod pins;
pub(crate) mod registries;
mod run;
pub(crate) mod schedule;
mod selection;
pub(crate) mod since;
#[cfg(test)]
mod tests;
pub(crate) mod update;
pub(crate) mod why;

pub(crate) use build_args::warnings as build_arg_warnings;
pub(crate) use candidate::{image_labels, recipes};
pub(crate) use run::{Context, Error, PlannedRun, plan};
pub(crate) use selection::{Selected, Selection, SelectionError, SelectionRequest};

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};

use crate::image::recipe::{IngredientChange, Recipe};
use crate::model::labels;
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::{Reference, Repository};

/// Everything a run will do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The selected images, parents before children.
    pub(crate) images: Vec<Planned>,
    /// Tags that move when the images they wait for are done: those that are
    /// not where they should be yet.
    pub(crate) tags: Vec<TagMove>,
    /// Tags in registries that move then, too.
    pub(crate) registry_tags: Vec<TagMove>,
}

/// One image of a plan.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) name: NodeName,
    /// A person's, not shared: nobody else waits for it.
    pub(crate) is_project: bool,
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
    /// on the engine. Never what was pulled, and never over what is there.
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
    /// Up to date in its registry, and pulled, since these are built on it or
    /// the engine has another image of the recipe.
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
    /// The registry has another image of what it is based on, and that one
    /// counts.
    BaseReplaced { parent: NodeName },
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
        self.images.iter().enumerate().filter(|(_, i)| i.push).map(|(at, _)| at)
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

    /// Whether an image with these labels is of this very recipe.
    pub(crate) fn is_recipe_of(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(labels::RECIPE.name).is_some_and(|recipe| *recipe == self.recipe.digest().to_string())
    }

    /// Where its tags are.
    pub(crate) fn repository(&self) -> Repository {
        self.content.repository()
    }
}

impl Action {
    /// In a few words, for a graph: the first reason, and how many more.
    fn state(&self) -> String {
        match self {
            Self::Keep(Location::Engine(_)) => "up to date".to_owned(),
            Self::Keep(Location::Registry(_)) | Self::Fetch { .. } => "in the registry".to_owned(),
            Self::Build(reasons) => match reasons.as_slice() {
                [] => String::new(),
                [one] => one.to_string(),
                [first, more @ ..] => format!("{first}, and {} more", more.len()),
            },
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed(changed) => changed.fmt(f),
            Self::ParentRebuilt { parent } => write!(f, "{parent} is rebuilt"),
            Self::BaseReplaced { parent } => {
                write!(f, "it is based on another image of {parent} than the one in the registry")
            }
            Self::RulesChanged { old, new } => {
                write!(f, "built by the rules of version {old}, which are now {new}")
            }
            Self::NeverBuilt => f.write_str("never built"),
            Self::Evicted => f.write_str("was built, and is gone from the engine"),
            Self::TestsFailed { test } => write!(f, "the last build did not pass: {test}"),
            Self::Forced => f.write_str("asked for"),
        }
    }
}

impl fmt::Display for Plan {
    /// One line an image: what is done, its name, why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.images.iter().map(|i| i.name.as_str().len()).max().unwrap_or(0);
        for image in &self.images {
            let mut line =
                |verb: &str, what: &dyn fmt::Display| writeln!(f, "{verb:5}  {:width$}  {what}", image.name);
            match &image.action {
                Action::Keep(Location::Engine(_)) => line("keep", &"up to date")?,
                Action::Keep(Location::Registry(_)) => line("keep", &"in the registry")?,
                Action::Fetch { needed_by, .. } if needed_by.is_empty() => {
                    line("pull", &"the registry has another image of this recipe, which counts")?;
                }
                Action::Fetch { needed_by, .. } => line("pull", &format!("needed by {}", listed(needed_by)))?,
                Action::Build(reasons) => {
                    for (at, reason) in reasons.iter().enumerate() {
                        let (verb, name) = if at == 0 { ("build", image.name.as_str()) } else { ("", "") };
                        writeln!(f, "{verb:5}  {name:width$}  {reason}")?;
                    }
                    if let Some(failure) = &image.last_failure {
                        writeln!(f, "{:5}  {:width$}  the last try failed: {failure}", "", "")?;
                    }
                }
            }
        }
        for at in self.pushes() {
            writeln!(f, "push   {:width$}  {}", self.images[at].name, self.images[at].content)?;
        }
        for tag in &self.tags {
            writeln!(f, "tag    {:width$}  {}", self.images[tag.image].name, tag.tag)?;
        }
        for tag in &self.registry_tags {
            writeln!(f, "tag    {:width$}  {} in the registry", self.images[tag.image].name, tag.tag)?;
        }
        Ok(())
    }
}

impl Plan {
    /// The plan as data: `{images: […], tags: […]}`.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "images": self.images.iter().map(Planned::to_json).collect::<Vec<_>>(),
            "tags": self.moves(&self.tags),
            "registry_tags": self.moves(&self.registry_tags),
        })
    }

    fn moves(&self, tags: &[TagMove]) -> Vec<Value> {
        let image = |t: &TagMove| &self.images[t.image].name;
        tags.iter().map(|t| json!({ "image": image(t), "tag": t.tag })).collect()
    }
}

fn listed(names: &[NodeName]) -> String {
    names.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

impl Planned {
    fn to_json(&self) -> Value {
        let (action, reasons) = match &self.action {
            Action::Keep(_) => ("keep", &[][..]),
            Action::Fetch { .. } => ("fetch", &[][..]),
            Action::Build(reasons) => ("build", reasons.as_slice()),
        };
        let needed_by = match &self.action {
            Action::Fetch { needed_by, .. } => needed_by.as_slice(),
            _ => &[],
        };
        json!({
            "name": self.name,
            "action": action,
            "reasons": reasons,
            "last_failure": self.last_failure,
            "recipe": self.recipe.digest().to_string(),
            "content_tag": self.content,
            "image_id": self.present,
            "registry_digest": self.remote,
            "needed_by": needed_by,
            "push": self.push,
            "cache_from": self.cache_from,
        })
    }
}
