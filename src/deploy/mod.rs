//! From an image that has its owner's account to a running container.
//!
//! [`request`] decides everything and is pure; [`assign`] carries it out. What
//! cannot be decided for want of knowledge is refused, never guessed.

pub(crate) mod assign;
pub(crate) mod gpus;
pub(crate) mod limits;
pub(crate) mod mounts;
mod network;
mod refusal;
mod run;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use crate::engine::{Container, CreateContainer, EngineInfo, ImageDetail, Mount, Port};
use crate::gpu::attach::AttachMethod;
use crate::gpu::overview::Overview;
use crate::gpu::request::GpuRequest;
use crate::model::account::Account;
use crate::model::labels::ContainerLabels;
use crate::model::labels::read::{self, UID_MARK};
use crate::model::labels::write::{self, Gpus, Interface};
use crate::model::names::ProjectName;
use crate::spec::limits::{GroupLimits, PersonLimits};
pub(crate) use gpus::{Amd, DeviceFiles};
pub(crate) use mounts::WORKSPACE;
use mounts::{DATA, MODELS};
pub(crate) use refusal::Refusal;
pub(crate) use run::Deployed;

/// The limit on locked memory, which frameworks raise for pinned buffers.
const MEMLOCK: &str = "memlock";

/// Bytes; frameworks that recurse deeply need more than the usual 8 MiB.
const STACK: i64 = 64 << 20;

const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "fish", "ksh"];

/// Longest host name the kernel takes.
const HOSTNAME: usize = 63;

/// What is to be deployed, for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    /// The container's name without the owner's uid.
    pub(crate) name: &'a str,
    /// The project that it is of, if any.
    pub(crate) project: Option<&'a ProjectName>,
    /// The owner; the image must have this account.
    pub(crate) account: &'a Account,
    /// What holds for the owner.
    pub(crate) limits: &'a PersonLimits,
    /// What it is made from: a project's image, or any with the account.
    pub(crate) image: &'a ImageDetail,
    /// Absolute folder on the engine's machine, mounted at `/workspace`.
    pub(crate) workspace: &'a Path,
    /// Folders besides, resolved by the rule of [`mounts`].
    pub(crate) mounts: &'a [Mount],
    pub(crate) asked: &'a Asked,
    /// How GPUs are attached; `None`: in the best way that the engine offers.
    pub(crate) way: Option<AttachMethod>,
}

/// What was asked for besides; a `None` is the limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    pub(crate) gpus: GpuRequest,
    pub(crate) cpus: Option<f64>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Bytes.
    pub(crate) shm_size: Option<u64>,
    pub(crate) ports: Vec<Port>,
    /// `NAME=value`.
    pub(crate) env: Vec<String>,
    /// Instead of the image's.
    pub(crate) command: Option<Vec<String>>,
}

/// What was there before, and when that was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) engine: &'a EngineInfo,
    /// All containers of the engine.
    pub(crate) containers: &'a [Container],
    /// The machine's GPUs and who holds them; `None`: nothing was asked for of
    /// them, and nobody looked.
    pub(crate) gpus: Option<&'a Overview>,
    /// Device files of the engine's machine.
    pub(crate) files: &'a DeviceFiles,
    pub(crate) now: Timestamp,
}

/// The whole name of a container: `<name>._.<uid>`.
pub(crate) fn container_name(name: &str, uid: u32) -> String {
    format!("{name}{UID_MARK}{uid}")
}

/// The one request that makes a container, GPUs and limits included.
///
/// # Errors
/// Why the owner may not have it, or why it cannot be decided.
pub(crate) fn request(order: &Order<'_>, seen: &Seen<'_>) -> Result<CreateContainer, Refusal> {
    let Account { uid, gid, .. } = *order.account;
    let name = container_name(order.name, uid);
    let allowed = &order.limits.limits;
    limits::zero(order)?;
    free_name(&name, seen.containers)?;
    limits::places(order, allowed, seen.containers)?;
    their_image(order)?;
    let mounts = all_mounts(order)?;
    let sizes = limits::sizes(order, seen.engine)?;
    let (network, ports) = network::network(order)?;
    let mut env = gpus::env(order)?;
    let given = gpus::give(order, seen)?;
    env.extend(given.env);
    let slice = slice(order, seen.engine);
    Ok(CreateContainer {
        name,
        image: order.image.id.to_string(),
        labels: labels(order, seen.now, slice.clone(), given.labels)?,
        env,
        user: format!("{uid}:{gid}"),
        workdir: WORKSPACE.into(),
        command: command(order),
        hostname: Some(hostname(order.name)),
        mounts,
        cpus: sizes.cpus,
        memory: sizes.memory,
        swap: sizes.swap,
        shm_size: sizes.shm_size,
        pids: allowed.pids,
        cgroup_parent: slice,
        ulimits: ulimits(allowed),
        group_add: given.groups,
        capabilities: allowed.capabilities.iter().cloned().collect(),
        network,
        ports,
        device_requests: given.requests,
        devices: given.devices,
        runtime: given.runtime,
        no_new_privileges: !order.account.sudo,
        tty: true,
        init: true,
        stop_signal: stop_signal(order),
    })
}

