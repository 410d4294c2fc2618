//! The layer's files as a tree in which every folder is written down: a
//! folder made in passing would belong to the wrong person.

use std::collections::BTreeMap;

use super::facts::{BaseFacts, FactKind};
use super::refusal::Refusal;
use super::{FileKind, FileNode};

/// Files by path. A folder's path sorts before those of its contents.
pub(super) struct Tree<'a> {
    base: &'a BaseFacts,
    nodes: BTreeMap<String, FileNode>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(base: &'a BaseFacts) -> Self {
        Self { base, nodes: BTreeMap::new() }
    }

    pub(crate) fn dir(&mut self, path: &str, mode: u32, uid: u32, gid: u32) {
        self.put(FileNode { path: path.to_owned(), kind: FileKind::Dir, mode, uid, gid });
    }

    pub(crate) fn file(&mut self, path: &str, bytes: Vec<u8>, mode: u32, uid: u32, gid: u32) {
        self.put(FileNode { path: path.to_owned(), kind: FileKind::File(bytes), mode, uid, gid });
    }

    /// A file that keeps the mode and owner the base has for it.
    pub(crate) fn system_file(&mut self, path: &str, bytes: Vec<u8>) {
        let (mode, uid, gid) = self.base.get(path).map_or((0o644, 0, 0), |f| (f.mode, f.uid, f.gid));
        self.file(path, bytes, mode, uid, gid);
    }

    /// The nodes, folders before their contents.
    ///
    /// # Errors
    /// If the base has something else where the layer has a folder: copying
    /// would go through the link, or fail.
    pub(crate) fn into_nodes(self) -> Result<Vec<FileNode>, Refusal> {
        for node in self.nodes.values().filter(|node| node.kind == FileKind::Dir) {
            let what = match self.base.get(&node.path).map(|fact| &fact.kind) {
                None | Some(FactKind::Dir(_)) => continue,
                Some(FactKind::Symlink(target)) => format!("a symbolic link to `{target}`"),
                Some(_) => "not a folder".to_owned(),
            };
            return Err(Refusal::new(
                format!("`{}` of the base is {what}", node.path),
                "use a base in which it is a folder, or make it one in an image between",
            ));
        }
        Ok(self.nodes.into_values().collect())
    }

    fn put(&mut self, node: FileNode) {
        for (end, _) in node.path.match_indices('/').skip(1) {
            let parent = &node.path[..end];
            if !self.nodes.contains_key(parent) {
                let fact = self.base.get(parent);
                let (mode, uid, gid) = fact.map_or((0o755, 0, 0), |f| (f.mode, f.uid, f.gid));
                self.insert(FileNode { path: parent.to_owned(), kind: FileKind::Dir, mode, uid, gid });
            }
        }
        self.insert(node);
    }

    /// The engine's file operations know permissions, but no setuid, setgid
    /// and sticky bits.
    fn insert(&mut self, mut node: FileNode) {
        node.mode &= 0o777;
        self.nodes.insert(node.path.clone(), node);
    }
}
