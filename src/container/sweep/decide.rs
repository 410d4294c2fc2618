//! What is done about each container. Pure.
//!
//! A rule counts from a moment (`since`) and allows a time (`limit`). So long
//! before it is over (`lead`) people are told, and what was told is kept; only
//! a later sweep acts, at the time that was told. Where the warning came late,
//! the rest comes as much later.

use std::time::Duration;

use super::rules::{Rules, Subject, exemption, subject};
use super::state::{Kept, State, Told};
use super::{Activity, Asked, Due, Rule, Step, Times, Watched, Why};
use crate::engine::{Container, ContainerState};

/// No group can have containers removed before: a deployment may still be
/// under way.
const LEAST_NEVER_STARTED: Duration = Duration::from_secs(10 * 60);

/// What a rule makes of a container that is what it is.
enum Fate {
    Stopped,
    Removed,
}

/// A rule that applies to a container now.
struct Clock {
    rule: Rule,
    since: i64,
    limit: Duration,
}

impl Clock {
    fn over(&self) -> i64 {
        self.since.saturating_add(seconds(self.limit))
    }
}

fn fate(rule: Rule) -> Fate {
    match rule {
        Rule::LongestRun | Rule::Idle => Fate::Stopped,
        Rule::Stopped | Rule::NeverStarted => Fate::Removed,
    }
}

/// So many seconds before the end of a rule's time people are told: the
/// warning time, but not before half of the time is over, or they would be
/// told of every pause.
pub(super) fn lead(limit: Duration, warning: Duration) -> i64 {
    let half = seconds(limit).saturating_add(1) / 2;
    seconds(warning).min(half).max(1)
}

fn seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

fn is_stopped(state: ContainerState) -> bool {
    matches!(state, ContainerState::Exited | ContainerState::Dead)
}

/// Whether something may be due, so that the engine is to be asked about the
/// container by itself. By the time of its creation: nothing began before.
pub(crate) fn is_worth_asking(
    container: &Container,
    activity: &Activity,
    subject: &Subject,
    now: i64,
) -> bool {
    let lifetime = &subject.lifetime;
    let idle = lifetime.idle.filter(|_| activity.is_idle(lifetime.idle_below));
    let limits = match container.state {
        state if state.is_running() => [lifetime.longest_run, idle],
        state if is_stopped(state) => [lifetime.stopped, None],
        _ => return false,
    };
    let may = |limit: Duration| {
        let clock = Clock { rule: Rule::Stopped, since: container.created, limit };
        now >= clock.over() - lead(limit, lifetime.warning)
    };
    limits.into_iter().flatten().any(may)
}

/// What is done now, and what the next sweep has to know.
pub(crate) fn decide(seen: &[Watched], earlier: &State, rules: &Rules<'_>, now: i64) -> (Vec<Step>, State) {
    let fresh = earlier.is_fresh(rules.every, now);
    let (mut steps, mut next) = (Vec::new(), State::looked_at(now));
    for watched in seen {
        let container = &watched.container;
        match subject(container, rules) {
            Ok(subject) => {
                let before = earlier.containers.get(&container.id);
                let one = One { watched, subject, rules, now };
                let (own, kept) = one.decide(before, fresh);
                steps.extend(own);
                next.containers.insert(container.id.clone(), kept);
            }
            Err(why) => steps.push(spare(container, why)),
        }
    }
    (steps, next)
}

fn spare(container: &Container, why: Why) -> Step {
    Step::Spare { id: container.id.clone(), name: container.name.clone(), why }
}

/// One container that rules apply to.
struct One<'a> {
    watched: &'a Watched,
    subject: Subject,
    rules: &'a Rules<'a>,
    now: i64,
}

