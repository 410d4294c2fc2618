//! Which images a spec uses without building them, and for what.

use std::collections::{BTreeMap, HashMap};

use super::DockerfileSeen;
use crate::model::problem::Place;
use crate::model::reference::Reference;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// An external image that something is built on or copies from.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) reference: Reference,
    /// Where it is named first.
    pub(crate) place: Place,
    /// What uses it itself.
    pub(crate) nodes: Vec<NodeId>,
}

impl Use {
    /// What another content of it would rebuild, parents first.
    pub(crate) fn reaches(&self, graph: &Graph) -> Vec<NodeId> {
        let below = graph.descendants(&self.nodes);
        let reached = |node: &&NodeId| self.nodes.contains(node) || below.contains(node);
        graph.order().iter().filter(reached).copied().collect()
    }
}

/// What `wanted` uses, each image once, by its long reference.
pub(crate) fn uses(
    spec: &Spec,
    graph: &Graph,
    wanted: &[NodeId],
    dockerfiles: &HashMap<NodeId, DockerfileSeen>,
) -> BTreeMap<String, Use> {
    let mut uses: BTreeMap<String, Use> = BTreeMap::new();
    let mut add = |reference: &Reference, place: &Place, node: NodeId| {
        let each = uses.entry(reference.canonical()).or_insert_with(|| Use {
            reference: reference.clone(),
            place: place.clone(),
            nodes: Vec::new(),
        });
        each.nodes.push(node);
    };
    for &node in wanted {
        for &parent in graph.parents(node) {
            let parent = SpecEntry::of(spec, graph, parent);
            if let Some(external) = parent.external() {
                add(external, parent.place(), node);
            }
        }
        for image in dockerfiles.get(&node).into_iter().flat_map(|d| &d.external) {
            add(&image.reference, &image.place, node);
        }
    }
    uses
}
