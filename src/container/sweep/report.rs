//! What a sweep reports: lines for a journal, JSON for programs, and the notices
//! of a list. A step as JSON is also what `--notify` gets. Pure: times are
//! spans, since a reader's time zone is not known here.

use std::collections::BTreeMap;

use serde::Serialize;

use super::inspect::{SweepSnapshot, Unreadable};
use super::{ContainerRecord, Deadline, Outcome, Rule, SkipReason, Step, SweepState};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What will happen to containers, for whoever lists them: id → `stops in
/// 25 min: its GPU is idle`. Of a sweeper that has not run for a day nothing
/// is to be expected.
pub(crate) fn notices(state: &SweepState, now: i64) -> BTreeMap<String, String> {
    if state.last_sweep.is_none_or(|last| now - last > DAY) {
        return BTreeMap::new();
    }
    let notice = |(id, record): (&String, &ContainerRecord)| {
        let warnings = Rule::ALL.into_iter().filter_map(|rule| Some((rule, record.warning(rule)?)));
        let (rule, warning) = warnings.min_by_key(|(_, warning)| warning.due)?;
        Some((
            id.clone(),
            format!("{}: {}", will(rule, warning.due - now), reason(rule, now - warning.since)),
        ))
    };
    state.containers.iter().filter_map(notice).collect()
}

fn will(rule: Rule, seconds: i64) -> String {
    let what = match rule {
        Rule::LongestRun | Rule::Idle => "stops",
        Rule::Stopped | Rule::NeverStarted => "is removed",
    };
    match seconds {
        ..=0 => format!("{what} at the next sweep"),
        _ => format!("{what} in {}", span(seconds)),
    }
}

fn reason(rule: Rule, seconds: i64) -> String {
    let span = span(seconds);
    match rule {
        Rule::LongestRun => format!("it has run for {span}"),
        Rule::Idle => format!("its GPU has been idle for {span}"),
        Rule::Stopped => format!("it has been stopped for {span}"),
        Rule::NeverStarted => format!("it was never started in {span}"),
    }
}

/// A step and what became of it, as a line: `thesis._.1001 (ann): stops in
/// 30 min: it has run for 23 h 30 min (limit 1 d)`.
pub(crate) fn line(step: &Step, outcome: &Outcome, now: i64) -> String {
    let due = match step {
        Step::Spare { name, why, .. } => return format!("{name}: left alone: {why}"),
        Step::Warn(due) | Step::Stop(due) | Step::Remove(due) => due,
    };
    let (who, because) = (format!("{} ({})", due.name, due.owner), because(due, now));
    let (act, done) = match step {
        Step::Stop(_) => ("stop", "stopped"),
        _ => ("remove", "removed"),
    };
    match (step, outcome) {
        (Step::Warn(_), _) => {
            let advice = advice(step).map(|advice| format!("; {advice}")).unwrap_or_default();
            format!("{who}: {}: {because}{advice}", will(due.rule, due.at - now))
        }
        (_, Outcome::Planned) => format!("{who}: would be {done}: {because}"),
        (_, Outcome::Done) => format!("{who}: {done}: {because}"),
        (_, Outcome::Changed) => format!("{who}: not {done}: it changed since it was looked at"),
        (_, Outcome::Gone) => format!("{who}: not {done}: somebody removed it"),
        (_, Outcome::Failed(why)) => format!("{who}: did not {act}: {why}"),
    }
}

fn because(due: &Deadline, now: i64) -> String {
    let limit = span(i64::try_from(due.limit.as_secs()).unwrap_or(i64::MAX));
    format!("{} (limit {limit})", reason(due.rule, now - due.since))
}

/// What its owner can do; `None`: nothing any more.
pub(crate) fn advice(step: &Step) -> Option<String> {
    let Step::Warn(due) = step else { return None };
    let name = &due.name;
    Some(match due.rule {
        Rule::LongestRun => format!("save your work; `ds01-build container start {name}` starts it again"),
        Rule::Idle => format!(
            "compute on it, or give it back: `ds01-build container stop {name}`, `ds01-build container retire {name}`"
        ),
        Rule::Stopped => format!(
            "its files are lost then, but for those in mounted folders: `ds01-build container start {name}` \
             uses it again, `ds01-build container retire {name} --save` keeps them in an image"
        ),
        Rule::NeverStarted => format!("`ds01-build container start {name}` starts it"),
    })
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotOurs => f.write_str("not made by ds01-build"),
            Self::Protected => f.write_str("protected"),
            Self::NoOwner => f.write_str("nothing says whose it is"),
            Self::UnknownGroup(Some(group)) => write!(f, "its group `{group}` is not in the spec"),
            Self::UnknownGroup(None) => f.write_str("nothing says which group's limits are its own"),
            Self::Exempt { rule, until: None } => write!(f, "exempt from {}", rule.key()),
            Self::Exempt { rule, until: Some(until) } => {
                write!(f, "exempt from {} until {}", rule.key(), moment(*until))
            }
            Self::NoTimes => f.write_str("the engine does not say since when it is what it is"),
        }
    }
}

