//! Laws of laying limits over each other, and what is read of each.

use std::time::Duration;

use proptest::prelude::*;

use super::table::{KEYS, Limit};
use super::{GroupLimits, Limits, MountFolder, Network, Origin, Rule, Whom};
use crate::model::names::Login;
use crate::spec::files::memory::MemoryFiles;
use crate::spec::tests::{files, right, shown, small, wrong};
use crate::spec::{Spec, tests::open};

fn limits(text: &str) -> Limits {
    right(&files(&small(&format!("limits: {text}\n")))).limits
}

fn only(text: &str) -> String {
    let told = wrong(&files(&small(&format!("limits: {text}\n"))));
    assert_eq!(told.lines().count(), 1, "{told}");
    told
}

fn minutes(minutes: u64) -> Option<Duration> {
    Some(Duration::from_secs(minutes * 60))
}

fn login(text: &str) -> Login {
    Login::new(text)
}

fn any_limit() -> impl Strategy<Value = Limit> {
    let number = || proptest::option::of(0u32..9);
    let bytes = || proptest::option::of(0u64..1 << 40);
    let time = || proptest::option::of((0u64..1 << 20).prop_map(Duration::from_secs));
    let amount = || proptest::option::of((1u32..900).prop_map(|n| f64::from(n) / 7.0));
    prop_oneof![
        amount().prop_map(Limit::GpuEquivalents),
        number().prop_map(Limit::GpusPerContainer),
        number().prop_map(Limit::Containers),
        amount().prop_map(Limit::Cpus),
        bytes().prop_map(Limit::Memory),
        bytes().prop_map(Limit::Swap),
        bytes().prop_map(Limit::ShmSize),
        number().prop_map(Limit::Pids),
        proptest::collection::btree_map("[a-c]", (-1i64..9, -1i64..9), 0..3).prop_map(Limit::Ulimits),
        "[a-c]".prop_map(|name| Limit::Network(Network::Named(name))),
        proptest::collection::btree_set("[A-C]", 0..3).prop_map(Limit::Capabilities),
        any::<bool>()
            .prop_map(|read_only| Limit::Mounts(vec![MountFolder { path: "/data".into(), read_only }])),
        time().prop_map(Limit::LongestRun),
        time().prop_map(Limit::Idle),
        (0u32..=100).prop_map(Limit::IdleBelow),
        time().prop_map(Limit::Stopped),
        time().prop_map(Limit::NeverStarted),
        (0u64..1 << 20).prop_map(|s| Limit::Warning(Duration::from_secs(s))),
    ]
}

/// As what is read: a key at most once.
fn any_layer() -> impl Strategy<Value = Vec<Limit>> {
    proptest::collection::vec(any_limit(), 0..12).prop_map(|mut layer| {
        let mut seen = Vec::new();
        layer.retain(|limit| {
            !seen.contains(&limit.key()) && {
                seen.push(limit.key());
                true
            }
        });
        layer
    })
}

fn laid(below: &GroupLimits, layers: &[&[Limit]]) -> GroupLimits {
    let mut group = below.clone();
    layers.iter().flat_map(|layer| layer.iter()).for_each(|limit| limit.apply(&mut group));
    group
}

proptest! {
    #[test]
    fn what_is_absent_is_inherited_and_what_is_written_wins(below in any_layer(), over in any_layer()) {
        let before = laid(&GroupLimits::default(), &[&below]);
        let after = laid(&before, &[&over]);
        for (was, is) in Limit::all(&before).iter().zip(Limit::all(&after)) {
            match over.iter().find(|limit| limit.key() == is.key()) {
                None => prop_assert_eq!(was, &is),
                // Those of the kernel are laid over each other one by one.
                Some(Limit::Ulimits(written)) => {
                    let Limit::Ulimits(is) = is else { panic!("ulimits") };
                    prop_assert!(written.iter().all(|(name, both)| is.get(name) == Some(both)));
                    let Limit::Ulimits(was) = was else { panic!("ulimits") };
                    prop_assert!(was.keys().all(|name| is.contains_key(name)));
                }
                Some(written) => prop_assert_eq!(written, &is),
            }
        }
    }

    #[test]
    fn the_order_of_keys_does_not_matter_and_twice_is_once(layer in any_layer(), turn in 0usize..12) {
        let below = GroupLimits::default();
        let mut turned = layer.clone();
        turned.rotate_left(turn.min(layer.len()));
        let once = laid(&below, &[&layer]);
        prop_assert_eq!(&laid(&below, &[&turned]), &once);
        prop_assert_eq!(&laid(&below, &[&layer, &layer]), &once);
        // What holds says all of it: laid over anything, it gives itself.
        prop_assert_eq!(laid(&below, &[&Limit::all(&once)]), once);
    }
}

