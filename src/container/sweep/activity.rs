//! Whether a container used its GPUs, from one or several looks at them. Pure.
//!
//! A whole GPU tells its utilization. A MIG instance tells none: there the
//! processes decide.

use crate::gpu::ProcessKind;
use crate::gpu::overview::{GpuStatus, GpuUsage, InstanceStatus, Overview};

/// What a container did with its GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// It has none, or nobody looked.
    NoGpu,
    /// Something of them cannot be read: it counts as busy.
    Unknown(String),
    Read {
        /// Of the busiest GPU at its busiest moment; `None`: they tell none.
        percent: Option<u32>,
        /// A process computes on a GPU that tells no utilization.
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

/// What the container of this name did, by every one of these looks.
pub(crate) fn of(container: &str, looks: &[Overview]) -> Activity {
    looks.iter().fold(Activity::NoGpu, |sum, look| sum.and(at_once(container, look)))
}

fn at_once(container: &str, seen: &Overview) -> Activity {
    let held = |usage: &GpuUsage| usage.holders.iter().any(|holder| holder.container == container);
    let gone = seen.gone.iter().filter(|gone| gone.container == container);
    let gone = gone.map(|gone| Activity::Unknown(format!("the machine does not show {}", gone.device)));
    let gpus = seen.gpus.iter().flat_map(|row| {
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
