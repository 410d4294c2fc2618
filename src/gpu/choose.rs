//! Which GPUs somebody gets. Pure and deterministic: what is given follows
//! from the request and from the overview. Why it cannot be given is put into
//! words in [`explain`].
//!
//! Only what is free is given, and so that as little as possible is broken up:
//! an instance before a whole GPU, what is used already before what is not.

mod explain;
mod links;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::fmt;

use super::overview::{AllocatedUnit, Availability, GpuStatus, Overview, Unit, WHOLE};
use super::request::GpuRequest;

/// What is given for a request; empty for [`GpuRequest::Nothing`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Choice {
    /// In the order in which the container gets them.
    pub(crate) units: Vec<AllocatedUnit>,
}

impl Choice {
    /// Whole GPUs are 7 each.
    pub(crate) fn sevenths(&self) -> u32 {
        self.units.iter().map(|unit| unit.sevenths).sum()
    }

    pub(crate) fn uuids(&self) -> Vec<String> {
        self.units.iter().map(|unit| unit.uuid.clone()).collect()
    }
}

/// Why a request cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct AllocationError {
    /// Names who holds what.
    pub(crate) message: String,
    /// What would fit, and whom to ask.
    pub(crate) help: String,
}

/// Equivalents for labels and messages: 7 sevenths are `1`, one is `0.1429`.
pub(crate) struct Equivalents(pub(crate) u32);

impl fmt::Display for Equivalents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", (f64::from(self.0) / f64::from(WHOLE) * 1e4).round() / 1e4)
    }
}

/// Chooses among what is free.
///
/// # Errors
/// Not enough of what is asked for is free, or there is none at all.
pub(crate) fn choose(request: &GpuRequest, overview: &Overview) -> Result<Choice, AllocationError> {
    if matches!(request, GpuRequest::Nothing | GpuRequest::Whole { count: 0, .. }) {
        return Ok(Choice::default());
    }
    explain::usable(overview)?;
    let units = match request {
        GpuRequest::Nothing => Vec::new(),
        GpuRequest::Whole { count, memory } => whole(*count as usize, *memory, overview)?,
        GpuRequest::Named(names) => named(names, overview)?,
        GpuRequest::Mig { profile, count } => of_profile(profile, *count as usize, overview)?,
        GpuRequest::Memory(bytes) => vec![of_memory(*bytes, overview)?],
    };
    Ok(Choice { units })
}

/// So many whole GPUs, each with at least so many bytes: those that share a
/// fast link together, and so that as few groups of linked ones as possible are
/// broken up.
fn whole(
    count: usize,
    memory: Option<u64>,
    overview: &Overview,
) -> Result<Vec<AllocatedUnit>, AllocationError> {
    let fits =
        |unit: Unit<'_>| memory.is_none_or(|least| unit.total_memory().is_some_and(|total| total >= least));
    let chosen = links::best(count, &free_gpus(overview), fits);
    let chosen = chosen.ok_or_else(|| explain::whole(count, memory, overview))?;
    Ok(chosen.into_iter().filter_map(Unit::free).collect())
}

fn free_gpus(overview: &Overview) -> Vec<Unit<'_>> {
    let gpus = overview.units().filter(|unit| unit.instance.is_none());
    gpus.filter(|unit| unit.free().is_some()).collect()
}

/// So many instances of exactly this profile: on the GPU that is used most
/// already, so that others stay whole or empty.
fn of_profile(
    profile: &str,
    count: usize,
    overview: &Overview,
) -> Result<Vec<AllocatedUnit>, AllocationError> {
    let mut instances: Vec<_> = overview.instances().filter(|unit| is_of_profile(*unit, profile)).collect();
    instances.sort_by_key(|unit| fullest_first(unit.gpu));
    let units: Vec<_> = instances.into_iter().filter_map(Unit::free).take(count).collect();
    if units.len() < count { Err(explain::profile(profile, count, overview)) } else { Ok(units) }
}

fn is_of_profile(unit: Unit<'_>, profile: &str) -> bool {
    unit.profile().is_some_and(|own| own.eq_ignore_ascii_case(profile))
}

