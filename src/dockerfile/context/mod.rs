//! The files an image is built from, listed and hashed.
//!
//! An edge: it reads the file system. What is left out is decided by
//! `ignore` and `dockerfile`; what a digest means is decided by `recipe`.

mod hash;
mod readable;
mod walk;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use crate::dockerfile::ignore::Ignore;
use crate::host::files;
use crate::model::digest::Digest;
use crate::model::problem::{Place, Problem, SourceFile};

pub(crate) use hash::{HashCache, Listing, Node, Tree, TreeEntry, digest_of, listing, scan_with};
pub(crate) use readable::SourcePath;

/// A context folder as it is sent: the same for every image that shares it.
#[derive(Debug)]
pub(crate) struct Context {
    /// Stable from run to run, distinct for each (folder, ignore rules):
    /// names the local source, so that the engine keeps the last copy and
    /// asks only for what changed.
    pub(crate) id: String,
    /// Absolute path of the folder.
    pub(crate) root: PathBuf,
    /// What `.dockerignore` leaves out.
    pub(crate) ignore: Ignore,
    /// Paths that some instruction of some image of this run can read.
    pub(crate) readable: BTreeSet<SourcePath>,
}

/// One thing of a context, as the walk finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    /// Relative to the root, `/`-separated.
    path: String,
    kind: EntryKind,
    /// Permission bits alone, at most 0o7777.
    mode: u32,
    /// Bytes; 0 for folders and links.
    size: u64,
    /// Nanoseconds since 1970.
    mtime_ns: i64,
    /// Where a link points, as it is written there.
    link_target: Option<String>,
}

/// What an entry is; sockets are passed over, pipes and devices refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Dir,
    Link,
}

impl Context {
    /// A context of a folder that exists.
    ///
    /// # Errors
    /// The folder cannot be reached.
    pub(crate) fn new(root: &Path, ignore: Ignore, readable: BTreeSet<SourcePath>) -> Result<Self, Error> {
        let root = root.canonicalize().map_err(|e| Error::io(&root.display().to_string(), &e))?;
        let rules = ignore.canonical();
        let id = Digest::of_parts(&[b"context", root.as_os_str().as_bytes(), rules.as_bytes()]);
        Ok(Self { id: format!("context-{}", &id.as_str()[..16]), root, ignore, readable })
    }

    /// Opens a file of the context. No part of the path is followed if it is a
    /// link, so that nothing outside the folder is ever read.
    ///
    /// # Errors
    /// It vanished, may not be read, or is no longer a plain path.
    pub(crate) fn open(&self, path: &str) -> Result<File, Error> {
        let wrap = |e: rustix::io::Errno| Error::read(path, &e.into());
        let folder = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let mut at = rustix::fs::open(&self.root, folder, Mode::empty()).map_err(wrap)?;
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        for part in folders.split('/').filter(|part| !part.is_empty()) {
            at = rustix::fs::openat(&at, part, folder | OFlags::NOFOLLOW, Mode::empty()).map_err(wrap)?;
        }
        // A pipe that took the file's place must not block us.
        let file = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        rustix::fs::openat(&at, name, file, Mode::empty()).map(File::from).map_err(wrap)
    }
}

/// The file with the ignore rules of a build, if there is one.
pub(crate) fn ignore_file(root: &Path, dockerfile: &Path) -> Option<PathBuf> {
    ignore_files(root, dockerfile).into_iter().find(|path| path.is_file())
}

/// Where ignore rules may lie; the first that is there counts.
fn ignore_files(root: &Path, dockerfile: &Path) -> [PathBuf; 2] {
    let mut beside: OsString = dockerfile.as_os_str().to_owned();
    beside.push(".dockerignore");
    [PathBuf::from(beside), root.join(".dockerignore")]
}

/// Reads the ignore rules of a build: `<Dockerfile>.dockerignore` beside the
/// Dockerfile if there is one, else `.dockerignore` of the context. Links out
/// of `within` are refused.
///
/// # Errors
/// The file cannot be read, or a line of it is no pattern.
pub(crate) fn load_ignore(within: &Path, root: &Path, dockerfile: &Path) -> Result<Ignore, Error> {
    for path in ignore_files(root, dockerfile) {
        let bytes = match files::read_text(&path, Some(within), files::MOST_TEXT) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
            Err(e) => return Err(Error::io(&path.display().to_string(), &e)),
        };
        let text = String::from_utf8(bytes).map_err(|_| Error::Text { path: path.display().to_string() })?;
        return Ignore::parse(&text).map_err(|(line, cause)| Error::Ignore {
            file: Arc::new(SourceFile::new(path, text)),
            line,
            cause,
        });
    }
    Ok(Ignore::default())
}

#[cfg(test)]
mod tests;

// Why a context cannot be read.

/// Why a context cannot be read. Paths are relative to its folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// A name that BuildKit cannot carry.
    #[error("the file name `{path}` is not UTF-8")]
    Name {
        /// With the broken bytes replaced.
        path: String,
    },
    /// A link to such a name.
    #[error("the link `{path}` points to a name that is not UTF-8")]
    Target { path: String },
    /// Neither file, folder nor link.
    #[error("`{path}` is a {what}, which cannot be part of an image")]
    Special { path: String, what: &'static str },
    /// Somebody wrote while we read.
    #[error("`{path}` changed while it was read")]
    Changed { path: String },
    /// Not for us to read.
    #[error("`{path}` may not be read")]
    Denied { path: String },
    /// Anything else that the system says.
    #[error("`{path}` cannot be read: {cause}")]
    Io { path: String, cause: String },
    /// The ignore file is not a text.
    #[error("`{path}` is not UTF-8")]
    Text { path: String },
    /// A line of the ignore file is not a pattern.
    #[error("{cause}")]
    Ignore {
        file: Arc<SourceFile>,
        /// From 1.
        line: usize,
        cause: String,
    },
}

impl Error {
    /// An error of reading something that was there a moment ago.
    pub(super) fn read(path: &str, error: &io::Error) -> Self {
        // A link where a file was gives ELOOP, where a folder was ENOTDIR.
        let linked = error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error());
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Changed { path: path.to_owned() },
            _ if linked => Self::Changed { path: path.to_owned() },
            _ => Self::io(path, error),
        }
    }

    pub(super) fn io(path: &str, error: &io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            _ => Self::Io { path, cause: error.to_string() },
        }
    }

    /// What to do about it.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Name { .. } | Self::Target { .. } => "rename it, or leave it out in `.dockerignore`",
            Self::Special { .. } => "remove it, or leave it out in `.dockerignore`",
            Self::Changed { .. } => "run again when nothing writes there, or leave it out in `.dockerignore`",
            Self::Denied { .. } => "make it readable (`chmod +r`), or leave it out in `.dockerignore`",
            Self::Io { .. } => "check that the path exists and its disk is well",
            Self::Text { .. } => "save the file as UTF-8",
            Self::Ignore { .. } => "mend the pattern; a `\\` before `[`, `*` or `?` makes it plain",
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let problem = Self::new(error.to_string()).help(error.help());
        match &error {
            Error::Ignore { file, line, .. } => {
                let start: usize = file.text.split_inclusive('\n').take(line - 1).map(str::len).sum();
                let length = file.text[start..].lines().next().unwrap_or_default().len();
                problem.at(&Place { file: Arc::clone(file), span: start..start + length })
            }
            _ => problem,
        }
    }
}
