//! Giving away what is free, never twice: under the machine's lock look,
//! decide, create, look again; then start.
//!
//! What holds a GPU is a container's label, written when the container is
//! created: there is no other state that a killed run could leave wrong. What
//! it can leave is a container that nobody will start, and that the next run
//! removes. Knows neither NVML nor what is asked for: the one is looked at and
//! the other decided by functions of its caller.

mod adjust;
mod recover;
mod rivals;
mod stopped;

use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::Refusal;
use super::run::{self, Deployed};
use crate::engine::{Container, CreateContainer, Engine, EngineInfo, Error};
use crate::gpu::attach::AttachMethod;
use crate::gpu::claims::{self, GpuClaim};
use crate::gpu::nvml::GpuProbe;
use crate::gpu::overview::Overview;
use crate::gpu::usage::overview;
use crate::gpu::{DriverState, Machine};
use crate::host::lock::{ContainerLease, LockOutcome, Locks, MachineLock};
use crate::model::labels::read::{self, Users};
use crate::model::labels::write::Labels;
use crate::model::labels::{GPU_SLOTS, GPU_UUIDS};
use adjust::Adjusted;
use rivals::rivals;
pub(crate) use stopped::Stopped;

/// How often somebody may be quicker before this is an error.
const TRIES: usize = 3;

/// How long a run that is just leaving a container of the same name is waited for.
const LEAVING: Duration = Duration::from_millis(500);

/// An engine keeps a name some time before it lists the container.
const NAMING: Duration = Duration::from_millis(200);

/// Where and how something is given away.
pub(crate) struct World<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) facts: &'a EngineInfo,
    pub(crate) locks: &'a Locks,
    /// `None`: no GPUs are asked for.
    pub(crate) gpus: Option<&'a dyn GpuProbe>,
    pub(crate) users: Users<'a>,
    /// How long the machine's lock is waited for.
    pub(crate) limit: Duration,
    /// Stops it; what was created and not started is removed.
    pub(crate) cancel: &'a CancellationToken,
}

/// What was found, for who decides what is created.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found<'a> {
    pub(crate) containers: &'a [Container],
    /// `None`: nobody looked.
    pub(crate) gpus: Option<&'a Overview>,
    /// How GPUs are to be attached; `None`: as the engine does it best.
    pub(crate) way: Option<AttachMethod>,
}

/// Decides what is created.
pub(crate) type Decide<'a> = dyn Fn(Found<'_>) -> Result<CreateContainer, Refusal> + 'a;

/// A GPU or MIG instance that a container has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Given {
    /// `None`: its maker gives it none.
    pub(crate) uuid: Option<String>,
    /// `0`, or `0.1` for an instance.
    pub(crate) slot: String,
}

