//! Which rules hold for a container, and what is done about it. Pure.
//!
//! A rule counts from a moment (`since`) and allows a time (`limit`). So long
//! before it is over (`lead`) people are warned, and the warning is kept; only
//! a later sweep acts, at the time that the warning named. Where the warning came late,
//! the rest comes as much later.

use std::time::Duration;

use super::state::{ContainerRecord, SweepState, Warning};
use super::{
    Activity, Deadline, Exemption, Inspection, Lifetime, Observation, Rule, RunTimes, SkipReason, Step, Whom,
};
use crate::engine::{Container, ContainerState};
use crate::model::labels::GROUP;
use crate::model::labels::read::{self, LoginOfUid, OwnerName};
use crate::model::names::Login;

/// No group can have containers removed before: a deployment may still be
/// under way.
const LEAST_NEVER_STARTED: Duration = Duration::from_secs(10 * 60);

/// The lifetime of an owner's containers in the group that a container's
/// label names, and that group's name; `None`: no such group is known.
pub(crate) type Lifetimes<'a> = &'a dyn Fn(&Login, Option<&str>) -> Option<(String, Lifetime)>;

/// What a sweep goes by.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'a> {
    pub(crate) lifetimes: Lifetimes<'a>,
    pub(crate) exemptions: &'a [Exemption],
    pub(crate) users: LoginOfUid<'a>,
    /// How often sweeps are, in seconds. After twice as long without one,
    /// nobody knows what GPUs did meanwhile.
    pub(crate) every: i64,
}

/// A container that rules apply to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    pub(crate) owner: Login,
    pub(crate) group: String,
    pub(crate) lifetime: Lifetime,
}

/// Whether rules apply to a container.
///
/// # Errors
/// Why none does.
pub(crate) fn policy(container: &Container, rules: &Rules<'_>) -> Result<Policy, SkipReason> {
    if !container.is_managed() {
        return Err(SkipReason::NotOurs);
    }
    if container.is_protected() {
        return Err(SkipReason::Protected);
    }
    let owner = match container.owner(rules.users).ok_or(SkipReason::NoOwner)? {
        OwnerName::Login(login) => login,
        // A login has no blank: nothing that is written for a person means it.
        uid @ OwnerName::Uid(_) => Login::new(uid.to_string()),
    };
    let group = read::text(&container.labels, &GROUP);
    let (group, lifetime) =
        (rules.lifetimes)(&owner, group).ok_or_else(|| SkipReason::UnknownGroup(group.map(str::to_owned)))?;
    Ok(Policy { owner, group, lifetime })
}

/// The exemption of a container from a rule that holds for longest.
pub(crate) fn exemption<'a>(
    rules: &Rules<'a>,
    container: &Container,
    owner: &Login,
    rule: Rule,
    now: i64,
) -> Option<&'a Exemption> {
    let means = |whom: &Whom| match whom {
        Whom::User(login) => login == owner,
        Whom::Container(name) => *name == container.name || name == container.short_name(),
    };
    let holds = |one: &&Exemption| {
        one.from.contains(&rule) && one.until.is_none_or(|until| now < until) && means(&one.whom)
    };
    rules.exemptions.iter().filter(holds).max_by_key(|one| one.until.unwrap_or(i64::MAX))
}

/// A rule that applies to a container now.
struct ActiveRule {
    rule: Rule,
    since: i64,
    limit: Duration,
}

impl ActiveRule {
    fn over(&self) -> i64 {
        self.since.saturating_add(seconds(self.limit))
    }
}

/// So many seconds before the end of a rule's time people are warned: the
/// warning time, but not before half of the time is over, or they would be
/// warned of every pause.
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
pub(crate) fn is_worth_inspecting(
    container: &Container,
    activity: &Activity,
    policy: &Policy,
    now: i64,
) -> bool {
    let lifetime = &policy.lifetime;
    let idle = lifetime.idle.filter(|_| activity.is_idle(lifetime.idle_below));
    let limits = match container.state {
        state if state.is_running() => [lifetime.longest_run, idle],
        state if is_stopped(state) => [lifetime.stopped, None],
        _ => return false,
    };
    let may = |limit: Duration| {
        let active = ActiveRule { rule: Rule::Stopped, since: container.created, limit };
        now >= active.over() - lead(limit, lifetime.warning)
    };
    limits.into_iter().flatten().any(may)
}

/// What is done now, and what the next sweep has to know.
pub(crate) fn decide(
    observations: &[Observation],
    earlier: &SweepState,
    rules: &Rules<'_>,
    now: i64,
) -> (Vec<Step>, SweepState) {
    let fresh = earlier.is_fresh(rules.every, now);
    let (mut steps, mut next) = (Vec::new(), SweepState::begun(now));
    for observation in observations {
        let container = &observation.container;
        match policy(container, rules) {
            Ok(policy) => {
                let before = earlier.containers.get(&container.id);
                let decision = Decision { observation, policy, rules, now };
                let (own, record) = decision.decide(before, fresh);
                steps.extend(own);
                next.containers.insert(container.id.clone(), record);
            }
            Err(why) => steps.push(spare(container, why)),
        }
    }
    (steps, next)
}

fn spare(container: &Container, why: SkipReason) -> Step {
    Step::Spare { id: container.id.clone(), name: container.name.clone(), why }
}

