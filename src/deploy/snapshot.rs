//! What there is on a machine at one moment: containers, what they claim, the
//! GPUs. Containers that killed runs left behind count as gone.
//!
//! Those hold GPUs by their labels, and nobody will start them.

use jiff::Timestamp;

use super::create::{DeployedGpu, Machine};
use super::{DeployError, DeviceFiles, EngineGaps};
use crate::engine::{Container, ContainerState, EngineInfo, Error};
use crate::gpu;
use crate::gpu::DriverState;
use crate::gpu::claims::{self, GpuClaim};
use crate::gpu::overview::{Availability, Overview, Unit};
use crate::gpu::usage::overview;
use crate::model::labels::INTERFACE;

/// What decides beside the request.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) engine: EngineInfo,
    pub(crate) gaps: EngineGaps,
    /// All containers of the engine.
    pub(crate) containers: Vec<Container>,
    /// What they claim; empty where no GPUs are asked for.
    pub(crate) claims: Vec<GpuClaim>,
    /// The machine's GPUs and who holds them; `None`: nothing was asked for of
    /// them, and nobody looked.
    pub(crate) gpus: Option<Overview>,
    /// Device files of the engine's machine.
    pub(crate) device_files: DeviceFiles,
    pub(crate) now: Timestamp,
}

/// All containers, and what they claim where GPUs are asked for.
type Containers = (Vec<Container>, Vec<GpuClaim>);

impl Snapshot {
    /// Removes on the way what killed runs left, but not `mine`, and says so.
    ///
    /// # Errors
    /// The engine or the driver does not answer, or the GPUs are elsewhere.
    pub(super) async fn take(
        machine: &Machine<'_>,
        gaps: EngineGaps,
        earlier: &[GpuClaim],
        mine: Option<&str>,
    ) -> Result<(Self, Vec<String>), DeployError> {
        let (gpus, mut containers) = read(machine, earlier).await?;
        let (changed, removed) = remove_left_behind(machine, &containers.0, mine).await;
        if changed {
            containers = read_containers(machine, &containers.1).await?;
        }
        Ok((Self::new(machine, gaps, gpus, containers), removed))
    }

    /// As if what killed runs left had been removed.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub(super) async fn preview(machine: &Machine<'_>) -> Result<Self, DeployError> {
        let (gpus, (mut containers, mut claims)) = read(machine, &[]).await?;
        let free = |one: &Container| matches!(machine.locks.lease(&one.name), Ok(Some(_)));
        containers.retain(|one| !(machine.facts.local && is_unfinished(one) && free(one)));
        claims.retain(|one| containers.iter().any(|left| left.id == one.container.id));
        Ok(Self::new(machine, EngineGaps::default(), gpus, (containers, claims)))
    }

    fn new(
        machine: &Machine<'_>,
        gaps: EngineGaps,
        gpus: Option<gpu::Machine>,
        (containers, claims): Containers,
    ) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the label ds01.created_at is the time of this call")]
        let now = Timestamp::now();
        Self {
            engine: machine.facts.clone(),
            gaps,
            gpus: gpus.map(|gpus| overview(&gpus, Ok(&claims), machine.users)),
            containers,
            claims,
            device_files: machine.device_files.clone(),
            now,
        }
    }
}

async fn read(
    machine: &Machine<'_>,
    earlier: &[GpuClaim],
) -> Result<(Option<gpu::Machine>, Containers), DeployError> {
    let Some(probe) = machine.gpus else { return Ok((None, read_containers(machine, earlier).await?)) };
    if !machine.facts.local {
        return Err(DeployError::Elsewhere);
    }
    let (gpus, containers) = tokio::join!(probe.machine(), read_containers(machine, earlier));
    match gpus.state {
        DriverState::Ready { .. } => Ok((Some(gpus), containers?)),
        state => Err(DeployError::Driver(state)),
    }
}

async fn read_containers(machine: &Machine<'_>, earlier: &[GpuClaim]) -> Result<Containers, Error> {
    if machine.gpus.is_none() {
        return Ok((machine.engine.containers().await?, Vec::new()));
    }
    let claims = claims::read_again(machine.engine, earlier).await?;
    Ok((claims.iter().map(|one| one.container.clone()).collect(), claims))
}

/// Ours, and never started: either somebody is about to, or was killed.
fn is_unfinished(container: &Container) -> bool {
    let ours = container.labels.get(INTERFACE.name).map(String::as_str) == Some("orchestration");
    container.state == ContainerState::Created && ours && container.is_managed()
}

/// Removes those at which nobody is any more; whether the list is not what it
/// was, and what people should know. What cannot be removed counts: it may be
/// running by now.
///
/// An engine of another machine is used by runs there, which this one's locks
/// do not tell of.
async fn remove_left_behind(
    machine: &Machine<'_>,
    containers: &[Container],
    mine: Option<&str>,
) -> (bool, Vec<String>) {
    let (mut changed, mut notes) = (false, Vec::new());
    let unfinished = |one: &&Container| is_unfinished(one) && Some(&*one.id) != mine;
    for container in containers.iter().filter(|_| machine.facts.local).filter(unfinished) {
        let Ok(Some(_lease)) = machine.locks.lease(&container.name) else { continue };
        changed = true;
        // It may have been started since it was listed. From here on nobody
        // of ours can, and without force nothing that runs is removed.
        let now = machine.engine.container(&container.id).await;
        if !matches!(now, Ok(Some(now)) if now.state == ContainerState::Created) {
            continue;
        }
        if machine.engine.remove(&container.id).await.is_ok() {
            let name = &container.name;
            notes.push(format!(
                "`{name}`, which was created and never started, is removed: its deploy was killed"
            ));
        }
    }
    (changed, notes)
}

/// All but the container `mine` that hold one of these or compute on it, and
/// whatever else makes it useless; for people. Empty: it is this one's alone.
pub(super) fn rivals(overview: &Overview, given: &[DeployedGpu], mine: &str) -> Vec<String> {
    let mut who: Vec<String> = given.iter().flat_map(|unit| on(overview, unit, mine)).collect();
    who.dedup();
    who
}

fn on(overview: &Overview, unit: &DeployedGpu, mine: &str) -> Vec<String> {
    // Those of other makers are not seen one by one.
    let Some(uuid) = &unit.uuid else { return Vec::new() };
    let what = || format!("GPU {}", if unit.slot.is_empty() { uuid } else { &unit.slot });
    let Some(usage) = overview.units().find(|unit| unit.uuid() == Some(uuid)).map(Unit::usage) else {
        return vec![format!("{} is no longer there", what())];
    };
    let holders = usage.holders.iter().filter(|holder| holder.container != mine).map(|holder| {
        let of = holder.owner.as_ref().map(|owner| format!(" of {owner}")).unwrap_or_default();
        format!("container `{}`{of} has {}", holder.container, what())
    });
    let foreign = usage.processes.iter().flatten().filter(|one| one.is_foreign());
    let foreign = foreign.map(|one| {
        let of = one.user.as_ref().map(|user| format!(" of {user}")).unwrap_or_default();
        format!("process {}{of} computes on {}", one.process.pid, what())
    });
    let who: Vec<_> = holders.chain(foreign).collect();
    if who.is_empty() && !matches!(usage.availability, Availability::Held | Availability::Free) {
        let why = usage.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        return vec![format!("{} cannot be used any more{why}", what())];
    }
    who
}