fn free_name(name: &str, containers: &[Container]) -> Result<(), Refusal> {
    match containers.iter().find(|container| container.name == name) {
        Some(container) => Err(Refusal::NameTaken { name: name.into(), state: container.state }),
        None => Ok(()),
    }
}

fn their_image(order: &Order<'_>) -> Result<(), Refusal> {
    let Account { uid, gid, .. } = *order.account;
    if read::has_setup_for(&order.image.labels, uid, gid) {
        return Ok(());
    }
    Err(Refusal::NotTheirImage { image: order.image.id.clone(), login: order.account.login.clone() })
}

/// The workspace, then the others.
fn all_mounts(order: &Order<'_>) -> Result<Vec<Mount>, Refusal> {
    if !order.workspace.is_absolute() {
        return Err(Refusal::Workspace { path: order.workspace.to_owned() });
    }
    mounts::check(order.mounts)?;
    let workspace = Mount { source: order.workspace.into(), target: WORKSPACE.into(), read_only: false };
    Ok(std::iter::once(workspace).chain(order.mounts.iter().cloned()).collect())
}

/// What was asked for, else the image's own, else a shell.
fn command(order: &Order<'_>) -> Option<Vec<String>> {
    let shell = order.image.command.is_empty().then(|| vec![order.account.shell.clone()]);
    order.asked.command.clone().or(shell)
}

/// The built-in ones, and over them the group's.
fn ulimits(limits: &GroupLimits) -> BTreeMap<String, (i64, i64)> {
    let mut all = BTreeMap::from([(MEMLOCK.into(), (-1, -1)), ("stack".into(), (STACK, STACK))]);
    all.extend(limits.ulimits.clone());
    all
}

/// The cgroup parent, where systemd keeps cgroups. systemd reads `-` in a
/// slice's name as a level, so the account has `_` instead.
fn slice(order: &Order<'_>, engine: &EngineInfo) -> Option<String> {
    let account = order.account.name.replace('-', "_");
    (engine.cgroup_driver == "systemd").then(|| format!("ds01-{}-{account}.slice", order.limits.group))
}

fn labels(
    order: &Order<'_>,
    now: Timestamp,
    slice: Option<String>,
    assigned: Option<Gpus>,
) -> Result<write::Labels, Refusal> {
    let source = |target: &str| {
        let mount = order.mounts.iter().find(|mount| mount.target == target);
        mount.map(|mount| mount.source.clone())
    };
    let labels = ContainerLabels {
        user: order.account.login.clone(),
        group: order.limits.group.clone(),
        interface: Interface::Orchestration,
        name: order.name.to_owned(),
        project: order.project.cloned(),
        image: order.image.id.to_string(),
        created_at: now,
        slice,
        work_mount: Some(order.workspace.to_owned()),
        data_mount: source(DATA),
        models_mount: source(MODELS),
        gpus: order.asked.gpus.to_string(),
        assigned,
        workspace_folder: WORKSPACE.into(),
        inherited: order.image.labels.clone(),
    };
    let labels = labels.to_map();
    let keys = write::strays(&order.image.labels, &labels);
    if keys.is_empty() {
        Ok(labels)
    } else {
        Err(Refusal::StrayLabels { image: order.image.id.clone(), keys })
    }
}

/// A shell at a terminal ignores SIGTERM and would be waited for in vain; a
/// hang-up ends it.
fn stop_signal(order: &Order<'_>) -> Option<String> {
    let asked = order.asked.command.as_ref().and_then(|command| command.first());
    let program = asked.or(order.image.command.first()).unwrap_or(&order.account.shell);
    let name = program.rsplit('/').next().unwrap_or(program);
    SHELLS.contains(&name).then(|| "SIGHUP".to_owned())
}

/// The name as a host name: letters, digits and `-`.
fn hostname(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(legal).take(HOSTNAME).collect();
    name.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests;
