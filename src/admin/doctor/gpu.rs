//! The finding about NVIDIA's driver. GPUs are needed for containers with
//! GPUs only: whatever is wrong there, images are built.

use super::Finding;
use super::Severity::{Note, Ok, Warning};
use crate::gpu::DriverState;

/// How the driver stands.
pub(crate) fn driver(state: &DriverState) -> Finding {
    let new = |severity, message: String| Finding::new("gpu", severity, "NVML", message);
    match state {
        DriverState::Ready { driver, gpus } => new(Ok, format!("driver {driver}, {}", super::count(*gpus as usize, "GPU"))),
        DriverState::NoLibrary { cause } => new(Note, format!("no NVIDIA library: {cause}"))
            .help("on a machine with GPUs install the driver, or name the library in DS01_NVML_LIBRARY; images are built without"),
        DriverState::NoDriver => new(Warning, "the library is there, the driver is not loaded".into())
            .help("load it (`modprobe nvidia`), or look into the kernel's log for why it is not"),
        DriverState::NoPermission => new(Warning, "this user may not reach the driver".into())
            .help("give the user access to /dev/nvidia*, mostly by the group video"),
        DriverState::Mismatch => new(Warning, "the library and the loaded driver are of different versions".into())
            .help("the driver was updated: restart the machine, or reload its modules"),
        DriverState::Failed { cause } => new(Warning, cause.clone()).help("see what `nvidia-smi` says"),
    }
}
