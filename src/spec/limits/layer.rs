//! What is written in one place: some limits, to be laid over others.
//!
//! A limit that is not written is the one below. `null` lifts it. Lists stand
//! whole; limits of the kernel are laid over each other one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::{GroupLimits, MountFolder, Network, durations, rights, sizes};
use crate::spec::reader::{Fields, Item, Problems};

/// Every limit's key, in the order in which they are shown.
pub(crate) const KEYS: [&str; 18] = [
    "gpu_equivalents",
    "gpus_per_container",
    "containers",
    "cpus",
    "memory",
    "swap",
    "shm_size",
    "pids",
    "ulimits",
    "network",
    "capabilities",
    "mounts",
    "longest_run",
    "idle",
    "idle_below",
    "stopped",
    "never_started",
    "warning",
];

/// One limit. `None`: there is none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Limit {
    GpuEquivalents(Option<f64>),
    GpusPerContainer(Option<u32>),
    Containers(Option<u32>),
    Cpus(Option<f64>),
    MemoryFiles(Option<u64>),
    Swap(Option<u64>),
    ShmSize(Option<u64>),
    Pids(Option<u32>),
    Ulimits(BTreeMap<String, (i64, i64)>),
    Network(Network),
    Capabilities(BTreeSet<String>),
    Mounts(Vec<MountFolder>),
    LongestRun(Option<Duration>),
    Idle(Option<Duration>),
    IdleBelow(u32),
    Stopped(Option<Duration>),
    NeverStarted(Option<Duration>),
    Warning(Duration),
}

/// Limits that are written in one place, each at most once.
pub(crate) type Layer = Vec<Limit>;

/// Those of some fields.
pub(crate) fn read(fields: &Fields, problems: &mut Problems) -> Layer {
    KEYS.iter().filter_map(|key| one(key, fields.get(key)?, problems)).collect()
}

fn one(key: &str, item: Item, p: &mut Problems) -> Option<Limit> {
    Some(match key {
        "gpu_equivalents" => Limit::GpuEquivalents(or_null(item, p, |i, p| i.number(p))?),
        "gpus_per_container" => Limit::GpusPerContainer(or_null(item, p, |i, p| sizes::count(i, 0, p))?),
        "containers" => Limit::Containers(or_null(item, p, |i, p| sizes::count(i, 0, p))?),
        "cpus" => Limit::Cpus(or_null(item, p, sizes::cpus)?),
        "memory" => Limit::MemoryFiles(or_null(item, p, sizes::memory)?),
        "swap" => Limit::Swap(or_null(item, p, sizes::swap)?),
        "shm_size" => Limit::ShmSize(or_null(item, p, sizes::size)?),
        "pids" => Limit::Pids(or_null(item, p, |i, p| sizes::count(i, 1, p))?),
        "ulimits" => Limit::Ulimits(rights::ulimits(item, p)?),
        "network" => Limit::Network(rights::network(item, p)?),
        "capabilities" => Limit::Capabilities(rights::capabilities(item, p)?),
        "mounts" => Limit::Mounts(rights::mounts(item, p)?),
        "longest_run" => Limit::LongestRun(durations::or_never(item, p)?),
        "idle" => Limit::Idle(durations::or_never(item, p)?),
        "idle_below" => Limit::IdleBelow(sizes::percent(item, p)?),
        "stopped" => Limit::Stopped(durations::or_never(item, p)?),
        "never_started" => Limit::NeverStarted(durations::or_never(item, p)?),
        "warning" => Limit::Warning(durations::or_none(item, p)?),
        _ => return None,
    })
}

fn or_null<T>(
    item: Item,
    problems: &mut Problems,
    read: impl Fn(Item, &mut Problems) -> Option<T>,
) -> Option<Option<T>> {
    if item.is_null() { Some(None) } else { read(item, problems).map(Some) }
}