#[test]
fn every_limit_has_its_key() {
    assert_eq!(Limit::all(&GroupLimits::default()).map(|limit| limit.key()), KEYS);
}

#[test]
fn null_lifts_a_limit_and_what_is_not_said_stays() {
    let read = limits("{groups: {student: {cpus: null, longest_run: never, idle: null, swap: 1g}}}");
    let student = &read.groups["student"];
    assert_eq!((student.cpus, student.swap, student.pids), (None, Some(1 << 30), Some(4096)));
    assert_eq!((student.lifetime.longest_run, student.lifetime.idle), (None, None));
    assert_eq!(read.groups["faculty"], Limits::default().groups["faculty"]);
}

#[test]
fn a_person_inherits_from_the_group_that_from_defaults_and_those_from_the_built_in_ones() {
    let read = limits(
        "{defaults: {pids: 100, cpus: 2, memory: 1g}, \
         groups: {student: {cpus: 4, memory: 2g, members: [ann]}}, users: {ann: {memory: null}}}",
    );
    let ann = read.of(&login("ann"), None).unwrap();
    let of = &ann.limits;
    assert_eq!((of.shm_size, of.pids, of.cpus, of.memory), (Some(16 << 30), Some(100), Some(4.0), None));
    assert_eq!((ann.group.as_str(), ann.by_default), ("student", false));
    assert_eq!(Vec::from_iter(ann.own.iter().copied()), ["memory"]);
    let origin = |key: &str| read.effective(&ann).into_iter().find(|told| told.limit == key).unwrap().from;
    assert_eq!(
        ["shm_size", "pids", "cpus", "memory"].map(origin),
        [Origin::BuiltIn, Origin::Defaults, Origin::Group, Origin::Own]
    );
    // Built-in groups that nothing is written of have the defaults as well.
    assert_eq!(read.groups["faculty"].pids, Some(100));
}

#[test]
fn a_group_of_the_site_inherits_from_the_default_group() {
    let read = limits("{default_group: guest, groups: {guest: {memory: 8g}, lab: {cpus: 1}}}");
    let lab = read.of(&login("eve"), Some("lab")).unwrap();
    assert_eq!((lab.limits.memory, lab.limits.cpus, lab.limits.pids), (Some(8 << 30), Some(1.0), Some(4096)));
    let origin = |key: &str| read.effective(&lab).into_iter().find(|told| told.limit == key).unwrap().from;
    assert_eq!(
        ["memory", "cpus", "pids"].map(origin),
        [Origin::DefaultGroup, Origin::Group, Origin::BuiltIn]
    );
}

#[test]
fn the_group_is_that_of_users_then_of_limits_then_the_default_one() {
    let read = limits(
        "{groups: {faculty: {members: [ann]}, researcher: {}}, users: {bob: {group: researcher}, cy: {cpus: 1}}}",
    );
    let of = |who: &str, group: Option<&str>| {
        let applied = read.of(&login(who), group).unwrap();
        (applied.group, applied.by_default)
    };
    assert_eq!(of("ann", None), ("faculty".into(), false));
    assert_eq!(of("bob", None), ("researcher".into(), false));
    assert_eq!(of("cy", None), ("student".into(), true));
    assert_eq!(of("eve", Some("admin")), ("admin".into(), false));
    assert_eq!(read.of(&login("eve"), Some("gone")), None);
    assert!(read.knows(&login("cy")) && !read.knows(&login("eve")));
}

#[test]
fn rights_are_read_in_every_spelling() {
    let read = limits(
        "{defaults: {ulimits: {memlock: unlimited, stack: [8m, 64m], nofile: 65536}, network: lab-net, \
         capabilities: [cap_sys_ptrace, NET_RAW], mounts: [/data/, {path: /models, read_only: true}]}, \
         users: {ann: {ulimits: {nofile: 1024}, mounts: [], network: none}}}",
    );
    let student = &read.groups["student"];
    assert_eq!(student.network, Network::Named("lab-net".into()));
    assert_eq!(Vec::from_iter(&student.capabilities), ["NET_RAW", "SYS_PTRACE"]);
    let allowed = |path: &str, read_only| MountFolder { path: path.into(), read_only };
    assert_eq!(student.mounts, [allowed("/data", false), allowed("/models", true)]);
    let ann = read.of(&login("ann"), None).unwrap().limits;
    assert_eq!(ann.ulimits["nofile"], (1024, 1024));
    assert_eq!((ann.ulimits["memlock"], ann.ulimits["stack"]), ((-1, -1), (8 << 20, 64 << 20)));
    assert_eq!((ann.mounts, ann.network), (vec![], Network::None));
}

