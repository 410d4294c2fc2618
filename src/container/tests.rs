//! Who sees what, and who may remove what.

use std::collections::BTreeMap;
use std::time::Duration;

use super::list::*;
use super::permission::{AccessError, look_up, resolve};
use super::retire::{ContainerRemoval, decide, retire};
use crate::engine::fake::FakeEngine;
use crate::engine::{Container, DeviceRequest, Devices, Engine};
use crate::gpu::claims::{Claim, ClaimSource, GpuClaim};
use crate::host::people::Caller;
use crate::model::names::ImageId;
use crate::model::names::Login;

const OURS: (&str, &str) = ("ds01.managed", "true");

fn container(name: &str, state: &str, labels: &[(&str, &str)]) -> Container {
    let labels: BTreeMap<_, _> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Container {
        id: format!("id of {name}"),
        name: name.into(),
        image: format!("sha256:{}", "0123456789abcdef".repeat(4)),
        image_id: ImageId::new("sha256:1"),
        labels,
        state: state.into(),
        status: "Up 2 hours".into(),
        created: 1_000,
    }
}

fn ann() -> Caller {
    Caller { login: Login::new("ann@x"), uid: 1001, in_administrators: false }
}

fn root() -> Caller {
    Caller { login: Login::new("root"), uid: 0, in_administrators: false }
}

fn users(uid: u32) -> Option<Login> {
    match uid {
        0 => Some(Login::new("root")),
        1001 => Some(Login::new("ann@x")),
        1002 => Some(Login::new("bob@x")),
        _ => None,
    }
}

/// Containers as a server that changed systems has them.
fn server() -> Vec<Container> {
    vec![
        container(
            "thesis._.1001",
            "running",
            &[
                OURS,
                ("ds01.user", "ann@x"),
                ("ds01.project", "thesis"),
                ("ds01.image", "ds01-1001/thesis@sha256:12"),
                ("ds01.gpus", "0"),
            ],
        ),
        container(
            "old._.1001",
            "exited",
            &[("aime.mlc.USER", "ann@x"), ("aime.mlc.NAME", "old"), ("aime.mlc.GPUS", "all")],
        ),
        container("bare._.1001", "exited", &[]),
        container("thesis._.10012", "running", &[OURS]),
        container("thesis._.1002", "running", &[OURS, ("ds01.user", "bob@x"), ("ds01.protected", "true")]),
        container("code", "running", &[("devcontainer.local_folder", "/home/ann@x/code")]),
        container("registry", "running", &[]),
    ]
}

fn names(rows: &[ContainerView]) -> Vec<&str> {
    rows.iter().map(|row| row.name.as_str()).collect()
}

/// An engine that has these, and no images.
fn engine(containers: Vec<Container>) -> FakeEngine {
    let engine = FakeEngine::new();
    containers.into_iter().for_each(|container| engine.add_container(container));
    engine
}

async fn listed(engine: &FakeEngine, caller: &Caller, all: bool, now: i64) -> Vec<ContainerView> {
    let snapshot = snapshot(engine, |container| is_shown(container, caller, all, &users)).await.unwrap();
    views(&snapshot, &ViewContext { now, users: &users, notices: &BTreeMap::new() })
}

fn decided(name: &str, caller: &Caller, force: bool) -> Result<ContainerRemoval, AccessError> {
    decide(name, force, &server(), caller, &users)
}

#[tokio::test]
async fn a_person_sees_new_and_legacy_containers_of_their_own_and_no_others() {
    let rows = listed(&engine(server()), &ann(), false, 8_200).await;
    assert_eq!(names(&rows), ["bare._.1001", "code", "old._.1001", "thesis._.1001"]);
}