/// What labels say was given, in their order.
pub(crate) fn given(labels: &Labels) -> Vec<Given> {
    let list = |key| -> Vec<String> {
        let words = read::text(labels, key).unwrap_or_default().split(',').map(str::trim);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let (uuids, slots) = (list(&GPU_UUIDS), list(&GPU_SLOTS));
    let unit =
        |at: usize| Given { uuid: uuids.get(at).cloned(), slot: slots.get(at).cloned().unwrap_or_default() };
    (0..uuids.len().max(slots.len())).map(unit).collect()
}

/// Creates and starts one container with what is free.
///
/// What an engine turns out not to be able to do is left out, and then all of
/// it is done again: a container that was removed gave its GPUs back.
///
/// # Errors
/// Nothing of it is left but where the message says so.
pub(crate) async fn run(world: &World<'_>, decide: &Decide<'_>) -> Result<Deployed, Stopped> {
    let mut adjusted = Adjusted::default();
    loop {
        let decide = |found: Found<'_>| Ok(adjusted.applied(decide(Found { way: adjusted.way(), ..found })?));
        let assigned = assign(world, &decide).await;
        let done = match assigned {
            Ok(assigned) => assigned.start(world).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(mut deployed) => {
                deployed.notes.extend(adjusted.note());
                return Ok(deployed);
            }
            Err(Stopped::Engine(error)) if adjusted.learn(&error, world.facts) => {}
            Err(Stopped::Engine(error)) if adjust::is_of_gpus(&error) => return Err(Stopped::NoGpus(error)),
            Err(other) => return Err(other),
        }
    }
}

/// What would be created now: decided without the lock, and nothing is made or
/// removed.
///
/// # Errors
/// It would be refused, or what is there cannot be seen.
pub(crate) async fn preview(world: &World<'_>, decide: &Decide<'_>) -> Result<CreateContainer, Stopped> {
    let seen = Sight::preview(world).await?;
    Ok(decide(seen.found(None))?)
}

/// A container that has what it asked for and does not run yet.
#[derive(Debug)]
struct Assigned {
    id: String,
    request: CreateContainer,
    notes: Vec<String>,
    /// Until it runs or is gone.
    _living: ContainerLease,
}

async fn assign(world: &World<'_>, decide: &Decide<'_>) -> Result<Assigned, Stopped> {
    let _machine = turn(world.locks, world.limit, world.cancel, world.users).await?;
    let (mut earlier, mut notes) = (Vec::new(), Vec::new());
    let mut quicker = Stopped::Cancelled;
    for _ in 0..TRIES {
        let seen = Sight::of(world, &earlier, None).await?;
        notes.extend(seen.notes.clone());
        let request = decide(seen.found(None))?;
        let living = world.locks.living_within(&request.name, LEAVING).await.map_err(Stopped::Lock)?;
        let Some(_living) = living else { return Err(Stopped::Busy { name: request.name }) };
        if world.cancel.is_cancelled() {
            return Err(Stopped::Cancelled);
        }
        let id = match world.engine.create(&request).await {
            Ok(id) => id,
            // One that a killed run had asked for may come late.
            Err(error) if is_conflict(&error) => {
                tokio::time::sleep(NAMING).await;
                quicker = Stopped::Engine(error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut assigned = Assigned { id, request, notes: Vec::new(), _living };
        match assigned.look_again(world, &seen.claimants).await {
            Ok(who) if who.is_empty() => {
                assigned.notes.splice(0..0, notes);
                return Ok(assigned);
            }
            Ok(who) => {
                let rivals = Stopped::Rivals { name: assigned.request.name.clone(), who };
                match assigned.removed(world).await {
                    Ok(()) => quicker = rivals,
                    Err(second) => return Err(rivals.and_left(&assigned.request.name, &second)),
                }
            }
            Err(error) => return Err(assigned.undo(world, error).await),
        }
        earlier = seen.claimants;
    }
    Err(quicker)
}

/// The right to give away what the machine has, as long as this lives.
///
/// # Errors
/// Somebody else had it all the time, or it cannot be taken.
pub(crate) async fn turn(
    locks: &Locks,
    limit: Duration,
    cancel: &CancellationToken,
    users: Users<'_>,
) -> Result<MachineLock, Stopped> {
    match locks.machine(limit, cancel).await.map_err(Stopped::Lock)? {
        LockOutcome::Mine(lock) => Ok(lock),
        LockOutcome::Cancelled => Err(Stopped::Cancelled),
        LockOutcome::Late(holder) => {
            let owner = holder.as_ref().and_then(|holder| users(holder.uid?));
            Err(Stopped::Late { limit, holder, owner })
        }
    }
}

impl Assigned {
    /// Who else has what this one has by now: not everybody takes our lock.
    async fn look_again(&mut self, world: &World<'_>, earlier: &[GpuClaim]) -> Result<Vec<String>, Stopped> {
        let mine = given(&self.request.labels);
        if mine.is_empty() || world.gpus.is_none() {
            return Ok(Vec::new());
        }
        let seen = Sight::of(world, earlier, Some(&self.id)).await?;
        self.notes.extend(seen.notes);
        Ok(seen.gpus.map_or_else(Vec::new, |seen| rivals(&seen, &mine, &self.request.name)))
    }

    async fn start(&self, world: &World<'_>) -> Result<Deployed, Stopped> {
        let slot = match world.locks.slot(world.facts.cpus, world.cancel).await {
            Ok(slot) => slot,
            Err(error) => return Err(self.undo(world, Stopped::Lock(error)).await),
        };
        if world.cancel.is_cancelled() {
            return Err(self.undo(world, Stopped::Cancelled).await);
        }
        match run::start(world.engine, &self.id, &self.request, slot).await {
            Ok(ended) => Ok(Deployed {
                id: self.id.clone(),
                name: self.request.name.clone(),
                gpus: given(&self.request.labels),
                ended,
                notes: self.notes.clone(),
            }),
            Err(error) => Err(self.undo(world, error.into()).await),
        }
    }

    /// Gone, so that its name and its GPUs are free.
    async fn removed(&self, world: &World<'_>) -> Result<(), Error> {
        world.engine.remove(&self.id).await
    }

    /// The error, and what became of the container.
    async fn undo(&self, world: &World<'_>, error: Stopped) -> Stopped {
        match self.removed(world).await {
            Ok(()) => error,
            Err(second) => error.and_left(&self.request.name, &second),
        }
    }
}

/// What there is at one moment.
struct Sight {
    containers: Vec<Container>,
    claimants: Vec<GpuClaim>,
    gpus: Option<Overview>,
    notes: Vec<String>,
}

impl Sight {
    /// Removes on the way what killed runs left, but not `mine`.
    async fn of(world: &World<'_>, earlier: &[GpuClaim], mine: Option<&str>) -> Result<Self, Stopped> {
        let (machine, mut there) = Self::look(world, earlier).await?;
        let left = recover::left_behind(world, &there.0, mine).await;
        if left.changed {
            there = containers(world, &there.1).await?;
        }
        Ok(Self { notes: left.notes, ..Self::joined(world, machine, there) })
    }

    /// As if what killed runs left had been removed.
    async fn preview(world: &World<'_>) -> Result<Self, Stopped> {
        let (machine, (mut containers, mut claimants)) = Self::look(world, &[]).await?;
        containers.retain(|one| !recover::is_left_behind(world, one));
        claimants.retain(|one| containers.iter().any(|left| left.id == one.container.id));
        Ok(Self::joined(world, machine, (containers, claimants)))
    }

    async fn look(world: &World<'_>, earlier: &[GpuClaim]) -> Result<(Option<Machine>, There), Stopped> {
        let Some(gpus) = world.gpus else { return Ok((None, containers(world, earlier).await?)) };
        if !world.facts.local {
            return Err(Stopped::Elsewhere);
        }
        let (machine, there) = tokio::join!(gpus.machine(), containers(world, earlier));
        match machine.state {
            DriverState::Ready { .. } => Ok((Some(machine), there?)),
            state => Err(Stopped::Driver(state)),
        }
    }

    fn joined(world: &World<'_>, machine: Option<Machine>, (containers, claimants): There) -> Self {
        let gpus = machine.map(|machine| overview(&machine, Ok(&claimants), world.users));
        Self { containers, claimants, gpus, notes: Vec::new() }
    }

    fn found(&self, way: Option<AttachMethod>) -> Found<'_> {
        Found { containers: &self.containers, gpus: self.gpus.as_ref(), way }
    }
}

/// All containers, and what they claim where GPUs are asked for.
type There = (Vec<Container>, Vec<GpuClaim>);

async fn containers(world: &World<'_>, earlier: &[GpuClaim]) -> Result<There, Error> {
    if world.gpus.is_none() {
        return Ok((world.engine.containers().await?, Vec::new()));
    }
    let claimants = claims::read_again(world.engine, earlier).await?;
    Ok((claimants.iter().map(|one| one.container.clone()).collect(), claimants))
}

/// Docker says `Conflict. The container name "/x" is already in use`, podman
/// `the container name "x" is already in use`.
fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Refused { message, .. } if message.contains("is already in use"))
}

#[cfg(test)]
mod tests;
