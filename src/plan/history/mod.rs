//! What is known of earlier builds: from the labels of the last image, and
//! from the records of earlier runs.
//!
//! Only explains: without it the same images are built, and the reasons say
//! less. Decides nothing.

mod records;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(crate) use records::{BuildResult, MOST_FILES, Record, Records, RunRecord};

use super::candidate::Candidate;
use super::observe::{DockerfileSnapshot, Snapshot};
use crate::dockerfile::context::Listing;
use crate::engine::ImageIndex;
use crate::image::recipe::{
    self, Ingredient, IngredientDigests, NextBuild, PreviousBuild, Recipe, RecipeRecord, masked_text,
};
use crate::model::labels::{self, LabelCarrier};
use crate::spec::graph::NodeId;

/// By position of the candidate. Missing: nothing but the engine's images is
/// known.
pub(crate) type Histories = HashMap<usize, BuildHistory>;

/// What is known of the images that are not on the engine; the others need no
/// reason. `nodes` are the candidates' own.
pub(crate) fn recall(
    records: &Records,
    snapshot: &Snapshot,
    nodes: &[NodeId],
    candidates: &[Candidate],
    images: &ImageIndex<'_>,
) -> Histories {
    let absent = candidates.iter().enumerate().filter(|(_, candidate)| candidate.present(images).is_none());
    let history = |(position, candidate): (usize, &Candidate)| {
        let dockerfile = snapshot.dockerfiles.get(&nodes[position]);
        (position, BuildHistory::of(candidate, records, dockerfile, images))
    };
    absent.map(history).collect()
}

/// What is known of an image's earlier builds.
#[derive(Clone, Debug, Default)]
pub(crate) struct BuildHistory {
    /// Tries, oldest first.
    pub(crate) tries: Vec<Record>,
    /// The last build, with all that is known of it.
    pub(crate) last: Option<EarlierBuild>,
    /// What its context holds now, if that changed.
    pub(crate) files: Option<Listing>,
    /// The Dockerfile's text now, masked, if that changed.
    pub(crate) dockerfile: Option<String>,
}

/// An earlier build of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EarlierBuild {
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

impl EarlierBuild {
    /// What the image says that was last built under a candidate's name.
    pub(crate) fn on_engine(candidate: &Candidate, images: &ImageIndex<'_>) -> Option<Self> {
        Self::of_image(&candidate.last_on_engine(images)?.labels)
    }

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

impl BuildHistory {
    fn of(
        candidate: &Candidate,
        records: &Records,
        dockerfile: Option<&DockerfileSnapshot>,
        images: &ImageIndex<'_>,
    ) -> Self {
        let tries = records.of(&candidate.repository, &candidate.name);
        let built = |record: &&Record| matches!(record.result, BuildResult::Built { .. });
        let of_record = || tries.iter().rev().find(built).map(EarlierBuild::of_record);
        let Some(mut last) = EarlierBuild::on_engine(candidate, images).or_else(of_record) else {
            return Self { tries, ..Self::default() };
        };
        let mut history = Self::default();
        if let Some(dockerfile) = dockerfile {
            let record = tries.iter().rev().find(|record| record.recipe == last.recipe);
            let now = candidate.recipe.ingredient_digests();
            if !last.has_same(Ingredient::Dockerfile, &now) {
                last.dockerfile = record.and_then(|record| record.dockerfile.clone());
                history.dockerfile = Some(masked_text(&dockerfile.text));
            }
            if !last.has_same(Ingredient::Context, &now) {
                let kept = || records.files(record?.tree.as_deref()?).map(Arc::new);
                last.files = last.files.take().or_else(kept);
                history.files = last.files.is_some().then(|| dockerfile.files(MOST_FILES)).flatten();
            }
        }
        Self { tries, last: Some(last), ..history }
    }

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
        match &self.last_try(recipe.digest().as_str())?.result {
            BuildResult::Failed { message } => Some(message.clone()),
            _ => None,
        }
    }

    /// Whether this very recipe was built once.
    pub(crate) fn was_built(&self, recipe: &str) -> bool {
        self.tries
            .iter()
            .any(|record| record.recipe == recipe && matches!(record.result, BuildResult::Built { .. }))
    }
}

/// The labels of an image that its recipe counts.
fn own_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let written = |name: &str| labels::key(name).is_some_and(|key| key.on != LabelCarrier::Container);
    let own = labels.iter().filter(|(name, _)| written(name) && recipe::counts(name));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}
