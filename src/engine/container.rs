//! Containers in our words: as they are listed, in full, as they are asked for,
//! and the programs that run in them. Decides nothing; knows no GPU and no
//! terminal.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use futures::stream::BoxStream;
use serde::Serialize;
use tokio::io::AsyncWrite;

use super::Error;
use crate::model::labels::read::{self, LoginOfUid, OwnerName};
use crate::model::names::ImageId;

/// One container of the list call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    /// As it was asked for.
    pub(crate) image: String,
    pub(crate) image_id: ImageId,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) state: ContainerState,
    /// For people: `Up 3 minutes`.
    pub(crate) status: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
}

impl Container {
    /// Whose it is, by its labels or its name.
    pub(crate) fn owner(&self, users: LoginOfUid<'_>) -> Option<OwnerName> {
        read::owner(&self.labels, &self.name, users)
    }

    /// The uid in its name: compared as a number, 1001 is not in 10012.
    pub(crate) fn uid(&self) -> Option<u32> {
        read::split_name(&self.name).map(|(_, uid)| uid)
    }

    /// What its owner calls it.
    pub(crate) fn short_name(&self) -> &str {
        read::short_name(&self.labels, &self.name)
    }

    /// The project it is of, for people.
    pub(crate) fn project(&self) -> &str {
        read::project(&self.labels, &self.name)
    }

    /// Made by this program or the system before it.
    pub(crate) fn is_managed(&self) -> bool {
        read::managed(&self.labels)
    }

    /// To be kept.
    pub(crate) fn is_protected(&self) -> bool {
        read::protected(&self.labels)
    }
}

/// What a container is doing, in the engine's own words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ContainerState {
    Created,
    Running,
    Paused,
    Restarting,
    Stopping,
    Exited,
    Removing,
    /// Somebody tried to remove it, and a part of it is left.
    Dead,
    /// The engine does not say.
    #[default]
    #[serde(rename = "")]
    Unknown,
}

impl ContainerState {
    const WORDS: [(Self, &str); 8] = [
        (Self::Created, "created"),
        (Self::Running, "running"),
        (Self::Paused, "paused"),
        (Self::Restarting, "restarting"),
        (Self::Stopping, "stopping"),
        (Self::Exited, "exited"),
        (Self::Removing, "removing"),
        (Self::Dead, "dead"),
    ];

    /// Its programs are there: one that is paused or about to be started again
    /// holds what it holds.
    pub(crate) fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::Restarting)
    }

    /// It ran, and nothing says that it ever will again.
    pub(crate) fn has_ended(self) -> bool {
        matches!(self, Self::Exited | Self::Dead | Self::Removing)
    }

    pub(crate) fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(state, _)| *state == self).map_or("", |(_, word)| word)
    }
}

impl From<&str> for ContainerState {
    fn from(word: &str) -> Self {
        Self::WORDS.iter().find(|(_, known)| *known == word).map_or(Self::Unknown, |(state, _)| *state)
    }
}

impl std::fmt::Display for ContainerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Everything a container is created with, in one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct CreateContainer {
    pub(crate) name: String,
    /// Image id or reference with digest.
    pub(crate) image: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) env: Vec<String>,
    /// `uid:gid`.
    pub(crate) user: String,
    pub(crate) workdir: String,
    /// `None`: the image's own.
    pub(crate) command: Option<Vec<String>>,
    pub(crate) hostname: Option<String>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) cpus: Option<f64>,
    pub(crate) memory: Option<u64>,
    /// Bytes of swap besides memory; `None`: no limit. Without a limit on
    /// memory there is none on swap either.
    pub(crate) swap: Option<u64>,
    pub(crate) shm_size: Option<u64>,
    pub(crate) pids: Option<u32>,
    pub(crate) cgroup_parent: Option<String>,
    /// name → (soft, hard); -1 unlimited.
    pub(crate) ulimits: BTreeMap<String, (i64, i64)>,
    pub(crate) group_add: Vec<String>,
    pub(crate) capabilities: Vec<String>,
    pub(crate) network: Network,
    pub(crate) ports: Vec<Port>,
    /// GPUs, by a driver of the engine or as CDI names.
    pub(crate) device_requests: Vec<DeviceRequest>,
    /// Device files of the host, at the same path in the container.
    pub(crate) devices: Vec<String>,
    /// OCI runtime; `None`: the engine's own choice.
    pub(crate) runtime: Option<String>,
    pub(crate) no_new_privileges: bool,
    /// Keep a shell open without a terminal client (`-it`).
    pub(crate) tty: bool,
    /// Run an init that reaps.
    pub(crate) init: bool,
    /// What ends its program; `None`: what the image says, else SIGTERM.
    pub(crate) stop_signal: Option<String>,
}

