//! Which containers have their GPUs back, on machines that changed meanwhile.

use std::collections::BTreeMap;

use super::*;
use crate::engine::fake::FakeEngine;
use crate::engine::{CreateContainer, DeviceRequest, Devices};
use crate::gpu::claims::read_all;
use crate::gpu::usage::overview;
use crate::gpu::{
    Card, ComputeMode, Fault, Gpu, Instance, Machine, Memory, Mig, Process, ProcessKind, ProcessPlace,
    Reading, Slice,
};
use crate::model::names::{ImageId, Login};
use crate::model::reference::Reference;

const UUID: (&str, &str) = ("ds01.gpu.uuids", "GPU-0aaa");

fn container(name: &str, state: &str, labels: &[(&str, &str)]) -> Container {
    Container {
        id: format!("id-{name}"),
        name: name.into(),
        image: "debian:12".into(),
        image_id: ImageId::new("sha256:1"),
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        state: state.into(),
        status: "Exited (0) 2 hours ago".into(),
        created: 0,
    }
}

fn whole(index: u32) -> Card {
    Card {
        uuid: format!("GPU-{index}aaa"),
        model: Ok("NVIDIA A100".into()),
        memory: Ok(Memory { used: 0, total: 80 << 30 }),
        utilization: Ok(0),
        compute_mode: Ok(ComputeMode::Shared),
        mig: Ok(Mig::Off),
        processes: Ok(Vec::new()),
        minor: Ok(index),
        links: Ok(Vec::new()),
    }
}

fn divided(index: u32) -> Card {
    let slice = |part: u32| Slice {
        uuid: format!("MIG-{index}{part}bb"),
        profile: Ok("1g.10gb".into()),
        slices: Ok(1),
        memory: Ok(Memory { used: 0, total: 10 << 30 }),
        processes: Ok(Vec::new()),
    };
    let instances = (0..2).map(|part| Instance { index: part, slice: Ok(slice(part)) });
    Card { mig: Ok(Mig::On(instances.collect())), ..whole(index) }
}

fn machine(cards: Vec<Reading<Card>>) -> Machine {
    let gpus: Vec<_> = (0..).zip(cards).map(|(index, card)| Gpu { index, card }).collect();
    Machine { state: DriverState::Ready { driver: "570".into(), gpus: gpus.len() as u32 }, gpus }
}

fn process(place: ProcessPlace) -> Process {
    Process {
        pid: 4711,
        kind: ProcessKind::Compute,
        memory: None,
        uid: Some(1002),
        name: Some("python".into()),
        place,
    }
}

fn users(uid: u32) -> Option<Login> {
    match uid {
        1001 => Some(Login::new("ann")),
        1002 => Some(Login::new("bob")),
        _ => None,
    }
}

/// What keeps the first container from its GPUs.
async fn told(engine: &FakeEngine, machine: &Machine) -> Vec<String> {
    let mut claims = read_all(engine).await.unwrap();
    let own = claims[0].container.clone();
    let claim = claim(engine, &own, &mut claims).await.unwrap();
    let seen = overview(machine, Ok(&claims), &users);
    obstacles(&own, &claim, &seen).iter().map(Obstacle::to_string).collect()
}

fn engine(containers: Vec<Container>) -> FakeEngine {
    let engine = FakeEngine::new();
    containers.into_iter().for_each(|container| engine.add_container(container));
    engine
}

fn mine(uuids: &str) -> Container {
    container("thesis._.1001", "exited", &[("ds01.managed", "true"), ("ds01.gpu.uuids", uuids)])
}

#[tokio::test]
async fn a_container_that_kept_its_gpus_starts() {
    let other = container("bert._.1002", "running", &[("ds01.gpu.uuids", "GPU-1aaa")]);
    let engine = engine(vec![mine("GPU-0aaa"), other]);
    assert_eq!(told(&engine, &machine(vec![Ok(whole(0)), Ok(whole(1))])).await, [""; 0]);
}

#[tokio::test]
async fn a_container_without_gpus_needs_no_driver() {
    let engine = engine(vec![container("cpu._.1001", "exited", &[("ds01.gpus", "0")])]);
    let none = Machine { state: DriverState::NoDriver, gpus: Vec::new() };
    assert_eq!(told(&engine, &none).await, [""; 0]);
}

#[tokio::test]
async fn without_a_driver_nobody_knows_of_gpus() {
    let engine = engine(vec![mine("GPU-0aaa")]);
    let none = Machine { state: DriverState::NoDriver, gpus: Vec::new() };
    assert_eq!(told(&engine, &none).await, ["the GPUs of this machine cannot be seen"]);
    assert_eq!(told(&engine, &machine(Vec::new())).await, ["this machine has no GPU-0aaa any more"]);
}

#[tokio::test]
async fn each_gpu_that_is_gone_or_does_not_work_is_told() {
    let engine = engine(vec![mine("GPU-0aaa,GPU-1aaa,GPU-9aaa,GPU-3aaa,GPU-4aaa,GPU-5aaa")]);
    let lost = Card { utilization: Err(Fault::Lost), ..whole(1) };
    let prohibited = Card { compute_mode: Ok(ComputeMode::Prohibited), ..whole(3) };
    let empty = Card { mig: Ok(Mig::On(Vec::new())), ..whole(4) };
    let unread = Card { processes: Err(Fault::NoPermission), ..whole(5) };
    let cards = [whole(0), lost, whole(2), prohibited, empty, unread];
    assert_eq!(
        told(&engine, &machine(cards.into_iter().map(Ok).collect())).await,
        [
            "this machine has no GPU-9aaa any more",
            "GPU 1 cannot be used: it fell off the bus",
            "GPU 3 cannot be used: its compute mode lets nobody compute",
            "GPU 4 cannot be used: it is in MIG mode without instances",
            "GPU 5 cannot be used: its processes cannot be read: no permission",
        ]
    );
}

