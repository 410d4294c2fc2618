//! What is known of earlier builds: from the labels of the last image, and
//! from records that the edge read. Plain data.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::decide::Candidate;
use super::shelf::Shelf;
use crate::dockerfile::context::Listing;
use crate::engine::Image;
use crate::image::recipe::{Ingredient, IngredientDigests, NextBuild, PreviousBuild, Recipe, RecipeRecord};
use crate::model::digest::Digest;
use crate::model::labels::{self, LabelCarrier};
use crate::plan::records::{Ended, Record};

/// By position of the question. Missing: nothing but the engine's images is
/// known.
pub(crate) type Memory = HashMap<usize, Recall>;

/// What the edge knows of one image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recall {
    /// Tries, oldest first.
    pub(crate) tries: Vec<Record>,
    /// The last build, with all that is known of it.
    pub(crate) last: Option<Built>,
    /// What its context holds now, if that changed.
    pub(crate) files: Option<Listing>,
    /// The Dockerfile's text now, masked, if that changed.
    pub(crate) dockerfile: Option<String>,
}

/// An earlier build of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Built {
    /// Recipe digest.
    pub(crate) recipe: String,
    /// Version of the rules; `None`: it is not said.
    pub(crate) scheme: Option<u32>,
    pub(crate) digests: IngredientDigests,
    pub(crate) fields: Option<RecipeRecord>,
    pub(crate) files: Option<Arc<Listing>>,
    /// The Dockerfile's text, masked.
    pub(crate) dockerfile: Option<String>,
}

impl Built {
    /// What the labels of an image of ours say; `None`: it is none.
    pub(crate) fn of_image(labels: &BTreeMap<String, String>) -> Option<Self> {
        let mut built = Self::of_container(labels)?;
        if let Some(fields) = &mut built.fields {
            fields.supply(Ingredient::Labels, own_labels(labels));
        }
        Some(built)
    }

    /// What the labels say that a container has from its image. Some of the
    /// image's are overridden there, so the labels themselves are not known.
    pub(crate) fn of_container(labels: &BTreeMap<String, String>) -> Option<Self> {
        let label = |key: &labels::Key| labels.get(key.name).map(String::as_str);
        let record = label(&labels::RECORD).and_then(RecipeRecord::from_label);
        let (fields, files) = record.map_or((None, None), |(written, files)| (Some(written), files));
        Some(Self {
            recipe: label(&labels::RECIPE)?.to_owned(),
            scheme: label(&labels::SCHEME).and_then(|scheme| scheme.parse().ok()),
            digests: label(&labels::INGREDIENTS).and_then(IngredientDigests::parse).unwrap_or_default(),
            fields,
            files: files.map(Arc::new),
            dockerfile: None,
        })
    }

    /// What a record says.
    pub(crate) fn of_record(record: &Record) -> Self {
        Self {
            recipe: record.recipe.clone(),
            scheme: Some(record.scheme),
            digests: IngredientDigests::parse(&record.ingredients).unwrap_or_default(),
            fields: Some(record.written.clone()),
            files: None,
            dockerfile: record.dockerfile.clone(),
        }
    }

    /// As the side before of a comparison.
    pub(crate) fn before(&self) -> PreviousBuild<'_> {
        PreviousBuild {
            digests: Some(&self.digests),
            fields: self.fields.as_ref(),
            files: self.files.as_deref(),
            dockerfile: self.dockerfile.as_deref(),
        }
    }

    /// Whether an ingredient is as it was.
    pub(crate) fn has_same(&self, ingredient: Ingredient, ingredient_digests: &IngredientDigests) -> bool {
        self.digests.get(ingredient.name()) == ingredient_digests.get(ingredient.name())
    }
}

impl Recall {
    /// As the side after of a comparison.
    pub(crate) fn now<'a>(&'a self, recipe: &'a Recipe) -> NextBuild<'a> {
        NextBuild { recipe, files: self.files.as_ref(), dockerfile: self.dockerfile.as_deref() }
    }

    /// The last try of this very recipe.
    pub(crate) fn last_try(&self, recipe: &str) -> Option<&Record> {
        self.tries.iter().rev().find(|record| record.recipe == recipe)
    }

    /// How the last try of this very recipe failed at a step.
    pub(crate) fn last_failure(&self, recipe: &Recipe) -> Option<String> {
        if self.tries.is_empty() {
            return None;
        }
        match &self.last_try(recipe.digest().as_str())?.ended {
            Ended::Failed { message } => Some(message.clone()),
            _ => None,
        }
    }

    /// Whether this very recipe was built once.
    pub(crate) fn was_built(&self, recipe: &str) -> bool {
        self.tries.iter().any(|record| record.recipe == recipe && matches!(record.ended, Ended::Built { .. }))
    }
}

/// A question whose answer needs more than the engine's images.
#[derive(Clone, Debug)]
pub(crate) struct Absent {
    /// Of the question.
    pub(crate) position: usize,
    /// What the last image says of its build.
    pub(crate) last: Option<Built>,
}

/// The questions whose image is not there, in order.
pub(crate) fn absent(questions: &[Candidate], store: &[Image]) -> Vec<Absent> {
    let content = |(at, question): (usize, &Candidate)| {
        (question.content().to_string(), (at, question.recipe.digest().clone()))
    };
    let contents: HashMap<String, (usize, Digest)> = questions.iter().enumerate().map(content).collect();
    let mut there = vec![false; questions.len()];
    for image in store {
        for tag in &image.tags {
            if let Some((at, recipe)) = contents.get(&tag.to_string()) {
                there[*at] |= image.labels.get(labels::RECIPE.name).is_some_and(|r| r == recipe.as_str());
            }
        }
    }
    if there.iter().all(|there| *there) {
        return Vec::new();
    }
    let shelf = Shelf::new(store);
    let missing = there.iter().enumerate().filter(|(_, there)| !**there);
    let absent = |(position, _): (usize, &bool)| {
        let last = shelf.last_of(&questions[position]).and_then(|image| Built::of_image(&image.labels));
        Absent { position, last }
    };
    missing.map(absent).collect()
}

/// The labels of an image that its recipe counts.
fn own_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let written = |name: &str| labels::key(name).is_some_and(|key| key.on != LabelCarrier::Container);
    let own = labels.iter().filter(|(name, _)| written(name) && crate::image::recipe::counts(name));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}