/// A host folder in a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Mount {
    pub(crate) source: PathBuf,
    pub(crate) target: String,
    pub(crate) read_only: bool,
}

/// How a container reaches others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Network {
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
pub(crate) struct Port {
    /// Address of the host that is listened on; `None`: every address.
    pub(crate) address: Option<String>,
    /// `None`: the engine picks one.
    pub(crate) host: Option<u16>,
    pub(crate) container: u16,
}

/// One container in full. What the engine does not say is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ContainerDetail {
    pub(crate) id: String,
    pub(crate) name: String,
    /// As it was asked for.
    pub(crate) image: String,
    /// `None`: the engine does not say.
    pub(crate) image_id: Option<ImageId>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) state: ContainerState,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// Seconds since 1970; `None`: never.
    pub(crate) started: Option<i64>,
    /// Seconds since 1970; `None`: it did not end yet.
    pub(crate) finished: Option<i64>,
    /// Of the last end.
    pub(crate) exit_code: Option<i64>,
    /// The kernel ended it, since it wanted more memory than it may have.
    pub(crate) out_of_memory: bool,
    /// What the engine says of its last failure.
    pub(crate) error: String,
    pub(crate) env: Vec<String>,
    pub(crate) user: String,
    pub(crate) workdir: String,
    /// Entrypoint and command together.
    pub(crate) command: Vec<String>,
    pub(crate) tty: bool,
    pub(crate) mounts: Vec<Mount>,
    /// As published now.
    pub(crate) ports: Vec<Port>,
    pub(crate) network: Network,
    pub(crate) cpus: Option<f64>,
    pub(crate) memory: Option<u64>,
    pub(crate) shm_size: Option<u64>,
    pub(crate) pids: Option<u32>,
    pub(crate) devices: Devices,
}

/// What a running container takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Usage {
    /// CPUs in use over the last moment: 1.5 is one and a half.
    pub(crate) cpus: f64,
    /// Bytes, without the page cache.
    #[serde(rename = "memory_bytes")]
    pub(crate) memory: u64,
    #[serde(rename = "processes")]
    pub(crate) pids: u64,
}

/// A file that differs from the image's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Absolute.
    pub(crate) path: String,
    pub(crate) kind: ChangeKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Modified,
    Added,
    Deleted,
}

/// A path of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileStat {
    pub(crate) kind: FileKind,
    /// Bytes; holes count.
    pub(crate) size: u64,
    /// Permission bits as in `chmod`, at most `0o7777`.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// A regular file.
    File,
    Folder,
    /// A link, device, pipe or socket.
    Other,
}

/// As it was asked for when the container was created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Devices {
    pub(crate) requests: Vec<DeviceRequest>,
    /// The OCI runtime's name: `runc`, `nvidia`.
    pub(crate) runtime: String,
    /// `NAME=value`, of the image and of the request.
    pub(crate) env: Vec<String>,
    /// Device files of the host.
    pub(crate) files: Vec<String>,
    /// It has every device of the host.
    pub(crate) privileged: bool,
}

/// One request for devices (`--gpus`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct DeviceRequest {
    /// `nvidia`, `cdi`, or empty: by the capabilities.
    pub(crate) driver: String,
    /// How many; -1 for all, 0 where they are named.
    pub(crate) count: i64,
    /// Names of devices, as the driver knows them.
    pub(crate) ids: Vec<String>,
    /// All of one of these lists.
    pub(crate) capabilities: Vec<Vec<String>>,
}

/// A program to run in a container that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exec {
    pub(crate) command: Vec<String>,
    /// `uid:gid`; empty: the container's.
    pub(crate) user: String,
    /// Empty: the container's.
    pub(crate) workdir: String,
    /// `NAME=value`, besides the container's.
    pub(crate) env: Vec<String>,
    /// Give it a terminal.
    pub(crate) tty: bool,
    /// Keep its standard input open.
    pub(crate) stdin: bool,
}

/// A program of a container, attached to.
pub(crate) struct Attached {
    /// What the engine calls it.
    pub(crate) id: String,
    /// Its standard input; shutting it down is its end of file.
    pub(crate) input: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it writes; ends with it.
    pub(crate) output: BoxStream<'static, Result<Chunk, Error>>,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A piece of what a program wrote. With a terminal all is standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) stderr: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Which of the lines that a container wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logs {
    /// Only the last so many; `None`: all.
    pub(crate) tail: Option<u32>,
    /// Only those since; seconds since 1970.
    pub(crate) since: Option<i64>,
    /// With the time before each line.
    pub(crate) timestamps: bool,
    /// And what it writes from now on.
    pub(crate) follow: bool,
}
