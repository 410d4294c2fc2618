//! Assignments on the engine in memory. What others do in between is done by
//! the function that decides: it is asked after the look and before the create.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::deploy::DeviceFiles;
use crate::engine::fake::FakeEngine;
use crate::engine::{Container, ContainerState, DeviceRequest, Devices};
use crate::gpu::overview::Availability;
use crate::gpu::{
    self, Card, ComputeMode, DriverState, Gpu, Memory, Mig, Process, ProcessKind, ProcessPlace,
};
use crate::model::names::{ImageId, Login};
use crate::model::reference::Reference;

/// A machine with these GPUs; processes may come.
#[derive(Default)]
struct Cards {
    count: u32,
    foreign: Mutex<Vec<u32>>,
    looks: Mutex<usize>,
}

#[async_trait]
impl GpuProbe for Cards {
    async fn machine(&self) -> gpu::Machine {
        *self.looks.lock().unwrap() += 1;
        let foreign = self.foreign.lock().unwrap().clone();
        gpu::Machine {
            state: DriverState::Ready { driver: "570".into(), gpus: self.count },
            gpus: (0..self.count).map(|index| gpu(index, foreign.contains(&index))).collect(),
        }
    }
}

fn gpu(index: u32, busy: bool) -> Gpu {
    let process = Process {
        pid: 4711,
        kind: ProcessKind::Compute,
        memory: None,
        uid: None,
        name: None,
        place: ProcessPlace::Host,
    };
    Gpu {
        index,
        card: Ok(Card {
            uuid: format!("GPU-{index}"),
            model: Ok("NVIDIA H200".into()),
            memory: Ok(Memory { used: 0, total: 1 << 37 }),
            utilization: Ok(0),
            compute_mode: Ok(ComputeMode::Shared),
            mig: Ok(Mig::Off),
            processes: Ok(if busy { vec![process] } else { Vec::new() }),
            minor: Ok(index),
            links: Ok(Vec::new()),
        }),
    }
}

struct Case {
    engine: FakeEngine,
    facts: EngineInfo,
    image: ImageId,
    gpus: Cards,
    dir: tempfile::TempDir,
    cancel: CancellationToken,
    limit: Duration,
}

impl Case {
    fn new(gpus: u32) -> Self {
        Self::with(gpus, |_| {})
    }

    fn with(gpus: u32, change: impl FnOnce(&mut EngineInfo)) -> Self {
        let mut facts = EngineInfo {
            id: "e".into(),
            local: true,
            runtimes: ["runc".into()].into(),
            ..EngineInfo::default()
        };
        change(&mut facts);
        let engine = FakeEngine::with_facts(facts.clone());
        let image = engine.add_image(&Reference::parse("x:1").unwrap(), &BTreeMap::new());
        Self {
            engine,
            facts,
            image,
            gpus: Cards { count: gpus, ..Cards::default() },
            dir: tempfile::tempdir().unwrap(),
            cancel: CancellationToken::new(),
            limit: Duration::from_secs(60),
        }
    }

    fn locks(&self) -> Locks {
        Locks::open(self.dir.path(), "e").unwrap()
    }

    async fn run(&self, decide: &Decide<'_>) -> Result<Deployed, DeployError> {
        self.run_with(Some(&self.gpus), decide).await
    }

    async fn run_with(
        &self,
        gpus: Option<&dyn GpuProbe>,
        decide: &Decide<'_>,
    ) -> Result<Deployed, DeployError> {
        let locks = self.locks();
        let machine = Machine {
            engine: &self.engine,
            facts: &self.facts,
            locks: &locks,
            gpus,
            device_files: &DeviceFiles::default(),
            users: &|uid| (uid == rustix::process::getuid().as_raw()).then(|| Login::new("me")),
            limit: self.limit,
            cancel: &self.cancel,
        };
        deploy_by(&machine, decide).await
    }

