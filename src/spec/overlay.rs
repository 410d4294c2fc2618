//! Files as they would be with one of them written: a spec is read through
//! this before the file is put in place. Writes nothing.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{Files, Kind, Unreadable};

/// Other files, and on top of them one with a text of its own.
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
    fn kind(&self, path: &Path) -> Option<Kind> {
        if self.is_it(path) {
            return Some(Kind::File);
        }
        let above = self.path.starts_with(path).then_some(Kind::Folder);
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
mod tests {
    use super::super::files::memory::Memory;
    use super::super::{World, read};
    use super::*;

    const SPEC: &str = "tag: {prefix: t1}\ninclude: [projects/*.yml]\nbases: {slim: {image: \"debian:12\"}}\nusers: {ann: {uid: 1001}}\n";

    fn projects(files: &Memory, path: &str, text: &str) -> Vec<String> {
        let files = Overlay { under: files, path: path.into(), text: text.into() };
        let spec = read(Path::new("/r"), Path::new("spec.yml"), &World::of(&files)).unwrap();
        spec.projects.iter().map(|project| project.name.to_string()).collect()
    }

    #[test]
    fn a_file_is_read_where_neither_it_nor_its_folder_is_yet() {
        let files = Memory::default().file("/r/spec.yml", SPEC);
        assert_eq!(projects(&files, "/r/projects/a.yml", "a: {user: ann, image: slim}\n"), ["a"]);
        assert_eq!(projects(&files, "/r/elsewhere/a.yml", "a: {user: ann, image: slim}\n"), [""; 0]);
    }

    #[test]
    fn a_file_that_is_there_is_read_as_it_would_be_also_through_a_link() {
        let files = Memory::default()
            .file("/r/spec.yml", SPEC)
            .file("/r/projects/b.yml", "b: {user: ann, image: slim}\n")
            .file("/r/all/a.yml", "a: {user: ann, image: slim}\n")
            .link("/r/projects/a.yml", "/r/all/a.yml");
        assert_eq!(projects(&files, "/r/all/a.yml", "c: {user: ann, image: slim}\n"), ["c", "b"]);
    }
}
