//! What would be rebuilt if something changed: the images, whose they
//! are, what runs on them, and what that takes.
//!
//! Pure but for [`read`]: knows what files say, what an engine listed and what
//! earlier runs wrote down. It tells the most that a change can cost: an edit
//! that leaves a recipe as it is builds nothing.

mod ask;
mod causes;
mod cost;
mod read;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

pub(crate) use ask::{Target, TargetKind, ask, otherwise};
pub(crate) use causes::{Cause, FileReaders};
use cost::Costs;
pub(crate) use cost::{CostInputs, EngineLists, Time};

use crate::model::names::{ImageId, Login, NodeName};
use crate::plan::observe::DockerfileSnapshot;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// A spec with what its files say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SpecFiles<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
    pub(crate) dockerfiles: &'a HashMap<NodeId, DockerfileSnapshot>,
}

/// The images that a change reaches, before anything is known of their cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Affected {
    /// Parents first.
    pub(crate) images: Vec<AffectedImage>,
    /// What else there is to say.
    pub(crate) notes: Vec<String>,
    /// Entries of the spec that a file declares.
    pub(crate) declares: Vec<String>,
}

/// An image that a change reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AffectedImage {
    pub(crate) node: NodeId,
    /// What changes is its own, not a parent's.
    pub(crate) direct: bool,
    pub(crate) why: Cause,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Impact {
    pub(crate) asked: Target,
    /// Parents first.
    pub(crate) images: Vec<RebuiltImage>,
    /// People with a project among them.
    pub(crate) users: Vec<User>,
    /// Containers on them; `None`: no engine answered.
    pub(crate) containers: Option<Vec<Container>>,
    /// `None`: no engine answered.
    pub(crate) bytes: Option<ImageSize>,
    pub(crate) time: Time,
    pub(crate) declares: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// An image that would be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RebuiltImage {
    pub(crate) name: NodeName,
    pub(crate) repository: String,
    /// What changes is its own, not a parent's.
    pub(crate) direct: bool,
    pub(crate) why: Cause,
    /// The image there is now.
    pub(crate) image_id: Option<ImageId>,
    /// Of its own layers, as they are now.
    pub(crate) bytes: Option<u64>,
    /// Of its last build.
    pub(crate) took_ms: Option<u64>,
}

/// A person and their projects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct User {
    pub(crate) login: Login,
    pub(crate) projects: Vec<NodeName>,
}

/// A container on an image that would be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: NodeName,
    /// Login, or `uid 1001` where no login is known.
    pub(crate) owner: Option<String>,
    pub(crate) running: bool,
    /// For people: `Up 3 minutes`.
    pub(crate) status: String,
}

/// What would be written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ImageSize {
    pub(crate) total: u64,
    /// Images of which no size is known: they are not on the engine.
    pub(crate) unknown: usize,
}

/// The images that a change reaches.
pub(crate) fn reach(stack: &SpecFiles<'_>, asked: &Target, read: &FileReaders) -> Affected {
    let direct = causes::direct(stack, asked, read);
    Affected { images: spread(stack.graph, direct.causes), notes: direct.notes, declares: direct.declares }
}

/// Causes, and all that is based on them.
fn spread(graph: &Graph, mut causes: HashMap<NodeId, Cause>) -> Vec<AffectedImage> {
    let mut reached = vec![false; graph.len()];
    let mut images = Vec::new();
    for &node in graph.order() {
        let through = || {
            let mut parents = graph.parents(node).iter().enumerate();
            let (at, parent) = parents.find(|(_, parent)| reached[parent.index()])?;
            let name = graph.node(*parent).name.to_string();
            Some(if at == 0 { Cause::StandsOn { parent: name } } else { Cause::CopiesFrom { parent: name } })
        };
        let own = causes.remove(&node);
        let direct = own.is_some();
        if let Some(why) = own.or_else(through) {
            reached[node.index()] = true;
            images.push(AffectedImage { node, direct, why });
        }
    }
    images
}

/// What the change costs.
pub(crate) fn impact(
    stack: &SpecFiles<'_>,
    asked: Target,
    reach: Affected,
    inputs: &CostInputs<'_>,
) -> Impact {
    let costs = Costs::new(stack, inputs);
    let nodes: Vec<NodeId> = reach.images.iter().map(|image| image.node).collect();
    let images: Vec<RebuiltImage> =
        reach.images.into_iter().map(|image| rebuilt(stack, image, &costs)).collect();
    let took: Vec<_> = images.iter().map(|image| image.took_ms).collect();
    Impact {
        users: users(stack, &nodes),
        containers: costs.containers(&nodes),
        bytes: inputs.engine.is_some().then(|| ImageSize {
            total: images.iter().filter_map(|image| image.bytes).sum(),
            unknown: images.iter().filter(|image| image.bytes.is_none()).count(),
        }),
        time: cost::time(stack.graph, &nodes, &took, inputs.jobs),
        asked: asked.masked(),
        images,
        declares: reach.declares,
        notes: reach.notes,
    }
}

fn rebuilt(stack: &SpecFiles<'_>, image: AffectedImage, costs: &Costs<'_>) -> RebuiltImage {
    let node = stack.graph.node(image.node);
    let (image_id, bytes) = costs.present(image.node);
    RebuiltImage {
        name: node.name.clone(),
        repository: node.repository.as_ref().map(ToString::to_string).unwrap_or_default(),
        direct: image.direct,
        why: image.why,
        image_id,
        bytes,
        took_ms: costs.took(image.node),
    }
}

fn users(stack: &SpecFiles<'_>, nodes: &[NodeId]) -> Vec<User> {
    let mut users: BTreeMap<Login, Vec<NodeName>> = BTreeMap::new();
    for &node in nodes {
        if let Some(account) = SpecEntry::of(stack.spec, stack.graph, node).account() {
            let projects = users.entry(account.login.clone()).or_default();
            projects.push(stack.graph.node(node).name.clone());
        }
    }
    users.into_iter().map(|(login, projects)| User { login, projects }).collect()
}
