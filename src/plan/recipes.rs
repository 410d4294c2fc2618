//! The recipe of every image: its own ingredients, and its parents' recipes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::dockerfile::parent_arg;
use crate::image::recipe::{self, BaseIdentity, DockerfilePart, PackagesPart, Parts, Recipe, UserPart};
use crate::image::{packages, user_layer};
use crate::model::labels::ImageLabels;
use crate::model::labels::write::{Catalogue, UserImage};
use crate::plan::observe::{DockerfileSeen, Seen};
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};

/// Recipes of the nodes that are built here.
pub(crate) type Recipes = HashMap<NodeId, Recipe>;

/// Writes down the recipes of `nodes`, which come parents first and with all
/// that they stand on.
pub(crate) fn recipes(spec: &Spec, graph: &Graph, seen: &Seen, nodes: &[NodeId]) -> Recipes {
    let mut recipes = Recipes::new();
    for &node in nodes {
        if SpecEntry::of(spec, graph, node).external().is_none() {
            let recipe = recipe(spec, graph, seen, node, &recipes);
            recipes.insert(node, recipe);
        }
    }
    recipes
}

fn recipe(spec: &Spec, graph: &Graph, seen: &Seen, node: NodeId, known: &Recipes) -> Recipe {
    let subject = SpecEntry::of(spec, graph, node);
    let dockerfile = seen.dockerfiles.get(&node);
    let packages = subject.packages();
    let none = BTreeSet::new();
    Recipe::new(&Parts {
        dockerfile: dockerfile.map(part),
        context: dockerfile.map(|d| &d.context_digest),
        args: &graph.node(node).build_args,
        declared_args: dockerfile.map_or(&none, |d| &d.evaluated.declared_args),
        bases: &bases(spec, graph, seen, node, known),
        packages: Some(PackagesPart { packages: &packages, rule: packages::RULE_VERSION }),
        user: subject.account().map(|account| UserPart { account, rule: user_layer::RULE_VERSION }),
        labels: &labels(spec, graph, node).to_map(),
        platform: &seen.engine.platform,
        secrets: dockerfile.map_or(&none, |d| &d.evaluated.secrets),
    })
}

fn part(dockerfile: &DockerfileSeen) -> DockerfilePart<'_> {
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
    seen: &Seen,
    node: NodeId,
    known: &Recipes,
) -> BTreeMap<String, BaseIdentity> {
    let parents = graph.parents(node).iter().enumerate().map(|(at, &parent)| {
        let subject = SpecEntry::of(spec, graph, parent);
        let way = if at == 0 { "BASE_IMAGE".to_owned() } else { parent_arg(subject.key()) };
        let identity = match subject.external() {
            Some(external) => seen.base(external).identity(),
            None => BaseIdentity::ParentRecipe(known[&parent].digest().clone()),
        };
        (way, identity)
    });
    let named = seen.dockerfiles.get(&node).into_iter().flat_map(|d| &d.external);
    let named = named.map(|image| (image.reference.to_string(), seen.base(&image.reference).identity()));
    parents.chain(named).collect()
}

/// The labels of a node's image, without those that tell its recipe and base.
pub(crate) fn labels(spec: &Spec, graph: &Graph, node: NodeId) -> ImageLabels {
    let subject = SpecEntry::of(spec, graph, node);
    let image = match subject {
        SpecEntry::Project(project) => crate::model::names::NodeName::new(project.name.as_str()),
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
