//! Which containers have been here long enough, and what is done about them:
//! people are warned, and at a later sweep the container is stopped or removed.
//!
//! Decides from what one reading showed and what earlier sweeps kept. Reads no
//! clock; `state` keeps what the next sweep has to know, [`carry_out`] does what
//! was decided. What is not known spares a container, never condemns it.

mod decide;
pub(crate) mod inspect;
mod notify;
pub(crate) mod report;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use futures::stream::{self, StreamExt};

pub(crate) use decide::{Rules, decide, is_worth_inspecting, policy};
pub(crate) use inspect::Activity;
pub(crate) use state::{ContainerRecord, SweepState};

use super::retire::GRACE;
use crate::engine::{Container, ContainerDetail, ContainerState, Engine, Error};
use crate::model::names::Login;
use crate::spec::Spec;
pub(crate) use crate::spec::limits::{Exemption, Lifetime, Rule, Whom};
use report::{StepReport, SweepReport};

/// Containers that are stopped at once.
const AT_ONCE: usize = 8;

/// A container as a sweep saw it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observation {
    pub(crate) container: Container,
    pub(crate) times: Inspection,
    pub(crate) activity: Activity,
}

/// What the engine says of a container by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Inspection {
    /// It was not asked: nothing can be due.
    Skipped,
    /// It could not say.
    Failed,
    Read(RunTimes),
}

/// When a container began to be what it is. Seconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunTimes {
    pub(crate) state: ContainerState,
    pub(crate) started: Option<i64>,
    pub(crate) finished: Option<i64>,
}

impl From<&ContainerDetail> for RunTimes {
    fn from(detail: &ContainerDetail) -> Self {
        Self { state: detail.state, started: detail.started, finished: detail.finished }
    }
}

/// What a sweep does about one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Warn people; it happens at [`Deadline::at`], if nothing changes.
    Warn(Deadline),
    Stop(Deadline),
    Remove(Deadline),
    /// Leave it alone.
    Spare {
        id: String,
        name: String,
        why: SkipReason,
    },
}

/// When a rule ends a container, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) owner: Login,
    pub(crate) group: String,
    pub(crate) rule: Rule,
    /// Since when the rule counts; seconds since 1970.
    pub(crate) since: i64,
    /// What the rule allows.
    pub(crate) limit: Duration,
    /// When it is stopped or removed; seconds since 1970.
    pub(crate) at: i64,
    /// As it was seen: it is only touched if it still is so.
    pub(crate) times: RunTimes,
}

/// Why a container is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SkipReason {
    /// Neither we nor the system before us made it.
    NotOurs,
    Protected,
    /// Nothing says whose it is.
    NoOwner,
    /// Its label's group is none of the spec's; `None`: nothing says a group.
    UnknownGroup(Option<String>),
    /// A rule would apply, and somebody decided that it does not.
    Exempt {
        rule: Rule,
        until: Option<i64>,
    },
    /// The engine does not say since when it is what it is.
    NoTimes,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing: it is only shown.
    Planned,
    Done,
    /// Somebody did something with it since it was looked at, so it was left alone.
    Changed,
    /// Somebody removed it.
    Gone,
    Failed(String),
}

/// What holds for an owner: by the group of the container's label, else by
/// what the spec says of the person. A group that nothing names is not taken
/// for the default one: that would be guessed.
pub(crate) fn lifetime(spec: &Spec, owner: &Login, group: Option<&str>) -> Option<(String, Lifetime)> {
    let group = group.or_else(|| spec.users.get(owner).and_then(|user| user.group.as_deref()));
    let applied = spec.limits.of(owner, group)?;
    (!applied.by_default).then_some((applied.group, applied.limits.lifetime))
}

/// Every step, one container that fails stopping no other; `show` is given each
/// as soon as it and those before it are done, and the `notify` program what is
/// news.
pub(crate) async fn carry_out_all(
    engine: &dyn Engine,
    steps: Vec<Step>,
    report: &mut SweepReport,
    notify: Option<&Path>,
    mut show: impl FnMut(&StepReport),
) {
    let (dry_run, at) = (report.dry_run, report.seconds);
    let mut done = stream::iter(steps)
        .map(async |step| {
            let outcome = if dry_run {
                Outcome::Planned
            } else {
                carry_out(engine, &step).await.unwrap_or_else(|error| Outcome::Failed(error.to_string()))
            };
            let mut step = StepReport::new(&step, outcome, at);
            if let Some(program) = notify.filter(|_| step.is_news()) {
                step.notify_error = notify::notify(program, &step).await.err();
            }
            step
        })
        .buffered(AT_ONCE);
    while let Some(step) = done.next().await {
        show(&step);
        report.steps.push(step);
    }
}

/// Stops or removes it; a warning is done by being told. By its id, and after
/// another look: if its owner has just started it again, it stays.
///
/// # Errors
/// The engine's.
pub(crate) async fn carry_out(engine: &dyn Engine, step: &Step) -> Result<Outcome, Error> {
    match step {
        Step::Warn(_) | Step::Spare { .. } => Ok(Outcome::Done),
        Step::Stop(due) | Step::Remove(due) => {
            let Some(detail) = engine.container(&due.id).await? else { return Ok(Outcome::Gone) };
            if RunTimes::from(&detail) != due.times {
                return Ok(Outcome::Changed);
            }
            match step {
                Step::Stop(_) => engine.stop(&due.id, GRACE).await?,
                // The engine itself refuses to remove one that runs by now.
                _ => engine.remove(&due.id).await?,
            }
            Ok(Outcome::Done)
        }
    }
}
