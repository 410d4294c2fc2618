//! The GPUs of one container: what it is given, and how it gets it. Pure.
//!
//! NVIDIA's are chosen by what NVML showed. NVML knows nothing of AMD's: a
//! container gets all that the machine has of them or none, and who holds them
//! is what labels say.

use std::collections::BTreeSet;

use super::{Order, Refusal, Seen, limits};
use crate::engine::{Container, DeviceRequest, ImageDetail};
use crate::gpu::attach::{self, Attachment};
use crate::gpu::choose::{self, Choice, Equivalents};
use crate::gpu::overview::WHOLE;
use crate::gpu::request::GpuRequest;
use crate::model::labels::write::Gpus;
use crate::model::labels::{ARCH, GPU_SLOTS, read};

/// The kernel's way to AMD's GPUs for computing, and their device files.
const AMD_FILES: [&str; 2] = ["/dev/kfd", "/dev/dri"];

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

/// What goes into the request for a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Given {
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
pub(crate) fn give(order: &Order<'_>, seen: &Seen<'_>) -> Result<Given, Refusal> {
    let wish = &order.asked.gpus;
    if *wish == GpuRequest::Nothing {
        return Ok(without_nvidia(order, seen));
    }
    if let Some(arch) = amd_class(order) {
        return give_amd(order, seen, arch);
    }
    let overview = seen.gpus.ok_or(Refusal::GpusUnseen)?;
    // What the wish alone says is checked first: who may not have it need not
    // be told that it is not free either.
    if let Some((count, sevenths)) = limits::said(wish) {
        limits::units(order, seen, count, sevenths)?;
    }
    let choice = choose::choose(wish, overview).map_err(Refusal::Gpus)?;
    limits::units(order, seen, choice.units.len().try_into().unwrap_or(u32::MAX), choice.sevenths())?;
    let way = order.way.unwrap_or_else(|| attach::way(seen.engine, &choice));
    Ok(Given {
        labels: Some(labels(&choice)),
        groups: seen.files.nvidia_groups.iter().map(ToString::to_string).collect(),
        ..attached(order, attach::attach(way, &choice))
    })
}

/// An engine with NVIDIA's runtime as default gives every GPU unless it is
/// told not to.
fn without_nvidia(order: &Order<'_>, seen: &Seen<'_>) -> Given {
    let nothing = Choice::default();
    let way = order.way.unwrap_or_else(|| attach::way(seen.engine, &nothing));
    attached(order, attach::attach(way, &nothing))
}

fn attached(order: &Order<'_>, attachment: Attachment) -> Given {
    let Attachment { requests, runtime, mut env, defaults } = attachment;
    let name = |pair: &str| pair.split('=').next().unwrap_or_default().to_owned();
    let said: BTreeSet<_> = order.image.env.iter().chain(&order.asked.env).map(|pair| name(pair)).collect();
    env.extend(defaults.into_iter().filter(|pair| !said.contains(&name(pair))));
    Given { requests, runtime, env, ..Given::default() }
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
fn amd_class<'a>(order: &Order<'a>) -> Option<&'a str> {
    read::text(&order.image.labels, &ARCH).filter(|arch| arch.starts_with(AMD))
}

fn give_amd(order: &Order<'_>, seen: &Seen<'_>, arch: &str) -> Result<Given, Refusal> {
    let arch = arch.to_owned();
    let amd = seen.files.amd.as_ref().filter(|amd| !amd.nodes.is_empty());
    let Some(amd) = amd else { return Err(Refusal::NoAmd { arch }) };
    let count = u32::try_from(amd.nodes.len()).unwrap_or(u32::MAX);
    if order.asked.gpus != (GpuRequest::Whole { count, memory: None }) {
        return Err(Refusal::AmdTogether { arch, count });
    }
    limits::units(order, seen, count, count.saturating_mul(WHOLE))?;
    let holders = seen.containers.iter().filter(|one| amd_held(one).is_some());
    let holders: Vec<_> = holders.map(|one| one.name.clone()).collect();
    if !holders.is_empty() {
        return Err(Refusal::AmdHeld { holders });
    }
    Ok(Given {
        labels: Some(Gpus {
            uuids: Vec::new(),
            slots: amd.nodes.iter().cloned().collect(),
            equivalents: count.to_string(),
        }),
        devices: AMD_FILES.map(str::to_owned).to_vec(),
        groups: amd.groups.iter().map(ToString::to_string).collect(),
        ..without_nvidia(order, seen)
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
pub(crate) fn env(order: &Order<'_>) -> Result<Vec<String>, Refusal> {
    // NVIDIA's runtime gives by these too, the last by a site's configuration.
    let gives = |name: &str| {
        name == attach::VISIBLE
            || name.starts_with("NVIDIA_MIG_")
            || name == "NVIDIA_IMEX_CHANNELS"
            || name.starts_with("DOCKER_RESOURCE_")
    };
    let names = order.asked.env.iter().map(|pair| pair.split('=').next().unwrap_or_default());
    match names.into_iter().find(|name| gives(name)) {
        Some(name) => Err(Refusal::GivenByEnv { name: name.to_owned() }),
        None => Ok(order.asked.env.clone()),
    }
}
