//! Containers in our words: as they are listed, in full, and as they are asked
//! for. Decides nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::devices::{DeviceRequest, Devices};
use crate::model::names::ImageId;

/// One container of the list call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub name: String,
    /// As it was asked for.
    pub image: String,
    pub image_id: ImageId,
    pub labels: BTreeMap<String, String>,
    /// `running`, `exited`, `created`, `paused`, …
    pub state: String,
    /// For people: `Up 3 minutes`.
    pub status: String,
    /// Seconds since 1970.
    pub created: i64,
}

/// Everything a container is created with, in one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CreateContainer {
    pub name: String,
    /// Image id or reference with digest.
    pub image: String,
    pub labels: BTreeMap<String, String>,
    pub env: Vec<String>,
    /// `uid:gid`.
    pub user: String,
    pub workdir: String,
    /// `None`: the image's own.
    pub command: Option<Vec<String>>,
    pub hostname: Option<String>,
    pub mounts: Vec<Mount>,
    pub cpus: Option<f64>,
    pub memory: Option<u64>,
    /// Bytes of swap besides memory; `None`: no limit. Without a limit on
    /// memory there is none on swap either.
    pub swap: Option<u64>,
    pub shm_size: Option<u64>,
    pub pids: Option<u32>,
    pub cgroup_parent: Option<String>,
    /// name → (soft, hard); -1 unlimited.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    pub group_add: Vec<String>,
    pub capabilities: Vec<String>,
    pub network: Network,
    pub ports: Vec<Port>,
    /// GPUs, by a driver of the engine or as CDI names.
    pub device_requests: Vec<DeviceRequest>,
    /// Device files of the host, at the same path in the container.
    pub devices: Vec<String>,
    /// OCI runtime; `None`: the engine's own choice.
    pub runtime: Option<String>,
    pub no_new_privileges: bool,
    /// Keep a shell open without a terminal client (`-it`).
    pub tty: bool,
    /// Run an init that reaps.
    pub init: bool,
    /// What ends its program; `None`: what the image says, else SIGTERM.
    pub stop_signal: Option<String>,
}

/// A host folder in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mount {
    pub source: PathBuf,
    pub target: String,
    pub read_only: bool,
}

/// How a container reaches others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The engine's bridge: out to everywhere, in by published ports only.
    #[default]
    Bridge,
    /// The machine's own.
    Host,
    None,
    /// A network that somebody made on the engine.
    Named(String),
}

/// A published port, TCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Address of the host that is listened on; `None`: every address.
    pub address: Option<String>,
    /// `None`: the engine picks one.
    pub host: Option<u16>,
    pub container: u16,
}

/// One container in full. What the engine does not say is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerDetail {
    pub id: String,
    pub name: String,
    /// As it was asked for.
    pub image: String,
    /// `None`: the engine does not say.
    pub image_id: Option<ImageId>,
    pub labels: BTreeMap<String, String>,
    /// `running`, `exited`, `created`, `paused`, …
    pub state: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Seconds since 1970; `None`: never.
    pub started: Option<i64>,
    /// Seconds since 1970; `None`: it did not end yet.
    pub finished: Option<i64>,
    /// Of the last end.
    pub exit_code: Option<i64>,
    /// The kernel ended it, since it wanted more memory than it may have.
    pub out_of_memory: bool,
    /// What the engine says of its last failure.
    pub error: String,
    pub env: Vec<String>,
    pub user: String,
    pub workdir: String,
    /// Entrypoint and command together.
    pub command: Vec<String>,
    pub tty: bool,
    pub mounts: Vec<Mount>,
    /// As published now.
    pub ports: Vec<Port>,
    pub network: Network,
    pub cpus: Option<f64>,
    pub memory: Option<u64>,
    pub shm_size: Option<u64>,
    pub pids: Option<u32>,
    pub devices: Devices,
}

/// What a running container takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Usage {
    /// CPUs in use over the last moment: 1.5 is one and a half.
    pub cpus: f64,
    /// Bytes, without the page cache.
    #[serde(rename = "memory_bytes")]
    pub memory: u64,
    #[serde(rename = "processes")]
    pub pids: u64,
}

/// A file that differs from the image's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Absolute.
    pub path: String,
    pub kind: ChangeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Modified,
    Added,
    Deleted,
}

/// A path of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStat {
    pub kind: FileKind,
    /// Bytes; holes count.
    pub size: u64,
    /// Permission bits as in `chmod`, at most `0o7777`.
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    Folder,
    /// A link, device, pipe or socket.
    Other,
}
