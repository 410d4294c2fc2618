//! What a plan has to decide: one candidate an image, with its recipe from its
//! own ingredients and its parents' recipes. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Selection;
use super::observe::{DockerfileSnapshot, Snapshot};
use crate::dockerfile::parent_arg;
use crate::engine::{Image, ImageIndex};
use crate::image::recipe::{
    self, BaseIdentity, DockerfilePart, Ingredient, PackagesPart, Parts, Recipe, RefreshPart, UserPart,
};
use crate::image::{packages, user_layer};
use crate::model::labels::write::{Catalogue, UserImage};
use crate::model::labels::{self, ImageLabels};
use crate::model::names::NodeName;
use crate::model::problem::Problem;
use crate::model::reference::{Reference, Repository};
use crate::model::tags;
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// One selected image, before it is decided what to do with it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) name: NodeName,
    pub(crate) repository: Repository,
    pub(crate) recipe: Recipe,
    /// Positions of the images it is based on or copies from; all smaller.
    pub(crate) parents: Vec<usize>,
    /// Build it whether it is up to date or not.
    pub(crate) forced: bool,
    /// A person's, not shared.
    pub(crate) is_project: bool,
    /// The branch tag or `latest`, to be put on it when all is done.
    pub(crate) moving: Option<Reference>,
    /// Tags in its registry that may hold steps of it, best first.
    pub(crate) caches: Vec<Reference>,
}

impl Candidate {
    /// Its content tag.
    pub(crate) fn content(&self) -> Reference {
        self.repository.with_tag(&tags::content_tag(self.recipe.digest().as_str()))
    }

    /// The engine's image of this very recipe: a content tag counts only on an
    /// image that says so.
    pub(crate) fn present<'a>(&self, images: &ImageIndex<'a>) -> Option<&'a Image> {
        let recipe = self.recipe.digest().as_str();
        let is_of_recipe =
            |image: &&Image| image.labels.get(labels::RECIPE.name).is_some_and(|r| r == recipe);
        images.by_name(&self.content()).filter(is_of_recipe)
    }

    /// What was last built under this name: the image with the moving tag,
    /// else the newest of ours in the repository, where plan variants lie too.
    pub(crate) fn last_on_engine<'a>(&self, images: &ImageIndex<'a>) -> Option<&'a Image> {
        let ours = |image: &&Image| image.labels.contains_key(labels::RECIPE.name);
        let name = self.recipe.fields(Ingredient::Labels).get(labels::IMAGE.name);
        let same = |image: &&Image| name.is_none() || image.labels.get(labels::IMAGE.name) == name;
        self.moving.as_ref().and_then(|tag| images.by_name(tag)).filter(ours).or_else(|| {
            let all = images.in_repository(&self.repository).iter().copied();
            all.filter(ours).filter(same).max_by_key(|image| (image.created, &image.id))
        })
    }
}

