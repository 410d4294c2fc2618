//! The GPUs of one container: what it is given, and how it gets it. Pure but
//! for the groups and kinds of device files, none of which is opened.
//!
//! NVIDIA's are chosen by what NVML showed. NVML knows nothing of AMD's: a
//! container gets all that the machine has of them or none, and who holds them
//! is what labels say.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{DeployRefusal, DeployRequest, Snapshot, limits};
use crate::engine::{Container, DeviceRequest, ImageDetail};
use crate::gpu::attach::{self, Attachment};
use crate::gpu::choose::{self, Choice, Equivalents};
use crate::gpu::overview::WHOLE;
use crate::gpu::request::GpuRequest;
use crate::model::labels::write::Gpus;
use crate::model::labels::{ARCH, GPU_SLOTS, read};

/// The kernel's way to AMD's GPUs for computing, and their device files.
const AMD_FILES: [&str; 2] = ["/dev/kfd", "/dev/dri"];

/// AMD's number among makers of PCI devices.
const AMD_VENDOR: &str = "0x1002";
const OTHERS_READ_AND_WRITE: u32 = 0o006;

/// Architecture classes of images for AMD's GPUs begin so.
const AMD: &str = "ROCM";

/// Device files of the engine's machine, as far as they decide something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeviceFiles {
    /// Groups that NVIDIA's files are kept for; none where everybody may use them.
    pub(crate) nvidia_groups: BTreeSet<u32>,
    /// `None`: the machine has no GPU of AMD's, or none that computes.
    pub(crate) amd: Option<Amd>,
}

/// AMD's GPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amd {
    /// One for each GPU: `renderD128`.
    pub(crate) nodes: BTreeSet<String>,
    /// Groups that their files are kept for.
    pub(crate) groups: BTreeSet<u32>,
}

/// What is there, below `/`; what cannot be read is not there.
pub(crate) fn read_device_files(root: &Path) -> DeviceFiles {
    let nvidia = names(&root.join("dev")).into_iter().filter(|name| name.starts_with("nvidia"));
    DeviceFiles {
        nvidia_groups: nvidia.filter_map(|name| group(&root.join("dev").join(name))).collect(),
        amd: root.join("dev/kfd").exists().then(|| amd(root)),
    }
}

