//! Looks at the world before anything is decided: Dockerfiles and contexts on
//! disk, images on the engine, bases wherever they are.
//!
//! An edge. It gives facts (`Seen`) and decides nothing of what is built.

mod bases;
mod files;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

pub use crate::context::HashCache;
pub use bases::{BaseSeen, Bases};

use crate::context::Context;
use crate::dockerfile::{Evaluated, ImageUse};
use crate::engine::{self, Engine};
use crate::graph::{Graph, NodeId};
use crate::problem::Problem;
use crate::recipe::Digest;
use crate::reference::Reference;
use crate::spec::Spec;

/// What Dockerfiles are read for where no engine is asked.
const ANY_PLATFORM: &str = "linux/amd64";

/// Everything a plan needs to know besides the graph.
#[derive(Debug)]
pub struct Seen {
    pub engine: engine::Facts,
    /// The engine's one list of images.
    pub store: Vec<engine::Image>,
    /// External images by their long reference.
    pub bases: Bases,
    /// What the files of each image with a Dockerfile say.
    pub dockerfiles: HashMap<NodeId, DockerfileSeen>,
}

impl Seen {
    /// What is known of an external image that was looked for.
    pub fn base(&self, reference: &Reference) -> &BaseSeen {
        &self.bases[&reference.canonical()]
    }
}

/// A Dockerfile and the files that its instructions can read.
#[derive(Clone, Debug)]
pub struct DockerfileSeen {
    pub text: Arc<str>,
    pub path: PathBuf,
    pub target: Option<String>,
    /// The front end that `# syntax=` asks for.
    pub syntax: Option<String>,
    pub evaluated: Evaluated,
    /// Images that it names and the graph does not: `COPY --from=alpine`, or
    /// FROM where the spec leaves the base to the Dockerfile.
    pub external: Vec<ImageUse>,
    /// Shared by all images with the same folder and ignore rules.
    pub context: Arc<Context>,
    /// Of what this image's instructions can read.
    pub context_digest: Digest,
}

/// Why the world could not be looked at.
#[derive(Debug)]
pub enum Error {
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
pub fn check_files(spec: &Spec, graph: &Graph, hashes: &HashCache) -> Result<(), Vec<Problem>> {
    files::read(spec, graph, ANY_PLATFORM, hashes).map(drop)
}

/// Looks at the files of all images, and on the engine for all of `wanted`
/// and what they stand on.
///
/// # Errors
/// All problems of the files at once; else the engine's.
pub async fn observe(
    spec: &Spec,
    graph: &Graph,
    wanted: &[NodeId],
    engine: &dyn Engine,
    hashes: &HashCache,
) -> Result<Seen, Error> {
    let (facts, store) = tokio::join!(engine.facts(), engine.images());
    let (facts, store) = (facts?, store?);
    let dockerfiles = files::read(spec, graph, &facts.platform, hashes).map_err(Error::Problems)?;
    let bases = bases::look(spec, graph, wanted, &dockerfiles, &store, engine).await?;
    Ok(Seen { engine: facts, store, bases, dockerfiles })
}
