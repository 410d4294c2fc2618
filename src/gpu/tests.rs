//! Who holds what, by tables.

use std::collections::BTreeMap;

use super::claims::{Claim, ClaimSource, GpuClaim, read_again, read_all};
use super::overview::{Availability, Overview, sevenths};
use super::usage::overview;
use super::*;
use crate::engine::fake::FakeEngine;
use crate::engine::{Container, DeviceRequest, Devices};
use crate::model::names::{ImageId, Login};

pub(super) fn whole(index: u32) -> Card {
    Card {
        uuid: format!("GPU-{index}aaa"),
        model: Ok("NVIDIA A100".into()),
        memory: Ok(Memory { used: 1 << 29, total: 80 << 30 }),
        utilization: Ok(0),
        compute_mode: Ok(ComputeMode::Shared),
        mig: Ok(Mig::Off),
        processes: Ok(Vec::new()),
        minor: Ok(index),
        links: Err(Fault::NotSupported),
    }
}

pub(super) fn slice(gpu: u32, index: u32) -> Instance {
    let slice = Slice {
        uuid: format!("MIG-{gpu}{index}bb"),
        profile: Ok("1g.10gb".into()),
        slices: Ok(1),
        memory: Ok(Memory { used: 0, total: 10 << 30 }),
        processes: Ok(Vec::new()),
    };
    Instance { index, slice: Ok(slice) }
}

pub(super) fn divided(index: u32, instances: u32) -> Card {
    let instances = (0..instances).map(|instance| slice(index, instance)).collect();
    Card { mig: Ok(Mig::On(instances)), utilization: Err(Fault::NotSupported), ..whole(index) }
}

pub(super) fn machine(cards: Vec<Reading<Card>>) -> Machine {
    let gpus: Vec<_> = (0..).zip(cards).map(|(index, card)| Gpu { index, card }).collect();
    Machine { state: DriverState::Ready { driver: "570".into(), gpus: gpus.len() as u32 }, gpus }
}

pub(super) fn container(name: &str, labels: &[(&str, &str)]) -> Container {
    Container {
        id: format!("{name:c>64}"),
        name: name.into(),
        image: "x".into(),
        image_id: ImageId::new("sha256:1"),
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        state: "running".into(),
        status: "Up".into(),
        created: 0,
    }
}

pub(super) fn claims(name: &str, names: &[&str]) -> GpuClaim {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let claim = Claim { names, ..Claim::default() };
    let source = Some(ClaimSource::Labels);
    GpuClaim { container: container(name, &[("ds01.user", "ann")]), claim, source, privileged: false }
}

pub(super) fn process(pid: u32, place: ProcessPlace) -> Process {
    Process {
        pid,
        kind: ProcessKind::Compute,
        memory: None,
        uid: Some(7),
        name: Some("python".into()),
        place,
    }
}

pub(super) fn users(uid: u32) -> Option<Login> {
    (uid == 7).then(|| Login::new("bob"))
}

pub(super) fn join(cards: Vec<Reading<Card>>, claimants: &[GpuClaim]) -> Overview {
    overview(&machine(cards), Ok(claimants), &users)
}

/// The standing of one GPU on which something is odd.
fn availability(card: Reading<Card>, claimants: Result<&[GpuClaim], &str>) -> (Availability, Option<String>) {
    let usage = overview(&machine(vec![card]), claimants, &users).gpus.remove(0).usage;
    (usage.availability, usage.why)
}

/// What a container of this claim holds, by index or slot.
fn held(claim: Claim) -> Vec<String> {
    let source = Some(ClaimSource::Request);
    let claim = GpuClaim { container: container("x", &[]), claim, source, privileged: false };
    let overview = join(vec![Ok(whole(0)), Ok(divided(1, 2)), Err(Fault::Lost), Ok(whole(3))], &[claim]);
    let mut held = Vec::new();
    for row in &overview.gpus {
        held.extend((!row.usage.holders.is_empty()).then(|| row.index.to_string()));
        let instances = row.instances.iter().filter(|instance| !instance.usage.holders.is_empty());
        held.extend(instances.map(|instance| instance.slot.clone()));
    }
    held
}

