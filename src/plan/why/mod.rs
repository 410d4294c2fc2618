//! Why an image will be built or is kept, and what a container runs: the
//! chain of causes from a plan, as data and in words.
//!
//! Pure. Knows a plan, labels and where things are declared; asks nobody and
//! decides nothing.

mod container;
mod show;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub(crate) use container::{ContainerExplanation, SpecComparison, node_of};

use crate::image::recipe::{Detail, Fields, Ingredient, IngredientDigests, RecipeRecord};
use crate::model::labels;
use crate::model::names::{ImageId, NodeName};
use crate::model::problem::Place;
use crate::model::reference::Reference;
use crate::plan::history::Records;
use crate::plan::{Planned, PlannedRun, Reason};
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// The answer to a question by name.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Explanation {
    Image(ImageExplanation),
    Base(BaseExplanation),
    Container(ContainerExplanation),
}

/// Why an image is built or kept.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ImageExplanation {
    /// First the image that was asked for, then those whose causes it has.
    pub(crate) images: Vec<Link>,
    /// The last commit that touched a file, by path; what git knows.
    pub(crate) commits: BTreeMap<String, String>,
}

/// One image of the chain.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Link {
    pub(crate) name: NodeName,
    /// `file:line` of the spec.
    pub(crate) declared: String,
    /// Empty: it is kept.
    pub(crate) reasons: Vec<Reason>,
    pub(crate) last_failure: Option<String>,
    /// What an image that is kept is, and was made from.
    pub(crate) kept: Option<PresentImage>,
    /// Below the folder of the spec; `None`: it has no Dockerfile.
    pub(crate) files: Option<Paths>,
}

/// Where an image's files lie.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Paths {
    pub(crate) dockerfile: String,
    pub(crate) context: String,
}

/// An image that is up to date, on the engine or in its registry.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct PresentImage {
    /// `None`: it is in its registry alone.
    pub(crate) image: Option<ImageId>,
    /// The digest in its registry, if that was asked for.
    pub(crate) registry_digest: Option<String>,
    pub(crate) tags: Vec<Reference>,
    /// Seconds since 1970; `None`: not known.
    pub(crate) since: Option<i64>,
    pub(crate) made: Provenance,
}

/// What an image was made from.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Provenance {
    /// Recipe digest.
    pub(crate) recipe: String,
    pub(crate) base: Option<String>,
    pub(crate) base_digest: Option<String>,
    pub(crate) ingredients: Vec<IngredientSummary>,
}

/// An ingredient as it is known.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IngredientSummary {
    pub(crate) ingredient: Ingredient,
    /// 12 hex digits.
    pub(crate) digest: String,
    /// What it covers; `None`: it was too large to be recorded.
    pub(crate) fields: Option<Fields>,
}

/// An external base.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BaseExplanation {
    pub(crate) name: NodeName,
    pub(crate) declared: String,
    pub(crate) image: Reference,
    /// Manifest digest or image ID; `None`: nothing asked for it.
    pub(crate) digest: Option<String>,
    pub(crate) on_engine: bool,
}

/// What explanations are made from.
#[derive(Clone, Copy)]
pub(crate) struct Explainer<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
    pub(crate) planned: &'a PlannedRun,
}

/// What has to be planned to explain a node: a base is only looked for where
/// something is based on it.
pub(crate) fn nodes(graph: &Graph, node: NodeId) -> Vec<NodeId> {
    let children = graph.children(node).into_iter().filter(|_| graph.node(node).repository.is_none());
    std::iter::once(node).chain(children).collect()
}

