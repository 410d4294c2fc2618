//! The one seam to the world that builds and runs: an engine in our words.
//!
//! `docker` speaks to a real engine; `fake` interprets the same calls in
//! memory. Decides nothing.

pub(crate) mod address;
pub(crate) mod buildkit;
mod container;
pub(crate) mod docker;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod http;
mod index;
pub(crate) mod llb;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use async_trait::async_trait;
use futures::stream::BoxStream;
use tokio_util::sync::CancellationToken;

use crate::image::solve::Solve;
use crate::image::user_layer::{BaseFacts, LayerFiles, UserLayerInput};
use crate::model::event::{Events, Failure};
use crate::model::names::{ImageId, NodeName};
use crate::model::problem::Problem;
use crate::model::reference::Reference;
pub(crate) use container::{
    Attached, Change, ChangeKind, Chunk, Container, ContainerDetail, ContainerState, CreateContainer,
    DeviceRequest, Devices, Exec, FileKind, FileStat, Logs, Mount, Network, Port, Usage,
};
pub(crate) use index::ImageIndex;

/// An engine: an image store, a builder and a container runtime.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// What it is and has.
    async fn info(&self) -> Result<EngineInfo, Error>;
    /// What a solve needs and its BuildKit does not have, by BuildKit's names.
    async fn lacks(&self) -> Result<Vec<String>, Error>;
    /// Reads from an image's files what is wanted, without a container. The
    /// reference names an image of the store.
    async fn read_files(&self, image: &Reference, wants: &[UserLayerInput]) -> Result<BaseFacts, Error>;
    /// Every image of the store, in one call.
    async fn images(&self) -> Result<Vec<Image>, Error>;
    /// One image in full; `None`: there is none of that name or id.
    async fn image(&self, name: &str) -> Result<Option<ImageDetail>, Error>;
    /// What containers of an image are made with: the `config` object of its
    /// OCI image configuration. `None`: there is no such image.
    async fn image_config(&self, name: &str) -> Result<Option<ContainerConfig>, Error>;
    /// What these images take of the store; those that are gone are left out.
    async fn footprints(&self, images: &[ImageId]) -> Result<HashMap<ImageId, Footprint>, Error>;
    /// Asks where the engine would pull from: the manifest digest of a
    /// reference that is not in the store. `None`: the registry knows no such.
    async fn resolve(&self, reference: &Reference) -> Result<Option<String>, Error>;
    /// Makes one image and puts it into the store without a tag. Sends
    /// `Step`, `Transfer` and `Log` events. Cancelling stops its steps.
    async fn solve(
        &self,
        solve: &Solve,
        events: &Events,
        cancel: &CancellationToken,
    ) -> Result<Solved, SolveError>;
    /// The files that a solve would add for its account, by what the image
    /// starts from. Makes nothing but what is below them. Without an account
    /// there are none.
    async fn user_layer(&self, solve: &Solve, events: &Events) -> Result<UserLayer, SolveError>;
    /// Pulls from a registry by digest, under no tag. Sends `Step` and
    /// `Transfer` events about `node`. Dropping the future stops it.
    async fn pull(&self, reference: &Reference, node: &NodeName, events: &Events) -> Result<ImageId, Error>;
    /// Sends what a tag names to the tag's registry; events as for a pull.
    async fn push(&self, reference: &Reference, node: &NodeName, events: &Events) -> Result<(), Error>;
    /// Adds or moves a tag.
    async fn tag(&self, image: &ImageId, reference: &Reference) -> Result<(), Error>;
    /// Removes a tag, or by id an image without tags.
    async fn remove_image(&self, name: &str) -> Result<(), Error>;
    /// All containers, running or not, in one call.
    async fn containers(&self) -> Result<Vec<Container>, Error>;
    /// One container in full; `None`: there is no such container.
    async fn container(&self, container: &str) -> Result<Option<ContainerDetail>, Error>;
    /// What running containers take now; those that do not run are left out.
    async fn usage(&self, containers: &[String]) -> Result<HashMap<String, Usage>, Error>;
    /// Creates a container; everything is set at creation. Gives its id.
    async fn create(&self, request: &CreateContainer) -> Result<String, Error>;
    async fn start(&self, container: &str) -> Result<(), Error>;
    /// Waits until it no longer runs; its exit code.
    async fn wait(&self, container: &str) -> Result<i64, Error>;
    /// Stops with a grace of `seconds` before the kill.
    async fn stop(&self, container: &str, seconds: u32) -> Result<(), Error>;
    async fn remove(&self, container: &str) -> Result<(), Error>;
    /// What its program wrote; with `follow` until it ends.
    async fn logs(
        &self,
        container: &str,
        logs: &Logs,
    ) -> Result<BoxStream<'static, Result<Chunk, Error>>, Error>;
    /// Runs a program in a running container, attached to it.
    async fn exec(&self, container: &str, exec: &Exec) -> Result<Attached, Error>;
    /// Sets the size of the terminal of an [`Attached`].
    async fn resize(&self, exec: &str, columns: u16, rows: u16) -> Result<(), Error>;
    /// The exit code of an [`Attached`]; `None`: it still runs.
    async fn exec_ended(&self, exec: &str) -> Result<Option<i64>, Error>;
    /// Files that differ from the image's.
    async fn changes(&self, container: &str) -> Result<Vec<Change>, Error>;
    /// Bytes of those files, holes counted as if they were written, which they
    /// are in a commit. `None`: the engine does not say. Takes the engine as
    /// long as `changes`.
    async fn written(&self, container: &str) -> Result<Option<u64>, Error>;
    /// One path of a container, or of a stopped one; a link is not followed.
    /// `None`: it is not there. Its content is not read.
    async fn stat(&self, container: &str, path: &str) -> Result<Option<FileStat>, Error>;
    /// Unpacks a tar archive in the container's root; also in one that is
    /// stopped.
    async fn write_files(&self, container: &str, tar: Vec<u8>) -> Result<(), Error>;
    /// A file or folder of the container, or of a stopped one, as a tar
    /// archive; `None`: it is not there. Refused where it has more bytes than
    /// `most`.
    async fn read_tar(&self, container: &str, path: &str, most: u64) -> Result<Option<Vec<u8>>, Error>;
    /// Makes an image of the container's files and configuration, without a
    /// tag. Labels of the container are on it.
    async fn commit(&self, container: &str) -> Result<ImageId, Error>;
}