#[test]
fn a_claim_is_matched_however_it_names_a_gpu() {
    let named = |name: &str| held(Claim { names: vec![name.into()], ..Claim::default() });
    assert_eq!(named("GPU-3aaa"), ["3"]);
    assert_eq!(named("gpu-3a"), ["3"], "NVIDIA takes the beginning of a UUID");
    assert_eq!(named("GPU-"), [""; 0]);
    assert_eq!(named("0"), ["0"]);
    assert_eq!(named("2"), ["2"], "a lost GPU keeps its holder");
    assert_eq!(named("MIG-11bb"), ["1.1"]);
    assert_eq!(named("1.0"), ["1.0"]);
    assert_eq!(named("1:1"), ["1.1"]);
    assert_eq!(named("1"), ["1", "1.0", "1.1"], "who holds the GPU holds its parts");
    assert_eq!(held(Claim { first: 2, ..Claim::default() }), ["0", "1", "1.0", "1.1"]);
    assert_eq!(held(Claim { all: true, ..Claim::default() }), ["0", "1", "1.0", "1.1", "2", "3"]);
    assert_eq!(held(Claim::default()), [""; 0]);
}

#[test]
fn what_is_not_known_is_not_free() {
    use Availability::{Divided, Free, Lost, NoInstances, Prohibited, Unknown};
    let none: Result<&[GpuClaim], &str> = Ok(&[]);
    let why = |text: &str| Some(text.to_owned());
    assert_eq!(availability(Ok(whole(0)), none), (Free, None));
    assert_eq!(availability(Ok(whole(0)), Err("silent")), (Unknown, why("holders are not known")));
    assert_eq!(availability(Err(Fault::Unknown), none), (Unknown, why("unknown error")));
    assert_eq!(availability(Err(Fault::Lost), none).0, Lost);
    let odd = |change: fn(&mut Card)| {
        let mut card = whole(0);
        change(&mut card);
        availability(Ok(card), none)
    };
    assert_eq!(odd(|card| card.utilization = Err(Fault::Lost)).0, Lost);
    assert_eq!(odd(|card| card.memory = Err(Fault::Unknown)), (Free, None), "it decides nothing");
    let processes = odd(|card| card.processes = Err(Fault::NoPermission));
    assert_eq!(processes, (Unknown, why("its processes cannot be read: no permission")));
    assert_eq!(odd(|card| card.mig = Err(Fault::Unknown)).0, Unknown);
    assert_eq!(odd(|card| card.compute_mode = Ok(ComputeMode::Prohibited)), (Prohibited, None));
    assert_eq!(availability(Ok(divided(0, 0)), none), (NoInstances, None));
    assert_eq!(availability(Ok(divided(0, 3)), none), (Divided, None));
}

#[test]
fn an_instance_is_no_better_than_its_gpu() {
    let mut lost = divided(0, 1);
    lost.memory = Err(Fault::Lost);
    let mut failing = divided(1, 2);
    let Ok(Mig::On(instances)) = &mut failing.mig else { panic!() };
    instances[0].slice = Err(Fault::NoPermission);
    let overview = join(vec![Ok(lost), Ok(failing)], &[]);
    let availability = |gpu: usize, at: usize| overview.gpus[gpu].instances[at].usage.availability;
    assert_eq!(availability(0, 0), Availability::Lost);
    assert_eq!((availability(1, 0), availability(1, 1)), (Availability::Unknown, Availability::Free));
}

#[test]
fn processes_make_holders_of_their_containers_and_others_busy() {
    let silent = GpuClaim { source: None, claim: Claim::default(), ..claims("silent", &[]) };
    let known = [claims("mine", &["0"]), silent];
    let id = |n: usize| ProcessPlace::Container(known[n].container.id.clone());
    let with = |place: ProcessPlace| Card { processes: Ok(vec![process(1, place)]), ..whole(1) };
    let of = |card: Card| {
        let usage = join(vec![Ok(whole(0)), Ok(card)], &known).gpus.remove(1).usage;
        (usage.availability, usage.holders.iter().map(|holder| holder.by).collect::<Vec<_>>())
    };
    assert_eq!(of(with(id(1))), (Availability::Held, vec![ClaimSource::Process]));
    assert_eq!(
        of(with(ProcessPlace::Container("f".repeat(64)))),
        (Availability::Busy, vec![]),
        "another engine's"
    );
    assert_eq!(of(with(ProcessPlace::Host)), (Availability::Busy, vec![]));
    assert_eq!(of(with(ProcessPlace::Unknown)), (Availability::Busy, vec![]));
    let mut display = with(ProcessPlace::Host);
    display.processes.as_mut().unwrap()[0].kind = ProcessKind::Graphics;
    assert_eq!(of(display), (Availability::Free, vec![]), "a display keeps nobody from computing");

    let card = Card { processes: Ok(vec![process(1, id(0))]), ..whole(0) };
    let usage = join(vec![Ok(card)], &known).gpus.remove(0).usage;
    assert_eq!(usage.holders.len(), 1, "a holder that computes is one holder: {usage:?}");
    let running = &usage.processes.unwrap()[0];
    assert_eq!((running.user.as_deref(), running.container.as_deref()), (Some("bob"), Some("mine")));
}

