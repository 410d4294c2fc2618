//! What the engine answers, in our words. Pure.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bollard::models::{
    ChangeType, ContainerInspectResponse, ContainerState, ContainerSummary, DeviceInfo, FilesystemChange,
    HostConfig, ImageInspect, ImageSummary, MountPoint, PortMap, SystemInfo,
};
use jiff::Timestamp;

use crate::engine::{
    Change, ChangeKind, Container, ContainerDetail, DeviceRequest, Devices, EngineInfo, Image, ImageDetail,
    Mount, Network, Port,
};
use crate::model::names::ImageId;
use crate::model::reference::Reference;

/// `/info` has all of it: `/version` would say the platform in OCI's words,
/// and costs as much again.
pub(crate) fn engine_info(info: SystemInfo, local: bool) -> EngineInfo {
    let root = info.docker_root_dir.unwrap_or_default();
    // An engine without an id (Podman) is told from others by its host and folder.
    let id = info.id.filter(|id| !id.is_empty());
    let os = info.os_type.filter(|os| !os.is_empty()).unwrap_or_else(|| "linux".into());
    let arch = info.architecture.unwrap_or_default();
    EngineInfo {
        version: info.server_version.unwrap_or_default(),
        api: String::new(),
        id: id.unwrap_or_else(|| format!("{}:{root}", info.name.unwrap_or_default())),
        root: root.into(),
        local,
        storage_driver: info.driver.unwrap_or_default(),
        cgroup_driver: info.cgroup_driver.map(|driver| driver.to_string()).unwrap_or_default(),
        cpus: info.ncpu.and_then(|n| n.try_into().ok()).unwrap_or_default(),
        memory: info.mem_total.and_then(|n| n.try_into().ok()).unwrap_or_default(),
        platform: format!("{os}/{}", oci_arch(&arch)),
        runtimes: info.runtimes.unwrap_or_default().into_keys().collect(),
        cdi_devices: cdi_devices(info.discovered_devices.unwrap_or_default()),
    }
}

/// Other sources of devices than CDI have names of another kind.
fn cdi_devices(found: Vec<DeviceInfo>) -> BTreeSet<String> {
    let cdi = found.into_iter().filter(|device| device.source.as_deref() == Some("cdi"));
    cdi.filter_map(|device| device.id).collect()
}

/// The kernel's name of an architecture as OCI has it. What is written as OCI
/// has it already (Podman does) stays.
fn oci_arch(arch: &str) -> &str {
    match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" => "arm/v7",
        "armv6l" => "arm/v6",
        "i386" | "i486" | "i586" | "i686" => "386",
        "loongarch64" => "loong64",
        other => other,
    }
}

pub(crate) fn image(image: ImageSummary) -> Image {
    Image {
        id: ImageId::new(image.id),
        tags: references(&image.repo_tags),
        digests: references(&image.repo_digests),
        labels: image.labels.into_iter().collect(),
        size: size(image.size),
        created: image.created,
    }
}

pub(crate) fn image_detail(image: ImageInspect) -> ImageDetail {
    let config = image.config.unwrap_or_default();
    let (entrypoint, cmd) = (config.entrypoint.unwrap_or_default(), config.cmd.unwrap_or_default());
    ImageDetail {
        id: ImageId::new(image.id.unwrap_or_default()),
        tags: references(&image.repo_tags.unwrap_or_default()),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        env: config.env.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        workdir: config.working_dir.unwrap_or_default(),
        command: entrypoint.into_iter().chain(cmd).collect(),
        onbuild: config.on_build.unwrap_or_default(),
        diff_ids: image.root_fs.and_then(|fs| fs.layers).unwrap_or_default(),
        size: size(image.size.unwrap_or_default()),
    }
}

