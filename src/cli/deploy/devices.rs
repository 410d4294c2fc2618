//! Device files of this machine that a container with GPUs needs.
//!
//! Only their groups and kinds are read; nothing is opened.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::deploy::{Amd, DeviceFiles};

/// AMD's number among makers of PCI devices.
const AMD_VENDOR: &str = "0x1002";
const OTHERS_READ_AND_WRITE: u32 = 0o006;

/// What is there, below `/`; what cannot be read is not there.
pub(crate) fn read(root: &Path) -> DeviceFiles {
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
        assert_eq!(read(root.path()), DeviceFiles::default());
    }

    #[test]
    fn only_groups_that_files_are_kept_for_are_needed() {
        if !rustix::process::getuid().is_root() {
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        file(root, "dev/nvidia0", 0o666, 44);
        assert_eq!(read(root), DeviceFiles::default());
        file(root, "dev/nvidia1", 0o660, 44);
        file(root, "dev/nvidiactl", 0o660, 0);
        file(root, "dev/nvidia-caps", 0o400, 45);
        assert_eq!(read(root).nvidia_groups, BTreeSet::from([44]));
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
        let amd = read(root).amd.unwrap();
        assert_eq!(amd.nodes, BTreeSet::from(["renderD128".to_owned()]));
        assert_eq!(amd.groups, BTreeSet::from([44, 109]));
    }
}
