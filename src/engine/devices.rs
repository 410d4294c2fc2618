//! What a container was asked to get of the machine's devices, as the engine
//! keeps it. Knows no GPU.

use serde::Serialize;

/// As it was asked for when the container was created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    pub requests: Vec<DeviceRequest>,
    /// The OCI runtime's name: `runc`, `nvidia`.
    pub runtime: String,
    /// `NAME=value`, of the image and of the request.
    pub env: Vec<String>,
    /// Device files of the host.
    pub files: Vec<String>,
    /// It has every device of the host.
    pub privileged: bool,
}

/// One request for devices (`--gpus`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeviceRequest {
    /// `nvidia`, `cdi`, or empty: by the capabilities.
    pub driver: String,
    /// How many; -1 for all, 0 where they are named.
    pub count: i64,
    /// Names of devices, as the driver knows them.
    pub ids: Vec<String>,
    /// All of one of these lists.
    pub capabilities: Vec<Vec<String>>,
}
