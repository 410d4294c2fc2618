//! Findings about the folders that the program writes to.

use std::path::PathBuf;

use super::Finding;
use super::Severity::{Error, Ok, Warning};

/// A folder, and whether files can be made in it; the cause, if not.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    /// `locks`, `cache`, …
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    /// Nothing is built without it.
    pub(crate) needed: bool,
    pub(crate) writable: Result<(), String>,
}

/// Whether it can be written to.
pub(crate) fn writable(folder: &Folder) -> Finding {
    let subject = folder.path.display().to_string();
    let new = |severity, message: String| Finding::new("folders", severity, &subject, message);
    match &folder.writable {
        Result::Ok(()) => new(Ok, format!("{} can be written", folder.name)),
        Err(cause) => {
            let severity = if folder.needed { Error } else { Warning };
            new(severity, format!("{} cannot be written: {cause}", folder.name)).help(match folder.name {
                "locks" => "builds need it: correct its rights (1777, as /tmp), or set DS01_LOCK_DIR",
                "cache" => "everything is hashed anew each time: correct its rights, or set XDG_CACHE_HOME",
                _ => "correct its rights, or set XDG_STATE_HOME",
            })
        }
    }
}
