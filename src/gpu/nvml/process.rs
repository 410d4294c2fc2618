//! Whose a process is and where it runs, from `/proc`. Knows no GPU.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::gpu::{Place, container_in};

/// The inode of the machine's own namespace of process ids, fixed in the kernel.
const WHOLE_MACHINE: &str = "pid:[4026531836]";

/// Reads about processes.
pub(crate) struct Reader {
    /// `None`: we stand in another namespace than the driver, where its
    /// numbers are other processes or none.
    proc: Option<PathBuf>,
}

/// What is readable of one process.
pub(crate) struct Told {
    pub(crate) uid: Option<u32>,
    pub(crate) name: Option<String>,
    pub(crate) place: Place,
}

impl Reader {
    /// From the folder `/proc`.
    pub(crate) fn new(proc: &Path) -> Self {
        let namespace = fs::read_link(proc.join("self/ns/pid"));
        let whole = namespace.is_ok_and(|name| name == Path::new(WHOLE_MACHINE));
        Self { proc: whole.then(|| proc.to_owned()) }
    }

    /// What is readable of this process; it may have ended meanwhile.
    pub(crate) fn read(&self, pid: u32) -> Told {
        let Some(folder) = self.proc.as_ref().map(|proc| proc.join(pid.to_string())) else {
            return Told { uid: None, name: None, place: Place::Unknown };
        };
        let place = fs::read_to_string(folder.join("cgroup")).map_or(Place::Unknown, |text| {
            container_in(&text).map_or(Place::Host, |id| Place::Container(id.to_owned()))
        });
        Told {
            uid: fs::metadata(&folder).ok().map(|folder| folder.uid()),
            name: fs::read_to_string(folder.join("comm")).ok().map(|name| name.trim_end().to_owned()),
            place,
        }
    }
}
