//! Which images differ from a revision of git.
//!
//! Git only hands out the files as they were. Whether an image differs is
//! decided by its recipe, made from both states of the files in the same way
//! and without an engine: so a rename counts where it came from and where it
//! went, and a comment counts nowhere. What cannot be known is said.

mod git;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub(crate) use git::Error;
use git::{Checkout, checkout};

use crate::dockerfile::context::HashCache;
use crate::host::people::System;
use crate::model::digest::Digest;
use crate::model::human::listed;
use crate::model::names::NodeName;
use crate::model::problem::Problem;
use crate::model::reference::{Reference, Repository};
use crate::plan;
use crate::plan::observe;
use crate::spec::catalog::HostArch;
use crate::spec::files::Disk;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::lock_file::{self, Lock};
use crate::spec::{self, BaseSource, Content, Dockerfile, Spec, SpecContext};

/// How many names a sentence bears.
const NAMES: usize = 8;

/// The files as they are now, and what else a spec is read with.
pub(crate) struct Now<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) graph: &'a Graph,
    /// Where the spec itself is, absolute.
    pub(crate) file: &'a Path,
    pub(crate) lock: &'a Lock,
    pub(crate) hashes: &'a HashCache,
    /// Images that stand in for bases, by the names of these.
    pub(crate) stand_ins: &'a BTreeMap<String, Reference>,
    pub(crate) people: &'a Arc<System>,
    pub(crate) arch: &'a HostArch,
}

/// What one state of the files makes of each image that is built here.
type Images = BTreeMap<NodeName, ImageVersion>;

/// What an image is and where it stands. Tags are no ingredient of a recipe,
/// but an image whose tags are others has to be tagged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ImageVersion {
    recipe: Digest,
    repository: Option<Repository>,
    tag_prefix: Option<String>,
}

/// What differs from another state of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Images that are new or other, and so what is based on them; parents first.
    pub(crate) changed: Vec<NodeId>,
    /// Images that are no more.
    removed: Vec<NodeName>,
    /// How many images there are now.
    all: usize,
}

impl Difference {
    /// For people.
    pub(crate) fn lines(&self, graph: &Graph, revision: &str) -> Vec<String> {
        let names: Vec<_> = self.changed.iter().map(|id| graph.node(*id).name.as_str()).collect();
        let removed: Vec<_> = self.removed.iter().map(NodeName::as_str).collect();
        let gone = || format!("gone since {revision}: {}", listed(&removed, NAMES));
        let changed = || {
            let (count, all) = (names.len(), self.all);
            format!("changed since {revision}: {count} of {all} images: {}", listed(&names, NAMES))
        };
        let lines = [(!removed.is_empty()).then(gone), (!names.is_empty()).then(changed)];
        lines.into_iter().flatten().collect()
    }
}

/// The images that differ from a revision, which must not begin with `-`.
///
/// # Errors
/// It cannot be known, the files are wrong, or `stop` was cancelled.
pub(crate) async fn since(
    now: &Now<'_>,
    revision: &str,
    stop: &CancellationToken,
) -> Result<Difference, Error> {
    let root = &now.spec.root;
    let file = below(root, now.file).ok_or_else(|| Problem::new("the spec lies outside its own folder"))?;
    let checkout = checkout(root, revision, stop).await?;
    if let Some(unknown) = in_submodule(now.spec, &checkout) {
        return Err(Error::Unknown(unknown));
    }
    let (root, stand_ins, lock) = (checkout.root.clone(), now.stand_ins.clone(), now.lock.clone());
    let (arch, people) = (now.arch.clone(), now.people.clone());
    let reading = tokio::task::spawn_blocking(move || {
        let world = SpecContext { files: &Disk, people: people.as_ref(), arch: &arch };
        then(&root, &file, &world, &stand_ins, lock)
    });
    let (then, lock) = tokio::select! {
        () = stop.cancelled() => return Err(Error::Stopped),
        // A panic of ours is not to be taken for a state of the files.
        read = reading => read.expect("reading does not panic").map_err(|problems| unreadable(revision, &problems))?,
    };
    let images = images(now.spec, now.graph, &lock, now.hashes).map_err(Error::Problems)?;
    Ok(difference(now.graph, &images, &then))
}

