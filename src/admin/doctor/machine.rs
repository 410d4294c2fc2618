//! Findings about the machine: its engine, driver and folders, the registries
//! that it needs, and the spec.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Check, Finding, Severity, count};
use crate::engine::{self, Container, ContainerState, EngineInfo, Image};
use crate::gpu::DriverState;
use crate::model::human::gib;
use crate::model::problem::Problem;
use crate::registry;
use crate::registry::credentials::{CredentialsError, Login, Source};
use crate::spec::Spec;

/// What a build on a framework image needs at the least.
const ROOM: u64 = 20 << 30;

/// Whether the engine answers. `how` says where the address came from.
pub(crate) fn engine(address: &str, how: &str, facts: &Result<EngineInfo, engine::Error>) -> Finding {
    match facts {
        Ok(facts) => Check::of("engine", address)
            .ok(format!("version {}, interface {} (address from {how})", facts.version, facts.api)),
        Err(error) => engine_error(address, error, &format!("{error} (address from {how})")),
    }
}

/// A call that failed while the engine as such is there.
pub(crate) fn engine_error(subject: &str, error: &engine::Error, message: &str) -> Finding {
    Finding { help: error.help(), ..Check::of("engine", subject).error(message) }
}

/// Whether it can build what is asked of it.
pub(crate) fn buildkit(address: &str, lacks: &Result<Vec<String>, engine::Error>) -> Finding {
    let check = Check::of("buildkit", address);
    match lacks {
        Ok(lacks) if lacks.is_empty() => check.ok("its BuildKit has all that builds need"),
        Ok(lacks) => check
            .error(format!("its BuildKit lacks {}", lacks.join(", ")))
            .help("images cannot be built here: use Docker Engine 20.10 or newer"),
        Err(error) => Finding { help: error.help(), ..check.error(error.to_string()) },
    }
}

/// How it keeps layers, and how it limits containers.
pub(crate) fn drivers(facts: &EngineInfo) -> [Finding; 2] {
    let check = Check::of("storage", &facts.storage_driver);
    let storage = match facts.storage_driver.as_str() {
        "overlay2" | "overlayfs" | "btrfs" | "zfs" => check.ok("layers are kept well"),
        "fuse-overlayfs" => check
            .note("layers are mounted by a program outside the kernel: every step, and with that every user's layer, takes longer")
            .help("use overlay2 where the kernel allows it (storage-driver in the engine's daemon.json)"),
        "vfs" => check
            .warning("every layer is a whole copy of the image: a person's layer costs as much as its base")
            .help("use overlay2 (storage-driver in the engine's daemon.json), or fuse-overlayfs"),
        _ => check.note("this storage driver was not tried").help("overlay2 is what figures were taken with"),
    };
    let check = Check::of("cgroups", &facts.cgroup_driver);
    let cgroups = match facts.cgroup_driver.as_str() {
        "systemd" => check.ok("containers lie in slices of their groups"),
        "cgroupfs" => check
            .note("containers have their limits, but lie in no slice of their group")
            .help("set native.cgroupdriver=systemd in the engine's daemon.json, if the machine runs systemd"),
        _ => check.warning("limits of containers may not be kept").help("use the cgroup driver systemd"),
    };
    [storage, cgroups]
}

/// Room where images are kept; bytes. `Err`: it cannot be asked.
pub(crate) fn space(root: &Path, free: Result<u64, String>, images: &[Image]) -> Finding {
    let check = Check::of("space", root.display().to_string());
    let free = match free {
        Ok(free) => free,
        Err(cause) => return check.note(format!("free space is unknown: {cause}")),
    };
    let largest = images.iter().map(|image| image.size).max().unwrap_or_default();
    let finding = if free < largest {
        check
            .error(format!("less room than the largest image takes, which is {}", gib(largest)))
            .help("builds are refused: remove images that nobody uses, or give the engine a larger disk")
    } else if free < ROOM {
        check
            .warning("little room is left")
            .help("framework images take 10 to 20 GiB: make room before the next one")
    } else {
        check.ok("there is room")
    };
    finding.bytes(free)
}

/// What lies on the engine.
pub(crate) fn counts(address: &str, images: &[Image], containers: &[Container]) -> Finding {
    let running = containers.iter().filter(|container| container.state == ContainerState::Running).count();
    Check::of("engine", address).ok(format!(
        "{}, {} ({running} running)",
        count(images.len(), "image"),
        count(containers.len(), "container")
    ))
}

/// How NVIDIA's driver is. GPUs are needed for containers with GPUs only:
/// whatever is wrong there, images are built.
pub(crate) fn gpu_driver(state: &DriverState) -> Finding {
    let (message, help) = state.describe();
    let severity = match state {
        DriverState::Ready { .. } => Severity::Ok,
        DriverState::NoLibrary { .. } => Severity::Note,
        _ => Severity::Warning,
    };
    let finding = Check::of("gpu", "NVML").finding(severity, message);
    Finding { help: help.map(str::to_owned), ..finding }
}