pub(crate) fn container(container: ContainerSummary) -> Container {
    let names = container.names.unwrap_or_default();
    // A linked container is also listed as `/other/alias`.
    let name = names.iter().filter_map(|name| name.strip_prefix('/')).find(|name| !name.contains('/'));
    Container {
        name: name.unwrap_or_default().to_owned(),
        id: container.id.unwrap_or_default(),
        image: container.image.unwrap_or_default(),
        image_id: ImageId::new(container.image_id.unwrap_or_default()),
        labels: container.labels.unwrap_or_default().into_iter().collect(),
        state: container.state.map(|state| state.to_string().as_str().into()).unwrap_or_default(),
        status: container.status.unwrap_or_default(),
        created: container.created.unwrap_or_default(),
    }
}

pub(crate) fn change(change: FilesystemChange) -> Change {
    let kind = match change.kind {
        ChangeType::_0 => ChangeKind::Modified,
        ChangeType::_1 => ChangeKind::Added,
        ChangeType::_2 => ChangeKind::Deleted,
    };
    Change { path: change.path, kind }
}

/// `<none>:<none>` and its like are not references.
fn references(names: &[String]) -> Vec<Reference> {
    names.iter().filter_map(|name| Reference::parse(name).ok()).collect()
}

fn size(bytes: i64) -> u64 {
    bytes.try_into().unwrap_or_default()
}

/// A limit on CPUs is a billionth of one to the engine.
const NANO: f64 = 1e9;

pub(crate) fn container_detail(container: ContainerInspectResponse) -> ContainerDetail {
    let config = container.config.unwrap_or_default();
    let host = container.host_config.unwrap_or_default();
    let state = container.state.unwrap_or_default();
    let published = container.network_settings.and_then(|network| network.ports).unwrap_or_default();
    let env = config.env.unwrap_or_default();
    ContainerDetail {
        id: container.id.unwrap_or_default(),
        name: container.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image: config.image.unwrap_or_default(),
        image_id: container.image.filter(|id| !id.is_empty()).map(ImageId::new),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        created: container.created.as_deref().and_then(seconds).unwrap_or_default(),
        started: state.started_at.as_deref().and_then(seconds),
        finished: state.finished_at.as_deref().and_then(seconds),
        exit_code: exit_code(&state),
        out_of_memory: state.oom_killed.unwrap_or_default(),
        state: state.status.map(|status| status.to_string().as_str().into()).unwrap_or_default(),
        error: state.error.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        workdir: config.working_dir.unwrap_or_default(),
        command: container.path.into_iter().chain(container.args.unwrap_or_default()).collect(),
        tty: config.tty.unwrap_or_default(),
        mounts: container.mounts.unwrap_or_default().into_iter().map(mount).collect(),
        ports: ports(if published.is_empty() { host.port_bindings.as_ref() } else { Some(&published) }),
        network: network(host.network_mode.as_deref().unwrap_or_default()),
        cpus: cpus(&host),
        memory: positive(host.memory),
        shm_size: positive(host.shm_size),
        pids: positive(host.pids_limit).and_then(|pids| pids.try_into().ok()),
        devices: devices(host, env.clone()),
        env,
    }
}

/// Seconds since 1970; the year 1 is how the engine says never.
fn seconds(time: &str) -> Option<i64> {
    let at = time.parse::<Timestamp>().ok()?.as_second();
    (at > 0).then_some(at)
}

/// Zero is also what one says that runs or never ran.
fn exit_code(state: &ContainerState) -> Option<i64> {
    let runs = state.running.unwrap_or_default();
    let ended = state.finished_at.as_deref().and_then(seconds).is_some();
    state.exit_code.filter(|code| !runs && (ended || *code != 0))
}

fn mount(mount: MountPoint) -> Mount {
    // A folder in memory has no source, a volume has its folder on the host.
    Mount {
        source: PathBuf::from(mount.source.unwrap_or_default()),
        target: mount.destination.unwrap_or_default(),
        read_only: !mount.rw.unwrap_or(true),
    }
}

