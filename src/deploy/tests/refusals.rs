//! Why a container is refused, in the words that people read.

use proptest::prelude::*;

use super::*;

const ME: &str = "h.baker@hertie-school.lan";

/// One of the person's containers that holds these.
fn holding(name: &str, uuids: &str) -> Container {
    let labels = [("ds01.managed", "true"), ("ds01.user", ME), ("ds01.gpu.uuids", uuids)];
    container(&format!("{name}._.1722830498"), "running", &labels)
}

fn whole(count: u32) -> GpuRequest {
    GpuRequest::Whole { count, memory: None }
}

/// Asks for GPUs of a machine with three whole ones and instances of 3, 1 and 1.
fn asking(request: GpuRequest, containers: Vec<Container>) -> Case {
    let mut case = Case::new();
    case.student().containers = None;
    case.asked.gpus = request;
    case.gpus = Some(machine::with(3, &containers));
    case.containers = containers;
    case
}

fn said(case: &Case) -> String {
    let refusal = case.request().unwrap_err();
    format!("{refusal}\n  {}\n", refusal.help())
}

/// What is refused, and the case of it.
fn cases() -> Vec<(&'static str, Case)> {
    let held = || vec![holding("thesis", "GPU-0"), holding("demo", "MIG-3-1")];
    let with = |change: fn(&mut Case)| {
        let mut case = Case::new();
        change(&mut case);
        case
    };
    let port = |host| Port { address: None, host, container: 8888 };
    let mut cases = vec![
        ("a GPU more than is left", asking(whole(1), held())),
        ("more than is allowed at all", asking(whole(3), Vec::new())),
        ("more than is left, with room for a whole one", asking(whole(2), vec![holding("thesis", "GPU-0")])),
        (
            "a slice too much",
            asking(GpuRequest::Mig { profile: "3g.30gb".into(), count: 1 }, {
                vec![
                    holding("a", "GPU-0"),
                    holding("b", "MIG-3-0"),
                    holding("c", "MIG-3-1"),
                    holding("d", "MIG-3-2"),
                ]
            }),
        ),
        ("two must end", {
            let mut case = asking(whole(1), vec![holding("a", "MIG-3-0"), holding("b", "MIG-3-1")]);
            case.student().gpu_equivalents = Some(1.0);
            case
        }),
        ("none is allowed", {
            let mut case = asking(whole(1), Vec::new());
            case.student().gpu_equivalents = Some(0.0);
            case
        }),
        ("a limit of their own", {
            let mut case = asking(whole(2), Vec::new());
            case.student().gpu_equivalents = Some(1.0);
            case.limits.own.insert("gpu_equivalents");
            case
        }),
        ("too many in one container", {
            let mut case = asking(whole(3), Vec::new());
            case.student().gpus_per_container = Some(2);
            case
        }),
        ("nobody looked", {
            let mut case = asking(whole(1), Vec::new());
            case.gpus = None;
            case
        }),
        ("AMD's GPUs, one of two", asking(whole(1), Vec::new())),
        (
            "AMD's GPUs, held",
            asking(whole(2), vec![container("x", "exited", &[("ds01.gpu.slots", "renderD128")])]),
        ),
        ("AMD's GPUs, none", asking(whole(1), Vec::new())),
        ("memory", with(|case| case.asked.memory = Some(64 << 30))),
        ("shared memory", with(|case| case.asked.shm_size = Some(17 << 30))),
        ("CPUs", with(|case| case.asked.cpus = Some(40.0))),
        ("CPUs of the machine", with(|case| case.asked.cpus = Some(30.0))),
        ("no container at all", with(|case| case.student().containers = Some(0))),
        ("a limit of zero", with(|case| case.student().pids = Some(0))),
        (
            "a variable that gives GPUs",
            with(|case| {
                case.asked.env = vec!["A=b".into(), "NVIDIA_VISIBLE_DEVICES=all".into()];
            }),
        ),
        (
            "a port of the system",
            Case {
                asked: DeployOptions { ports: vec![port(Some(22))], ..DeployOptions::default() },
                ..Case::new()
            },
        ),
    ];
    for (what, case) in &mut cases {
        if what.starts_with("AMD") {
            case.image.labels.insert("aime.mlc.ARCH".into(), "ROCM6".into());
            if !what.ends_with("none") {
                case.files = machine::amd();
            }
        }
    }
    for network in [crate::spec::limits::Network::Host, crate::spec::limits::Network::None] {
        let mut case = Case::new();
        case.asked.ports = vec![port(None)];
        case.student().network = network;
        cases.push(("a port that nothing is published on", case));
    }
    cases
}

#[test]
fn every_refusal_says_what_is_wrong_and_what_to_do() {
    let all: String = cases().iter().map(|(what, case)| format!("# {what}\n{}", said(case))).collect();
    insta::assert_snapshot!(all);
}

#[test]
fn containers_of_both_generations_and_of_others_tools_count() {
    let legacy =
        container("old._.1722830498", "exited", &[("aime.mlc.USER", ME), ("ds01.gpu.uuid", "GPU-0")]);
    let compose = container("c", "running", &[("ds01.user", ME), ("ds01.gpu.uuids", "MIG-3-1,MIG-3-2")]);
    let refusal = asking(whole(1), vec![legacy, compose]).request().unwrap_err();
    let said = refusal.to_string();
    assert!(said.contains("1.2857 are in use by old._.1722830498 (1), c (0.2857)"), "{said}");
}

