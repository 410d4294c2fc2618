//! Which images a change touches themselves, and why.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::ask::is;
use super::{SpecFiles, Target};
use crate::dockerfile::BuildBase;
use crate::image::recipe::masked;
use crate::model::problem::Place;
use crate::model::reference::Reference;
use crate::plan::observe::{DockerfileSnapshot, FileRole};
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId, NodeKind};

/// Why an image would be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Cause {
    /// It is what was asked about.
    Itself,
    /// What it is built from changes.
    StandsOn { parent: String },
    /// What it copies from changes.
    CopiesFrom { parent: String },
    /// It reads the file.
    Reads { role: FileRole },
    /// Its Dockerfile declares the build arg; `None`: it has no value in the
    /// spec. What looks secret is masked.
    Arg { old: Option<String>, new: Option<String> },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Itself => f.write_str("changes itself"),
            Self::StandsOn { parent } => write!(f, "is based on {parent}"),
            Self::CopiesFrom { parent } => write!(f, "copies from {parent}"),
            Self::Reads { role: FileRole::Dockerfile } => f.write_str("its Dockerfile"),
            Self::Reads { role: FileRole::Context } => f.write_str("reads it"),
            Self::Reads { role: FileRole::IgnoreRules } => f.write_str("its ignore rules"),
            Self::Arg { old: Some(old), new: Some(new) } => write!(f, "{old} → {new}"),
            Self::Arg { old: None, new: Some(new) } => write!(f, "not set → {new}"),
            Self::Arg { old: Some(old), new: None } => write!(f, "declares it, is given {old}"),
            Self::Arg { old: None, new: None } => f.write_str("declares it, is given none"),
        }
    }
}

/// What was found to read the file that is asked about; empty for all else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileReaders {
    /// Images that read it.
    pub(crate) readers: Vec<(NodeId, FileRole)>,
    /// Entries of the spec in it; `None`: it is no file of the spec.
    pub(crate) declares: Option<Vec<String>>,
}

/// Images that change themselves.
#[derive(Debug, Default)]
pub(super) struct DirectChanges {
    pub(crate) causes: HashMap<NodeId, Cause>,
    pub(crate) notes: Vec<String>,
    pub(crate) declares: Vec<String>,
}

pub(super) fn direct(stack: &SpecFiles<'_>, asked: &Target, read: &FileReaders) -> DirectChanges {
    match asked {
        Target::Image { node, .. } => image(stack.graph, *node),
        Target::Base { reference } => base(stack, reference),
        Target::File { .. } => file(read),
        Target::Arg { name, value } => arg(stack, name, value.as_deref()),
    }
}

fn image(graph: &Graph, node: NodeId) -> DirectChanges {
    let mut direct = DirectChanges { causes: [(node, Cause::Itself)].into(), ..DirectChanges::default() };
    let of = graph.node(node);
    let variants =
        graph.nodes().filter(|other| matches!(of.kind, NodeKind::Image(_)) && other.kind == of.kind);
    let others: Vec<&str> =
        variants.filter(|other| other.id != node).map(|other| other.name.as_str()).collect();
    if !others.is_empty() {
        direct.notes.push(format!(
            "this is `{}` alone; its files and its entry in the spec are also those of {}",
            of.name,
            others.join(", ")
        ));
    }
    direct
}

fn base(stack: &SpecFiles<'_>, reference: &Reference) -> DirectChanges {
    let mut direct = DirectChanges::default();
    for &node in stack.graph.order() {
        let mut parents = stack.graph.parents(node).iter().enumerate();
        let external = |parent: NodeId| SpecEntry::of(stack.spec, stack.graph, parent).external();
        let parent = parents.find(|(_, parent)| external(**parent).is_some_and(|known| is(known, reference)));
        let seen = stack.dockerfiles.get(&node);
        let names = || seen?.external.iter().find(|image| is(&image.reference, reference));
        let what = |base: bool, parent: String| {
            if base { Cause::StandsOn { parent } } else { Cause::CopiesFrom { parent } }
        };
        if let Some((at, parent)) = parent {
            direct.causes.insert(node, what(at == 0, stack.graph.node(*parent).name.to_string()));
        } else if let Some(image) = names() {
            let base = seen.is_some_and(|seen| stands_on(seen, reference));
            direct.causes.insert(node, what(base, image.reference.to_string()));
        }
    }
    if direct.causes.is_empty() {
        direct.notes.push(format!("nothing is based on {reference}"));
    }
    direct
}

