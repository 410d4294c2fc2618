//! From a container back to the image, its recipe and the line of the spec.

use serde::Serialize;

use super::{Explainer, Provenance, declared, told};
use crate::engine::{Container, Image};
use crate::image::recipe::{self, IngredientChange, NextBuild};
use crate::model::labels;
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::Reference;
use crate::plan::history::EarlierBuild;
use crate::plan::{Action, Location, Reason};
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// What a container runs, and where that came from.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ContainerExplanation {
    pub(crate) container: String,
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) image: ImageId,
    /// Its image is still on the engine.
    pub(crate) image_there: bool,
    pub(crate) tags: Vec<Reference>,
    /// `None`: it was not made from an image of ours.
    pub(crate) made: Option<Provenance>,
    /// Its image in the spec.
    pub(crate) node: Option<NodeName>,
    /// `file:line` of the spec.
    pub(crate) declared: Option<String>,
    pub(crate) standing: SpecComparison,
}

/// How a container's image stands to the spec as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", rename_all = "snake_case")]
pub(crate) enum SpecComparison {
    /// It runs what the spec says.
    Current,
    /// Another image is up to date now, by its ID or its digest in a registry.
    Newer { image: String, changed: Vec<IngredientChange> },
    /// Its image would be built again.
    Outdated { reasons: Vec<Reason>, changed: Vec<IngredientChange> },
    /// The spec has no such image, or there is no spec here.
    NotInSpec,
    /// Looking failed.
    Unknown { cause: String },
}

impl ContainerExplanation {
    /// What the container's own labels tell, which need no image.
    pub(crate) fn new(container: &Container, store: &[Image]) -> Self {
        let image = store.iter().find(|image| image.id == container.image_id);
        let label = |key: &labels::Key| container.labels.get(key.name).cloned();
        let made = EarlierBuild::of_container(&container.labels).map(|built| Provenance {
            base: label(&labels::BASE_NAME),
            base_digest: label(&labels::BASE_DIGEST),
            ingredients: told(&built.digests, built.fields.as_ref()),
            recipe: built.recipe,
        });
        Self {
            container: container.name.clone(),
            id: container.id.clone(),
            state: container.state.to_string(),
            image: container.image_id.clone(),
            image_there: image.is_some(),
            tags: image.map(|image| image.tags.clone()).unwrap_or_default(),
            made,
            node: None,
            declared: None,
            standing: SpecComparison::NotInSpec,
        }
    }

    /// Says where the spec declares it.
    pub(crate) fn declared_by(&mut self, spec: &Spec, graph: &Graph, node: NodeId) {
        self.node = Some(graph.node(node).name.clone());
        self.declared = Some(declared(spec, SpecEntry::of(spec, graph, node).place()));
    }
}

impl Explainer<'_> {
    /// How a container stands to the image at a position of the plan.
    pub(crate) fn standing(&self, container: &Container, position: usize) -> SpecComparison {
        let (image, node) = (&self.planned.plan.images[position], self.planned.nodes[position]);
        let built = EarlierBuild::of_container(&container.labels);
        let same = built.as_ref().is_some_and(|built| built.recipe == image.recipe.digest().as_str());
        let changed = || {
            let Some(built) = built.as_ref().filter(|b| b.scheme.is_none_or(|s| s == recipe::SCHEME)) else {
                return Vec::new();
            };
            let most = recipe::RecipeRecord::MOST;
            let files = || self.planned.snapshot.dockerfiles.get(&node)?.files(most);
            let files = built.files.is_some().then(files).flatten();
            recipe::compare(
                built.before(),
                NextBuild { recipe: &image.recipe, files: files.as_ref(), dockerfile: None },
            )
        };
        match &image.action {
            // The same recipe built twice runs the same things.
            _ if same => SpecComparison::Current,
            Action::Keep(Location::Engine(id)) => {
                SpecComparison::Newer { image: id.to_string(), changed: changed() }
            }
            Action::Keep(Location::Registry(digest)) | Action::Fetch { digest, .. } => {
                SpecComparison::Newer { image: digest.clone(), changed: changed() }
            }
            Action::Build(reasons) => {
                SpecComparison::Outdated { reasons: reasons.clone(), changed: changed() }
            }
        }
    }
}

/// The node whose image a container was made from, by its labels.
pub(crate) fn node_of(spec: &Spec, graph: &Graph, container: &Container) -> Option<NodeId> {
    let labels = &container.labels;
    let label = |key: &labels::Key| labels.get(key.name).map(String::as_str);
    let uid = || container.uid();
    let uid = label(&labels::USER_ID).and_then(|uid| uid.parse().ok()).or_else(uid);
    let same = |node: &&crate::spec::graph::Node| match SpecEntry::of(spec, graph, node.id) {
        SpecEntry::Project(project) => {
            label(&labels::PROJECT) == Some(project.name.as_str()) && uid == Some(project.account.uid)
        }
        // A container that was made by hand has its image's own label.
        SpecEntry::Image(_) => label(&labels::IMAGE) == Some(node.name.as_str()),
        SpecEntry::Base(_) => false,
    };
    graph.nodes().find(same).map(|node| node.id)
}
