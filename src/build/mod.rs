//! Carries a plan out: schedules, solves, fetches, checks, tags, sends.
//! Decides nothing new.
//!
//! One task owns the schedule; workers make one image each and only send
//! events. Tags that people use move at the end, and only if every selected
//! image is there.

pub(crate) mod account_image;
mod environment;
pub(crate) mod export;
mod failed_packages;
mod outcome;
pub(crate) mod recorder;
pub(crate) mod request;
mod retry;
pub(crate) mod space;
mod state;
mod tags;
#[cfg(test)]
mod tests;
mod transfer;
mod whole_run;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use environment::{BuildEnvironment, GivenEnvironment};
pub(crate) use outcome::Outcomes;
pub(crate) use tags::{MoveError, move_tags};
pub(crate) use whole_run::{RunEnd, WholeRun};

use crate::engine::{Engine, SolveError};
use crate::host::lock::Locks;
use crate::image::solve::Solve;
use crate::model::event::{Event, Events, Outcome};
use crate::model::names::NodeName;
use crate::plan::{Action, Plan};
use crate::registry::Registry;
use state::BuildState;

/// A run: the plan and all that is needed to carry it out.
pub(crate) struct Run {
    pub(crate) plan: Arc<Plan>,
    /// What to solve, by position in the plan; `None` for what is not built.
    pub(crate) solves: Vec<Option<Solve>>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) registry: Arc<dyn Registry>,
    pub(crate) locks: Locks,
    /// The OCI platform that images are for.
    pub(crate) platform: String,
    /// Where each image's output is written, by position.
    pub(crate) logs: Vec<Option<PathBuf>>,
    pub(crate) options: Options,
}

/// How a run behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// At most this many images at once. Pushes go on beside them.
    pub(crate) jobs: usize,
    /// Stop everything at the first failure.
    pub(crate) fail_fast: bool,
}

/// So many images are built at once where nobody says: one for each core.
pub(crate) fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// After Ctrl-C, workers get this long to stop their steps by themselves.
pub(crate) const STOP_GRACE: Duration = Duration::from_millis(1500);

/// What a task of a run ends with.
enum TaskResult {
    Made(usize, Outcome, Duration),
    Sent(usize, Result<String, SolveError>, Duration),
}

/// Does what the plan says. Stopped through `cancel`, it keeps what has
/// finished. Moves no tag but content tags.
pub(crate) async fn run(run: Run, events: &Events, cancel: &CancellationToken) -> Outcomes {
    let run = Arc::new(run);
    let started = Instant::now();
    announce(&run, events);
    let mut state = BuildState::new(&run, events, cancel);
    let mut tasks = JoinSet::new();
    loop {
        // Before anything more is taken: an image's end may be seen before the
        // stop that it caused, or that came with it.
        if state.stop.is_cancelled() && state.closed.is_none() {
            state.close();
        }
        while let Some(position) = state.take() {
            tasks.spawn(make(run.clone(), position, events.clone(), state.stop.clone()));
        }
        for position in state.take_pushes() {
            tasks.spawn(send(run.clone(), position, events.clone(), state.stop.clone()));
        }
        if state.is_over() {
            break;
        }
        tokio::select! {
            biased;
            Some(ended) = tasks.join_next() => match ended {
                Ok(TaskResult::Made(position, outcome, took)) => state.made(position, outcome, took),
                Ok(TaskResult::Sent(position, sent, took)) => state.sent(position, sent, took),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_aborted) => {}
            },
            () = state.stop.cancelled(), if state.closed.is_none() => {}
            () = until(state.closed.map(|at| at + STOP_GRACE)) => {
                tasks.abort_all();
                state.abandon();
            }
        }
    }
    state.outcomes(started.elapsed())
}

async fn make(run: Arc<Run>, position: usize, events: Events, stop: CancellationToken) -> TaskResult {
    let began = Instant::now();
    let outcome = worker::work(&run, position, &events, &stop).await;
    TaskResult::Made(position, outcome, began.elapsed())
}

async fn send(run: Arc<Run>, position: usize, events: Events, stop: CancellationToken) -> TaskResult {
    let began = Instant::now();
    let sent = transfer::push(&run, &run.plan.images[position], &events, &stop).await;
    TaskResult::Sent(position, sent, began.elapsed())
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn announce(run: &Run, events: &Events) {
    let (mut build, mut fetch, mut push, mut keep) = (vec![], vec![], vec![], vec![]);
    for image in &run.plan.images {
        let list: &mut Vec<NodeName> = match &image.action {
            Action::Build(_) => &mut build,
            Action::Fetch { .. } => &mut fetch,
            Action::Keep(_) if image.push => &mut push,
            Action::Keep(_) => &mut keep,
        };
        list.push(image.name.clone());
    }
    let _ = events.send(Event::RunStarted { build, fetch, push, keep, jobs: run.options.jobs });
}
