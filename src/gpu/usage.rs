//! Who uses each GPU and each MIG instance: what GPUs say beside what containers
//! claim. Pure. Knows the order in which things decide: the GPU itself, then
//! holders, then processes.

use std::collections::BTreeMap;

use super::claims::{ClaimSource, GpuClaim};
use super::overview::{
    Availability, GpuProcess, GpuStatus, GpuUsage, Holder, InstanceStatus, MissingGpu, Overview,
    PrivilegedContainer, Unit,
};
use super::{Card, ComputeMode, Fault, Gpu, Instance, Machine, Mig, Process, ProcessPlace, Reading};
use crate::model::labels::read::LoginOfUid;

/// GPUs beside claims; an error is why no claims are known.
pub(crate) fn overview(
    machine: &Machine,
    claims: Result<&[GpuClaim], &str>,
    users: LoginOfUid<'_>,
) -> Overview {
    let known = Claims { claims: claims.ok(), users };
    let mut overview = Overview {
        driver: machine.state.clone(),
        holders_unknown: claims.err().map(str::to_owned),
        gpus: machine.gpus.iter().map(|gpu| known.gpu(gpu)).collect(),
        gone: Vec::new(),
        privileged: known.privileged(),
    };
    if !overview.gpus.is_empty() {
        overview.gone = known.missing(&overview);
    }
    overview
}

/// What decides alone, and why.
type Decided = (Availability, Option<String>);

struct Claims<'a> {
    /// `None`: not known.
    claims: Option<&'a [GpuClaim]>,
    users: LoginOfUid<'a>,
}

