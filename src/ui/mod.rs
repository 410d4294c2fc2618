//! All that people and programs see of a run: bars, lines, JSON, logs, the
//! summary; and how commands print tables and problems.
//!
//! Everything here is a fold over events or a function of values. Nothing here
//! decides what is built, and nothing reads the environment: `cli` says where
//! output goes and how it may look.

pub mod bars;
pub mod drive;
mod failure;
pub mod human;
pub mod json;
pub mod log;
pub mod look;
pub mod output;
pub mod plain;
pub mod problems;
pub mod quiet;
#[cfg(test)]
mod script;
pub mod state;
pub mod summary;
pub mod table;
#[cfg(test)]
mod tests;
pub mod text;

use std::io;
use std::time::Duration;

pub use drive::drive;
pub use look::{Facts, Look, Mode, Progress};
pub use output::Output;
pub use state::RunState;

use crate::model::event::Event;
use state::OutputLine;

/// One event and what it meant.
#[derive(Clone, Copy, Debug)]
pub struct News<'a> {
    /// Since the run's start.
    pub at: Duration,
    pub event: &'a Event,
    /// Output of the event's image that the event made whole; to be shown
    /// before the event.
    pub lines: &'a [OutputLine],
    /// The event says what was known already.
    pub repeated: bool,
    /// The run, this event included.
    pub run: &'a RunState,
}

/// Shows a run while it goes on. One that cannot write goes on in silence: a
/// build is not worth less because nobody watches it.
pub trait Reporter: Send {
    /// Something happened.
    fn event(&mut self, news: &News<'_>);

    /// Time passed: some ten times a second.
    fn tick(&mut self, _at: Duration, _run: &RunState) {}

    /// All is over.
    fn finish(&mut self, run: &RunState);
}

/// The reporter for this kind of progress, on stderr (JSON: on stdout).
pub fn reporter(progress: Progress, look: Look) -> Box<dyn Reporter> {
    match progress {
        Progress::Bars => Box::new(bars::Bars::on_stderr(look)),
        Progress::Plain => Box::new(plain::Plain::new(io::stderr(), look)),
        Progress::Json => Box::new(json::Json::new(io::stdout())),
        Progress::Quiet => Box::new(quiet::Quiet::new(io::stderr(), look)),
    }
}