/// TCP ports that are published, by their number in the container. An engine
/// names one that is published on every address twice, for IPv4 and IPv6.
fn ports(map: Option<&PortMap>) -> Vec<Port> {
    let mut ports = Vec::new();
    for (name, bindings) in map.into_iter().flatten() {
        let Some(container) = tcp(name) else { continue };
        for binding in bindings.iter().flatten() {
            let address = binding.host_ip.as_deref().unwrap_or_default();
            let address = (!matches!(address, "" | "0.0.0.0" | "::")).then(|| address.to_owned());
            let host = binding.host_port.as_deref().and_then(|port| port.parse().ok());
            ports.push(Port { address, host: host.filter(|port| *port != 0), container });
        }
    }
    ports.sort_by(|a, b| (a.container, a.host, &a.address).cmp(&(b.container, b.host, &b.address)));
    ports.dedup();
    ports
}

/// `8888/tcp` → 8888.
fn tcp(name: &str) -> Option<u16> {
    let (port, protocol) = name.split_once('/').unwrap_or((name, "tcp"));
    (protocol == "tcp").then(|| port.parse().ok())?
}

fn network(mode: &str) -> Network {
    match mode {
        "" | "default" | "bridge" => Network::Bridge,
        "host" => Network::Host,
        "none" => Network::None,
        name => Network::Named(name.to_owned()),
    }
}

/// However it was set: as a number, or as a share of a period (`--cpu-quota`).
fn cpus(host: &HostConfig) -> Option<f64> {
    const PERIOD: u64 = 100_000;
    let limit = positive(host.nano_cpus).map(|nano| nano as f64 / NANO);
    let share =
        || Some(positive(host.cpu_quota)? as f64 / positive(host.cpu_period).unwrap_or(PERIOD) as f64);
    limit.or_else(share)
}

/// Zero and less are no limit.
fn positive(limit: Option<i64>) -> Option<u64> {
    limit.and_then(|limit| u64::try_from(limit).ok()).filter(|limit| *limit > 0)
}

