//! What earlier tries built, and from what, as files in the user's cache
//! folder: one for each try, and one of the last run.
//!
//! An edge. A file is written under another name first, so it is whole or not
//! there; every try has one of its own, so two runs never write the same one.
//! Whatever cannot be read is not known. Decides nothing.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};
use serde::{Deserialize, Serialize};

use crate::dockerfile::context::Listing;
use crate::host::files;
use crate::image::recipe::RecipeRecord;
use crate::model::digest::Digest;
use crate::model::names::{ImageId, NodeName};
use crate::model::reference::{Reference, Repository};
use crate::spec::graph::{Graph, NodeId};

/// Tries that are kept of each image.
const MOST: usize = 8;
/// Listings of contexts that are kept. Images that share a context, and tries
/// that left it as it was, share one.
const MOST_TREES: usize = 128;
/// Bytes of a listing; of a larger context the digest alone is kept.
pub(crate) const MOST_FILES: usize = 512 * 1024;
/// How the last run as a whole ended, for monitoring.
const LAST_RUN: &str = "last-run.json";
/// Longest name of a folder that every file system takes, with some room.
const LONGEST: usize = 200;

/// One try to build an image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    /// Recipe digest, 64 hex digits.
    pub(crate) recipe: String,
    /// Version of the rules it was made by.
    pub(crate) scheme: u32,
    /// As on the label `ds01.build.ingredients`.
    pub(crate) ingredients: String,
    pub(crate) written: RecipeRecord,
    /// Digest of the context; its files are kept beside the records.
    pub(crate) tree: Option<String>,
    /// The Dockerfile's text, masked.
    pub(crate) dockerfile: Option<String>,
    /// Milliseconds from start to end.
    pub(crate) took_ms: u64,
    /// Seconds since 1970.
    pub(crate) at: i64,
    #[serde(rename = "ended")]
    pub(crate) result: BuildResult,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum BuildResult {
    Built {
        id: ImageId,
    },
    /// It was built, and a check of the image failed.
    TestFailed {
        test: String,
    },
    /// A step failed.
    Failed {
        message: String,
    },
}

/// A run that built images or found them up to date. Counts are of the images that were
/// selected; each is counted once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunRecord {
    /// When it ended, in seconds since 1970.
    pub(crate) at: i64,
    /// Milliseconds from start to end.
    pub(crate) took_ms: u64,
    pub(crate) built: u64,
    pub(crate) fetched: u64,
    pub(crate) kept: u64,
    pub(crate) failed: u64,
    pub(crate) blocked: u64,
    pub(crate) cancelled: u64,
}

/// The records of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    dir: PathBuf,
}

impl Records {
    /// Below `dir`; `engine` tells engines apart. Nothing is read or made yet.
    pub(crate) fn new(dir: &Path, engine: &str) -> Self {
        let engine: String = engine.chars().filter(char::is_ascii_alphanumeric).collect();
        Self { dir: dir.join(engine) }
    }

    /// The tries of an image, oldest first. Plan variants have a repository
    /// in common, so the image's name counts too.
    pub(crate) fn of(&self, repository: &Repository, image: &NodeName) -> Vec<Record> {
        let folder = self.folder(repository, image);
        let files = names(&folder).into_iter().filter(|name| name.ends_with(".json"));
        files.filter_map(|name| serde_json::from_slice(&fs::read(folder.join(name)).ok()?).ok()).collect()
    }

    /// The tries of a node that is built here.
    pub(crate) fn of_node(&self, graph: &Graph, node: NodeId) -> Vec<Record> {
        let node = graph.node(node);
        node.repository.as_ref().map(|repository| self.of(repository, &node.name)).unwrap_or_default()
    }

    /// Adds a try and forgets the oldest.
    ///
    /// # Errors
    /// The folder or file cannot be written. Later reasons say less.
    pub(crate) fn add(&self, repository: &Repository, image: &NodeName, record: &Record) -> io::Result<()> {
        let folder = self.folder(repository, image);
        make(&folder)?;
        // Sorted by name they are sorted by time.
        let name = |n: u32| format!("{:012}-{n:03}-{}.json", record.at.max(0), std::process::id());
        let free = (0..1000).map(name).find(|name| !folder.join(name).exists());
        let name = free.ok_or_else(|| io::Error::other("a thousand tries within a second"))?;
        files::write(&folder.join(name), &serde_json::to_vec(record)?)?;
        let names = names(&folder);
        for old in &names[..names.len().saturating_sub(MOST)] {
            let _ = fs::remove_file(folder.join(old));
        }
        Ok(())
    }

