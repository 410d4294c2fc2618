//! From an image that has its owner's account to a running container.
//!
//! [`request`] decides everything and is pure; [`run`] carries it out. What
//! cannot be decided for want of knowledge is refused, never guessed. Knows
//! nothing of GPUs yet: every container made here has none.

mod refusal;
mod run;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use crate::account::Account;
use crate::engine::{Container, CreateContainer, Facts, ImageDetail, Mount};
use crate::labels::ContainerLabels;
use crate::labels::read::{self, Owner, UID_MARK};
use crate::labels::write::{self, Interface};
use crate::names::ProjectName;
use crate::spec::limits::{GroupLimits, Limits};
pub use refusal::Refusal;
pub use run::{Deployed, run};

/// Where the workspace lies in a container.
pub const WORKSPACE: &str = "/workspace";

/// The limit on locked memory, which frameworks raise for pinned buffers.
const MEMLOCK: &str = "memlock";

/// Bytes; frameworks that recurse deeply need more than the usual 8 MiB.
const STACK: i64 = 64 << 20;

const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "fish", "ksh"];

/// Longest host name the kernel takes.
const HOSTNAME: usize = 63;

/// What is to be deployed, for whom.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The container's name without the owner's uid.
    pub name: &'a str,
    /// The project that it is of, if any.
    pub project: Option<&'a ProjectName>,
    /// The owner; the image must have this account.
    pub account: &'a Account,
    /// The owner's group.
    pub group: &'a str,
    pub limits: &'a Limits,
    /// What it is made from: a project's image, or any with the account.
    pub image: &'a ImageDetail,
    /// Absolute folder on the engine's machine, mounted at `/workspace`.
    pub workspace: &'a Path,
}

/// What was there before, and when that was.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    pub engine: &'a Facts,
    /// All containers of the engine.
    pub containers: &'a [Container],
    pub now: Timestamp,
}

/// The whole name of a container: `<name>._.<uid>`.
pub fn container_name(name: &str, uid: u32) -> String {
    format!("{name}{UID_MARK}{uid}")
}

/// The one request that makes a container without GPUs, limits included.
///
/// # Errors
/// Why the owner may not have it, or why it cannot be decided.
pub fn request(order: &Order<'_>, seen: &Seen<'_>) -> Result<CreateContainer, Refusal> {
    let name = container_name(order.name, order.account.uid);
    let limits = group_limits(order)?;
    free_name(&name, seen.containers)?;
    free_place(order, limits, seen.containers)?;
    let Account { uid, gid, .. } = *order.account;
    if !read::has_setup_for(&order.image.labels, uid, gid) {
        return Err(Refusal::NotTheirImage {
            image: order.image.id.clone(),
            login: order.account.login.clone(),
        });
    }
    if !order.workspace.is_absolute() {
        return Err(Refusal::Workspace { path: order.workspace.to_owned() });
    }
    let slice = slice(order, seen.engine);
    let labels = labels(order, seen.now, slice.clone());
    let strays = write::strays(&order.image.labels, &labels);
    if !strays.is_empty() {
        return Err(Refusal::StrayLabels { image: order.image.id.clone(), keys: strays });
    }
    Ok(CreateContainer {
        name,
        image: order.image.id.to_string(),
        labels,
        // An engine with the nvidia runtime as default gives every GPU
        // unless it is told not to.
        env: vec!["NVIDIA_VISIBLE_DEVICES=void".into()],
        user: format!("{uid}:{gid}"),
        workdir: WORKSPACE.into(),
        command: order.image.command.is_empty().then(|| vec![order.account.shell.clone()]),
        hostname: Some(hostname(order.name)),
        mounts: vec![Mount { source: order.workspace.into(), target: WORKSPACE.into(), read_only: false }],
        cpus: limits.cpus.map(|cpus| at_most(cpus, seen.engine.cpus)),
        memory: limits.memory,
        shm_size: limits.shm_size,
        pids: limits.pids,
        cgroup_parent: slice,
        ulimits: BTreeMap::from([(MEMLOCK.into(), (-1, -1)), ("stack".into(), (STACK, STACK))]),
        // `video` gives access to GPU devices, and a name that the image does
        // not have makes the start fail: without GPUs there is nothing to add.
        group_add: Vec::new(),
        no_new_privileges: !order.account.sudo,
        tty: true,
        init: true,
        stop_signal: stop_signal(order),
    })
}

