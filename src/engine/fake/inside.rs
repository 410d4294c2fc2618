//! Files of containers of the engine in memory: those that tests put there.

use std::collections::BTreeMap;
use std::io::Read;

use super::FakeEngine;
use super::store::{Store, no_container, refused};
use crate::engine::{Change, ChangeKind, Error, FileKind, FileStat};
use crate::model::names::ImageId;
use crate::model::reference::Reference;

/// A regular file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FakeFile {
    pub(crate) bytes: Vec<u8>,
    /// With holes it is larger than what is in it.
    pub(crate) size: u64,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
}

impl FakeFile {
    /// Root's, and readable.
    pub(crate) fn of(text: &str) -> Self {
        Self { bytes: text.as_bytes().to_vec(), size: text.len() as u64, mode: 0o644, uid: 0, gid: 0 }
    }

    /// Nothing but a hole.
    pub(crate) fn hole(size: u64) -> Self {
        Self { size, ..Self::of("") }
    }
}

/// A path of a container that differs from its image's. Without a file it is
/// a folder, or gone.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    pub(crate) kind: ChangeKind,
    pub(crate) file: Option<FakeFile>,
}

impl FakeEngine {
    /// Puts a file into an image.
    pub(crate) fn add_file(&self, image: &ImageId, path: &str, file: FakeFile) {
        self.state().store.files.entry(image.clone()).or_default().insert(path.to_owned(), file);
    }

    /// Makes a path of a container, by its name, differ from its image's. What
    /// has no file is a folder.
    pub(crate) fn add_change(&self, container: &str, path: &str, kind: ChangeKind, file: Option<FakeFile>) {
        self.state().store.add_change(container, path, Inside { kind, file });
    }

    /// A file of an image of this engine.
    pub(crate) fn file_of(&self, image: &str, path: &str) -> Option<FakeFile> {
        let state = self.state();
        state.store.files.get(&state.store.find(image)?)?.get(path).cloned()
    }

    /// From now on it refuses `commit`, `write`, `tag`, `start`, `remove` or
    /// `solve` with these words.
    pub(crate) fn refuse(&self, what: &'static str, words: &str) {
        self.state().store.refusing.insert(what, words.to_owned());
    }
}

impl Store {
    /// Refuses what a test has it refuse.
    pub(crate) fn willing(&self, what: &'static str) -> Result<(), Error> {
        match self.refusing.get(what) {
            Some(words) => refused(what.to_owned(), words.clone()),
            None => Ok(()),
        }
    }

    fn known(&self, action: &str, name: &str) -> Result<usize, Error> {
        match self.container(name) {
            Some(n) => Ok(n),
            None => refused(action.to_owned(), no_container(name)),
        }
    }

    pub(crate) fn add_change(&mut self, name: &str, path: &str, inside: Inside) {
        let n = self.container(name).unwrap_or_else(|| panic!("there is no container {name}"));
        let id = self.containers[n].id.clone();
        self.inside.entry(id).or_default().insert(path.to_owned(), inside);
    }

    pub(crate) fn changes(&self, name: &str) -> Result<Vec<Change>, Error> {
        let n = self.known("list changes", name)?;
        let changed = self.inside.get(&self.containers[n].id);
        let change = |(path, inside): (&String, &Inside)| Change { path: path.clone(), kind: inside.kind };
        Ok(changed.into_iter().flatten().map(change).collect())
    }

    pub(crate) fn written(&self, name: &str) -> Result<u64, Error> {
        let n = self.known("measure", name)?;
        let changed = self.inside.get(&self.containers[n].id).into_iter().flat_map(BTreeMap::values);
        Ok(changed.filter_map(|inside| Some(inside.file.as_ref()?.size)).sum())
    }

    /// A file as it is in the container: its own, else the image's.
    fn file(&self, n: usize, path: &str) -> Option<&FakeFile> {
        let container = &self.containers[n];
        match self.inside.get(&container.id).and_then(|changed| changed.get(path)) {
            Some(inside) => inside.file.as_ref(),
            None => self.files.get(&container.image_id)?.get(path),
        }
    }

