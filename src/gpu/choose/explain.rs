//! Why a request cannot be met, and what could be done instead, in sentences.
//! Decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::{AllocationError, is_of_profile};
use crate::gpu::DriverState;
use crate::gpu::overview::{Availability, GpuUsage, Overview, Unit};
use crate::model::human::{self, gib};

/// Longer lists are shortened.
const MOST: usize = 8;

const SEE: &str = "`ds01-build gpu list` shows who uses what";

/// Whether anything can be given at all.
pub(crate) fn usable(overview: &Overview) -> Result<(), AllocationError> {
    let error = |message: String, help: &str| Err(AllocationError { message, help: help.into() });
    let cpu = "without a GPU: leave out what asks for one, or say `--cpu-only`";
    match &overview.driver {
        DriverState::Ready { gpus: 0, driver } => {
            error(format!("this machine's NVIDIA driver ({driver}) sees no GPU"), cpu)
        }
        DriverState::Ready { .. } => match &overview.holders_unknown {
            Some(why) => error(
                format!("which containers hold GPUs is not known, so none counts as free: {why}"),
                "try again when the engine answers",
            ),
            None => Ok(()),
        },
        DriverState::NoLibrary { cause } => {
            error(format!("this machine has no NVIDIA driver to be found: {cause}"), cpu)
        }
        DriverState::NoDriver => error(
            "NVIDIA's driver is installed and not loaded".into(),
            "an administrator may load it (`modprobe nvidia`); `ds01-build doctor` says more",
        ),
        DriverState::NoPermission => error(
            "you may not reach NVIDIA's driver".into(),
            "an administrator may let you use /dev/nvidia*, mostly by the group video",
        ),
        DriverState::Mismatch => error(
            "NVIDIA's library and the loaded driver are of different versions".into(),
            "the driver was updated: an administrator may restart the machine, or reload its modules",
        ),
        DriverState::Failed { cause } => {
            error(format!("NVIDIA's driver does not work: {cause}"), "`nvidia-smi` may say more")
        }
    }
}

/// So many whole GPUs are not free.
pub(crate) fn whole(count: usize, memory: Option<u64>, overview: &Overview) -> AllocationError {
    let gpus: Vec<_> = overview.units().filter(|unit| unit.instance.is_none()).collect();
    let total = gpus.len();
    let small =
        |unit: &Unit<'_>| unit.total_memory().is_some_and(|bytes| memory.is_some_and(|least| bytes < least));
    let large: Vec<_> = gpus.iter().copied().filter(|unit| !small(unit)).collect();
    let of = memory.map(|least| format!(" of at least {}", gib(least))).unwrap_or_default();
    if large.len() < count {
        let message = if large.is_empty() {
            let largest = gpus.iter().filter_map(|unit| unit.total_memory()).max();
            format!("no GPU has {}; the largest has {}", gib(memory.unwrap_or_default()), size(largest))
        } else {
            format!("the machine has {}{of}, and {count} are asked for", human::count(large.len(), "GPU"))
        };
        // Nobody could make room for that.
        return refusal(message, overview, &[], memory);
    }
    let fits = |unit: &Unit<'_>| unit.free().is_some() && (memory.is_none() || unit.total_memory().is_some());
    let free = large.iter().filter(|unit| fits(unit)).count();
    let why = list(gpus.iter().filter_map(|unit| {
        let slot = unit.slot();
        if small(unit) {
            return Some(format!("{slot} has {}", size(unit.total_memory())));
        }
        let unsure = || format!("{slot} does not say how much memory it has");
        taken(&slot, unit.usage()).or_else(|| (!fits(unit)).then(unsure))
    }));
    let message = if free > 0 {
        let verb = if free == 1 { "is" } else { "are" };
        format!("{count} GPUs{of} are asked for and {free} of {total} {verb} free: {why}")
    } else if memory.is_some() {
        format!("no GPU{of} is free: {why}")
    } else if total == 1 {
        format!("the machine's only GPU is not free: {why}")
    } else if gpus.iter().all(|unit| unit.usage().availability == Availability::Held) {
        format!("all {total} GPUs are taken: {why}")
    } else {
        format!("none of the {total} GPUs is free: {why}")
    };
    refusal(message, overview, &large, memory)
}

/// So many instances of a profile are not free.
pub(crate) fn profile(profile: &str, count: usize, overview: &Overview) -> AllocationError {
    let matching: Vec<_> = overview.instances().filter(|unit| is_of_profile(*unit, profile)).collect();
    let none = |message: String| refusal(message, overview, &[], None);
    if overview.instances().next().is_none() {
        return none("no GPU of this machine is divided into MIG instances".into());
    }
    if matching.is_empty() {
        let kinds = by_profile(overview.instances().map(|unit| unit.profile().unwrap_or("unknown")));
        let kinds = list(kinds.iter().map(|(kind, count)| format!("{kind} ({count})")));
        return none(format!("the machine has no MIG instance of profile `{profile}`; there are {kinds}"));
    }
    let total = matching.len();
    if total < count {
        let has = human::count(total, "MIG instance");
        return none(format!("the machine has {has} of profile `{profile}`, and {count} are asked for"));
    }
    let free = matching.iter().filter(|unit| unit.free().is_some()).count();
    let why = taken_all(matching.iter().filter(|unit| unit.free().is_none()), "what share of a GPU it is");
    let message = match free {
        0 if total == 1 => format!("the only instance of `{profile}` is not free: {why}"),
        0 => format!("none of the {total} instances of `{profile}` is free: {why}"),
        1 => format!("{count} of `{profile}` are asked for and 1 of {total} is free: {why}"),
        _ => format!("{count} of `{profile}` are asked for and {free} of {total} are free: {why}"),
    };
    refusal(message, overview, &matching, None)
}