#[tokio::test]
async fn all_shows_every_container_with_its_owner_and_who_made_it() {
    let engine = engine(server());
    let all = Devices {
        requests: vec![DeviceRequest {
            count: -1,
            capabilities: vec![vec!["gpu".into()]],
            ..DeviceRequest::default()
        }],
        ..Devices::default()
    };
    engine.add_devices("id of code", all);
    let rows = listed(&engine, &ann(), true, 8_200).await;
    assert_eq!(rows.len(), server().len());
    insta::assert_snapshot!(serde_json::to_string_pretty(&rows).unwrap());
}

#[tokio::test]
async fn a_clock_that_runs_behind_makes_no_negative_age() {
    let rows = listed(&engine(server()), &ann(), false, 0).await;
    assert!(rows.iter().all(|row| row.age == Duration::ZERO));
}

fn claiming(container: Container, claim: Option<Claim>) -> GpuClaim {
    let source = claim.as_ref().map(|_| ClaimSource::Request);
    GpuClaim { container, claim: claim.unwrap_or_default(), source, privileged: false }
}

/// `at` tells what GPUs each of them says it has.
fn many(at: impl Fn(usize) -> Vec<(&'static str, String)>) -> Vec<Container> {
    let one = |n: usize| {
        let labels = at(n);
        let labels: Vec<_> = labels.iter().map(|(key, value)| (*key, value.as_str())).collect();
        container(
            &format!("c{n}._.1001"),
            "running",
            &[&[OURS, ("ds01.user", "ann@x")], &labels[..]].concat(),
        )
    };
    (0..500).map(one).collect()
}

#[tokio::test]
async fn five_hundred_labelled_containers_are_two_calls() {
    let engine = engine(many(|n| match n % 2 {
        0 => vec![("ds01.gpus", "0".into())],
        _ => vec![("ds01.gpus", "1".into()), ("ds01.gpu.uuids", format!("GPU-{n}"))],
    }));
    assert_eq!(listed(&engine, &ann(), true, 0).await.len(), 500);
    let calls = ["containers", "images", "container", "usage"].map(|call| engine.calls(call));
    assert_eq!(calls, [1, 1, 0, 0]);
}

/// `gpu list` and `container list` say the same of every container.
#[tokio::test]
async fn labels_of_any_container_add_gpus_and_hide_none() {
    let zero =
        || DeviceRequest { driver: "nvidia".into(), ids: vec!["0".into()], ..DeviceRequest::default() };
    let engine = FakeEngine::new();
    let add = |name: &str, state: &str, labels: &[(&str, &str)]| {
        let one = container(name, state, labels);
        let files = vec!["/dev/nvidia3".to_owned()];
        engine.add_devices(&one.id, Devices { requests: vec![zero()], files, ..Devices::default() });
        engine.add_container(one);
    };
    let (one, none) = (("ds01.gpu.uuids", "GPU-1"), ("ds01.gpus", "0"));
    add("managed", "running", &[OURS, one]);
    add("managed without", "running", &[OURS, none]);
    add("foreign", "running", &[one]);
    add("hidden", "running", &[none]);
    add("silent", "running", &[]);
    add("stopped", "exited", &[one]);
    add("stopped and silent", "exited", &[]);

    let snapshot = snapshot(&engine, |_| true).await.unwrap();
    let context = ViewContext { now: 0, users: &users, notices: &BTreeMap::new() };
    let views = views(&snapshot, &context);
    let text = |view: &ContainerView| view.held.as_ref().map_or("?".to_owned(), |held| held.text(None));
    let listed: BTreeMap<_, _> = views.iter().map(|view| (view.name.as_str(), text(view))).collect();
    assert_eq!(listed["managed"], "GPU-1", "of ours nothing else is asked");
    assert_eq!(listed["managed without"], "none");
    assert_eq!(listed["foreign"], "0 /dev/nvidia3");
    assert_eq!(listed["hidden"], "0 /dev/nvidia3", "no label hides what a container was created with");
    assert_eq!(listed["silent"], "0 /dev/nvidia3");
    assert_eq!(listed["stopped"], "GPU-1", "it may be started again");
    assert_eq!(listed["stopped and silent"], "?");

    for claim in crate::gpu::claims::read_all(&engine).await.unwrap() {
        let name = claim.container.name.as_str();
        let held = HeldGpus::new(&claim.claim, &claim.container.labels);
        let known = claim.source.map_or("?".to_owned(), |_| held.text(None));
        assert_eq!(listed[name], known, "{name}");
        let view = views.iter().find(|view| view.name == name).unwrap();
        let uuids = view.held.as_ref().map(|held| held.uuids.clone()).unwrap_or_default();
        assert_eq!(uuids.is_empty(), !claim.claim.names.contains(&"GPU-1".to_owned()), "{name}");
    }
}

#[tokio::test]
async fn a_single_container_is_asked_about_only_where_no_label_says_what_it_holds() {
    // One in ten says how many, and not which.
    let engine = engine(many(|n| vec![("ds01.gpus", if n % 10 == 0 { "2" } else { "0" }.into())]));
    engine.add_container(container("theirs._.1002", "running", &[]));
    engine.add_container(container("stopped._.1001", "exited", &[]));
    let asked = |all| {
        let engine = &engine;
        async move {
            let before = engine.calls("container");
            listed(engine, &ann(), all, 0).await;
            engine.calls("container") - before
        }
    };
    assert_eq!(asked(false).await, 50, "others' are not shown, so not asked about");
    assert_eq!(asked(true).await, 51);
}

#[test]
fn who_made_a_container_is_told_by_labels_that_no_image_has() {
    let made_by = |name: &str, labels: &[(&str, &str)], claim: Option<Claim>| {
        let snapshot = Snapshot {
            containers: vec![claiming(container(name, "running", labels), claim)],
            images: Vec::new(),
        };
        views(&snapshot, &ViewContext { now: 0, users: &users, notices: &BTreeMap::new() })[0].made_by
    };
    let gpu = || Some(Claim { all: true, ..Claim::default() });
    assert_eq!(made_by("x", &[OURS, ("ds01.user", "ann@x")], None), Maker::Ours);
    assert_eq!(made_by("x", &[("ds01.interface", "compose")], None), Maker::Ours);
    assert_eq!(made_by("x._.1001", &[OURS], None), Maker::Ours);
    // Somebody ran our image by hand.
    assert_eq!(made_by("x", &[OURS, ("ds01.user_id", "1001")], None), Maker::Other);
    assert_eq!(made_by("x", &[OURS, ("ds01.user_id", "1001")], gpu()), Maker::Foreign);
    assert_eq!(made_by("x", &[("aime.mlc.USER", "ann@x")], gpu()), Maker::Legacy);
    assert_eq!(made_by("x", &[("ds01.container_type", "compose")], None), Maker::Legacy);
    assert_eq!(made_by("x._.1001", &[], None), Maker::Legacy);
    assert_eq!(made_by("x", &[], gpu()), Maker::Foreign);
    assert_eq!(made_by("x", &[], Some(Claim::default())), Maker::Other);
}

#[test]
fn a_notice_is_shown_with_the_state() {
    let one = claiming(server().remove(4), None);
    let notices = BTreeMap::from([(one.container.id.clone(), "stopped in 2 hours".to_owned())]);
    let snapshot = Snapshot { containers: vec![one], images: Vec::new() };
    let rows = views(&snapshot, &ViewContext { now: 0, users: &users, notices: &notices });
    assert_eq!(rows[0].notice.as_deref(), Some("stopped in 2 hours"));
    assert_eq!(rows[0].status_text(), "Up 2 hours, protected, stopped in 2 hours");
}

#[test]
fn a_name_means_one_s_own_container_first() {
    let (all, ann) = (server(), ann());
    let meant = |name| resolve(name, &all, &ann, &users).map(|c| c.name.as_str());
    assert_eq!(meant("thesis"), Ok("thesis._.1001"));
    assert_eq!(meant("old"), Ok("old._.1001"));
    assert_eq!(meant("thesis._.1002"), Ok("thesis._.1002"));
    assert_eq!(meant("registry"), Ok("registry"));
    for part in ["thes", "thesis._.100", "thesis._.", "", "id of registry"] {
        assert_eq!(meant(part), Err(AccessError::NotFound { name: part.into() }));
    }
}

#[test]
fn a_short_name_of_several_people_is_ambiguous_for_an_administrator() {
    let all = server();
    let refusal = resolve("thesis", &all, &root(), &users).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "`thesis` is the name of several containers: thesis._.1001, thesis._.10012, thesis._.1002"
    );
    assert_eq!(resolve("bare", &all, &root(), &users).map(|c| c.name.as_str()), Ok("bare._.1001"));
}