    pub(crate) fn stat(&self, name: &str, path: &str) -> Result<Option<FileStat>, Error> {
        let n = self.known("look", name)?;
        if let Some(FakeFile { size, mode, uid, gid, .. }) = self.file(n, path).cloned() {
            return Ok(Some(FileStat { kind: FileKind::File, size, mode, uid, gid }));
        }
        let changed = self.inside.get(&self.containers[n].id).and_then(|changed| changed.get(path));
        let folder = changed.is_some_and(|inside| inside.kind != ChangeKind::Deleted);
        Ok(folder.then_some(FileStat { kind: FileKind::Folder, size: 0, mode: 0o755, uid: 0, gid: 0 }))
    }

    pub(crate) fn write_files(&mut self, name: &str, tar: Vec<u8>) -> Result<(), Error> {
        let n = self.known("write files", name)?;
        self.willing("write")?;
        let id = self.containers[n].id.clone();
        for (path, file) in unpacked(&tar).or_else(|e| refused("write files".into(), e.to_string()))? {
            let kind = match self.files.get(&self.containers[n].image_id) {
                Some(files) if files.contains_key(&path) => ChangeKind::Modified,
                _ => ChangeKind::Added,
            };
            let inside = Inside { kind, file: Some(file) };
            self.inside.entry(id.clone()).or_default().insert(path, inside);
        }
        Ok(())
    }

    pub(crate) fn read_tar(&self, name: &str, path: &str, most: u64) -> Result<Option<Vec<u8>>, Error> {
        let action = format!("read `{path}`");
        let n = self.known(&action, name)?;
        let Some(file) = self.file(n, path) else { return Ok(None) };
        if file.size > most {
            return refused(action, format!("it has more than {most} bytes"));
        }
        packed(path, file).map(Some).or_else(|e| refused(action, e.to_string()))
    }

    pub(crate) fn commit(&mut self, name: &str) -> Result<ImageId, Error> {
        let n = self.known("commit", name)?;
        self.willing("commit")?;
        let container = self.containers[n].clone();
        let Some(mut image) = self.images.get(&container.image_id).cloned() else {
            return refused("commit".into(), format!("No such image: {}", container.image_id));
        };
        image.labels = container.labels;
        image.digests.clear();
        if let Some(request) = self.created.iter().rfind(|request| request.name == container.name) {
            image.env.extend(request.env.clone());
            image.user.clone_from(&request.user);
            image.workdir.clone_from(&request.workdir);
            image.command = request.command.clone().unwrap_or(image.command);
        }
        let changed = self.inside.get(&container.id).cloned().unwrap_or_default();
        let text = |(path, inside): (&String, &Inside)| format!("{path} {:?}", inside.kind);
        image.layers.push(format!("files {:?}", changed.iter().map(text).collect::<Vec<_>>()));
        let mut files = self.files.get(&container.image_id).cloned().unwrap_or_default();
        for (path, inside) in changed {
            match inside.file {
                Some(file) => drop(files.insert(path, file)),
                None => drop(files.remove(&path)),
            }
        }
        let id = self.add(image, None);
        self.files.insert(id.clone(), files);
        Ok(id)
    }

    /// What is built on an image has its files.
    pub(crate) fn hand_files_on(&mut self, below: &Reference, to: &ImageId) {
        let files = self.find(&below.to_string()).and_then(|id| self.files.get(&id).cloned());
        if let Some(files) = files {
            self.files.insert(to.clone(), files);
        }
    }
}

fn packed(path: &str, file: &FakeFile) -> std::io::Result<Vec<u8>> {
    let mut header = tar::Header::new_gnu();
    header.set_size(file.bytes.len() as u64);
    header.set_mode(file.mode);
    header.set_uid(file.uid);
    header.set_gid(file.gid);
    let mut tar = tar::Builder::new(Vec::new());
    let name = path.rsplit('/').next().unwrap_or(path);
    tar.append_data(&mut header, name, file.bytes.as_slice())?;
    tar.into_inner()
}

fn unpacked(tar: &[u8]) -> std::io::Result<Vec<(String, FakeFile)>> {
    let mut archive = tar::Archive::new(tar);
    let mut files = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        let (path, header) = (format!("/{}", entry.path()?.display()), entry.header());
        let (mode, uid, gid) = (header.mode()?, header.uid()?, header.gid()?);
        files.push((path, FakeFile { size: bytes.len() as u64, bytes, mode, uid, gid }));
    }
    Ok(files)
}