impl Claims<'_> {
    fn gpu(&self, gpu: &Gpu) -> GpuStatus {
        // Where the minor number is not known, it is what it mostly is.
        let mut status = GpuStatus { index: gpu.index, minor: gpu.index, ..GpuStatus::default() };
        let card = match &gpu.card {
            Ok(card) => card,
            Err(fault) => {
                status.unreadable.insert("gpu", fault.to_string());
                status.usage = self.usage(Unit { gpu: &status, instance: None }, None, Some(broken(fault)));
                return status;
            }
        };
        // In MIG mode they are those of the instances.
        let processes = (card.mig == Ok(Mig::Off)).then_some(&card.processes);
        let unreadable = &mut status.unreadable;
        if let Some(Err(fault)) = processes {
            unreadable.insert("processes", fault.to_string());
        }
        status.uuid = Some(card.uuid.clone());
        status.model = kept("model", &card.model, unreadable);
        status.memory = kept("memory", &card.memory, unreadable);
        status.utilization = kept("utilization", &card.utilization, unreadable);
        status.compute_mode = kept("compute_mode", &card.compute_mode, unreadable);
        status.mig = kept("mig", &card.mig, unreadable).map(|mig| mig != Mig::Off);
        status.links = card.links.clone().ok();
        status.minor = card.minor.clone().unwrap_or(gpu.index);
        if let Ok(Mig::On(instances)) = &card.mig {
            let instances = instances.iter().map(|instance| self.instance(&status, card, instance));
            status.instances = instances.collect();
        }
        status.usage = self.usage(Unit { gpu: &status, instance: None }, processes, decided(card));
        status
    }

    fn instance(&self, gpu: &GpuStatus, card: &Card, instance: &Instance) -> InstanceStatus {
        let slot = format!("{}.{}", gpu.index, instance.index);
        let mut status = InstanceStatus { slot, ..InstanceStatus::default() };
        let gpu_decides = card.broken().map(broken).or_else(|| prohibited(card));
        let slice = match &instance.slice {
            Ok(slice) => slice,
            Err(fault) => {
                status.unreadable.insert("instance", fault.to_string());
                let decided = gpu_decides.unwrap_or_else(|| broken(fault));
                status.usage = self.usage(Unit { gpu, instance: Some(&status) }, None, Some(decided));
                return status;
            }
        };
        let unreadable = &mut status.unreadable;
        if let Err(fault) = &slice.processes {
            unreadable.insert("processes", fault.to_string());
        }
        status.uuid = Some(slice.uuid.clone());
        status.profile = kept("profile", &slice.profile, unreadable);
        status.slices = kept("slices", &slice.slices, unreadable);
        status.memory = kept("memory", &slice.memory, unreadable);
        status.usage = self.usage(Unit { gpu, instance: Some(&status) }, Some(&slice.processes), gpu_decides);
        status
    }

    /// `decided`: what follows from the GPU alone.
    fn usage(
        &self,
        unit: Unit<'_>,
        processes: Option<&Reading<Vec<Process>>>,
        decided: Option<Decided>,
    ) -> GpuUsage {
        let running: Option<Vec<_>> = match processes {
            Some(Ok(running)) => Some(running.iter().map(|process| self.process(process)).collect()),
            _ => None,
        };
        let holders = self.holders(unit, running.as_deref().unwrap_or_default());
        let is_busy = running.iter().flatten().any(GpuProcess::is_foreign);
        let (availability, why) = match (decided, processes) {
            (Some(decided), _) => decided,
            (None, _) if !holders.is_empty() => (Availability::Held, None),
            (None, _) if is_busy => {
                let known = self.claims.is_some();
                let why = if known { "processes of no container here" } else { "processes compute on it" };
                (Availability::Busy, Some(why.to_owned()))
            }
            (None, Some(Err(fault))) => {
                (Availability::Unknown, Some(format!("its processes cannot be read: {fault}")))
            }
            (None, _) if self.claims.is_none() => {
                (Availability::Unknown, Some("holders are not known".into()))
            }
            (None, _) => (Availability::Free, None),
        };
        GpuUsage { availability, why, holders, processes: running }
    }

    fn all(&self) -> impl Iterator<Item = &GpuClaim> {
        self.claims.unwrap_or_default().iter()
    }

    fn holders(&self, unit: Unit<'_>, running: &[GpuProcess]) -> Vec<Holder> {
        let computes =
            |name: &str| running.iter().any(|one| one.computes() && one.container.as_deref() == Some(name));
        let holder = |claim: &GpuClaim| {
            let container = &claim.container;
            let by = if unit.is_claimed(&claim.claim) {
                claim.source.unwrap_or(ClaimSource::Request)
            } else {
                computes(&container.name).then_some(ClaimSource::Process)?
            };
            let owner = self.owner(claim);
            Some(Holder { container: container.name.clone(), owner, state: container.state.to_string(), by })
        };
        self.all().filter_map(holder).collect()
    }

    fn process(&self, process: &Process) -> GpuProcess {
        let container = match &process.place {
            ProcessPlace::Container(id) => self.all().find(|one| one.container.id == *id),
            ProcessPlace::Host | ProcessPlace::Unknown => None,
        };
        let user = process.uid.and_then(self.users).map(|login| login.to_string());
        let container = container.map(|one| one.container.name.clone());
        GpuProcess { process: process.clone(), user, container }
    }

    fn owner(&self, claim: &GpuClaim) -> Option<String> {
        claim.container.owner(self.users).map(|owner| owner.to_string())
    }

    fn privileged(&self) -> Vec<PrivilegedContainer> {
        let of = |one: &GpuClaim| PrivilegedContainer {
            container: one.container.name.clone(),
            owner: self.owner(one),
        };
        self.all().filter(|one| one.privileged).map(of).collect()
    }

    /// Claims on what this machine does not show.
    fn missing(&self, overview: &Overview) -> Vec<MissingGpu> {
        let mut missing = Vec::new();
        for claim in self.all() {
            let unknown =
                |name: &&String| *name != "all" && !overview.units().any(|unit| unit.is_named(name));
            missing.extend(claim.claim.names.iter().filter(unknown).map(|device| MissingGpu {
                container: claim.container.name.clone(),
                owner: self.owner(claim),
                device: device.clone(),
            }));
        }
        missing
    }
}

fn kept<T: Clone>(
    name: &'static str,
    reading: &Reading<T>,
    unreadable: &mut BTreeMap<&'static str, String>,
) -> Option<T> {
    if let Err(fault) = reading {
        unreadable.insert(name, fault.to_string());
    }
    reading.as_ref().ok().cloned()
}

/// What follows from the GPU alone.
fn decided(card: &Card) -> Option<Decided> {
    if let Some(fault) = card.broken() {
        return Some(broken(fault));
    }
    match &card.mig {
        Err(fault) => Some((Availability::Unknown, Some(format!("its MIG mode cannot be read: {fault}")))),
        Ok(Mig::On(instances)) if instances.is_empty() => Some((Availability::NoInstances, None)),
        Ok(Mig::On(_)) => Some((Availability::Divided, None)),
        Ok(Mig::Off) => prohibited(card),
    }
}

fn prohibited(card: &Card) -> Option<Decided> {
    (card.compute_mode == Ok(ComputeMode::Prohibited)).then_some((Availability::Prohibited, None))
}

/// What does not say who it is, or does not work, cannot be given away.
fn broken(fault: &Fault) -> Decided {
    let availability = if fault.is_of_the_gpu() { Availability::Lost } else { Availability::Unknown };
    (availability, Some(fault.to_string()))
}
