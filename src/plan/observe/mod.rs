//! Reads what a plan is made from before anything is decided: Dockerfiles and
//! contexts on disk, images on the engine, bases wherever they are.
//!
//! An edge. It gives facts ([`Snapshot`]) and decides nothing of what is built.

mod bases;
mod files;
mod onbuild;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use crate::dockerfile::context::HashCache;
pub(crate) use bases::{BaseSnapshot, Bases, Pinning, is_local_only};
pub(crate) use files::{FileRole, readers};

use crate::dockerfile::context::{self, Listing, Tree};
use crate::dockerfile::{Evaluated, ImageUse, ParsedDockerfile, Triggers};
use crate::engine::{self, ImageIndex};
use crate::model::digest::Digest;
use crate::model::names::NodeName;
use crate::model::problem::{Place, Problem};
use crate::model::reference::Reference;
use crate::plan::{Context, Error};
use crate::spec::Spec;
use crate::spec::SpecEntry;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::lock_file::{Lock, Pin, Stamp};
use files::Dockerfiles;

/// What Dockerfiles are read for where no engine is asked.
const ANY_PLATFORM: &str = "linux/amd64";

/// Everything a plan needs to know besides the graph.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) engine: engine::EngineInfo,
    /// The engine's one list of images.
    pub(crate) store: Vec<engine::Image>,
    /// External images by their long reference.
    pub(crate) bases: Bases,
    /// What the files of each image with a Dockerfile say.
    pub(crate) dockerfiles: HashMap<NodeId, DockerfileSnapshot>,
    /// What could not be asked and counts for what is built.
    pub(crate) warnings: Vec<String>,
    /// When shared images were last refreshed, by spec.lock.
    pub(crate) refreshed: BTreeMap<NodeName, Stamp>,
}

impl Snapshot {
    /// What is known of an external image that was looked for.
    pub(crate) fn base(&self, reference: &Reference) -> &BaseSnapshot {
        &self.bases[&reference.canonical()]
    }

    /// External images by their tags, with what is known of them.
    pub(crate) fn bases(&self) -> impl Iterator<Item = (Reference, &BaseSnapshot)> {
        self.bases.iter().filter_map(|(name, base)| Some((Reference::parse(name).ok()?, base)))
    }
}

/// A Dockerfile and the files that its instructions can read.
#[derive(Clone, Debug)]
pub(crate) struct DockerfileSnapshot {
    pub(crate) text: Arc<str>,
    pub(crate) path: PathBuf,
    pub(crate) target: Option<String>,
    /// The front end that `# syntax=` asks for.
    pub(crate) syntax: Option<String>,
    pub(crate) facts: ParsedDockerfile,
    pub(crate) evaluated: Evaluated,
    /// Images that it names and the graph does not: `COPY --from=alpine`, or
    /// FROM where the spec leaves the base to the Dockerfile.
    pub(crate) external: Vec<ImageUse>,
    /// Shared by all images with the same folder and ignore rules.
    pub(crate) context: Arc<context::Context>,
    /// The same context as it was read.
    pub(crate) tree: Arc<Tree>,
    /// Of what this image's instructions can read.
    pub(crate) context_digest: Digest,
}

impl DockerfileSnapshot {
    /// Whether BuildKit's cache may give steps of it other files than these.
    pub(crate) fn may_be_stale(&self) -> bool {
        self.tree.may_be_taken_for_older(&self.evaluated.readable)
    }

    /// What this image's instructions can read, unless that is more than
    /// `most` bytes to tell.
    pub(crate) fn files(&self, most: usize) -> Option<Listing> {
        context::listing(&self.tree, &self.evaluated.readable, most)
    }
}

/// What the files of all images say, where no engine is asked.
///
/// # Errors
/// All that is wrong with them.
pub(crate) fn files(
    spec: &Spec,
    graph: &Graph,
    hashes: &HashCache,
) -> Result<HashMap<NodeId, DockerfileSnapshot>, Vec<Problem>> {
    files::read(spec, graph, ANY_PLATFORM, hashes, &Triggers::default()).all()
}

/// What images of the whole spec use without it being built here, by its
/// long reference. No engine and no registry is asked.
///
/// # Errors
/// All that is wrong with the files.
pub(crate) fn external(
    spec: &Spec,
    graph: &Graph,
    platform: Option<&str>,
    hashes: &HashCache,
) -> Result<BTreeMap<String, ExternalImage>, Vec<Problem>> {
    let platform = platform.unwrap_or(ANY_PLATFORM);
    let dockerfiles = files::read(spec, graph, platform, hashes, &Triggers::default()).all()?;
    Ok(external_images(spec, graph, graph.order(), &dockerfiles))
}

