//! Writes files whole or not at all. Knows nothing of what is in them.
//!
//! A text is first written beside the file, under a name that nobody can
//! foresee, and then put in its place: a reader meanwhile has the old file or
//! the new one. The folder may be somebody else's who wants more than this
//! while root writes there, so owner and rights are given to the open file,
//! never to whatever has its name by then.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use tempfile::{Builder, NamedTempFile};

use crate::model::human::bytes;

/// Bytes of a text that people write by hand, at most.
pub(crate) const MOST_TEXT: u64 = 4 << 20;

/// Rights of a file that everybody may read, whatever the umask.
const FOR_ALL: u32 = 0o644;

/// Writes a file in place of what has its name. Its rights are those that the
/// umask leaves. After a crash of the machine the file may be the old one.
///
/// # Errors
/// The folder or the file cannot be written.
pub(crate) fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    rename(part(path, text)?, path)
}

/// The same for a file that everybody may read, whatever the umask. `durable`:
/// it is on the disk when this returns.
///
/// # Errors
/// As for [`write`].
pub(crate) fn write_for_all(path: &Path, text: &[u8], durable: bool) -> io::Result<()> {
    let part = part(path, text)?;
    part.as_file().set_permissions(Permissions::from_mode(FOR_ALL))?;
    if durable {
        part.as_file().sync_all()?;
    }
    rename(part, path)
}

/// Reads a small text, once: a regular file of at most `most` bytes, which lies
/// in `folder` also where a link leads to it. Whatever else has its name is
/// refused before it is read: a pipe would never end, a link could show
/// root's files to whoever wrote it.
///
/// # Errors
/// What it is instead, or the system's.
pub(crate) fn read_text(path: &Path, folder: Option<&Path>, most: u64) -> io::Result<Vec<u8>> {
    let real = fs::canonicalize(path)?;
    if let Some(folder) = folder
        && !real.starts_with(fs::canonicalize(folder)?)
    {
        return Err(io::Error::other(format!("it leads out of {}", folder.display())));
    }
    let check = |found: &Metadata| match found.len() {
        _ if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        _ if !found.is_file() => Err(io::Error::other("it is no regular file")),
        size if size > most => {
            Err(io::Error::other(format!("it has {}, more than {} of text", bytes(size), bytes(most))))
        }
        _ => Ok(()),
    };
    check(&fs::metadata(&real)?)?;
    // A pipe that took its place must not block us, a link not be followed.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(&real, flags, Mode::empty())?);
    check(&file.metadata()?)?;
    let mut text = Vec::new();
    // One that states no size may have any.
    file.take(most + 1).read_to_end(&mut text)?;
    if text.len() as u64 > most {
        return Err(io::Error::other(format!("it has more than {}", bytes(most))));
    }
    Ok(text)
}

/// Writes a file that is not there yet, and its folder if need be.
///
/// # Errors
/// `AlreadyExists` if it is there, also if somebody else was just faster.
pub(crate) fn create(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder(path)?;
    fs::create_dir_all(folder)?;
    let part = synced(path, text)?;
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
    let part = synced(path, new)?;
    like(part.as_file(), &fs::metadata(path)?)?;
    if fs::read(path)? != old.as_bytes() {
        return Err(io::Error::other("somebody else changed it meanwhile; try again"));
    }
    rename(part, path)?;
    File::open(folder(path)?)?.sync_all()
}

fn folder(path: &Path) -> io::Result<&Path> {
    path.parent().ok_or_else(|| io::Error::other("it has no folder"))
}

/// The text in a hidden file beside `path`, whose name no pattern of a spec
/// covers and no collector of metrics takes.
fn part(path: &Path, text: &[u8]) -> io::Result<NamedTempFile> {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    let open = |part: &Path| OpenOptions::new().write(true).create_new(true).open(part);
    let mut part = Builder::new().prefix(&prefix).suffix(".part").make_in(folder(path)?, open)?;
    part.write_all(text)?;
    Ok(part)
}

/// The same, on the disk. Of an error the kind alone, for people.
fn synced(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    let part = part(path, text.as_bytes()).map_err(|error| io::Error::from(error.kind()))?;
    part.as_file().sync_all()?;
    Ok(part)
}

fn rename(part: NamedTempFile, path: &Path) -> io::Result<()> {
    part.persist(path).map(drop).map_err(|failed| failed.error)
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
        let error = synced(&root.path().join("gone/a.yml"), "").unwrap_err();
        assert_eq!(error.to_string(), "entity not found");
    }

    #[test]
    fn only_a_regular_file_in_its_folder_and_of_a_texts_size_is_read() {
        let root = tempfile::tempdir().unwrap();
        let (folder, at) = (root.path().join("a"), |name: &str| root.path().join("a").join(name));
        fs::create_dir(&folder).unwrap();
        fs::write(at("text"), "four").unwrap();
        fs::write(root.path().join("outside"), "secret").unwrap();
        std::os::unix::fs::symlink("text", at("link")).unwrap();
        std::os::unix::fs::symlink("../outside", at("out")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        File::create(at("holes")).unwrap().set_len(3 << 30).unwrap();
        let read = |name: &str, inside: bool, most| {
            let text = read_text(&at(name), inside.then_some(folder.as_path()), most);
            text.map(|text| String::from_utf8(text).unwrap()).map_err(|error| error.to_string())
        };
        for name in ["text", "link"] {
            assert_eq!(read(name, true, 4).unwrap(), "four");
        }
        assert_eq!(read("out", false, 9).unwrap(), "secret");
        for (name, inside, most, expected) in [
            ("out", true, 9, "it leads out of"),
            ("device", true, 9, "it leads out of"),
            ("device", false, 9, "it is no regular file"),
            ("pipe", true, 9, "it is no regular file"),
            (".", true, 9, "is a directory"),
            ("holes", true, 9, "it has 3.2 GB, more than 9 B of text"),
            ("text", true, 3, "it has 4 B, more than 3 B of text"),
        ] {
            let error = read(name, inside, most).unwrap_err();
            assert!(error.contains(expected), "{name}: {error}");
        }
        assert_eq!(read_text(&at("gone"), None, 9).unwrap_err().kind(), ErrorKind::NotFound);
        // It states no size.
        assert!(read_text(Path::new("/proc/self/status"), None, 9).is_err());
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

    #[test]
    fn a_file_for_all_is_put_in_place_whole_and_for_everyone_to_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ds01.prom");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        write_for_all(&path, b"new\n", false).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(write_for_all(&folder.path().join("none/ds01.prom"), b"x", false).is_err());
        fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(write_for_all(&folder.path().join("folder"), b"x", false).is_err());
        assert_eq!(names(folder.path()).len(), 2, "{:?}", names(folder.path()));
    }
}
