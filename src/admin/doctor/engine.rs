//! Findings about the engine: whether it is there, what it can, what it has.

use std::path::Path;

use super::Severity::{Error, Note, Ok, Warning};
use super::{Finding, count};
use crate::engine::{self, Container, ContainerState, Facts, Image};

const CHECK: &str = "engine";
/// What a build on a framework image needs at the least.
const ROOM: u64 = 20 << 30;
const GIB: f64 = (1_u64 << 30) as f64;

/// Whether it answers. `how` says where the address came from.
pub(crate) fn reached(address: &str, how: &str, facts: &Result<Facts, engine::Error>) -> Finding {
    match facts {
        Result::Ok(facts) => Finding::new(
            CHECK,
            Ok,
            address,
            format!("version {}, interface {} (address from {how})", facts.version, facts.api),
        ),
        Err(error) => failed(address, error, &format!("{error} (address from {how})")),
    }
}

/// Whether it can build what is asked of it.
pub(crate) fn buildkit(address: &str, lacks: &Result<Vec<String>, engine::Error>) -> Finding {
    match lacks {
        Result::Ok(lacks) if lacks.is_empty() => {
            Finding::new("buildkit", Ok, address, "its BuildKit has all that builds need")
        }
        Result::Ok(lacks) => {
            Finding::new("buildkit", Error, address, format!("its BuildKit lacks {}", lacks.join(", ")))
                .help("images cannot be built here: use Docker Engine 20.10 or newer")
        }
        Err(error) => {
            let said = failed(address, error, &error.to_string());
            Finding { check: "buildkit", ..said }
        }
    }
}

/// A call that failed while the engine as such is there.
pub(crate) fn failed(subject: &str, error: &engine::Error, message: &str) -> Finding {
    let finding = Finding::new(CHECK, Error, subject, message);
    match error.help() {
        Some(help) => finding.help(help),
        None => finding,
    }
}

/// How it keeps layers, and how it limits containers.
pub(crate) fn drivers(facts: &Facts) -> [Finding; 2] {
    [storage(&facts.storage_driver), cgroups(&facts.cgroup_driver)]
}

fn storage(driver: &str) -> Finding {
    let new = |severity, message: &str| Finding::new("storage", severity, driver, message);
    match driver {
        "overlay2" | "overlayfs" | "btrfs" | "zfs" => new(Ok, "layers are kept well"),
        "fuse-overlayfs" => {
            new(Note, "layers are mounted by a program outside the kernel: every step, and with that every user's layer, takes longer")
                .help("use overlay2 where the kernel allows it (storage-driver in the engine's daemon.json)")
        }
        "vfs" => new(Warning, "every layer is a whole copy of the image: a person's layer costs as much as its base")
            .help("use overlay2 (storage-driver in the engine's daemon.json), or fuse-overlayfs"),
        _ => new(Note, "this storage driver was not tried").help("overlay2 is what figures were taken with"),
    }
}

fn cgroups(driver: &str) -> Finding {
    let new = |severity, message: &str| Finding::new("cgroups", severity, driver, message);
    match driver {
        "systemd" => new(Ok, "containers lie in slices of their groups"),
        "cgroupfs" => new(Note, "containers have their limits, but lie in no slice of their group")
            .help("set native.cgroupdriver=systemd in the engine's daemon.json, if the machine runs systemd"),
        _ => new(Warning, "limits of containers may not be kept").help("use the cgroup driver systemd"),
    }
}

/// Room where images are kept; bytes. `Err`: it cannot be asked.
pub(crate) fn space(root: &Path, free: Result<u64, String>, images: &[Image]) -> Finding {
    let subject = root.display().to_string();
    let new = |severity, message: String| Finding::new("space", severity, &subject, message);
    let free = match free {
        Result::Ok(free) => free,
        Err(cause) => return new(Note, format!("free space is unknown: {cause}")),
    };
    let largest = images.iter().map(|image| image.size).max().unwrap_or_default();
    let finding = match free {
        _ if free < largest => {
            new(Error, format!("less room than the largest image takes, which is {}", gib(largest)))
                .help("builds are refused: remove images that nobody uses, or give the engine a larger disk")
        }
        _ if free < ROOM => new(Warning, "little room is left".into())
            .help("framework images take 10 to 20 GiB: make room before the next one"),
        _ => new(Ok, "there is room".into()),
    };
    finding.bytes(free)
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / GIB)
}

/// What lies on it.
pub(crate) fn counts(address: &str, images: &[Image], containers: &[Container]) -> Finding {
    let running = containers.iter().filter(|container| container.state == ContainerState::Running).count();
    let message = format!(
        "{}, {} ({running} running)",
        count(images.len(), "image"),
        count(containers.len(), "container")
    );
    Finding::new(CHECK, Ok, address, message)
}
