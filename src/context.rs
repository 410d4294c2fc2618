//! The files an image is built from, listed and hashed.
//!
//! An edge: it reads the file system. What is left out is decided by
//! `ignore` and `dockerfile`; what a digest means is decided by `recipe`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::ignore::Ignore;

/// A context folder as it is sent: the same for every image that shares it.
#[derive(Debug)]
pub struct Context {
    /// Stable from run to run, distinct for each (folder, ignore rules,
    /// readable paths): names the local source, so that the engine keeps the
    /// last copy and asks only for what changed.
    pub id: String,
    /// Absolute path of the folder.
    pub root: PathBuf,
    /// What `.dockerignore` leaves out.
    pub ignore: Ignore,
    /// Paths (relative, `/`-separated, may hold wildcards) that some
    /// instruction of some image of this run can read; `.` means all.
    pub readable: BTreeSet<String>,
}

// PLACEHOLDER from here on, replaced at merge: a plain walk of the folder.

/// A file, folder or link of a context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub path: String,
    pub kind: EntryKind,
    pub mode: u32,
    pub size: u64,
    pub mtime_ns: i64,
    pub link_target: Option<String>,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Dir,
    Symlink,
}

/// Why a context cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read `{path}`: {cause}")]
pub struct Error {
    pub path: PathBuf,
    pub cause: std::io::Error,
}

impl Context {
    /// What is sent, parents before children.
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        walk(&self.root, "", &mut entries)?;
        entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
        Ok(entries)
    }
}

fn walk(folder: &std::path::Path, prefix: &str, out: &mut Vec<Entry>) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;

    let fail = |cause| Error { path: folder.to_owned(), cause };
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let data = entry.metadata().map_err(fail)?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = if data.is_dir() {
            EntryKind::Dir
        } else if data.is_symlink() {
            EntryKind::Symlink
        } else {
            EntryKind::File
        };
        let link_target = data
            .is_symlink()
            .then(|| std::fs::read_link(entry.path()).map(|p| p.to_string_lossy().into_owned()))
            .transpose()
            .map_err(fail)?;
        out.push(Entry {
            path: path.clone(),
            kind,
            mode: data.mode() & 0o7777,
            size: data.size(),
            mtime_ns: data.mtime() * 1_000_000_000 + data.mtime_nsec(),
            link_target,
        });
        if kind == EntryKind::Dir {
            walk(&entry.path(), &format!("{path}/"), out)?;
        }
    }
    Ok(())
}
