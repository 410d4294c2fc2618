//! All that people and programs see of a run: bars, lines, JSON, logs, the
//! summary; and how commands print tables and problems.
//!
//! Everything here is a fold over events or a function of values. Nothing here
//! decides what is built, and nothing reads the environment: `cli` says where
//! output goes and how it may look.

pub(crate) mod bars;
pub(crate) mod drive;
mod failure;
pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod log;
pub(crate) mod look;
pub(crate) mod output;
pub(crate) mod plain;
pub(crate) mod problems;
pub(crate) mod quiet;
#[cfg(test)]
mod script;
pub(crate) mod state;
pub(crate) mod summary;
pub(crate) mod table;
#[cfg(test)]
mod tests;
pub(crate) mod text;

use std::io;
use std::time::Duration;

pub(crate) use drive::drive;
pub(crate) use look::{EngineInfo, Look, Mode, Progress};
pub(crate) use output::Output;
pub(crate) use state::RunState;

use crate::model::event::Event;
use state::OutputLine;

/// One event and what it meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News<'a> {
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
    fn event(&mut self, news: &News<'_>);

    /// Time passed: some ten times a second.
    fn tick(&mut self, _at: Duration, _run: &RunState) {}

    /// All is over.
    fn finish(&mut self, run: &RunState);
}

/// The reporter for this kind of progress, on stderr (JSON: on stdout).
pub(crate) fn reporter(progress: Progress, look: Look) -> Box<dyn Reporter> {
    match progress {
        Progress::Bars => Box::new(bars::Bars::on_stderr(look)),
        Progress::Plain => Box::new(plain::Plain::new(io::stderr(), look)),
        Progress::Json => Box::new(json::Json::new(io::stdout())),
        Progress::Quiet => Box::new(quiet::Quiet::new(io::stderr(), look)),
    }
}