#[test]
fn rights_that_give_everything_away_are_refused() {
    let told = |key: &str| only(&format!("{{defaults: {{{key}}}}}"));
    assert!(told("capabilities: [ALL]").contains("root on the machine"));
    assert!(told("capabilities: [SYS_PTRAC]").contains("did you mean `SYS_PTRACE`?"));
    assert!(told("capabilities: null").contains("`capabilities` cannot be unlimited | write []"));
    assert!(told("mounts: [/]").contains("the folder `/` is the whole machine"));
    assert!(told("mounts: [/./]").contains("is the whole machine"));
    assert!(told("mounts: [data]").contains("is not absolute"));
    assert!(told("mounts: [/data/../..]").contains("goes up"));
    assert!(told("mounts: [{read_only: true}]").contains("the key `path` is missing"));
    assert!(told("mounts: ").contains("`mounts` cannot be unlimited"));
    assert!(told("network: \"a b\"").contains("`a b` cannot be a network"));
    assert!(told("ulimits: {nofiles: 1}").contains("did you mean `nofile`?"));
    assert!(told("ulimits: {nofile: unlimited}").contains("no unlimited number of open files"));
    assert!(told("ulimits: {nproc: [9, 8]}").contains("the soft limit of `nproc` is above the hard one"));
    assert!(told("ulimits: {nproc: [unlimited, 8]}").contains("above the hard one"));
    assert!(told("ulimits: {nproc: [1, 2, 3]}").contains("`nproc` has 3 amounts"));
    assert!(told("ulimits: {nproc: 1m}").contains("no amount for `nproc`"));
    assert!(told("ulimits: null").contains("does not say which"));
}

#[test]
fn lifetimes_are_read_and_wrong_ones_say_what_to_write() {
    let read = limits(
        "{defaults: {longest_run: 2d, idle: 0.25h, idle_below: 10, stopped: 1w, never_started: 30m, warning: never}}",
    );
    let life = read.groups["faculty"].lifetime;
    assert_eq!((life.longest_run, life.idle), (minutes(2 * 24 * 60), minutes(15)));
    assert_eq!((life.stopped, life.never_started), (minutes(7 * 24 * 60), minutes(30)));
    assert_eq!((life.idle_below, life.warning), (10, Duration::ZERO));
    let told = |key: &str| only(&format!("{{defaults: {{{key}}}}}"));
    assert!(told("idle: 30").contains("`30` is no duration | write a number and s, m, h, d or w"));
    assert!(told("idle: 0h").contains("`0h` is no time at all"));
    assert!(told("idle: []").contains("this is no duration"));
    assert!(told("idle_below: 101").contains("101 percent is out of range"));
    assert!(told("gpus: 1").contains("unknown key `gpus`"));
    assert!(told("members: [ann]").contains("unknown key `members`"));
}

#[test]
fn the_built_in_groups_are_those_of_ds01() {
    let all = Limits::default().groups;
    let hours = |hours: f64| Some(Duration::from_secs_f64(hours * 3600.0));
    for (group, gpus, slots, longest, idle) in [
        ("student", Some(2.0), Some(2), 24.0, 0.5),
        ("researcher", Some(4.0), Some(3), 48.0, 1.0),
        ("faculty", Some(4.0), Some(4), 72.0, 2.0),
        ("admin", None, None, 24.0, 1.0),
    ] {
        let of = &all[group];
        assert_eq!((of.gpu_equivalents, of.gpus_per_container), (gpus, slots), "{group}");
        assert_eq!((of.lifetime.longest_run, of.lifetime.idle), (hours(longest), hours(idle)), "{group}");
        assert_eq!(of.pids, Some(4096));
    }
}

#[test]
fn whoever_is_in_two_groups_is_told_with_both_places() {
    let two = only("{groups: {student: {members: [ann]}, faculty: {members: [bob, ann]}}}");
    assert!(two.contains("`ann` is a member of both `student` and `faculty` | remove one"), "{two}");
    assert!(two.contains("the other stands in spec.yml:4"), "{two}");
    let own = only("{groups: {student: {members: [ann]}}, users: {ann: {group: faculty}}}");
    assert!(own.contains("`ann` has the group `faculty` here, and is in `student` elsewhere"), "{own}");
    let users = "users: {ann: {uid: 1001, group: faculty}}\nlimits: {groups: {student: {members: [ann]}}}\n";
    let users = wrong(&files(&small(users)));
    assert_eq!(
        users,
        "spec.yml:4:33 `ann` has the group `faculty` here, and is in `student` elsewhere | \
         remove one of them; the other stands in spec.yml:5\n"
    );
    limits("{groups: {student: {members: [ann, ann]}}, users: {ann: {group: student}}}");
}