impl One<'_> {
    fn decide(&self, before: Option<&Kept>, fresh: bool) -> (Vec<Step>, Kept) {
        let container = &self.watched.container;
        let times = self.times();
        let busy = self.busy(&times, before.and_then(|before| before.busy), fresh);
        let mut kept = Kept { name: container.name.clone(), busy, ..Kept::default() };
        if self.watched.times == Asked::InVain {
            // Nothing is known anew: what was told stands.
            kept.told = before.map(|before| before.told.clone()).unwrap_or_default();
            kept.busy = kept.busy.map(|_| self.now);
            return (Vec::new(), kept);
        }
        let Some(clocks) = self.clocks(&times, busy) else {
            return (vec![spare(container, Why::NoTimes)], kept);
        };
        let (mut acts, mut rest): (Vec<Due>, Vec<Step>) = (Vec::new(), Vec::new());
        for clock in clocks {
            let owner = &self.subject.owner;
            if let Some(exempt) = exemption(self.rules, container, owner, clock.rule, self.now) {
                rest.push(spare(container, Why::Exempt { rule: clock.rule, until: exempt.until }));
                continue;
            }
            let told = before.and_then(|before| before.told(clock.rule));
            // A clock that was set back makes a warning one of the future.
            let told = told.filter(|told| told.since == clock.since && told.at <= self.now);
            let Some((told, is_new)) = self.tell(&clock, told) else { continue };
            let due = self.due(&clock, told.due, &times);
            kept.told.insert(clock.rule.key().to_owned(), told);
            if is_new {
                rest.push(Step::Warn(due));
            } else if self.now >= told.due {
                acts.push(due);
            }
        }
        match acts.into_iter().min_by_key(|due| due.at) {
            // It ends now: warnings of other rules would tell nothing.
            Some(due) => match fate(due.rule) {
                Fate::Stopped => (vec![Step::Stop(due)], kept),
                Fate::Removed => (vec![Step::Remove(due)], kept),
            },
            None => (rest, kept),
        }
    }

    /// What stands told about a rule after this sweep, and whether it is told
    /// by this one. `None`: there is time yet.
    fn tell(&self, clock: &Clock, told: Option<Told>) -> Option<(Told, bool)> {
        let lead = lead(clock.limit, self.subject.lifetime.warning);
        if self.now < clock.over().saturating_sub(lead) {
            return None;
        }
        // Limits that were changed since may put it off, and never bring it forward.
        Some(match told {
            Some(told) => (Told { due: told.due.max(clock.over()), ..told }, false),
            None => {
                let due = clock.over().max(self.now.saturating_add(lead));
                (Told { at: self.now, since: clock.since, due }, true)
            }
        })
    }

    fn due(&self, clock: &Clock, at: i64, times: &Times) -> Due {
        let container = &self.watched.container;
        Due {
            id: container.id.clone(),
            name: container.name.clone(),
            owner: self.subject.owner.clone(),
            group: self.subject.group.clone(),
            rule: clock.rule,
            since: clock.since,
            limit: clock.limit,
            at,
            times: times.clone(),
        }
    }

    fn times(&self) -> Times {
        match &self.watched.times {
            Asked::Answered(times) => times.clone(),
            Asked::No | Asked::InVain => Times { state: self.watched.container.state, ..Times::default() },
        }
    }

    /// When its GPUs were busy last. At the first look, and after a time in
    /// which nobody looked, that is now.
    fn busy(&self, times: &Times, before: Option<i64>, fresh: bool) -> Option<i64> {
        let activity = &self.watched.activity;
        if !times.state.is_running() || *activity == Activity::NoGpu {
            return None;
        }
        let idle = fresh && activity.is_idle(self.subject.lifetime.idle_below);
        let last = before.filter(|last| idle && *last <= self.now).unwrap_or(self.now);
        Some(times.started.map_or(last, |started| last.max(started.min(self.now))))
    }

    /// The rules that apply to it as it is; `None`: since when is not known.
    fn clocks(&self, times: &Times, busy: Option<i64>) -> Option<Vec<Clock>> {
        let lifetime = &self.subject.lifetime;
        let clock = |rule, since, limit: Option<Duration>| limit.map(|limit| Clock { rule, since, limit });
        let state = times.state;
        let clocks = if state == ContainerState::Created {
            let limit = lifetime.never_started.map(|limit| limit.max(LEAST_NEVER_STARTED));
            [clock(Rule::NeverStarted, self.watched.container.created, limit), None]
        } else if self.watched.times == Asked::No {
            [None, None]
        } else if state.is_running() {
            let idle = lifetime.idle.filter(|_| self.watched.activity.is_idle(lifetime.idle_below));
            let idle = busy.and_then(|busy| clock(Rule::Idle, busy, idle));
            [clock(Rule::LongestRun, times.started?, lifetime.longest_run), idle]
        } else if is_stopped(state) {
            [clock(Rule::Stopped, times.finished?, lifetime.stopped), None]
        } else {
            [None, None]
        };
        Some(clocks.into_iter().flatten().collect())
    }
}
