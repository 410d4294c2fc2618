//! What a sweep says, in words. Pure: times are spans, since a reader's time
//! zone is not known here.

use std::collections::BTreeMap;

use super::act::End;
use super::{Due, Kept, Rule, State, Step, Why};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What will happen to containers, for whoever lists them: id → `stops in
/// 25 min: its GPU is idle`. Of a sweeper that has not run for a day nothing
/// is to be expected.
pub(crate) fn notices(state: &State, now: i64) -> BTreeMap<String, String> {
    if state.looked.is_none_or(|looked| now - looked > DAY) {
        return BTreeMap::new();
    }
    let notice = |(id, kept): (&String, &Kept)| {
        let told = Rule::ALL.into_iter().filter_map(|rule| Some((rule, kept.told(rule)?)));
        let (rule, told) = told.min_by_key(|(_, told)| told.due)?;
        Some((id.clone(), format!("{}: {}", will(rule, told.due - now), reason(rule, now - told.since))))
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

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing: it is only shown.
    Planned,
    Ended(End),
    Failed(String),
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
        (_, Outcome::Ended(End::Done)) => format!("{who}: {done}: {because}"),
        (_, Outcome::Ended(End::Changed)) => format!("{who}: not {done}: it changed since it was looked at"),
        (_, Outcome::Ended(End::Gone)) => format!("{who}: not {done}: somebody removed it"),
        (_, Outcome::Failed(why)) => format!("{who}: did not {act}: {why}"),
    }
}

fn because(due: &Due, now: i64) -> String {
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

impl std::fmt::Display for Why {
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
