//! What monitoring wants to know, as Prometheus text. Pure.
//!
//! What could not be read is absent, never zero; `ds01_up` says which part
//! was asked in vain. Names and units follow Prometheus' conventions: bytes,
//! seconds, ratios.

mod text;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::engine::{Container, Image};
use crate::gpu::DriverState;
use crate::gpu::overview::{Availability, GpuStatus, Holder, Overview};
use crate::model::labels::GROUP;
use crate::model::labels::read::{self, Users};
use crate::plan::records::Run;
pub(crate) use text::{Family, text};

/// What figures are made from.
#[derive(Clone, Copy)]
pub(crate) struct Looked<'a> {
    /// Of this program.
    pub(crate) version: &'a str,
    pub(crate) gpus: &'a Overview,
    /// `None`: the engine does not answer.
    pub(crate) store: Option<Store<'a>>,
    pub(crate) users: Users<'a>,
}

/// What an engine told.
#[derive(Clone, Copy)]
pub(crate) struct Store<'a> {
    pub(crate) containers: &'a [Container],
    pub(crate) images: &'a [Image],
    /// How the last run of this user on this engine ended; `None`: there was none.
    pub(crate) last_run: Option<&'a Run>,
}

/// Every family, those without a figure too.
pub(crate) fn families(looked: &Looked<'_>) -> Vec<Family> {
    let mut all = vec![build_info(looked.version), up(looked)];
    all.extend(gpus(looked.gpus));
    if let Some(store) = &looked.store {
        all.extend([containers(store, looked.users), foreign(store), images(store)]);
        all.extend(store.last_run.into_iter().flat_map(last_build));
    }
    all
}

/// Something answered: the figures are about more than themselves.
pub(crate) fn any_answered(looked: &Looked<'_>) -> bool {
    is_ready(looked.gpus) || looked.store.is_some()
}

fn is_ready(gpus: &Overview) -> bool {
    matches!(gpus.driver, DriverState::Ready { .. })
}

fn build_info(version: &str) -> Family {
    let mut family = Family::new("ds01_build_info", "Version of the program that wrote these figures.");
    family.add([("version", version)], 1);
    family
}

fn up(looked: &Looked<'_>) -> Family {
    let mut family =
        Family::new("ds01_up", "Whether a part could be asked: 1, or 0 and its figures are absent.");
    family.add([("part", "engine")], u64::from(looked.store.is_some()));
    family.add([("part", "nvml")], u64::from(is_ready(looked.gpus)));
    family
}

/// GPUs and MIG instances alike: the label `gpu` is `0`, or `0.1` for an instance.
fn gpus(overview: &Overview) -> Vec<Family> {
    let mut info = Family::new("ds01_gpu_info", "GPUs and MIG instances of this machine.");
    let mut state = Family::new(
        "ds01_gpu_state",
        "How a GPU or MIG instance stands: free, held, busy, divided, no_instances, prohibited, lost or unknown.",
    );
    let mut held = Family::new("ds01_gpu_held", "Which container holds a GPU or MIG instance.");
    let mut total = Family::new("ds01_gpu_memory_bytes", "Memory of a GPU or MIG instance.");
    let mut used = Family::new("ds01_gpu_memory_used_bytes", "Memory in use of a GPU or MIG instance.");
    let mut busy =
        Family::new("ds01_gpu_utilization_ratio", "Part of the last moment in which a GPU computed.");
    for unit in overview.gpus.iter().flat_map(units) {
        let named = || unit.labels();
        info.add(named().chain(unit.says), 1);
        state.add(named().chain([("state", availability(unit.availability))]), 1);
        for holder in unit.holders {
            let user = holder.owner.as_deref().unwrap_or_default();
            held.add(named().chain([("container", holder.container.as_str()), ("user", user)]), 1);
        }
        if let Some(memory) = unit.memory {
            total.add(named(), memory.total);
            used.add(named(), memory.used);
        }
        if let Some(percent) = unit.utilization {
            busy.add_ratio(named(), f64::from(percent) / 100.0);
        }
    }
    let mut gone =
        Family::new("ds01_gpu_gone", "Containers that hold a GPU which the machine does not show.");
    for claim in &overview.gone {
        let user = claim.owner.as_deref().unwrap_or_default();
        gone.add([("container", claim.container.as_str()), ("device", &claim.device), ("user", user)], 1);
    }
    vec![info, state, held, total, used, busy, gone]
}

