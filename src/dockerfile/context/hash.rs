//! A context with the content of its files hashed, digests of parts of it, and
//! the cache of digests from earlier runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};

use super::readable::{Coverage, FileKind, FileTree, Readable, SourcePath, is_wild_through_link};
use super::walk::{Stamp, WalkedEntry, walk};
use super::{Context, EntryKind, Error};
use crate::host::files;
use crate::model::digest::{Digest, FramedHash};

/// Hashing is bound by the processor; more threads would take it from builds.
const THREADS: usize = 2;
const BLOCK: usize = 128 * 1024;

/// A context as it was at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    /// By path, name by name: parents before children.
    entries: Vec<TreeEntry>,
}

/// One thing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeEntry {
    /// Relative to the root, `/`-separated.
    pub(crate) path: String,
    /// Nanoseconds since 1970. What is sent carries it; it counts for nothing.
    pub(crate) mtime_ns: i64,
    pub(crate) node: Node,
}

/// What counts of a thing: not its time, nor its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    File {
        /// Its owner may execute it.
        executable: bool,
        /// Bytes.
        size: u64,
        /// SHA-256 of the content.
        digest: Digest,
    },
    Dir,
    Link {
        target: String,
    },
}

impl Tree {
    /// Everything, parents before children.
    pub(crate) fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// Whether instructions that read `readable` get something of it that is
    /// `path` or lies below; the empty path is the folder itself.
    pub(crate) fn gives(&self, readable: &BTreeSet<SourcePath>, path: &str) -> bool {
        let readable = Readable::new(readable, self);
        let within = |entry: &TreeEntry| {
            let rest = entry.path.strip_prefix(path);
            path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.entries.iter().any(|entry| within(entry) && readable.coverage(&entry.path) == Coverage::Yes)
    }

    /// Whether BuildKit may take what such instructions read now for what they
    /// read before, although it changed.
    pub(crate) fn may_be_taken_for_older(&self, readable: &BTreeSet<SourcePath>) -> bool {
        is_wild_through_link(readable, self)
    }

    fn position(&self, path: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|e| e.path.split('/').cmp(path.split('/')))
    }
}

/// Reads and hashes a context.
///
/// # Errors
/// A name that is not UTF-8, a socket or the like, what may not be read, a
/// change while it is read.
#[cfg(test)]
pub(crate) fn scan(context: &Context) -> Result<Tree, Error> {
    scan_with(context, &HashCache::default())
}

/// As [`scan`], but files that are as the cache knows them are not read.
///
/// # Errors
/// As [`scan`].
pub(crate) fn scan_with(context: &Context, cache: &HashCache) -> Result<Tree, Error> {
    let found = walk(context)?;
    let files: Vec<&WalkedEntry> = found.iter().filter(|f| f.entry.kind == EntryKind::File).collect();
    let mut digests = hash_all(context, &files, cache)?.into_iter();
    let entries = found
        .iter()
        .map(|f| {
            let node = match f.entry.kind {
                EntryKind::Dir => Node::Dir,
                EntryKind::Link => Node::Link { target: f.entry.link_target.clone().unwrap_or_default() },
                EntryKind::File => Node::File {
                    executable: f.entry.mode & 0o100 != 0,
                    size: f.entry.size,
                    digest: digests.next().expect("one for each file"),
                },
            };
            TreeEntry { path: f.entry.path.clone(), mtime_ns: f.entry.mtime_ns, node }
        })
        .collect();
    Ok(Tree { entries })
}

/// The digests in the order of the files; of several errors the first file's.
fn hash_all(context: &Context, files: &[&WalkedEntry], cache: &HashCache) -> Result<Vec<Digest>, Error> {
    let known: Vec<_> =
        files.iter().map(|file| cache.get(&context.root.join(&file.entry.path), &file.stamp)).collect();
    let unknown: Vec<&WalkedEntry> =
        files.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(file, _)| *file).collect();
    let mut hashed = hash_unknown(context, &unknown, cache)?.into_iter();
    let each = known.into_iter().map(|known| known.unwrap_or_else(|| hashed.next().expect("one for each")));
    Ok(each.collect())
}

