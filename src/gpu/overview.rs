//! A machine's GPUs with who holds each of them and each MIG instance, and
//! whether it is free. Pure; how that follows is in [`usage`](super::usage), and
//! nothing is chosen here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::claims::{Claim, ClaimSource};
use super::{ComputeMode, DriverState, Memory, Process, ProcessKind};

/// A whole GPU counts 7, a MIG instance its slices.
pub(crate) const WHOLE: u32 = 7;

/// A machine's GPUs and who holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Overview {
    pub(crate) driver: DriverState,
    /// Why holders are not known.
    pub(crate) holders_unknown: Option<String>,
    pub(crate) gpus: Vec<GpuStatus>,
    /// Claims on what the machine does not show: it is lost, or was divided anew.
    pub(crate) gone: Vec<MissingGpu>,
    /// Containers that may compute on every GPU and claim none.
    pub(crate) privileged: Vec<PrivilegedContainer>,
}

/// One GPU. What cannot be read is absent, and `unreadable` says why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct GpuStatus {
    pub(crate) index: u32,
    /// Of its device file.
    #[serde(skip)]
    pub(crate) minor: u32,
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
    pub(crate) instances: Vec<InstanceStatus>,
    pub(crate) usage: GpuUsage,
    /// Value → why not.
    pub(crate) unreadable: BTreeMap<&'static str, String>,
}

/// One MIG instance, as a [`GpuStatus`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct InstanceStatus {
    /// `0.1`: the GPU's index and its own.
    pub(crate) slot: String,
    pub(crate) uuid: Option<String>,
    pub(crate) profile: Option<String>,
    /// How many of the GPU's 7.
    pub(crate) slices: Option<u32>,
    #[serde(rename = "memory_bytes")]
    pub(crate) memory: Option<Memory>,
    pub(crate) usage: GpuUsage,
    pub(crate) unreadable: BTreeMap<&'static str, String>,
}

/// Who uses a GPU or an instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct GpuUsage {
    #[serde(rename = "standing")]
    pub(crate) availability: Availability,
    /// Where that does not say it all.
    pub(crate) why: Option<String>,
    pub(crate) holders: Vec<Holder>,
    /// `None`: not readable, or those of its instances.
    pub(crate) processes: Option<Vec<GpuProcess>>,
}

/// Whether something can be given to a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Availability {
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
    /// Something that decides it cannot be read: what is not known is never free.
    #[default]
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

impl fmt::Display for Holder {
    /// `thesis._.1001 (ann, exited)`: who stopped still holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.container)?;
        let state = Some(&self.state).filter(|state| *state != "running");
        let more: Vec<_> = self.owner.iter().chain(state).map(String::as_str).collect();
        if more.is_empty() { Ok(()) } else { write!(f, " ({})", more.join(", ")) }
    }
}

/// A process on a GPU, with the names of its owner and container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct GpuProcess {
    #[serde(flatten)]
    pub(crate) process: Process,
    pub(crate) user: Option<String>,
    /// The engine's name of its container, where that is one of its own.
    pub(crate) container: Option<String>,
}

impl GpuProcess {
    pub(crate) fn computes(&self) -> bool {
        self.process.kind == ProcessKind::Compute
    }

    /// It computes, and in no container of the engine.
    pub(crate) fn is_foreign(&self) -> bool {
        self.computes() && self.container.is_none()
    }
}

/// A claim on what is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct MissingGpu {
    pub(crate) container: String,
    pub(crate) owner: Option<String>,
    /// As the container names it.
    pub(crate) device: String,
}

/// A container that has every device of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PrivilegedContainer {
    pub(crate) container: String,
    pub(crate) owner: Option<String>,
}

/// A GPU as a whole, or one of its MIG instances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit<'a> {
    pub(crate) gpu: &'a GpuStatus,
    pub(crate) instance: Option<&'a InstanceStatus>,
}

/// A unit that a container gets or has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AllocatedUnit {
    /// `GPU-…` or `MIG-…`; the slot where it does not say who it is.
    pub(crate) uuid: String,
    /// `0`, or `0.1` for an instance.
    pub(crate) slot: String,
    /// Of [`WHOLE`].
    pub(crate) sevenths: u32,
}

impl Overview {
    /// Each GPU, then its instances.
    pub(crate) fn units(&self) -> impl Iterator<Item = Unit<'_>> {
        self.gpus.iter().flat_map(GpuStatus::units)
    }

    pub(crate) fn instances(&self) -> impl Iterator<Item = Unit<'_>> {
        self.units().filter(|unit| unit.instance.is_some())
    }

    /// What containers hold of which `mine` is true: one entry for each unit and
    /// container, in the order of the machine. Of a divided GPU the instances
    /// are what is held. A claim on what the machine does not show counts
    /// nothing.
    pub(crate) fn held_by(&self, mine: impl Fn(&Holder) -> bool) -> Vec<(&str, AllocatedUnit)> {
        let divided = |unit: &Unit<'_>| unit.instance.is_none() && !unit.gpu.instances.is_empty();
        let mut held = Vec::new();
        for unit in self.units().filter(|unit| !divided(unit)) {
            let holders = unit.usage().holders.iter().filter(|holder| mine(holder));
            held.extend(holders.map(|holder| (holder.container.as_str(), unit.allocated())));
        }
        held
    }
}

