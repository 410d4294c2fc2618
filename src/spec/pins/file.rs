//! The lock on disk: beside the spec, written whole or not at all.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Lock;
use crate::host::files;
use crate::model::problem::{Problem, SourceFile};

/// The lock of a spec: `spec.lock` beside `spec.yml`.
pub(crate) fn beside(spec_file: &Path) -> PathBuf {
    spec_file.with_extension("lock")
}

/// Reads a lock; a file that is not there pins nothing. `shown`: its path as
/// people know it.
///
/// # Errors
/// All that is wrong with the text, or that it cannot be read.
pub(crate) fn load(path: &Path, shown: &Path) -> Result<Lock, Vec<Problem>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lock::default()),
        Err(error) => {
            let problem = Problem::new(format!("{} cannot be read: {error}", shown.display()));
            return Err(vec![problem.help("mend it, or delete it and run `ds01-build update`")]);
        }
    };
    super::read(&Arc::new(SourceFile { path: shown.to_owned(), text }))
}

/// Writes a lock, if the file does not say the same already; `true`: it was
/// written. Where nothing is pinned and no file is, none is made.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn save(path: &Path, lock: &Lock) -> io::Result<bool> {
    let old = std::fs::read_to_string(path).ok();
    let text = lock.to_string();
    if old.as_deref() == Some(&text) || (old.is_none() && lock.is_empty()) {
        return Ok(false);
    }
    // A link stays one.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    files::write(&path, text.as_bytes()).map(|()| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_under_the_name_of_the_part_is_not_written_through() {
        let root = tempfile::tempdir().unwrap();
        let (part, elsewhere) = (root.path().join(".spec.lock.1.part"), root.path().join("shadow"));
        std::fs::write(&elsewhere, "theirs").unwrap();
        std::os::unix::fs::symlink(&elsewhere, &part).unwrap();
        let path = root.path().join("spec.lock");
        std::fs::write(&path, "").unwrap();
        assert!(save(&path, &Lock::default()).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), Lock::default().to_string());
        assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "theirs");
    }
}