/// Nothing of so many bytes is free.
pub(crate) fn memory(bytes: u64, overview: &Overview) -> AllocationError {
    // What is divided is not given as a whole.
    let whole = overview.units().filter(|unit| unit.instance.is_none() && unit.gpu.instances.is_empty());
    let units: Vec<_> = whole.chain(overview.instances()).collect();
    if !units.iter().any(|unit| unit.total_memory().is_some_and(|total| total >= bytes)) {
        let largest = units.iter().filter_map(|unit| unit.total_memory()).max();
        let message = format!("nothing here has {}; the largest has {}", gib(bytes), size(largest));
        return refusal(message, overview, &[], Some(bytes));
    }
    let fits = units.into_iter().filter(|unit| unit.total_memory().is_none_or(|total| total >= bytes));
    let fits: Vec<_> = fits.collect();
    let why = taken_all(&fits, "how large it is");
    refusal(format!("nothing with {} is free: {why}", gib(bytes)), overview, &fits, Some(bytes))
}

/// With what could be done instead; `in_the_way`: what would be large enough.
fn refusal(
    message: String,
    overview: &Overview,
    in_the_way: &[Unit<'_>],
    memory: Option<u64>,
) -> AllocationError {
    AllocationError { message, help: instead(overview, in_the_way.iter().map(|unit| unit.usage()), memory) }
}

/// Why none of these is given; `unsure`: what one that is free does not say.
fn taken_all<'a>(units: impl IntoIterator<Item = &'a Unit<'a>>, unsure: &str) -> String {
    list(units.into_iter().map(|unit| {
        let slot = unit.slot();
        taken(&slot, unit.usage()).unwrap_or_else(|| format!("{slot} does not say {unsure}"))
    }))
}

/// How many there are of each profile.
fn by_profile<'a>(profiles: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, usize> {
    let mut counts = BTreeMap::new();
    profiles.for_each(|profile| *counts.entry(profile).or_default() += 1);
    counts
}

/// `0 (GPU-1f…, free)`, `0.1 (1g.10gb, free)`.
pub(crate) fn unit(unit: Unit<'_>) -> String {
    let what = match unit.instance {
        None => unit.uuid().map(|uuid| uuid.get(..12).unwrap_or(uuid)),
        Some(_) => unit.profile(),
    };
    let state = match unit.usage().availability {
        Availability::Free => "free",
        Availability::Divided => "divided",
        _ => "not free",
    };
    format!("{} ({}, {state})", unit.slot(), what.unwrap_or("?"))
}

/// Why it is not given; `None`: it is free.
pub(crate) fn taken(slot: &str, usage: &GpuUsage) -> Option<String> {
    let why = usage.why.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    Some(match usage.availability {
        Availability::Free => return None,
        Availability::Held => format!("{slot} by {}", holders(usage)),
        Availability::Busy => format!("{slot} is busy{why}"),
        Availability::Divided => format!("{slot} is divided into MIG instances"),
        Availability::NoInstances => format!("{slot} is in MIG mode and has no instances"),
        Availability::Prohibited => format!("{slot} lets nobody compute, by its compute mode"),
        Availability::Lost => format!("{slot} is lost{why}"),
        Availability::Unknown => format!("{slot} is not known to be free{why}"),
    })
}

/// Whoever holds it, by name.
pub(crate) fn holders(usage: &GpuUsage) -> String {
    let mut holders: Vec<_> = usage.holders.iter().map(ToString::to_string).collect();
    holders.sort();
    holders.join(" and ")
}

/// What is free in other sizes, and who holds what is in the way. `memory`: at
/// least so much was wanted.
pub(crate) fn instead<'a>(
    overview: &Overview,
    in_the_way: impl IntoIterator<Item = &'a GpuUsage>,
    memory: Option<u64>,
) -> String {
    let mut free = Vec::new();
    let free_units: Vec<_> = overview.units().filter(|unit| unit.free().is_some()).collect();
    let whole = free_units.iter().filter(|unit| unit.instance.is_none()).count();
    if whole > 0 {
        free.push(format!("`--gpus {whole}`"));
    }
    let profiles = by_profile(free_units.iter().filter_map(|unit| unit.profile()));
    free.extend(profiles.iter().map(|(profile, count)| format!("`--mig {profile}` ({count} free)")));
    let largest = free_units.iter().filter_map(|unit| unit.total_memory()).max();
    let largest = largest.filter(|largest| memory.is_some_and(|wanted| *largest < wanted));
    free.extend(largest.map(|bytes| format!("`--gpu-memory {}GiB` or less", bytes >> 30)));
    let holders = in_the_way.into_iter().flat_map(|usage| &usage.holders);
    let owners: BTreeSet<_> = holders.filter_map(|holder| holder.owner.clone()).collect();
    let mut help = Vec::new();
    if !free.is_empty() {
        help.push(format!("free now: {}", free.join(", ")));
    }
    if !owners.is_empty() {
        let who = list(owners.into_iter());
        help.push(format!("ask {who} to remove what is done with (`ds01-build container retire NAME`)"));
    }
    help.push(SEE.into());
    help.join("; ")
}

/// Not more than can be read.
pub(crate) fn list(items: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = items.collect();
    if all.len() <= MOST {
        return all.join(", ");
    }
    format!("{}, and {} more", all[..MOST].join(", "), all.len() - MOST)
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "an unknown size".into(), gib)
}