/// A file's path below a folder.
fn below(root: &Path, file: &Path) -> Option<PathBuf> {
    let folder = file.parent()?.canonicalize().ok()?;
    Some(folder.strip_prefix(root).ok()?.join(file.file_name()?))
}

/// What the files of another time make of each image, and those pins of now
/// that there were then.
fn then(
    root: &Path,
    file: &Path,
    world: &SpecContext<'_>,
    stand_ins: &BTreeMap<String, Reference>,
    mut now: Lock,
) -> Result<(Images, Lock), Vec<Problem>> {
    let path = lock_file::beside(&root.join(file));
    let mut then = lock_file::load(&path, &lock_file::beside(file))?;
    // A base that was not pinned yet did not change by being pinned.
    let names = |lock: &Lock| lock.iter().map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>();
    let (before, after) = (names(&then), names(&now));
    then.retain(|name| after.contains(name));
    now.retain(|name| before.contains(name));
    let mut spec = spec::read(root, file, world)?;
    for base in &mut spec.bases {
        if let Some(image) = stand_ins.get(base.name.as_str()) {
            base.source = BaseSource::Image(image.clone());
        }
    }
    // The folder has a new name each time: nothing of it is worth keeping.
    Ok((images(&spec, &Graph::build(&spec), &then, &HashCache::default())?, now))
}

fn unreadable(revision: &str, problems: &[Problem]) -> Problem {
    let first = problems.first().map_or_else(String::new, |problem| match &problem.place {
        Some(place) => {
            format!("{}:{} {}", place.file.path.display(), place.line_column().0, problem.message)
        }
        None => problem.message.clone(),
    });
    Problem::new(format!("the files of {revision} are not as they have to be today: {first}"))
}

/// Reads what the files make of each image.
///
/// # Errors
/// All that is wrong with the files.
fn images(spec: &Spec, graph: &Graph, lock: &Lock, hashes: &HashCache) -> Result<Images, Vec<Problem>> {
    let snapshot = observe::offline(spec, graph, lock, hashes)?;
    let recipes = plan::recipes(spec, graph, &snapshot, graph.order());
    let made = recipes.into_iter().map(|(node, recipe)| {
        let node = graph.node(node);
        let made = ImageVersion {
            recipe: recipe.digest().clone(),
            repository: node.repository.clone(),
            tag_prefix: node.tag_prefix.clone(),
        };
        (node.name.clone(), made)
    });
    Ok(made.collect())
}

/// Compares by name; `graph` is of `now`.
fn difference(graph: &Graph, now: &Images, then: &Images) -> Difference {
    let differs = |node: &&NodeId| {
        let name = &graph.node(**node).name;
        now.get(name).is_some_and(|made| then.get(name) != Some(made))
    };
    Difference {
        changed: graph.order().iter().filter(differs).copied().collect(),
        removed: then.keys().filter(|name| !now.contains_key(name)).cloned().collect(),
        all: now.len(),
    }
}

/// Says which image's files lie in a submodule that is not known: what those
/// were is in a history of its own, which may not be here.
fn in_submodule(spec: &Spec, checkout: &Checkout) -> Option<Problem> {
    let of_images = spec.images.iter().filter_map(|image| match &image.content {
        Content::Dockerfile(dockerfile) => Some(dockerfile),
        Content::Packages(_) => None,
    });
    let all = of_images.chain(spec.projects.iter().filter_map(|project| project.dockerfile.as_ref()));
    let shown = |path: &Path| path.strip_prefix(&spec.root).unwrap_or(path).display().to_string();
    all.flat_map(paths).find_map(|path| {
        let below = path.strip_prefix(&spec.root).ok()?;
        let submodule = checkout.submodules.iter().find(|submodule| below.starts_with(submodule))?;
        Some(Problem::new(format!("{} lies in the submodule {}", shown(path), submodule.display())))
    })
}

fn paths(dockerfile: &Dockerfile) -> [&Path; 2] {
    [&dockerfile.context, &dockerfile.file]
}
