//! A run as lines: for logs, for programs, and for who wants the end only.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::time::Duration;

use serde::ser::{Error, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::state::{ImageRun, OutputLine, Phase, RunState, StepPhase, StepRun};
use super::style::OutputStyle;
use super::text::clean;
use super::{Reporter, Update, human, summary};
use crate::model::event::{Event, Outcome};
use crate::model::names::NodeName;

/// A step is shown when it has run this long, said something or ended, so that
/// the many that end at once take one line.
const PATIENCE: Duration = Duration::from_millis(200);

/// Lines that stay: each says which image it is about. No control codes but
/// colours, no clock but the events'.
#[derive(Debug)]
pub(crate) struct Plain<W> {
    out: W,
    style: OutputStyle,
    images: HashMap<NodeName, Shown>,
}

/// What was shown of an image.
#[derive(Debug, Default)]
struct Shown {
    /// Numbers of steps whose name stands in the output.
    steps: HashSet<usize>,
    /// Numbers of steps whose end was told. BuildKit runs some again, for
    /// itself, which is no news to anybody.
    over: HashSet<usize>,
    /// Cached steps not yet told of.
    cached: u64,
}

impl<W: Write> Plain<W> {
    pub(crate) fn new(out: W, style: OutputStyle) -> Self {
        Self { out, style, images: HashMap::new() }
    }

    fn put(&mut self, line: &str) {
        // One write, so that a line is whole also where others write.
        let _ = self.out.write_all(format!("{}\n", line.trim_end()).as_bytes());
    }

    /// A line about an image; first, what was held back about it.
    fn say(&mut self, image: &NodeName, text: &str) {
        let head = self.style.strong(&format!("[{image}]"));
        let shown = self.images.entry(image.clone()).or_default();
        let cached = std::mem::take(&mut shown.cached);
        if cached > 0 {
            let steps = human::count(cached, "step");
            self.put(&format!("{head} {}", self.style.weak(&format!("{steps} cached"))));
        }
        self.put(&format!("{head} {text}"));
    }

    fn output(&mut self, image: &ImageRun, line: &OutputLine) {
        if let Some(step) = image.steps.iter().find(|step| step.number == line.step) {
            self.announce(&image.name, step);
        }
        let wall = self.style.either("│", "|");
        self.say(&image.name, &format!("#{} {wall} {}", line.step, line.text));
    }

    /// Names a step, unless that was done or the name is not known.
    fn announce(&mut self, image: &NodeName, step: &StepRun) {
        if step.name.is_empty() {
            return;
        }
        if self.images.entry(image.clone()).or_default().steps.insert(step.number) {
            self.say(image, &format!("#{} {}", step.number, step.name));
        }
    }

    fn step(&mut self, image: &NodeName, step: &StepRun) {
        let shown = self.images.entry(image.clone()).or_default();
        if shown.over.contains(&step.number) && !matches!(step.phase, StepPhase::Failed { .. }) {
            return;
        }
        if step.phase != StepPhase::Running {
            shown.over.insert(step.number);
        }
        match &step.phase {
            StepPhase::Running => {
                shown.steps.remove(&step.number);
            }
            StepPhase::Cached if shown.steps.contains(&step.number) => {
                self.say(image, &format!("#{} cached", step.number));
            }
            StepPhase::Cached => shown.cached += 1,
            StepPhase::Done { took } if shown.steps.insert(step.number) => {
                self.say(image, &format!("#{} {} ({})", step.number, step.name, human::took(*took)));
            }
            StepPhase::Done { took } => {
                self.say(image, &format!("#{} done in {}", step.number, human::took(*took)));
            }
            StepPhase::Failed { message } => {
                self.announce(image, step);
                let text = format!("#{} failed: {}", step.number, clean(message));
                self.say(image, &self.style.bad(&text));
            }
        }
    }

    fn ended(&mut self, image: &ImageRun) {
        let took = human::took(image.took.unwrap_or_default());
        let text = match &image.phase {
            Phase::Ended(Outcome::Built { id }) => self.style.good(&format!("built in {took}: {id}")),
            Phase::Ended(Outcome::BuiltElsewhere { id }) => {
                self.style.good(&format!("built by another run, waited {took}: {id}"))
            }
            Phase::Ended(Outcome::Fetched { id }) => self.style.good(&format!("pulled in {took}: {id}")),
            Phase::Ended(Outcome::Failed { failure, .. }) => {
                self.style.bad(&format!("failed after {took}: {}", clean(&failure.message)))
            }
            Phase::Ended(Outcome::Blocked { by }) => self.style.warn(&format!("blocked by {by}")),
            Phase::Ended(Outcome::Cancelled) => self.style.warn("cancelled"),
            // That it was pushed is told already.
            Phase::Ended(Outcome::Pushed { .. }) => return,
            Phase::Queued | Phase::Waits | Phase::Running | Phase::Kept => return,
        };
        self.say(&image.name, &text);
    }

    fn started(&mut self, build: usize, others: [(&str, usize); 2], keep: &[NodeName], jobs: usize) {
        let images = |count: usize| human::count(count, "image");
        let others = others.into_iter().filter(|(_, count)| *count > 0);
        let mut parts: Vec<_> = others.map(|(word, count)| format!("{word} {}", images(count))).collect();
        if build > 0 {
            parts.insert(0, format!("building {}", images(build)));
        }
        if parts.is_empty() {
            return;
        }
        self.put(&format!("{}, at most {jobs} at once", parts.join(", ")));
        if !keep.is_empty() {
            let names: Vec<_> = keep.iter().map(NodeName::as_str).collect();
            self.put(&format!("up to date: {}", names.join(", ")));
        }
    }
}

impl<W: Write + Send> Reporter for Plain<W> {
    fn event(&mut self, update: &Update<'_>) {
        if let Some(image) = update.event.image().and_then(|image| update.run.image(image)) {
            update.lines.iter().for_each(|line| self.output(image, line));
        }
        if update.repeated {
            return;
        }
        match update.event {
            Event::RunStarted { build, fetch, push, keep, jobs } => {
                let others = [("pulling", fetch.len()), ("sending", push.len())];
                self.started(build.len(), others, keep, *jobs);
            }
            Event::ImageStarted { image, reasons, .. } => {
                let reasons: Vec<_> = reasons.iter().map(|reason| clean(reason)).collect();
                self.say(image, format!("started: {}", reasons.join("; ")).trim_end_matches(": "));
            }
            Event::ImageWaits { image } => self.say(image, "waits: another run builds it"),
            Event::Step { image, id, .. } => {
                if let Some(step) = update.run.image(image).and_then(|run| run.step(id)) {
                    self.step(image, step);
                }
            }
            Event::Warning { image, text } => {
                let text = format!("{} {}", self.style.warn("warning:"), clean(text));
                match image {
                    Some(image) => self.say(image, &text),
                    None => self.put(&text),
                }
            }
            Event::ImageFinished { image, .. } => {
                if let Some(image) = update.run.image(image) {
                    self.ended(image);
                }
            }
            Event::Pushed { image, reference, took, .. } => {
                let text = format!("pushed {} in {}", clean(reference), human::took(*took));
                self.say(image, &self.style.good(&text));
            }
            Event::TagMoved { image, tag } => self.say(image, &format!("tagged {}", clean(tag))),
            Event::RegistryTagMoved { image, tag, .. } => {
                self.say(image, &format!("tagged {} in the registry", clean(tag)));
            }
            Event::Log { .. } | Event::Transfer { .. } | Event::RunFinished { .. } => {}
        }
        let _ = self.out.flush();
    }

    fn tick(&mut self, at: Duration, run: &RunState) {
        for image in run.images().filter(|image| image.phase == Phase::Running) {
            let patient = |step: &&StepRun| {
                step.phase == StepPhase::Running && at.saturating_sub(step.since) >= PATIENCE
            };
            for step in image.steps.iter().filter(patient) {
                self.announce(&image.name, step);
            }
        }
        let _ = self.out.flush();
    }

    fn finish(&mut self, run: &RunState) {
        let text = summary::render(run, &self.style);
        let _ = write!(self.out, "\n{text}");
        let _ = self.out.flush();
    }
}

/// Events for programs: one JSON object a line, as they come.
///
/// Every line has `at` (seconds since the start) and `event` (which kind); the
/// other fields are those of [`Event`].
#[derive(Debug)]
pub(crate) struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write + Send> Reporter for Json<W> {
    fn event(&mut self, update: &Update<'_>) {
        let line = Line { at: update.at, event: update.event };
        if let Ok(mut text) = serde_json::to_string(&line) {
            text.push('\n');
            // One write, so that lines of several writers do not mix.
            let _ = self.out.write_all(text.as_bytes());
            let _ = self.out.flush();
        }
    }

    fn finish(&mut self, _: &RunState) {}
}

struct Line<'a> {
    at: Duration,
    event: &'a Event,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Value::Object(mut fields) = serde_json::to_value(self.event).map_err(S::Error::custom)? else {
            return Err(S::Error::custom("an event is not an object"));
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("at", &(self.at.as_micros() as f64 / 1e6))?;
        map.serialize_entry("event", &fields.remove("event"))?;
        for (key, value) in &fields {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// Nothing until the run is over; then failures and the line of numbers.
#[derive(Debug)]
pub(crate) struct Quiet<W> {
    out: W,
    style: OutputStyle,
}

impl<W: Write> Quiet<W> {
    pub(crate) fn new(out: W, style: OutputStyle) -> Self {
        Self { out, style }
    }
}

impl<W: Write + Send> Reporter for Quiet<W> {
    fn event(&mut self, _: &Update<'_>) {}

    fn finish(&mut self, run: &RunState) {
        let _ = self.out.write_all(summary::render(run, &self.style).as_bytes());
        let _ = self.out.flush();
    }
}
