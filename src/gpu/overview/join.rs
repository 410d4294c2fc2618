//! One GPU after the other beside all claims. Knows the order in which things
//! decide: the GPU itself, then holders, then processes.

use std::collections::BTreeMap;

use super::unit::{Unit, units};
use super::{Gone, Holder, InstanceRow, Privileged, Row, Running, Standing, Usage};
use crate::gpu::claims::{ClaimSource, GpuClaim};
use crate::gpu::{Card, ComputeMode, Fault, Gpu, Instance, Kind, Machine, Mig, Place, Process, Read};
use crate::model::labels::read::Users;

/// Claims, beside which GPUs are laid.
pub(crate) struct Join<'a> {
    /// `None`: not known.
    pub(crate) claimants: Option<&'a [GpuClaim]>,
    pub(crate) users: Users<'a>,
}

impl Join<'_> {
    pub(crate) fn row(&self, gpu: &Gpu) -> Row {
        let unit = Unit::gpu(gpu);
        let mut unreadable = BTreeMap::new();
        let card = match &gpu.card {
            Ok(card) => card,
            Err(fault) => {
                unreadable.insert("gpu", fault.to_string());
                return Row {
                    index: gpu.index,
                    uuid: None,
                    model: None,
                    memory: None,
                    utilization: None,
                    compute_mode: None,
                    mig: None,
                    links: None,
                    instances: Vec::new(),
                    usage: self.usage(unit, None, Some(broken(fault))),
                    unreadable,
                };
            }
        };
        let instances = match &card.mig {
            Ok(Mig::On(instances)) => instances.as_slice(),
            _ => &[],
        };
        // In MIG mode they are those of the instances.
        let processes = (card.mig == Ok(Mig::Off)).then_some(&card.processes);
        if let Some(Err(fault)) = processes {
            unreadable.insert("processes", fault.to_string());
        }
        Row {
            index: gpu.index,
            uuid: Some(card.uuid.clone()),
            model: kept("model", &card.model, &mut unreadable),
            memory: kept("memory", &card.memory, &mut unreadable),
            utilization: kept("utilization", &card.utilization, &mut unreadable),
            compute_mode: kept("compute_mode", &card.compute_mode, &mut unreadable),
            mig: kept("mig", &card.mig, &mut unreadable).map(|mig| mig != Mig::Off),
            links: card.links.clone().ok(),
            instances: instances.iter().map(|instance| self.instance(gpu, card, instance)).collect(),
            usage: self.usage(unit, processes, decided(card)),
            unreadable,
        }
    }

    fn instance(&self, gpu: &Gpu, card: &Card, instance: &Instance) -> InstanceRow {
        let unit = Unit::instance(gpu, instance);
        let mut unreadable = BTreeMap::new();
        let slot = format!("{}.{}", gpu.index, instance.index);
        let gpu_broken = card.broken().map(broken).or_else(|| prohibited(card));
        let slice = match &instance.slice {
            Ok(slice) => slice,
            Err(fault) => {
                unreadable.insert("instance", fault.to_string());
                let usage = self.usage(unit, None, Some(gpu_broken.unwrap_or_else(|| broken(fault))));
                return InstanceRow {
                    slot,
                    uuid: None,
                    profile: None,
                    slices: None,
                    memory: None,
                    usage,
                    unreadable,
                };
            }
        };
        if let Err(fault) = &slice.processes {
            unreadable.insert("processes", fault.to_string());
        }
        InstanceRow {
            slot,
            uuid: Some(slice.uuid.clone()),
            profile: kept("profile", &slice.profile, &mut unreadable),
            slices: kept("slices", &slice.slices, &mut unreadable),
            memory: kept("memory", &slice.memory, &mut unreadable),
            usage: self.usage(unit, Some(&slice.processes), gpu_broken),
            unreadable,
        }
    }

    /// `decided`: a standing that follows from the GPU alone.
    fn usage(
        &self,
        unit: Unit<'_>,
        processes: Option<&Read<Vec<Process>>>,
        decided: Option<(Standing, Option<String>)>,
    ) -> Usage {
        let running = processes.and_then(|read| read.as_ref().ok());
        let running: Option<Vec<_>> =
            running.map(|running| running.iter().map(|process| self.running(process)).collect());
        let holders = self.holders(unit, running.as_deref().unwrap_or_default());
        let foreign = |one: &&Running| one.process.kind == Kind::Compute && one.container.is_none();
        let busy = running.iter().flatten().find(foreign);
        let (standing, why) = match (decided, processes) {
            (Some(decided), _) => decided,
            (None, _) if !holders.is_empty() => (Standing::Held, None),
            (None, _) if busy.is_some() => {
                let known = self.claimants.is_some();
                let why = if known { "processes of no container here" } else { "processes compute on it" };
                (Standing::Busy, Some(why.to_owned()))
            }
            (None, Some(Err(fault))) => {
                (Standing::Unknown, Some(format!("its processes cannot be read: {fault}")))
            }
            (None, _) if self.claimants.is_none() => {
                (Standing::Unknown, Some("holders are not known".into()))
            }
            (None, _) => (Standing::Free, None),
        };
        Usage { standing, why, holders, processes: running }
    }

    fn holders(&self, unit: Unit<'_>, running: &[Running]) -> Vec<Holder> {
        let computes = |name: &str| {
            running
                .iter()
                .any(|one| one.process.kind == Kind::Compute && one.container.as_deref() == Some(name))
        };
        let holder = |claimant: &GpuClaim| {
            let by = if unit.is_claimed(&claimant.claim) {
                claimant.source.unwrap_or(ClaimSource::Request)
            } else {
                computes(&claimant.container.name).then_some(ClaimSource::Process)?
            };
            let container = claimant.container.name.clone();
            Some(Holder {
                container,
                owner: self.owner(claimant),
                state: claimant.container.state.to_string(),
                by,
            })
        };
        self.claimants.unwrap_or_default().iter().filter_map(holder).collect()
    }

    fn running(&self, process: &Process) -> Running {
        let in_container = |id: &str| {
            let found = self.claimants.unwrap_or_default().iter().find(|one| one.container.id == id);
            found.map(|one| one.container.name.clone())
        };
        let container = match &process.place {
            Place::Container(id) => in_container(id),
            Place::Host | Place::Unknown => None,
        };
        let user = process.uid.and_then(self.users).map(|login| login.to_string());
        Running { process: process.clone(), user, container }
    }

    fn owner(&self, claimant: &GpuClaim) -> Option<String> {
        let container = &claimant.container;
        container.owner(self.users).map(|owner| owner.to_string())
    }

    pub(crate) fn privileged(&self) -> Vec<Privileged> {
        let all = self.claimants.unwrap_or_default().iter().filter(|one| one.privileged);
        let told =
            |one: &GpuClaim| Privileged { container: one.container.name.clone(), owner: self.owner(one) };
        all.map(told).collect()
    }

    /// Claims on what this machine does not show.
    pub(crate) fn gone(&self, machine: &Machine) -> Vec<Gone> {
        let units: Vec<_> = machine.gpus.iter().flat_map(units).collect();
        let mut gone = Vec::new();
        for claimant in self.claimants.unwrap_or_default() {
            let missing = claimant.claim.names.iter();
            let missing =
                missing.filter(|name| *name != "all" && !units.iter().any(|unit| unit.is_named(name)));
            gone.extend(missing.map(|device| Gone {
                container: claimant.container.name.clone(),
                owner: self.owner(claimant),
                device: device.clone(),
            }));
        }
        gone
    }
}

