//! A context with the content of its files hashed, and digests of parts of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};

use super::cache::HashCache;
use super::readable::{Cover, Look, Readable, Seen};
use super::walk::{Found, Stamp, walk};
use super::{Context, EntryKind, Error};
use crate::model::digest::{Digest, Framed};

/// Hashing is bound by the processor; more threads would take it from builds.
const THREADS: usize = 2;
const BLOCK: usize = 128 * 1024;
/// Digits of a file's digest in a listing.
const SHORT: usize = 12;

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
    #[cfg(test)]
    pub(crate) fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    fn position(&self, path: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|e| e.path.split('/').cmp(path.split('/')))
    }
}

/// Reads and hashes a context.
///
/// # Errors
/// As [`Context::entries`], and a file that changed while it was read.
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
    let files: Vec<&Found> = found.iter().filter(|f| f.entry.kind == EntryKind::File).collect();
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
            TreeEntry { path: f.entry.path.clone(), node }
        })
        .collect();
    Ok(Tree { entries })
}

/// The digests in the order of the files; of several errors the first file's.
fn hash_all(context: &Context, files: &[&Found], cache: &HashCache) -> Result<Vec<Digest>, Error> {
    let known: Vec<_> =
        files.iter().map(|file| cache.get(&context.root.join(&file.entry.path), &file.stamp)).collect();
    let unknown: Vec<&Found> =
        files.iter().zip(&known).filter(|(_, known)| known.is_none()).map(|(file, _)| *file).collect();
    let mut hashed = hash_unknown(context, &unknown, cache)?.into_iter();
    let each = known.into_iter().map(|known| known.unwrap_or_else(|| hashed.next().expect("one for each")));
    Ok(each.collect())
}

/// Reads files, several at a time where there are several.
fn hash_unknown(context: &Context, files: &[&Found], cache: &HashCache) -> Result<Vec<Digest>, Error> {
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

fn hash_kept(context: &Context, file: &Found, cache: &HashCache) -> Result<Digest, Error> {
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
pub(crate) fn digest_of(tree: &Tree, readable: &BTreeSet<String>) -> Digest {
    let readable = Readable::new(readable, tree);
    let mut hasher = Framed::new("tree");
    for entry in tree.entries.iter().filter(|e| readable.cover(&e.path) == Cover::Yes) {
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
pub(crate) fn listing(tree: &Tree, readable: &BTreeSet<String>, most: usize) -> Option<Listing> {
    let readable = Readable::new(readable, tree);
    let (mut files, mut size) = (Listing::new(), 0);
    for (at, entry) in tree.entries.iter().enumerate() {
        if readable.cover(&entry.path) != Cover::Yes {
            continue;
        }
        let next = tree.entries.get(at + 1).and_then(|next| next.path.strip_prefix(&entry.path));
        let told = match &entry.node {
            // What lies in it tells of it.
            Node::Dir if next.is_some_and(|rest| rest.starts_with('/')) => continue,
            Node::Dir => "dir".to_owned(),
            Node::Link { target } => format!("link:{target}"),
            Node::File { executable, digest, .. } => {
                format!("{}{}", digest.first(SHORT), if *executable { "+x" } else { "" })
            }
        };
        size += entry.path.len() + told.len();
        if size > most {
            return None;
        }
        files.insert(entry.path.clone(), told);
    }
    Some(files)
}

impl Look for Tree {
    fn seen(&self, path: &str) -> Option<Seen> {
        Some(match &self.entries[self.position(path).ok()?].node {
            Node::Dir => Seen::Dir,
            Node::Link { target } => Seen::Link(target.clone()),
            Node::File { .. } => Seen::File,
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
