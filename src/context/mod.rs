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