    /// A container of that name with so many free GPUs.
    fn request(&self, name: &str, count: usize, found: &Snapshot) -> Result<CreateContainer, DeployRefusal> {
        let gpus = found.gpus.as_ref().map(|seen| seen.gpus.as_slice()).unwrap_or_default();
        let free = gpus.iter().filter(|gpu| gpu.usage.availability == Availability::Free);
        let free: Vec<_> = free.filter_map(|gpu| gpu.uuid.clone()).take(count).collect();
        if free.len() < count {
            return Err(DeployRefusal::Workspace { path: "nothing/is/free".into() });
        }
        if found.containers.iter().any(|one| one.name == name) {
            return Err(DeployRefusal::NameTaken { name: name.into(), state: ContainerState::Created });
        }
        Ok(CreateContainer {
            name: name.into(),
            image: self.image.to_string(),
            labels: labels(&free),
            command: Some(vec!["/bin/sh".into()]),
            ulimits: BTreeMap::from([("memlock".into(), (-1, -1)), ("stack".into(), (1, 1))]),
            init: true,
            runtime: found.gaps.attach.map(|way| format!("{way:?}")),
            ..CreateContainer::default()
        })
    }

    async fn names(&self) -> Vec<String> {
        self.engine.containers().await.unwrap().into_iter().map(|one| one.name).collect()
    }

