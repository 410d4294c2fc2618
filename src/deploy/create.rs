//! Giving away what is free, never twice: under the machine's lock read what
//! there is, decide, create, read again; then start.
//!
//! What holds a GPU is a container's label, written when the container is
//! created: there is no other state that a killed run could leave wrong. What
//! it can leave is a container that nobody will start, and that the next run
//! removes. Knows neither NVML nor what is asked for.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::snapshot::{Snapshot, rivals};
use super::{DeployError, DeployRefusal, DeployRequest, EngineGaps, MEMLOCK, decide};
use crate::container::start::{self, StartCheck};
use crate::engine::{CreateContainer, Engine, EngineInfo, Error};
use crate::gpu::attach::{self, AttachMethod};
use crate::gpu::claims::GpuClaim;
use crate::gpu::nvml::GpuProbe;
use crate::host::lock::{ContainerLease, LockOutcome, Locks, MachineLock};
use crate::model::labels::read::{self, LoginOfUid};
use crate::model::labels::write::Labels;
use crate::model::labels::{GPU_SLOTS, GPU_UUIDS};

/// How often somebody may be quicker before this is an error.
const TRIES: usize = 3;

/// How long a run that is just leaving a container of the same name is waited for.
const LEAVING: Duration = Duration::from_millis(500);

/// An engine keeps a name some time before it lists the container.
const NAMING: Duration = Duration::from_millis(200);

/// Where and how containers are made.
pub(crate) struct Machine<'a> {
    pub(crate) engine: &'a dyn Engine,
    pub(crate) facts: &'a EngineInfo,
    pub(crate) locks: &'a Locks,
    /// `None`: no GPUs of NVIDIA's are asked for.
    pub(crate) gpus: Option<&'a dyn GpuProbe>,
    pub(crate) device_files: &'a super::DeviceFiles,
    pub(crate) users: LoginOfUid<'a>,
    /// How long the machine's lock is waited for.
    pub(crate) limit: Duration,
    /// Stops it; what was created and not started is removed.
    pub(crate) cancel: &'a CancellationToken,
}

/// A container that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Deployed {
    pub(crate) id: String,
    pub(crate) name: String,
    /// In the order in which its program sees them.
    pub(crate) gpus: Vec<DeployedGpu>,
    /// The exit code of a program that has ended already.
    pub(crate) ended: Option<i64>,
    /// What could not be as it was asked for, for people.
    pub(crate) notes: Vec<String>,
}

/// A GPU or MIG instance that a container has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DeployedGpu {
    /// `None`: its maker gives it none.
    pub(crate) uuid: Option<String>,
    /// `0`, or `0.1` for an instance.
    pub(crate) slot: String,
}

/// What labels say was given, in their order.
fn gpus_of(labels: &Labels) -> Vec<DeployedGpu> {
    let (uuids, slots) = (read::list(labels, &GPU_UUIDS), read::list(labels, &GPU_SLOTS));
    let gpu = |at: usize| DeployedGpu {
        uuid: uuids.get(at).cloned(),
        slot: slots.get(at).cloned().unwrap_or_default(),
    };
    (0..uuids.len().max(slots.len())).map(gpu).collect()
}

/// Creates and starts one container with what is free.
///
/// What an engine turns out not to be able to do is left out, and then all of
/// it is done again: a container that was removed gave its GPUs back.
///
/// # Errors
/// Nothing of it is left but where the message says so.
pub(crate) async fn deploy(machine: &Machine<'_>, request: &DeployRequest) -> Result<Deployed, DeployError> {
    deploy_by(machine, &|snapshot| decide(request, snapshot)).await
}

/// What would be created now: decided without the lock, and nothing is made or
/// removed.
///
/// # Errors
/// It would be refused, or what is there cannot be read.
pub(crate) async fn preview(
    machine: &Machine<'_>,
    request: &DeployRequest,
) -> Result<CreateContainer, DeployError> {
    Ok(decide(request, &Snapshot::preview(machine).await?)?)
}

/// Decides what is created; a parameter for tests, which act between the
/// snapshot and the creation.
type Decide<'a> = dyn Fn(&Snapshot) -> Result<CreateContainer, DeployRefusal> + 'a;

