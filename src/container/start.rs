//! Starting a container: whether it can have its GPUs back, what to do where it
//! cannot, and whether its program runs at all.
//!
//! A container of ours keeps its GPUs while it is stopped, but only we know
//! that: other tools give them away, and machines change.

use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use super::installed_packages::quoted;
use crate::engine::{Container, Engine, Error, Logs};
use crate::gpu::DriverState;
use crate::gpu::claims::{Claim, GpuClaim};
use crate::gpu::overview::{Availability, GpuProcess, GpuUsage, Holder, Overview};
use crate::host::people::Caller;
use crate::model::labels::read::{self, LoginOfUid, OwnerName};
use crate::model::labels::{GPUS, IMAGE, PROJECT, WORK_MOUNT};

/// How long a program that cannot run at all takes to show it, as a share of
/// what its start took: 14 to 36 in a hundred were measured on a busy machine.
const SHARE: f64 = 0.4;
/// Whatever the start took.
const LEAST: Duration = Duration::from_millis(60);
const MOST: Duration = Duration::from_millis(500);

/// Somebody's own words may be mistyped: nobody is to read that they run when
/// they do not.
const CLOSELY: Duration = Duration::from_secs(1);

/// Of a program that ended at once, and how long they are waited for.
const LAST_LINES: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(5);

/// What inits and shells say of a program that they cannot run.
const CANNOT_RUN: [i64; 2] = [126, 127];

/// Why a container cannot have its GPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// There is no driver that knows of any.
    Driver(DriverState),
    /// The machine does not show it; as the container names it.
    Gone(String),
    /// It cannot be used, by anybody.
    Useless { unit: String, why: String },
    /// Another container has it.
    Held { unit: String, by: Holder },
    /// A process outside of containers computes on it.
    Busy { unit: String, process: GpuProcess },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver(_) => f.write_str("the GPUs of this machine cannot be seen"),
            Self::Gone(device) => write!(f, "this machine has no {device} any more"),
            Self::Useless { unit, why } => write!(f, "{unit} cannot be used: {why}"),
            Self::Held { unit, by } => {
                write!(f, "{unit} is held by `{}`", by.container)?;
                match &by.owner {
                    Some(owner) => write!(f, " of {owner} ({})", by.state),
                    None => write!(f, " ({})", by.state),
                }
            }
            Self::Busy { unit, process } => {
                write!(f, "process {}", process.process.pid)?;
                if let Some(name) = &process.process.name {
                    write!(f, " ({name})")?;
                }
                match &process.user {
                    Some(user) => write!(f, " of {user} computes on {unit}"),
                    None => write!(f, " computes on {unit}"),
                }
            }
        }
    }
}

/// What a container will have when it runs. Its labels say it; of one without
/// such labels the engine is asked what it was created with, and that is put
/// among the claims, where a stopped one of those claims nothing.
///
/// # Errors
/// The engine cannot be asked.
pub(crate) async fn claim(
    engine: &dyn Engine,
    container: &Container,
    claims: &mut [GpuClaim],
) -> Result<Claim, Error> {
    let own = claims.iter_mut().find(|one| one.container.id == container.id);
    if let Some(claim) = Claim::from_labels(&container.labels).filter(|_| container.is_managed()) {
        return Ok(claim);
    }
    let Some(detail) = engine.container(&container.id).await? else { return Ok(Claim::default()) };
    let full = GpuClaim::from_devices(container.clone(), &detail.devices);
    let claim = full.claim.clone();
    if let Some(own) = own {
        *own = full;
    }
    Ok(claim)
}

/// All that keeps a container from its GPUs; nothing where it claims none. The
/// overview was made with this claim among the claims.
pub(crate) fn obstacles(container: &Container, claim: &Claim, overview: &Overview) -> Vec<Obstacle> {
    if claim.is_empty() {
        return Vec::new();
    }
    if !matches!(overview.driver, DriverState::Ready { .. }) {
        return vec![Obstacle::Driver(overview.driver.clone())];
    }
    let gone = overview.gone.iter().filter(|gone| gone.container == container.name);
    let mut all: Vec<_> = gone.map(|gone| Obstacle::Gone(gone.device.clone())).collect();
    if overview.gpus.is_empty() {
        let named = claim.names.iter().cloned();
        all.extend(named.chain(claim.names.is_empty().then(|| "GPU".to_owned())).map(Obstacle::Gone));
    }
    let name = container.name.as_str();
    let is_claimed = |usage: &GpuUsage| usage.holders.iter().any(|holder| holder.container == name);
    for gpu in &overview.gpus {
        if is_claimed(&gpu.usage) {
            // What is true of the whole GPU holds for its instances.
            let unit = format!("GPU {}", gpu.index);
            all.extend(obstacles_of(&unit, name, &gpu.usage, gpu.unreadable.get("processes")));
            continue;
        }
        for part in gpu.instances.iter().filter(|part| is_claimed(&part.usage)) {
            let unit = format!("MIG instance {}", part.slot);
            all.extend(obstacles_of(&unit, name, &part.usage, part.unreadable.get("processes")));
        }
    }
    all
}