    fn files(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.dir.path()).unwrap();
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn labels(uuids: &[String]) -> BTreeMap<String, String> {
    let slots: Vec<_> = uuids.iter().map(|uuid| uuid.trim_start_matches("GPU-").to_owned()).collect();
    let pairs = [
        ("ds01.managed", "true".to_owned()),
        ("ds01.interface", "orchestration".to_owned()),
        ("ds01.user", "ann".to_owned()),
        ("ds01.gpus", uuids.len().to_string()),
        ("ds01.gpu.uuids", uuids.join(",")),
        ("ds01.gpu.slots", slots.join(",")),
    ];
    pairs
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn container(name: &str, state: &str, labels: BTreeMap<String, String>) -> Container {
    Container {
        id: format!("{name}-id"),
        name: name.into(),
        image: "x".into(),
        image_id: ImageId::new("sha256:1"),
        labels,
        state: state.into(),
        status: String::new(),
        created: 0,
    }
}

fn given_uuids(deployed: &Deployed) -> Vec<&str> {
    deployed.gpus.iter().filter_map(|unit| unit.uuid.as_deref()).collect()
}

#[tokio::test]
async fn a_deployed_container_runs_with_what_it_was_given_and_leaves_no_lock_of_its_own() {
    let case = Case::new(3);
    let deployed = case.run(&|found| case.request("a", 2, found)).await.unwrap();
    assert_eq!(given_uuids(&deployed), ["GPU-0", "GPU-1"]);
    assert_eq!(deployed.gpus[1].slot, "1");
    assert_eq!(deployed.notes, [""; 0]);
    assert_eq!(case.engine.containers().await.unwrap()[0].state, ContainerState::Running);
    let next = case.run(&|found| case.request("b", 1, found)).await.unwrap();
    assert_eq!(given_uuids(&next), ["GPU-2"]);
    assert!(matches!(case.run(&|found| case.request("c", 1, found)).await, Err(DeployError::Refused(_))));
    assert_eq!(
        (case.names().await.len(), case.files()),
        (2, vec!["deploy".to_owned(), "e-start-0".to_owned()])
    );
}

#[tokio::test]
async fn without_gpus_nobody_looks_at_them() {
    let case = Case::new(1);
    let deployed = case.run_with(None, &|found| case.request("a", 0, found)).await.unwrap();
    assert_eq!((deployed.gpus, *case.gpus.looks.lock().unwrap()), (Vec::new(), 0));
}

#[tokio::test]
async fn who_took_it_between_look_and_create_keeps_it() {
    let case = Case::new(2);
    let quick = Mutex::new(false);
    let deployed = case
        .run(&|found| {
            let request = case.request("a", 1, found)?;
            if !std::mem::replace(&mut *quick.lock().unwrap(), true) {
                case.engine.add_container(container("foreign", "running", BTreeMap::new()));
                let requests = vec![DeviceRequest {
                    driver: "nvidia".into(),
                    ids: vec!["GPU-0".into()],
                    ..DeviceRequest::default()
                }];
                case.engine.add_devices("foreign-id", Devices { requests, ..Devices::default() });
            }
            Ok(request)
        })
        .await
        .unwrap();
    assert_eq!(given_uuids(&deployed), ["GPU-1"]);
    assert_eq!(case.names().await, ["foreign", "a"]);
}

#[tokio::test]
async fn a_process_of_no_container_counts_as_well() {
    let case = Case::new(2);
    let deployed = case
        .run(&|found| {
            let request = case.request("a", 1, found)?;
            *case.gpus.foreign.lock().unwrap() = vec![0];
            Ok(request)
        })
        .await
        .unwrap();
    assert_eq!(given_uuids(&deployed), ["GPU-1"]);
}

#[tokio::test]
async fn somebody_who_is_quicker_each_time_is_named_and_nothing_is_left() {
    let case = Case::new(4);
    let tries = Mutex::new(0);
    let stopped = case
        .run(&|found| {
            let request = case.request("a", 1, found)?;
            let mut tries = tries.lock().unwrap();
            let name = format!("other{tries}");
            let uuid = request.labels["ds01.gpu.uuids"].clone();
            case.engine.add_container(container(&name, "running", labels(&[uuid])));
            *tries += 1;
            Ok(request)
        })
        .await
        .unwrap_err();
    assert_eq!(
        stopped.to_string(),
        "the GPUs for `a` were taken by somebody else each time: container `other2` of ann has GPU 2"
    );
    assert_eq!(case.names().await, ["other0", "other1", "other2"]);
}

#[tokio::test]
async fn what_a_killed_deploy_created_is_removed_by_the_next() {
    let case = Case::new(1);
    case.engine.add_container(container("dead", "created", labels(&["GPU-0".into()])));
    let deployed = case.run(&|found| case.request("a", 1, found)).await.unwrap();
    assert_eq!(given_uuids(&deployed), ["GPU-0"]);
    assert_eq!(case.names().await, ["a"]);
    assert!(deployed.notes[0].contains("`dead`"), "{deployed:?}");
}

#[tokio::test]
async fn what_a_killed_deploy_had_asked_for_may_come_late_even_under_the_same_name() {
    let case = Case::new(1);
    let late = Mutex::new(vec!["dead", "a"]);
    let deployed = case
        .run(&|found| {
            let request = case.request("a", 1, found)?;
            if let Some(name) = late.lock().unwrap().pop() {
                case.engine.add_container(container(name, "created", labels(&["GPU-0".into()])));
            }
            Ok(request)
        })
        .await
        .unwrap();
    assert_eq!(given_uuids(&deployed), ["GPU-0"]);
    assert_eq!(case.names().await, ["a"]);
}

#[tokio::test]
async fn what_somebody_is_about_to_start_is_theirs() {
    let case = Case::new(1);
    case.engine.add_container(container("new", "created", labels(&["GPU-0".into()])));
    let lease = case.locks().lease("new").unwrap().unwrap();
    assert!(matches!(case.run(&|found| case.request("a", 1, found)).await, Err(DeployError::Refused(_))));
    drop(lease);
    assert!(case.run(&|found| case.request("a", 1, found)).await.is_ok());
}

#[tokio::test]
async fn only_what_this_program_made_and_never_started_is_removed() {
    let case = Case::new(1);
    let mut other = labels(&[]);
    other.insert("ds01.interface".into(), "compose".into());
    case.engine.add_container(container("compose", "created", other));
    case.engine.add_container(container("foreign", "created", BTreeMap::new()));
    case.engine.add_container(container("stopped", "exited", labels(&[])));
    case.run(&|found| case.request("a", 0, found)).await.unwrap();
    assert_eq!(case.names().await, ["compose", "foreign", "stopped", "a"]);
}

#[tokio::test]
async fn an_engine_of_another_machine_gives_no_gpus_and_loses_nobody_s_containers() {
    let case = Case::with(1, |facts| facts.local = false);
    case.engine.add_container(container("new", "created", labels(&[])));
    assert!(matches!(case.run(&|found| case.request("a", 1, found)).await, Err(DeployError::Elsewhere)));
    case.run_with(None, &|found| case.request("a", 0, found)).await.unwrap();
    assert_eq!(case.names().await, ["new", "a"]);
}

#[tokio::test]
async fn two_at_once_with_a_limit_of_one_give_one() {
    let case = Case::new(2);
    let one = |name: &'static str, found: &Snapshot| match found.containers.is_empty() {
        true => case.request(name, 1, found),
        false => Err(DeployRefusal::Workspace { path: "one/is/enough".into() }),
    };
    let (a, b) = (|found: &Snapshot| one("a", found), |found: &Snapshot| one("b", found));
    let (first, second) = tokio::join!(case.run(&a), case.run(&b));
    assert_eq!((first.is_ok(), second.is_ok()), (true, false));
    assert_eq!(case.names().await, ["a"]);
}

#[tokio::test]
async fn who_does_not_get_the_machine_in_time_learns_who_has_it() {
    let mut case = Case::new(1);
    case.limit = Duration::from_millis(20);
    let LockOutcome::Mine(_held) = case.locks().lock_machine(case.limit, &case.cancel).await.unwrap() else {
        panic!()
    };
    let stopped = case.run(&|found| case.request("a", 1, found)).await.unwrap_err();
    let said = stopped.to_string();
    assert!(said.contains(&format!("process {}", std::process::id())) && said.contains("of me"), "{said}");
    assert!(stopped.help().unwrap().contains("--wait"));
    assert!(case.names().await.is_empty());
}

#[tokio::test]
async fn a_driver_that_is_not_ready_is_told() {
    struct Broken;
    #[async_trait]
    impl GpuProbe for Broken {
        async fn machine(&self) -> gpu::Machine {
            gpu::Machine { state: DriverState::NoDriver, gpus: Vec::new() }
        }
    }
    let case = Case::new(1);
    let stopped = case.run_with(Some(&Broken), &|found| case.request("a", 1, found)).await;
    assert!(matches!(stopped, Err(DeployError::Driver(DriverState::NoDriver))));
}

#[tokio::test]
async fn an_interrupted_deploy_leaves_nothing() {
    let case = Case::new(1);
    let decide = |found: &Snapshot| {
        case.cancel.cancel();
        case.request("a", 1, found)
    };
    assert!(matches!(case.run(&decide).await, Err(DeployError::Cancelled)));
    assert!(case.names().await.is_empty());
}

#[tokio::test]
async fn a_container_that_cannot_start_is_removed() {
    let case = Case::new(1);
    for (init, words) in [(true, "code 127"), (false, "/no/such/shell")] {
        let decide = |found: &Snapshot| {
            let request = case.request("a", 1, found)?;
            Ok(CreateContainer { command: Some(vec!["/no/such/shell".into()]), init, ..request })
        };
        let error = case.run(&decide).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(case.names().await.is_empty());
    }
}

#[tokio::test]
async fn a_program_that_ended_at_once_is_told_with_its_code() {
    let case = Case::new(1);
    let decide = |found: &Snapshot| {
        Ok(CreateContainer { command: Some(vec!["/bin/false".into()]), ..case.request("a", 1, found)? })
    };
    assert_eq!(case.run(&decide).await.unwrap().ended, Some(1));
    assert_eq!(case.run(&|found| case.request("b", 0, found)).await.unwrap().ended, None);
}

#[tokio::test]
async fn an_engine_that_cannot_lift_locked_memory_still_runs_the_container_and_says_so() {
    let case = Case::new(1);
    case.engine.drop_privileges();
    let deployed = case.run(&|found| case.request("a", 1, found)).await.unwrap();
    assert!(deployed.notes[0].contains("locked memory"), "{deployed:?}");
    assert_eq!(case.engine.containers().await.unwrap()[0].state, ContainerState::Running);
    let kept = case.engine.created();
    assert_eq!(kept.len(), 2);
    let without = CreateContainer { ulimits: kept[1].ulimits.clone(), ..kept[0].clone() };
    assert_eq!(kept[1], without, "nothing else is given up");
    assert_eq!(kept[1].ulimits.keys().collect::<Vec<_>>(), ["stack"]);
}

#[test]
fn an_engine_without_a_driver_for_gpus_is_asked_in_the_way_that_is_left() {
    let refused = Error::Refused {
        action: "start container `a`".into(),
        message: "could not select device driver \"\" with capabilities: [[gpu]]".into(),
    };
    let with = |runtimes: &[&str]| EngineInfo {
        runtimes: runtimes.iter().map(|name| (*name).to_owned()).collect(),
        ..EngineInfo::default()
    };
    let mut adjusted = EngineGaps::default();
    assert!(!adjusted.learn(&refused, &with(&["runc"])) && adjusted.attach.is_none());
    assert!(adjusted.learn(&refused, &with(&["runc", "nvidia"])));
    assert_eq!(adjusted.attach, Some(AttachMethod::Runtime));
    assert!(!adjusted.learn(&refused, &with(&["runc", "nvidia"])), "only once");
    let help = DeployError::NoGpus(refused).help().unwrap();
    assert!(help.contains("NVIDIA container toolkit") && help.contains("could not select"), "{help}");
}
