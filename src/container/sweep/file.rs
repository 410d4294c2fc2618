//! The state on disk: written whole or not at all, and readable by everybody,
//! since it tells people what will happen to their containers.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::State;
use crate::host::files;

/// Where it is, unless something else is said.
pub(crate) const PATH: &str = "/var/lib/ds01-build/sweep.json";

/// Reads it; a file that is not there is the state before the first sweep.
///
/// # Errors
/// It cannot be read or understood; a sentence.
pub(crate) fn load(path: &Path) -> Result<State, String> {
    let broken = |why: String| format!("{} cannot be read: {why}", path.display());
    match fs::read_to_string(path) {
        Ok(text) => State::read(&text).map_err(broken),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
        Err(error) => Err(broken(error.to_string())),
    }
}

/// Writes it, and makes its folder if there is none.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn save(path: &Path, state: &State) -> io::Result<()> {
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
        assert_eq!(load(&path), Ok(State::default()), "before the first sweep");
        let state = State::looked_at(1_700_000_000);
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
        assert!(save(&path, &State::default()).is_err());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }
}