/// What keeps a container of this name from one GPU or instance. `unreadable`:
/// why its processes could not be read.
fn obstacles_of(unit: &str, name: &str, usage: &GpuUsage, unreadable: Option<&String>) -> Vec<Obstacle> {
    let cause = |otherwise: &str| usage.why.clone().unwrap_or_else(|| otherwise.to_owned());
    let why = match usage.availability {
        Availability::Free | Availability::Held | Availability::Busy => {
            // What is not known is not free.
            unreadable.map(|why| format!("its processes cannot be read: {why}"))
        }
        Availability::Divided => Some("it was divided into MIG instances".into()),
        Availability::NoInstances => Some("it is in MIG mode without instances".into()),
        Availability::Prohibited => Some("its compute mode lets nobody compute".into()),
        Availability::Lost => Some(cause("it does not work")),
        Availability::Unknown => Some(cause("its state cannot be read")),
    };
    let unit = unit.to_owned();
    if let Some(why) = why {
        return vec![Obstacle::Useless { unit, why }];
    }
    let others = usage.holders.iter().filter(|holder| holder.container != name);
    let held = others.map(|by| Obstacle::Held { unit: unit.clone(), by: by.clone() });
    let foreign = usage.processes.iter().flatten().filter(|one| one.is_foreign());
    let busy = foreign.map(|process| Obstacle::Busy { unit: unit.clone(), process: process.clone() });
    held.chain(busy).collect()
}

/// The commands that make such a container anew, with GPUs that are free: from
/// what its labels say of it.
pub(crate) fn again(container: &Container, caller: &Caller, users: LoginOfUid<'_>) -> Vec<String> {
    let labels = &container.labels;
    let name = container.short_name();
    let own = caller.owns(container, users);
    let named = if own { name } else { &container.name };
    let project = read::text(labels, &PROJECT);
    let source = project.or_else(|| read::text(labels, &IMAGE)).unwrap_or(&container.image);
    let mut deploy = format!("ds01-build deploy {}", quoted(source));
    if project != Some(name) {
        deploy += &format!(" --name {name}");
    }
    match read::text(labels, &GPUS) {
        None | Some("0") => {}
        Some(mig) if mig.contains("g.") => deploy += &format!(" --mig {mig}"),
        Some(count) => deploy += &format!(" --gpus {count}"),
    }
    // The default is `workspace/NAME` in the owner's home.
    let usual = format!("/workspace/{name}");
    if let Some(folder) = read::text(labels, &WORK_MOUNT).filter(|folder| !folder.ends_with(&usual)) {
        deploy += &format!(" --workspace {}", quoted(folder));
    }
    if let Some(OwnerName::Login(login)) = container.owner(users).filter(|_| !own && project.is_none()) {
        deploy += &format!(" --user {login}");
    }
    vec![format!("ds01-build container retire {named} --save"), deploy]
}

/// How long a program is watched before it counts as running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StartCheck {
    /// The program of an image, which ran before.
    Brief,
    /// A program that somebody has just typed, or that may have ended before.
    Close,
}

/// Starts it; the exit code of a program that ended at once. An engine that
/// does not answer this has started it all the same. What is held until the
/// start is done is not held while the program is watched.
///
/// # Errors
/// The engine did not start it.
pub(crate) async fn start<T>(
    engine: &dyn Engine,
    container: &str,
    check: StartCheck,
    until_started: T,
) -> Result<Option<i64>, Error> {
    let begun = Instant::now();
    engine.start(container).await?;
    drop(until_started);
    let settle = match check {
        StartCheck::Brief => begun.elapsed().mul_f64(SHARE).clamp(LEAST, MOST),
        StartCheck::Close => begun.elapsed().max(CLOSELY),
    };
    Ok(tokio::time::timeout(settle, engine.wait(container)).await.ok().and_then(Result::ok))
}

/// What a program wrote before it ended: its last lines.
pub(crate) async fn last_lines(engine: &dyn Engine, container: &str) -> String {
    let logs = Logs { tail: Some(LAST_LINES), ..Logs::default() };
    let read = async {
        let chunks = engine.logs(container, &logs).await.ok()?;
        let chunks = chunks.filter_map(async |chunk| chunk.ok()).map(|chunk| chunk.bytes);
        Some(String::from_utf8_lossy(&chunks.concat().await).trim_end().to_owned())
    };
    tokio::time::timeout(PATIENCE, read).await.ok().flatten().unwrap_or_default()
}

/// Whether a program that ended with this code was never run.
pub(crate) fn could_not_run(code: i64) -> bool {
    CANNOT_RUN.contains(&code)
}

#[cfg(test)]
mod tests;