#[test]
fn what_others_hold_does_not_count() {
    let other = container("x._.1001", "running", &[("ds01.user", "eve"), ("ds01.gpu.uuids", "GPU-0,GPU-1")]);
    let case = asking(whole(2), vec![other]);
    let order_allows = !matches!(case.request(), Err(DeployRefusal::GpuEquivalents { .. }));
    assert!(order_allows);
}

#[test]
fn a_container_that_is_there_may_run_within_what_its_owner_may_hold_now() {
    let case = asking(whole(1), vec![holding("thesis", "GPU-0,GPU-1"), holding("demo", "MIG-3-1")]);
    let gpus = case.gpus.as_ref().unwrap();
    let may = |equivalents, at: usize| {
        let mut limits = case.limits.clone();
        limits.limits.gpu_equivalents = equivalents;
        let (containers, login) = (&case.containers, Login::new(ME));
        limits::may_run(&containers[at], &login, &limits, containers, gpus, &|_| None)
    };
    assert!(may(Some(2.15), 0).is_ok() && may(None, 0).is_ok());
    let refusal = may(Some(2.0), 0).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "group `student` may use 2 GPU equivalents; 0.1429 is in use by demo._.1722830498 (0.1429), and 2 are asked for"
    );
    assert!(refusal.help().contains("container retire demo._.1722830498"), "{}", refusal.help());
    assert!(may(Some(1.0), 0).unwrap_err().help().contains("raise `gpu_equivalents`"));
}

#[test]
fn what_is_just_allowed_is_not_refused_for_it() {
    let mut case = Case::new();
    case.asked = DeployOptions {
        memory: Some(32 << 30),
        shm_size: Some(16 << 30),
        cpus: Some(24.0),
        ports: vec![Port { address: None, host: Some(1024), container: 80 }],
        env: vec!["NVIDIA_DRIVER_CAPABILITIES=all".into(), "CUDA_VISIBLE_DEVICES=0".into()],
        ..DeployOptions::default()
    };
    case.request().unwrap();
}

#[test]
fn variables_that_give_gpus_are_refused_whatever_they_say() {
    for pair in [
        "NVIDIA_VISIBLE_DEVICES=",
        "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_MIG_CONFIG_DEVICES=all",
        "NVIDIA_MIG_MONITOR_DEVICES=all",
        "NVIDIA_IMEX_CHANNELS=0",
        "DOCKER_RESOURCE_GPU=GPU-0",
    ] {
        let mut case = Case::new();
        case.asked.env = vec![pair.into()];
        assert!(matches!(case.request(), Err(DeployRefusal::GivenByEnv { .. })), "{pair}");
    }
}

/// The units of [`machine::with`] three whole GPUs, and their sevenths.
const UNITS: [(&str, u32); 6] =
    [("GPU-0", 7), ("GPU-1", 7), ("GPU-2", 7), ("MIG-3-0", 3), ("MIG-3-1", 1), ("MIG-3-2", 1)];

proptest! {
    /// Whatever is held and asked for: nobody gets past their limit or what
    /// another holds, and who is refused is told what would be enough.
    #[test]
    fn a_limit_is_never_passed_and_what_is_told_to_end_is_enough(
        holders in prop::collection::vec(0..3_u8, UNITS.len()),
        limit in 0..25_u32,
        request in prop_oneof![
            (1..4_u32).prop_map(whole),
            (1..3_u32).prop_map(|count| GpuRequest::Mig { profile: "1g.10gb".into(), count }),
            Just(GpuRequest::Memory(20 << 30)),
            Just(GpuRequest::Named(vec!["GPU-1".into()])),
        ],
    ) {
        let held: Vec<_> = UNITS.iter().zip(&holders).collect();
        let mine = |who: u8| held.iter().filter(move |(_, holder)| **holder == who).map(|(unit, _)| **unit);
        let my_containers = mine(1).map(|(uuid, _)| holding(&uuid.to_lowercase(), uuid));
        let others = mine(2).map(|(uuid, _)| {
            container(uuid, "running", &[("ds01.user", "eve"), ("ds01.gpu.uuids", uuid)])
        });
        let mut case = asking(request, my_containers.chain(others).collect());
        case.student().gpu_equivalents = Some(f64::from(limit) / 7.0);
        let used: u32 = mine(1).map(|(_, sevenths)| sevenths).sum();
        match case.request() {
            Ok(request) => {
                let given: Vec<_> = request.labels["ds01.gpu.uuids"].split(',').collect();
                let size = |uuid: &str| UNITS.iter().find(|(name, _)| *name == uuid).unwrap().1;
                let sevenths: u32 = given.iter().map(|uuid| size(uuid)).sum();
                prop_assert!(used + sevenths <= limit, "{given:?}");
                for (unit, holder) in held {
                    prop_assert!(*holder == 0 || !given.contains(&unit.0), "{given:?}");
                }
            }
            Err(refusal) => {
                if let DeployRefusal::GpuEquivalents { most, ref held, asked, .. } = refusal {
                    prop_assert_eq!(most, limit);
                    prop_assert!(used + asked > limit);
                    let help = refusal.help();
                    let told = held.iter().filter(|held| help.contains(&held.container));
                    let freed: u32 = told.map(|held| held.sevenths).sum();
                    prop_assert!(asked > limit || used - freed + asked <= limit, "{}", help);
                } else {
                    prop_assert!(matches!(refusal, DeployRefusal::Gpus(_)), "{}", refusal);
                }
            }
        }
    }
}
