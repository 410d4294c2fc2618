//! The one reading of a sweep: the engine's containers, several samples of the
//! GPUs where an idle one would matter, and those containers by themselves
//! that something may be due for.
//!
//! A whole GPU has a utilization. A MIG instance has none: there the
//! processes decide.

use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde::Serialize;

use super::{Inspection, Observation, Rules, RunTimes, is_worth_inspecting, policy};
use crate::engine::{Container, Engine, Error};
use crate::gpu::nvml::GpuProbe;
use crate::gpu::overview::{GpuStatus, GpuUsage, InstanceStatus, Overview};
use crate::gpu::usage::overview;
use crate::gpu::{DriverState, ProcessKind, claims};

/// Questions at once.
const AT_ONCE: usize = 16;

/// How GPUs are sampled: each sample is of its last moment only.
pub(crate) struct Sampling<'a> {
    pub(crate) probe: &'a dyn GpuProbe,
    pub(crate) samples: u32,
    /// Between two of them.
    pub(crate) interval: Duration,
}

/// What a sweep saw.
pub(crate) struct SweepSnapshot {
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) observations: Vec<Observation>,
    /// The driver, where that keeps it from looking for idle GPUs.
    pub(crate) no_driver: Option<DriverState>,
    pub(crate) unreadable: Vec<Unreadable>,
}

/// A container that the engine could not say more of.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Unreadable {
    pub(crate) container: String,
    pub(crate) error: String,
}

/// Reads all of it. `now` is asked once, when the GPUs are known.
///
/// # Errors
/// The engine cannot be asked for its containers.
pub(crate) async fn snapshot(
    engine: &dyn Engine,
    rules: &Rules<'_>,
    sampling: &Sampling<'_>,
    now: impl FnOnce() -> i64,
) -> Result<SweepSnapshot, Error> {
    let mut containers = engine.containers().await?;
    containers.sort_by(|a, b| a.name.cmp(&b.name));
    let may_idle = |container: &Container| {
        container.state.is_running()
            && policy(container, rules).is_ok_and(|policy| policy.lifetime.idle.is_some())
    };
    let (samples, no_driver) = if containers.iter().any(may_idle) {
        sample(engine, rules, sampling).await?
    } else {
        (Vec::new(), None)
    };
    let at = now();
    let inspected = stream::iter(containers).map(|container| {
        let activity = activity(&container.name, &samples);
        async move {
            let times = inspect(engine, &container, &activity, rules, at).await;
            (container, activity, times)
        }
    });
    let inspected: Vec<_> = inspected.buffered(AT_ONCE).collect().await;
    let mut snapshot = SweepSnapshot { at, observations: Vec::new(), no_driver, unreadable: Vec::new() };
    for (container, activity, times) in inspected {
        let times = match times {
            Ok(Some(times)) => times,
            // It is gone by now.
            Ok(None) => continue,
            Err(error) => {
                let (container, error) = (container.name.clone(), error.to_string());
                snapshot.unreadable.push(Unreadable { container, error });
                Inspection::Failed
            }
        };
        snapshot.observations.push(Observation { container, times, activity });
    }
    Ok(snapshot)
}

async fn inspect(
    engine: &dyn Engine,
    container: &Container,
    activity: &Activity,
    rules: &Rules<'_>,
    now: i64,
) -> Result<Option<Inspection>, Error> {
    let policy = policy(container, rules);
    if !policy.is_ok_and(|policy| is_worth_inspecting(container, activity, &policy, now)) {
        return Ok(Some(Inspection::Skipped));
    }
    let detail = engine.container(&container.id).await?;
    Ok(detail.map(|detail| Inspection::Read(RunTimes::from(&detail))))
}

/// The samples, or the driver that gives none.
async fn sample(
    engine: &dyn Engine,
    rules: &Rules<'_>,
    sampling: &Sampling<'_>,
) -> Result<(Vec<Overview>, Option<DriverState>), Error> {
    let claims = claims::read_all(engine).await?;
    let mut samples = Vec::new();
    for nth in 0..sampling.samples {
        if nth > 0 {
            tokio::time::sleep(sampling.interval).await;
        }
        let machine = sampling.probe.machine().await;
        if !matches!(machine.state, DriverState::Ready { .. }) {
            return Ok((Vec::new(), Some(machine.state)));
        }
        samples.push(overview(&machine, Ok(&claims), rules.users));
    }
    Ok((samples, None))
}

/// What a container did with its GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It has none, or nobody sampled them.
    NoGpu,
    /// Something of them cannot be read: it counts as busy.
    Unknown(String),
    Read {
        /// Of the busiest GPU at its busiest moment; `None`: they have none.
        percent: Option<u32>,
        /// A process computes on a GPU that has no utilization.
        computing: bool,
    },
}

impl Activity {
    /// Nothing was computed: every GPU stayed below so many percent.
    pub(crate) fn is_idle(&self, below: u32) -> bool {
        match self {
            Self::NoGpu | Self::Unknown(_) => false,
            Self::Read { percent, computing } => !computing && percent.is_none_or(|percent| percent < below),
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (unknown @ Self::Unknown(_), _) | (_, unknown @ Self::Unknown(_)) => unknown,
            (Self::NoGpu, other) | (other, Self::NoGpu) => other,
            (Self::Read { percent, computing }, Self::Read { percent: p, computing: c }) => {
                Self::Read { percent: percent.max(p), computing: computing || c }
            }
        }
    }
}

/// What the container of this name did, by every one of these samples.
pub(crate) fn activity(container: &str, samples: &[Overview]) -> Activity {
    samples.iter().fold(Activity::NoGpu, |sum, sample| sum.and(at_once(container, sample)))
}

fn at_once(container: &str, sample: &Overview) -> Activity {
    let held = |usage: &GpuUsage| usage.holders.iter().any(|holder| holder.container == container);
    let gone = sample.gone.iter().filter(|gone| gone.container == container);
    let gone = gone.map(|gone| Activity::Unknown(format!("the machine does not show {}", gone.device)));
    let gpus = sample.gpus.iter().flat_map(|row| {
        let whole = (row.instances.is_empty() && held(&row.usage)).then(|| whole(row));
        let parts = row.instances.iter().filter(|part| held(&part.usage)).map(part);
        whole.into_iter().chain(parts)
    });
    gone.chain(gpus).fold(Activity::NoGpu, Activity::and)
}

fn whole(row: &GpuStatus) -> Activity {
    match (row.mig, row.utilization) {
        (Some(false), Some(percent)) => Activity::Read { percent: Some(percent), computing: false },
        // In MIG mode without instances, or it does not answer.
        _ => Activity::Unknown(format!("GPU {} does not say how busy it is", row.index)),
    }
}

fn part(instance: &InstanceStatus) -> Activity {
    match &instance.usage.processes {
        Some(running) => {
            let computing = running.iter().any(|running| running.process.kind == ProcessKind::Compute);
            Activity::Read { percent: None, computing }
        }
        None => Activity::Unknown(format!("processes of MIG instance {} cannot be read", instance.slot)),
    }
}
