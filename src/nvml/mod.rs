//! NVIDIA's management library, as far as it is there: the state of the driver
//! by name. The only module that knows nvml-wrapper; decides nothing.
//!
//! The library is loaded at run time. A machine without it is a state.

#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::path::Path;

use nvml_wrapper::Nvml;
use nvml_wrapper::error::NvmlError;
use serde::Serialize;

/// What the driver brings along; without a version only development packages do.
const LIBRARY: &str = "libnvidia-ml.so.1";

/// How the machine's driver stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
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

/// Loads the library, from `library` if that is named, and asks.
pub fn state(library: Option<&Path>) -> State {
    match look(library.map_or(OsStr::new(LIBRARY), Path::as_os_str)) {
        Ok(state) => state,
        Err(NvmlError::LibloadingError(error)) => State::NoLibrary { cause: error.to_string() },
        Err(NvmlError::DriverNotLoaded) => State::NoDriver,
        Err(NvmlError::NoPermission) => State::NoPermission,
        Err(NvmlError::LibRmVersionMismatch) => State::Mismatch,
        Err(error) => State::Failed { cause: error.to_string() },
    }
}

fn look(library: &OsStr) -> Result<State, NvmlError> {
    let nvml = Nvml::builder().lib_path(library).init()?;
    Ok(State::Ready { driver: nvml.sys_driver_version()?, gpus: nvml.device_count()? })
}
