//! One GPU after the other, each value by a call of its own: what fails is
//! that value's fault and stops nothing. Links are asked about in pairs.

use std::collections::BTreeMap;

use nvml_wrapper::enum_wrappers::device::{ComputeMode as Mode, P2pCapabilitiesIndex, P2pStatus};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml};

use super::{fault, process};
use crate::gpu::{
    Card, ComputeMode, Fault, Gpu, Instance, Kind, Memory, Mig, Process, Read, Slice, profile_in,
};

/// Every GPU that the driver counts.
pub(crate) fn gpus(nvml: &Nvml, owners: &process::Reader) -> Result<Vec<Gpu>, NvmlError> {
    let mut gpus = Vec::new();
    let mut devices = Vec::new();
    for index in 0..nvml.device_count()? {
        let device = nvml.device_by_index(index).map_err(fault);
        let card = match &device {
            Ok(device) => card_of(device, owners).map_err(fault),
            Err(fault) => Err(fault.clone()),
        };
        gpus.push(Gpu { index, card });
        devices.extend(device.ok().map(|device| (index, device)));
    }
    let whole = |index: &u32| {
        let card = gpus[*index as usize].card.as_ref();
        card.is_ok_and(|card| card.mig == Ok(Mig::Off))
    };
    devices.retain(|(index, _)| whole(index));
    for (index, links) in links(&devices) {
        if let Ok(card) = &mut gpus[index as usize].card {
            card.links = links;
        }
    }
    Ok(gpus)
}

/// Whether two GPUs reach each other by NVLink, directly or by a switch, is one
/// call for both; with MIG they do not, so those are not asked about.
fn links(devices: &[(u32, Device<'_>)]) -> Vec<(u32, Read<Vec<u32>>)> {
    let mut answers: BTreeMap<u32, Vec<(u32, Read<bool>)>> = BTreeMap::new();
    for (at, (one, device)) in devices.iter().enumerate() {
        for (other, second) in &devices[at + 1..] {
            let status = device.p2p_status(second, P2pCapabilitiesIndex::NvLink).map_err(fault);
            let linked = status.map(|status| status == P2pStatus::Ok);
            answers.entry(*one).or_default().push((*other, linked.clone()));
            answers.entry(*other).or_default().push((*one, linked));
        }
    }
    // What fails for one of two may be the other's fault.
    let of = |(index, answers): (u32, Vec<(u32, Read<bool>)>)| {
        let linked = answers.iter().filter(|(_, linked)| *linked == Ok(true)).map(|(to, _)| *to).collect();
        let silent = answers.iter().all(|(_, linked)| linked.is_err());
        let fault = answers.into_iter().find_map(|(_, linked)| linked.err());
        (index, fault.filter(|_| silent).map_or(Ok(linked), Err))
    };
    answers.into_iter().map(of).collect()
}

fn card_of(device: &Device<'_>, owners: &process::Reader) -> Result<Card, NvmlError> {
    Ok(Card {
        uuid: device.uuid()?,
        model: device.name().map_err(fault),
        memory: memory(device),
        utilization: device.utilization_rates().map(|rates| rates.gpu).map_err(fault),
        compute_mode: device.compute_mode().map(mode).map_err(fault),
        mig: mig(device, owners),
        processes: processes(device, owners),
        minor: device.minor_number().map_err(fault),
        links: Ok(Vec::new()),
    })
}

fn memory(device: &Device<'_>) -> Read<Memory> {
    device.memory_info().map(|info| Memory { used: info.used, total: info.total }).map_err(fault)
}

fn mode(mode: Mode) -> ComputeMode {
    match mode {
        Mode::Default => ComputeMode::Shared,
        Mode::ExclusiveThread => ComputeMode::ExclusiveThread,
        Mode::ExclusiveProcess => ComputeMode::ExclusiveProcess,
        Mode::Prohibited => ComputeMode::Prohibited,
    }
}

fn mig(device: &Device<'_>, owners: &process::Reader) -> Read<Mig> {
    match device.mig_mode() {
        Ok(mode) if mode.current == 0 => return Ok(Mig::Off),
        Ok(_) => {}
        // GPUs and drivers that know no MIG have none.
        Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_)) => return Ok(Mig::Off),
        Err(error) => return Err(fault(error)),
    }
    let places = device.mig_device_count().map_err(fault)?;
    let instance = |index| match device.mig_device_by_index(index) {
        // Of seven places most may be empty.
        Err(NvmlError::NotFound | NvmlError::InvalidArg) => None,
        found => {
            let slice = found.and_then(|found| slice(&found, owners)).map_err(fault);
            Some(Instance { index, slice })
        }
    };
    Ok(Mig::On((0..places).filter_map(instance).collect()))
}

fn slice(instance: &Device<'_>, owners: &process::Reader) -> Result<Slice, NvmlError> {
    Ok(Slice {
        uuid: instance.uuid()?,
        profile: instance.name().map_err(fault).and_then(|name| {
            let missing = || Fault::Other(format!("its name has no profile: {name}"));
            profile_in(&name).map(str::to_owned).ok_or_else(missing)
        }),
        slices: instance.attributes().map(|found| found.gpu_instance_slice_count).map_err(fault),
        memory: memory(instance),
        processes: processes(instance, owners),
    })
}

/// Those that compute, then those that draw; who does both computes.
fn processes(device: &Device<'_>, owners: &process::Reader) -> Read<Vec<Process>> {
    let computing = device.running_compute_processes().map_err(fault)?;
    // Instances and data-centre GPUs may know no graphics.
    let drawing = match device.running_graphics_processes() {
        Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_)) => Vec::new(),
        drawing => drawing.map_err(fault)?,
    };
    let both = |info: &ProcessInfo| computing.iter().any(|other| other.pid == info.pid);
    let drawing: Vec<_> = drawing.into_iter().filter(|info| !both(info)).collect();
    let kinds = [(Kind::Compute, computing), (Kind::Graphics, drawing)];
    let of_kind = |(kind, infos): (Kind, Vec<ProcessInfo>)| infos.into_iter().map(move |info| (kind, info));
    Ok(kinds.into_iter().flat_map(of_kind).map(|(kind, info)| process(kind, &info, owners)).collect())
}

fn process(kind: Kind, info: &ProcessInfo, owners: &process::Reader) -> Process {
    let memory = match info.used_gpu_memory {
        UsedGpuMemory::Used(bytes) => Some(bytes),
        UsedGpuMemory::Unavailable => None,
    };
    let told = owners.read(info.pid);
    Process { pid: info.pid, kind, memory, uid: told.uid, name: told.name, place: told.place }
}
