//! How the last run as a whole ended, for monitoring.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::Records;
use super::store::make;
use crate::host::files;

/// A run that built or looked at images. Counts are of the images that were
/// selected; each is counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// When it ended, in seconds since 1970.
    pub(crate) at: i64,
    /// Milliseconds from start to end.
    pub(crate) took_ms: u64,
    pub(crate) built: u64,
    pub(crate) fetched: u64,
    pub(crate) kept: u64,
    pub(crate) failed: u64,
    pub(crate) blocked: u64,
    pub(crate) cancelled: u64,
}

const FILE: &str = "last-run.json";

impl Records {
    /// How the last run ended; `None`: there was none, or it is not readable.
    pub(crate) fn last_run(&self) -> Option<Run> {
        serde_json::from_slice(&fs::read(self.dir.join(FILE)).ok()?).ok()
    }

    /// Keeps how a run ended, in place of the one before.
    ///
    /// # Errors
    /// The folder or file cannot be written.
    pub(crate) fn set_last_run(&self, run: &Run) -> io::Result<()> {
        make(&self.dir)?;
        files::write(&self.dir.join(FILE), &serde_json::to_vec(run)?)
    }
}
