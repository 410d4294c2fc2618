//! What a sweep keeps for the next one, and its file: written whole or not at
//! all, and readable by everybody, since it says what will happen to their
//! containers.
//!
//! Losing it only postpones: nothing is stopped or removed unless an earlier
//! sweep warned of it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Rule;
use crate::host::files;

/// Where it is, unless another one is named.
pub(crate) const PATH: &str = "/var/lib/ds01-build/sweep.json";

const VERSION: u32 = 1;

/// All of it. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SweepState {
    version: u32,
    /// When the last sweep read the engine; `None`: there was none.
    #[serde(rename = "looked")]
    pub(crate) last_sweep: Option<i64>,
    /// By id.
    pub(crate) containers: BTreeMap<String, ContainerRecord>,
}

/// About one container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    /// For people who read the file.
    pub(crate) name: String,
    /// When its GPUs were last found busy; `None`: it had none, or did not run.
    pub(crate) busy: Option<i64>,
    /// Of what its owner was warned, by the rule's key.
    #[serde(rename = "told")]
    pub(crate) warnings: BTreeMap<String, Warning>,
}

/// One warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Warning {
    pub(crate) at: i64,
    /// Since when the rule counted then: another start, and the warning is void.
    pub(crate) since: i64,
    /// When it happens, as the warning said.
    pub(crate) due: i64,
}

impl Default for SweepState {
    fn default() -> Self {
        Self { version: VERSION, last_sweep: None, containers: BTreeMap::new() }
    }
}

impl SweepState {
    /// Nothing but the time of a sweep.
    pub(crate) fn begun(now: i64) -> Self {
        Self { last_sweep: Some(now), ..Self::default() }
    }

    /// Whether the last sweep is so near that nothing happened in between that
    /// the two would have missed.
    pub(crate) fn is_fresh(&self, every: i64, now: i64) -> bool {
        self.last_sweep.is_some_and(|last| last <= now && now - last <= every.saturating_mul(2))
    }

    /// Reads it from the text of a file.
    ///
    /// # Errors
    /// It is not such a text; a sentence's end.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let state: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        match state.version {
            VERSION => Ok(state),
            other => Err(format!("it is of version {other}, and this program knows {VERSION}")),
        }
    }

    /// As text for a file.
    ///
    /// # Errors
    /// Never, as long as keys are texts.
    pub(crate) fn write(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

impl ContainerRecord {
    pub(crate) fn warning(&self, rule: Rule) -> Option<Warning> {
        self.warnings.get(rule.key()).copied()
    }
}

/// Reads it; a file that is not there is the state before the first sweep.
///
/// # Errors
/// It cannot be read or understood; a sentence.
pub(crate) fn load(path: &Path) -> Result<SweepState, String> {
    let broken = |why: String| format!("{} cannot be read: {why}", path.display());
    match fs::read_to_string(path) {
        Ok(text) => SweepState::read(&text).map_err(broken),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(SweepState::default()),
        Err(error) => Err(broken(error.to_string())),
    }
}

/// Writes it, and makes its folder if there is none.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn save(path: &Path, state: &SweepState) -> io::Result<()> {
    let text = state.write()?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    // A warning that is lost in a crash would be given twice.
    files::write_for_all(path, text.as_bytes(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_by_anybody() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("made/sweep.json");
        assert_eq!(load(&path), Ok(SweepState::default()), "before the first sweep");
        let state = SweepState::begun(1_700_000_000);
        save(&path, &state).unwrap();
        save(&path, &state).unwrap();
        assert_eq!(load(&path), Ok(state));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no part is left");
    }

    #[test]
    fn a_broken_file_is_told_with_its_path() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("sweep.json");
        for text in
            ["", "{\"version\": 1, \"looked\": ", "[]", "{\"version\":2,\"looked\":null,\"containers\":{}}"]
        {
            fs::write(&path, text).unwrap();
            let why = load(&path).unwrap_err();
            assert!(why.contains("sweep.json cannot be read: "), "{text}: {why}");
        }
        assert!(load(root.path()).is_err(), "a folder");
    }

    #[test]
    fn a_folder_that_cannot_be_written_leaves_what_was_there() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("sweep.json");
        fs::create_dir(&path).unwrap();
        assert!(save(&path, &SweepState::default()).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
