//! The one request that makes a container, GPUs and limits included: a function
//! of what is asked for and of what there is. What cannot be decided for want
//! of knowledge is refused, never guessed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::mounts::{self, DATA, MODELS, WORKSPACE};
use super::{DeployRefusal, DeployRequest, MEMLOCK, Snapshot, container_name, gpus, limits};
use crate::engine::{Container, CreateContainer, EngineInfo, Mount, Network, Port};
use crate::model::account::Account;
use crate::model::labels::ContainerLabels;
use crate::model::labels::read;
use crate::model::labels::write::{self, Gpus, Interface};
use crate::spec::limits::{self as spec_limits, GroupLimits};

/// Bytes; frameworks that recurse deeply need more than the usual 8 MiB.
const STACK: i64 = 64 << 20;

const SHELLS: [&str; 6] = ["sh", "bash", "dash", "zsh", "fish", "ksh"];

/// Longest host name the kernel takes.
pub(super) const HOSTNAME: usize = 63;

/// Below it only root may listen on a machine, and the engine is root.
const FIRST_PORT: u16 = 1024;

/// The one request that makes a container, GPUs and limits included.
///
/// # Errors
/// Why the owner may not have it, or why it cannot be decided.
pub(crate) fn decide(request: &DeployRequest, snapshot: &Snapshot) -> Result<CreateContainer, DeployRefusal> {
    let Account { uid, gid, .. } = request.owner.account;
    let name = container_name(&request.name, uid);
    let allowed = &request.owner.limits.limits;
    limits::zero(request)?;
    free_name(&name, &snapshot.containers)?;
    limits::places(request, allowed, &snapshot.containers)?;
    their_image(request)?;
    let mounts = all_mounts(request)?;
    let sizes = limits::sizes(request, &snapshot.engine)?;
    let (network, ports) = network(request)?;
    let mut env = gpus::env(request)?;
    let given = gpus::assign(request, snapshot)?;
    env.extend(given.env);
    let slice = slice(request, &snapshot.engine);
    Ok(CreateContainer {
        name,
        image: request.image.id.to_string(),
        labels: labels(request, snapshot.now, slice.clone(), given.labels)?,
        env,
        user: format!("{uid}:{gid}"),
        workdir: WORKSPACE.into(),
        command: command(request),
        hostname: Some(hostname(&request.name)),
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
        no_new_privileges: !request.owner.account.sudo,
        tty: true,
        init: true,
        stop_signal: stop_signal(request),
    })
}

fn free_name(name: &str, containers: &[Container]) -> Result<(), DeployRefusal> {
    match containers.iter().find(|container| container.name == name) {
        Some(container) => Err(DeployRefusal::NameTaken { name: name.into(), state: container.state }),
        None => Ok(()),
    }
}

fn their_image(request: &DeployRequest) -> Result<(), DeployRefusal> {
    let Account { uid, gid, .. } = request.owner.account;
    if read::has_setup_for(&request.image.labels, uid, gid) {
        return Ok(());
    }
    Err(DeployRefusal::NotTheirImage {
        image: request.image.id.clone(),
        login: request.owner.account.login.clone(),
    })
}

/// The workspace, then the others.
fn all_mounts(request: &DeployRequest) -> Result<Vec<Mount>, DeployRefusal> {
    if !request.workspace.is_absolute() {
        return Err(DeployRefusal::Workspace { path: request.workspace.clone() });
    }
    mounts::check(&request.mounts)?;
    let workspace = Mount { source: request.workspace.clone(), target: WORKSPACE.into(), read_only: false };
    Ok(std::iter::once(workspace).chain(request.mounts.iter().cloned()).collect())
}

/// What was asked for, else the image's own, else a shell.
fn command(request: &DeployRequest) -> Option<Vec<String>> {
    let shell = request.image.command.is_empty().then(|| vec![request.owner.account.shell.clone()]);
    request.options.command.clone().or(shell)
}

/// The built-in ones, and over them the group's.
fn ulimits(limits: &GroupLimits) -> BTreeMap<String, (i64, i64)> {
    let mut all = BTreeMap::from([(MEMLOCK.into(), (-1, -1)), ("stack".into(), (STACK, STACK))]);
    all.extend(limits.ulimits.clone());
    all
}

/// The cgroup parent, where systemd keeps cgroups. systemd reads `-` in a
/// slice's name as a level, so the account has `_` instead.
fn slice(request: &DeployRequest, engine: &EngineInfo) -> Option<String> {
    let account = request.owner.account.name.replace('-', "_");
    (engine.cgroup_driver == "systemd")
        .then(|| format!("ds01-{}-{account}.slice", request.owner.limits.group))
}

fn labels(
    request: &DeployRequest,
    now: Timestamp,
    slice: Option<String>,
    assigned: Option<Gpus>,
) -> Result<write::Labels, DeployRefusal> {
    let source = |target: &str| {
        let mount = request.mounts.iter().find(|mount| mount.target == target);
        mount.map(|mount| mount.source.clone())
    };
    let labels = ContainerLabels {
        user: request.owner.account.login.clone(),
        group: request.owner.limits.group.clone(),
        interface: Interface::Orchestration,
        name: request.name.clone(),
        project: request.project.clone(),
        image: request.image.id.to_string(),
        created_at: now,
        slice,
        work_mount: Some(request.workspace.clone()),
        data_mount: source(DATA),
        models_mount: source(MODELS),
        gpus: request.options.gpus.to_string(),
        assigned,
        workspace_folder: WORKSPACE.into(),
        inherited: request.image.labels.clone(),
    };
    let labels = labels.to_map();
    let keys = write::leaked_labels(&request.image.labels, &labels);
    if keys.is_empty() {
        Ok(labels)
    } else {
        Err(DeployRefusal::StrayLabels { image: request.image.id.clone(), keys })
    }
}

/// A shell at a terminal ignores SIGTERM and would be waited for in vain; a
/// hang-up ends it.
fn stop_signal(request: &DeployRequest) -> Option<String> {
    let asked = request.options.command.as_ref().and_then(|command| command.first());
    let program = asked.or(request.image.command.first()).unwrap_or(&request.owner.account.shell);
    let name = program.rsplit('/').next().unwrap_or(program);
    SHELLS.contains(&name).then(|| "SIGHUP".to_owned())
}

/// The name as a host name: letters, digits and `-`.
pub(super) fn hostname(name: &str) -> String {
    let legal = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(legal).take(HOSTNAME).collect();
    name.trim_matches('-').to_owned()
}

/// The group's network, with the published ports.
///
/// # Errors
/// There is nothing to publish on, or a port is not for people.
fn network(request: &DeployRequest) -> Result<(Network, Vec<Port>), DeployRefusal> {
    let (network, ports) = (named(&request.owner.limits.limits.network), request.options.ports.clone());
    let Some(first) = ports.first() else { return Ok((network, ports)) };
    if matches!(network, Network::Host | Network::None) {
        let group = request.owner.limits.group.clone();
        return Err(DeployRefusal::NothingToPublishOn {
            group,
            port: first.container,
            host: network == Network::Host,
        });
    }
    match ports.iter().find_map(|port| port.host.filter(|host| *host < FIRST_PORT)) {
        Some(port) => Err(DeployRefusal::LowPort { port }),
        None => Ok((network, ports)),
    }
}

fn named(network: &spec_limits::Network) -> Network {
    match network {
        spec_limits::Network::Bridge => Network::Bridge,
        spec_limits::Network::Host => Network::Host,
        spec_limits::Network::None => Network::None,
        spec_limits::Network::Named(name) => Network::Named(name.clone()),
    }
}
