//! NVIDIA's management library, as far as it is there: the state of the driver
//! and what each GPU says, each value by a call of its own. What fails is that
//! value's fault and stops nothing. The only module that knows nvml-wrapper;
//! decides nothing.
//!
//! The library is loaded at run time. A machine without it is a state.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use nvml_wrapper::enum_wrappers::device::{ComputeMode as Mode, P2pCapabilitiesIndex, P2pStatus};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::{Device, Nvml};

use super::{
    Card, ComputeMode, DriverState, Fault, Gpu, Instance, Machine, Memory, Mig, Process, ProcessKind,
    ProcessPlace, Reading, Slice, container_in, profile_in,
};

/// What the driver brings along; without a version only development packages do.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// The inode of the machine's own namespace of process ids, fixed in the kernel.
const WHOLE_MACHINE: &str = "pid:[4026531836]";

/// A driver in trouble may never answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a machine's GPUs.
#[async_trait]
pub(crate) trait GpuProbe: Send + Sync {
    async fn machine(&self) -> Machine;
}

/// Reads them by NVML, whose library is loaded once. A driver that does not
/// answer is given up on; why there are no GPUs is part of the answer.
pub(crate) struct NvmlProbe {
    library: Arc<OnceLock<Library>>,
    path: Option<PathBuf>,
}

impl NvmlProbe {
    /// Begins to load the library, from `path` if that is named, and does not
    /// wait for it. Needs a runtime.
    pub(crate) fn open(path: Option<PathBuf>) -> Self {
        let probe = Self { library: Arc::default(), path };
        let (library, path) = (probe.library.clone(), probe.path.clone());
        tokio::task::spawn_blocking(move || {
            library.get_or_init(|| Library::open(path.as_deref()));
        });
        probe
    }
}

#[async_trait]
impl GpuProbe for NvmlProbe {
    async fn machine(&self) -> Machine {
        let (library, path) = (self.library.clone(), self.path.clone());
        let reading = tokio::task::spawn_blocking(move || {
            library.get_or_init(|| Library::open(path.as_deref())).machine(Path::new("/proc"))
        });
        let failed = |cause: String| Machine { state: DriverState::Failed { cause }, gpus: Vec::new() };
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(machine)) => machine,
            Ok(Err(error)) => failed(error.to_string()),
            Err(_) => failed(format!("the driver did not answer within {} s", PATIENCE.as_secs())),
        }
    }
}

/// Loads the library, from `library` if that is named, and asks.
pub(crate) fn state(library: Option<&Path>) -> DriverState {
    load(library).and_then(|nvml| ready(&nvml)).unwrap_or_else(state_of)
}

/// The same, and all that each GPU says. Owners of processes are read from
/// `proc`, the folder `/proc`. Blocks: a driver in trouble may take its time.
#[cfg(test)]
pub(crate) fn machine(library: Option<&Path>, proc: &Path) -> Machine {
    Library::open(library).machine(proc)
}

/// The library, or why it is not loaded.
struct Library(Result<Nvml, DriverState>);

impl Library {
    /// Loads it, from `library` if that is named. Blocks: it may wake GPUs.
    fn open(library: Option<&Path>) -> Self {
        Self(load(library).map_err(state_of))
    }

    /// As [`machine`].
    fn machine(&self, proc: &Path) -> Machine {
        let none = |state| Machine { state, gpus: Vec::new() };
        let nvml = match &self.0 {
            Ok(nvml) => nvml,
            Err(state) => return none(state.clone()),
        };
        let read = || {
            let state = ready(nvml)?;
            let gpus = gpus(nvml, &Processes::new(proc))?;
            Ok(Machine { state, gpus })
        };
        read().unwrap_or_else(|error| none(state_of(error)))
    }
}

fn load(library: Option<&Path>) -> Result<Nvml, NvmlError> {
    Nvml::builder().lib_path(library.map_or(OsStr::new(LIBRARY), Path::as_os_str)).init()
}

fn ready(nvml: &Nvml) -> Result<DriverState, NvmlError> {
    Ok(DriverState::Ready { driver: nvml.sys_driver_version()?, gpus: nvml.device_count()? })
}

fn state_of(error: NvmlError) -> DriverState {
    match error {
        NvmlError::LibloadingError(error) => DriverState::NoLibrary { cause: error.to_string() },
        NvmlError::DriverNotLoaded => DriverState::NoDriver,
        NvmlError::NoPermission => DriverState::NoPermission,
        NvmlError::LibRmVersionMismatch => DriverState::Mismatch,
        error => DriverState::Failed { cause: error.to_string() },
    }
}

fn fault(error: NvmlError) -> Fault {
    match error {
        NvmlError::GpuLost => Fault::Lost,
        NvmlError::ResetRequired => Fault::ResetRequired,
        NvmlError::NoPermission => Fault::NoPermission,
        // The latter: a driver from before the call existed.
        NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_) => Fault::NotSupported,
        NvmlError::Unknown => Fault::Unknown,
        error => Fault::Other(error.to_string()),
    }
}

