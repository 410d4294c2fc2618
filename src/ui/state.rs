//! What a run has come to: the one fold over its events.
//!
//! Bars and summary read this and nothing else. Knows no terminal and no
//! clock; moments are given as the time since the run's start.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::text::{Lines, clean};
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
        let mut change = Change::default();
        match event {
            Event::RunStarted { build, fetch, push, keep, .. } => {
                for image in build.iter().chain(fetch).chain(push) {
                    self.image_mut(image).phase = Phase::Queued;
                }
                keep.iter().for_each(|image| self.image_mut(image).phase = Phase::Kept);
            }
            Event::ImageStarted { image, reasons, log } => {
                change.repeated = self.image_mut(image).start(at, reasons, log.as_deref());
            }
            Event::ImageWaits { image } => change.repeated = self.image_mut(image).wait(at),
            Event::Step { image, id, name, state } => {
                change = self.image_mut(image).set_step(at, id, name, step_phase(state));
            }
            Event::Transfer { image, step, what, current, total } => {
                self.image_mut(image).step_mut(at, step).transfers.insert(what.clone(), (*current, *total));
            }
            Event::Log { image, step, text } => change.lines = self.image_mut(image).output(at, step, text),
            Event::ImageFinished { image, outcome, took } => {
                change.lines = self.image_mut(image).end(outcome, *took);
            }
            Event::RunFinished { took, .. } => self.took = Some(*took),
            Event::Pushed { image, .. } => self.image_mut(image).sent = true,
            Event::Warning { .. } | Event::TagMoved { .. } | Event::RegistryTagMoved { .. } => {}
        }
        change
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
            counts.only_sent += usize::from(matches!(image.phase, Phase::Ended(Outcome::Pushed { .. })));
            *match &image.phase {
                Phase::Kept => &mut counts.kept,
                Phase::Queued | Phase::Waits | Phase::Running if self.took.is_some() => &mut counts.cancelled,
                Phase::Queued => &mut counts.queued,
                Phase::Waits | Phase::Running => &mut counts.running,
                Phase::Ended(outcome) => match outcome {
                    Outcome::Built { .. } | Outcome::BuiltElsewhere { .. } => &mut counts.built,
                    Outcome::Fetched { .. } => &mut counts.fetched,
                    Outcome::Pushed { .. } => &mut counts.kept,
                    Outcome::Failed { .. } => &mut counts.failed,
                    Outcome::Blocked { .. } => &mut counts.blocked,
                    Outcome::Cancelled => &mut counts.cancelled,
                },
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
            if let Phase::Ended(Outcome::Blocked { by }) = &image.phase {
                groups.entry(self.first_cause(by)).or_default().push(&image.name);
            }
        }
        groups
    }

    fn first_cause<'a>(&'a self, by: &'a NodeName) -> &'a NodeName {
        let mut cause = by;
        // The graph has no cycles; the bound is for events that claim one.
        for _ in 0..self.images.len() {
            match self.image(cause).map(|image| &image.phase) {
                Some(Phase::Ended(Outcome::Blocked { by })) => cause = by,
                _ => break,
            }
        }
        cause
    }

    fn image_mut(&mut self, name: &NodeName) -> &mut ImageRun {
        let at = *self.index.entry(name.clone()).or_insert_with(|| {
            self.images.push(ImageRun::new(name.clone()));
            self.images.len() - 1
        });
        &mut self.images[at]
    }
}

fn step_phase(state: &StepState) -> StepPhase {
    match state {
        StepState::Started => StepPhase::Running,
        StepState::Done { cached: true, .. } => StepPhase::Cached,
        StepState::Done { cached: false, millis } => StepPhase::Done { took: Duration::from_millis(*millis) },
        StepState::Failed { message } => StepPhase::Failed { message: message.clone() },
    }
}

/// So many lines of output are kept for the summary.
const TAIL: usize = 20;

/// One image's part of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ImageRun {
    pub(crate) name: NodeName,
    pub(crate) phase: Phase,
    /// Why it is built, in words.
    pub(crate) reasons: Vec<String>,
    /// Where its whole output is.
    pub(crate) log: Option<PathBuf>,
    /// When it was taken up, since the run's start.
    pub(crate) started: Option<Duration>,
    /// How long it took, once it ended.
    pub(crate) took: Option<Duration>,
    /// Its steps, in the order in which they became known.
    pub(crate) steps: Vec<StepRun>,
    /// Its last lines of output.
    pub(crate) tail: VecDeque<String>,
    /// Whether its registry got it.
    pub(crate) sent: bool,
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    /// To be built, not yet taken up.
    Queued,
    /// Another run of the program builds it.
    Waits,
    Running,
    /// Up to date before the run.
    Kept,
    Ended(Outcome),
}

