//! Writes a project file whole or not at all. Knows nothing of what is in it.
//!
//! The folder may be somebody else's who wants more than a project while root
//! writes there. So the new file has a name that nobody can foresee, and owner
//! and rights are given to the open file, never to whatever has its name by then.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes a file that is not there yet, and its folder if need be.
///
/// # Errors
/// `AlreadyExists` if it is there, also if somebody else was just faster.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder(path)?;
    fs::create_dir_all(folder)?;
    let part = part(folder, text)?;
    if rustix::process::getuid().is_root() {
        // In a checkout of somebody's it is theirs, as the other files are.
        let above = fs::metadata(folder)?;
        fchown(part.as_file(), Some(above.uid()), Some(above.gid()))?;
    }
    part.persist_noclobber(path)?;
    File::open(folder)?.sync_all()
}

/// Writes a text in place of another, with the file's owner and rights as far
/// as we may give them.
///
/// # Errors
/// The file does not have the old text any more, or cannot be written.
pub(crate) fn replace(path: &Path, old: &str, new: &str) -> io::Result<()> {
    // A link stays one.
    let path = &fs::canonicalize(path)?;
    let folder = folder(path)?;
    let part = part(folder, new)?;
    like(part.as_file(), &fs::metadata(path)?)?;
    if fs::read(path)? != old.as_bytes() {
        return Err(io::Error::other("somebody else changed it meanwhile; try again"));
    }
    part.persist(path)?;
    File::open(folder)?.sync_all()
}

fn folder(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::other("it has no folder"))
}

/// The text in a file that no pattern of a spec covers, with the rights that
/// the umask leaves.
fn part(folder: &Path, text: &str) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix(".project-").suffix(".part").permissions(Permissions::from_mode(0o666));
    let mut part = builder.tempfile_in(folder).map_err(|error| cause(&error))?;
    part.write_all(text.as_bytes())?;
    part.as_file().sync_all()?;
    Ok(part)
}

/// The cause alone: the name of a file that never was tells nobody anything.
fn cause(error: &io::Error) -> io::Error {
    error.kind().into()
}

fn like(part: &File, before: &Metadata) -> io::Result<()> {
    let now = part.metadata()?;
    if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
        // Only root may give files away; others keep what is theirs.
        let _ = fchown(part, None, Some(before.gid()));
        let _ = fchown(part, Some(before.uid()), None);
    }
    // A text never runs as its owner.
    part.set_permissions(Permissions::from_mode(before.mode() & 0o777))
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_that_is_there_is_never_written_over_and_nothing_else_is_left() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("projects/a.yml");
        create(&path, "one\n").unwrap();
        assert_eq!(create(&path, "two\n").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        assert_eq!(names(path.parent().unwrap()), ["a.yml"]);
    }

    #[test]
    fn what_cannot_be_written_is_told_without_the_name_of_a_part() {
        let root = tempfile::tempdir().unwrap();
        let error = part(&root.path().join("gone"), "").unwrap_err();
        assert_eq!(error.to_string(), "entity not found");
    }

    #[test]
    fn of_many_who_create_one_file_one_does() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.yml");
        let write = |n: usize| create(&path, &format!("{n}\n")).is_ok();
        let done = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..8).map(|n| scope.spawn(move || write(n))).collect();
            tries.into_iter().map(|done| done.join().unwrap()).filter(|ok| *ok).count()
        });
        assert_eq!(done, 1);
        assert_eq!(names(root.path()), ["a.yml"]);
    }

    #[test]
    fn a_replaced_file_keeps_its_rights_and_a_link_stays_one() {
        let root = tempfile::tempdir().unwrap();
        let (path, link) = (root.path().join("a.yml"), root.path().join("b.yml"));
        fs::write(&path, "old\n").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace(&link, "old\n", "new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o664);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_replaced_file_keeps_its_owner_and_gets_no_rights_of_one_who_runs_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.yml");
        fs::write(&path, "old\n").unwrap();
        // Without being root, the owner is the only one there is.
        let _ = std::os::unix::fs::chown(&path, Some(4242), Some(4243));
        fs::set_permissions(&path, Permissions::from_mode(0o6755)).unwrap();
        let before = fs::metadata(&path).unwrap();
        replace(&path, "old\n", "new\n").unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert_eq!(after.mode() & 0o7777, 0o755);
    }

    #[test]
    fn what_somebody_else_changed_meanwhile_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a.yml");
        fs::write(&path, "theirs\n").unwrap();
        assert!(replace(&path, "old\n", "new\n").unwrap_err().to_string().contains("meanwhile"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs\n");
        assert_eq!(names(root.path()), ["a.yml"]);
    }
}
