//! Rules by tables, on times that begin at zero.

mod laws;
mod looks;

use std::collections::{BTreeMap, BTreeSet};

use super::decide::Policy;
use super::report;
use super::*;
use crate::engine::Engine;
use crate::engine::fake::FakeEngine;
use crate::model::names::ImageId;

pub(crate) const MINUTE: i64 = 60;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

pub(crate) fn span(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

/// The lifetime that tests have, unless they say otherwise.
pub(crate) fn student() -> Lifetime {
    Lifetime {
        longest_run: Some(span(DAY)),
        idle: Some(span(HOUR)),
        idle_below: 5,
        stopped: Some(span(7 * DAY)),
        never_started: Some(span(HOUR)),
        warning: span(30 * MINUTE),
    }
}

pub(crate) fn container(name: &str, state: &str, created: i64, labels: Labels<'_>) -> Container {
    Container {
        id: format!("{name:0<64}"),
        name: name.into(),
        image: "x".into(),
        image_id: ImageId::new("sha256:1"),
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        state: state.into(),
        status: String::new(),
        created,
    }
}

type Labels<'a> = &'a [(&'a str, &'a str)];

pub(crate) const OURS: [(&str, &str); 3] =
    [("ds01.managed", "true"), ("ds01.user", "ann"), ("ds01.group", "student")];

pub(crate) const IDLE: Activity = Activity::Read { percent: Some(1), computing: false };
pub(crate) const BUSY: Activity = Activity::Read { percent: Some(93), computing: true };

/// One of ann's, in this state since a time.
fn seen(state: &str, since: i64, activity: Activity) -> Observation {
    let times = match state {
        "created" => {
            return watched(container("thesis._.1001", state, since, &OURS), Inspection::Skipped, activity);
        }
        "exited" | "dead" => RunTimes { state: state.into(), started: Some(0), finished: Some(since) },
        _ => RunTimes { state: state.into(), started: Some(since), finished: None },
    };
    watched(container("thesis._.1001", state, 0, &OURS), Inspection::Read(times), activity)
}

pub(crate) fn watched(container: Container, times: Inspection, activity: Activity) -> Observation {
    Observation { container, times, activity }
}

/// Sweeps one after the other, each knowing what the last one kept.
struct Sweeps {
    lifetime: Lifetime,
    exemptions: Vec<Exemption>,
    state: SweepState,
}

impl Sweeps {
    fn new() -> Self {
        Self { lifetime: student(), exemptions: Vec::new(), state: SweepState::default() }
    }

    fn all(&mut self, seen: &[Observation], now: i64) -> Vec<Step> {
        let lifetime = self.lifetime;
        let lifetimes = move |_: &Login, group: Option<&str>| {
            group.filter(|group| *group == "student").map(|group| (group.to_owned(), lifetime))
        };
        let rules = Rules {
            lifetimes: &lifetimes,
            exemptions: &self.exemptions,
            users: &|uid| (uid == 1001).then(|| Login::new("ann")),
            every: 5 * MINUTE,
        };
        let (steps, state) = decide(seen, &self.state, &rules, now);
        self.state = state;
        steps
    }

    /// What is done about one container, in a word: `warn idle 3600`.
    fn one(&mut self, seen: &Observation, now: i64) -> String {
        let steps = self.all(std::slice::from_ref(seen), now);
        steps.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    /// One look every five minutes at what stays as it is; what was done, with when.
    fn through(&mut self, seen: &Observation, from: i64, to: i64) -> Vec<(i64, String)> {
        let times = (from..=to).step_by(5 * 60);
        times.map(|now| (now, self.one(seen, now))).filter(|(_, word)| !word.is_empty()).collect()
    }
}

fn word(step: &Step) -> String {
    match step {
        Step::Warn(due) => format!("warn {} {}", due.rule.key(), due.at),
        Step::Stop(due) => format!("stop {}", due.rule.key()),
        Step::Remove(due) => format!("remove {}", due.rule.key()),
        Step::Spare { why, .. } => format!("spare: {why}"),
    }
}

fn done(list: &[(i64, &str)]) -> Vec<(i64, String)> {
    list.iter().map(|(at, word)| (*at, (*word).to_owned())).collect()
}

#[test]
fn a_long_run_is_warned_of_once_and_stopped_when_it_was_said() {
    let runs = seen("running", 0, Activity::NoGpu);
    let warned = DAY - 30 * MINUTE;
    let expected = done(&[(warned, &format!("warn longest_run {DAY}")), (DAY, "stop longest_run")]);
    assert_eq!(Sweeps::new().through(&runs, 0, DAY), expected);
    for state in ["paused", "restarting"] {
        assert_eq!(Sweeps::new().through(&seen(state, 0, Activity::NoGpu), 0, DAY), expected, "{state}");
    }
}

#[test]
fn a_stopped_and_a_never_started_container_are_removed_after_a_warning() {
    let warned = 7 * DAY - 30 * MINUTE;
    let stopped = done(&[(warned, &format!("warn stopped {}", 7 * DAY)), (7 * DAY, "remove stopped")]);
    for state in ["exited", "dead"] {
        assert_eq!(Sweeps::new().through(&seen(state, 0, Activity::NoGpu), 0, 7 * DAY), stopped, "{state}");
    }
    let created = seen("created", 0, Activity::NoGpu);
    let never = done(&[(HOUR / 2, &format!("warn never_started {HOUR}")), (HOUR, "remove never_started")]);
    assert_eq!(Sweeps::new().through(&created, 0, HOUR), never);
    assert_eq!(Sweeps::new().through(&seen("removing", 0, Activity::NoGpu), 0, 30 * DAY), done(&[]));
}

#[test]
fn a_deployment_has_ten_minutes_whatever_the_group_says() {
    let mut sweeps = Sweeps::new();
    sweeps.lifetime.never_started = Some(Duration::from_secs(1));
    let expected = done(&[(300, "warn never_started 600"), (600, "remove never_started")]);
    assert_eq!(sweeps.through(&seen("created", 0, Activity::NoGpu), 0, 600), expected);
}

#[test]
fn a_gpu_is_idle_from_when_it_was_last_seen_busy() {
    let mut sweeps = Sweeps::new();
    sweeps.lifetime.longest_run = None;
    assert_eq!(sweeps.through(&seen("running", 0, BUSY), 0, 3 * HOUR), done(&[]));
    let idle = seen("running", 0, IDLE);
    let (warn, stop) = (3 * HOUR + HOUR / 2, 4 * HOUR);
    let expected = done(&[(warn, &format!("warn idle {stop}")), (stop, "stop idle")]);
    assert_eq!(sweeps.through(&idle, 3 * HOUR + 300, stop), expected);
    // One busy moment between warning and end voids the warning.
    let mut sweeps = Sweeps { lifetime: sweeps.lifetime, ..Sweeps::new() };
    sweeps.through(&seen("running", 0, BUSY), 0, 300);
    assert_eq!(sweeps.through(&idle, 600, HOUR).len(), 1);
    assert_eq!(sweeps.one(&seen("running", 0, BUSY), HOUR + 300), "");
    assert_eq!(sweeps.through(&idle, HOUR + 600, 2 * HOUR + 300).len(), 2, "from there on again");
}

#[test]
fn what_cannot_be_read_counts_as_busy_and_no_gpu_as_none() {
    for activity in [Activity::Unknown("lost".into()), Activity::NoGpu, BUSY] {
        let mut sweeps = Sweeps::new();
        sweeps.lifetime.longest_run = None;
        assert_eq!(sweeps.through(&seen("running", 0, activity), 0, 30 * DAY), done(&[]));
    }
    // Also where it could be read before and after.
    let mut sweeps = Sweeps::new();
    sweeps.through(&seen("running", 0, IDLE), 0, HOUR - 300);
    assert_eq!(sweeps.one(&seen("running", 0, Activity::Unknown("lost".into())), HOUR), "");
    assert_eq!(sweeps.one(&seen("running", 0, IDLE), HOUR + 300), "");
}

#[test]
fn a_mig_instance_is_idle_without_processes_and_a_gpu_below_its_percentage() {
    let read = |percent, computing| Activity::Read { percent, computing };
    for (activity, idle) in [
        (read(Some(4), false), true),
        (read(Some(5), false), false),
        (read(None, false), true),
        (read(None, true), false),
        (read(Some(0), true), false),
        (Activity::NoGpu, false),
        (Activity::Unknown(String::new()), false),
    ] {
        assert_eq!(activity.is_idle(5), idle, "{activity:?}");
    }
}

#[test]
fn a_start_begins_anew() {
    let mut sweeps = Sweeps::new();
    assert_eq!(
        sweeps.one(&seen("running", 0, Activity::NoGpu), DAY - 60),
        format!("warn longest_run {}", DAY + 1740)
    );
    assert_eq!(sweeps.one(&seen("running", DAY, Activity::NoGpu), DAY + HOUR), "", "it was started again");
    assert_eq!(sweeps.state.containers.values().next().unwrap().warnings, BTreeMap::new());
    // The GPUs of one that was just started were not idle before.
    let mut sweeps = Sweeps::new();
    sweeps.lifetime.longest_run = None;
    assert_eq!(sweeps.through(&seen("running", 0, IDLE), 0, HOUR / 2).len(), 1);
    assert_eq!(sweeps.through(&seen("running", HOUR / 2, IDLE), HOUR / 2 + 300, HOUR - 300), done(&[]));
}

#[test]
fn who_is_warned_late_has_as_much_longer() {
    // The sweeper was off when the warning was due.
    let mut sweeps = Sweeps::new();
    let runs = seen("running", 0, Activity::NoGpu);
    let late = 3 * DAY;
    assert_eq!(sweeps.one(&runs, late), format!("warn longest_run {}", late + HOUR / 2));
    assert_eq!(sweeps.one(&runs, late), "", "the same again at the same moment");
    assert_eq!(sweeps.one(&runs, late + HOUR / 2 - 1), "");
    assert_eq!(sweeps.one(&runs, late + HOUR / 2), "stop longest_run");
    assert_eq!(sweeps.one(&runs, late + HOUR / 2), "stop longest_run", "it failed, and is tried again");
}

#[test]
fn after_a_time_without_sweeps_gpus_count_as_busy_till_now() {
    let mut sweeps = Sweeps::new();
    sweeps.lifetime.longest_run = None;
    let idle = seen("running", 0, IDLE);
    assert_eq!(sweeps.through(&idle, 0, HOUR / 2).len(), 1);
    // Ten minutes are twice the interval; a second more, and nobody knows.
    let later = HOUR / 2 + 601;
    assert_eq!(sweeps.one(&idle, later), "");
    assert_eq!(sweeps.one(&idle, later + 300), "");
    assert_eq!(sweeps.state.containers.values().next().unwrap().busy, Some(later));
}

#[test]
fn a_short_limit_is_warned_of_at_its_half() {
    for (limit, warning, lead) in [
        (HOUR, HOUR / 2, HOUR / 2),
        (HOUR / 2, HOUR / 2, HOUR / 4),
        (1, 1, 1),
        (1, 0, 1),
        (DAY, 0, 1),
        (3, HOUR, 2),
        (0, HOUR, 1),
    ] {
        assert_eq!(decide::lead(span(limit), span(warning)), lead, "{limit} {warning}");
    }
    let mut sweeps = Sweeps::new();
    (sweeps.lifetime.longest_run, sweeps.lifetime.warning) = (Some(span(1)), span(1));
    let runs = seen("running", 100, Activity::NoGpu);
    assert_eq!(sweeps.one(&runs, 100), "warn longest_run 101");
    assert_eq!(sweeps.one(&runs, 102), "stop longest_run");
}

#[test]
fn limits_that_change_put_off_what_was_said_and_never_bring_it_forward() {
    let runs = seen("running", 0, Activity::NoGpu);
    let mut sweeps = Sweeps::new();
    sweeps.one(&runs, DAY - HOUR / 2);
    sweeps.lifetime.longest_run = Some(span(HOUR));
    assert_eq!(sweeps.one(&runs, DAY - 1), "", "a day was said");
    assert_eq!(sweeps.one(&runs, DAY), "stop longest_run");
    let mut sweeps = Sweeps::new();
    sweeps.one(&runs, DAY - HOUR / 2);
    sweeps.lifetime.longest_run = Some(span(DAY + 600));
    assert_eq!(sweeps.one(&runs, DAY), "");
    assert_eq!(
        report::notices(&sweeps.state, DAY).into_values().next().unwrap(),
        "stops in 10 min: it has run for 1 d"
    );
    sweeps.lifetime.longest_run = Some(span(2 * DAY));
    assert_eq!(sweeps.one(&runs, DAY + 300), "");
    assert!(report::notices(&sweeps.state, DAY + 300).is_empty(), "it is taken back");
    sweeps.lifetime.longest_run = None;
    assert_eq!(sweeps.one(&runs, 9 * DAY), "");
}

#[test]
fn what_is_not_ours_protected_nobodys_or_of_no_known_group_is_left_alone() {
    let cases: [(&str, Labels<'_>, &str); 9] = [
        ("other", &[], "not made by ds01-build"),
        ("other._.1001", &[("ds01.user", "ann"), ("ds01.group", "student")], "not made by ds01-build"),
        ("a", &[("ds01.managed", "false"), ("aime.mlc.DS01_MANAGED", "true")], "not made by ds01-build"),
        ("a", &[OURS[0], OURS[1], OURS[2], ("ds01.protected", "true")], "protected"),
        ("a", &[OURS[0], OURS[2]], "nothing says whose it is"),
        ("a", &[("aime.mlc.DS01_MANAGED", "true")], "nothing says whose it is"),
        ("a", &[OURS[0], OURS[1], ("ds01.group", "gone")], "its group `gone` is not in the spec"),
        ("a", &[OURS[0], OURS[1]], "nothing says which group's limits are its own"),
        ("a._.1001", &[OURS[0]], "nothing says which group's limits are its own"),
    ];
    for (name, labels, why) in cases {
        let times = RunTimes { state: "running".into(), started: Some(0), finished: None };
        let one = watched(container(name, "running", 0, labels), Inspection::Read(times), IDLE);
        let mut sweeps = Sweeps::new();
        for now in [DAY, 30 * DAY] {
            assert_eq!(sweeps.one(&one, now), format!("spare: {why}"), "{labels:?}");
        }
        assert!(sweeps.state.containers.is_empty());
    }
    // Of the system before us, with an owner and a group, it is as ours.
    let old = [("aime.mlc.DS01_MANAGED", "true"), ("aime.mlc.USER", "ann"), OURS[2]];
    let times = RunTimes { state: "running".into(), started: Some(0), finished: None };
    let one = watched(container("old", "running", 0, &old), Inspection::Read(times), Activity::NoGpu);
    assert_eq!(Sweeps::new().one(&one, DAY), format!("warn longest_run {}", DAY + HOUR / 2));
}

#[test]
fn an_exemption_holds_for_whom_and_what_it_says_and_until_then() {
    let exempt = |whom, from: &[Rule], until| Exemption {
        whom,
        from: from.iter().copied().collect::<BTreeSet<_>>(),
        until,
        why: None,
    };
    let user = |login: &str| Whom::User(Login::new(login));
    let named = |name: &str| Whom::Container(name.into());
    let runs = seen("running", 0, Activity::NoGpu);
    let warned = format!("warn longest_run {}", DAY + HOUR / 2);
    for (exemption, said) in [
        (exempt(user("ann"), &Rule::ALL, None), "spare: exempt from longest_run"),
        (exempt(named("thesis._.1001"), &[Rule::LongestRun], None), "spare: exempt from longest_run"),
        (
            exempt(named("thesis"), &Rule::ALL, Some(DAY + 1)),
            "spare: exempt from longest_run until 1970-01-02T00:00:01Z",
        ),
        (exempt(named("thesis"), &Rule::ALL, Some(DAY)), &warned),
        (exempt(user("ann"), &[Rule::Idle, Rule::Stopped], None), &warned),
        (exempt(user("bob"), &Rule::ALL, None), &warned),
        (exempt(named("thes"), &Rule::ALL, None), &warned),
        (exempt(named("thesis._.10011"), &Rule::ALL, None), &warned),
    ] {
        let mut sweeps = Sweeps { exemptions: vec![exemption.clone()], ..Sweeps::new() };
        assert_eq!(sweeps.one(&runs, DAY), said, "{exemption:?}");
    }
    // The one that holds longest is told, and once it is over there is a warning first.
    let both =
        [exempt(user("ann"), &Rule::ALL, Some(DAY + 5)), exempt(named("thesis"), &Rule::ALL, Some(2 * DAY))];
    let mut sweeps = Sweeps { exemptions: both.into(), ..Sweeps::new() };
    assert!(sweeps.one(&runs, DAY).ends_with("until 1970-01-03T00:00:00Z"));
    assert_eq!(sweeps.one(&runs, 2 * DAY), format!("warn longest_run {}", 2 * DAY + HOUR / 2));
}

#[test]
fn what_the_engine_does_not_say_spares_and_keeps_what_was_said() {
    let mut sweeps = Sweeps::new();
    let runs = seen("running", 0, IDLE);
    sweeps.one(&runs, DAY - 60);
    let told = sweeps.state.containers.values().next().unwrap().warnings.clone();
    assert_eq!(told.len(), 1);
    let silent = watched(runs.container.clone(), Inspection::Failed, IDLE);
    assert_eq!(sweeps.one(&silent, 2 * DAY), "");
    let kept = sweeps.state.containers.values().next().unwrap();
    assert_eq!((&kept.warnings, kept.busy), (&told, Some(2 * DAY)));
    assert_eq!(sweeps.one(&runs, 2 * DAY + 1), "stop longest_run");
    for state in ["running", "exited"] {
        let times = Inspection::Read(RunTimes { state: state.into(), ..RunTimes::default() });
        let one = watched(runs.container.clone(), times, IDLE);
        let said = "spare: the engine does not say since when it is what it is";
        assert_eq!(Sweeps::new().one(&one, 9 * DAY), said);
    }
}

#[test]
fn a_clock_that_was_set_back_only_puts_off() {
    let mut sweeps = Sweeps::new();
    let runs = seen("running", 0, IDLE);
    sweeps.one(&runs, 5 * DAY);
    assert_eq!(sweeps.one(&runs, 2 * DAY), format!("warn longest_run {}", 2 * DAY + HOUR / 2));
    assert_eq!(sweeps.state.containers.values().next().unwrap().busy, Some(2 * DAY));
    let future = seen("running", 9 * DAY, IDLE);
    assert_eq!(sweeps.one(&future, 2 * DAY), "");
}

#[test]
fn only_containers_that_something_may_be_due_for_are_asked_about() {
    let policy = Policy { owner: Login::new("ann"), group: "student".into(), lifetime: student() };
    for (state, activity, age, asked) in [
        ("running", Activity::NoGpu, DAY - HOUR / 2 - 1, false),
        ("running", Activity::NoGpu, DAY - HOUR / 2, true),
        ("running", BUSY, HOUR, false),
        ("paused", IDLE, HOUR / 2 - 1, false),
        ("paused", IDLE, HOUR / 2, true),
        ("exited", IDLE, DAY, false),
        ("exited", Activity::NoGpu, 7 * DAY, true),
        ("created", Activity::NoGpu, 7 * DAY, false),
        ("removing", Activity::NoGpu, 7 * DAY, false),
    ] {
        let one = container("x", state, 0, &OURS);
        assert_eq!(is_worth_inspecting(&one, &activity, &policy, age), asked, "{state} {age}");
    }
    let never = Lifetime { longest_run: None, idle: None, stopped: None, never_started: None, ..student() };
    let policy = Policy { lifetime: never, ..policy };
    assert!(!is_worth_inspecting(&container("x", "running", 0, &OURS), &IDLE, &policy, 99 * DAY));
}

#[test]
fn the_state_comes_back_from_its_text_and_notices_say_what_is_nearest() {
    let mut sweeps = Sweeps::new();
    assert_eq!(sweeps.through(&seen("running", 0, IDLE), DAY - HOUR - 300, DAY - 900).len(), 2);
    let text = sweeps.state.write().unwrap();
    assert_eq!(SweepState::read(&text), Ok(sweeps.state.clone()));
    let notices = |now| report::notices(&sweeps.state, now).into_values().collect::<Vec<_>>();
    assert_eq!(notices(DAY - 900), ["stops in 10 min: its GPU has been idle for 50 min"]);
    assert_eq!(notices(DAY + 5), ["stops at the next sweep: its GPU has been idle for 1 h 5 min"]);
    assert_eq!(notices(3 * DAY), [""; 0], "nobody sweeps any more");
    let id = format!("{:0<64}", "thesis._.1001");
    assert_eq!(report::notices(&sweeps.state, DAY).into_keys().collect::<Vec<_>>(), [id]);
}

#[test]
fn every_step_is_a_line() {
    let due = |rule, since, limit, at| Deadline {
        id: String::new(),
        name: "thesis._.1001".into(),
        owner: Login::new("h.baker@hertie-school.lan"),
        group: "student".into(),
        rule,
        since,
        limit: span(limit),
        at,
        times: RunTimes::default(),
    };
    let now = 10 * DAY;
    let run = || due(Rule::LongestRun, now - DAY + 1800, DAY, now + 1800);
    let idle = || due(Rule::Idle, now - 2700, HOUR, now + 900);
    let stopped = || due(Rule::Stopped, now - 7 * DAY - 90, 7 * DAY, now);
    let never = || due(Rule::NeverStarted, now - 50, 600, now + 550);
    let (planned, done) = (|| Outcome::Planned, || Outcome::Done);
    let spare = |why| (Step::Spare { id: String::new(), name: "x".into(), why }, planned());
    let steps = [
        (Step::Warn(run()), done()),
        (Step::Warn(idle()), planned()),
        (Step::Warn(stopped()), done()),
        (Step::Warn(never()), done()),
        (Step::Stop(run()), done()),
        (Step::Stop(idle()), planned()),
        (Step::Stop(run()), Outcome::Changed),
        (Step::Stop(run()), Outcome::Failed("the engine refused".into())),
        (Step::Remove(stopped()), done()),
        (Step::Remove(never()), planned()),
        (Step::Remove(stopped()), Outcome::Gone),
        (Step::Remove(stopped()), Outcome::Failed("the engine refused".into())),
        spare(SkipReason::NotOurs),
        spare(SkipReason::Protected),
        spare(SkipReason::NoOwner),
        spare(SkipReason::UnknownGroup(Some("phd".into()))),
        spare(SkipReason::UnknownGroup(None)),
        spare(SkipReason::Exempt { rule: Rule::Idle, until: None }),
        spare(SkipReason::Exempt { rule: Rule::LongestRun, until: Some(1_767_225_600) }),
        spare(SkipReason::NoTimes),
    ];
    let lines: Vec<_> = steps.iter().map(|(step, outcome)| report::line(step, outcome, now)).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn spans_are_two_units_rounded_down() {
    for (seconds, text) in [
        (-5, "0 s"),
        (59, "59 s"),
        (61, "1 min"),
        (HOUR, "1 h"),
        (HOUR + 1800, "1 h 30 min"),
        (DAY - 1, "23 h 59 min"),
        (DAY + HOUR / 2, "1 d"),
        (40 * DAY + 5 * HOUR, "40 d 5 h"),
    ] {
        assert_eq!(report::span(seconds), text);
    }
}

/// An engine with one container of ann's.
fn engine(state: &str) -> (FakeEngine, Container) {
    let engine = FakeEngine::new();
    let one = container("thesis._.1001", state, 5, &OURS);
    engine.add_container(one.clone());
    (engine, one)
}

async fn due(engine: &FakeEngine, one: &Container, rule: Rule) -> Deadline {
    let times = RunTimes::from(&engine.container(&one.id).await.unwrap().unwrap());
    Deadline {
        id: one.id.clone(),
        name: one.name.clone(),
        owner: Login::new("ann"),
        group: "student".into(),
        rule,
        since: 0,
        limit: span(1),
        at: 1,
        times,
    }
}

#[tokio::test]
async fn steps_are_carried_out() {
    let (engine, one) = engine("running");
    let state =
        async |engine: &FakeEngine| engine.containers().await.unwrap().first().map(|c| c.state.to_string());
    let run = due(&engine, &one, Rule::Idle).await;
    assert_eq!(carry_out(&engine, &Step::Warn(run.clone())).await, Ok(Outcome::Done));
    assert_eq!(state(&engine).await.as_deref(), Some("running"), "a warning is only told");
    assert_eq!(carry_out(&engine, &Step::Stop(run)).await, Ok(Outcome::Done));
    assert_eq!(state(&engine).await.as_deref(), Some("exited"));
    let stopped = due(&engine, &one, Rule::Stopped).await;
    assert_eq!(carry_out(&engine, &Step::Remove(stopped.clone())).await, Ok(Outcome::Done));
    assert_eq!(state(&engine).await, None);
    assert_eq!(carry_out(&engine, &Step::Remove(stopped)).await, Ok(Outcome::Gone));
}

#[tokio::test]
async fn what_changed_since_it_was_looked_at_is_left_alone() {
    let (engine, one) = engine("exited");
    let stopped = due(&engine, &one, Rule::Stopped).await;
    let run = Deadline {
        times: RunTimes { started: Some(1), state: "running".into(), finished: None },
        ..stopped.clone()
    };
    assert_eq!(carry_out(&engine, &Step::Stop(run)).await, Ok(Outcome::Changed));
    let earlier = Deadline { times: RunTimes { finished: Some(1), ..stopped.times }, ..stopped };
    assert_eq!(carry_out(&engine, &Step::Remove(earlier)).await, Ok(Outcome::Changed));
    assert_eq!(engine.containers().await.unwrap().len(), 1);
    engine.go_away();
    let gone = Deadline { id: one.id, times: RunTimes::default(), ..due_of_nothing() };
    assert!(carry_out(&engine, &Step::Stop(gone)).await.is_err());
}

fn due_of_nothing() -> Deadline {
    Deadline {
        id: String::new(),
        name: String::new(),
        owner: Login::new("ann"),
        group: String::new(),
        rule: Rule::Idle,
        since: 0,
        limit: span(1),
        at: 0,
        times: RunTimes::default(),
    }
}
