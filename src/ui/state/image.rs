//! One image's part of a run: its phase, its steps, its last output.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Change;
use crate::model::event::Failure;
use crate::model::names::{ImageId, NodeName};
use crate::ui::text::{Lines, clean};

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

/// Where an image is. The first four lead to one of the others.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Phase {
    /// To be built, not yet taken up.
    Queued,
    /// Another run of the program builds it.
    Waits,
    Running,
    /// Up to date before the run.
    Kept,
    Built {
        id: ImageId,
    },
    BuiltElsewhere {
        id: ImageId,
    },
    /// Pulled from its registry.
    Fetched {
        id: ImageId,
    },
    /// Up to date before the run, and sent to its registry.
    Pushed {
        id: ImageId,
    },
    Failed {
        failure: Box<Failure>,
        log: Option<PathBuf>,
    },
    Blocked {
        by: NodeName,
    },
    Cancelled,
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
    pub(super) fn new(name: NodeName) -> Self {
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

    pub(super) fn start(&mut self, at: Duration, reasons: &[String], log: Option<&Path>) -> Change {
        let repeated = self.phase == Phase::Running;
        self.phase = Phase::Running;
        self.started.get_or_insert(at);
        self.reasons = reasons.iter().map(|reason| clean(reason)).collect();
        self.log = log.map(Path::to_path_buf).or(self.log.take());
        Change { lines: Vec::new(), repeated }
    }

    pub(super) fn wait(&mut self, at: Duration) -> Change {
        let repeated = self.phase == Phase::Waits;
        self.phase = Phase::Waits;
        self.started.get_or_insert(at);
        Change { lines: Vec::new(), repeated }
    }

    pub(super) fn end(&mut self, phase: Phase, took: Duration) -> Vec<OutputLine> {
        if let Phase::Failed { log: Some(log), .. } = &phase {
            self.log = Some(log.clone());
        }
        self.phase = phase;
        self.took = Some(took);
        let lines: Vec<_> = self.steps.iter_mut().filter_map(StepRun::flush).collect();
        self.remember(&lines);
        lines
    }

    pub(super) fn step_turns(&mut self, at: Duration, id: &str, name: &str, phase: StepPhase) -> Change {
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

    pub(super) fn output(&mut self, at: Duration, id: &str, text: &str) -> Vec<OutputLine> {
        let step = self.step_mut(at, id);
        let number = step.number;
        let lines: Vec<_> =
            step.partial.push(text).into_iter().map(|text| OutputLine { step: number, text }).collect();
        self.remember(&lines);
        lines
    }

    pub(super) fn step_mut(&mut self, at: Duration, id: &str) -> &mut StepRun {
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

    pub(super) fn transfer(&mut self, what: &str, current: u64, total: u64) {
        self.transfers.insert(what.to_owned(), (current, total));
    }

    fn flush(&mut self) -> Option<OutputLine> {
        self.partial.finish().map(|text| OutputLine { step: self.number, text })
    }
}