/// Reads the files of all images, and what the engine has of `wanted` and all
/// that they are based on.
///
/// # Errors
/// All problems of the files of these at once; else the engine's.
pub(crate) async fn observe(context: &Context<'_>, wanted: &[NodeId]) -> Result<Snapshot, Error> {
    let Context { spec, graph, engine, hashes, .. } = *context;
    let files = async {
        let facts = engine.info().await?;
        let read = files::read(spec, graph, &facts.platform, hashes, &Triggers::default());
        Ok::<_, engine::Error>((facts, read))
    };
    // The engine makes its list while files are read.
    let (store, read) = tokio::join!(engine.images(), files);
    let (store, (facts, read)) = (store?, read?);
    let mut dockerfiles = read.of(wanted).map_err(Error::Problems)?;
    let (platform, images) = (facts.platform.as_str(), ImageIndex::new(&store));
    let find = async |dockerfiles: &Dockerfiles| {
        let external = external_images(spec, graph, wanted, dockerfiles);
        bases::find(&external, &images, platform, context).await
    };
    let mut bases = find(&dockerfiles).await?;
    let mut warnings = Vec::new();
    let triggers = onbuild::of_bases(&dockerfiles, &bases, platform, context, &mut warnings).await?;
    if !triggers.is_empty() {
        // Only now it is known what the instructions of these images read.
        let read = files::read(spec, graph, platform, hashes, &triggers);
        dockerfiles = read.of(wanted).map_err(Error::Problems)?;
        bases = find(&dockerfiles).await?;
    }
    let refreshed = context.pins.lock.refreshed.clone();
    Ok(Snapshot { engine: facts, store, bases, dockerfiles, warnings, refreshed })
}

/// What can be known without an engine and without a registry: enough to
/// compare two states of the files, not to plan. A base counts by its pin.
/// Recipes made from this are equal for equal files on any machine, and no
/// image on an engine carries one of them.
///
/// # Errors
/// All that is wrong with the files.
pub(crate) fn offline(
    spec: &Spec,
    graph: &Graph,
    lock: &Lock,
    hashes: &HashCache,
) -> Result<Snapshot, Vec<Problem>> {
    let dockerfiles = files::read(spec, graph, ANY_PLATFORM, hashes, &Triggers::default()).all()?;
    let external = external_images(spec, graph, graph.order(), &dockerfiles);
    let bases: Bases =
        external.into_iter().map(|(key, each)| (key, by_lock(&each.reference, lock))).collect();
    let engine = engine::EngineInfo { platform: ANY_PLATFORM.into(), ..engine::EngineInfo::default() };
    let (store, warnings, refreshed) = (Vec::new(), Vec::new(), lock.refreshed.clone());
    Ok(Snapshot { engine, store, bases, dockerfiles, warnings, refreshed })
}

/// Which image a reference stands for where nobody can be asked: the digest
/// that it names or is pinned to, else its own text.
fn by_lock(reference: &Reference, lock: &Lock) -> BaseSnapshot {
    let pinned = || lock.get(reference).map(Pin::digest);
    let digest = reference.digest().or_else(pinned).map_or_else(|| reference.canonical(), str::to_owned);
    BaseSnapshot {
        given: reference.clone(),
        digest: Some(digest),
        id: None,
        size: None,
        pinning: Pinning::Never,
    }
}

/// An external image that something is built on or copies from.
#[derive(Clone, Debug)]
pub(crate) struct ExternalImage {
    pub(crate) reference: Reference,
    /// Where it is named first.
    pub(crate) place: Place,
    /// What uses it itself.
    pub(crate) nodes: Vec<NodeId>,
}

impl ExternalImage {
    /// What another content of it would rebuild, parents first.
    pub(crate) fn affects(&self, graph: &Graph) -> Vec<NodeId> {
        let below = graph.descendants(&self.nodes);
        let reached = |node: &&NodeId| self.nodes.contains(node) || below.contains(node);
        graph.order().iter().filter(reached).copied().collect()
    }
}

/// What `wanted` uses without it being built here, each image once, by its long reference.
pub(crate) fn external_images(
    spec: &Spec,
    graph: &Graph,
    wanted: &[NodeId],
    dockerfiles: &HashMap<NodeId, DockerfileSnapshot>,
) -> BTreeMap<String, ExternalImage> {
    let mut external: BTreeMap<String, ExternalImage> = BTreeMap::new();
    let mut add = |reference: &Reference, place: &Place, node: NodeId| {
        let each = external.entry(reference.canonical()).or_insert_with(|| ExternalImage {
            reference: reference.clone(),
            place: place.clone(),
            nodes: Vec::new(),
        });
        each.nodes.push(node);
    };
    for &node in wanted {
        for &parent in graph.parents(node) {
            let parent = SpecEntry::of(spec, graph, parent);
            if let Some(external) = parent.external() {
                add(external, parent.place(), node);
            }
        }
        for image in dockerfiles.get(&node).into_iter().flat_map(|d| &d.external) {
            add(&image.reference, &image.place, node);
        }
    }
    external
}