#[test]
fn a_claim_on_what_is_not_there_is_told() {
    let overview = join(vec![Ok(whole(0))], &[claims("mine", &["GPU-0aaa", "GPU-9fff", "4"])]);
    let gone: Vec<_> = overview.gone.iter().map(|gone| gone.device.as_str()).collect();
    assert_eq!(gone, ["GPU-9fff", "4"]);
    assert_eq!(overview.gone[0].owner.as_deref(), Some("ann"));
}

#[test]
fn a_device_file_is_the_gpu_of_its_minor_number() {
    let with = |minors: &[u32]| held(Claim { minors: minors.to_vec(), ..Claim::default() });
    assert_eq!(with(&[0, 2]), ["0", "2"], "a lost GPU has the number that it mostly has");
    assert_eq!(with(&[1]), ["1"], "it is not enough for an instance");
    let moved = Card { minor: Ok(5), ..whole(0) };
    let claim = Claim { minors: vec![5], ..Claim::default() };
    let found = join(vec![Ok(moved), Ok(whole(1))], &[GpuClaim { claim, ..claims("x", &[]) }]);
    assert_eq!(found.gpus.iter().map(|row| row.usage.holders.len()).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn what_somebody_holds_counts_by_its_share_and_once() {
    let mut odd = divided(1, 3);
    let Ok(Mig::On(instances)) = &mut odd.mig else { panic!() };
    let of = |at: usize, instances: &mut Vec<Instance>, change: fn(&mut Slice)| {
        change(instances[at].slice.as_mut().unwrap());
    };
    of(1, instances, |slice| (slice.slices, slice.profile) = (Err(Fault::Unknown), Ok("3g.40gb".into())));
    of(2, instances, |slice| (slice.slices, slice.profile) = (Err(Fault::Unknown), Err(Fault::Unknown)));
    let cards = || vec![Ok(whole(0)), Ok(odd.clone()), Err(Fault::Lost), Ok(whole(3))];
    let of = |names: &[&[&str]]| {
        let all: Vec<_> =
            names.iter().zip(["a", "b", "c"]).map(|(names, name)| claims(name, names)).collect();
        let seen = join(cards(), &all);
        let held = seen.held_by(|holder| holder.owner.as_deref() == Some("ann") && holder.container != "c");
        let slots: Vec<_> =
            held.iter().map(|(container, unit)| format!("{container}:{}", unit.slot)).collect();
        (slots.join(" "), sevenths(&held))
    };
    assert_eq!(of(&[&["0"]]), ("a:0".into(), 7));
    assert_eq!(of(&[&["1.0", "1.1"]]), ("a:1.0 a:1.1".into(), 4), "slices, else the profile's");
    assert_eq!(of(&[&["1.2"]]), ("a:1.2".into(), 7), "it may be as large as its GPU");
    assert_eq!(of(&[&["1.0"], &["1.0", "3"]]), ("a:1.0 b:1.0 b:3".into(), 8), "what is shared counts once");
    assert_eq!(of(&[&["2"]]), ("a:2".into(), 7), "a lost GPU is held");
    assert_eq!(of(&[&["GPU-9fff"]]), (String::new(), 0), "what is gone is not");
    assert_eq!(of(&[&[], &[], &["0"]]), (String::new(), 0), "another's");
}

#[tokio::test]
async fn a_second_look_asks_about_new_containers_only() {
    let engine = FakeEngine::default();
    let with = |minor: u32| Devices { files: vec![format!("/dev/nvidia{minor}")], ..Devices::default() };
    let add = |name: &str, state: &str, devices: Devices| {
        let one = Container { state: state.into(), ..container(name, &[]) };
        engine.add_devices(&one.id, devices);
        engine.add_container(one);
    };
    add("known", "running", with(0));
    add("stopped", "exited", with(1));
    add("all", "running", Devices { privileged: true, ..Devices::default() });
    let mut first = read_all(&engine).await.unwrap();
    // What was seen then is believed: it cannot have changed since.
    first[0].claim = Claim { minors: vec![7], ..Claim::default() };
    // As if it had been started since.
    first[1].container.state = "exited".into();
    add("new", "created", with(3));
    let found = read_again(&engine, &first).await.unwrap();
    let minors: Vec<_> = found.iter().map(|one| (one.claim.minors.clone(), one.privileged)).collect();
    assert_eq!(minors, [(vec![7], false), (vec![], false), (vec![], true), (vec![3], false)]);
    let told = overview(&machine(vec![Ok(whole(0))]), Ok(&found), &users).privileged;
    assert_eq!(told.iter().map(|one| one.container.as_str()).collect::<Vec<_>>(), ["all"]);

    let earlier = [GpuClaim {
        container: Container { state: "exited".into(), ..container("known", &[]) },
        ..first[0].clone()
    }];
    let found = read_again(&engine, &earlier).await.unwrap();
    assert_eq!(found[0].claim.minors, [0], "it was stopped then, so nobody had asked");
}

#[tokio::test]
async fn single_containers_are_asked_about_only_where_no_label_says() {
    let engine = FakeEngine::default();
    let requests = |count| vec![DeviceRequest { driver: "nvidia".into(), count, ..Default::default() }];
    let all = Devices { requests: requests(-1), ..Devices::default() };
    let add = |name: &str, labels: &[(&str, &str)], state: &str| {
        let one = Container { state: state.into(), ..container(name, labels) };
        engine.add_devices(&one.id, all.clone());
        engine.add_container(one);
    };
    add("labelled", &[("ds01.gpu.uuids", "GPU-1")], "exited");
    add("old", &[("aime.mlc.DS01_MANAGED", "true"), ("ds01.gpu.uuid", "GPU-2")], "running");
    add("none", &[("ds01.managed", "true"), ("ds01.gpus", "0")], "running");
    add("hidden", &[("ds01.gpus", "0")], "running");
    add("foreign", &[], "running");
    add("created", &[], "created");
    add("stopped", &[], "exited");
    let found = read_all(&engine).await.unwrap();
    let found: BTreeMap<_, _> =
        found.iter().map(|one| (one.container.name.as_str(), (&one.claim, one.source))).collect();
    let all = Claim { all: true, ..Claim::default() };
    let named = |name: &str| Claim { names: vec![name.into()], ..Claim::default() };
    let labels = Some(ClaimSource::Labels);
    assert_eq!(found["labelled"], (&named("GPU-1"), labels), "ours hold until they are removed");
    assert_eq!(found["old"], (&named("GPU-2"), labels));
    assert_eq!(found["none"], (&Claim::default(), labels));
    assert_eq!(found["hidden"], (&all, labels), "labels of others hide nothing");
    assert_eq!(found["foreign"], (&all, Some(ClaimSource::Request)));
    assert_eq!(found["created"], (&all, Some(ClaimSource::Request)));
    assert_eq!(found["stopped"], (&Claim::default(), None));
}

#[test]
fn profiles_and_containers_are_found_in_what_tells_them() {
    assert_eq!(profile_in("NVIDIA H200 MIG 1g.18gb"), Some("1g.18gb"));
    assert_eq!(profile_in("NVIDIA H100 80GB HBM3 MIG 1c.2g.20gb+me"), Some("1c.2g.20gb+me"));
    assert_eq!(profile_in("NVIDIA H200"), None);
    let id = "a1".repeat(32);
    for line in [
        format!("0::/system.slice/docker-{id}.scope"),
        format!("12:pids:/docker/{id}\n11:cpu:/docker/{id}"),
        format!("0::/ds01.slice/libpod-{id}.scope/container"),
    ] {
        assert_eq!(container_in(&line), Some(id.as_str()), "{line}");
    }
    assert_eq!(container_in("0::/user.slice/user-1000.slice/session-2.scope"), None);
    assert_eq!(container_in(&format!("0::/docker-{}.scope", "z".repeat(64))), None);
}
