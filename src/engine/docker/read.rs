//! What the engine answers, in our words. Pure.

use std::collections::BTreeSet;

use bollard::models::{ContainerSummary, DeviceInfo, ImageInspect, ImageSummary, SystemInfo};

use crate::engine::{Container, Facts, Image, ImageDetail};
use crate::model::names::ImageId;
use crate::model::reference::Reference;

/// `/info` has all of it: `/version` would say the platform in OCI's words,
/// and costs as much again.
pub(crate) fn facts(info: SystemInfo, local: bool) -> Facts {
    let root = info.docker_root_dir.unwrap_or_default();
    // An engine without an id (Podman) is told from others by its host and folder.
    let id = info.id.filter(|id| !id.is_empty());
    let os = info.os_type.filter(|os| !os.is_empty()).unwrap_or_else(|| "linux".into());
    let arch = info.architecture.unwrap_or_default();
    Facts {
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
        default_runtime: info.default_runtime.unwrap_or_default(),
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

pub(crate) fn detail(image: ImageInspect) -> ImageDetail {
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

/// `<none>:<none>` and its like are not references.
fn references(names: &[String]) -> Vec<Reference> {
    names.iter().filter_map(|name| Reference::parse(name).ok()).collect()
}

fn size(bytes: i64) -> u64 {
    bytes.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
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
        let facts = facts(info, false);
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
        let facts = facts(serde_json::from_value(info).unwrap(), true);
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
            assert_eq!(facts(info, false).platform, format!("linux/{oci}"));
        }
    }
}
