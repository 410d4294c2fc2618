//! What we ask of the engine, in its words. Pure.

use std::collections::BTreeSet;

use bollard::models::{
    ContainerCreateBody, DeviceMapping, DeviceRequest, HostConfig, Mount, MountType, PortBinding, PortMap,
    ResourcesUlimits,
};

use crate::engine::{self, CreateContainer, Network, Port};
use crate::model::reference::Reference;

const ID_DIGITS: usize = 64;

/// An image's name as a part of a path; `None` for text that can name none,
/// so that nothing typed reaches another path of the interface.
pub(crate) fn image_name(name: &str) -> Option<String> {
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    let id = hex.len() <= ID_DIGITS && !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    // A reference is sent in its short form, which the engine knows it by.
    if id { Some(name.to_owned()) } else { Reference::parse(name).ok().map(|r| r.to_string()) }
}

/// Everything of a container in one request.
pub(crate) fn body(request: &CreateContainer) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(request.image.clone()),
        hostname: request.hostname.clone(),
        user: Some(request.user.clone()),
        working_dir: Some(request.workdir.clone()),
        env: Some(request.env.clone()),
        cmd: request.command.clone(),
        labels: Some(request.labels.clone().into_iter().collect()),
        tty: Some(request.tty),
        open_stdin: Some(request.tty),
        stop_signal: request.stop_signal.clone(),
        exposed_ports: exposed(&request.ports),
        host_config: Some(host_config(request)),
        ..Default::default()
    }
}

fn host_config(request: &CreateContainer) -> HostConfig {
    let memory = request.memory.map(bytes);
    HostConfig {
        nano_cpus: request.cpus.map(nano_cpus),
        memory,
        memory_swap: memory_swap(request),
        shm_size: request.shm_size.map(bytes),
        pids_limit: request.pids.map(i64::from),
        cgroup_parent: request.cgroup_parent.clone(),
        ulimits: Some(request.ulimits.iter().map(ulimit).collect()),
        group_add: Some(request.group_add.clone()),
        security_opt: request.no_new_privileges.then(|| vec!["no-new-privileges".to_owned()]),
        mounts: Some(request.mounts.iter().map(mount).collect()),
        init: Some(request.init),
        network_mode: Some(network(&request.network).to_owned()),
        port_bindings: bindings(&request.ports),
        cap_add: some(request.capabilities.iter().cloned()),
        device_requests: some(request.device_requests.iter().map(device_request)),
        devices: some(request.devices.iter().map(|path| device(path))),
        runtime: request.runtime.clone(),
        ..Default::default()
    }
}

/// `None`: there is nothing to send.
fn some<T>(list: impl Iterator<Item = T>) -> Option<Vec<T>> {
    Some(list.collect()).filter(|list: &Vec<T>| !list.is_empty())
}

/// Memory and swap together, as the engine counts: equal to memory means no
/// swap, unset would mean as much again, and -1 is no limit.
fn memory_swap(request: &CreateContainer) -> Option<i64> {
    let memory = request.memory?;
    Some(request.swap.map_or(-1, |swap| bytes(memory.saturating_add(swap))))
}

fn network(network: &Network) -> &str {
    match network {
        Network::Bridge => "bridge",
        Network::Host => "host",
        Network::None => "none",
        Network::Named(name) => name,
    }
}

fn tcp(port: u16) -> String {
    format!("{port}/tcp")
}

fn exposed(ports: &[Port]) -> Option<Vec<String>> {
    let ports: BTreeSet<_> = ports.iter().map(|port| port.container).collect();
    some(ports.into_iter().map(tcp))
}

fn bindings(ports: &[Port]) -> Option<PortMap> {
    let mut map = PortMap::new();
    for port in ports {
        let binding = PortBinding {
            host_ip: port.address.clone(),
            // Empty: the engine takes a free one.
            host_port: Some(port.host.map(|host| host.to_string()).unwrap_or_default()),
        };
        map.entry(tcp(port.container)).or_default().get_or_insert_default().push(binding);
    }
    (!map.is_empty()).then_some(map)
}

fn device_request(request: &engine::DeviceRequest) -> DeviceRequest {
    let engine::DeviceRequest { driver, count, ids, capabilities } = request.clone();
    DeviceRequest {
        driver: Some(driver),
        // An engine takes either names or a number.
        count: ids.is_empty().then_some(count),
        device_ids: Some(ids).filter(|ids| !ids.is_empty()),
        capabilities: Some(capabilities),
        options: None,
    }
}

/// At the same path, for reading and writing; not to make more of its kind.
fn device(path: &str) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(path.to_owned()),
        path_in_container: Some(path.to_owned()),
        cgroup_permissions: Some("rw".into()),
    }
}

/// A billionth of a CPU is the engine's unit; less than one would read as no
/// limit at all.
fn nano_cpus(cpus: f64) -> i64 {
    ((cpus * 1e9).round() as i64).max(1)
}

fn bytes(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn ulimit((name, (soft, hard)): (&String, &(i64, i64))) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.clone()), soft: Some(*soft), hard: Some(*hard) }
}

fn mount(mount: &engine::Mount) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(mount.source.to_string_lossy().into_owned()),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_typed_reaches_another_path() {
        for name in ["../containers/json", "x?force=1", "a b", "", "x/../../y", "sha256:../x"] {
            assert_eq!(image_name(name), None, "{name}");
        }
        assert_eq!(image_name("debian").as_deref(), Some("debian:latest"));
        assert_eq!(image_name("reg.local:5000/x/y:v1").as_deref(), Some("reg.local:5000/x/y:v1"));
        assert_eq!(image_name("0123abcd").as_deref(), Some("0123abcd"));
    }

    #[test]
    fn a_tiny_share_of_a_cpu_is_still_a_limit() {
        assert_eq!(nano_cpus(1.5), 1_500_000_000);
        assert_eq!(nano_cpus(1e-12), 1);
    }
}
