//! Which images differ from a revision of git.
//!
//! Git only hands out the files as they were. Whether an image differs is
//! decided by its recipe, made from both states of the files in the same way
//! and without an engine: so a rename counts where it came from and where it
//! went, and a comment counts nowhere. What cannot be known is said.

mod git;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use git::{Checkout, Failed, Unknown, checkout};

use crate::dockerfile::context::HashCache;
use crate::model::digest::Digest;
use crate::model::names::NodeName;
use crate::model::problem::Problem;
use crate::model::reference::Repository;
use crate::plan;
use crate::plan::observe;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::lock_file::Lock;
use crate::spec::{Content, Dockerfile, Spec};

/// What one state of the files makes of each image that is built here.
pub(crate) type Images = BTreeMap<NodeName, ImageVersion>;

/// What an image is and where it stands. Tags are no ingredient of a recipe,
/// but an image whose tags are others has to be tagged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageVersion {
    recipe: Digest,
    repository: Option<Repository>,
    tag_prefix: Option<String>,
}

/// What differs from another state of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Images that are new or other, and so what is based on them; parents first.
    pub(crate) changed: Vec<NodeId>,
    /// Images that are no more.
    pub(crate) removed: Vec<NodeName>,
}

/// Reads what the files make of each image.
///
/// # Errors
/// All that is wrong with the files.
pub(crate) fn images(
    spec: &Spec,
    graph: &Graph,
    lock: &Lock,
    hashes: &HashCache,
) -> Result<Images, Vec<Problem>> {
    let snapshot = observe::offline(spec, graph, lock, hashes)?;
    let recipes = plan::recipes(spec, graph, &snapshot, graph.order());
    let made = recipes.into_iter().map(|(node, recipe)| {
        let node = graph.node(node);
        let made = ImageVersion {
            recipe: recipe.digest().clone(),
            repository: node.repository.clone(),
            tag_prefix: node.tag_prefix.clone(),
        };
        (node.name.clone(), made)
    });
    Ok(made.collect())
}

/// Compares by name; `graph` is of `now`.
pub(crate) fn difference(graph: &Graph, now: &Images, then: &Images) -> Difference {
    let differs = |node: &&NodeId| {
        let name = &graph.node(**node).name;
        now.get(name).is_some_and(|made| then.get(name) != Some(made))
    };
    Difference {
        changed: graph.order().iter().filter(differs).copied().collect(),
        removed: then.keys().filter(|name| !now.contains_key(name)).cloned().collect(),
    }
}

/// Says which image's files lie in a submodule: what those were is in a
/// history of its own, which a checkout does not bring.
pub(crate) fn in_submodule(spec: &Spec, checkout: &Checkout) -> Option<Unknown> {
    let of_images = spec.images.iter().filter_map(|image| match &image.content {
        Content::Dockerfile(dockerfile) => Some(dockerfile),
        Content::Packages(_) => None,
    });
    let all = of_images.chain(spec.projects.iter().filter_map(|project| project.dockerfile.as_ref()));
    let shown = |path: &Path| path.strip_prefix(&spec.root).unwrap_or(path).display().to_string();
    all.flat_map(paths).find_map(|path| {
        let below = path.strip_prefix(&spec.root).ok()?;
        let submodule = checkout.submodules.iter().find(|submodule| below.starts_with(submodule))?;
        let why = format!("{} lies in the submodule {}", shown(path), submodule.display());
        Some(Unknown { why, help: None })
    })
}

fn paths(dockerfile: &Dockerfile) -> [&Path; 2] {
    [&dockerfile.context, &dockerfile.file]
}