/// `Env`, `Cmd`, `User`, … as JSON has them.
pub(crate) type ContainerConfig = serde_json::Map<String, serde_json::Value>;

/// What an engine is and has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EngineInfo {
    pub(crate) version: String,
    /// Version of its interface that is spoken, `1.41`.
    pub(crate) api: String,
    /// Names this engine among others; keys of locks are made from it.
    pub(crate) id: String,
    /// Where it keeps images, on its own machine.
    pub(crate) root: PathBuf,
    /// True when `root` is a folder of this machine (reached by a local socket).
    pub(crate) local: bool,
    pub(crate) storage_driver: String,
    /// `systemd` or `cgroupfs`.
    pub(crate) cgroup_driver: String,
    pub(crate) cpus: u32,
    /// Bytes.
    pub(crate) memory: u64,
    /// OCI platform, e.g. `linux/amd64`.
    pub(crate) platform: String,
    /// Names of its OCI runtimes: `runc`, `nvidia`.
    pub(crate) runtimes: BTreeSet<String>,
    /// CDI devices that it found, whole names (`nvidia.com/gpu=GPU-…`); engines
    /// before 28.2 do not say.
    pub(crate) cdi_devices: BTreeSet<String>,
}

/// One image of the list call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) id: ImageId,
    pub(crate) tags: Vec<Reference>,
    /// `name@sha256:…` for images that came from or went to a registry.
    pub(crate) digests: Vec<Reference>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Bytes, shared layers included.
    pub(crate) size: u64,
    /// Seconds since 1970 as the image config says.
    pub(crate) created: i64,
}

/// One image in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageDetail {
    pub(crate) id: ImageId,
    pub(crate) tags: Vec<Reference>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) env: Vec<String>,
    pub(crate) user: String,
    pub(crate) workdir: String,
    /// Entrypoint and command together; empty where the image names neither.
    pub(crate) command: Vec<String>,
    /// Instructions that it leaves for whatever is built FROM it.
    pub(crate) onbuild: Vec<String>,
    /// One for each layer.
    pub(crate) diff_ids: Vec<String>,
    pub(crate) size: u64,
}

/// What one image takes of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// Bytes of layers that no other image has: what removing this image
    /// alone frees.
    pub(crate) own: u64,
    /// When a tag was last put on it, in seconds since 1970; `None`: the
    /// engine does not say.
    pub(crate) tagged: Option<i64>,
}

/// An engine call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// Nobody answers at that address.
    #[error("no engine answers at {address}")]
    Unreachable { address: String, cause: String },
    /// The address cannot be one.
    #[error("`{address}` is not an engine address")]
    Address { address: String, cause: String },
    /// A file of Docker's that names the engine.
    #[error("Docker's `{path}`, which may say where the engine is, cannot be read")]
    Config { path: String, cause: String },
    /// The sides do not trust each other, or a file for that is missing.
    #[error("no trusted connection to the engine at {address}")]
    Certificates { address: String, cause: String },
    /// It answers, but cannot build with BuildKit.
    #[error("the engine at {address} has no BuildKit")]
    NoBuildKit { address: String, cause: String },
    /// It refused.
    #[error("the engine refused to {action}: {message}")]
    Refused { action: String, message: String },
    /// The connection broke.
    #[error("the connection to the engine broke while trying to {action}: {cause}")]
    Broken { action: String, cause: String },
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        Self { help: error.help(), ..Self::new(error.to_string()) }
    }
}

impl Error {
    /// What a person can do about it.
    pub(crate) fn help(&self) -> Option<String> {
        let text = match self {
            Self::Unreachable { cause, .. } => {
                format!("{cause}. Is the engine running? Set --engine or DOCKER_HOST to reach another one")
            }
            Self::Address { cause, .. } => {
                format!("{cause}. Write unix:///var/run/docker.sock or tcp://host:2376")
            }
            Self::Config { cause, .. } => {
                format!("{cause}. Correct the file, or say where the engine is with --engine or DOCKER_HOST")
            }
            Self::Certificates { cause, .. } => cause.clone(),
            Self::NoBuildKit { cause, .. } => {
                format!("{cause}. Docker Engine 18.09 or newer, or buildkitd, is needed")
            }
            Self::Refused { .. } | Self::Broken { .. } => return None,
        };
        Some(text)
    }
}

/// What a solve adds to an image for its account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UserLayer {
    pub(crate) layer: LayerFiles,
    /// Whether sudo is installed below it, since the image lacks it.
    pub(crate) sudo: bool,
}

/// The image of a solve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Solved {
    pub(crate) id: ImageId,
    /// How many layers the image should have by what was asked for; an engine
    /// that has fewer lost some. `None`: that is not known.
    pub(crate) layers: Option<usize>,
}

/// A solve that gave no image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SolveError {
    /// The image cannot be built as it is described.
    Failed(Box<Failure>),
    /// The engine failed; the image may be fine.
    Engine(Error),
    Cancelled,
}

impl From<Error> for SolveError {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}