fn amd(root: &Path) -> Amd {
    let class = root.join("sys/class/drm");
    let made_by_amd = |name: &str| {
        let vendor = std::fs::read_to_string(class.join(name).join("device/vendor"));
        vendor.is_ok_and(|vendor| vendor.trim() == AMD_VENDOR)
    };
    let files: Vec<String> =
        names(&root.join("dev/dri")).into_iter().filter(|name| made_by_amd(name)).collect();
    let groups = files.iter().map(|name| root.join("dev/dri").join(name));
    Amd {
        groups: groups.chain([root.join("dev/kfd")]).filter_map(|path| group(&path)).collect(),
        nodes: files.into_iter().filter(|name| name.starts_with("renderD")).collect(),
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The group that a file is kept for. Root's is given to nobody.
fn group(path: &Path) -> Option<u32> {
    let file = std::fs::metadata(path).ok().filter(|file| !file.is_dir())?;
    let open = file.mode() & OTHERS_READ_AND_WRITE == OTHERS_READ_AND_WRITE;
    let for_group = file.mode() & 0o060 == 0o060;
    (!open && for_group && file.gid() != 0).then_some(file.gid())
}

/// What goes into the request for a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GpuParts {
    /// `None`: no GPU.
    pub(crate) labels: Option<Gpus>,
    pub(crate) requests: Vec<DeviceRequest>,
    pub(crate) devices: Vec<String>,
    /// Numbers: a name that the image does not have makes the start fail.
    pub(crate) groups: Vec<String>,
    pub(crate) runtime: Option<String>,
    pub(crate) env: Vec<String>,
}

/// Chooses, within what the owner may use.
///
/// # Errors
/// The owner may not use so much, it is not free, or it cannot be decided.
pub(super) fn assign(request: &DeployRequest, snapshot: &Snapshot) -> Result<GpuParts, DeployRefusal> {
    let wanted = &request.options.gpus;
    if *wanted == GpuRequest::Nothing {
        return Ok(without_nvidia(request, snapshot));
    }
    if let Some(arch) = amd_class(request) {
        return assign_amd(request, snapshot, arch);
    }
    let overview = snapshot.gpus.as_ref().ok_or(DeployRefusal::GpusUnseen)?;
    // What the request alone says is checked first: who may not have it need not
    // be told that it is not free either.
    if let Some((count, sevenths)) = limits::certain(wanted) {
        limits::units(request, snapshot, count, sevenths)?;
    }
    let choice = choose::choose(wanted, overview).map_err(DeployRefusal::Gpus)?;
    limits::units(request, snapshot, choice.units.len().try_into().unwrap_or(u32::MAX), choice.sevenths())?;
    let method = snapshot.gaps.attach.unwrap_or_else(|| attach::best_method(&snapshot.engine, &choice));
    Ok(GpuParts {
        labels: Some(labels(&choice)),
        groups: snapshot.device_files.nvidia_groups.iter().map(ToString::to_string).collect(),
        ..attached(request, attach::attach(method, &choice))
    })
}

/// An engine with NVIDIA's runtime as default gives every GPU unless it is
/// told not to.
fn without_nvidia(request: &DeployRequest, snapshot: &Snapshot) -> GpuParts {
    let nothing = Choice::default();
    let method = snapshot.gaps.attach.unwrap_or_else(|| attach::best_method(&snapshot.engine, &nothing));
    attached(request, attach::attach(method, &nothing))
}

fn attached(request: &DeployRequest, attachment: Attachment) -> GpuParts {
    let Attachment { requests, runtime, mut env, defaults } = attachment;
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let said: BTreeSet<_> =
        request.image.env.iter().chain(&request.options.env).map(|pair| name(pair)).collect();
    env.extend(defaults.into_iter().filter(|pair| !said.contains(&name(pair))));
    GpuParts { requests, runtime, env, ..GpuParts::default() }
}

fn labels(choice: &Choice) -> Gpus {
    Gpus {
        uuids: choice.uuids(),
        slots: choice.units.iter().map(|unit| unit.slot.clone()).collect(),
        equivalents: Equivalents(choice.sevenths()).to_string(),
    }
}

/// Whether an image's GPUs are AMD's, which NVML knows nothing of.
pub(crate) fn is_for_amd(image: &ImageDetail) -> bool {
    read::text(&image.labels, &ARCH).is_some_and(|arch| arch.starts_with(AMD))
}

/// The architecture class of an image for AMD's GPUs.
fn amd_class(request: &DeployRequest) -> Option<&str> {
    read::text(&request.image.labels, &ARCH).filter(|arch| arch.starts_with(AMD))
}

fn assign_amd(request: &DeployRequest, snapshot: &Snapshot, arch: &str) -> Result<GpuParts, DeployRefusal> {
    let arch = arch.to_owned();
    let amd = snapshot.device_files.amd.as_ref().filter(|amd| !amd.nodes.is_empty());
    let Some(amd) = amd else { return Err(DeployRefusal::NoAmd { arch }) };
    let count = u32::try_from(amd.nodes.len()).unwrap_or(u32::MAX);
    if request.options.gpus != (GpuRequest::Whole { count, memory: None }) {
        return Err(DeployRefusal::AmdTogether { arch, count });
    }
    limits::units(request, snapshot, count, count.saturating_mul(WHOLE))?;
    let holders = snapshot.containers.iter().filter(|one| amd_held(one).is_some());
    let holders: Vec<_> = holders.map(|one| one.name.clone()).collect();
    if !holders.is_empty() {
        return Err(DeployRefusal::AmdHeld { holders });
    }
    Ok(GpuParts {
        labels: Some(Gpus {
            uuids: Vec::new(),
            slots: amd.nodes.iter().cloned().collect(),
            equivalents: count.to_string(),
        }),
        devices: AMD_FILES.map(str::to_owned).to_vec(),
        groups: amd.groups.iter().map(ToString::to_string).collect(),
        ..without_nvidia(request, snapshot)
    })
}

/// How many of AMD's GPUs a container holds, by its labels.
pub(crate) fn amd_held(container: &Container) -> Option<u32> {
    let slots = read::text(&container.labels, &GPU_SLOTS)?;
    let count = slots.split(',').filter(|slot| slot.trim().starts_with("renderD")).count();
    u32::try_from(count).ok().filter(|count| *count > 0)
}

/// The variables that were asked for, which must not be ones that GPUs are
/// given by.
///
/// # Errors
/// One of them is.
pub(super) fn env(request: &DeployRequest) -> Result<Vec<String>, DeployRefusal> {
    // NVIDIA's runtime gives by these too, the last by a site's configuration.
    let gives = |name: &str| {
        name == attach::VISIBLE
            || name.starts_with("NVIDIA_MIG_")
            || name == "NVIDIA_IMEX_CHANNELS"
            || name.starts_with("DOCKER_RESOURCE_")
    };
    let names = request.options.env.iter().map(|pair| pair.split('=').next().unwrap_or_default());
    match names.into_iter().find(|name| gives(name)) {
        Some(name) => Err(DeployRefusal::GivenByEnv { name: name.to_owned() }),
        None => Ok(request.options.env.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::{PermissionsExt, chown};

    use super::*;

    fn file(root: &Path, path: &str, mode: u32, gid: u32) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "0x1002\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        chown(&path, None, Some(gid)).unwrap();
    }

    #[test]
    fn a_machine_without_gpus_has_nothing() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(read_device_files(root.path()), DeviceFiles::default());
    }

    #[test]
    fn only_groups_that_files_are_kept_for_are_needed() {
        if !rustix::process::getuid().is_root() {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        file(root, "dev/nvidia0", 0o666, 44);
        assert_eq!(read_device_files(root), DeviceFiles::default());
        file(root, "dev/nvidia1", 0o660, 44);
        file(root, "dev/nvidiactl", 0o660, 0);
        file(root, "dev/nvidia-caps", 0o400, 45);
        assert_eq!(read_device_files(root).nvidia_groups, BTreeSet::from([44]));
    }

    #[test]
    fn amds_gpus_are_told_from_others_by_their_maker() {
        if !rustix::process::getuid().is_root() {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        file(root, "dev/kfd", 0o660, 109);
        file(root, "dev/dri/renderD128", 0o660, 109);
        file(root, "dev/dri/card0", 0o660, 44);
        file(root, "dev/dri/renderD129", 0o660, 110);
        for name in ["renderD128", "card0"] {
            file(root, &format!("sys/class/drm/{name}/device/vendor"), 0o444, 0);
        }
        let amd = read_device_files(root).amd.unwrap();
        assert_eq!(amd.nodes, BTreeSet::from(["renderD128".to_owned()]));
        assert_eq!(amd.groups, BTreeSet::from([44, 109]));
    }
}