/// A GPU or a MIG instance.
struct Unit<'a> {
    slot: String,
    uuid: &'a str,
    /// What it is, for its line of facts.
    says: [(&'static str, &'a str); 2],
    availability: Availability,
    holders: &'a [Holder],
    memory: Option<crate::gpu::Memory>,
    utilization: Option<u32>,
}

impl Unit<'_> {
    fn labels(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [("gpu", self.slot.as_str()), ("uuid", self.uuid)].into_iter()
    }
}

fn units(row: &GpuStatus) -> Vec<Unit<'_>> {
    let whole = Unit {
        slot: row.index.to_string(),
        uuid: row.uuid.as_deref().unwrap_or_default(),
        says: [("kind", "gpu"), ("model", row.model.as_deref().unwrap_or_default())],
        availability: row.usage.availability,
        holders: &row.usage.holders,
        memory: row.memory,
        utilization: row.utilization,
    };
    let instances = row.instances.iter().map(|instance| Unit {
        slot: instance.slot.clone(),
        uuid: instance.uuid.as_deref().unwrap_or_default(),
        says: [("kind", "mig"), ("profile", instance.profile.as_deref().unwrap_or_default())],
        availability: instance.usage.availability,
        holders: &instance.usage.holders,
        memory: instance.memory,
        utilization: None,
    });
    std::iter::once(whole).chain(instances).collect()
}

fn availability(availability: Availability) -> &'static str {
    match availability {
        Availability::Free => "free",
        Availability::Held => "held",
        Availability::Busy => "busy",
        Availability::Divided => "divided",
        Availability::NoInstances => "no_instances",
        Availability::Prohibited => "prohibited",
        Availability::Lost => "lost",
        Availability::Unknown => "unknown",
    }
}

fn containers(store: &Store<'_>, users: Users<'_>) -> Family {
    let mut family = Family::new("ds01_containers", "Containers of ds01-build and of the system before it.");
    let mut counts: BTreeMap<(String, &str, &str), u64> = BTreeMap::new();
    for container in store.containers.iter().filter(|container| container.is_managed()) {
        let owner = container.owner(users);
        let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
        let group = read::text(&container.labels, &GROUP).unwrap_or_default();
        *counts.entry((owner, group, container.state.as_str())).or_default() += 1;
    }
    for ((owner, group, state), count) in &counts {
        family.add([("user", owner.as_str()), ("group", group), ("state", state)], *count);
    }
    family
}

fn foreign(store: &Store<'_>) -> Family {
    let mut family = Family::new("ds01_foreign_containers", "Containers that others made on the engine.");
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for container in store.containers.iter().filter(|container| !container.is_managed()) {
        *counts.entry(container.state.as_str()).or_default() += 1;
    }
    for (state, count) in counts {
        family.add([("state", state)], count);
    }
    family
}

/// Each image in one state, so that they add up.
fn images(store: &Store<'_>) -> Family {
    let mut family = Family::new(
        "ds01_images",
        "Images of ds01-build: in_use by a container, else tagged, else untagged.",
    );
    let mut counts = BTreeMap::from([("in_use", 0), ("tagged", 0), ("untagged", 0)]);
    for image in store.images.iter().filter(|image| read::managed(&image.labels)) {
        let state = match () {
            () if store.containers.iter().any(|container| container.image_id == image.id) => "in_use",
            () if image.tags.is_empty() => "untagged",
            () => "tagged",
        };
        *counts.entry(state).or_default() += 1;
    }
    for (state, count) in counts {
        family.add([("state", state)], count);
    }
    family
}

fn last_build(run: &Run) -> [Family; 3] {
    let mut ended = Family::new("ds01_last_build_timestamp_seconds", "When the last run ended, since 1970.");
    ended.add([], run.at.try_into().unwrap_or(0));
    let mut took = Family::new("ds01_last_build_duration_seconds", "How long the last run took.");
    took.add_ratio([], std::time::Duration::from_millis(run.took_ms).as_secs_f64());
    let mut images = Family::new(
        "ds01_last_build_images",
        "Images that the last run had selected, by what became of them.",
    );
    let results = [
        ("built", run.built),
        ("fetched", run.fetched),
        ("kept", run.kept),
        ("failed", run.failed),
        ("blocked", run.blocked),
        ("cancelled", run.cancelled),
    ];
    for (result, count) in results {
        images.add([("result", result)], count);
    }
    [ended, took, images]
}
