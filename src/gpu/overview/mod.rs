//! Joins what GPUs say with what containers claim: who holds each GPU and each
//! MIG instance, and whether it is free. Pure; nothing is chosen here.
//!
//! What is not known is never free.

mod join;
mod unit;

use std::collections::BTreeMap;

use serde::Serialize;

use super::claims::{ClaimSource, GpuClaim};
use super::{ComputeMode, Machine, Memory, Process, State};
use crate::model::labels::read::Users;
use join::Join;
pub(super) use unit::begins;

/// A machine's GPUs and who holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Overview {
    pub(crate) driver: State,
    /// Why holders are not known.
    pub(crate) holders_unknown: Option<String>,
    pub(crate) gpus: Vec<Row>,
    /// Claims on what the machine does not show: it is lost, or was divided anew.
    pub(crate) gone: Vec<Gone>,
    /// Containers that may compute on every GPU and claim none.
    pub(crate) privileged: Vec<Privileged>,
}

/// One GPU. What cannot be read is absent, and `unreadable` says why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) index: u32,
    pub(crate) uuid: Option<String>,
    pub(crate) model: Option<String>,
    #[serde(rename = "memory_bytes")]
    pub(crate) memory: Option<Memory>,
    #[serde(rename = "utilization_percent")]
    pub(crate) utilization: Option<u32>,
    pub(crate) compute_mode: Option<ComputeMode>,
    /// MIG mode is on.
    pub(crate) mig: Option<bool>,
    /// Indices of the GPUs that it reaches by NVLink.
    pub(crate) links: Option<Vec<u32>>,
    pub(crate) instances: Vec<InstanceRow>,
    pub(crate) usage: Usage,
    /// Value → why not.
    pub(crate) unreadable: BTreeMap<&'static str, String>,
}

/// One MIG instance, as a [`Row`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct InstanceRow {
    /// `0.1`: the GPU's index and its own.
    pub(crate) slot: String,
    pub(crate) uuid: Option<String>,
    pub(crate) profile: Option<String>,
    /// How many of the GPU's 7.
    pub(crate) slices: Option<u32>,
    #[serde(rename = "memory_bytes")]
    pub(crate) memory: Option<Memory>,
    pub(crate) usage: Usage,
    pub(crate) unreadable: BTreeMap<&'static str, String>,
}

impl InstanceRow {
    /// Its share of a GPU's 7: as it says, else as its profile does (`3g.40gb`).
    pub(crate) fn sevenths(&self) -> Option<u32> {
        let profile = self.profile.as_deref();
        self.slices.filter(|slices| *slices > 0).or_else(|| profile.and_then(slices_of))
    }
}

/// The GPU slices of a profile; `1c.3g.40gb` is a part of three.
fn slices_of(profile: &str) -> Option<u32> {
    let slices = profile.split('.').find_map(|word| word.strip_suffix('g'))?;
    slices.parse().ok().filter(|slices| *slices > 0)
}

/// Who uses a GPU or an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    pub(crate) standing: Standing,
    /// Where the standing does not say it all.
    pub(crate) why: Option<String>,
    pub(crate) holders: Vec<Holder>,
    /// `None`: not readable, or those of its instances.
    pub(crate) processes: Option<Vec<Running>>,
}

/// Whether something can be given to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    Free,
    /// A container holds it.
    Held,
    /// No container does, but a process computes on it.
    Busy,
    /// In MIG mode: its instances are what is given.
    Divided,
    /// In MIG mode, and nobody made instances.
    NoInstances,
    /// Its compute mode lets nobody compute.
    Prohibited,
    /// It does not work.
    Lost,
    /// Something that decides it cannot be read.
    Unknown,
}

/// A container that holds a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Holder {
    pub(crate) container: String,
    /// Login, or `uid 1001`.
    pub(crate) owner: Option<String>,
    /// `running`, `exited`, …
    pub(crate) state: String,
    pub(crate) by: ClaimSource,
}

/// A process on a GPU, with the names of its owner and container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Running {
    #[serde(flatten)]
    pub(crate) process: Process,
    pub(crate) user: Option<String>,
    /// The engine's name of its container, where that is one of its own.
    pub(crate) container: Option<String>,
}

/// A claim on what is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Gone {
    pub(crate) container: String,
    pub(crate) owner: Option<String>,
    /// As the container names it.
    pub(crate) device: String,
}

/// A container that has every device of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Privileged {
    pub(crate) container: String,
    pub(crate) owner: Option<String>,
}

/// Joins them. `claimants` is why there are none where the engine cannot be asked.
pub(crate) fn overview(
    machine: &Machine,
    claimants: Result<&[GpuClaim], &str>,
    users: Users<'_>,
) -> Overview {
    let join = Join { claimants: claimants.ok(), users };
    Overview {
        driver: machine.state.clone(),
        holders_unknown: claimants.err().map(str::to_owned),
        gpus: machine.gpus.iter().map(|gpu| join.row(gpu)).collect(),
        gone: if machine.gpus.is_empty() { Vec::new() } else { join.gone(machine) },
        privileged: join.privileged(),
    }
}