/// The smallest instance or GPU of at least so many bytes.
fn of_memory(bytes: u64, overview: &Overview) -> Result<AllocatedUnit, AllocationError> {
    let fits = |unit: &Unit<'_>| unit.total_memory().is_some_and(|total| total >= bytes);
    let instances = overview.instances().filter(|unit| unit.free().is_some() && fits(unit));
    let instance = instances.min_by_key(|unit| (unit.total_memory(), fullest_first(unit.gpu)));
    let gpus = free_gpus(overview);
    let smallest = gpus.iter().filter(|unit| fits(unit)).filter_map(|unit| unit.total_memory()).min();
    let instance = instance.filter(|unit| smallest.is_none_or(|whole| unit.total_memory() <= Some(whole)));
    let whole = || {
        let size = smallest?;
        links::best(1, &gpus, |unit| unit.total_memory() == Some(size))?.first().copied()
    };
    let unit = instance.or_else(whole).and_then(Unit::free);
    unit.ok_or_else(|| explain::memory(bytes, overview))
}

/// By what of it is in use.
fn fullest_first(gpu: &GpuStatus) -> (Reverse<u32>, u32) {
    let used = gpu.units().filter(|unit| unit.instance.is_some());
    let used = used.filter(|unit| unit.usage().availability != Availability::Free);
    (Reverse(used.filter_map(Unit::sevenths).sum()), gpu.index)
}

/// Exactly these GPUs and instances, in this order.
fn named(names: &[String], overview: &Overview) -> Result<Vec<AllocatedUnit>, AllocationError> {
    let mut units: Vec<AllocatedUnit> = Vec::new();
    for name in names {
        let found = find(name, overview)?;
        let unit = free(found, overview)?;
        if let Some(nth) = units.iter().position(|other| other.slot == unit.slot) {
            let message = format!("`{}` and `{name}` are both {}", names[nth], found.title());
            return Err(AllocationError { message, help: "name it once".into() });
        }
        units.push(unit);
    }
    Ok(units)
}

/// A whole UUID means itself, a beginning all that begin so.
fn find<'a>(name: &str, overview: &'a Overview) -> Result<Unit<'a>, AllocationError> {
    let exact = |unit: &Unit<'_>| unit.uuid().is_some_and(|uuid| uuid.eq_ignore_ascii_case(name));
    let found: Vec<_> = match overview.units().find(exact) {
        Some(unit) => vec![unit],
        None => overview.units().filter(|unit| unit.is_named(name)).collect(),
    };
    match found[..] {
        [unit] => Ok(unit),
        [] => {
            // GPUs first, as people look for them.
            let (gpus, instances): (Vec<_>, Vec<_>) =
                overview.units().partition(|unit| unit.instance.is_none());
            let all = gpus.into_iter().chain(instances).map(explain::unit);
            Err(AllocationError {
                message: format!("no GPU or MIG instance of this machine is `{name}`"),
                help: format!("there are: {}", explain::list(all)),
            })
        }
        _ => {
            let found = explain::list(found.into_iter().map(explain::unit));
            Err(AllocationError {
                message: format!("`{name}` is the beginning of several"),
                help: format!("write more of it, or its number: {found}"),
            })
        }
    }
}

fn free(unit: Unit<'_>, overview: &Overview) -> Result<AllocatedUnit, AllocationError> {
    let usage = unit.usage();
    if usage.availability == Availability::Divided {
        let instances = unit.gpu.units().filter(|unit| unit.instance.is_some()).map(explain::unit);
        return Err(AllocationError {
            message: format!("{} is divided into MIG instances and not given as a whole", unit.title()),
            help: format!("name one of its instances: {}", explain::list(instances)),
        });
    }
    unit.free().ok_or_else(|| {
        let title = unit.title();
        let message = match usage.availability {
            Availability::Held => format!("{title} is held by {}", explain::holders(usage)),
            _ => explain::taken(&title, usage)
                .unwrap_or_else(|| format!("{title} does not say what share of a GPU it is")),
        };
        AllocationError { message, help: explain::instead(overview, [usage], None) }
    })
}