/// All of these in sevenths; a unit that several containers share counts once.
pub(crate) fn sevenths(held: &[(&str, AllocatedUnit)]) -> u32 {
    let mut slots = BTreeSet::new();
    held.iter().filter(|(_, unit)| slots.insert(&unit.slot)).map(|(_, unit)| unit.sevenths).sum()
}

impl GpuStatus {
    /// As a whole, then its instances.
    pub(crate) fn units(&self) -> impl Iterator<Item = Unit<'_>> {
        let instances = self.instances.iter().map(Some);
        std::iter::once(None).chain(instances).map(|instance| Unit { gpu: self, instance })
    }
}

impl<'a> Unit<'a> {
    /// `0`, or `0.1` for an instance.
    pub(crate) fn slot(self) -> String {
        self.instance.map_or_else(|| self.gpu.index.to_string(), |instance| instance.slot.clone())
    }

    /// `GPU 0`, `instance 0.1`.
    pub(crate) fn title(self) -> String {
        format!("{} {}", if self.instance.is_some() { "instance" } else { "GPU" }, self.slot())
    }

    pub(crate) fn uuid(self) -> Option<&'a str> {
        self.instance.map_or(&self.gpu.uuid, |instance| &instance.uuid).as_deref()
    }

    pub(crate) fn usage(self) -> &'a GpuUsage {
        self.instance.map_or(&self.gpu.usage, |instance| &instance.usage)
    }

    /// `None`: not known.
    pub(crate) fn memory(self) -> Option<Memory> {
        self.instance.map_or(self.gpu.memory, |instance| instance.memory)
    }

    /// Bytes; `None`: not known.
    pub(crate) fn total_memory(self) -> Option<u64> {
        self.memory().map(|memory| memory.total)
    }

    /// The MIG profile of an instance.
    pub(crate) fn profile(self) -> Option<&'a str> {
        self.instance?.profile.as_deref()
    }

    /// Its share of a GPU's 7: as it says, else as its profile does (`3g.40gb`).
    pub(crate) fn sevenths(self) -> Option<u32> {
        let Some(instance) = self.instance else { return Some(WHOLE) };
        instance.slices.filter(|slices| *slices > 0).or_else(|| self.profile().and_then(slices_of))
    }

    /// If it is free, and says who it is and what share of its GPU.
    pub(crate) fn free(self) -> Option<AllocatedUnit> {
        let free = self.usage().availability == Availability::Free;
        let (uuid, sevenths) = (self.uuid().filter(|_| free)?, self.sevenths()?);
        Some(AllocatedUnit { uuid: uuid.to_owned(), slot: self.slot(), sevenths })
    }

    /// An instance of unknown size may be as large as its GPU.
    fn allocated(self) -> AllocatedUnit {
        let slot = self.slot();
        let uuid = self.uuid().map_or_else(|| slot.clone(), str::to_owned);
        AllocatedUnit { uuid, slot, sevenths: self.sevenths().unwrap_or(WHOLE) }
    }

    /// Whether a name means it: its slot (`0.1`, `0:1`), its UUID, or the
    /// beginning of that.
    pub(crate) fn is_named(self, name: &str) -> bool {
        let numbers =
            |text: &str| text.split(['.', ':']).map(|word| word.parse().ok()).collect::<Vec<Option<u32>>>();
        numbers(name) == numbers(&self.slot()) || self.uuid().is_some_and(|uuid| begins(uuid, name))
    }

    /// Whether a claim means it, or the GPU that it is a part of.
    pub(crate) fn is_claimed(self, claim: &Claim) -> bool {
        let whole = Self { instance: None, ..self };
        let by_file = self.instance.is_none() && claim.minors.contains(&self.gpu.minor);
        let by_name = || claim.names.iter().any(|name| self.is_named(name) || whole.is_named(name));
        claim.all || self.gpu.index < claim.first || by_file || by_name()
    }
}

/// The GPU slices of a profile; `1c.3g.40gb` is a part of three.
fn slices_of(profile: &str) -> Option<u32> {
    let slices = profile.split('.').find_map(|word| word.strip_suffix('g'))?;
    slices.parse().ok().filter(|slices| *slices > 0)
}

/// NVIDIA's tools take the beginning of a UUID for it, in either case.
fn begins(uuid: &str, text: &str) -> bool {
    let head = uuid.get(..text.len());
    text.len() > "GPU-".len() && head.is_some_and(|head| head.eq_ignore_ascii_case(text))
}