    /// The files of a context by its digest.
    pub(crate) fn files(&self, tree: &str) -> Option<Listing> {
        serde_json::from_slice(&fs::read(self.tree(tree)?).ok()?).ok()
    }

    /// Keeps the files of a context; `files` is only asked if they are not
    /// kept yet, and gives `None` if they are too many.
    ///
    /// # Errors
    /// As [`Records::add`].
    pub(crate) fn add_files(&self, tree: &str, files: impl FnOnce() -> Option<Listing>) -> io::Result<()> {
        let Some(path) = self.tree(tree) else { return Ok(()) };
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let touched = Timestamps { last_access: now, last_modification: now };
        if rustix::fs::utimensat(CWD, &path, &touched, AtFlags::empty()).is_ok() {
            return Ok(());
        }
        let Some(files) = files() else { return Ok(()) };
        make(&self.dir.join("trees"))?;
        files::write(&path, &serde_json::to_vec(&files)?)?;
        self.forget_trees();
        Ok(())
    }

    /// How the last run ended; `None`: there was none, or it is not readable.
    pub(crate) fn last_run(&self) -> Option<RunRecord> {
        serde_json::from_slice(&fs::read(self.dir.join(LAST_RUN)).ok()?).ok()
    }

    /// Keeps how a run ended, in place of the one before.
    ///
    /// # Errors
    /// The folder or file cannot be written.
    pub(crate) fn set_last_run(&self, run: &RunRecord) -> io::Result<()> {
        make(&self.dir)?;
        files::write(&self.dir.join(LAST_RUN), &serde_json::to_vec(run)?)
    }

    /// The branch whose run last ended with this tag, as far as it is known here.
    pub(crate) fn branch(&self, tag: &Reference) -> Option<String> {
        fs::read_to_string(self.branch_file(tag)).ok()
    }

    /// Keeps whose tag it is now: two branches may give one.
    ///
    /// # Errors
    /// The folder or file cannot be written.
    pub(crate) fn set_branch(&self, tag: &Reference, branch: &str) -> io::Result<()> {
        // A run without work is to write as little as it does.
        if self.branch(tag).as_deref() == Some(branch) {
            return Ok(());
        }
        make(&self.dir.join("branches"))?;
        files::write(&self.branch_file(tag), branch.as_bytes())
    }

    fn branch_file(&self, tag: &Reference) -> PathBuf {
        self.dir.join("branches").join(file_name(&tag.canonical()))
    }

    /// Removes the listings that were not used for longest.
    fn forget_trees(&self) {
        let folder = self.dir.join("trees");
        let names = names(&folder);
        if names.len() <= MOST_TREES {
            return;
        }
        let used = |name: String| {
            let path = folder.join(name);
            Some((fs::metadata(&path).and_then(|m| m.modified()).ok()?, path))
        };
        let mut trees: Vec<_> = names.into_iter().filter_map(used).collect();
        trees.sort();
        for (_, path) in &trees[..trees.len().saturating_sub(MOST_TREES)] {
            let _ = fs::remove_file(path);
        }
    }

    /// `None`: that is no digest, so no file may be named after it.
    fn tree(&self, digest: &str) -> Option<PathBuf> {
        Some(self.dir.join("trees").join(format!("{}.json", Digest::parse(digest)?)))
    }

    fn folder(&self, repository: &Repository, image: &NodeName) -> PathBuf {
        let variant = image.as_str().rsplit_once('@').map_or("", |(_, variant)| variant);
        self.dir.join("images").join(file_name(&format!("{repository}@{variant}")))
    }
}

/// A reference as the name of a file.
fn file_name(reference: &str) -> String {
    // None of these is a part of a name.
    let mut name = reference.replace('/', "%").replace(':', "=");
    if name.len() > LONGEST {
        let whole = Digest::of(name.as_bytes());
        name.truncate(name.floor_char_boundary(LONGEST - 20));
        name = format!("{name}-{}", whole.first(16));
    }
    name
}

/// The names in a folder, sorted; none if it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    // A part of a run that was killed stands where its file would.
    names.sort_by(|a, b| a.trim_start_matches('.').cmp(b.trim_start_matches('.')));
    names
}

/// For the user alone: Dockerfiles are nobody else's business.
fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