/// One step of an image.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StepRun {
    /// Within its image, from 1.
    pub(crate) number: usize,
    /// Fit to be shown; empty if only output was seen of it.
    pub(crate) name: String,
    pub(crate) phase: StepPhase,
    /// When it last began, since the run's start.
    pub(crate) since: Duration,
    id: String,
    transfers: BTreeMap<String, (u64, u64)>,
    partial: Lines,
}

/// Where a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StepPhase {
    Running,
    Cached,
    Done { took: Duration },
    Failed { message: String },
}

/// A whole line of a step's output, fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputLine {
    /// [`StepRun::number`].
    pub(crate) step: usize,
    pub(crate) text: String,
}

impl ImageRun {
    fn new(name: NodeName) -> Self {
        Self {
            name,
            phase: Phase::Queued,
            reasons: Vec::new(),
            log: None,
            started: None,
            took: None,
            steps: Vec::new(),
            tail: VecDeque::new(),
            sent: false,
        }
    }

    /// The step that runs; of several, the one begun last.
    pub(crate) fn current_step(&self) -> Option<&StepRun> {
        self.steps.iter().filter(|step| step.phase == StepPhase::Running).max_by_key(|step| step.since)
    }

    /// The step of this name in the events.
    pub(crate) fn step(&self, id: &str) -> Option<&StepRun> {
        self.steps.iter().rev().find(|step| step.id == id)
    }

    /// Whether that was known.
    fn start(&mut self, at: Duration, reasons: &[String], log: Option<&Path>) -> bool {
        let repeated = self.phase == Phase::Running;
        self.phase = Phase::Running;
        self.started.get_or_insert(at);
        self.reasons = reasons.iter().map(|reason| clean(reason)).collect();
        self.log = log.map(Path::to_path_buf).or(self.log.take());
        repeated
    }

    /// Whether that was known.
    fn wait(&mut self, at: Duration) -> bool {
        let repeated = self.phase == Phase::Waits;
        self.phase = Phase::Waits;
        self.started.get_or_insert(at);
        repeated
    }

    fn end(&mut self, outcome: &Outcome, took: Duration) -> Vec<OutputLine> {
        if let Outcome::Failed { log: Some(log), .. } = outcome {
            self.log = Some(log.clone());
        }
        self.phase = Phase::Ended(outcome.clone());
        self.took = Some(took);
        let lines: Vec<_> = self.steps.iter_mut().filter_map(StepRun::flush).collect();
        self.remember(&lines);
        lines
    }

    fn set_step(&mut self, at: Duration, id: &str, name: &str, phase: StepPhase) -> Change {
        let known = self.step(id).is_some_and(|step| !step.name.is_empty());
        let step = self.step_mut(at, id);
        if !name.is_empty() {
            step.name = clean(name);
        }
        let repeated = known && step.phase == phase;
        if phase == StepPhase::Running && !repeated {
            step.since = at;
        }
        step.phase = phase;
        let mut lines = Vec::new();
        if step.phase != StepPhase::Running {
            step.transfers.clear();
            lines.extend(step.flush());
        }
        self.remember(&lines);
        Change { lines, repeated }
    }

    fn output(&mut self, at: Duration, id: &str, text: &str) -> Vec<OutputLine> {
        let step = self.step_mut(at, id);
        let number = step.number;
        let lines: Vec<_> =
            step.partial.push(text).into_iter().map(|text| OutputLine { step: number, text }).collect();
        self.remember(&lines);
        lines
    }

    fn step_mut(&mut self, at: Duration, id: &str) -> &mut StepRun {
        let place = self.steps.iter().rposition(|step| step.id == id).unwrap_or_else(|| {
            self.steps.push(StepRun::new(id, self.steps.len() + 1, at));
            self.steps.len() - 1
        });
        &mut self.steps[place]
    }

    fn remember(&mut self, lines: &[OutputLine]) {
        self.tail.extend(lines.iter().map(|line| line.text.clone()));
        let over = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..over);
    }
}

impl StepRun {
    fn new(id: &str, number: usize, since: Duration) -> Self {
        Self {
            number,
            name: String::new(),
            phase: StepPhase::Running,
            since,
            id: id.to_owned(),
            transfers: BTreeMap::new(),
            partial: Lines::default(),
        }
    }

    /// Bytes moved and bytes in all by the step's transfers together; 0 in all:
    /// unknown. None if nothing moves.
    pub(crate) fn moved(&self) -> Option<(u64, u64)> {
        if self.transfers.is_empty() {
            return None;
        }
        let current = self.transfers.values().fold(0u64, |sum, (current, _)| sum.saturating_add(*current));
        let all_known = self.transfers.values().all(|(_, total)| *total > 0);
        let total = self.transfers.values().fold(0u64, |sum, (_, total)| sum.saturating_add(*total));
        Some((current, if all_known { total } else { 0 }))
    }

    fn flush(&mut self) -> Option<OutputLine> {
        self.partial.finish().map(|text| OutputLine { step: self.number, text })
    }
}