/// Every GPU that the driver counts. Links are asked about in pairs.
fn gpus(nvml: &Nvml, running: &Processes) -> Result<Vec<Gpu>, NvmlError> {
    let mut gpus = Vec::new();
    let mut devices = Vec::new();
    for index in 0..nvml.device_count()? {
        let device = nvml.device_by_index(index).map_err(fault);
        let card = match &device {
            Ok(device) => card_of(device, running).map_err(fault),
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
fn links(devices: &[(u32, Device<'_>)]) -> Vec<(u32, Reading<Vec<u32>>)> {
    let mut answers: BTreeMap<u32, Vec<(u32, Reading<bool>)>> = BTreeMap::new();
    for (at, (one, device)) in devices.iter().enumerate() {
        for (other, second) in &devices[at + 1..] {
            let status = device.p2p_status(second, P2pCapabilitiesIndex::NvLink).map_err(fault);
            let linked = status.map(|status| status == P2pStatus::Ok);
            answers.entry(*one).or_default().push((*other, linked.clone()));
            answers.entry(*other).or_default().push((*one, linked));
        }
    }
    // What fails for one of two may be the other's fault.
    let of = |(index, answers): (u32, Vec<(u32, Reading<bool>)>)| {
        let linked = answers.iter().filter(|(_, linked)| *linked == Ok(true)).map(|(to, _)| *to).collect();
        let silent = answers.iter().all(|(_, linked)| linked.is_err());
        let fault = answers.into_iter().find_map(|(_, linked)| linked.err());
        (index, fault.filter(|_| silent).map_or(Ok(linked), Err))
    };
    answers.into_iter().map(of).collect()
}

fn card_of(device: &Device<'_>, running: &Processes) -> Result<Card, NvmlError> {
    Ok(Card {
        uuid: device.uuid()?,
        model: device.name().map_err(fault),
        memory: memory(device),
        utilization: device.utilization_rates().map(|rates| rates.gpu).map_err(fault),
        compute_mode: device.compute_mode().map(mode).map_err(fault),
        mig: mig(device, running),
        processes: processes(device, running),
        minor: device.minor_number().map_err(fault),
        links: Ok(Vec::new()),
    })
}

fn memory(device: &Device<'_>) -> Reading<Memory> {
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

fn mig(device: &Device<'_>, running: &Processes) -> Reading<Mig> {
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
            let slice = found.and_then(|found| slice(&found, running)).map_err(fault);
            Some(Instance { index, slice })
        }
    };
    Ok(Mig::On((0..places).filter_map(instance).collect()))
}

fn slice(instance: &Device<'_>, running: &Processes) -> Result<Slice, NvmlError> {
    Ok(Slice {
        uuid: instance.uuid()?,
        profile: instance.name().map_err(fault).and_then(|name| {
            let missing = || Fault::Other(format!("its name has no profile: {name}"));
            profile_in(&name).map(str::to_owned).ok_or_else(missing)
        }),
        slices: instance.attributes().map(|found| found.gpu_instance_slice_count).map_err(fault),
        memory: memory(instance),
        processes: processes(instance, running),
    })
}

/// Those that compute, then those that draw; who does both computes.
fn processes(device: &Device<'_>, running: &Processes) -> Reading<Vec<Process>> {
    let computing = device.running_compute_processes().map_err(fault)?;
    // Instances and data-centre GPUs may know no graphics.
    let drawing = match device.running_graphics_processes() {
        Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_)) => Vec::new(),
        drawing => drawing.map_err(fault)?,
    };
    let both = |info: &ProcessInfo| computing.iter().any(|other| other.pid == info.pid);
    let drawing: Vec<_> = drawing.into_iter().filter(|info| !both(info)).collect();
    let kinds = [(ProcessKind::Compute, computing), (ProcessKind::Graphics, drawing)];
    let of_kind =
        |(kind, infos): (ProcessKind, Vec<ProcessInfo>)| infos.into_iter().map(move |info| (kind, info));
    Ok(kinds.into_iter().flat_map(of_kind).map(|(kind, info)| running.process(kind, &info)).collect())
}

/// What is readable of processes. Knows no GPU.
struct Processes {
    /// `None`: this is another namespace than the driver's, where its numbers
    /// are other processes or none.
    proc: Option<PathBuf>,
}

impl Processes {
    /// From the folder `/proc`.
    fn new(proc: &Path) -> Self {
        let namespace = fs::read_link(proc.join("self/ns/pid"));
        let whole = namespace.is_ok_and(|name| name == Path::new(WHOLE_MACHINE));
        Self { proc: whole.then(|| proc.to_owned()) }
    }

    /// With whose it is and where it runs; it may have ended meanwhile.
    fn process(&self, kind: ProcessKind, info: &ProcessInfo) -> Process {
        let memory = match info.used_gpu_memory {
            UsedGpuMemory::Used(bytes) => Some(bytes),
            UsedGpuMemory::Unavailable => None,
        };
        let unknown =
            Process { pid: info.pid, kind, memory, uid: None, name: None, place: ProcessPlace::Unknown };
        let Some(proc) = &self.proc else { return unknown };
        let folder = proc.join(info.pid.to_string());
        let place = fs::read_to_string(folder.join("cgroup")).map_or(ProcessPlace::Unknown, |text| {
            container_in(&text).map_or(ProcessPlace::Host, |id| ProcessPlace::Container(id.to_owned()))
        });
        Process {
            uid: fs::metadata(&folder).ok().map(|folder| folder.uid()),
            name: fs::read_to_string(folder.join("comm")).ok().map(|name| name.trim_end().to_owned()),
            place,
            ..unknown
        }
    }
}