/// As [`deploy`].
///
/// # Errors
/// As [`deploy`].
pub(crate) async fn deploy_by(machine: &Machine<'_>, decide: &Decide<'_>) -> Result<Deployed, DeployError> {
    let mut gaps = EngineGaps::default();
    loop {
        let done = match create(machine, gaps, decide).await {
            Ok(created) => created.start(machine).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(mut deployed) => {
                deployed.notes.extend(gaps.note());
                return Ok(deployed);
            }
            Err(DeployError::Engine(error)) if gaps.learn(&error, machine.facts) => {}
            Err(DeployError::Engine(error)) if is_of_gpus(&error) => return Err(DeployError::NoGpus(error)),
            Err(other) => return Err(other),
        }
    }
}

/// A container that has what it asked for and does not run yet.
#[derive(Debug)]
struct Created {
    id: String,
    request: CreateContainer,
    notes: Vec<String>,
    /// Until it runs or is gone.
    _lease: ContainerLease,
}

async fn create(
    machine: &Machine<'_>,
    gaps: EngineGaps,
    decide: &Decide<'_>,
) -> Result<Created, DeployError> {
    let _lock = lock(machine.locks, machine.limit, machine.cancel, machine.users).await?;
    let (mut earlier, mut notes) = (Vec::new(), Vec::new());
    let mut quicker = DeployError::Cancelled;
    for _ in 0..TRIES {
        let (snapshot, removed) = Snapshot::take(machine, gaps, &earlier, None).await?;
        notes.extend(removed);
        let request = gaps.without(decide(&snapshot)?);
        let lease = machine.locks.lease_within(&request.name, LEAVING).await.map_err(DeployError::Lock)?;
        let Some(_lease) = lease else { return Err(DeployError::Busy { name: request.name }) };
        if machine.cancel.is_cancelled() {
            return Err(DeployError::Cancelled);
        }
        let id = match machine.engine.create(&request).await {
            Ok(id) => id,
            // One that a killed run had asked for may come late.
            Err(error) if is_conflict(&error) => {
                tokio::time::sleep(NAMING).await;
                quicker = DeployError::Engine(error);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let mut created = Created { id, request, notes: Vec::new(), _lease };
        match created.rivals(machine, &snapshot.claims).await {
            Ok(who) if who.is_empty() => {
                created.notes.splice(0..0, notes);
                return Ok(created);
            }
            Ok(who) => {
                let rivals = DeployError::Rivals { name: created.request.name.clone(), who };
                match created.remove(machine).await {
                    Ok(()) => quicker = rivals,
                    Err(second) => return Err(rivals.and_left(&created.request.name, &second)),
                }
            }
            Err(error) => return Err(created.undo(machine, error).await),
        }
        earlier = snapshot.claims;
    }
    Err(quicker)
}

/// The right to give away what the machine has, as long as this lives.
///
/// # Errors
/// Somebody else had it all the time, or it cannot be taken.
pub(crate) async fn lock(
    locks: &Locks,
    limit: Duration,
    cancel: &CancellationToken,
    users: LoginOfUid<'_>,
) -> Result<MachineLock, DeployError> {
    match locks.lock_machine(limit, cancel).await.map_err(DeployError::Lock)? {
        LockOutcome::Mine(lock) => Ok(lock),
        LockOutcome::Cancelled => Err(DeployError::Cancelled),
        LockOutcome::Late(holder) => {
            let owner = holder.as_ref().and_then(|holder| users(holder.uid?));
            Err(DeployError::Late { limit, holder, owner })
        }
    }
}

impl Created {
    /// Who else has what this one has by now: not everybody takes our lock.
    async fn rivals(
        &mut self,
        machine: &Machine<'_>,
        earlier: &[GpuClaim],
    ) -> Result<Vec<String>, DeployError> {
        let mine = gpus_of(&self.request.labels);
        if mine.is_empty() || machine.gpus.is_none() {
            return Ok(Vec::new());
        }
        let (snapshot, removed) =
            Snapshot::take(machine, EngineGaps::default(), earlier, Some(&self.id)).await?;
        self.notes.extend(removed);
        Ok(snapshot.gpus.map_or_else(Vec::new, |gpus| rivals(&gpus, &mine, &self.request.name)))
    }

    async fn start(&self, machine: &Machine<'_>) -> Result<Deployed, DeployError> {
        let permit = match machine.locks.start_permit(machine.facts.cpus, machine.cancel).await {
            Ok(permit) => permit,
            Err(error) => return Err(self.undo(machine, DeployError::Lock(error)).await),
        };
        if machine.cancel.is_cancelled() {
            return Err(self.undo(machine, DeployError::Cancelled).await);
        }
        let name = self.request.name.clone();
        let check = if self.request.command.is_some() { StartCheck::Close } else { StartCheck::Brief };
        // With an init, a program that is not in the image makes no failure of
        // the start: the container ends at once with code 127.
        let error = match start::start(machine.engine, &self.id, check, permit).await {
            Ok(Some(code)) if start::could_not_run(code) => {
                let message =
                    format!("its program is not in the image or cannot be run (it ended with code {code})");
                Error::Refused { action: String::new(), message }
            }
            Ok(ended) => {
                let (gpus, notes) = (gpus_of(&self.request.labels), self.notes.clone());
                return Ok(Deployed { id: self.id.clone(), name, gpus, ended, notes });
            }
            Err(error) => error,
        };
        // People know it by its name.
        let action = format!("start container `{name}`");
        let error = match error {
            Error::Refused { message, .. } => Error::Refused { action, message },
            Error::Broken { cause, .. } => Error::Broken { action, cause },
            other => other,
        };
        Err(self.undo(machine, error.into()).await)
    }

    /// Gone, so that its name and its GPUs are free.
    async fn remove(&self, machine: &Machine<'_>) -> Result<(), Error> {
        machine.engine.remove(&self.id).await
    }

    /// The error, and what became of the container.
    async fn undo(&self, machine: &Machine<'_>, error: DeployError) -> DeployError {
        match self.remove(machine).await {
            Ok(()) => error,
            Err(second) => error.and_left(&self.request.name, &second),
        }
    }
}

/// Docker says `Conflict. The container name "/x" is already in use`, podman
/// `the container name "x" is already in use`.
fn is_conflict(error: &Error) -> bool {
    matches!(error, Error::Refused { message, .. } if message.contains("is already in use"))
}

impl EngineGaps {
    /// The request as this engine can grant it.
    fn without(self, mut request: CreateContainer) -> CreateContainer {
        if self.memlock {
            request.ulimits.remove(MEMLOCK);
        }
        request
    }

    /// Whether something can be tried that was not tried yet.
    fn learn(&mut self, error: &Error, facts: &EngineInfo) -> bool {
        if !self.memlock && is_memlock(error) {
            self.memlock = true;
            return true;
        }
        if self.attach.is_none() && attach::lacks_driver(error) {
            self.attach = attach::fallback(facts, AttachMethod::Request);
            return self.attach.is_some();
        }
        false
    }

    /// For people.
    fn note(self) -> Option<String> {
        let note = "locked memory is limited as the engine limits it, which has no right to lift that limit";
        self.memlock.then(|| note.to_owned())
    }
}

/// runc says `error setting rlimit type 8: operation not permitted`, crun
/// `setrlimit `RLIMIT_MEMLOCK`: Operation not permitted`.
fn is_memlock(error: &Error) -> bool {
    let Error::Refused { message, .. } = error else { return false };
    let message = message.to_lowercase();
    let memlock = message.contains("rlimit type 8:") || message.contains("rlimit_memlock");
    memlock && message.contains("operation not permitted")
}

/// Whether it is the engine's GPUs that it fails for: Docker says with CDI
/// `unresolvable CDI devices`, and without NVIDIA's runtime `unknown or invalid
/// runtime name: nvidia`.
fn is_of_gpus(error: &Error) -> bool {
    let Error::Refused { message, .. } = error else { return false };
    let message = message.to_lowercase();
    let words = ["unresolvable cdi devices", "runtime name: nvidia"];
    attach::lacks_driver(error) || words.iter().any(|words| message.contains(words))
}
