//! What is doubtful about the build args of a spec: those that no Dockerfile
//! declares, and credentials. Says so at their lines; decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::observe::DockerfileSnapshot;
use crate::image::recipe::has_credential;
use crate::model::problem::Problem;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::{BuildArg, BuildArgs, Spec, SpecEntry, nearest};

/// What the Dockerfiles that get an arg of the spec make of it.
struct Usage<'a> {
    name: &'a str,
    arg: &'a BuildArg,
    /// By one of those that were asked about.
    selected: bool,
    /// Or it is not known.
    declared: bool,
    others: BTreeSet<&'a str>,
}

/// Warnings about the args that these images get, in the order of the spec.
/// `dockerfiles`: of all images whose files could be read, since the args of
/// a plan are for whichever of its images declares them.
pub(crate) fn warnings(
    spec: &Spec,
    graph: &Graph,
    dockerfiles: &HashMap<NodeId, DockerfileSnapshot>,
    nodes: &[NodeId],
) -> Vec<Problem> {
    let mut usages = BTreeMap::new();
    for &node in graph.order() {
        let entry = SpecEntry::of(spec, graph, node);
        if entry.dockerfile().is_none() {
            continue;
        }
        let declared: Option<BTreeSet<&str>> = dockerfiles.get(&node).map(|read| {
            read.facts.args().chain(read.evaluated.declared_args.iter().map(String::as_str)).collect()
        });
        for (name, arg) in given(spec, graph, node).into_iter().flatten() {
            let usage = usages.entry((&arg.place.file.path, arg.place.span.start)).or_insert(Usage {
                name,
                arg,
                selected: false,
                declared: is_predefined(name),
                others: BTreeSet::new(),
            });
            usage.selected |= nodes.contains(&node);
            usage.declared |= declared.as_ref().is_none_or(|declared| declared.contains(name.as_str()));
            usage.others.extend(declared.iter().flatten());
        }
    }
    usages.values().filter(|usage| usage.selected).flat_map(Usage::warnings).collect()
}

impl Usage<'_> {
    fn warnings(&self) -> Vec<Problem> {
        let Self { name, arg, .. } = self;
        let undeclared = (!self.declared).then(|| {
            let message =
                format!("no Dockerfile that gets the build arg `{name}` declares it, so it has no effect");
            Problem::new(message).at(&arg.place).help(match nearest(name, self.others.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write `ARG {name}` there, or remove it here"),
            })
        });
        let credential = has_credential(&arg.value).then(|| {
            let message = format!("the value of the build arg `{name}` is a credential, and build args stand in the history of an image for all who have it");
            let help = "list an id under `secrets:`, mount it in the RUN that needs it, and give its file with `--secret ID=FILE`";
            Problem::new(message).at(&arg.place).help(help)
        });
        undeclared.into_iter().chain(credential).collect()
    }
}

/// What the spec gives to a node.
fn given<'a>(spec: &'a Spec, graph: &Graph, node: NodeId) -> Vec<&'a BuildArgs> {
    match SpecEntry::of(spec, graph, node) {
        SpecEntry::Base(_) => Vec::new(),
        SpecEntry::Project(project) => vec![&project.build_args],
        SpecEntry::Image(image) => {
            let name = graph.node(node).plan.as_ref();
            let plan = spec.plans.iter().find(|plan| Some(&plan.name) == name);
            let own = name.and_then(|name| image.plan_args.get(name));
            [&image.build_args].into_iter().chain(plan.map(|plan| &plan.build_args)).chain(own).collect()
        }
    }
}

/// Args that BuildKit knows without an ARG.
fn is_predefined(name: &str) -> bool {
    let proxy = name.to_ascii_uppercase().ends_with("_PROXY");
    proxy || name.starts_with("BUILDKIT_") || name == "SOURCE_DATE_EPOCH"
}