impl Limit {
    /// Its key in the spec.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::GpuEquivalents(_) => "gpu_equivalents",
            Self::GpusPerContainer(_) => "gpus_per_container",
            Self::Containers(_) => "containers",
            Self::Cpus(_) => "cpus",
            Self::MemoryFiles(_) => "memory",
            Self::Swap(_) => "swap",
            Self::ShmSize(_) => "shm_size",
            Self::Pids(_) => "pids",
            Self::Ulimits(_) => "ulimits",
            Self::Network(_) => "network",
            Self::Capabilities(_) => "capabilities",
            Self::Mounts(_) => "mounts",
            Self::LongestRun(_) => "longest_run",
            Self::Idle(_) => "idle",
            Self::IdleBelow(_) => "idle_below",
            Self::Stopped(_) => "stopped",
            Self::NeverStarted(_) => "never_started",
            Self::Warning(_) => "warning",
        }
    }

    /// Every limit of a group, in the order of [`KEYS`].
    pub(crate) fn all(group: &GroupLimits) -> [Self; KEYS.len()] {
        let life = group.lifetime;
        [
            Self::GpuEquivalents(group.gpu_equivalents),
            Self::GpusPerContainer(group.gpus_per_container),
            Self::Containers(group.containers),
            Self::Cpus(group.cpus),
            Self::MemoryFiles(group.memory),
            Self::Swap(group.swap),
            Self::ShmSize(group.shm_size),
            Self::Pids(group.pids),
            Self::Ulimits(group.ulimits.clone()),
            Self::Network(group.network.clone()),
            Self::Capabilities(group.capabilities.clone()),
            Self::Mounts(group.mounts.clone()),
            Self::LongestRun(life.longest_run),
            Self::Idle(life.idle),
            Self::IdleBelow(life.idle_below),
            Self::Stopped(life.stopped),
            Self::NeverStarted(life.never_started),
            Self::Warning(life.warning),
        ]
    }

    /// Makes it hold.
    pub(crate) fn apply(&self, group: &mut GroupLimits) {
        let life = &mut group.lifetime;
        match self {
            Self::GpuEquivalents(limit) => group.gpu_equivalents = *limit,
            Self::GpusPerContainer(limit) => group.gpus_per_container = *limit,
            Self::Containers(limit) => group.containers = *limit,
            Self::Cpus(limit) => group.cpus = *limit,
            Self::MemoryFiles(limit) => group.memory = *limit,
            Self::Swap(limit) => group.swap = *limit,
            Self::ShmSize(limit) => group.shm_size = *limit,
            Self::Pids(limit) => group.pids = *limit,
            Self::Ulimits(limits) => group.ulimits.extend(limits.clone()),
            Self::Network(network) => group.network = network.clone(),
            Self::Capabilities(names) => group.capabilities.clone_from(names),
            Self::Mounts(folders) => group.mounts.clone_from(folders),
            Self::LongestRun(limit) => life.longest_run = *limit,
            Self::Idle(limit) => life.idle = *limit,
            Self::IdleBelow(percent) => life.idle_below = *percent,
            Self::Stopped(limit) => life.stopped = *limit,
            Self::NeverStarted(limit) => life.never_started = *limit,
            Self::Warning(before) => life.warning = *before,
        }
    }

    /// As one would write it; several are set apart by commas.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::GpuEquivalents(limit) | Self::Cpus(limit) => plain(*limit),
            Self::GpusPerContainer(limit) | Self::Containers(limit) | Self::Pids(limit) => plain(*limit),
            Self::MemoryFiles(limit) | Self::Swap(limit) | Self::ShmSize(limit) => {
                plain(limit.map(sizes::text))
            }
            Self::Ulimits(limits) => listed(limits.iter().map(|(name, both)| ulimit(name, *both))),
            Self::Network(network) => network.name().to_owned(),
            Self::Capabilities(names) => listed(names.iter().cloned()),
            Self::Mounts(folders) => listed(folders.iter().map(MountFolder::text)),
            Self::LongestRun(limit)
            | Self::Idle(limit)
            | Self::Stopped(limit)
            | Self::NeverStarted(limit) => limit.map_or_else(|| "never".to_owned(), durations::text),
            Self::IdleBelow(percent) => format!("{percent} %"),
            Self::Warning(before) if before.is_zero() => "never".into(),
            Self::Warning(before) => durations::text(*before),
        }
    }

    /// In bytes and seconds; `null`: there is none.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::GpuEquivalents(limit) | Self::Cpus(limit) => json!(limit),
            Self::GpusPerContainer(limit) | Self::Containers(limit) | Self::Pids(limit) => json!(limit),
            Self::MemoryFiles(limit) | Self::Swap(limit) | Self::ShmSize(limit) => json!(limit),
            Self::Ulimits(limits) => json!(limits),
            Self::Network(network) => json!(network.name()),
            Self::Capabilities(names) => json!(names),
            Self::Mounts(folders) => folders
                .iter()
                .map(|folder| json!({"path": folder.path.display().to_string(), "read_only": folder.read_only}))
                .collect(),
            Self::LongestRun(limit) | Self::Idle(limit) | Self::Stopped(limit) | Self::NeverStarted(limit) => {
                json!(limit.map(|limit| limit.as_secs()))
            }
            Self::IdleBelow(percent) => json!(percent),
            Self::Warning(before) => json!(before.as_secs()),
        }
    }

    /// What the value is counted in; `None`: things.
    pub(crate) fn unit(&self) -> Option<&'static str> {
        match self {
            Self::MemoryFiles(_) | Self::Swap(_) | Self::ShmSize(_) => Some("bytes"),
            Self::LongestRun(_)
            | Self::Idle(_)
            | Self::Stopped(_)
            | Self::NeverStarted(_)
            | Self::Warning(_) => Some("seconds"),
            Self::IdleBelow(_) => Some("percent"),
            _ => None,
        }
    }
}

fn plain<T: ToString>(limit: Option<T>) -> String {
    limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
}

fn listed(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() { "none".into() } else { parts.join(", ") }
}

fn ulimit(name: &str, (soft, hard): (i64, i64)) -> String {
    let one = |amount: i64| if amount < 0 { "unlimited".to_owned() } else { amount.to_string() };
    if soft == hard { format!("{name} {}", one(soft)) } else { format!("{name} {}:{}", one(soft), one(hard)) }
}
