//! What holds for whatever happens in a month: containers are started,
//! stopped, made and used at any time, sweeps come when they want, and the
//! state is lost now and then.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{BUSY, DAY, HOUR, IDLE, MINUTE, OURS, container, span, watched};
use crate::container::sweep::decide::lead;
use crate::container::sweep::*;
use crate::model::names::Login;

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    Sweep,
    Start(usize),
    Stop(usize),
    Use(usize, bool),
    Blind(usize),
    LoseState,
}

#[derive(Clone, Debug)]
struct Month {
    lifetime: Lifetime,
    exempt_until: i64,
    events: Vec<(i64, Event)>,
}

/// `ours` twice, then one that is protected, one of somebody else's, one that is exempt.
const NAMES: [&str; 5] = ["a._.1001", "b._.1001", "guarded", "foreign", "exempt"];

fn month() -> impl Strategy<Value = Month> {
    let limit = || prop_oneof![Just(None), (1..3 * DAY).prop_map(|seconds| Some(span(seconds)))];
    let lifetime = (limit(), limit(), limit(), limit(), 0..2 * HOUR).prop_map(
        |(longest_run, idle, stopped, never_started, warning)| Lifetime {
            longest_run,
            idle,
            idle_below: 5,
            stopped,
            never_started,
            warning: span(warning),
        },
    );
    let which = 0..NAMES.len();
    let event = prop_oneof![
        30 => Just(Event::Sweep),
        2 => which.clone().prop_map(Event::Start),
        2 => which.clone().prop_map(Event::Stop),
        2 => (which.clone(), any::<bool>()).prop_map(|(n, busy)| Event::Use(n, busy)),
        1 => which.prop_map(Event::Blind),
        1 => Just(Event::LoseState),
    ];
    // Mostly as a timer has it; sometimes it was off for days.
    let pause = prop_oneof![20 => 1..10 * MINUTE, 4 => 1..6 * HOUR, 1 => 1..3 * DAY];
    let events = prop::collection::vec((pause, event), 1..400).prop_map(|events| {
        let mut at = 0;
        let mut add = |(pause, event)| {
            at += pause;
            (at, event)
        };
        events.into_iter().map(&mut add).take_while(|(at, _)| *at < 31 * DAY).collect()
    });
    (lifetime, 0..31 * DAY, events).prop_map(|(lifetime, exempt_until, events)| Month {
        lifetime,
        exempt_until,
        events,
    })
}

/// A machine on which this happens.
struct World {
    watched: Vec<Observation>,
    state: SweepState,
}

impl World {
    fn new() -> Self {
        let one = |name: &&str| {
            let labels: &[_] = match *name {
                "guarded" => &[OURS[0], OURS[1], OURS[2], ("ds01.protected", "true")],
                "foreign" => &OURS[1..],
                _ => &OURS,
            };
            watched(container(name, "created", 0, labels), Inspection::Skipped, IDLE)
        };
        Self { watched: NAMES.iter().map(one).collect(), state: SweepState::default() }
    }

    fn happen(&mut self, event: &Event, at: i64) {
        let (Event::Start(n) | Event::Stop(n) | Event::Use(n, _) | Event::Blind(n)) = event else {
            return;
        };
        let one = &mut self.watched[*n];
        let started = |one: &Observation| match &one.times {
            Inspection::Read(times) => times.started,
            _ => None,
        };
        match event {
            Event::Start(_) => be(one, "running", Some(at), None),
            Event::Stop(_) if one.container.state == ContainerState::Running => {
                be(one, "exited", started(one), Some(at))
            }
            Event::Use(_, busy) => one.activity = if *busy { BUSY } else { IDLE },
            Event::Blind(_) => one.activity = Activity::Unknown(String::new()),
            _ => {}
        }
    }

    fn sweep(&mut self, month: &Month, now: i64) -> Vec<Step> {
        let (steps, state) = decided(&self.watched, &self.state, month, now);
        self.state = state;
        steps
    }
}

fn be(one: &mut Observation, state: &str, started: Option<i64>, finished: Option<i64>) {
    one.container.state = state.into();
    one.times = Inspection::Read(RunTimes { state: state.into(), started, finished });
}

fn decided(seen: &[Observation], state: &SweepState, month: &Month, now: i64) -> (Vec<Step>, SweepState) {
    let lifetime = month.lifetime;
    let lifetimes = move |_: &Login, group: Option<&str>| group.map(|group| (group.to_owned(), lifetime));
    let exemption = Exemption {
        whom: Whom::Container("exempt".into()),
        from: Rule::ALL.into(),
        until: Some(month.exempt_until),
        why: None,
    };
    let exemptions = [exemption];
    let rules = Rules { lifetimes: &lifetimes, exemptions: &exemptions, users: &|_| None, every: 5 * MINUTE };
    decide(seen, state, &rules, now)
}

/// The container and the rule of a step that acts, and whether it removes.
fn act(step: &Step) -> Option<(&Deadline, bool)> {
    match step {
        Step::Stop(due) => Some((due, false)),
        Step::Remove(due) => Some((due, true)),
        _ => None,
    }
}