#[tokio::test]
async fn a_gpu_that_was_divided_is_told_once_and_an_instance_stands_for_itself() {
    let machine = machine(vec![Ok(divided(0))]);
    let whole = engine(vec![mine("GPU-0aaa")]);
    assert_eq!(told(&whole, &machine).await, ["GPU 0 cannot be used: it was divided into MIG instances"]);
    let neighbour = container("bert._.1002", "running", &[("ds01.gpu.uuids", "MIG-01bb")]);
    let part = engine(vec![mine("MIG-00bb"), neighbour.clone()]);
    assert_eq!(told(&part, &machine).await, [""; 0]);
    let same = engine(vec![mine("MIG-01bb"), neighbour]);
    assert_eq!(told(&same, &machine).await, ["MIG instance 0.1 is held by `bert._.1002` of bob (running)"]);
}

#[tokio::test]
async fn containers_of_other_tools_and_processes_hold_gpus_too() {
    let engine = engine(vec![mine("GPU-0aaa,GPU-1aaa"), container("jupyter", "running", &[])]);
    let request = DeviceRequest {
        count: 0,
        ids: vec!["GPU-0aaa".into()],
        driver: "nvidia".into(),
        ..Default::default()
    };
    engine.add_devices("id-jupyter", Devices { requests: vec![request], ..Devices::default() });
    let busy = Card { processes: Ok(vec![process(ProcessPlace::Host)]), ..whole(1) };
    assert_eq!(
        told(&engine, &machine(vec![Ok(whole(0)), Ok(busy)])).await,
        ["GPU 0 is held by `jupyter` (running)", "process 4711 (python) of bob computes on GPU 1"]
    );
}

#[tokio::test]
async fn what_labels_do_not_say_is_asked_of_the_engine() {
    let engine = engine(vec![
        container("old._.1001", "exited", &[("aime.mlc.DS01_MANAGED", "true"), ("ds01.gpus", "1")]),
        container("bert._.1002", "running", &[UUID]),
    ]);
    let request =
        DeviceRequest { count: 0, ids: vec!["0".into()], driver: "nvidia".into(), ..Default::default() };
    engine.add_devices("id-old._.1001", Devices { requests: vec![request], ..Devices::default() });
    let told = told(&engine, &machine(vec![Ok(whole(0))])).await;
    assert_eq!(told, ["GPU 0 is held by `bert._.1002` of bob (running)"]);
}

#[test]
fn the_commands_that_make_a_container_anew_say_all_that_its_labels_know() {
    let ann = Caller { login: Login::new("ann"), uid: 1001, in_administrators: false };
    let root = Caller { login: Login::new("root"), uid: 0, in_administrators: false };
    let deploys = |labels: &[(&str, &str)], caller: &Caller| {
        let labels = [&[("ds01.user", "ann"), ("ds01.name", "thesis")], labels].concat();
        again(&container("thesis._.1001", "exited", &labels), caller, &users)
    };
    let project = ("ds01.project", "thesis");
    assert_eq!(
        deploys(&[project, ("ds01.gpus", "2"), ("ds01.work_mount", "/home/ann/workspace/thesis")], &ann),
        ["ds01-build container retire thesis --save", "ds01-build deploy thesis --gpus 2"]
    );
    assert_eq!(
        deploys(
            &[("ds01.image", "vision:1"), ("ds01.gpus", "1g.10gb:2"), ("ds01.work_mount", "/data/my own")],
            &ann
        )[1],
        "ds01-build deploy vision:1 --name thesis --mig 1g.10gb:2 --workspace '/data/my own'"
    );
    assert_eq!(
        deploys(&[("ds01.image", "vision:1"), ("ds01.gpus", "1")], &root),
        [
            "ds01-build container retire thesis._.1001 --save",
            "ds01-build deploy vision:1 --name thesis --gpus 1 --user ann"
        ]
    );
    assert_eq!(deploys(&[project, ("ds01.gpus", "0")], &root)[1], "ds01-build deploy thesis");
}

/// What is seen of a program of an image that the engine in memory has.
async fn code_of(program: &str, check: StartCheck) -> Option<i64> {
    let engine = FakeEngine::new();
    let image = engine.add_image(&Reference::parse("x:1").unwrap(), &BTreeMap::new());
    let request = CreateContainer {
        name: "a".into(),
        image: image.to_string(),
        command: Some(vec![program.into()]),
        init: true,
        ..CreateContainer::default()
    };
    let id = engine.create(&request).await.unwrap();
    start(&engine, &id, check, ()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_program_that_ends_at_once_is_told_from_one_that_runs() {
    for check in [StartCheck::Brief, StartCheck::Close] {
        assert_eq!(code_of("/bin/false", check).await, Some(1));
        assert_eq!(code_of("/bin/sh", check).await, None);
        let code = code_of("/no/such/program", check).await.unwrap();
        assert!(could_not_run(code), "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_somebody_typed_is_watched_longer_than_what_an_image_says() {
    let mut took = Vec::new();
    for check in [StartCheck::Brief, StartCheck::Close] {
        let begun = Instant::now();
        code_of("/bin/sh", check).await;
        took.push(begun.elapsed());
    }
    assert!(took[0] < Duration::from_millis(150) && took[1] >= CLOSELY, "{took:?}");
}