/// The decision about one container that rules apply to.
struct Decision<'a> {
    observation: &'a Observation,
    policy: Policy,
    rules: &'a Rules<'a>,
    now: i64,
}

impl Decision<'_> {
    fn decide(&self, before: Option<&ContainerRecord>, fresh: bool) -> (Vec<Step>, ContainerRecord) {
        let container = &self.observation.container;
        let times = self.times();
        let busy = self.busy(&times, before.and_then(|before| before.busy), fresh);
        let mut record = ContainerRecord { name: container.name.clone(), busy, ..ContainerRecord::default() };
        if self.observation.times == Inspection::Failed {
            // Nothing is known anew: earlier warnings hold.
            record.warnings = before.map(|before| before.warnings.clone()).unwrap_or_default();
            record.busy = record.busy.map(|_| self.now);
            return (Vec::new(), record);
        }
        let Some(active_rules) = self.active_rules(&times, busy) else {
            return (vec![spare(container, SkipReason::NoTimes)], record);
        };
        let (mut acts, mut rest): (Vec<Deadline>, Vec<Step>) = (Vec::new(), Vec::new());
        for active in active_rules {
            let owner = &self.policy.owner;
            if let Some(exempt) = exemption(self.rules, container, owner, active.rule, self.now) {
                rest.push(spare(container, SkipReason::Exempt { rule: active.rule, until: exempt.until }));
                continue;
            }
            let warning = before.and_then(|before| before.warning(active.rule));
            // A clock that was set back makes a warning one of the future.
            let warning = warning.filter(|warning| warning.since == active.since && warning.at <= self.now);
            let Some((warning, is_new)) = self.warning(&active, warning) else { continue };
            let due = self.deadline(&active, warning.due, &times);
            record.warnings.insert(active.rule.key().to_owned(), warning);
            if is_new {
                rest.push(Step::Warn(due));
            } else if self.now >= warning.due {
                acts.push(due);
            }
        }
        match acts.into_iter().min_by_key(|due| due.at) {
            // It ends now: warnings of other rules would say nothing new.
            Some(due) => match due.rule {
                Rule::LongestRun | Rule::Idle => (vec![Step::Stop(due)], record),
                Rule::Stopped | Rule::NeverStarted => (vec![Step::Remove(due)], record),
            },
            None => (rest, record),
        }
    }

    /// The warning about a rule that holds after this sweep, and whether it is
    /// given by this one. `None`: there is time yet.
    fn warning(&self, active: &ActiveRule, earlier: Option<Warning>) -> Option<(Warning, bool)> {
        let lead = lead(active.limit, self.policy.lifetime.warning);
        if self.now < active.over().saturating_sub(lead) {
            return None;
        }
        // Limits that were changed since may put it off, and never bring it forward.
        Some(match earlier {
            Some(earlier) => (Warning { due: earlier.due.max(active.over()), ..earlier }, false),
            None => {
                let due = active.over().max(self.now.saturating_add(lead));
                (Warning { at: self.now, since: active.since, due }, true)
            }
        })
    }

    fn deadline(&self, active: &ActiveRule, at: i64, times: &RunTimes) -> Deadline {
        let container = &self.observation.container;
        Deadline {
            id: container.id.clone(),
            name: container.name.clone(),
            owner: self.policy.owner.clone(),
            group: self.policy.group.clone(),
            rule: active.rule,
            since: active.since,
            limit: active.limit,
            at,
            times: *times,
        }
    }

    fn times(&self) -> RunTimes {
        match &self.observation.times {
            Inspection::Read(times) => *times,
            Inspection::Skipped | Inspection::Failed => {
                RunTimes { state: self.observation.container.state, ..RunTimes::default() }
            }
        }
    }

    /// When its GPUs were busy last. At the first sweep, and after a time
    /// without sweeps, that is now.
    fn busy(&self, times: &RunTimes, before: Option<i64>, fresh: bool) -> Option<i64> {
        let activity = &self.observation.activity;
        if !times.state.is_running() || *activity == Activity::NoGpu {
            return None;
        }
        let idle = fresh && activity.is_idle(self.policy.lifetime.idle_below);
        let last = before.filter(|last| idle && *last <= self.now).unwrap_or(self.now);
        Some(times.started.map_or(last, |started| last.max(started.min(self.now))))
    }

    /// The rules that apply to it as it is; `None`: since when is not known.
    fn active_rules(&self, times: &RunTimes, busy: Option<i64>) -> Option<Vec<ActiveRule>> {
        let lifetime = &self.policy.lifetime;
        let active =
            |rule, since, limit: Option<Duration>| limit.map(|limit| ActiveRule { rule, since, limit });
        let state = times.state;
        let active_rules = if state == ContainerState::Created {
            let limit = lifetime.never_started.map(|limit| limit.max(LEAST_NEVER_STARTED));
            [active(Rule::NeverStarted, self.observation.container.created, limit), None]
        } else if self.observation.times == Inspection::Skipped {
            [None, None]
        } else if state.is_running() {
            let idle = lifetime.idle.filter(|_| self.observation.activity.is_idle(lifetime.idle_below));
            let idle = busy.and_then(|busy| active(Rule::Idle, busy, idle));
            [active(Rule::LongestRun, times.started?, lifetime.longest_run), idle]
        } else if is_stopped(state) {
            [active(Rule::Stopped, times.finished?, lifetime.stopped), None]
        } else {
            [None, None]
        };
        Some(active_rules.into_iter().flatten().collect())
    }
}
