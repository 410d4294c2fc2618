//! A library that stands in for NVIDIA's, for any test that needs GPUs: it is
//! loaded and called as the real one is, and answers from a text that may
//! change between two calls (see `library.rs`).

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// Compiled once for each program of tests.
static COMPILED: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let (source, library) = (folder.path().join("nvml.rs"), folder.path().join("libnvml.so"));
    std::fs::write(&source, include_str!("library.rs")).unwrap();
    let rustc = option_env!("RUSTC").map_or_else(|| PathBuf::from("rustc"), PathBuf::from);
    let output = Command::new(rustc)
        .args(["--edition=2021", "--crate-type=cdylib", "-O", "-o"])
        .args([&library, &source])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(library).unwrap()
});

/// A stand-in library, gone when it is dropped.
pub struct Nvml {
    folder: tempfile::TempDir,
}

impl Nvml {
    /// One that answers by this text.
    pub fn new(description: &str) -> Self {
        let nvml = Self { folder: tempfile::tempdir().unwrap() };
        nvml.say(description);
        std::fs::write(nvml.library(), &*COMPILED).unwrap();
        nvml
    }

    /// From now on it answers by this text.
    pub fn say(&self, description: &str) {
        let new = self.folder.path().join("new");
        std::fs::write(&new, description).unwrap();
        std::fs::rename(new, self.folder.path().join("libnvml.so.txt")).unwrap();
    }

    /// What is to be loaded.
    pub fn library(&self) -> PathBuf {
        self.folder.path().join("libnvml.so")
    }
}

/// The UUID of a GPU here.
pub fn gpu(index: u32) -> String {
    format!("GPU-{index:08}-0000-4000-8000-00000000000{index}")
}

/// The UUID of a MIG instance here.
pub fn mig(gpu: u32, instance: u32) -> String {
    format!("MIG-{gpu:04}{instance:04}-0000-5000-8000-00000000000{gpu}")
}

/// A driver with so many whole GPUs, on which nothing runs.
pub fn whole(gpus: u32) -> String {
    let mut text = format!("machine driver 570.86.15\nmachine gpus {gpus}\n");
    for index in 0..gpus {
        text += &card(index, 0);
        writeln!(text, "{index} utilization 0").unwrap();
    }
    text
}

/// A driver with so many GPUs, each divided into seven.
pub fn divided(gpus: u32) -> String {
    let mut text = format!("machine driver 570.86.15\nmachine gpus {gpus}\n");
    for index in 0..gpus {
        text += &card(index, 1);
        for instance in 0..7 {
            let (what, uuid) = (format!("{index}.{instance}"), mig(index, instance));
            writeln!(text, "{what} uuid {uuid}\n{what} name NVIDIA A100 80GB PCIe MIG 1g.10gb").unwrap();
            writeln!(text, "{what} slices 1\n{what} memory 13000000 10200547328").unwrap();
        }
    }
    text
}

fn card(index: u32, mode: u32) -> String {
    let uuid = gpu(index);
    format!(
        "{index} uuid {uuid}\n{index} name NVIDIA A100 80GB PCIe\n{index} memory 456000000 85899345920\n\
         {index} compute 0\n{index} mig {mode}\n"
    )
}