#[test]
fn only_what_is_managed_and_one_s_own_is_removed() {
    assert!(decided("thesis", &ann(), false).is_ok_and(|r| r.name() == "thesis._.1001" && r.stops()));
    for (name, refusal) in [
        ("bare", AccessError::NotManaged { name: "bare._.1001".into() }),
        ("registry", AccessError::NotYours { name: "registry".into(), owner: None }),
        (
            "thesis._.1002",
            AccessError::NotYours { name: "thesis._.1002".into(), owner: Some("bob@x".into()) },
        ),
        (
            "thesis._.10012",
            AccessError::NotYours { name: "thesis._.10012".into(), owner: Some("uid 10012".into()) },
        ),
    ] {
        assert_eq!(decided(name, &ann(), true), Err(refusal));
    }
}

#[test]
fn an_administrator_acts_for_others_but_not_on_what_is_not_ours() {
    assert!(decided("thesis._.10012", &root(), false).is_ok());
    assert_eq!(decided("registry", &root(), true), Err(AccessError::NotManaged { name: "registry".into() }));
}

#[test]
fn a_protected_container_needs_force_by_an_administrator() {
    let bob = Caller { login: Login::new("bob@x"), uid: 1002, in_administrators: false };
    for (caller, force, refused) in
        [(&bob, false, true), (&bob, true, true), (&root(), false, true), (&root(), true, false)]
    {
        let decided = decided("thesis._.1002", caller, force);
        assert_eq!(matches!(decided, Err(AccessError::Protected { .. })), refused, "{caller:?} {force}");
    }
}

