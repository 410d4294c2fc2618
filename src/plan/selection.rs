//! From what a person asked for to the images that a run is about. Pure: what
//! changed and which branch it is, others say.

use std::collections::HashSet;

use crate::model::problem::Problem;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::{Spec, SpecEntry};

/// What a run is about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// The images and all they are based on, parents first.
    pub(crate) nodes: Vec<NodeId>,
    /// Built again whether up to date or not.
    pub(crate) forced: HashSet<NodeId>,
    /// Names the branch tags; `None`: no branch tag moves.
    pub(crate) branch: Option<String>,
    /// Registries are to have what is done.
    pub(crate) push: bool,
}

impl Selection {
    /// Every image of the spec.
    pub(crate) fn all(graph: &Graph) -> Self {
        Self { nodes: graph.order().to_vec(), ..Self::default() }
    }

    /// These nodes and all that they are based on.
    pub(crate) fn with_bases(graph: &Graph, wanted: &[NodeId]) -> Self {
        let mut all: HashSet<_> = graph.ancestors(wanted).into_iter().collect();
        all.extend(wanted);
        let nodes = graph.order().iter().copied().filter(|node| all.contains(node)).collect();
        Self { nodes, ..Self::default() }
    }
}

/// What a person asked for.
pub(crate) struct SelectionRequest<'a> {
    /// Names; none: everything.
    pub(crate) images: &'a [String],
    pub(crate) force: &'a [String],
    pub(crate) force_all: bool,
    /// Only what differs from this revision, and what does.
    pub(crate) since: Option<(&'a str, &'a [NodeId])>,
    /// The branch, or why there is none.
    pub(crate) branch: Result<String, String>,
}

/// What a request selects.
pub(crate) struct Selected {
    pub(crate) selection: Selection,
    /// Why no branch tag will be put, if none will.
    pub(crate) branchless: Option<String>,
    /// Says that nothing is selected, since nothing differs.
    pub(crate) unchanged: Option<String>,
}

impl SelectionRequest<'_> {
    /// The images, with what they are based on.
    ///
    /// # Errors
    /// Names that the spec does not have.
    pub(crate) fn select(self, spec: &Spec, graph: &Graph) -> Result<Selected, Vec<Problem>> {
        let mut named = graph.select(self.images)?;
        let forced = if self.force.is_empty() { Vec::new() } else { graph.select(self.force)? };
        let mut unchanged = None;
        if let Some((revision, changed)) = self.since {
            named.retain(|node| changed.contains(node));
            let none = named.is_empty() && forced.is_empty();
            let what = if self.images.is_empty() { "nothing" } else { "nothing of what is named" };
            unchanged = none.then(|| format!("{what} changed since {revision}"));
        }
        let wanted = [named, forced.clone()].concat();
        let mut selection = Selection::with_bases(graph, &wanted);
        let forced = if self.force_all { selection.nodes.clone() } else { forced };
        selection.forced = forced.into_iter().collect();
        // Who builds a project of theirs only does not care for tags of what it is based on.
        let is_shared = |node: &NodeId| matches!(SpecEntry::of(spec, graph, *node), SpecEntry::Image(_));
        let told = |why| format!("no branch tags are put, since {why}; --branch NAME names one");
        let branchless = match self.branch {
            Ok(branch) => {
                selection.branch = Some(branch);
                None
            }
            Err(why) => wanted.iter().any(is_shared).then(|| told(why)),
        };
        Ok(Selected { selection, branchless, unchanged })
    }
}