fn kept<T: Clone>(
    name: &'static str,
    read: &Read<T>,
    unreadable: &mut BTreeMap<&'static str, String>,
) -> Option<T> {
    if let Err(fault) = read {
        unreadable.insert(name, fault.to_string());
    }
    read.as_ref().ok().cloned()
}

/// What follows from the GPU alone.
fn decided(card: &Card) -> Option<(Standing, Option<String>)> {
    if let Some(fault) = card.broken() {
        return Some(broken(fault));
    }
    match &card.mig {
        Err(fault) => Some((Standing::Unknown, Some(format!("its MIG mode cannot be read: {fault}")))),
        Ok(Mig::On(instances)) if instances.is_empty() => Some((Standing::NoInstances, None)),
        Ok(Mig::On(_)) => Some((Standing::Divided, None)),
        Ok(Mig::Off) => prohibited(card),
    }
}

fn prohibited(card: &Card) -> Option<(Standing, Option<String>)> {
    (card.compute_mode == Ok(ComputeMode::Prohibited)).then_some((Standing::Prohibited, None))
}

/// What does not say who it is, or does not work, cannot be given away.
fn broken(fault: &Fault) -> (Standing, Option<String>) {
    let standing = if fault.is_of_the_gpu() { Standing::Lost } else { Standing::Unknown };
    (standing, Some(fault.to_string()))
}
