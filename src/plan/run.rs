//! Planning from end to end: observes, finds what is to be decided, asks
//! registries, recalls earlier builds, and decides.

use std::collections::HashMap;
use std::path::PathBuf;

use super::Plan;
use super::build_args;
use super::candidate::candidates;
use super::history::{self, Records};
use super::observe::{self, Snapshot};
use super::registries::decide_asking;
use super::selection::Selection;
use crate::dockerfile::context::HashCache;
use crate::engine::{self, Engine, ImageIndex};
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::registry::{self, Registry};
use crate::spec::graph::{Graph, NodeId};
use crate::spec::lock_file::Pins;
use crate::spec::{Spec, SpecEntry};

/// What a plan is made from.
#[derive(Clone)]
pub(crate) struct Context<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
    pub(crate) engine: &'a dyn Engine,
    pub(crate) registry: &'a dyn Registry,
    pub(crate) pins: &'a Pins,
    pub(crate) hashes: &'a HashCache,
    /// The folder of the records of earlier runs.
    pub(crate) records: PathBuf,
}

/// A plan with what it was made from.
#[derive(Debug)]
pub(crate) struct PlannedRun {
    pub(crate) plan: Plan,
    pub(crate) snapshot: Snapshot,
    /// The node of each position of the plan.
    pub(crate) nodes: Vec<NodeId>,
    /// What people should know of registries that did not answer.
    pub(crate) warnings: Vec<String>,
}

impl PlannedRun {
    /// Logins of those who are about to get an image.
    pub(crate) fn new_owners<'a>(
        &'a self,
        spec: &'a Spec,
        graph: &'a Graph,
    ) -> impl Iterator<Item = &'a Login> {
        let built = self.plan.builds().map(|at| SpecEntry::of(spec, graph, self.nodes[at]));
        built.filter_map(|entry| Some(&entry.account()?.login))
    }

    /// The state of every node that was looked at, in words.
    pub(crate) fn states(&self, spec: &Spec, graph: &Graph) -> HashMap<NodeId, String> {
        let images = self.nodes.iter().zip(&self.plan.images);
        let images = images.map(|(node, image)| (*node, image.action.state()));
        let bases = graph.nodes().filter_map(|node| {
            let external = SpecEntry::of(spec, graph, node.id).external()?;
            let place = match self.snapshot.bases.get(&external.canonical()) {
                Some(base) if base.id.is_some() => "here",
                Some(_) => "to be pulled",
                // Nothing is based on it, so it was not looked for.
                None => "not used",
            };
            Some((node.id, format!("{external}, {place}")))
        });
        images.chain(bases).collect()
    }

    /// The position of a node in the plan, if it was selected and is built here.
    pub(crate) fn position(&self, node: NodeId) -> Option<usize> {
        self.nodes.iter().position(|other| *other == node)
    }
}

/// Why there is no plan.
#[derive(Debug)]
pub(crate) enum Error {
    /// Dockerfiles or contexts are wrong.
    Problems(Vec<Problem>),
    /// Bases are neither on the engine nor could they be asked for.
    Bases(Vec<Problem>),
    /// The branch gives no tag, or the tag of something else.
    Branch(Problem),
    Engine(engine::Error),
    /// What registries have under content tags would be replaced.
    Replaced(Vec<Problem>),
    /// Registries that have to answer and do not.
    Registries(Vec<registry::Error>),
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        Self::Engine(error)
    }
}

/// Observes and decides.
///
/// # Errors
/// Files, bases, the branch, the engine; to send images, every registry must
/// answer.
pub(crate) async fn plan(context: &Context<'_>, selection: &Selection) -> Result<PlannedRun, Error> {
    let snapshot = observe::observe(context, &selection.nodes).await?;
    plan_snapshot(context, selection, snapshot).await
}

/// Decides on what was observed of the selected images.
///
/// # Errors
/// The branch; to send images, every registry must answer.
pub(super) async fn plan_snapshot(
    context: &Context<'_>,
    selection: &Selection,
    snapshot: Snapshot,
) -> Result<PlannedRun, Error> {
    let candidates = candidates(context.spec, context.graph, &snapshot, selection).map_err(Error::Branch)?;
    let (nodes, candidates): (Vec<_>, Vec<_>) = candidates.into_iter().unzip();
    let images = ImageIndex::new(&snapshot.store);
    let records = Records::new(&context.records, &snapshot.engine.id);
    let histories = history::recall(&records, &snapshot, &nodes, &candidates, &images);
    let decided = decide_asking(context.registry, candidates, &images, &histories, selection.push);
    let (plan, tags) = decided.await?;
    let mut warnings = tags.warnings();
    let doubtful = build_args::warnings(context.spec, context.graph, &snapshot.dockerfiles, &selection.nodes);
    warnings.extend(doubtful.iter().map(Problem::sentence));
    if plan.builds().next().is_some() {
        warnings.extend(snapshot.warnings.iter().cloned());
    }
    Ok(PlannedRun { plan, warnings, snapshot, nodes })
}
