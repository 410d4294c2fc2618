//! NVIDIA's management library, as far as it is there: the state of the driver
//! and what each GPU says. The only module that knows nvml-wrapper; decides
//! nothing.
//!
//! The library is loaded at run time. A machine without it is a state.

mod process;
mod read;

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::path::Path;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;

pub(crate) use crate::gpu::State;
use crate::gpu::{Fault, Machine};

/// What the driver brings along; without a version only development packages do.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// Loads the library, from `library` if that is named, and asks.
pub(crate) fn state(library: Option<&Path>) -> State {
    load(library).and_then(|nvml| ready(&nvml)).unwrap_or_else(state_of)
}

/// The same, and all that each GPU says. Owners of processes are read from
/// `proc`, the folder `/proc`. Blocks: a driver in trouble may take its time.
#[cfg(test)]
pub(crate) fn machine(library: Option<&Path>, proc: &Path) -> Machine {
    Library::open(library).machine(proc)
}

/// The library, loaded once for several looks, or why it is not.
pub(crate) struct Library(Result<Nvml, State>);

impl Library {
    /// Loads it, from `library` if that is named. Blocks: it may wake GPUs.
    pub(crate) fn open(library: Option<&Path>) -> Self {
        Self(load(library).map_err(state_of))
    }

    /// As [`machine`].
    pub(crate) fn machine(&self, proc: &Path) -> Machine {
        let none = |state| Machine { state, gpus: Vec::new() };
        let nvml = match &self.0 {
            Ok(nvml) => nvml,
            Err(state) => return none(state.clone()),
        };
        let look = || {
            let state = ready(nvml)?;
            let gpus = read::gpus(nvml, &process::Reader::new(proc))?;
            Ok(Machine { state, gpus })
        };
        look().unwrap_or_else(|error| none(state_of(error)))
    }
}

fn load(library: Option<&Path>) -> Result<Nvml, NvmlError> {
    Nvml::builder().lib_path(library.map_or(OsStr::new(LIBRARY), Path::as_os_str)).init()
}

fn ready(nvml: &Nvml) -> Result<State, NvmlError> {
    Ok(State::Ready { driver: nvml.sys_driver_version()?, gpus: nvml.device_count()? })
}

fn state_of(error: NvmlError) -> State {
    match error {
        NvmlError::LibloadingError(error) => State::NoLibrary { cause: error.to_string() },
        NvmlError::DriverNotLoaded => State::NoDriver,
        NvmlError::NoPermission => State::NoPermission,
        NvmlError::LibRmVersionMismatch => State::Mismatch,
        error => State::Failed { cause: error.to_string() },
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
