//! What a container was asked to get of the machine's devices, as the engine
//! keeps it. Knows no GPU.

use serde::Serialize;

/// As it was asked for when the container was created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Devices {
    pub(crate) requests: Vec<DeviceRequest>,
    /// The OCI runtime's name: `runc`, `nvidia`.
    pub(crate) runtime: String,
    /// `NAME=value`, of the image and of the request.
    pub(crate) env: Vec<String>,
    /// Device files of the host.
    pub(crate) files: Vec<String>,
    /// It has every device of the host.
    pub(crate) privileged: bool,
}

/// One request for devices (`--gpus`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct DeviceRequest {
    /// `nvidia`, `cdi`, or empty: by the capabilities.
    pub(crate) driver: String,
    /// How many; -1 for all, 0 where they are named.
    pub(crate) count: i64,
    /// Names of devices, as the driver knows them.
    pub(crate) ids: Vec<String>,
    /// All of one of these lists.
    pub(crate) capabilities: Vec<Vec<String>>,
}