/// The group's limits; a limit of zero is refused, since an engine reads zero
/// as none.
fn group_limits<'a>(order: &Order<'a>) -> Result<&'a GroupLimits, Refusal> {
    let group = order.group.to_owned();
    let Some(limits) = order.limits.groups.get(order.group) else {
        return Err(Refusal::UnknownGroup { group, login: order.account.login.clone() });
    };
    let zero = [
        ("cpus", limits.cpus.is_some_and(|cpus| cpus.is_nan() || cpus <= 0.0)),
        ("memory", limits.memory == Some(0)),
        ("shm_size", limits.shm_size == Some(0)),
        ("pids", limits.pids == Some(0)),
    ];
    match zero.into_iter().find(|(_, zero)| *zero) {
        Some((limit, _)) => Err(Refusal::ZeroLimit { group, limit }),
        None => Ok(limits),
    }
}

fn free_name(name: &str, containers: &[Container]) -> Result<(), Refusal> {
    match containers.iter().find(|container| container.name == name) {
        Some(container) => Err(Refusal::NameTaken { name: name.into(), state: container.state.clone() }),
        None => Ok(()),
    }
}

/// Every container of the owner counts, running or not: a stopped one can be
/// started at any time.
fn free_place(order: &Order<'_>, limits: &GroupLimits, containers: &[Container]) -> Result<(), Refusal> {
    let Some(limit) = limits.containers else { return Ok(()) };
    let account = order.account;
    let users = |uid| (uid == account.uid).then(|| account.login.clone());
    let owner = Some(Owner::Login(account.login.clone()));
    let mine = |c: &&Container| read::managed(&c.labels) && read::owner(&c.labels, &c.name, &users) == owner;
    let names: Vec<_> = containers.iter().filter(mine).map(|c| c.name.clone()).collect();
    if names.len() < limit as usize {
        return Ok(());
    }
    Err(Refusal::TooMany { group: order.group.into(), limit, names })
}

/// No more than the engine's machine has, which an engine would refuse; 0
/// means that it did not say.
fn at_most(cpus: f64, engine: u32) -> f64 {
    if engine == 0 { cpus } else { cpus.min(f64::from(engine)) }
}

/// The cgroup parent, where systemd keeps cgroups. systemd reads `-` in a
/// slice's name as a level, so the account has `_` instead.
fn slice(order: &Order<'_>, engine: &Facts) -> Option<String> {
    let account = order.account.name.replace('-', "_");
    (engine.cgroup_driver == "systemd").then(|| format!("ds01-{}-{account}.slice", order.group))
}

fn labels(order: &Order<'_>, now: Timestamp, slice: Option<String>) -> write::Labels {
    ContainerLabels {
        user: order.account.login.clone(),
        group: order.group.into(),
        interface: Interface::Orchestration,
        name: order.name.to_owned(),
        project: order.project.cloned(),
        image: order.image.id.to_string(),
        created_at: now,
        slice,
        work_mount: Some(order.workspace.to_owned()),
        gpus: "0".into(),
        workspace_folder: WORKSPACE.into(),
        inherited: order.image.labels.clone(),
    }
    .to_map()
}

/// A shell at a terminal ignores SIGTERM and would be waited for in vain; a
/// hang-up ends it.
fn stop_signal(order: &Order<'_>) -> Option<String> {
    let program = order.image.command.first().unwrap_or(&order.account.shell);
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
