//! A machine's GPUs in plain words: what was read of them, and what could not
//! be read and why. [`nvml`] reads them, [`claims`] what containers claim of
//! them; [`usage`] joins both to an [`overview`], from which [`choose`] takes
//! what a [`request`] asks for and [`attach`] gives it to a container.
//!
//! A value that cannot be read is a [`Fault`], never a zero.

pub(crate) mod attach;
pub(crate) mod choose;
pub(crate) mod claims;
pub(crate) mod nvml;
pub(crate) mod overview;
pub(crate) mod request;
pub(crate) mod usage;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::Serialize;

/// What is known of the machine's driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum DriverState {
    Ready {
        /// The driver's version, `570.86.15`.
        driver: String,
        gpus: u32,
    },
    /// The library cannot be loaded: on most machines, since there is no driver.
    NoLibrary { cause: String },
    /// The library is there, the kernel's module is not loaded.
    NoDriver,
    /// This user may not reach the driver.
    NoPermission,
    /// Library and kernel module are of different versions, as after an
    /// update without a restart.
    Mismatch,
    /// Any other answer.
    Failed { cause: String },
}

impl DriverState {
    /// In words, and what to do for who runs the machine, where it is not ready.
    pub(crate) fn describe(&self) -> (String, Option<&'static str>) {
        let (message, help) = match self {
            Self::Ready { driver, gpus: 1 } => return (format!("driver {driver}, 1 GPU"), None),
            Self::Ready { driver, gpus } => return (format!("driver {driver}, {gpus} GPUs"), None),
            Self::NoLibrary { cause } => (
                &*format!("no NVIDIA library: {cause}"),
                "on a machine with GPUs install the driver, or name the library in DS01_NVML_LIBRARY; images are built without",
            ),
            Self::NoDriver => (
                "the library is there, the driver is not loaded",
                "load it (`modprobe nvidia`), or look into the kernel's log for why it is not",
            ),
            Self::NoPermission => (
                "this user may not reach the driver",
                "give the user access to /dev/nvidia*, mostly by the group video",
            ),
            Self::Mismatch => (
                "the library and the loaded driver are of different versions",
                "the driver was updated: restart the machine, or reload its modules",
            ),
            Self::Failed { cause } => (cause.as_str(), "see what `nvidia-smi` says"),
        };
        (message.to_owned(), Some(help))
    }
}

/// A machine's GPUs at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) state: DriverState,
    /// By index; empty unless the state is [`DriverState::Ready`].
    pub(crate) gpus: Vec<Gpu>,
}

/// Why something cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// The GPU fell off the bus.
    Lost,
    /// It works again after a reset only.
    ResetRequired,
    /// This user may not.
    NoPermission,
    /// This GPU, or this driver, has no such value.
    NotSupported,
    /// The driver says "unknown error": mostly it needs to be loaded again.
    Unknown,
    /// Any other answer, in NVML's words.
    Other(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "it fell off the bus",
            Self::ResetRequired => "needs a reset",
            Self::NoPermission => "no permission",
            Self::NotSupported => "not supported",
            Self::Unknown => "unknown error",
            Self::Other(cause) => cause,
        })
    }
}

impl Fault {
    /// The GPU does not work, whatever else was read of it.
    pub(crate) fn is_of_the_gpu(&self) -> bool {
        matches!(self, Self::Lost | Self::ResetRequired)
    }
}

/// What was read, or why it was not.
pub(crate) type Reading<T> = Result<T, Fault>;

/// One place for a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gpu {
    /// NVML's; it may change when the machine starts again.
    pub(crate) index: u32,
    pub(crate) card: Reading<Card>,
}

/// A GPU that says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    /// `GPU-…`.
    pub(crate) uuid: String,
    /// `NVIDIA H200`.
    pub(crate) model: Reading<String>,
    pub(crate) memory: Reading<Memory>,
    /// Percent of the last moment in which something ran. With MIG there is none.
    pub(crate) utilization: Reading<u32>,
    pub(crate) compute_mode: Reading<ComputeMode>,
    pub(crate) mig: Reading<Mig>,
    pub(crate) processes: Reading<Vec<Process>>,
    /// Of its device file, `/dev/nvidia<minor>`; mostly the index, but not always.
    pub(crate) minor: Reading<u32>,
    /// Indices of the GPUs that it reaches by NVLink, itself left out.
    pub(crate) links: Reading<Vec<u32>>,
}

impl Card {
    /// What makes the GPU useless, in whichever value it showed.
    pub(crate) fn broken(&self) -> Option<&Fault> {
        let faults = [
            self.model.as_ref().err(),
            self.memory.as_ref().err(),
            self.utilization.as_ref().err(),
            self.compute_mode.as_ref().err(),
            self.mig.as_ref().err(),
            self.processes.as_ref().err(),
        ];
        faults.into_iter().flatten().find(|fault| fault.is_of_the_gpu())
    }
}

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    pub(crate) used: u64,
    pub(crate) total: u64,
}

/// Who may compute on a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ComputeMode {
    /// Any number of processes.
    Shared,
    ExclusiveProcess,
    ExclusiveThread,
    /// Nobody.
    Prohibited,
}

/// Whether a GPU is divided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mig {
    /// It is not, or cannot be.
    Off,
    /// It is, into these instances; with none, nobody can compute on it.
    On(Vec<Instance>),
}

/// One place for a MIG instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    /// Among the GPU's instances.
    pub(crate) index: u32,
    pub(crate) slice: Reading<Slice>,
}

/// A MIG instance that says who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// `MIG-…`.
    pub(crate) uuid: String,
    /// `1g.10gb`.
    pub(crate) profile: Reading<String>,
    /// How many of the GPU's 7.
    pub(crate) slices: Reading<u32>,
    pub(crate) memory: Reading<Memory>,
    pub(crate) processes: Reading<Vec<Process>>,
}

/// A process that uses a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) kind: ProcessKind,
    /// Bytes of the GPU's memory; `None`: the driver does not say.
    #[serde(rename = "memory_bytes")]
    pub(crate) memory: Option<u64>,
    /// The owner; `None`: not readable.
    pub(crate) uid: Option<u32>,
    /// The program's short name; `None`: not readable.
    pub(crate) name: Option<String>,
    pub(crate) place: ProcessPlace,
}

/// What a process does with a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProcessKind {
    Compute,
    /// A display; it does not keep others from computing.
    Graphics,
}

/// Where a process runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ProcessPlace {
    /// In the container of this id.
    Container(String),
    /// In none.
    Host,
    /// That is not readable.
    Unknown,
}

/// The profile of an instance from the name that NVML gives it,
/// `NVIDIA H200 MIG 1g.18gb`.
pub(crate) fn profile_in(name: &str) -> Option<&str> {
    let (_, profile) = name.rsplit_once("MIG ")?;
    let whole = !profile.is_empty() && !profile.contains(char::is_whitespace);
    (whole && profile.contains("g.")).then_some(profile)
}

/// The container that a process runs in, from its `/proc/<pid>/cgroup`.
pub(crate) fn container_in(cgroup: &str) -> Option<&str> {
    let words = cgroup.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter(|word| word.len() == 64).find(|word| word.bytes().all(|b| b.is_ascii_hexdigit()))
}