/// Reads files, several at a time where there are several.
fn hash_unknown(context: &Context, files: &[&WalkedEntry], cache: &HashCache) -> Result<Vec<Digest>, Error> {
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(None::<(usize, Error)>);
    let work = || {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(index) else { return done };
            match hash_kept(context, file, cache) {
                Ok(digest) => done.push((index, digest)),
                Err(error) => {
                    let mut failed = failed.lock().expect("no thread panics while it holds the lock");
                    if failed.as_ref().is_none_or(|(first, _)| index < *first) {
                        *failed = Some((index, error));
                    }
                    // Files behind this one need not be read any more.
                    next.store(files.len(), Ordering::Relaxed);
                }
            }
        }
    };
    let mut done = std::thread::scope(|scope| {
        let others: Vec<_> = (1..THREADS.min(files.len())).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for other in others {
            done.extend(other.join().expect("hashing does not panic"));
        }
        done
    });
    if let Some((_, error)) = failed.into_inner().expect("no thread panics while it holds the lock") {
        return Err(error);
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, digest)| digest).collect())
}

fn hash_kept(context: &Context, file: &WalkedEntry, cache: &HashCache) -> Result<Digest, Error> {
    let digest = hash(context, &file.entry.path, &file.stamp)?;
    cache.put(&context.root.join(&file.entry.path), &file.stamp, &digest);
    Ok(digest)
}

/// Hashes one file, which must be and stay as the walk saw it.
pub(super) fn hash(context: &Context, path: &str, seen: &Stamp) -> Result<Digest, Error> {
    let mut file = context.open(path)?;
    let wrap = |e: std::io::Error| Error::read(path, &e);
    let as_seen = |file: &std::fs::File| -> Result<(), Error> {
        let metadata = file.metadata().map_err(wrap)?;
        let same = metadata.is_file() && Stamp::of(&metadata) == *seen;
        if same { Ok(()) } else { Err(Error::Changed { path: path.to_owned() }) }
    };
    as_seen(&file)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    let mut total = 0;
    loop {
        let read = match file.read(&mut block) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(wrap(e)),
        };
        hasher.update(&block[..read]);
        total += read as u64;
    }
    as_seen(&file)?;
    if total == seen.size {
        Ok(Digest::from_bytes(&hasher.finalize()))
    } else {
        Err(Error::Changed { path: path.to_owned() })
    }
}

/// The digest of what one image's instructions can read of a tree: path,
/// type, executable bit, link target and content. Folders that are only on
/// the way to something do not count.
pub(crate) fn digest_of(tree: &Tree, readable: &BTreeSet<SourcePath>) -> Digest {
    let readable = Readable::new(readable, tree);
    let mut hasher = FramedHash::new("tree");
    for entry in tree.entries.iter().filter(|e| readable.coverage(&e.path) == Coverage::Yes) {
        hasher.text(&entry.path);
        match &entry.node {
            Node::Dir => hasher.text("dir"),
            Node::Link { target } => hasher.text("link").text(target),
            Node::File { executable: true, digest, .. } => hasher.text("program").text(digest.as_str()),
            Node::File { executable: false, digest, .. } => hasher.text("file").text(digest.as_str()),
        };
    }
    hasher.finish()
}

/// Path → what counts there, short: 12 digits of a file's SHA-256 (with `+x`
/// for a program), `dir`, or `link:<target>`.
pub(crate) type Listing = BTreeMap<String, String>;

