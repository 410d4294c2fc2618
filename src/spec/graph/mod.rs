//! The images of a spec and what is based on what.
//!
//! Valid by construction: it is made from a checked `Spec`, so parents exist
//! and there is no cycle. Knows nothing of what is built or up to date.
//! petgraph's types stay in here.

mod build;
mod render;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::Dfs;

use crate::model::names::{BaseName, ImageName, Login, NodeName, PlanName, ProjectName};
use crate::model::problem::Problem;
use crate::model::reference::Repository;
use crate::spec::nearest;

/// A node of one graph. Ordered as the spec: bases, images (each with its
/// plan variants behind it), projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

impl NodeId {
    /// Counts from 0 without gaps; below [`Graph::len`].
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a node is, with its key in the spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NodeKind {
    /// Not built here.
    Base(BaseName),
    Image(ImageName),
    Project(Login, ProjectName),
}

/// A base, a shared image for one plan, or a project's image.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) name: NodeName,
    pub(crate) kind: NodeKind,
    /// Where it stands in `Spec::bases`, `images` or `projects`.
    pub(crate) spec_index: usize,
    /// The plan variant; `None`: built without a plan, a base, or a project.
    pub(crate) plan: Option<PlanName>,
    /// The image's own, then the plan's, then the image's for the plan: later wins.
    pub(crate) build_args: BTreeMap<String, String>,
    /// Begins a shared image's branch tags.
    pub(crate) tag_prefix: Option<String>,
    /// `None` for a base.
    pub(crate) repository: Option<Repository>,
    /// First the one it is built from, then those it copies from. Empty for a
    /// base, and for an image whose Dockerfile's FROM says it all.
    pub(crate) parents: Vec<NodeId>,
}

impl Node {
    /// Whether an image of its repository is its own, by the name that was
    /// written into the image: plan variants share a repository. One without a
    /// name is no plan variant; a project has its repository to itself.
    pub(crate) fn is_named(&self, name: Option<&str>) -> bool {
        match (&self.kind, name) {
            (NodeKind::Project(..), _) => true,
            (_, Some(name)) => name == self.name.as_str(),
            (_, None) => self.plan.is_none(),
        }
    }
}

/// All nodes of a spec.
#[derive(Debug)]
pub(crate) struct Graph {
    /// Edges from parent to child.
    nodes: DiGraph<Node, ()>,
    by_name: HashMap<String, NodeId>,
    /// Projects by the part of their name behind the `/`.
    by_project: HashMap<String, Vec<NodeId>>,
    order: Vec<NodeId>,
}

impl Graph {
    /// How many nodes there are.
    pub(crate) fn len(&self) -> usize {
        self.nodes.node_count()
    }

    /// A node. `id` must be of this graph.
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[index(id)]
    }

    /// All nodes in the order of the spec.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.node_weights()
    }

    /// All nodes, parents before children; where that leaves a choice, in the
    /// order of the spec. The same for the same spec.
    pub(crate) fn order(&self) -> &[NodeId] {
        &self.order
    }

    /// What a node is based on: first the one it is built from.
    pub(crate) fn parents(&self, id: NodeId) -> &[NodeId] {
        &self.node(id).parents
    }

    /// What is based directly on a node, in the order of the spec.
    pub(crate) fn children(&self, id: NodeId) -> Vec<NodeId> {
        let mut children: Vec<NodeId> = self.nodes.neighbors(index(id)).map(id_of).collect();
        children.sort_unstable();
        children
    }

    /// Nodes without parents, in the order of the spec.
    pub(crate) fn roots(&self) -> Vec<NodeId> {
        self.nodes().filter(|node| node.parents.is_empty()).map(|node| node.id).collect()
    }

    /// All that is based on these nodes, directly or not, without themselves
    /// (unless one is based on another), parents first.
    pub(crate) fn descendants(&self, of: &[NodeId]) -> Vec<NodeId> {
        let below: Vec<NodeId> = of.iter().flat_map(|id| self.children(*id)).collect();
        self.reach(&below, Direction::Outgoing)
    }

    /// All that these nodes are based on, directly or not, without themselves
    /// (unless one is based on another), parents first.
    pub(crate) fn ancestors(&self, of: &[NodeId]) -> Vec<NodeId> {
        let above: Vec<NodeId> = of.iter().flat_map(|id| self.parents(*id)).copied().collect();
        self.reach(&above, Direction::Incoming)
    }

    /// What is reached from these nodes, themselves included.
    fn reach(&self, from: &[NodeId], direction: Direction) -> Vec<NodeId> {
        let mut walk = Dfs::empty(&self.nodes);
        walk.stack = from.iter().map(|id| index(*id)).collect();
        let mut reached = vec![false; self.len()];
        match direction {
            Direction::Outgoing => {
                while let Some(at) = walk.next(&self.nodes) {
                    reached[at.index()] = true;
                }
            }
            Direction::Incoming => {
                let upwards = petgraph::visit::Reversed(&self.nodes);
                while let Some(at) = walk.next(upwards) {
                    reached[at.index()] = true;
                }
            }
        }
        self.order.iter().copied().filter(|id| reached[id.index()]).collect()
    }
}

