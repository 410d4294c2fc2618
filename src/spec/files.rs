//! The file access that reading a spec needs, as a seam.
//!
//! Tests read specs from memory; `Disk` is the real one. Decides nothing.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What a path leads to, symbolic links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    /// A device, pipe or socket.
    Other,
}

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Missing,
    NotAFile,
    /// Larger than the limit: its bytes.
    TooLarge(u64),
    Io(io::Error),
}

/// File access; all paths are absolute.
pub(crate) trait Files {
    /// `None`: there is nothing, or it cannot be looked at.
    fn kind(&self, path: &Path) -> Option<Kind>;
    /// The path without symbolic links and `..`.
    ///
    /// # Errors
    /// When there is nothing at the path.
    fn real(&self, path: &Path) -> io::Result<PathBuf>;
    /// Names in a folder, in no order.
    ///
    /// # Errors
    /// When it is no folder or cannot be read.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;
    /// A whole file of at most `limit` bytes.
    ///
    /// # Errors
    /// Says why not; the size is asked for before anything is read.
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable>;
}

/// The machine's own file system.
pub(crate) struct Disk;

impl Files for Disk {
    fn kind(&self, path: &Path) -> Option<Kind> {
        let found = fs::metadata(path).ok()?;
        Some(match () {
            () if found.is_file() => Kind::File,
            () if found.is_dir() => Kind::Folder,
            () => Kind::Other,
        })
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            // A name that is no text matches no pattern.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
        let found = fs::metadata(path).map_err(unreadable)?;
        if !found.is_file() {
            return Err(Unreadable::NotAFile);
        }
        if found.len() > limit {
            return Err(Unreadable::TooLarge(found.len()));
        }
        let mut bytes = Vec::new();
        // The file may have grown since, or be one that states no size.
        let file = fs::File::open(path).map_err(unreadable)?;
        file.take(limit + 1).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
        if bytes.len() as u64 > limit {
            return Err(Unreadable::TooLarge(bytes.len() as u64));
        }
        Ok(bytes)
    }
}

fn unreadable(error: io::Error) -> Unreadable {
    if error.kind() == io::ErrorKind::NotFound { Unreadable::Missing } else { Unreadable::Io(error) }
}

#[cfg(test)]
pub(crate) mod memory {
    //! Files of a test.

    use std::collections::BTreeMap;

    use super::*;

    /// Files and symbolic links by absolute path; folders are implied.
    #[derive(Default)]
    pub(crate) struct Memory {
        files: BTreeMap<PathBuf, Vec<u8>>,
        links: BTreeMap<PathBuf, PathBuf>,
    }

    impl Memory {
        pub(crate) fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
            self.files.insert(path.into(), text.as_ref().to_vec());
            self
        }

        pub(crate) fn link(mut self, path: &str, to: &str) -> Self {
            self.links.insert(path.into(), to.into());
            self
        }

        /// Follows links in every part; `..` goes up.
        fn follow(&self, path: &Path) -> PathBuf {
            let mut real = PathBuf::new();
            for part in path.components() {
                match part {
                    std::path::Component::ParentDir => {
                        real.pop();
                    }
                    part => real.push(part),
                }
                if let Some(to) = self.links.get(&real) {
                    real.pop();
                    real = self.follow(&real.join(to));
                }
            }
            real
        }
    }

    impl Files for Memory {
        fn kind(&self, path: &Path) -> Option<Kind> {
            let real = self.follow(path);
            if self.files.contains_key(&real) {
                return Some(Kind::File);
            }
            let mut below = self.files.range(real.clone()..);
            below.next().is_some_and(|(next, _)| next.starts_with(&real)).then_some(Kind::Folder)
        }

        fn real(&self, path: &Path) -> io::Result<PathBuf> {
            self.kind(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(self.follow(path))
        }

        fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
            let real = self.real(folder)?;
            let all = self.files.keys().chain(self.links.keys());
            let below = all.filter_map(|path| path.strip_prefix(&real).ok()?.components().next());
            let mut names: Vec<String> =
                below.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
            names.sort();
            names.dedup();
            Ok(names)
        }

        fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
            match (self.kind(path), self.files.get(&self.follow(path))) {
                (_, Some(bytes)) if bytes.len() as u64 > limit => {
                    Err(Unreadable::TooLarge(bytes.len() as u64))
                }
                (_, Some(bytes)) => Ok(bytes.clone()),
                (Some(_), None) => Err(Unreadable::NotAFile),
                (None, None) => Err(Unreadable::Missing),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_file_is_refused_by_its_size_and_a_folder_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spec.yml");
        fs::File::create(&path).unwrap().set_len(50_000_000).unwrap();
        assert!(matches!(Disk.read(&path, 1024), Err(Unreadable::TooLarge(50_000_000))));
        assert!(matches!(Disk.read(folder.path(), 1024), Err(Unreadable::NotAFile)));
        assert!(matches!(Disk.read(&folder.path().join("x"), 1024), Err(Unreadable::Missing)));
        fs::write(&path, "a: 1\n").unwrap();
        assert_eq!(Disk.read(&path, 1024).unwrap(), b"a: 1\n");
    }
}
