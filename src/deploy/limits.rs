//! What a person's limits allow. Pure.
//!
//! A limit that is not known never comes here; `None` is unlimited.

use std::fmt;

use super::gpus::amd_held;
use super::{DeployRefusal, DeployRequest, Snapshot};
use crate::engine::{Container, EngineInfo};
use crate::gpu::overview::{self, Availability, Overview, WHOLE};
use crate::gpu::request::GpuRequest;
use crate::model::labels::read::{LoginOfUid, OwnerName};
use crate::model::names::Login;
use crate::spec::limits::{GroupLimits, PersonLimits, size_text};

/// Whose limit it is, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LimitHolder {
    Group(String),
    /// It is written for this person alone.
    Person(String),
}

impl LimitHolder {
    fn of(request: &DeployRequest, key: &str) -> Self {
        Self::limited(&request.owner.limits, &request.owner.account.login, key)
    }

    fn limited(limits: &PersonLimits, login: &Login, key: &str) -> Self {
        if limits.own.contains(key) {
            Self::Person(login.to_string())
        } else {
            Self::Group(limits.group.clone())
        }
    }
}

impl fmt::Display for LimitHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "group `{name}`"),
            Self::Person(login) => write!(f, "`{login}`, by a limit of their own,"),
        }
    }
}

/// What a container takes of the machine besides GPUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) cpus: Option<f64>,
    /// Bytes, as all that follow.
    pub(crate) memory: Option<u64>,
    pub(crate) swap: Option<u64>,
    pub(crate) shm_size: Option<u64>,
}

/// A container that counts, and the sevenths of a GPU that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GpuShare {
    pub(crate) container: String,
    pub(crate) sevenths: u32,
}

/// A limit of zero is refused, since an engine reads zero as none.
///
/// # Errors
/// The first that is zero.
pub(crate) fn zero(request: &DeployRequest) -> Result<(), DeployRefusal> {
    let limits = &request.owner.limits.limits;
    let zero = [
        ("cpus", limits.cpus.is_some_and(|cpus| cpus.is_nan() || cpus <= 0.0)),
        ("memory", limits.memory == Some(0)),
        ("shm_size", limits.shm_size == Some(0)),
        ("pids", limits.pids == Some(0)),
    ];
    match zero.into_iter().find(|(_, zero)| *zero) {
        Some((limit, _)) => {
            Err(DeployRefusal::ZeroLimit { group: request.owner.limits.group.clone(), limit })
        }
        None => Ok(()),
    }
}

/// What was asked for, else what is allowed.
///
/// # Errors
/// More is asked for than is allowed, or than the machine has.
pub(crate) fn sizes(request: &DeployRequest, engine: &EngineInfo) -> Result<Sizes, DeployRefusal> {
    let (limits, asked) = (&request.owner.limits.limits, &request.options);
    let memory = within(request, "memory", limits.memory, asked.memory)?;
    Ok(Sizes {
        cpus: cpus(request, engine)?,
        memory,
        swap: limits.swap,
        shm_size: within(request, "shm_size", limits.shm_size, asked.shm_size)?
            .or_else(|| shared(memory, engine)),
    })
}

fn within(
    request: &DeployRequest,
    key: &'static str,
    limit: Option<u64>,
    asked: Option<u64>,
) -> Result<Option<u64>, DeployRefusal> {
    match (limit, asked) {
        (Some(limit), Some(asked)) if asked > limit => {
            Err(over(request, key, size_text(limit), size_text(asked)))
        }
        (limit, asked) => Ok(asked.or(limit)),
    }
}

fn over(request: &DeployRequest, key: &'static str, limit: String, asked: String) -> DeployRefusal {
    DeployRefusal::OverLimit { who: LimitHolder::of(request, key), key, limit, asked }
}

fn cpus(request: &DeployRequest, engine: &EngineInfo) -> Result<Option<f64>, DeployRefusal> {
    // 0: the engine does not say.
    let machine = (engine.cpus > 0).then_some(f64::from(engine.cpus));
    match (request.options.cpus, request.owner.limits.limits.cpus) {
        (Some(asked), Some(limit)) if asked > limit => {
            Err(over(request, "cpus", limit.to_string(), asked.to_string()))
        }
        (Some(asked), _) if machine.is_some_and(|machine| asked > machine) => {
            Err(DeployRefusal::FewerCpus { cpus: engine.cpus, asked: asked.to_string() })
        }
        (Some(asked), _) => Ok(Some(asked)),
        // An engine refuses more than its machine has.
        (None, limit) => Ok(limit.map(|limit| machine.map_or(limit, |machine| limit.min(machine)))),
    }
}

/// Shared memory without a limit: all that the container may use, else half of
/// the machine's as Linux does. An engine's own choice is 64 MiB, at which data
/// loaders die.
fn shared(memory: Option<u64>, engine: &EngineInfo) -> Option<u64> {
    memory.or_else(|| (engine.memory > 1).then_some(engine.memory / 2))
}

/// Every container of the owner counts, running or not: a stopped one can be
/// started at any time.
///
/// # Errors
/// There are as many as there may be.
pub(crate) fn places(
    request: &DeployRequest,
    limits: &GroupLimits,
    containers: &[Container],
) -> Result<(), DeployRefusal> {
    let Some(limit) = limits.containers else { return Ok(()) };
    let names: Vec<_> =
        theirs(request, containers).filter(|c| c.is_managed()).map(|c| c.name.clone()).collect();
    if names.len() < limit as usize {
        return Ok(());
    }
    Err(DeployRefusal::TooMany { who: LimitHolder::of(request, "containers"), limit, names })
}

