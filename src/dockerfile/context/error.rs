//! Why a context cannot be read.

use std::io;
use std::sync::Arc;

use crate::model::problem::{Place, Problem, SourceFile};

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
