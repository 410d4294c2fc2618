//! Log files are saved as they are in the image.
//!
//! `lastlog` and `faillog` are indexed by user id: with ids as a directory
//! gives them they are files of hundreds of gigabytes that hold a few bytes,
//! and a commit writes all of it. What else lies there is about the
//! container's past, and nothing that a new container needs.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::engine::{Change, ChangeKind, FileKind, FileStat};

/// Everything below it is a log.
const LOGS: &str = "/var/log/";

/// Bytes of the image's own log that are put back; one with more becomes empty.
pub(crate) const MOST: u64 = 16 << 20;

pub(super) fn is_log(change: &Change) -> bool {
    change.path.starts_with(LOGS)
}

/// Log files that differ from the image's, folders included.
pub(crate) fn changed(changes: &[Change]) -> impl Iterator<Item = &Change> {
    // Engines list them in any order.
    let mut found: Vec<_> = changes.iter().filter(|change| is_log(change)).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.into_iter()
}

/// Whether the image has a file at this path, as far as the change shows.
pub(crate) fn is_of_image(change: &Change) -> bool {
    change.kind != ChangeKind::Added
}

/// A log file as it will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
    mode: u32,
    uid: u64,
    gid: u64,
}

impl Log {
    /// An empty one that belongs to whom it belonged.
    pub(crate) fn emptied(path: &str, stat: &FileStat) -> Option<Self> {
        let FileStat { kind, mode, uid, gid, .. } = *stat;
        (kind == FileKind::File).then(|| Self { path: path.to_owned(), bytes: Vec::new(), mode, uid, gid })
    }

    /// The image's own, from an archive of it. `None`: it is no file there.
    ///
    /// # Errors
    /// The archive is broken.
    pub(crate) fn read(path: &str, archive: &[u8]) -> io::Result<Option<Self>> {
        let mut archive = tar::Archive::new(archive);
        let Some(entry) = archive.entries()?.next() else { return Ok(None) };
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        let header = entry.header();
        let (mode, uid, gid) = (header.mode()? & 0o7777, header.uid()?, header.gid()?);
        Ok(Some(Self { path: path.to_owned(), bytes, mode, uid, gid }))
    }
}

/// All of them as an archive to unpack over the container's root. What was
/// there is replaced, links included, and not followed.
///
/// # Errors
/// A path is too long for an archive.
pub(crate) fn archive(logs: &[Log]) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    // Each path once, folders before what is in them.
    let logs: BTreeMap<_, _> = logs.iter().map(|log| (&log.path, log)).collect();
    for log in logs.values() {
        let mut header = tar::Header::new_gnu();
        header.set_size(log.bytes.len() as u64);
        header.set_mode(log.mode);
        header.set_uid(log.uid);
        header.set_gid(log.gid);
        tar.append_data(&mut header, log.path.trim_start_matches('/'), log.bytes.as_slice())?;
    }
    tar.into_inner()
}
