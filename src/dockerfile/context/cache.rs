//! Digests of files that were hashed before, so that a plan over unchanged
//! files costs a stat each.
//!
//! Only saves time: a missing, old or broken cache file gives the same answers.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::walk::Stamp;
use crate::host::files;
use crate::model::digest::Digest;

const HEAD: &str = "ds01-build file hashes 1";
/// More than this, and only what the last run used is kept.
const MOST: usize = 200_000;
/// A file that changed this shortly before may change again within the same
/// tick of the file system's clock, and keep its stamp.
const SETTLED_NS: i64 = 2_000_000_000;

/// Digests by path and stamp. Shared by threads.
#[derive(Debug, Default)]
pub(crate) struct HashCache {
    known: HashMap<PathBuf, (Stamp, Digest)>,
    used: Mutex<HashMap<PathBuf, (Stamp, Digest)>>,
}

type Row = (String, u64, i64, i64, u64, String);

impl HashCache {
    /// Reads a cache file; what cannot be read is not known.
    pub(crate) fn load(path: &Path) -> Self {
        let Ok(file) = std::fs::File::open(path) else { return Self::default() };
        let mut lines = BufReader::new(file).lines().map_while(Result::ok);
        if lines.next().as_deref() != Some(HEAD) {
            return Self::default();
        }
        let known = lines.filter_map(|line| {
            let (path, size, mtime_ns, ctime_ns, inode, digest): Row = serde_json::from_str(&line).ok()?;
            let stamp = Stamp { size, mtime_ns, ctime_ns, inode };
            Some((PathBuf::from(path), (stamp, Digest::parse(&digest)?)))
        });
        Self { known: known.collect(), used: Mutex::default() }
    }

    /// Whether anything was hashed that was not known.
    pub(crate) fn has_news(&self) -> bool {
        self.used().iter().any(|(path, seen)| self.known.get(path) != Some(seen))
    }

    /// Writes the cache file, whole or not at all.
    ///
    /// `begun_ns`: when hashing began, in nanoseconds since 1970. Files that
    /// had changed within two seconds before are left out: they may have
    /// changed once more, after they were hashed, without a new stamp.
    ///
    /// # Errors
    /// The file cannot be written. The next run is slower, that is all.
    pub(crate) fn save(&self, path: &Path, begun_ns: i64) -> io::Result<()> {
        let used = self.used();
        let old = self.known.iter().filter(|(path, _)| !used.contains_key(*path));
        let room = MOST.saturating_sub(used.len());
        let mut lines = format!("{HEAD}\n").into_bytes();
        for (path, (stamp, digest)) in used.iter().chain(old.take(room)) {
            let Some(text) = path.to_str() else { continue };
            if stamp.ctime_ns > begun_ns.saturating_sub(SETTLED_NS) {
                continue;
            }
            let row: Row = (
                text.to_owned(),
                stamp.size,
                stamp.mtime_ns,
                stamp.ctime_ns,
                stamp.inode,
                digest.as_str().to_owned(),
            );
            serde_json::to_writer(&mut lines, &row)?;
            lines.push(b'\n');
        }
        files::write(path, &lines)
    }

    pub(super) fn get(&self, path: &Path, stamp: &Stamp) -> Option<Digest> {
        let (known, digest) = self.known.get(path)?;
        if known != stamp {
            return None;
        }
        self.used().insert(path.to_owned(), (*stamp, digest.clone()));
        Some(digest.clone())
    }

    pub(super) fn put(&self, path: &Path, stamp: &Stamp, digest: &Digest) {
        self.used().insert(path.to_owned(), (*stamp, digest.clone()));
    }

    fn used(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Stamp, Digest)>> {
        self.used.lock().expect("no thread panics while it holds the lock")
    }
}
