//! `limits:` — what a group's containers may use.
//!
//! The default groups are the ones DS01 had. A container is only made with
//! every limit known.

use std::collections::BTreeMap;

/// `limits:` as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Group of a user whose entry names none.
    pub default_group: String,
    /// By group name.
    pub groups: BTreeMap<String, GroupLimits>,
}

/// One group's limits. `None` means unlimited.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupLimits {
    /// CPUs of one container.
    pub cpus: Option<f64>,
    /// Bytes of one container.
    pub memory: Option<u64>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// Containers at once.
    pub containers: Option<u32>,
    /// Full GPUs at once, a MIG slice counting its share of 7.
    pub gpu_equivalents: Option<f64>,
}