/// Since when a rule may count, by what really happened.
fn limit_of(lifetime: &Lifetime, rule: Rule) -> i64 {
    let limit = match rule {
        Rule::LongestRun => lifetime.longest_run,
        Rule::Idle => lifetime.idle,
        Rule::Stopped => lifetime.stopped,
        Rule::NeverStarted => lifetime.never_started.map(|limit| limit.max(span(10 * MINUTE))),
    };
    limit.expect("a rule without a limit does nothing").as_secs() as i64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nobody_is_touched_unwarned_early_or_without_right(month in month()) {
        let mut world = World::new();
        // Whom the world heard warned of what, and since when they are what they are.
        let mut warned: BTreeMap<(String, Rule), (i64, i64)> = BTreeMap::new();
        let mut begun: BTreeMap<String, i64> = NAMES.iter().map(|name| ((*name).to_owned(), 0)).collect();
        // When a sweep last saw them compute, or saw nothing.
        let mut computed: BTreeMap<String, i64> = BTreeMap::new();
        for (now, event) in &month.events {
            match event {
                Event::Start(n) => {
                    begun.insert(NAMES[*n].to_owned(), *now);
                }
                Event::Stop(n) if world.watched[*n].container.state == ContainerState::Running => {
                    begun.insert(NAMES[*n].to_owned(), *now);
                }
                Event::LoseState => {
                    world.state = SweepState::default();
                    warned.clear();
                }
                _ => {}
            }
            world.happen(event, *now);
            if !matches!(event, Event::Sweep) {
                continue;
            }
            for one in world.watched.iter().filter(|one| !one.activity.is_idle(5)) {
                computed.insert(one.container.name.clone(), *now);
            }
            let steps = world.sweep(&month, *now);
            for step in &steps {
                if let Step::Warn(due) = step {
                    warned.insert((due.name.clone(), due.rule), (*now, due.at));
                    let kept = lead(span(limit_of(&month.lifetime, due.rule)), month.lifetime.warning);
                    prop_assert!(due.at - now >= kept, "warned {} before", due.at - now);
                }
                let Some((due, removes)) = act(step) else { continue };
                prop_assert!(due.name != "guarded" && due.name != "foreign", "{step:?}");
                prop_assert!(due.name != "exempt" || *now >= month.exempt_until, "{step:?}");
                let (told, said) = warned[&(due.name.clone(), due.rule)];
                let limit = limit_of(&month.lifetime, due.rule);
                prop_assert!(now - told >= lead(span(limit), month.lifetime.warning), "{step:?} told {told}");
                prop_assert!(*now >= said, "{step:?} before it was said");
                // Since the warning it was neither started nor stopped, nor seen to compute.
                let since = begun[&due.name];
                prop_assert!(told >= since, "{step:?} told {told}, since {since}");
                let computed = computed.get(&due.name).filter(|_| due.rule == Rule::Idle);
                prop_assert!(computed.is_none_or(|at| told > *at && now - at >= limit), "{step:?} {computed:?}");
                prop_assert!(due.since <= told && now - due.since >= limit, "{step:?}");
                prop_assert_eq!(removes, matches!(due.rule, Rule::Stopped | Rule::NeverStarted));
            }
            // What was done.
            for step in &steps {
                let Some((due, removes)) = act(step) else { continue };
                let n = NAMES.iter().position(|name| *name == due.name).unwrap();
                if removes {
                    // Its owner makes a new one of the name.
                    world.watched[n].container.id += "x";
                    world.watched[n].container.created = *now;
                    world.watched[n].container.state = "created".into();
                    world.watched[n].times = Inspection::Skipped;
                } else {
                    let started = due.times.started;
                    be(&mut world.watched[n], "exited", started, Some(*now));
                }
                begun.insert(due.name.clone(), *now);
            }
        }
    }

    #[test]
    fn the_same_look_twice_decides_the_same_and_warns_nobody_again(month in month()) {
        let mut world = World::new();
        for (now, event) in &month.events {
            world.happen(event, *now);
            if matches!(event, Event::LoseState) {
                world.state = SweepState::default();
            }
            if matches!(event, Event::Sweep) {
                let first = world.sweep(&month, *now);
                let kept = world.state.clone();
                let again = world.sweep(&month, *now);
                prop_assert_eq!(&kept, &world.state);
                let acts = |steps: &[Step]| steps.iter().filter_map(act).map(|(due, _)| due.clone()).collect::<Vec<_>>();
                prop_assert_eq!(acts(&first), acts(&again));
                prop_assert!(!again.iter().any(|step| matches!(step, Step::Warn(_))), "{:?}", again);
                prop_assert_eq!(SweepState::read(&kept.write().unwrap()), Ok(kept));
            }
        }
    }

    #[test]
    fn a_lost_state_only_postpones(month in month(), lost_at in 0..31 * DAY) {
        // Nobody reacts, so that the two months differ by the loss alone.
        let first_acts = |lose: bool| {
            let mut world = World::new();
            let mut acted: BTreeMap<String, i64> = BTreeMap::new();
            let mut lose = lose;
            for (now, event) in &month.events {
                if lose && *now >= lost_at {
                    (world.state, lose) = (SweepState::default(), false);
                }
                world.happen(event, *now);
                if matches!(event, Event::Sweep) {
                    for step in world.sweep(&month, *now) {
                        if let Some((due, _)) = act(&step) {
                            acted.entry(due.id.clone()).or_insert(*now);
                        }
                    }
                }
            }
            acted
        };
        let (kept, lost) = (first_acts(false), first_acts(true));
        for (id, at) in lost {
            prop_assert!(kept.get(&id).is_some_and(|kept| *kept <= at), "{id} at {at}, else {:?}", kept.get(&id));
        }
    }
}
