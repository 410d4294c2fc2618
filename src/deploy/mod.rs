//! From a word and options to a running container.
//!
//! [`target`] finds the image and the person, [`prepare`] what else is needed of
//! both: a [`DeployRequest`]. [`Snapshot`] is what there is on the machine.
//! [`decide`] decides from both, purely, and [`create`] carries it out;
//! [`restart`] starts one that was stopped.
//! Knows neither command line nor terminal.

pub(crate) mod create;
mod decide;
mod error;
pub(crate) mod folders;
pub(crate) mod gpus;
pub(crate) mod image;
pub(crate) mod limits;
pub(crate) mod mounts;
pub(crate) mod options;
pub(crate) mod owner;
pub(crate) mod prepare;
pub(crate) mod restart;
mod snapshot;
pub(crate) mod target;

use std::path::PathBuf;

use crate::engine::{ImageDetail, Mount};
use crate::gpu::attach::AttachMethod;
use crate::model::labels::read::UID_MARK;
use crate::model::names::ProjectName;
pub(crate) use create::Deployed;
pub(crate) use decide::decide;
pub(crate) use error::{DeployError, DeployRefusal};
pub(crate) use gpus::DeviceFiles;
pub(crate) use options::DeployOptions;
use owner::Owner;
pub(crate) use snapshot::Snapshot;

/// The limit on locked memory, which frameworks raise for pinned buffers.
const MEMLOCK: &str = "memlock";

/// What is asked for, resolved: all of it but what is free.
#[derive(Clone, Debug)]
pub(crate) struct DeployRequest {
    /// The container's name without the owner's uid.
    pub(crate) name: String,
    /// The project that it is of, if any.
    pub(crate) project: Option<ProjectName>,
    pub(crate) owner: Owner,
    /// A project's image, or any; it must have the owner's account.
    pub(crate) image: ImageDetail,
    /// Absolute folder on the engine's machine, mounted at `/workspace`.
    pub(crate) workspace: PathBuf,
    /// Folders besides, resolved by the rule of [`mounts`].
    pub(crate) mounts: Vec<Mount>,
    pub(crate) options: DeployOptions,
}

/// What an engine turned out not to be able to do; learnt anew by each run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EngineGaps {
    /// An engine without the right to raise limits (rootless, or itself in a
    /// container) cannot lift the one on locked memory. That limit protects
    /// nothing of other users, so it is not lifted then. No other limit is
    /// ever given up.
    memlock: bool,
    /// The best way to attach GPUs is one that the engine says it has, and
    /// this is what works. `None`: the best way.
    attach: Option<AttachMethod>,
}

/// The whole name of a container: `<name>._.<uid>`.
pub(crate) fn container_name(name: &str, uid: u32) -> String {
    format!("{name}{UID_MARK}{uid}")
}

#[cfg(test)]
mod tests;