fn index(id: NodeId) -> NodeIndex {
    NodeIndex::new(id.index())
}

fn id_of(index: NodeIndex) -> NodeId {
    NodeId(u32::try_from(index.index()).expect("petgraph counts nodes in 32 bits"))
}

/// Parents first; among those that are ready, the first of the spec.
fn sorted(nodes: &DiGraph<Node, ()>) -> Vec<NodeId> {
    let mut missing: Vec<usize> = nodes.node_weights().map(|node| node.parents.len()).collect();
    let mut ready: BinaryHeap<Reverse<NodeId>> =
        nodes.node_weights().filter(|node| node.parents.is_empty()).map(|node| Reverse(node.id)).collect();
    let mut order = Vec::with_capacity(nodes.node_count());
    while let Some(Reverse(id)) = ready.pop() {
        order.push(id);
        for child in nodes.neighbors(index(id)) {
            missing[child.index()] -= 1;
            if missing[child.index()] == 0 {
                ready.push(Reverse(id_of(child)));
            }
        }
    }
    order
}

/// From what people type to nodes.
impl Graph {
    /// The node of that name: `pytorch`, `vision`, `vision@py312`,
    /// `h-baker/thesis`, or `thesis` where only one person has such a project.
    ///
    /// # Errors
    /// A problem without a place that lists what was perhaps meant.
    pub(crate) fn find(&self, name: &str) -> Result<NodeId, Problem> {
        if let Some(id) = self.by_name.get(name) {
            return Ok(*id);
        }
        match self.by_project.get(name).map(Vec::as_slice) {
            Some([id]) => Ok(*id),
            Some(several) => {
                let all: Vec<&str> = several.iter().map(|id| self.node(*id).name.as_str()).collect();
                Err(Problem::new(format!("`{name}` is a project of several people"))
                    .help(format!("write one of: {}", all.join(", "))))
            }
            None => Err(self.unknown(name)),
        }
    }

    /// Several nodes by name, each once, parents first; no names: all nodes.
    ///
    /// # Errors
    /// One problem for each name that [`Graph::find`] does not know.
    pub(crate) fn select<S: AsRef<str>>(&self, names: &[S]) -> Result<Vec<NodeId>, Vec<Problem>> {
        if names.is_empty() {
            return Ok(self.order.clone());
        }
        let (mut wanted, mut problems) = (vec![false; self.len()], Vec::new());
        for name in names {
            match self.find(name.as_ref()) {
                Ok(id) => wanted[id.index()] = true,
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() {
            Ok(self.order.iter().copied().filter(|id| wanted[id.index()]).collect())
        } else {
            Err(problems)
        }
    }

    fn unknown(&self, name: &str) -> Problem {
        let problem = Problem::new(format!("no image `{}`", name.escape_debug()));
        if let Some((image, plan)) = name.split_once('@')
            && self.by_name.contains_key(image)
        {
            let variants: Vec<&str> = self.variants(image);
            return match variants.as_slice() {
                [] => problem.help(format!("`{image}` has no plan `{plan}`, nor any other")),
                _ => problem.help(format!("`{image}` has these plans: {}", variants.join(", "))),
            };
        }
        let full = self.nodes().map(|node| node.name.as_str());
        match nearest(name, full.chain(self.by_project_names())) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem.help("`ds01-build graph` lists all names"),
        }
    }

    /// Short names of projects, in the order of the spec.
    fn by_project_names(&self) -> impl Iterator<Item = &str> {
        self.nodes().filter_map(|node| match &node.kind {
            NodeKind::Project(_, name) => Some(name.as_str()),
            _ => None,
        })
    }

    fn variants(&self, image: &str) -> Vec<&str> {
        let of_image = self.nodes().filter_map(|node| match &node.kind {
            NodeKind::Image(name) if name.as_str() == image => node.plan.as_ref(),
            _ => None,
        });
        of_image.map(|plan| plan.as_str()).collect()
    }
}
