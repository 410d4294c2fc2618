//! From the graph to what the plan has to decide: one question an image.

use std::collections::HashSet;

use super::{Candidate, recipes};
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::model::tags;
use crate::plan::observe::Seen;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// What a person asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// The images and all they stand on, parents first.
    pub(crate) nodes: Vec<NodeId>,
    /// Built again whether up to date or not.
    pub(crate) forced: HashSet<NodeId>,
    /// Names the branch tags; `None`: no branch tag moves.
    pub(crate) branch: Option<String>,
    /// Registries are to have what is done.
    pub(crate) push: bool,
}

/// One question for each image to be built here, parents first, with the node
/// it is about.
///
/// # Errors
/// The branch gives no tag, or the tag of something else.
pub(crate) fn questions(
    spec: &Spec,
    graph: &Graph,
    seen: &Seen,
    selection: &Selection,
) -> Result<Vec<(NodeId, Candidate)>, Problem> {
    let mut recipes = recipes::recipes(spec, graph, seen, &selection.nodes);
    let mut position = std::collections::HashMap::new();
    let mut questions = Vec::with_capacity(recipes.len());
    for &node in &selection.nodes {
        let Some(recipe) = recipes.remove(&node) else { continue };
        position.insert(node, questions.len());
        let moving = moving_tag(spec, graph, node, selection.branch.as_deref())?;
        let question = Candidate {
            name: graph.node(node).name.clone(),
            repository: graph.node(node).repository.clone().expect("what is built here has a repository"),
            recipe,
            parents: graph.parents(node).iter().filter_map(|p| position.get(p).copied()).collect(),
            forced: selection.forced.contains(&node),
            caches: caches(spec, graph, node, moving.as_ref()),
            moving,
        };
        questions.push((node, question));
    }
    Ok(questions)
}

/// Tags in an image's registry that may hold steps of it: the branch's own,
/// then the stable ones.
fn caches(spec: &Spec, graph: &Graph, node: NodeId, moving: Option<&Reference>) -> Vec<Reference> {
    let node = graph.node(node);
    let Some(repository) = node.repository.as_ref().filter(|r| r.host().is_some()) else { return Vec::new() };
    let stable = &spec.tag.stable;
    let prefixed = node.tag_prefix.iter().map(|prefix| repository.with_tag(&format!("{prefix}-{stable}")));
    moving.cloned().into_iter().chain(prefixed).chain([repository.with_tag(stable)]).collect()
}

/// The tag that people use: `latest` for a project's image, the branch tag
/// for a shared one.
fn moving_tag(
    spec: &Spec,
    graph: &Graph,
    node: NodeId,
    branch: Option<&str>,
) -> Result<Option<Reference>, Problem> {
    let node_data = graph.node(node);
    let repository = node_data.repository.as_ref().expect("what is built here has a repository");
    if let SpecEntry::Project(_) = SpecEntry::of(spec, graph, node) {
        return Ok(Some(repository.with_tag("latest")));
    }
    let (Some(branch), Some(prefix)) = (branch, node_data.tag_prefix.as_deref()) else { return Ok(None) };
    let help = "say another name with --branch NAME";
    let tag = tags::branch_tag(prefix, branch).map_err(|why| Problem::new(why).help(help))?;
    // A branch must not move what only a promotion may.
    let stable = &spec.tag.stable;
    if tag == *stable || tag == format!("{prefix}-{stable}") || tags::is_content_tag(&tag) {
        let problem = Problem::new(format!(
            "the branch `{branch}` would give the tag `{tag}`, which is not a branch's"
        ));
        return Err(problem.help(help));
    }
    Ok(Some(repository.with_tag(&tag)))
}
