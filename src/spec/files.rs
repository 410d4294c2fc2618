//! The file access that reading a spec needs, as a seam.
//!
//! `Disk` is the real one, `Overlay` shows one file as it would be; tests read
//! specs from memory. Decides nothing.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What a path leads to, symbolic links followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
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
    fn kind(&self, path: &Path) -> Option<FileKind>;
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
    fn kind(&self, path: &Path) -> Option<FileKind> {
        let found = fs::metadata(path).ok()?;
        Some(if found.is_file() {
            FileKind::File
        } else if found.is_dir() {
            FileKind::Folder
        } else {
            FileKind::Other
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

/// Files as they would be with one of them written: a spec is read through
/// this before the file is put in place. Writes nothing.
pub(crate) struct Overlay<'a> {
    pub(crate) under: &'a dyn Files,
    /// Absolute, and in a folder without symbolic links.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Overlay<'_> {
    fn is_it(&self, path: &Path) -> bool {
        path == self.path || self.under.real(path).is_ok_and(|real| real == self.path)
    }
}

impl Files for Overlay<'_> {
    fn kind(&self, path: &Path) -> Option<FileKind> {
        if self.is_it(path) {
            return Some(FileKind::File);
        }
        let above = self.path.starts_with(path).then_some(FileKind::Folder);
        self.under.kind(path).or(above)
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        let there = self.under.real(path);
        let its = path == self.path || self.path.starts_with(path);
        if there.is_err() && its { Ok(path.to_owned()) } else { there }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let listed = self.under.list(folder);
        if self.path.parent() != Some(folder) {
            return listed;
        }
        let mut names = listed.unwrap_or_default();
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !names.contains(&name) {
            names.push(name);
        }
        Ok(names)
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Unreadable> {
        if !self.is_it(path) {
            return self.under.read(path, limit);
        }
        let size = self.text.len() as u64;
        if size > limit { Err(Unreadable::TooLarge(size)) } else { Ok(self.text.clone().into_bytes()) }
    }
}

#[cfg(test)]
pub(crate) mod memory {
    //! Files of a test.

    use std::collections::BTreeMap;

    use super::*;

    /// Files and symbolic links by absolute path; folders are implied.
    #[derive(Default)]
    pub(crate) struct MemoryFiles {
        files: BTreeMap<PathBuf, Vec<u8>>,
        links: BTreeMap<PathBuf, PathBuf>,
    }

    impl MemoryFiles {
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

    impl Files for MemoryFiles {
        fn kind(&self, path: &Path) -> Option<FileKind> {
            let real = self.follow(path);
            if self.files.contains_key(&real) {
                return Some(FileKind::File);
            }
            let mut below = self.files.range(real.clone()..);
            below.next().is_some_and(|(next, _)| next.starts_with(&real)).then_some(FileKind::Folder)
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
    use super::super::{SpecContext, read};
    use super::memory::MemoryFiles;
    use super::*;

    const SPEC: &str = "tag: {prefix: t1}\ninclude: [projects/*.yml]\nbases: {slim: {image: \"debian:12\"}}\nusers: {ann: {uid: 1001}}\n";

    fn projects(files: &MemoryFiles, path: &str, text: &str) -> Vec<String> {
        let files = Overlay { under: files, path: path.into(), text: text.into() };
        let spec = read(Path::new("/r"), Path::new("spec.yml"), &SpecContext::of(&files)).unwrap();
        spec.projects.iter().map(|project| project.name.to_string()).collect()
    }

    #[test]
    fn a_file_is_read_where_neither_it_nor_its_folder_is_yet() {
        let files = MemoryFiles::default().file("/r/spec.yml", SPEC);
        assert_eq!(projects(&files, "/r/projects/a.yml", "a: {user: ann, image: slim}\n"), ["a"]);
        assert_eq!(projects(&files, "/r/elsewhere/a.yml", "a: {user: ann, image: slim}\n"), [""; 0]);
    }

    #[test]
    fn a_file_that_is_there_is_read_as_it_would_be_also_through_a_link() {
        let files = MemoryFiles::default()
            .file("/r/spec.yml", SPEC)
            .file("/r/projects/b.yml", "b: {user: ann, image: slim}\n")
            .file("/r/all/a.yml", "a: {user: ann, image: slim}\n")
            .link("/r/projects/a.yml", "/r/all/a.yml");
        assert_eq!(projects(&files, "/r/all/a.yml", "c: {user: ann, image: slim}\n"), ["c", "b"]);
    }
}