fn devices(host: HostConfig, env: Vec<String>) -> Devices {
    let requests = host.device_requests.unwrap_or_default().into_iter().map(|request| DeviceRequest {
        driver: request.driver.unwrap_or_default(),
        count: request.count.unwrap_or_default(),
        ids: request.device_ids.unwrap_or_default(),
        capabilities: request.capabilities.unwrap_or_default(),
    });
    let files = host.devices.unwrap_or_default().into_iter().filter_map(|device| device.path_on_host);
    Devices {
        requests: requests.collect(),
        files: files.collect(),
        privileged: host.privileged.unwrap_or_default(),
        runtime: host.runtime.unwrap_or_default(),
        env,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn untagged_images_have_no_tag() {
        let summary = ImageSummary {
            id: "sha256:1".into(),
            repo_tags: vec!["<none>:<none>".into(), "reg.local:5000/x:1".into()],
            repo_digests: vec!["<none>@<none>".into()],
            ..Default::default()
        };
        let image = image(summary);
        assert_eq!(image.tags, [Reference::parse("reg.local:5000/x:1").unwrap()]);
        assert!(image.digests.is_empty());
    }

    #[test]
    fn a_linked_container_keeps_its_own_name() {
        let summary = ContainerSummary {
            names: Some(vec!["/other/alias".into(), "/x._.1001".into()]),
            ..Default::default()
        };
        assert_eq!(container(summary).name, "x._.1001");
    }

    #[test]
    fn an_engine_that_tells_little_still_has_an_id_and_a_platform() {
        let info = SystemInfo {
            name: Some("host".into()),
            docker_root_dir: Some("/r".into()),
            architecture: Some("aarch64".into()),
            ..Default::default()
        };
        let facts = engine_info(info, false);
        assert_eq!((facts.id.as_str(), facts.platform.as_str()), ("host:/r", "linux/arm64"));
    }

    #[test]
    fn devices_that_the_engine_found_are_told_by_their_cdi_names() {
        let info = serde_json::json!({"DiscoveredDevices": [
            {"Source": "cdi", "ID": "nvidia.com/gpu=0"},
            {"Source": "cdi", "ID": "nvidia.com/gpu=GPU-1"},
            {"Source": "other", "ID": "x"},
            {"Source": "cdi"},
        ], "Runtimes": {"runc": {"path": "runc"}, "nvidia": {"path": "nvidia-container-runtime"}}});
        let facts = engine_info(serde_json::from_value(info).unwrap(), true);
        assert_eq!(Vec::from_iter(facts.cdi_devices), ["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-1"]);
        assert_eq!(Vec::from_iter(facts.runtimes), ["nvidia", "runc"]);
    }

    #[test]
    fn the_kernel_s_architectures_are_told_as_oci_has_them() {
        for (kernel, oci) in [
            ("x86_64", "amd64"),
            ("aarch64", "arm64"),
            ("armv7l", "arm/v7"),
            ("i686", "386"),
            ("ppc64le", "ppc64le"),
            ("s390x", "s390x"),
            ("riscv64", "riscv64"),
            ("amd64", "amd64"),
        ] {
            let info = SystemInfo { architecture: Some(kernel.into()), ..Default::default() };
            assert_eq!(engine_info(info, false).platform, format!("linux/{oci}"));
        }
    }

    /// What an engine says of a running container, cut to what is read.
    fn said() -> Value {
        json!({
            "Id": "6d7d88",
            "Created": "2026-11-21T11:03:51.515067423Z",
            "Path": "jupyter", "Args": ["lab", "--port", "8888"],
            "State": {
                "Status": "running", "Running": true, "OOMKilled": false, "ExitCode": 0, "Error": "",
                "StartedAt": "2026-11-21T11:03:52.1284383Z", "FinishedAt": "0001-01-01T00:00:00Z"
            },
            "Image": "sha256:0bbe", "Name": "/thesis._.1001",
            "HostConfig": {
                "NetworkMode": "default", "Privileged": true, "Runtime": "runc", "ShmSize": 67108864,
                "Memory": 209715200, "NanoCpus": 1500000000, "PidsLimit": 512,
                "Devices": [{"PathOnHost": "/dev/nvidia0", "PathInContainer": "/dev/nvidia0"}],
                "DeviceRequests": [{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}],
                "PortBindings": {"8888/tcp": [{"HostIp": "", "HostPort": ""}]}
            },
            "Mounts": [
                {"Type": "bind", "Source": "/data", "Destination": "/data", "RW": false},
                {"Type": "volume", "Name": "v", "Source": "/var/lib/docker/volumes/v/_data",
                 "Destination": "/v", "RW": true}
            ],
            "Config": {
                "User": "1001:1001", "Tty": true, "Env": ["PATH=/bin"], "Image": "thesis:latest",
                "WorkingDir": "/workspace", "Labels": {"ds01.user": "ann@x"}
            },
            "NetworkSettings": {"Ports": {
                "9001/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32770"}, {"HostIp": "::", "HostPort": "32770"}],
                "53/udp": [{"HostIp": "", "HostPort": "53"}],
                "8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18999"}],
                "7777/tcp": null
            }}
        })
    }

    fn read_with(change: impl FnOnce(&mut Value)) -> ContainerDetail {
        let mut said = said();
        change(&mut said);
        container_detail(serde_json::from_value(said).unwrap())
    }

    #[test]
    fn everything_that_the_engine_says_is_told() {
        let port = |address: Option<&str>, host, container| Port {
            address: address.map(str::to_owned),
            host: Some(host),
            container,
        };
        let mount = |source: &str, target: &str, read_only| Mount {
            source: source.into(),
            target: target.into(),
            read_only,
        };
        let expected = ContainerDetail {
            id: "6d7d88".into(),
            name: "thesis._.1001".into(),
            image: "thesis:latest".into(),
            image_id: Some(ImageId::new("sha256:0bbe")),
            labels: [("ds01.user".to_owned(), "ann@x".to_owned())].into(),
            state: "running".into(),
            created: 1_795_259_031,
            started: Some(1_795_259_032),
            env: vec!["PATH=/bin".into()],
            user: "1001:1001".into(),
            workdir: "/workspace".into(),
            command: ["jupyter", "lab", "--port", "8888"].map(str::to_owned).into(),
            tty: true,
            mounts: vec![
                mount("/data", "/data", true),
                mount("/var/lib/docker/volumes/v/_data", "/v", false),
            ],
            ports: vec![port(Some("127.0.0.1"), 18999, 8888), port(None, 32770, 9001)],
            cpus: Some(1.5),
            memory: Some(200 << 20),
            shm_size: Some(64 << 20),
            pids: Some(512),
            devices: Devices {
                requests: vec![DeviceRequest {
                    count: -1,
                    capabilities: vec![vec!["gpu".into()]],
                    ..DeviceRequest::default()
                }],
                runtime: "runc".into(),
                env: vec!["PATH=/bin".into()],
                files: vec!["/dev/nvidia0".into()],
                privileged: true,
            },
            ..ContainerDetail::default()
        };
        assert_eq!(read_with(|_| ()), expected);
    }

    #[test]
    fn how_it_ended_is_told_only_of_one_that_did() {
        let state = |status: &str, code: i64, finished: &str| {
            let ended = read_with(|said| {
                said["State"] = json!({
                    "Status": status, "Running": status == "running", "ExitCode": code,
                    "FinishedAt": finished, "OOMKilled": code == 137
                });
            });
            (ended.exit_code, ended.finished, ended.out_of_memory)
        };
        let (never, then) = ("0001-01-01T00:00:00Z", "2026-11-21T11:03:57.7Z");
        assert_eq!(state("running", 0, never), (None, None, false));
        assert_eq!(state("running", 0, then), (None, Some(1_795_259_037), false), "it was started again");
        assert_eq!(state("created", 0, never), (None, None, false));
        assert_eq!(state("created", 127, never), (Some(127), None, false), "its program is not there");
        assert_eq!(state("exited", 137, then), (Some(137), Some(1_795_259_037), true));
        assert_eq!(state("exited", 0, then), (Some(0), Some(1_795_259_037), false));
    }

    #[test]
    fn of_one_that_does_not_run_the_ports_are_those_it_asked_for() {
        let stopped = read_with(|said| said["NetworkSettings"]["Ports"] = json!({}));
        assert_eq!(stopped.ports, [Port { address: None, host: None, container: 8888 }]);
    }

    #[test]
    fn limits_are_read_however_they_were_set_and_none_is_none() {
        let host = |host: Value| read_with(|said| said["HostConfig"] = host);
        let quota = host(json!({"CpuQuota": 50000, "CpuPeriod": 100000}));
        assert_eq!(quota.cpus, Some(0.5));
        let none = host(json!({"NanoCpus": 0, "Memory": 0, "PidsLimit": -1, "CpuQuota": -1}));
        assert_eq!((none.cpus, none.memory, none.pids), (None, None, None));
        assert_eq!(host(json!({"PidsLimit": null})).pids, None);
        for (mode, network) in [
            ("", Network::Bridge),
            ("bridge", Network::Bridge),
            ("host", Network::Host),
            ("none", Network::None),
            ("lab", Network::Named("lab".into())),
        ] {
            assert_eq!(host(json!({"NetworkMode": mode})).network, network);
        }
    }

    #[test]
    fn an_answer_that_says_nothing_is_an_empty_container() {
        assert_eq!(container_detail(ContainerInspectResponse::default()), ContainerDetail::default());
    }
}