#[test]
fn groups_that_are_none_are_told_where_they_are_named() {
    assert!(only("{users: {ann: {group: studnet}}}").contains("did you mean `student`?"));
    assert!(only("{default_group: x}").contains("no group `x` | declare it under `groups` of `limits`"));
    assert!(only("{groups: {student: {members: [\"ann \"]}}}").contains("`ann ` cannot be a login"));
}

#[test]
fn exemptions_say_whom_from_what_and_until_when() {
    let read = limits(
        "{exempt: [{user: ann, from: idle, until: 2026-12-31, why: paper}, \
         {container: thesis._.1001, from: [stopped, never_started], until: \"2026-07-01T12:00:00+02:00\"}, \
         {user: bob, until: never}]}",
    );
    let [ann, thesis, bob] = read.exemptions.as_slice() else { panic!("three") };
    assert_eq!((&ann.whom, ann.why.as_deref()), (&Whom::User(login("ann")), Some("paper")));
    // To the end of the day.
    assert_eq!((ann.until, Vec::from_iter(ann.from.clone())), (Some(1_798_761_600), vec![Rule::Idle]));
    assert_eq!(thesis.whom, Whom::Container("thesis._.1001".into()));
    assert_eq!(thesis.until, Some(1_782_900_000));
    assert_eq!(Vec::from_iter(thesis.from.clone()), [Rule::Stopped, Rule::NeverStarted]);
    assert_eq!((bob.until, Vec::from_iter(bob.from.clone())), (None, Rule::ALL.to_vec()));
}

#[test]
fn an_exemption_that_is_not_clear_is_none() {
    let told = |entry: &str| only(&format!("{{exempt: [{{{entry}}}]}}"));
    assert!(told("user: ann, container: x").contains("both a user and a container are exempted"));
    assert!(told("from: idle").contains("nobody is exempted"));
    assert!(told("user: ann, from: idel").contains("no rule `idel` | did you mean `idle`?"));
    assert!(told("user: ann, from: []").contains("exempted from nothing"));
    assert!(told("user: ann, until: tomorrow").contains("`tomorrow` is no date"));
    assert!(told("user: ann, until: 2026-02-30").contains("`2026-02-30` is no date"));
    assert!(told("container: a/b").contains("cannot be a container's name"));
}

fn with_file(named: &str, text: &str) -> MemoryFiles {
    files(&small(&format!("limits: {named}\nusers: {{ann: {{uid: 1001, group: lab}}}}\n")))
        .file("/r/limits.yml", text)
        .file("/etc/ds01/limits.yml", text)
}

#[test]
fn limits_stand_in_a_file_of_their_own() {
    let text = "groups:\n  lab:\n    cpus: 3\n";
    for named in ["limits.yml", "/etc/ds01/limits.yml", "{file: limits.yml}"] {
        let spec: Spec = right(&with_file(named, text));
        assert_eq!(spec.limits_of(&login("ann")).unwrap().limits.cpus, Some(3.0), "{named}");
    }
}

#[test]
fn mistakes_of_the_file_are_told_by_its_own_lines() {
    let text = "groups:\n  lab:\n    cpu: 3\n    members: [ann]\n  staff:\n    members: [ann]\n";
    assert_eq!(
        wrong(&with_file("limits.yml", text)),
        "limits.yml:3:5 unknown key `cpu` | did you mean `cpus`?\n\
         limits.yml:6:15 `ann` is a member of both `lab` and `staff` | \
         remove one of them; the other stands in limits.yml:4\n"
    );
    let elsewhere = "groups:\n  lab: {cpus: 0}\n";
    assert!(wrong(&with_file("/etc/ds01/limits.yml", elsewhere)).starts_with("/etc/ds01/limits.yml:2:15 "));
}

#[test]
fn a_file_that_cannot_be_read_refuses_the_spec_and_nothing_follows_from_it() {
    let told = |named: &str, text: &str| {
        let problems = open(&with_file(named, text)).unwrap_err();
        assert_eq!(problems.len(), 1, "{}", shown(&problems));
        shown(&problems)
    };
    assert!(told("limit.yml", "").starts_with("spec.yml:4:9 there is no file `limit.yml`"));
    assert!(told("/etc/limits.yml", "").starts_with("spec.yml:4:9 there is no file `/etc/limits.yml`"));
    assert!(told("../limits.yml", "").contains("its absolute path"));
    assert!(told("limits.yml", "").contains("the file is empty"));
    assert!(told("limits.yml", "null\n").contains("`limits.yml` says nothing | write the limits into it"));
    assert!(told("limits.yml", "groups: [\n").starts_with("limits.yml:"));
    assert!(told("{file: }", "").contains("expected text"));
    let both = "{file: limits.yml, groups: {lab: {}}}";
    assert!(told(both, "groups: {lab: {cpus: 1}}").contains("limits stand here and in a file of their own"));
}
