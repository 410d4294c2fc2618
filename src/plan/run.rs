//! Planning from end to end: observes, finds what is to be decided, asks
//! registries, recalls earlier builds, and decides.

use std::collections::{BTreeMap, HashMap};
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
use crate::model::human::listed;
use crate::model::names::Login;
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::registry::{self, Registry};
use crate::spec::graph::{Graph, NodeId, NodeKind};
use crate::spec::lock_file::Pins;
use crate::spec::{Spec, SpecEntry};

/// How many tags a sentence bears.
const NAMES: usize = 8;

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
    /// The branch, and the tags that name its images.
    pub(crate) branch: Option<(String, Vec<Reference>)>,
    /// What people should know: of registries that did not answer, of the spec.
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
    let is_shared = |node: &NodeId| matches!(context.graph.node(*node).kind, NodeKind::Image(_));
    let shared = nodes.iter().zip(&candidates).filter(|(node, _)| is_shared(node));
    let tags: Vec<Reference> = shared.filter_map(|(_, candidate)| candidate.moving.clone()).collect();
    let branch = selection.branch.clone().map(|branch| (branch, tags));
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
    warnings.extend(branch.iter().flat_map(|(branch, tags)| other_branches(&records, branch, tags)));
    Ok(PlannedRun { plan, branch, warnings, snapshot, nodes })
}

/// Says which tags another branch has put, or had, before.
fn other_branches(records: &Records, branch: &str, tags: &[Reference]) -> Vec<String> {
    let mut others: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tag in tags {
        if let Some(other) = records.branch(tag).filter(|other| other != branch) {
            others.entry(other).or_default().push(tag.to_string());
        }
    }
    let sentence = |(other, tags): (String, Vec<String>)| {
        let tags = listed(&tags, NAMES);
        format!(
            "the branches `{other}` and `{branch}` give the same tags, which are now those of `{branch}`: {tags}; rename one, or say another name with --branch NAME"
        )
    };
    others.into_iter().map(sentence).collect()
}
