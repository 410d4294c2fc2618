//! The groups that there are without a word: those DS01 had.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{GroupLimits, Lifetime};

/// Group of people of whom nothing is said.
pub(crate) const DEFAULT_GROUP: &str = "student";

const GIB: u64 = 1 << 30;
const HOUR: u64 = 3600;

/// By name.
pub(crate) fn groups() -> BTreeMap<String, GroupLimits> {
    let student = GroupLimits {
        cpus: Some(32.0),
        memory: Some(32 * GIB),
        swap: Some(0),
        shm_size: Some(16 * GIB),
        pids: Some(4096),
        containers: Some(3),
        gpu_equivalents: Some(2.0),
        gpus_per_container: Some(2),
        lifetime: lifetime(24, 0.5),
        ..GroupLimits::default()
    };
    let researcher = GroupLimits {
        cpus: Some(48.0),
        memory: Some(64 * GIB),
        shm_size: Some(32 * GIB),
        containers: Some(5),
        gpu_equivalents: Some(4.0),
        gpus_per_container: Some(3),
        lifetime: lifetime(48, 1.0),
        ..student.clone()
    };
    let faculty = GroupLimits {
        cpus: Some(64.0),
        memory: Some(128 * GIB),
        shm_size: Some(64 * GIB),
        gpus_per_container: Some(4),
        lifetime: lifetime(72, 2.0),
        ..researcher.clone()
    };
    let admin = GroupLimits {
        containers: Some(10),
        gpu_equivalents: None,
        gpus_per_container: None,
        lifetime: lifetime(24, 1.0),
        ..faculty.clone()
    };
    let groups =
        [(DEFAULT_GROUP, student), ("researcher", researcher), ("faculty", faculty), ("admin", admin)];
    groups.map(|(name, limits)| (name.to_owned(), limits)).into()
}

fn lifetime(longest_run_hours: u64, idle_hours: f64) -> Lifetime {
    Lifetime {
        longest_run: Some(Duration::from_secs(longest_run_hours * HOUR)),
        idle: Some(Duration::from_secs(HOUR).mul_f64(idle_hours)),
        ..Lifetime::default()
    }
}