/// A time for programs and for people far away, in UTC.
pub(crate) fn moment(seconds: i64) -> String {
    let out_of_range = |_| seconds.to_string();
    jiff::Timestamp::from_second(seconds).map_or_else(out_of_range, |time| time.to_string())
}

/// `45 s`, `30 min`, `1 h 30 min`, `2 d 4 h`; rounded down.
pub(crate) fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let two = |size: i64, unit: &str, next: i64, small: &str| {
        let (whole, rest) = (seconds / size, seconds % size / next);
        if rest == 0 { format!("{whole} {unit}") } else { format!("{whole} {unit} {rest} {small}") }
    };
    match seconds {
        ..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => two(HOUR, "h", MINUTE, "min"),
        _ => two(DAY, "d", HOUR, "h"),
    }
}

/// A sweep.
#[derive(Debug, Serialize)]
pub(crate) struct SweepReport {
    pub(crate) dry_run: bool,
    /// RFC 3339, UTC.
    at: String,
    /// The same, since 1970.
    #[serde(skip)]
    pub(crate) seconds: i64,
    containers: usize,
    /// Why idle GPUs were not looked for.
    idle_unknown: Option<String>,
    pub(crate) steps: Vec<StepReport>,
    /// Containers that the engine could not describe.
    unreadable: Vec<Unreadable>,
}

/// A step.
#[derive(Debug, Serialize)]
pub(crate) struct StepReport {
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
    pub(crate) text: String,
    /// What its owner can do.
    advice: Option<String>,
    /// Why `--notify` notified nobody of it.
    #[serde(rename = "untold", skip_serializing_if = "Option::is_none")]
    pub(crate) notify_error: Option<String>,
    /// Nothing that people must know at every sweep.
    #[serde(skip)]
    pub(crate) quiet: bool,
}

impl StepReport {
    pub(crate) fn new(step: &Step, outcome: Outcome, now: i64) -> Self {
        let (word, id, name, due) = match step {
            Step::Warn(due) => ("warn", &due.id, &due.name, Some(due)),
            Step::Stop(due) => ("stop", &due.id, &due.name, Some(due)),
            Step::Remove(due) => ("remove", &due.id, &due.name, Some(due)),
            Step::Spare { id, name, .. } => ("spare", id, name, None),
        };
        Self {
            step: word,
            id: id.clone(),
            container: name.clone(),
            owner: due.map(|due| due.owner.to_string()),
            group: due.map(|due| due.group.clone()),
            rule: due.map(|due| due.rule.key()),
            since: due.map(|due| moment(due.since)),
            limit_seconds: due.map(|due| due.limit.as_secs()),
            due: due.map(|due| moment(due.at)),
            text: line(step, &outcome, now),
            outcome: match outcome {
                Outcome::Planned => "planned",
                Outcome::Done => "done",
                Outcome::Changed => "changed",
                Outcome::Gone => "gone",
                Outcome::Failed(_) => "failed",
            },
            advice: advice(step),
            notify_error: None,
            quiet: matches!(
                step,
                Step::Spare {
                    why: SkipReason::NotOurs | SkipReason::Protected | SkipReason::Exempt { .. },
                    ..
                }
            ),
        }
    }

    /// Something that its owner is to be notified of.
    pub(crate) fn is_news(&self) -> bool {
        self.step != "spare" && self.outcome == "done"
    }
}

impl SweepReport {
    pub(crate) fn new(snapshot: &SweepSnapshot, dry_run: bool) -> Self {
        Self {
            dry_run,
            at: moment(snapshot.at),
            seconds: snapshot.at,
            containers: snapshot.observations.len(),
            idle_unknown: snapshot.no_driver.as_ref().map(|driver| driver.describe().0),
            steps: Vec::new(),
            unreadable: snapshot.unreadable.clone(),
        }
    }

    /// Something could not be done, notified of, or read.
    pub(crate) fn failed(&self) -> bool {
        let failed = |step: &StepReport| step.outcome == "failed" || step.notify_error.is_some();
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
        let count = |word: &str| {
            let of = self.steps.iter().filter(|step| step.step == word);
            of.filter(|step| matches!(step.outcome, "done" | "planned")).count()
        };
        let mut counts = vec![
            format!("{} warned", count("warn")),
            format!("{} stopped", count("stop")),
            format!("{} removed", count("remove")),
        ];
        let failed = self.steps.iter().filter(|step| step.outcome == "failed").count();
        if failed > 0 {
            counts.push(format!("{failed} failed"));
        }
        let unnotified = self.steps.iter().filter(|step| step.notify_error.is_some()).count();
        if unnotified > 0 {
            counts.push(format!("{unnotified} of which nobody was notified"));
        }
        let only = if self.dry_run { " (nothing was done)" } else { "" };
        text + &format!("{} containers: {}{only}\n", self.containers, counts.join(", "))
    }
}
