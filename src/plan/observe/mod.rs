//! Looks at the world before anything is decided: Dockerfiles and contexts on
//! disk, images on the engine, bases wherever they are.
//!
//! An edge. It gives facts (`Seen`) and decides nothing of what is built.

mod bases;
mod files;
mod newest;
mod offline;
mod readers;
pub(crate) mod remote;
#[cfg(test)]
mod tests;
mod uses;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use crate::dockerfile::context::HashCache;
pub(crate) use bases::{BaseSeen, Bases, Pinning};
pub(crate) use newest::{Newest, described, newest};
pub(crate) use offline::offline;
pub(crate) use readers::{Role, readers};
pub(crate) use uses::{Use, uses};

use crate::dockerfile::context::Listing;
use crate::dockerfile::context::{self, Context, Tree};
use crate::dockerfile::{Evaluated, ImageUse, ParsedDockerfile};
use crate::engine::{self, Engine};
use crate::model::digest::Digest;
use crate::model::problem::Problem;
use crate::model::reference::Reference;
use crate::registry::Registry;
use crate::spec::Spec;
use crate::spec::graph::{Graph, NodeId};
use crate::spec::pins::Pins;

/// What Dockerfiles are read for where no engine is asked.
const ANY_PLATFORM: &str = "linux/amd64";

/// Everything a plan needs to know besides the graph.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) engine: engine::EngineInfo,
    /// The engine's one list of images.
    pub(crate) store: Vec<engine::Image>,
    /// External images by their long reference.
    pub(crate) bases: Bases,
    /// What the files of each image with a Dockerfile say.
    pub(crate) dockerfiles: HashMap<NodeId, DockerfileSeen>,
}

impl Seen {
    /// What is known of an external image that was looked for.
    pub(crate) fn base(&self, reference: &Reference) -> &BaseSeen {
        &self.bases[&reference.canonical()]
    }

    /// External images by their tags, with what was seen of them.
    pub(crate) fn bases(&self) -> impl Iterator<Item = (Reference, &BaseSeen)> {
        self.bases.iter().filter_map(|(name, seen)| Some((Reference::parse(name).ok()?, seen)))
    }
}

/// What can be asked besides the files, and what is known before.
#[derive(Clone, Copy)]
pub(crate) struct World<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) registry: &'a dyn Registry,
    pub(crate) pins: &'a Pins,
    pub(crate) hashes: &'a HashCache,
}

/// A Dockerfile and the files that its instructions can read.
#[derive(Clone, Debug)]
pub(crate) struct DockerfileSeen {
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
    pub(crate) context: Arc<Context>,
    /// The same context as it was read.
    pub(crate) tree: Arc<Tree>,
    /// Of what this image's instructions can read.
    pub(crate) context_digest: Digest,
}

impl DockerfileSeen {
    /// What this image's instructions can read, unless that is more than
    /// `most` bytes to tell.
    pub(crate) fn files(&self, most: usize) -> Option<Listing> {
        context::listing(&self.tree, &self.evaluated.readable, most)
    }
}

/// Why the world could not be looked at.
#[derive(Debug)]
pub(crate) enum Error {
    /// Dockerfiles or contexts are wrong.
    Problems(Vec<Problem>),
    /// Bases are neither on the engine nor could they be asked for.
    Bases(Vec<Problem>),
    Engine(engine::Error),
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        Self::Engine(error)
    }
}

/// Reads the files of all images, and nothing else.
///
/// # Errors
/// All that is wrong with them.
pub(crate) fn check_files(spec: &Spec, graph: &Graph, hashes: &HashCache) -> Result<(), Vec<Problem>> {
    files(spec, graph, hashes).map(drop)
}

/// What the files of all images say, where no engine is asked.
///
/// # Errors
/// All that is wrong with them.
pub(crate) fn files(
    spec: &Spec,
    graph: &Graph,
    hashes: &HashCache,
) -> Result<HashMap<NodeId, DockerfileSeen>, Vec<Problem>> {
    files::read(spec, graph, ANY_PLATFORM, hashes)
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
) -> Result<BTreeMap<String, Use>, Vec<Problem>> {
    let dockerfiles = files::read(spec, graph, platform.unwrap_or(ANY_PLATFORM), hashes)?;
    Ok(uses(spec, graph, graph.order(), &dockerfiles))
}

/// Whether the engine has something under this tag that came from nowhere:
/// built or imported there, and never pushed.
pub(crate) fn is_local_only(reference: &Reference, store: &[engine::Image]) -> bool {
    let named = bases::by_name(store);
    let image = named.get(&reference.canonical());
    image.is_some_and(|image| bases::digest_in_store(reference, image).is_none())
}

/// Looks at the files of all images, and on the engine for all of `wanted`
/// and what they stand on.
///
/// # Errors
/// All problems of the files at once; else the engine's.
pub(crate) async fn observe(
    spec: &Spec,
    graph: &Graph,
    wanted: &[NodeId],
    world: &World<'_>,
) -> Result<Seen, Error> {
    let files = async {
        let facts = world.engine.info().await?;
        let dockerfiles = files::read(spec, graph, &facts.platform, world.hashes);
        Ok::<_, engine::Error>((facts, dockerfiles))
    };
    // The engine makes its list while files are read.
    let (store, read) = tokio::join!(world.engine.images(), files);
    let (store, (facts, dockerfiles)) = (store?, read?);
    let dockerfiles = dockerfiles.map_err(Error::Problems)?;
    let used = uses(spec, graph, wanted, &dockerfiles);
    let bases = bases::look(&used, &store, &facts.platform, world).await?;
    Ok(Seen { engine: facts, store, bases, dockerfiles })
}
