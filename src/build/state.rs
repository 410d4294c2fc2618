//! The state of a run: who may be taken up, who is being sent, how each image
//! ended. The only sender of how images end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::outcome::Outcomes;
use super::{Run, worker};
use crate::engine::SolveError;
use crate::model::event::{Event, Events, Outcome};
use crate::model::names::{ImageId, NodeName};
use crate::plan::schedule::{Schedule, State};
use crate::plan::{Action, Planned};

pub(super) struct BuildState<'a> {
    run: &'a Run,
    events: &'a Events,
    /// Cancelled by the caller or by `fail_fast`.
    pub(super) stop: CancellationToken,
    caller: &'a CancellationToken,
    schedule: Schedule,
    /// Plan position of each position in the schedule, and back.
    work: Vec<usize>,
    /// Slots of images that are done but for their push, with how they ended.
    sending: BTreeMap<usize, (Outcome, Duration)>,
    /// Those of them that are not being sent yet.
    unsent: BTreeSet<usize>,
    outcomes: Vec<Option<Outcome>>,
    /// What was built, whatever became of its push.
    built: Vec<Option<ImageId>>,
    /// How long each image took, its waiting included and its push not.
    took: Vec<Duration>,
    /// Digests of what was sent, by position in the plan.
    pushed: Vec<Option<String>>,
    /// Since when nothing more is started.
    pub(super) closed: Option<Instant>,
}

impl<'a> BuildState<'a> {
    pub(super) fn new(run: &'a Run, events: &'a Events, caller: &'a CancellationToken) -> Self {
        let plan = &run.plan;
        let work: Vec<_> = plan.work().collect();
        let slot: HashMap<_, _> = work.iter().enumerate().map(|(s, &p)| (p, s)).collect();
        // What is only sent is there already: nobody waits for it.
        let awaited = |p: &&usize| !matches!(plan.images[**p].action, Action::Keep(_));
        let above = |image: &Planned| {
            let parents = image.parents.iter().filter(awaited);
            parents.filter_map(|parent| slot.get(parent).copied()).collect()
        };
        let parents = work.iter().map(|&p| match plan.images[p].action {
            Action::Build(_) => above(&plan.images[p]),
            Action::Fetch { .. } | Action::Keep(_) => Vec::new(),
        });
        Self {
            schedule: Schedule::new(parents.collect(), &vec![1; work.len()], run.options.jobs),
            outcomes: vec![None; plan.images.len()],
            built: vec![None; plan.images.len()],
            took: vec![Duration::ZERO; plan.images.len()],
            pushed: vec![None; plan.images.len()],
            stop: caller.child_token(),
            sending: BTreeMap::new(),
            unsent: BTreeSet::new(),
            closed: None,
            work,
            run,
            events,
            caller,
        }
    }

    /// The next image to take up.
    pub(super) fn take(&mut self) -> Option<usize> {
        self.schedule.take().map(|slot| self.work[slot])
    }

    pub(super) fn is_over(&self) -> bool {
        self.schedule.is_over() && self.sending.is_empty()
    }

    /// An image ended, but for its push. What is built on it does not wait for
    /// that.
    pub(super) fn made(&mut self, position: usize, outcome: Outcome, took: Duration) {
        let slot = self.slot(position);
        match &outcome {
            Outcome::Cancelled => self.schedule.cancelled(slot),
            Outcome::Failed { .. } | Outcome::Blocked { .. } => {
                return self.fail(slot, outcome, took);
            }
            _ => self.schedule.done(slot),
        }
        if let Outcome::Built { id } | Outcome::BuiltElsewhere { id } = &outcome {
            self.built[position] = Some(id.clone());
        }
        let is_ours = !matches!(outcome, Outcome::Cancelled | Outcome::Fetched { .. });
        if is_ours && self.run.plan.images[position].push {
            self.sending.insert(slot, (outcome, took));
            self.unsent.insert(slot);
            return;
        }
        self.record(slot, outcome, took);
    }