impl Explainer<'_> {
    /// The position of a node that was selected and is built here.
    pub(crate) fn position(&self, node: NodeId) -> usize {
        self.planned.position(node).expect("what was selected is planned")
    }

    /// When an image was built that is kept, by the records.
    pub(crate) fn built_at(&self, position: usize, records: &Records) -> Option<i64> {
        let image = &self.planned.plan.images[position];
        if image.reasons().is_some() {
            return None;
        }
        let tries = records.of(&image.repository(), &image.name);
        let recipe = image.recipe.digest();
        tries.iter().rev().find(|record| record.recipe == recipe.as_str()).map(|record| record.at)
    }

    /// Why the image at a position is built or kept. `since` tells when it
    /// was built, where its own label cannot.
    pub(crate) fn image(&self, position: usize, since: Option<i64>) -> ImageExplanation {
        let (mut images, mut told, mut queue) = (Vec::new(), BTreeSet::from([position]), vec![position]);
        let mut next = 0;
        while let Some(&at) = queue.get(next) {
            next += 1;
            let image = &self.planned.plan.images[at];
            let causes = image.parents.iter().filter(|&&p| rebuilt(image, &self.planned.plan.images[p]));
            queue.extend(causes.filter(|&&p| told.insert(p)));
            images.push(self.link(at, since));
        }
        ImageExplanation { images, commits: BTreeMap::new() }
    }

    /// What a base stands for.
    pub(crate) fn base(&self, node: NodeId, image: &Reference) -> BaseExplanation {
        let seen = self.planned.snapshot.bases.get(&image.canonical());
        BaseExplanation {
            name: self.graph.node(node).name.clone(),
            declared: declared(self.spec, SpecEntry::of(self.spec, self.graph, node).place()),
            image: image.clone(),
            digest: seen.map(|seen| seen.digest_or_id()),
            on_engine: seen.is_some_and(|seen| seen.id.is_some()),
        }
    }

    fn link(&self, position: usize, since: Option<i64>) -> Link {
        let (image, node) = (&self.planned.plan.images[position], self.planned.nodes[position]);
        let subject = SpecEntry::of(self.spec, self.graph, node);
        let below = |path: &std::path::Path| {
            path.strip_prefix(&self.spec.root).unwrap_or(path).to_string_lossy().into_owned()
        };
        let files =
            subject.dockerfile().map(|d| Paths { dockerfile: below(&d.file), context: below(&d.context) });
        Link {
            name: image.name.clone(),
            declared: declared(self.spec, subject.place()),
            reasons: image.reasons().unwrap_or_default().to_vec(),
            last_failure: image.last_failure.clone(),
            kept: image.reasons().is_none().then(|| self.kept(image, since)),
            files,
        }
    }

    fn kept(&self, image: &Planned, since: Option<i64>) -> PresentImage {
        let id = image.present.as_ref();
        let stored = self.planned.snapshot.store.iter().find(|stored| Some(&stored.id) == id);
        let label = |key: &labels::Key| stored?.labels.get(key.name).cloned();
        let made = Provenance {
            recipe: image.recipe.digest().to_string(),
            base: label(&labels::BASE_NAME),
            base_digest: label(&labels::BASE_DIGEST),
            ingredients: told(&image.recipe.ingredient_digests(), Some(&RecipeRecord::of(&image.recipe))),
        };
        // An image with an account has the same time on any day.
        let timed = stored.filter(|stored| !stored.labels.contains_key(labels::USER_ID.name));
        PresentImage {
            image: id.cloned(),
            registry_digest: image.remote.clone(),
            tags: stored.map_or_else(|| vec![image.content.clone()], |stored| stored.tags.clone()),
            since: since.or(timed.map(|stored| stored.created)),
            made,
        }
    }
}

/// Whether this parent is one of the image's reasons.
fn rebuilt(image: &Planned, parent: &Planned) -> bool {
    let names = |reason: &Reason| matches!(reason, Reason::ParentRebuilt { parent: p } if *p == parent.name);
    image.reasons().unwrap_or_default().iter().any(names)
}

/// The ingredients that there are, in their order. Labels that are not known
/// are based on the image itself.
fn told(digests: &IngredientDigests, written: Option<&RecipeRecord>) -> Vec<IngredientSummary> {
    let one = |ingredient: Ingredient| {
        let fields = written.and_then(|written| written.fields(ingredient)).cloned();
        let digest = digests.get(ingredient.name())?.to_owned();
        let nothing = match &fields {
            Some(fields) => fields.is_empty(),
            None => ingredient == Ingredient::Labels,
        };
        (!nothing).then_some(IngredientSummary { ingredient, digest, fields })
    };
    Ingredient::ALL.into_iter().filter_map(one).collect()
}

/// `file:line`, below the folder of the spec.
fn declared(spec: &Spec, place: &Place) -> String {
    let path = &place.file.path;
    format!("{}:{}", path.strip_prefix(&spec.root).unwrap_or(path).display(), place.line_column().0)
}

impl ImageExplanation {
    /// The changed files that are shown, at most `most`, each once.
    pub(crate) fn changed_files(&self, most: usize) -> Vec<String> {
        let mut files: Vec<String> = Vec::new();
        for link in &self.images {
            for reason in &link.reasons {
                let Reason::Changed(changed) = reason else { continue };
                for detail in &changed.details {
                    if let Some(path) = link.path(changed.ingredient, detail)
                        && !files.contains(&path)
                    {
                        files.push(path);
                    }
                }
            }
        }
        files.truncate(most);
        files
    }
}

impl Link {
    /// The file that a detail is about, below the folder of the spec.
    fn path(&self, ingredient: Ingredient, detail: &Detail) -> Option<String> {
        let files = self.files.as_ref()?;
        match ingredient {
            Ingredient::Dockerfile => Some(files.dockerfile.clone()),
            Ingredient::Context if detail.what == "tree" => None,
            Ingredient::Context if files.context.is_empty() => Some(detail.what.clone()),
            Ingredient::Context => Some(format!("{}/{}", files.context, detail.what)),
            _ => None,
        }
    }
}
