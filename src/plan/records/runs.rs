//! How the last run as a whole ended, for monitoring.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::Records;
use super::store::{make, write};

/// A run that built or looked at images. Counts are of the images that were
/// selected; each is counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// When it ended, in seconds since 1970.
    pub at: i64,
    /// Milliseconds from start to end.
    pub took_ms: u64,
    pub built: u64,
    pub fetched: u64,
    pub kept: u64,
    pub failed: u64,
    pub blocked: u64,
    pub cancelled: u64,
}

const FILE: &str = "last-run.json";

impl Records {
    /// How the last run ended; `None`: there was none, or it is not readable.
    pub fn last_run(&self) -> Option<Run> {
        serde_json::from_slice(&fs::read(self.dir.join(FILE)).ok()?).ok()
    }

    /// Keeps how a run ended, in place of the one before.
    ///
    /// # Errors
    /// The folder or file cannot be written.
    pub fn set_last_run(&self, run: &Run) -> io::Result<()> {
        make(&self.dir)?;
        write(&self.dir.join(FILE), &serde_json::to_vec(run)?)
    }
}
