//! All that people and programs see of a run: bars, lines, JSON, logs, the
//! summary; and how commands print tables and problems.
//!
//! Everything here is a fold over events or a function of values. Nothing here
//! decides what is built, and nothing reads the environment: `cli` says where
//! output goes and how it may look.

mod bars;
mod lines;
pub(crate) mod log;
mod output;
pub(crate) mod problems;
mod state;
mod style;
mod summary;
pub(crate) mod table;
#[cfg(test)]
mod test_events;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use std::io;
use std::time::Duration;

use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, MissedTickBehavior, interval};

pub(crate) use crate::model::human;
pub(crate) use output::Output;
pub(crate) use state::RunState;
pub(crate) use style::{OutputStyle, Progress, ProgressMode, Terminals};

use crate::model::event::{Event, Events};
use log::LogWriter;
use state::OutputLine;

/// One event and what it meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update<'a> {
    /// Since the run's start.
    pub(crate) at: Duration,
    pub(crate) event: &'a Event,
    /// Output of the event's image that the event made whole; to be shown
    /// before the event.
    pub(crate) lines: &'a [OutputLine],
    /// The event says what was known already.
    pub(crate) repeated: bool,
    /// The run, this event included.
    pub(crate) run: &'a RunState,
}

/// Shows a run while it goes on. One that cannot write goes on in silence: a
/// build is not worth less because nobody watches it.
pub(crate) trait Reporter: Send {
    /// Something happened.
    fn event(&mut self, update: &Update<'_>);

    /// Time passed: some ten times a second.
    fn tick(&mut self, _at: Duration, _run: &RunState) {}

    /// All is over.
    fn finish(&mut self, run: &RunState);
}

/// The reporter for this kind of progress, on stderr (JSON: on stdout).
pub(crate) fn reporter(progress: Progress, style: OutputStyle) -> Box<dyn Reporter> {
    match progress {
        Progress::Bars => Box::new(bars::Bars::on_stderr(style)),
        Progress::Plain => Box::new(lines::Plain::new(io::stderr(), style)),
        Progress::Json => Box::new(lines::Json::new(io::stdout())),
        Progress::Quiet => Box::new(lines::Quiet::new(io::stderr(), style)),
    }
}

/// How often reporters hear that time passes.
const TICK: Duration = Duration::from_millis(100);

/// A run that is shown by a task of its own.
pub(crate) struct Report {
    pub(crate) events: Events,
    task: JoinHandle<RunState>,
}

impl Report {
    pub(crate) fn start(progress: Progress, style: OutputStyle, log: Option<LogWriter>) -> Self {
        let (events, received) = mpsc::unbounded_channel();
        Self { events, task: tokio::spawn(drive(received, vec![reporter(progress, style)], log)) }
    }

    /// Waits until all of it is shown.
    ///
    /// # Errors
    /// The task panicked.
    pub(crate) async fn finish(self) -> Result<RunState, JoinError> {
        drop(self.events);
        self.task.await
    }
}

/// Folds events until the run is over or every sender is gone; then lets the reporters finish and
/// gives the state that the run came to. Times count from the call. Of a run that never begins nothing
/// is shown.
pub(crate) async fn drive(
    mut events: UnboundedReceiver<Event>,
    reporters: Vec<Box<dyn Reporter>>,
    log: Option<LogWriter>,
) -> RunState {
    let start = Instant::now();
    let Some(first) = events.recv().await else { return RunState::default() };
    let mut dispatcher = Dispatcher { run: RunState::default(), reporters, log, log_failed: false };
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut next = Some(first);
    while let Some(event) = next {
        dispatcher.event(start.elapsed(), &event);
        // Workers that were given up may still send; nobody asks.
        if matches!(event, Event::RunFinished { .. }) {
            break;
        }
        next = loop {
            tokio::select! {
                event = events.recv() => break event,
                _ = ticks.tick() => dispatcher.tick(start.elapsed()),
            }
        };
    }
    dispatcher.finish()
}

struct Dispatcher {
    run: RunState,
    reporters: Vec<Box<dyn Reporter>>,
    log: Option<LogWriter>,
    /// Logs cannot be written, which was said.
    log_failed: bool,
}

impl Dispatcher {
    fn event(&mut self, at: Duration, event: &Event) {
        let change = self.run.fold(at, event);
        let update = Update { at, event, lines: &change.lines, repeated: change.repeated, run: &self.run };
        let written = self.log.as_mut().map_or(Ok(()), |log| log.event(&update));
        for reporter in &mut self.reporters {
            reporter.event(&update);
        }
        if let (Err(error), Some(log), false) = (written, &self.log, self.log_failed) {
            // The build goes on without its logs, and says so once.
            self.log_failed = true;
            let text = format!("logs cannot be written below {}: {error}", log.directory().display());
            self.event(at, &Event::Warning { image: None, text });
        }
    }

    fn tick(&mut self, at: Duration) {
        for reporter in &mut self.reporters {
            reporter.tick(at, &self.run);
        }
    }

    fn finish(mut self) -> RunState {
        for reporter in &mut self.reporters {
            reporter.finish(&self.run);
        }
        self.run
    }
}