/// Whether a Dockerfile is built from it, where the spec leaves that to it.
fn stands_on(seen: &DockerfileSnapshot, reference: &Reference) -> bool {
    match &seen.evaluated.base {
        BuildBase::Image(image) => is(&image.reference, reference),
        BuildBase::Scratch(_) => false,
    }
}

fn file(read: &FileReaders) -> DirectChanges {
    let mut direct = DirectChanges::default();
    direct.causes.extend(read.readers.iter().map(|(node, role)| (*node, Cause::Reads { role: *role })));
    match &read.declares {
        Some(declares) => {
            direct.notes.push(
                "the spec is compared entry by entry: an edit rebuilds the images whose entries it changes, \
                 and what is based on them; ask for one by its name"
                    .into(),
            );
            direct.declares.clone_from(declares);
        }
        None if read.readers.is_empty() => direct.notes.push("no image reads it".into()),
        None => {}
    }
    if read.readers.iter().any(|(_, role)| *role == FileRole::IgnoreRules) {
        direct.notes.push("ignore rules rebuild only what gets other files by them".into());
    }
    direct
}

fn arg(stack: &SpecFiles<'_>, name: &str, value: Option<&str>) -> DirectChanges {
    let mut direct = DirectChanges::default();
    let (mut same, mut unread) = (Vec::new(), Vec::new());
    for node in stack.graph.nodes() {
        let old = node.build_args.get(name).cloned();
        let declares =
            stack.dockerfiles.get(&node.id).is_some_and(|seen| seen.evaluated.declared_args.contains(name));
        if !declares {
            unread.extend(old.map(|_| node.name.as_str()));
        } else if value.is_some() && old.as_deref() == value {
            same.push(node.name.as_str());
        } else {
            let shown = |value: &str| masked(name, value);
            direct
                .causes
                .insert(node.id, Cause::Arg { old: old.as_deref().map(shown), new: value.map(shown) });
        }
    }
    if !same.is_empty() {
        direct.notes.push(format!("given this value already: {}", same.join(", ")));
    }
    if !unread.is_empty() {
        direct
            .notes
            .push(format!("given it, but no Dockerfile of theirs declares it: {}", unread.join(", ")));
    }
    direct
}

/// The entries of a spec that stand in the files that `is_in` accepts; each
/// kind with its names. Paths are as the spec shows them.
pub(super) fn declared(spec: &Spec, graph: &Graph, is_in: &dyn Fn(&Path) -> bool) -> Vec<String> {
    let mut files = HashMap::new();
    let mut is_in = |place: &Place| {
        let path = &place.file.path;
        *files.entry(path.clone()).or_insert_with(|| is_in(path))
    };
    let mut entries = Vec::new();
    let mut told = BTreeSet::new();
    for node in graph.nodes().filter(|node| node.plan.is_none()) {
        let kind = match node.kind {
            NodeKind::Base(_) => "base",
            NodeKind::Image(_) => "image",
            NodeKind::Project(..) => "project",
        };
        if is_in(SpecEntry::of(spec, graph, node.id).place()) {
            entries.push(format!("{kind} {}", node.name));
        }
    }
    for plan in spec.plans.iter().filter(|plan| is_in(&plan.place)) {
        entries.push(format!("plan {}", plan.name));
    }
    for user in spec.users.values().filter(|user| is_in(&user.place)) {
        entries.push(format!("user {}", user.account.login));
    }
    entries.retain(|entry| told.insert(entry.clone()));
    entries
}
