//! What this machine says of its architecture class: files that CUDA and ROCm
//! leave. What they mean is `catalog::host`'s business.

use std::path::{Path, PathBuf};

use crate::spec::catalog::HostArch;
use crate::spec::catalog::host::{self, ToolkitFiles, VersionFile};
use crate::spec::files::{Disk, Files};

/// CUDA's own place, and Debian's.
const CUDA: [&str; 4] = [
    "usr/local/cuda/version.json",
    "usr/local/cuda/version.txt",
    "usr/lib/cuda/version.json",
    "usr/lib/cuda/version.txt",
];
const ROCM: [&str; 1] = ["opt/rocm/.info/version"];

/// Such a file has some hundred bytes, CUDA's newer ones a few thousand.
const MAX: u64 = 1 << 20;

/// The class of the machine whose file system begins at `root`.
pub(crate) fn read(root: &Path, mlc_arch: Option<String>) -> HostArch {
    let first = |files: &[&str]| {
        let clue = |file: PathBuf| {
            let bytes = Disk.read(&file, MAX).ok()?;
            Some(VersionFile { file, text: String::from_utf8_lossy(&bytes).into_owned() })
        };
        files.iter().find_map(|file| clue(root.join(file)))
    };
    host::host(&ToolkitFiles { mlc_arch, cuda: first(&CUDA), rocm: first(&ROCM) })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn arch(host: &HostArch) -> &str {
        match host {
            HostArch::Known { arch, .. } => arch,
            HostArch::Unknown(why) => panic!("{why}"),
        }
    }

    #[test]
    fn the_files_of_a_machine_are_found() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let file = root.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        assert!(matches!(read(root.path(), None), HostArch::Unknown(_)));
        put("opt/rocm/.info/version", "6.2.0-66\n");
        assert_eq!(arch(&read(root.path(), None)), "ROCM6");
        put("usr/lib/cuda/version.txt", "CUDA Version 11.8.89\n");
        assert_eq!(arch(&read(root.path(), None)), "CUDA_AMPERE");
        put("usr/local/cuda/version.json", r#"{"cuda": {"version": "12.9.1"}}"#);
        assert_eq!(arch(&read(root.path(), None)), "CUDA_BLACKWELL");
        assert_eq!(arch(&read(root.path(), Some("CUDA_ADA".into()))), "CUDA_ADA");
    }
}