#[tokio::test]
async fn a_retired_container_is_stopped_and_gone() {
    let engine = FakeEngine::new();
    server().into_iter().for_each(|container| engine.add_container(container));
    let retirement = decided("thesis", &ann(), false).unwrap();
    retire(&engine, &retirement).await.unwrap();
    let left = engine.containers().await.unwrap();
    assert_eq!(left.len(), server().len() - 1);
    assert!(left.iter().all(|c| c.name != "thesis._.1001"));
}

#[test]
fn an_id_of_six_digits_means_anybody_s_container_to_look_at_and_names_come_first() {
    let mut all = server();
    for (at, container) in all.iter_mut().enumerate() {
        container.id = format!("abcdef{at}000000");
    }
    all.push(container("abcdef1", "running", &[]));
    let found = |name: &str| look_up(name, &all, &ann(), &users).map(|c| c.name.clone());
    assert_eq!(found("thesis").unwrap(), "thesis._.1001", "one's own by its short name");
    assert_eq!(found("thesis._.1002").unwrap(), "thesis._.1002", "as `list --all` shows it");
    assert_eq!(found("abcdef4").unwrap(), "thesis._.1002");
    assert_eq!(found("ABCDEF6").unwrap(), "registry");
    assert_eq!(found("abcdef1").unwrap(), "abcdef1");
    assert!(matches!(found("abcdef"), Err(AccessError::Ambiguous { .. })));
    assert!(matches!(found("abcde"), Err(AccessError::NotFound { .. })), "five digits mean nothing");
    let unknown = found("thesis._.1003").unwrap_err();
    assert_eq!(unknown.near(&all), Some("thesis._.1001"));
}
