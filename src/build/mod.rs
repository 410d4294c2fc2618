//! Carries a plan out: schedules, solves, checks, tags. Decides nothing new.
//!
//! One task owns the schedule; workers build one image each and only send
//! events. Tags that people use move at the end, and only if every selected
//! image is there.

pub mod lock;
mod outcome;
pub mod request;
mod retry;
pub mod schedule;
pub mod space;
#[cfg(test)]
mod tests;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use outcome::{Complete, Outcomes};

use crate::engine::{self, Engine};
use crate::event::{Event, Events, Outcome};
use crate::plan::Plan;
use crate::solve::Solve;
use lock::Locks;
use schedule::{Schedule, State};

/// A run: the plan and all that is needed to carry it out.
pub struct Run {
    pub plan: Arc<Plan>,
    /// What to solve, by position in the plan; `None` for kept images.
    pub solves: Vec<Option<Solve>>,
    pub engine: Arc<dyn Engine>,
    pub locks: Locks,
    /// Where each image's output is written, by position.
    pub logs: Vec<Option<PathBuf>>,
    pub options: Options,
}

/// How a run behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// At most this many images at once.
    pub jobs: usize,
    /// Stop everything at the first failure.
    pub fail_fast: bool,
}

/// After Ctrl-C, workers get this long to stop their steps by themselves.
pub const STOP_GRACE: Duration = Duration::from_millis(1500);

/// Builds what the plan says. Stopped through `cancel`, it keeps what has
/// finished. Moves no tag but content tags.
pub async fn run(run: Run, events: &Events, cancel: &CancellationToken) -> Outcomes {
    let run = Arc::new(run);
    let started = Instant::now();
    announce(&run, events);
    let mut board = Board::new(&run, events, cancel);
    let mut workers = JoinSet::new();
    loop {
        // Before anything more is taken: an image's end may be seen before the
        // stop that it caused, or that came with it.
        if board.stop.is_cancelled() && board.closed.is_none() {
            board.close();
        }
        while let Some(position) = board.take() {
            let (run, events, cancel) = (run.clone(), events.clone(), board.stop.clone());
            workers.spawn(async move {
                let began = Instant::now();
                let outcome = worker::build(&run, position, &events, &cancel).await;
                (position, outcome, began.elapsed())
            });
        }
        if board.schedule.is_over() {
            break;
        }
        tokio::select! {
            biased;
            Some(ended) = workers.join_next() => match ended {
                Ok((position, outcome, took)) => board.end(position, outcome, took),
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_aborted) => {}
            },
            () = board.stop.cancelled(), if board.closed.is_none() => {}
            () = until(board.closed.map(|at| at + STOP_GRACE)) => {
                workers.abort_all();
                board.abandon();
            }
        }
    }
    board.outcomes(started.elapsed())
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn announce(run: &Run, events: &Events) {
    let (mut build, mut keep) = (Vec::new(), Vec::new());
    for image in &run.plan.images {
        if image.reasons().is_some() { &mut build } else { &mut keep }.push(image.name.clone());
    }
    let _ = events.send(Event::RunStarted { build, keep, jobs: run.options.jobs });
}

/// Puts the plan's tags on its images. Needs the proof that all are there.
///
/// # Errors
/// The engine refused; tags moved before stay, and a second run finishes.
pub async fn move_tags(
    plan: &Plan,
    complete: &Complete,
    engine: &dyn Engine,
    events: &Events,
) -> Result<(), engine::Error> {
    for step in &plan.tags {
        engine.tag(&complete.ids[step.image], &step.tag).await?;
        let image = plan.images[step.image].name.clone();
        let _ = events.send(Event::TagMoved { image, tag: step.tag.to_string() });
    }
    Ok(())
}

/// The state of a run and the only sender of how images end.
struct Board<'a> {
    run: &'a Run,
    events: &'a Events,
    /// Cancelled by the caller or by `fail_fast`.
    stop: CancellationToken,
    caller: &'a CancellationToken,
    schedule: Schedule,
    /// Plan position of each position in the schedule, and back.
    builds: Vec<usize>,
    outcomes: Vec<Option<Outcome>>,
    /// Since when nothing more is started.
    closed: Option<Instant>,
}

impl<'a> Board<'a> {
    fn new(run: &'a Run, events: &'a Events, caller: &'a CancellationToken) -> Self {
        let plan = &run.plan;
        let builds: Vec<_> = plan.builds().collect();
        let slot: std::collections::HashMap<_, _> = builds.iter().enumerate().map(|(s, &p)| (p, s)).collect();
        let parents = builds
            .iter()
            .map(|&p| plan.images[p].parents.iter().filter_map(|parent| slot.get(parent).copied()).collect())
            .collect();
        let cost = vec![1; builds.len()];
        Self {
            schedule: Schedule::new(parents, &cost, run.options.jobs),
            outcomes: vec![None; plan.images.len()],
            stop: caller.child_token(),
            closed: None,
            builds,
            run,
            events,
            caller,
        }
    }

    fn take(&mut self) -> Option<usize> {
        self.schedule.take().map(|slot| self.builds[slot])
    }

    fn end(&mut self, position: usize, outcome: Outcome, took: Duration) {
        let slot = self.builds.binary_search(&position).expect("only builds run");
        match &outcome {
            Outcome::Built { .. } | Outcome::BuiltElsewhere { .. } => self.schedule.done(slot),
            Outcome::Cancelled => self.schedule.cancelled(slot),
            Outcome::Failed { .. } | Outcome::Blocked { .. } => return self.fail(slot, outcome, took),
        }
        self.record(slot, outcome, took);
    }

    /// The failure is told first, then what it blocks.
    fn fail(&mut self, slot: usize, outcome: Outcome, took: Duration) {
        self.record(slot, outcome, took);
        let by = self.name(slot);
        for blocked in self.schedule.failed(slot) {
            self.record(blocked, Outcome::Blocked { by: by.clone() }, Duration::ZERO);
        }
        if self.run.options.fail_fast {
            self.stop.cancel();
        }
    }

    fn close(&mut self) {
        self.closed = Some(Instant::now());
        for slot in self.schedule.close() {
            self.record(slot, Outcome::Cancelled, Duration::ZERO);
        }
    }

    /// Gives up on workers that did not stop in time.
    fn abandon(&mut self) {
        for slot in 0..self.builds.len() {
            if self.schedule.states()[slot] == State::Running {
                self.schedule.cancelled(slot);
                self.record(slot, Outcome::Cancelled, Duration::ZERO);
            }
        }
    }

    fn record(&mut self, slot: usize, outcome: Outcome, took: Duration) {
        let image = self.name(slot);
        let _ = self.events.send(Event::ImageFinished { image, outcome: outcome.clone(), took });
        self.outcomes[self.builds[slot]] = Some(outcome);
    }

    fn name(&self, slot: usize) -> crate::names::NodeName {
        self.run.plan.images[self.builds[slot]].name.clone()
    }

    fn outcomes(self, took: Duration) -> Outcomes {
        Outcomes { by_image: self.outcomes, interrupted: self.caller.is_cancelled(), took }
    }
}