/// What a registry is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RegistryUse {
    /// Images are built on bases from there.
    Bases,
    /// Images of the spec live there.
    Images,
}

/// The registries of a spec, each with its more important use.
pub(crate) fn registries(spec: &Spec) -> BTreeMap<String, RegistryUse> {
    let mut hosts = BTreeMap::new();
    for base in &spec.bases {
        hosts.entry(base.source.reference().registry().to_owned()).or_insert(RegistryUse::Bases);
    }
    for host in spec.images.iter().filter_map(|image| image.repository.host()) {
        hosts.insert(host.to_owned(), RegistryUse::Images);
    }
    hosts
}

/// Whether a registry answers and lets us in.
pub(crate) fn registry(host: &str, used_for: RegistryUse, answer: &Result<(), registry::Error>) -> Finding {
    let check = Check::of("registry", host);
    let Err(error) = answer else { return check.ok("it answers and lets us in") };
    let message = error.to_string();
    let (finding, effect) = match used_for {
        RegistryUse::Images => {
            (check.error(message), "images of the spec cannot be fetched from it nor sent to it")
        }
        RegistryUse::Bases => {
            (check.warning(message), "bases from it can be used only where the engine has them")
        }
    };
    finding.help(error.help().map_or_else(|| effect.to_owned(), |help| format!("{effect}; {help}")))
}

/// Whether there is a login for it, and where; never what it is.
pub(crate) fn login(
    host: &str,
    used_for: RegistryUse,
    login: &Result<Option<(Login, Source)>, CredentialsError>,
) -> Finding {
    let check = Check::of("credentials", host);
    match login {
        Ok(Some((_, source))) => check.ok(format!("a login comes from {source}")),
        Ok(None) if used_for == RegistryUse::Images => check
            .note("there is no login")
            .help("pushing mostly needs one")
            .command(format!("docker login {host}")),
        Ok(None) => check.ok("there is no login, and mostly none is needed for bases"),
        Err(error) => check
            .warning(error.to_string())
            .help("correct that file, or install or unlock the helper that it names"),
    }
}

/// A folder that the program writes to.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// `locks`, `cache`, …
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    /// Nothing is built without it.
    pub(crate) needed: bool,
    /// Whether files can be made in it; the cause, if not.
    pub(crate) writable: Result<(), String>,
}

/// Whether it can be written to.
pub(crate) fn folder(folder: &Folder) -> Finding {
    let check = Check::of("folders", folder.path.display().to_string());
    let Err(cause) = &folder.writable else { return check.ok(format!("{} can be written", folder.name)) };
    let message = format!("{} cannot be written: {cause}", folder.name);
    let finding = if folder.needed { check.error(message) } else { check.warning(message) };
    finding.help(match folder.name {
        "locks" => "builds need it: correct its rights (1777, as /tmp), or set DS01_LOCK_DIR",
        "cache" => "everything is hashed anew each time: correct its rights, or set XDG_CACHE_HOME",
        _ => "correct its rights, or set XDG_STATE_HOME",
    })
}

/// There is a spec, and it is right.
pub(crate) fn valid_spec(file: &str, spec: &Spec) -> Finding {
    Check::of("spec", file).ok(format!(
        "{}, {}, {}",
        count(spec.images.len(), "image"),
        count(spec.projects.len(), "project"),
        count(spec.users.len(), "user")
    ))
}

/// There is no spec in sight.
pub(crate) fn no_spec() -> Finding {
    Check::of("spec", "spec.yml").note("there is none here or in a folder above").help(
        "what it would say of registries and users is not looked at; go to its folder, or say --spec FILE",
    )
}

/// What is wrong with the spec.
pub(crate) fn invalid_spec<'a>(file: &str, problems: impl IntoIterator<Item = &'a Problem>) -> Vec<Finding> {
    problems.into_iter().map(|problem| spec_problem("spec", file, problem)).collect()
}

/// Whether `users:` and the user database say the same.
pub(crate) fn users(file: &str, spec: &Spec, disagreements: &Result<Vec<Problem>, String>) -> Vec<Finding> {
    match disagreements {
        Ok(problems) if problems.is_empty() && spec.users.is_empty() => Vec::new(),
        Ok(problems) if problems.is_empty() => {
            let agree = "`users` and the user database agree where both know somebody";
            vec![Check::of("users", file).ok(agree)]
        }
        Ok(problems) => problems.iter().map(|problem| spec_problem("users", file, problem)).collect(),
        Err(why) => vec![
            Check::of("users", "user database")
                .warning(why.clone())
                .help("people are known by `users` alone: see whether `getent passwd LOGIN` answers"),
        ],
    }
}

fn spec_problem(check: &'static str, file: &str, problem: &Problem) -> Finding {
    let subject = problem.place.as_ref().map_or_else(
        || file.to_owned(),
        |place| {
            let (line, column) = place.line_column();
            format!("{}:{line}:{column}", place.file.path.display())
        },
    );
    Finding { help: problem.help.clone(), ..Check::of(check, subject).error(problem.message.clone()) }
}