/// One candidate for each image to be built here, parents first, with the node
/// it is about.
///
/// # Errors
/// The branch gives no tag, or the tag of something else.
pub(crate) fn candidates(
    spec: &Spec,
    graph: &Graph,
    snapshot: &Snapshot,
    selection: &Selection,
) -> Result<Vec<(NodeId, Candidate)>, Problem> {
    let mut recipes = recipes(spec, graph, snapshot, &selection.nodes);
    let mut position = HashMap::new();
    let mut candidates = Vec::with_capacity(recipes.len());
    for &node in &selection.nodes {
        let Some(recipe) = recipes.remove(&node) else { continue };
        position.insert(node, candidates.len());
        let moving = moving_tag(spec, graph, node, selection.branch.as_deref())?;
        let candidate = Candidate {
            name: graph.node(node).name.clone(),
            repository: graph.node(node).repository.clone().expect("what is built here has a repository"),
            parents: graph.parents(node).iter().filter_map(|p| position.get(p).copied()).collect(),
            forced: selection.forced.contains(&node),
            is_project: matches!(SpecEntry::of(spec, graph, node), SpecEntry::Project(_)),
            // They hold the packages in whose place fresh ones are asked for.
            caches: match recipe.is_refreshed() {
                true => Vec::new(),
                false => caches(spec, graph, node, moving.as_ref()),
            },
            moving,
            recipe,
        };
        candidates.push((node, candidate));
    }
    Ok(candidates)
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

/// Recipes of the nodes that are built here.
pub(crate) type Recipes = HashMap<NodeId, Recipe>;

/// Writes down the recipes of `nodes`, which come parents first and with all
/// that they are based on.
pub(crate) fn recipes(spec: &Spec, graph: &Graph, snapshot: &Snapshot, nodes: &[NodeId]) -> Recipes {
    let mut recipes = Recipes::new();
    for &node in nodes {
        if SpecEntry::of(spec, graph, node).external().is_none() {
            let recipe = recipe(spec, graph, snapshot, node, &recipes);
            recipes.insert(node, recipe);
        }
    }
    recipes
}

fn recipe(spec: &Spec, graph: &Graph, snapshot: &Snapshot, node: NodeId, known: &Recipes) -> Recipe {
    let subject = SpecEntry::of(spec, graph, node);
    let dockerfile = snapshot.dockerfiles.get(&node);
    let packages = subject.packages();
    let (stamp, tag_prefix) = match subject {
        SpecEntry::Project(project) => (project.refreshed, None),
        _ => {
            let by_prefix = spec.tag.refresh_by_prefix.then_some(spec.tag.prefix.as_str());
            (snapshot.refreshed.get(&graph.node(node).name).copied(), by_prefix)
        }
    };
    let stamp = stamp.map(|stamp| stamp.to_string());
    let none = BTreeSet::new();
    Recipe::new(&Parts {
        dockerfile: dockerfile.map(part),
        context: dockerfile.map(|d| &d.context_digest),
        args: &graph.node(node).build_args,
        declared_args: dockerfile.map_or(&none, |d| &d.evaluated.declared_args),
        bases: &bases(spec, graph, snapshot, node, known),
        packages: Some(PackagesPart { packages: &packages, rule: packages::RULE_VERSION }),
        user: subject.account().map(|account| UserPart { account, rule: user_layer::RULE_VERSION }),
        labels: &image_labels(spec, graph, node).to_map(),
        platform: &snapshot.engine.platform,
        secrets: dockerfile.map_or(&none, |d| &d.evaluated.secrets),
        refresh: RefreshPart { stamp: stamp.as_deref(), tag_prefix },
    })
}

fn part(dockerfile: &DockerfileSnapshot) -> DockerfilePart<'_> {
    DockerfilePart {
        bytes: dockerfile.text.as_bytes(),
        target: dockerfile.target.as_deref(),
        syntax: dockerfile.syntax.as_deref(),
    }
}

/// All images that this one is made from, by the way they come in.
fn bases(
    spec: &Spec,
    graph: &Graph,
    snapshot: &Snapshot,
    node: NodeId,
    known: &Recipes,
) -> BTreeMap<String, BaseIdentity> {
    let parents = graph.parents(node).iter().enumerate().map(|(at, &parent)| {
        let subject = SpecEntry::of(spec, graph, parent);
        let way = if at == 0 { "BASE_IMAGE".to_owned() } else { parent_arg(subject.key()) };
        let identity = match subject.external() {
            Some(external) => snapshot.base(external).identity(),
            None => BaseIdentity::ParentRecipe(known[&parent].digest().clone()),
        };
        (way, identity)
    });
    let named = snapshot.dockerfiles.get(&node).into_iter().flat_map(|d| &d.external);
    let named = named.map(|image| (image.reference.to_string(), snapshot.base(&image.reference).identity()));
    parents.chain(named).collect()
}

/// The labels of a node's image, without those that say its recipe and base.
pub(crate) fn image_labels(spec: &Spec, graph: &Graph, node: NodeId) -> ImageLabels {
    let subject = SpecEntry::of(spec, graph, node);
    let image = match subject {
        SpecEntry::Project(project) => NodeName::new(project.name.as_str()),
        _ => graph.node(node).name.clone(),
    };
    ImageLabels {
        title: image.to_string(),
        image,
        recipe: String::new(),
        scheme: recipe::SCHEME,
        ingredients: Vec::new(),
        record: String::new(),
        catalogue: catalogue(spec, graph, node),
        user: match subject {
            SpecEntry::Project(p) => {
                Some(UserImage { project: Some(p.name.clone()), account: p.account.clone() })
            }
            _ => None,
        },
        base_name: String::new(),
        base_digest: String::new(),
    }
}

/// What the catalogue says of the base at the bottom.
fn catalogue(spec: &Spec, graph: &Graph, node: NodeId) -> Option<Catalogue> {
    let mut at = node;
    while let Some(&parent) = graph.parents(at).first() {
        at = parent;
    }
    let (framework, arch) = SpecEntry::of(spec, graph, at).catalogue()?;
    Some(Catalogue { framework, arch })
}
