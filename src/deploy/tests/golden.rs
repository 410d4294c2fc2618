//! The exact request that an engine gets, for what people ask for.

use super::*;
use crate::engine::docker::body;
use crate::spec::limits::Network as GroupNetwork;

/// As it is sent.
fn sent(case: &Case) -> String {
    let body = serde_json::to_value(body(&case.request().unwrap())).unwrap();
    serde_json::to_string_pretty(&body).unwrap()
}

/// The two that GPUs decide, the rest being as without.
fn gpu_parts(case: &Case) -> String {
    let body = serde_json::to_value(body(&case.request().unwrap())).unwrap();
    let labels = body["Labels"].as_object().unwrap();
    let labels: serde_json::Map<_, _> =
        labels.iter().filter(|(key, _)| key.contains("gpu")).map(|(k, v)| (k.clone(), v.clone())).collect();
    let host = &body["HostConfig"];
    let parts = serde_json::json!({
        "Env": body["Env"],
        "Labels": labels,
        "DeviceRequests": host["DeviceRequests"],
        "Devices": host["Devices"],
        "GroupAdd": host["GroupAdd"],
        "Runtime": host["Runtime"],
    });
    serde_json::to_string_pretty(&parts).unwrap()
}

fn asking(request: GpuRequest) -> Case {
    let mut case = Case::new();
    case.asked.gpus = request;
    case.gpus = Some(machine::with(3, &[]));
    case
}

fn whole(count: u32) -> GpuRequest {
    GpuRequest::Whole { count, memory: None }
}

#[test]
fn one_gpu() {
    insta::assert_snapshot!(sent(&asking(whole(1))));
}

#[test]
fn several_gpus_are_one_request_with_several_uuids() {
    insta::assert_snapshot!(gpu_parts(&asking(whole(2))));
}

#[test]
fn a_mig_instance() {
    insta::assert_snapshot!(gpu_parts(&asking(GpuRequest::Mig { profile: "1g.10gb".into(), count: 1 })));
}

#[test]
fn gpus_by_each_way_of_attaching_them() {
    for way in [AttachMethod::Request, AttachMethod::Cdi, AttachMethod::Runtime] {
        let case = Case { way: Some(way), ..asking(whole(1)) };
        insta::assert_snapshot!(format!("by_{way:?}").to_lowercase(), gpu_parts(&case));
    }
}

#[test]
fn a_machine_whose_device_files_are_for_a_group_lets_the_container_into_it() {
    let mut case = asking(whole(1));
    case.files.nvidia_groups = [44].into();
    assert_eq!(case.request().unwrap().group_add, ["44"]);
    case.asked.gpus = GpuRequest::Nothing;
    assert!(case.request().unwrap().group_add.is_empty());
}

#[test]
fn cpu_only() {
    insta::assert_snapshot!(sent(&Case::new()));
}

#[test]
fn amds_gpus_are_device_files() {
    let mut case = asking(whole(2));
    case.image.labels.insert("ds01.arch".into(), "ROCM6".into());
    case.files = machine::amd();
    insta::assert_snapshot!(gpu_parts(&case));
    case.asked.gpus = GpuRequest::Nothing;
    let request = case.request().unwrap();
    assert!(request.devices.is_empty() && request.group_add.is_empty());
}

#[test]
fn sizes_that_were_asked_for() {
    let mut case = Case::new();
    case.asked.shm_size = Some(8 << 30);
    case.asked.memory = Some(16 << 30);
    case.asked.cpus = Some(1.5);
    case.student().swap = Some(4 << 30);
    let host = serde_json::to_value(body(&case.request().unwrap())).unwrap()["HostConfig"].clone();
    assert_eq!(host["ShmSize"], 8_u64 << 30);
    assert_eq!(host["Memory"], 16_u64 << 30);
    assert_eq!(host["MemorySwap"], 20_u64 << 30);
    assert_eq!(host["NanoCpus"], 1_500_000_000);
}

#[test]
fn swap_without_a_limit_is_said_so_and_none_is_as_much_as_memory() {
    let mut case = Case::new();
    let swap = |case: &Case| body(&case.request().unwrap()).host_config.unwrap().memory_swap;
    assert_eq!(swap(&case), Some(32 << 30));
    case.student().swap = None;
    assert_eq!(swap(&case), Some(-1));
    case.student().memory = None;
    assert_eq!(swap(&case), None);
}

#[test]
fn shared_memory_without_a_limit_is_not_the_engines_64_mib() {
    let mut case = Case::new();
    case.student().shm_size = None;
    assert_eq!(case.request().unwrap().shm_size, Some(32 << 30));
    case.student().memory = None;
    assert_eq!(case.request().unwrap().shm_size, Some(128 << 30));
    case.engine.memory = 0;
    assert_eq!(case.request().unwrap().shm_size, None, "the engine does not say what it has");
}

#[test]
fn data_models_and_other_folders() {
    let mut case = Case::new();
    let mount = |source: &str, target: &str, read_only| Mount {
        source: source.into(),
        target: target.into(),
        read_only,
    };
    case.mounts = vec![
        mount("/srv/data/corpus", "/data", true),
        mount("/srv/models", "/models", true),
        mount("/srv/share", "/share", false),
    ];
    insta::assert_snapshot!(sent(&case));
}

#[test]
fn a_group_with_the_machines_network() {
    let mut case = Case::new();
    case.student().network = GroupNetwork::Host;
    case.student().capabilities = ["SYS_PTRACE".to_owned()].into();
    case.student().ulimits = [("nofile".to_owned(), (65536, 65536)), ("stack".to_owned(), (1, 2))].into();
    insta::assert_snapshot!(sent(&case));
}

#[test]
fn ports_variables_and_a_program() {
    let mut case = Case::new();
    let port = |address: &str, host, container| Port { address: Some(address.into()), host, container };
    case.asked.ports = vec![
        port("127.0.0.1", Some(8888), 8888),
        port("0.0.0.0", Some(9000), 8888),
        port("127.0.0.1", None, 6006),
    ];
    case.asked.env = vec!["WANDB_MODE=offline".into()];
    case.asked.command = Some(vec!["python".into(), "train.py".into()]);
    insta::assert_snapshot!(sent(&case));
    let request = case.request().unwrap();
    assert_eq!(request.stop_signal, None, "it is no shell");
}

#[test]
fn other_networks_are_asked_for_by_name() {
    for (network, name) in [
        (GroupNetwork::None, "none"),
        (GroupNetwork::Named("lab".into()), "lab"),
        (GroupNetwork::Bridge, "bridge"),
    ] {
        let mut case = Case::new();
        case.student().network = network;
        let host = body(&case.request().unwrap()).host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some(name));
    }
}
