//! What of a request a real engine keeps, read from the container as it was
//! created: without its driver it refuses to start one that asks for a GPU.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::base::{BASE, base};
use super::client::docker;
use crate::engine::address::Address;
use crate::engine::buildkit::Builder;
use crate::engine::docker::Docker;
use crate::engine::{CreateContainer, DeviceRequest, Engine, Network, Port};
use crate::registry::credentials::Credentials;

fn inspect(container: &str) -> Value {
    let all: Value = serde_json::from_str(&docker(&["container", "inspect", container])).unwrap();
    all[0].clone()
}

/// A container that is never started.
struct Created(String);

impl Drop for Created {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}

#[tokio::test]
async fn gpus_are_attached_as_they_were_chosen() {
    base();
    let address = Address::Unix("/var/run/docker.sock".into());
    let engine = Docker::connect(Builder::new(&address, Credentials::default())).await.unwrap();
    let name = |what: &str| format!("deploying-{}-{what}", std::process::id());
    let strings = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let plain = |what: &str| CreateContainer {
        name: name(what),
        image: BASE.into(),
        labels: BTreeMap::from([("ds01.managed".into(), "false".into())]),
        user: "1722830498:1722830499".into(),
        workdir: "/workspace".into(),
        network: Network::None,
        memory: Some(64 << 20),
        ..CreateContainer::default()
    };
    let nvidia = CreateContainer {
        device_requests: vec![DeviceRequest {
            driver: "nvidia".into(),
            count: 0,
            ids: strings(&["GPU-1", "MIG-2"]),
            capabilities: vec![strings(&["gpu"])],
        }],
        group_add: strings(&["44"]),
        ..plain("nvidia")
    };
    engine.create(&nvidia).await.unwrap();
    let _nvidia = Created(nvidia.name.clone());
    let host = inspect(&nvidia.name)["HostConfig"].clone();
    let request = &host["DeviceRequests"];
    assert_eq!(request.as_array().unwrap().len(), 1);
    assert_eq!((&request[0]["Driver"], &request[0]["Count"]), (&json!("nvidia"), &json!(0)));
    assert_eq!(request[0]["DeviceIDs"], json!(["GPU-1", "MIG-2"]));
    assert_eq!(request[0]["Capabilities"], json!([["gpu"]]));
    assert_eq!((&host["GroupAdd"], &host["NetworkMode"]), (&json!(["44"]), &json!("none")));
    assert_eq!(host["MemorySwap"], -1, "swap has no limit where none is said");

    let amd = CreateContainer { devices: strings(&["/dev/kfd", "/dev/dri"]), ..plain("amd") };
    engine.create(&amd).await.unwrap();
    let _amd = Created(amd.name.clone());
    let host = inspect(&amd.name)["HostConfig"].clone();
    let device = |path: &str| json!({"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rw"});
    assert_eq!(host["Devices"], json!([device("/dev/kfd"), device("/dev/dri")]));
    assert_eq!(host["DeviceRequests"], json!(null));
}

#[tokio::test]
async fn a_port_without_an_address_is_for_every_address() {
    base();
    let address = Address::Unix("/var/run/docker.sock".into());
    let engine = Docker::connect(Builder::new(&address, Credentials::default())).await.unwrap();
    let request = CreateContainer {
        name: format!("deploying-{}-ports", std::process::id()),
        image: BASE.into(),
        ports: vec![Port { address: None, host: Some(18888), container: 8888 }],
        ..CreateContainer::default()
    };
    engine.create(&request).await.unwrap();
    let _created = Created(request.name.clone());
    let found = inspect(&request.name);
    assert_eq!(found["Config"]["ExposedPorts"], json!({"8888/tcp": {}}));
    assert_eq!(
        found["HostConfig"]["PortBindings"],
        json!({"8888/tcp": [{"HostIp": "", "HostPort": "18888"}]})
    );
}