/// What one image's instructions can read, thing by thing; it is the same for
/// equal [`digest_of`]. `None`: paths and digests together have more than
/// `most` bytes.
pub(crate) fn listing(tree: &Tree, readable: &BTreeSet<SourcePath>, most: usize) -> Option<Listing> {
    let readable = Readable::new(readable, tree);
    let (mut files, mut size) = (Listing::new(), 0);
    for (at, entry) in tree.entries.iter().enumerate() {
        if readable.coverage(&entry.path) != Coverage::Yes {
            continue;
        }
        let next = tree.entries.get(at + 1).and_then(|next| next.path.strip_prefix(&entry.path));
        let text = match &entry.node {
            // What lies in it is listed.
            Node::Dir if next.is_some_and(|rest| rest.starts_with('/')) => continue,
            Node::Dir => "dir".to_owned(),
            Node::Link { target } => format!("link:{target}"),
            Node::File { executable, digest, .. } => {
                format!("{}{}", digest.short(), if *executable { "+x" } else { "" })
            }
        };
        size += entry.path.len() + text.len();
        if size > most {
            return None;
        }
        files.insert(entry.path.clone(), text);
    }
    Some(files)
}

impl FileTree for Tree {
    fn kind(&self, path: &str) -> Option<FileKind> {
        Some(match &self.entries[self.position(path).ok()?].node {
            Node::Dir => FileKind::Dir,
            Node::Link { target } => FileKind::Link(target.clone()),
            Node::File { .. } => FileKind::File,
        })
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let start = if folder.is_empty() { 0 } else { self.position(folder).map_or(usize::MAX, |i| i + 1) };
        self.entries
            .iter()
            .skip(start)
            .map_while(|e| e.path.strip_prefix(&prefix))
            .filter(|rest| !rest.contains('/'))
            .map(str::to_owned)
            .collect()
    }
}

// Digests of files that were hashed before, so that a plan over unchanged
// files costs a stat each.
// Only saves time: a missing, old or broken cache file gives the same answers.

const HEAD: &str = "ds01-build file hashes 2";
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

type CacheLine = (String, u64, i64, i64, u64, String);

/// What stands before a line's text: a digit that flips on a disk must not
/// make another recipe, nor hide a change.
fn checksum(line: &str) -> String {
    Digest::of(line.as_bytes()).first(16).to_owned()
}

impl HashCache {
    /// Reads a cache file; what cannot be read is not known.
    pub(crate) fn load(path: &Path) -> Self {
        let Ok(file) = std::fs::File::open(path) else { return Self::default() };
        let mut lines = BufReader::new(file).lines().map_while(Result::ok);
        if lines.next().as_deref() != Some(HEAD) {
            return Self::default();
        }
        let known = lines.filter_map(|line| {
            let (_, line) = line.split_once(' ').filter(|(sum, line)| *sum == checksum(line))?;
            let (path, size, mtime_ns, ctime_ns, inode, digest): CacheLine =
                serde_json::from_str(line).ok()?;
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
            let row: CacheLine = (
                text.to_owned(),
                stamp.size,
                stamp.mtime_ns,
                stamp.ctime_ns,
                stamp.inode,
                digest.as_str().to_owned(),
            );
            let line = serde_json::to_string(&row)?;
            lines.extend([checksum(&line).as_str(), " ", &line, "\n"].concat().bytes());
        }
        files::write(path, &lines)
    }

    pub(super) fn get(&self, path: &Path, stamp: &Stamp) -> Option<Digest> {
        let mut used = self.used();
        // In one run a file may be asked for more than once.
        let (known, digest) = used.get(path).or_else(|| self.known.get(path))?;
        if known != stamp {
            return None;
        }
        let digest = digest.clone();
        used.insert(path.to_owned(), (*stamp, digest.clone()));
        Some(digest)
    }

    pub(super) fn put(&self, path: &Path, stamp: &Stamp, digest: &Digest) {
        self.used().insert(path.to_owned(), (*stamp, digest.clone()));
    }

    fn used(&self) -> std::sync::MutexGuard<'_, HashMap<PathBuf, (Stamp, Digest)>> {
        self.used.lock().expect("no thread panics while it holds the lock")
    }
}