/// The owner's containers, of whichever generation, whoever made them.
fn theirs<'a>(
    request: &'a DeployRequest,
    containers: &'a [Container],
) -> impl Iterator<Item = &'a Container> {
    let account = &request.owner.account;
    let owner = Some(OwnerName::Login(account.login.clone()));
    containers.iter().filter(move |container| {
        let users = |uid| (uid == account.uid).then(|| account.login.clone());
        container.owner(&users) == owner
    })
}

/// How many units and sevenths of a GPU a request surely means; `None`: that
/// shows in what is chosen.
pub(crate) fn certain(request: &GpuRequest) -> Option<(u32, u32)> {
    match request {
        GpuRequest::Nothing => Some((0, 0)),
        GpuRequest::Whole { count, .. } => Some((*count, count.saturating_mul(WHOLE))),
        GpuRequest::Mig { profile, count } => {
            let slices: u32 = profile.split('g').next()?.parse().ok()?;
            Some((*count, count.saturating_mul(slices)))
        }
        GpuRequest::Named(_) | GpuRequest::Memory(_) => None,
    }
}

/// Whether the owner may have so many more units, of so many sevenths in all.
///
/// # Errors
/// It is too much for one container, or with what they hold already.
pub(crate) fn units(
    request: &DeployRequest,
    snapshot: &Snapshot,
    count: u32,
    asked: u32,
) -> Result<(), DeployRefusal> {
    let limits = &request.owner.limits.limits;
    if let Some(limit) = limits.gpus_per_container.filter(|limit| count > *limit) {
        let who = LimitHolder::of(request, "gpus_per_container");
        return Err(DeployRefusal::GpusPerContainer { who, limit, asked: count });
    }
    let (held, gpus) = (held(request, snapshot), snapshot.gpus.as_ref());
    let login = &request.owner.account.login;
    equivalents(&request.owner.limits, login, held, asked, |left| fits(left, limits.gpus_per_container, gpus))
}

/// `fits`: what could be asked for instead, with so many sevenths left.
fn equivalents(
    limits: &PersonLimits,
    login: &Login,
    held: Vec<GpuShare>,
    asked: u32,
    fits: impl FnOnce(u32) -> Option<String>,
) -> Result<(), DeployRefusal> {
    let Some(limit) = limits.limits.gpu_equivalents else { return Ok(()) };
    let used: u32 = held.iter().map(|held| held.sevenths).sum();
    let most = sevenths(limit);
    if used.saturating_add(asked) <= most {
        return Ok(());
    }
    let who = LimitHolder::limited(limits, login, "gpu_equivalents");
    let fits = fits(most.saturating_sub(used));
    Err(DeployRefusal::GpuEquivalents { who, limit: limit.to_string(), most, held, asked, fits })
}

/// Whether a container of this person that is there may have its GPUs, with
/// all that the person's others hold.
///
/// # Errors
/// It is too much.
pub(crate) fn may_run<'a>(
    container: &Container,
    login: &Login,
    limits: &PersonLimits,
    containers: impl IntoIterator<Item = &'a Container>,
    gpus: &Overview,
    users: LoginOfUid<'_>,
) -> Result<(), DeployRefusal> {
    let owner = OwnerName::Login(login.clone());
    let asked = sevenths_of(container, Some(gpus));
    if asked == 0 {
        return Ok(());
    }
    let others = containers
        .into_iter()
        .filter(|one| one.id != container.id && one.owner(users).as_ref() == Some(&owner));
    equivalents(limits, login, holding(others, Some(gpus)), asked, |_| None)
}

/// A limit in sevenths. People write 0.14 for one of them.
fn sevenths(limit: f64) -> u32 {
    let near = 0.05;
    (limit * f64::from(WHOLE) + near).clamp(0.0, f64::from(u32::MAX)).floor() as u32
}

/// What the owner's containers hold, by the machine's GPUs; of AMD's by labels.
fn held(request: &DeployRequest, snapshot: &Snapshot) -> Vec<GpuShare> {
    holding(theirs(request, &snapshot.containers), snapshot.gpus.as_ref())
}

/// Those that hold something.
fn holding<'a>(containers: impl Iterator<Item = &'a Container>, gpus: Option<&Overview>) -> Vec<GpuShare> {
    let held =
        containers.map(|one| GpuShare { container: one.name.clone(), sevenths: sevenths_of(one, gpus) });
    held.filter(|held| held.sevenths > 0).collect()
}

fn sevenths_of(container: &Container, gpus: Option<&Overview>) -> u32 {
    let held = gpus.map(|gpus| gpus.held_by(|holder| holder.container == container.name));
    held.map_or(0, |held| overview::sevenths(&held)) + amd_held(container).map_or(0, |count| count * WHOLE)
}

/// What could be asked for instead, with so many sevenths left.
fn fits(left: u32, most: Option<u32>, overview: Option<&Overview>) -> Option<String> {
    let whole = (left / WHOLE).min(most.unwrap_or(u32::MAX));
    if whole > 0 {
        return Some(format!("--gpus {whole}"));
    }
    let free = overview?.instances().filter(|unit| unit.usage().availability == Availability::Free);
    let small = free.filter(|unit| unit.sevenths().is_some_and(|sevenths| sevenths <= left));
    let largest = small.max_by_key(|unit| unit.sevenths())?;
    largest.profile().map(|profile| format!("--mig {profile}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_in_equivalents_is_whole_sevenths() {
        for (limit, expected) in
            [(2.0, 14), (0.14, 1), (0.1429, 1), (0.5, 3), (0.0, 0), (-1.0, 0), (1.2857, 9)]
        {
            assert_eq!(sevenths(limit), expected, "{limit}");
        }
    }
}
