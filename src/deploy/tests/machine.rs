//! Machines with GPUs, and containers that hold them.

use std::collections::BTreeSet;

use crate::deploy::gpus::{Amd, DeviceFiles};
use crate::engine::Container;
use crate::gpu::claims::{Claim, ClaimSource, GpuClaim};
use crate::gpu::overview::Overview;
use crate::gpu::usage::overview;
use crate::gpu::{Card, ComputeMode, DriverState, Fault, Gpu, Instance, Machine, Memory, Mig, Slice};

const GIB: u64 = 1 << 30;

/// A GPU, `GPU-<index>`, whole or with instances of so many slices each.
fn gpu(index: u32, slices: Option<&[u32]>) -> Gpu {
    let instance = |(at, slices): (u32, &u32)| Instance {
        index: at,
        slice: Ok(Slice {
            uuid: format!("MIG-{index}-{at}"),
            profile: Ok(format!("{slices}g.{}gb", slices * 10)),
            slices: Ok(*slices),
            memory: Ok(Memory { used: 0, total: u64::from(slices * 10) * GIB }),
            processes: Ok(Vec::new()),
        }),
    };
    let mig = slices.map_or(Mig::Off, |slices| Mig::On((0..).zip(slices).map(instance).collect()));
    let card = Card {
        uuid: format!("GPU-{index}"),
        model: Ok("NVIDIA H200".into()),
        memory: Ok(Memory { used: 0, total: 141 * GIB }),
        utilization: Ok(0),
        compute_mode: Ok(ComputeMode::Shared),
        mig: Ok(mig),
        processes: Ok(Vec::new()),
        minor: Ok(index),
        links: Err(Fault::NotSupported),
    };
    Gpu { index, card: Ok(card) }
}

/// So many whole GPUs, then one of 3, 1 and 1 slices; held as labels say.
pub(crate) fn with(whole: u32, containers: &[Container]) -> Overview {
    let mut gpus: Vec<_> = (0..whole).map(|index| gpu(index, None)).collect();
    gpus.push(gpu(whole, Some(&[3, 1, 1])));
    let state = DriverState::Ready { driver: "570".into(), gpus: gpus.len() as u32 };
    let claimants: Vec<_> = containers.iter().map(claim).collect();
    overview(&Machine { state, gpus }, Ok(&claimants), &|_| None)
}

fn claim(container: &Container) -> GpuClaim {
    let claim = Claim::from_labels(&container.labels).unwrap_or_default();
    GpuClaim { container: container.clone(), claim, source: Some(ClaimSource::Labels), privileged: false }
}

/// Two of AMD's GPUs.
pub(crate) fn amd() -> DeviceFiles {
    let nodes = ["renderD128", "renderD129"].map(str::to_owned).into();
    DeviceFiles { amd: Some(Amd { nodes, groups: BTreeSet::from([44, 109]) }), ..DeviceFiles::default() }
}
