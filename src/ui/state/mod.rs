//! What a run has come to: the one fold over its events.
//!
//! Bars and summary read this and nothing else. Knows no terminal and no
//! clock; moments are given as the time since the run's start.

mod image;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

pub(crate) use image::{ImageRun, OutputLine, Phase, StepPhase, StepRun};

use crate::model::event::{Event, Outcome, StepState};
use crate::model::names::NodeName;

/// A run so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunState {
    images: Vec<ImageRun>,
    index: HashMap<NodeName, usize>,
    last: Duration,
    took: Option<Duration>,
}

/// What one event brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Whole lines of output that are now known, in order; they belong to the
    /// event's image and come before the event itself.
    pub(crate) lines: Vec<OutputLine>,
    /// The event says what was known already. BuildKit tells some things twice.
    pub(crate) repeated: bool,
}

/// How many images are where. Those that another run built count as built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) built: usize,
    pub(crate) fetched: usize,
    /// Up to date, those included that were only sent to a registry.
    pub(crate) kept: usize,
    pub(crate) only_sent: usize,
    pub(crate) failed: usize,
    pub(crate) blocked: usize,
    pub(crate) cancelled: usize,
    /// Sent to a registry; each is counted elsewhere, too.
    pub(crate) pushed: usize,
    /// Running, or waiting for another run of the program.
    pub(crate) running: usize,
    /// Not yet taken up.
    pub(crate) queued: usize,
}

impl Counts {
    /// Images to be built, pulled or sent that are done, one way or another.
    pub(crate) fn ended(&self) -> usize {
        self.built + self.fetched + self.only_sent + self.failed + self.blocked + self.cancelled
    }

    /// Images to be built, pulled or sent.
    pub(crate) fn wanted(&self) -> usize {
        self.ended() + self.running + self.queued
    }
}

impl RunState {
    /// Takes one event in. `at` is the time since the run's start.
    pub(crate) fn fold(&mut self, at: Duration, event: &Event) -> Change {
        self.last = self.last.max(at);
        match event {
            Event::RunStarted { build, fetch, push, keep, .. } => {
                build
                    .iter()
                    .chain(fetch)
                    .chain(push)
                    .for_each(|image| self.image_mut(image).phase = Phase::Queued);
                keep.iter().for_each(|image| self.image_mut(image).phase = Phase::Kept);
                Change::default()
            }
            Event::ImageStarted { image, reasons, log } => {
                self.image_mut(image).start(at, reasons, log.as_deref())
            }
            Event::ImageWaits { image } => self.image_mut(image).wait(at),
            Event::Step { image, id, name, state } => self.step(at, image, (id, name), state),
            Event::Transfer { image, step, what, current, total } => {
                self.image_mut(image).step_mut(at, step).transfer(what, *current, *total);
                Change::default()
            }
            Event::Log { image, step, text } => {
                let lines = self.image_mut(image).output(at, step, text);
                Change { lines, repeated: false }
            }
            Event::ImageFinished { image, outcome, took } => {
                let lines = self.image_mut(image).end(phase_of(outcome), *took);
                Change { lines, repeated: false }
            }
            Event::RunFinished { took, .. } => {
                self.took = Some(*took);
                Change::default()
            }
            Event::Pushed { image, .. } => {
                self.image_mut(image).sent = true;
                Change::default()
            }
            Event::Warning { .. } | Event::TagMoved { .. } | Event::RegistryTagMoved { .. } => {
                Change::default()
            }
        }
    }

    fn step(&mut self, at: Duration, image: &NodeName, step: (&str, &str), state: &StepState) -> Change {
        let (id, name) = step;
        let image = self.image_mut(image);
        let phase = match state {
            StepState::Started => StepPhase::Running,
            StepState::Done { cached: true, .. } => StepPhase::Cached,
            StepState::Done { cached: false, millis } => {
                StepPhase::Done { took: Duration::from_millis(*millis) }
            }
            StepState::Failed { message } => StepPhase::Failed { message: message.clone() },
        };
        image.step_turns(at, id, name, phase)
    }

    /// The images, in the order in which they became known.
    pub(crate) fn images(&self) -> impl DoubleEndedIterator<Item = &ImageRun> {
        self.images.iter()
    }

    /// One image.
    pub(crate) fn image(&self, name: &NodeName) -> Option<&ImageRun> {
        self.index.get(name).map(|&at| &self.images[at])
    }

    /// How many images are where. Once the run is over, what never ended was
    /// cancelled.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for image in &self.images {
            counts.pushed += usize::from(image.sent);
            counts.only_sent += usize::from(matches!(image.phase, Phase::Pushed { .. }));
            *match image.phase {
                Phase::Built { .. } | Phase::BuiltElsewhere { .. } => &mut counts.built,
                Phase::Fetched { .. } => &mut counts.fetched,
                Phase::Kept | Phase::Pushed { .. } => &mut counts.kept,
                Phase::Failed { .. } => &mut counts.failed,
                Phase::Blocked { .. } => &mut counts.blocked,
                Phase::Cancelled => &mut counts.cancelled,
                Phase::Queued | Phase::Waits | Phase::Running if self.took.is_some() => &mut counts.cancelled,
                Phase::Queued => &mut counts.queued,
                Phase::Waits | Phase::Running => &mut counts.running,
            } += 1;
        }
        counts
    }

    /// How long the run took; up to its last event, if it is not over.
    pub(crate) fn took(&self) -> Duration {
        self.took.unwrap_or(self.last)
    }

    /// Blocked images under the image that blocks them in the end: the one
    /// that failed, not one that it blocked in turn.
    pub(crate) fn blocked(&self) -> BTreeMap<&NodeName, Vec<&NodeName>> {
        let mut groups: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for image in &self.images {
            if let Phase::Blocked { by } = &image.phase {
                groups.entry(self.culprit(by)).or_default().push(&image.name);
            }
        }
        groups
    }

    fn culprit<'a>(&'a self, by: &'a NodeName) -> &'a NodeName {
        let mut culprit = by;
        // The graph has no cycles; the bound is for events that claim one.
        for _ in 0..self.images.len() {
            match self.image(culprit).map(|image| &image.phase) {
                Some(Phase::Blocked { by }) => culprit = by,
                _ => break,
            }
        }
        culprit
    }

    fn image_mut(&mut self, name: &NodeName) -> &mut ImageRun {
        let at = *self.index.entry(name.clone()).or_insert_with(|| {
            self.images.push(ImageRun::new(name.clone()));
            self.images.len() - 1
        });
        &mut self.images[at]
    }
}

fn phase_of(outcome: &Outcome) -> Phase {
    match outcome {
        Outcome::Built { id } => Phase::Built { id: id.clone() },
        Outcome::BuiltElsewhere { id } => Phase::BuiltElsewhere { id: id.clone() },
        Outcome::Fetched { id } => Phase::Fetched { id: id.clone() },
        Outcome::Pushed { id } => Phase::Pushed { id: id.clone() },
        Outcome::Failed { failure, log } => {
            Phase::Failed { failure: Box::new(failure.clone()), log: log.clone() }
        }
        Outcome::Blocked { by } => Phase::Blocked { by: by.clone() },
        Outcome::Cancelled => Phase::Cancelled,
    }
}
