//! Programs in running containers, and what containers wrote. Knows no terminal.

use std::fmt;

use futures::stream::BoxStream;
use tokio::io::AsyncWrite;

use super::Error;

/// A program to run in a container that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Exec {
    pub(crate) command: Vec<String>,
    /// `uid:gid`; empty: the container's.
    pub(crate) user: String,
    /// Empty: the container's.
    pub(crate) workdir: String,
    /// `NAME=value`, besides the container's.
    pub(crate) env: Vec<String>,
    /// Give it a terminal.
    pub(crate) tty: bool,
    /// Keep its standard input open.
    pub(crate) stdin: bool,
}

/// A program of a container, attached to.
pub(crate) struct Attached {
    /// What the engine calls it.
    pub(crate) id: String,
    /// Its standard input; shutting it down is its end of file.
    pub(crate) input: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it writes; ends with it.
    pub(crate) output: BoxStream<'static, Result<Chunk, Error>>,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A piece of what a program wrote. With a terminal all is standard output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) stderr: bool,
    pub(crate) bytes: Vec<u8>,
}

/// Which of the lines that a container wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logs {
    /// Only the last so many; `None`: all.
    pub(crate) tail: Option<u32>,
    /// Only those since; seconds since 1970.
    pub(crate) since: Option<i64>,
    /// With the time before each line.
    pub(crate) timestamps: bool,
    /// And what it writes from now on.
    pub(crate) follow: bool,
}