    /// Images to be sent now: after what they are based on, since they are
    /// sent only on the image of it that the registry has.
    pub(super) fn take_pushes(&mut self) -> Vec<usize> {
        let mut ready = Vec::new();
        for slot in self.unsent.clone() {
            let position = self.work[slot];
            let parents = self.run.plan.images[position].parents.clone();
            let slots = parents.iter().filter_map(|parent| self.work.binary_search(parent).ok());
            if slots.clone().any(|slot| self.sending.contains_key(&slot)) {
                continue;
            }
            self.unsent.remove(&slot);
            let lost = slots.filter_map(|slot| match &self.outcomes[self.work[slot]] {
                Some(Outcome::Cancelled) => Some(Outcome::Cancelled),
                Some(Outcome::Failed { .. } | Outcome::Blocked { .. }) => {
                    Some(Outcome::Blocked { by: self.name(slot) })
                }
                _ => None,
            });
            match lost.min_by_key(|outcome| matches!(outcome, Outcome::Cancelled)) {
                None => ready.push(position),
                Some(outcome) => {
                    let made_in = self.sending.remove(&slot).map(|(_, made_in)| made_in);
                    self.record(slot, outcome, made_in.unwrap_or_default());
                }
            }
        }
        ready
    }

    /// A push ended. One that failed is the image's failure: what is based on
    /// the image is built all the same, and not sent.
    pub(super) fn sent(&mut self, position: usize, sent: Result<String, SolveError>, took: Duration) {
        let slot = self.slot(position);
        // Given up meanwhile.
        let Some((outcome, made_in)) = self.sending.remove(&slot) else { return };
        match sent {
            Ok(digest) => {
                let (image, reference) =
                    (self.name(slot), self.run.plan.images[position].content.to_string());
                self.pushed[position] = Some(digest.clone());
                let only_sent = matches!(outcome, Outcome::Pushed { .. });
                self.record(slot, outcome, if only_sent { took } else { made_in });
                let _ = self.events.send(Event::Pushed { image, reference, digest, took });
            }
            Err(error) => {
                let outcome = worker::ended(self.run, position, error);
                let failed = matches!(outcome, Outcome::Failed { .. });
                self.record(slot, outcome, made_in);
                if failed && self.run.options.fail_fast {
                    self.stop.cancel();
                }
            }
        }
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

    /// Starts nothing more.
    pub(super) fn close(&mut self) {
        self.closed = Some(Instant::now());
        for slot in self.schedule.close() {
            self.record(slot, Outcome::Cancelled, Duration::ZERO);
        }
    }

    /// Gives up on workers that did not stop in time.
    pub(super) fn abandon(&mut self) {
        self.unsent.clear();
        for slot in 0..self.work.len() {
            let running = self.schedule.states()[slot] == State::Running;
            if running {
                self.schedule.cancelled(slot);
            }
            let made_in = self.sending.remove(&slot).map(|(_, made_in)| made_in);
            if running || made_in.is_some() {
                self.record(slot, Outcome::Cancelled, made_in.unwrap_or_default());
            }
        }
    }

    fn record(&mut self, slot: usize, outcome: Outcome, took: Duration) {
        let image = self.name(slot);
        let _ = self.events.send(Event::ImageFinished { image, outcome: outcome.clone(), took });
        self.outcomes[self.work[slot]] = Some(outcome);
        self.took[self.work[slot]] = took;
    }

    fn slot(&self, position: usize) -> usize {
        self.work.binary_search(&position).expect("only work is taken up")
    }

    fn name(&self, slot: usize) -> NodeName {
        self.run.plan.images[self.work[slot]].name.clone()
    }

    pub(super) fn outcomes(self, took: Duration) -> Outcomes {
        Outcomes {
            by_image: self.outcomes,
            built: self.built,
            took_by_image: self.took,
            pushed: self.pushed,
            interrupted: self.caller.is_cancelled(),
            took,
        }
    }
}
