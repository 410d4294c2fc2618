//! What a sweep tells: lines for a journal, JSON for programs. A step as JSON
//! is also what `--notify` gets.

use serde::Serialize;

use super::look::Looked;
use crate::container::sweep::act::End;
use crate::container::sweep::words::{self, Outcome};
use crate::container::sweep::{Step, Why};

/// A sweep.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) dry_run: bool,
    /// RFC 3339, UTC.
    at: String,
    containers: usize,
    /// Why idle GPUs were not looked for.
    idle_unknown: Option<String>,
    pub(crate) steps: Vec<Entry>,
    /// Containers that the engine could not tell of.
    unreadable: Vec<Unreadable>,
}

#[derive(Debug, Serialize)]
struct Unreadable {
    container: String,
    error: String,
}

/// A step.
#[derive(Debug, Serialize)]
pub(crate) struct Entry {
    /// `warn`, `stop`, `remove`, `spare`.
    step: &'static str,
    id: String,
    pub(crate) container: String,
    owner: Option<String>,
    group: Option<String>,
    /// `longest_run`, `idle`, `stopped`, `never_started`.
    rule: Option<&'static str>,
    /// Since when the rule counts, RFC 3339, UTC.
    since: Option<String>,
    limit_seconds: Option<u64>,
    /// When it is stopped or removed, RFC 3339, UTC.
    due: Option<String>,
    /// `planned`, `done`, `changed` and `gone` (by somebody else meanwhile), `failed`.
    outcome: &'static str,
    /// For people, a line.
    text: String,
    /// What its owner can do.
    advice: Option<String>,
    /// Why `--notify` told nobody of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) untold: Option<String>,
    #[serde(skip)]
    quiet: bool,
}

impl Entry {
    pub(crate) fn new(step: &Step, outcome: Outcome, now: i64) -> Self {
        let (word, due) = match step {
            Step::Warn(due) => ("warn", Some(due)),
            Step::Stop(due) => ("stop", Some(due)),
            Step::Remove(due) => ("remove", Some(due)),
            Step::Spare { .. } => ("spare", None),
        };
        let (id, container) = match (step, due) {
            (Step::Spare { id, name, .. }, _) => (id.clone(), name.clone()),
            (_, due) => due.map(|due| (due.id.clone(), due.name.clone())).unwrap_or_default(),
        };
        Self {
            step: word,
            id,
            container,
            owner: due.map(|due| due.owner.to_string()),
            group: due.map(|due| due.group.clone()),
            rule: due.map(|due| due.rule.key()),
            since: due.map(|due| words::moment(due.since)),
            limit_seconds: due.map(|due| due.limit.as_secs()),
            due: due.map(|due| words::moment(due.at)),
            text: words::line(step, &outcome, now),
            outcome: match outcome {
                Outcome::Planned => "planned",
                Outcome::Ended(End::Done) => "done",
                Outcome::Ended(End::Changed) => "changed",
                Outcome::Ended(End::Gone) => "gone",
                Outcome::Failed(_) => "failed",
            },
            advice: words::advice(step),
            untold: None,
            quiet: matches!(step, Step::Spare { why, .. } if is_usual(why)),
        }
    }

    pub(crate) fn line(&self) -> &str {
        &self.text
    }

    /// Nothing that people must know at every sweep.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Something that its owner is to be told.
    pub(crate) fn is_news(&self) -> bool {
        self.step != "spare" && self.outcome == "done"
    }
}

fn is_usual(why: &Why) -> bool {
    matches!(why, Why::NotOurs | Why::Protected | Why::Exempt { .. })
}

impl Report {
    pub(crate) fn new(looked: &Looked, dry_run: bool) -> Self {
        let unreadable = looked.unreadable.iter();
        let unreadable = unreadable
            .map(|(container, error)| Unreadable { container: container.clone(), error: error.clone() });
        Self {
            dry_run,
            at: words::moment(looked.at),
            containers: looked.watched.len(),
            idle_unknown: looked.idle_unknown.clone(),
            steps: Vec::new(),
            unreadable: unreadable.collect(),
        }
    }

    /// Something could not be done, told, or be known.
    pub(crate) fn failed(&self) -> bool {
        let failed = |entry: &Entry| entry.outcome == "failed" || entry.untold.is_some();
        !self.unreadable.is_empty() || self.steps.iter().any(failed)
    }

    /// The last lines.
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        for Unreadable { container, error } in &self.unreadable {
            text += &format!("{container}: left alone: {error}\n");
        }
        if let Some(why) = &self.idle_unknown {
            text += &format!("idle GPUs are not looked for: {why}\n");
        }
        let count = |step: &str| {
            let of = self.steps.iter().filter(|entry| entry.step == step);
            of.filter(|entry| matches!(entry.outcome, "done" | "planned")).count()
        };
        let mut counts = vec![
            format!("{} warned", count("warn")),
            format!("{} stopped", count("stop")),
            format!("{} removed", count("remove")),
        ];
        let failed = self.steps.iter().filter(|entry| entry.outcome == "failed").count();
        if failed > 0 {
            counts.push(format!("{failed} failed"));
        }
        let untold = self.steps.iter().filter(|entry| entry.untold.is_some()).count();
        if untold > 0 {
            counts.push(format!("{untold} of which nobody was notified"));
        }
        let only = if self.dry_run { " (nothing was done)" } else { "" };
        text + &format!("{} containers: {}{only}\n", self.containers, counts.join(", "))
    }
}
