//! Walks a context folder on the disk, as far as some instruction can read it.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::rc::Rc;

use super::readable::{Coverage, FileKind, FileTree, Readable};
use super::{Context, Entry, EntryKind, Error};
use crate::dockerfile::ignore::MatchedPatterns;

/// An entry, and what tells a file from a later one at the same path.
#[derive(Clone, Debug)]
pub(super) struct WalkedEntry {
    pub(crate) entry: Entry,
    pub(crate) stamp: Stamp,
    /// False for a folder that is listed only for what lies below it.
    own: bool,
}

/// Changes whenever the file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(crate) size: u64,
    pub(crate) mtime_ns: i64,
    pub(crate) ctime_ns: i64,
    pub(crate) inode: u64,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// Lists what is sent: not ignored, and readable by some instruction, with the
/// folders on the way to it. Parents come before children, names in the order
/// of their bytes, as fsutil wants them. Symbolic links are listed, not
/// followed; but where an instruction reads through one, what it points to
/// within the folder is readable too.
pub(super) fn walk(context: &Context) -> Result<Vec<WalkedEntry>, Error> {
    if context.readable.is_empty() {
        return Ok(Vec::new());
    }
    let readable = Readable::new(&context.readable, &FolderOnDisk(&context.root));
    let walk = Walk { context, readable };
    let mut found = Vec::new();
    let root = Rc::new(Folder { matched: None, ignored: false, covered: false });
    let mut pending = walk.list("", &root)?;
    // A stack, its top the next in order.
    pending.reverse();
    while let Some(item) = pending.pop() {
        if let Some((entry, folder)) = walk.visit(&item)? {
            if let Some(folder) = folder {
                let mut below = walk.list(&entry.entry.path, &Rc::new(folder))?;
                below.reverse();
                pending.extend(below);
            }
            found.push(entry);
        }
    }
    Ok(without_empty_ways(found))
}

struct Walk<'a> {
    context: &'a Context,
    readable: Readable,
}

/// A folder, as its children need to know it.
struct Folder {
    matched: Option<MatchedPatterns>,
    ignored: bool,
    covered: bool,
}

struct Item {
    /// Lossy if `utf8` is false.
    path: String,
    utf8: bool,
    folder: Rc<Folder>,
}

impl Walk<'_> {
    fn list(&self, path: &str, folder: &Rc<Folder>) -> Result<Vec<Item>, Error> {
        let shown = if path.is_empty() { self.context.root.display().to_string() } else { path.to_owned() };
        let names = match fs::read_dir(self.context.root.join(path)) {
            Ok(names) => names,
            Err(e) if folder.ignored && e.kind() == std::io::ErrorKind::PermissionDenied => {
                return Ok(Vec::new());
            }
            Err(e) => return Err(Error::read(&shown, &e)),
        };
        let mut names = names
            .map(|entry| entry.map(|e| e.file_name().into_vec()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| Error::read(&shown, &e))?;
        names.sort();
        let item = |name: Vec<u8>| {
            let utf8 = std::str::from_utf8(&name).is_ok();
            let name = String::from_utf8_lossy(&name);
            let path = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
            Item { path, utf8, folder: Rc::clone(folder) }
        };
        Ok(names.into_iter().map(item).collect())
    }

    /// The entry if it counts, and what to know of it if it is a folder to go into.
    fn visit(&self, item: &Item) -> Result<Option<(WalkedEntry, Option<Folder>)>, Error> {
        let path = item.path.as_str();
        let coverage = if item.folder.covered { Coverage::Yes } else { self.readable.coverage(path) };
        if coverage == Coverage::No {
            return Ok(None);
        }
        let (ignored, matched) = self.context.ignore.step(path, item.folder.matched.as_ref());
        if ignored && self.context.ignore.may_skip(path) {
            return Ok(None);
        }
        let own = coverage == Coverage::Yes && !ignored;
        if !item.utf8 {
            return if own { Err(Error::Name { path: path.to_owned() }) } else { Ok(None) };
        }
        let at = self.context.root.join(path);
        let metadata = fs::symlink_metadata(&at).map_err(|e| Error::read(path, &e))?;
        if metadata.is_dir() {
            let covered = coverage == Coverage::Yes && !self.readable.excludes();
            let folder = Folder { matched: Some(matched), ignored, covered };
            return Ok(Some((found(path, EntryKind::Dir, &metadata, None, own), Some(folder))));
        }
        if !own {
            return Ok(None);
        }
        let entry = if metadata.is_symlink() {
            let target = fs::read_link(&at).map_err(|e| Error::read(path, &e))?;
            let target = target.into_os_string().into_string();
            let target = target.map_err(|_| Error::Target { path: path.to_owned() })?;
            found(path, EntryKind::Link, &metadata, Some(target), true)
        } else if metadata.is_file() {
            found(path, EntryKind::File, &metadata, None, true)
        } else if metadata.file_type().is_socket() {
            // Every builder passes it over.
            return Ok(None);
        } else {
            return Err(Error::Special { path: path.to_owned(), what: special(&metadata) });
        };
        Ok(Some((entry, None)))
    }
}

fn found(path: &str, kind: EntryKind, metadata: &Metadata, target: Option<String>, own: bool) -> WalkedEntry {
    let stamp = Stamp::of(metadata);
    let entry = Entry {
        path: path.to_owned(),
        kind,
        mode: metadata.mode() & 0o7777,
        size: if kind == EntryKind::File { stamp.size } else { 0 },
        mtime_ns: stamp.mtime_ns,
        link_target: target,
    };
    WalkedEntry { entry, stamp, own }
}

fn special(metadata: &Metadata) -> &'static str {
    if metadata.file_type().is_fifo() { "named pipe" } else { "device" }
}

/// Drops folders that were only walked through and held nothing.
fn without_empty_ways(found: Vec<WalkedEntry>) -> Vec<WalkedEntry> {
    let mut kept: Vec<WalkedEntry> = Vec::with_capacity(found.len());
    for entry in found.into_iter().rev() {
        let below = |last: &WalkedEntry| {
            last.entry.path.strip_prefix(&entry.entry.path).is_some_and(|rest| rest.starts_with('/'))
        };
        if entry.own || kept.last().is_some_and(below) {
            kept.push(entry);
        }
    }
    kept.reverse();
    kept
}

/// The folder itself. What cannot be seen is left to the walk to report.
pub(super) struct FolderOnDisk<'a>(pub(crate) &'a Path);

impl FileTree for FolderOnDisk<'_> {
    fn kind(&self, path: &str) -> Option<FileKind> {
        let at = self.0.join(path);
        let metadata = fs::symlink_metadata(&at).ok()?;
        Some(if metadata.is_dir() {
            FileKind::Dir
        } else if metadata.is_symlink() {
            FileKind::Link(fs::read_link(&at).ok()?.into_os_string().into_string().ok()?)
        } else {
            FileKind::File
        })
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.0.join(folder)) else { return Vec::new() };
        entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect()
    }
}
